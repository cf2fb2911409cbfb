//! Locates the program under test. Cargo tells only a package's own tests where its binaries are,
//! so this module makes cargo build `kvs` in the profile and target directory of the running test.
//! A binary that is newer than all sources is used as it is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

use anyhow::{Context, anyhow, bail};

/// Returns the path of `kvs`, built if necessary. Determined once per process.
///
/// # Errors
/// If the build fails or cargo is missing.
pub fn program() -> anyhow::Result<&'static Path> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND
        .get_or_init(|| find("kvs", "--bin", "kvs").map_err(|error| format!("{error:#}")))
        .as_deref()
        .map_err(|error| anyhow!("cannot build kvs: {error}"))
}

/// Returns the path of an example of the client library, built if necessary.
///
/// # Errors
/// If there is no such example, the build fails or cargo is missing.
pub fn example(name: &str) -> anyhow::Result<PathBuf> {
    find("kvs-client", "--example", name).with_context(|| format!("cannot build example {name}"))
}

/// Locates or builds a target of a package; `kind` is the cargo option that selects it.
fn find(package: &str, kind: &str, name: &str) -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("the package is not in a workspace")?;
    let (target, profile) = own_place()?;
    let directory = target.join(&profile);
    let built = match kind {
        "--example" => directory.join("examples").join(name),
        _ => directory.join(name),
    };
    if is_fresh(&built, workspace) {
        return Ok(built);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let profile = match profile.as_str() {
        "debug" => "dev",
        other => other,
    };
    let output = Command::new(cargo)
        .current_dir(workspace)
        .args(["build", "--locked", "--package", package, kind, name])
        .args(["--profile", profile, "--target-dir"])
        .arg(&target)
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo build failed");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
        .next_back()
        .context("cargo names no executable")
}

/// Returns the target directory and the profile directory's name of the running program.
fn own_place() -> anyhow::Result<(PathBuf, String)> {
    let own = std::env::current_exe()?;
    let mut directory = own.parent().context("this program is nowhere")?;
    if directory.ends_with("deps") {
        directory = directory.parent().context("deps is nowhere")?;
    }
    let profile = directory.file_name().context("no profile")?;
    let profile = profile.to_str().context("a strange profile")?.to_owned();
    let target = directory.parent().context("no target directory")?;
    Ok((target.to_owned(), profile))
}

/// Returns whether the binary is newer than all of its sources.
fn is_fresh(built: &Path, workspace: &Path) -> bool {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|found| found.modified());
    let Ok(since) = modified(built) else {
        return false;
    };
    let mut sources = vec![workspace.join("Cargo.toml"), workspace.join("Cargo.lock")];
    for package in list(&workspace.join("crates")) {
        sources.push(package.join("Cargo.toml"));
        sources.push(package.join("src"));
        let examples = package.join("examples");
        sources.extend(examples.is_dir().then_some(examples));
    }
    while let Some(path) = sources.pop() {
        if !modified(&path).is_ok_and(|time: SystemTime| time < since) {
            return false;
        }
        sources.extend(list(&path));
    }
    true
}

/// Returns the entries of a directory; none if it is not a directory.
fn list(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}
