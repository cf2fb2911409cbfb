//! Requirements of a test that not every machine meets: root, a program. Without them the test
//! covers less. Under CI (`CI` is set) it fails instead, because nothing else would cover what is
//! skipped.

use std::path::Path;

/// Returns whether a requirement is met. Reports a missing one on standard error; under CI, panics.
#[track_caller]
pub fn has(what: &str, is_there: bool) -> bool {
    let under_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    may_skip(what, is_there, under_ci)
}

#[track_caller]
fn may_skip(what: &str, is_there: bool, under_ci: bool) -> bool {
    assert!(
        is_there || !under_ci,
        "this test needs {what}, which is missing, and under CI nothing is skipped"
    );
    if !is_there {
        eprintln!("{what} is missing: the test shows less, or nothing");
    }
    is_there
}

/// Returns whether the test runs as root.
#[track_caller]
pub fn has_root() -> bool {
    has("root", rustix::process::geteuid().is_root())
}

/// Returns whether a program is in `PATH`.
#[track_caller]
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| is_file(&directory.join(name)));
    has(name, found)
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file())
}

#[cfg(test)]
mod tests {
    use super::may_skip;

    #[test]
    fn what_is_missing_is_skipped_where_somebody_sees_it() {
        assert!(may_skip("root", true, true) && may_skip("root", true, false));
        assert!(!may_skip("root", false, false));
    }

    #[test]
    #[should_panic(expected = "needs strace, which is missing")]
    fn what_is_missing_fails_under_ci() {
        may_skip("strace", false, true);
    }
}
