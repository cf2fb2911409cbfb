//! `instructions`: counts the instructions that the pure core and the codec execute per operation.
//! Valgrind counts, so noise of the machine has no effect. The counts are compared with
//! `baseline.txt`.
//!
//! Each case runs twice under valgrind, with few rounds and with more; the difference excludes
//! startup and setup. Valgrind emulates a processor with AVX2 but without AVX-512, so hashing and
//! copying take the same path on every machine that has AVX2.
//!
//! ```text
//! cargo run --release -p kvs-instructions             fails if a case takes 5% more
//! cargo run --release -p kvs-instructions -- --write  makes the counts the baseline
//! ```

mod baseline;

mod codec;
mod engine;
mod tree;

mod get;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Parser;

use baseline::{Baseline, TOLERANCE_PERCENT, Verdict};

/// Number of uncounted and of counted rounds.
const WARM_UP: u64 = 8;
const ROUNDS: u64 = 64;

/// A case: its name and the function that runs a given number of rounds.
type Case = (&'static str, fn(u64) -> anyhow::Result<()>);

/// All cases.
const CASES: &[Case] = &[
    ("key-parse", tree::parse_key),
    ("lookup", tree::lookup_deep),
    ("lookup-stored", tree::lookup_stored),
    ("put", tree::put_one),
    ("transaction", tree::apply_transaction),
    ("replay", tree::replay_one),
    ("diff", tree::diff_one),
    ("list", tree::list_page),
    ("scope-match", tree::match_scope),
    ("node-and-back", tree::node_and_back),
    ("hash-4k", tree::hash_4k),
    ("commit-encode", codec::encode_commit),
    ("commit-decode", codec::decode_commit),
    ("committed-and-back", codec::committed_and_back),
    ("lookup-encode", codec::encode_lookup),
    ("lookup-decode", codec::decode_lookup),
    ("found-and-back", codec::found_and_back),
    ("event-and-back", codec::event_and_back),
    ("commit-128-puts", engine::commit_groups),
    ("get", get::get),
    ("get-wide", get::get_wide),
    ("got", get::got),
];

/// Counts instructions and compares them with the baseline.
#[derive(Debug, Parser)]
struct Options {
    /// Make the counts the baseline
    #[arg(long)]
    write: bool,
    /// Run a case this many times without counting: what valgrind executes
    #[arg(long, num_args = 2, value_names = ["CASE", "ROUNDS"], hide = true)]
    run: Option<Vec<String>>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if let Some([case, rounds]) = options.run.as_deref() {
        let found = CASES.iter().find(|(name, _)| name == case);
        let (_, run) = found.context("no such case")?;
        return run(rounds.parse()?);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("baseline.txt");
    let before = match std::fs::read_to_string(&path) {
        Ok(text) => Baseline::parse(&text)?,
        Err(_) if options.write => Baseline::default(),
        Err(error) => return Err(error).context("no baseline"),
    };
    let mut now = Baseline {
        made_with: tools(),
        ..Baseline::default()
    };
    let mut worse = Vec::new();
    println!(
        "{:<20} {:>12} {:>12}",
        "instructions for", "now", "baseline"
    );
    for (name, _) in CASES {
        let count = (count(name, WARM_UP + ROUNDS)? - count(name, WARM_UP)?) / ROUNDS as f64;
        let verdict = before.verdict(name, count);
        let known = before.counts.get(*name).copied().unwrap_or(0.0);
        println!("{name:<20} {count:>12.0} {known:>12.0} {verdict:?}");
        if matches!(verdict, Verdict::Worse | Verdict::New) {
            worse.push(*name);
        }
        now.counts.insert((*name).to_owned(), count);
    }
    if options.write {
        return Ok(std::fs::write(&path, now.text())?);
    }
    if now.made_with != before.made_with {
        println!(
            "not judged: the baseline is of {}, and this is {}",
            before.made_with, now.made_with
        );
        return Ok(());
    }
    ensure!(
        worse.is_empty(),
        "more than {TOLERANCE_PERCENT}% over the baseline, or not in it: {}; if that is meant: --write",
        worse.join(", ")
    );
    Ok(())
}

/// Counts the instructions of a complete run of a case.
fn count(case: &str, rounds: u64) -> anyhow::Result<f64> {
    let file = tempfile::NamedTempFile::new()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.path().display()))
        .arg(std::env::current_exe()?)
        .args(["--run", case, &rounds.to_string()])
        .stdin(Stdio::null())
        .output()
        .context("cannot run valgrind")?;
    if !output.status.success() {
        bail!("{case}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = std::fs::read_to_string(file.path())?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals:"));
    Ok(total.context("valgrind counted nothing")?.trim().parse()?)
}

/// Describes everything besides the code that affects the counts.
fn tools() -> String {
    let first_line = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output();
        let text = output.map(|output| output.stdout).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().next().unwrap_or("unknown").to_owned()
    };
    let has_avx2 = std::fs::read_to_string("/proc/cpuinfo")
        .is_ok_and(|text| text.split_ascii_whitespace().any(|flag| flag == "avx2"));
    format!(
        "{}; {}; {}; {}{}",
        first_line("rustc", "-V"),
        first_line("ldd", "--version"),
        first_line("valgrind", "--version"),
        std::env::consts::ARCH,
        if has_avx2 { " with avx2" } else { "" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_runs() {
        for (name, run) in CASES {
            run(2).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn the_baseline_has_every_case() {
        let baseline = Baseline::parse(include_str!("../baseline.txt")).unwrap();
        let missing = CASES
            .iter()
            .filter(|(name, _)| !baseline.counts.contains_key(*name));
        assert_eq!(missing.count(), 0);
    }
}
