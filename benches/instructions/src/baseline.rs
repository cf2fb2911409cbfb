//! The checked-in baseline counts and their comparison with new counts.

use std::collections::BTreeMap;

use anyhow::Context;

/// Increase in percent that does not count as a regression.
pub(crate) const TOLERANCE_PERCENT: f64 = 5.0;

/// Absolute difference that counts as no change.
const TOLERANCE: f64 = 8.0;

/// Counts by case, and the tools that produced them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Baseline {
    /// Compiler, C library, valgrind and processor; with others the counts differ.
    pub(crate) made_with: String,
    /// Instructions per operation.
    pub(crate) counts: BTreeMap<String, f64>,
}

/// The result of comparing a count with the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The case is not in the baseline.
    New,
    /// The count is within the tolerance.
    Same,
    /// Lower by more than the tolerance.
    Better,
    /// Higher by more than the tolerance.
    Worse,
}

impl Baseline {
    /// Parses the baseline file.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut baseline = Baseline::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.split_once(' ').context("no value")?;
            let value = value.trim();
            if name == "with" {
                baseline.made_with = value.to_owned();
            } else {
                let count = value.parse().with_context(|| format!("{name}: {value}"))?;
                baseline.counts.insert(name.to_owned(), count);
            }
        }
        Ok(baseline)
    }

    /// Formats the baseline file.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "# Instructions for each operation, see docs/performance.md. Written by\n\
             # cargo run --release -p kvs-instructions -- --write\n\
             with {}\n",
            self.made_with
        );
        for (name, count) in &self.counts {
            text.push_str(&format!("{name:<20} {count:.0}\n"));
        }
        text
    }

    /// Compares a count with the baseline.
    pub(crate) fn verdict(&self, name: &str, count: f64) -> Verdict {
        let Some(before) = self.counts.get(name) else {
            return Verdict::New;
        };
        let tolerance = (before * TOLERANCE_PERCENT / 100.0).max(TOLERANCE);
        if count > before + tolerance {
            Verdict::Worse
        } else if count < before - tolerance {
            Verdict::Better
        } else {
            Verdict::Same
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline() -> Baseline {
        Baseline {
            made_with: "a compiler".to_owned(),
            counts: [("big", 1000.0), ("small", 20.0)]
                .map(|(name, count)| (name.to_owned(), count))
                .into(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(Baseline::parse(&baseline().text()).unwrap(), baseline());
    }

    #[test]
    fn more_than_five_percent_is_a_regression() {
        for (name, count, verdict) in [
            ("big", 1050.0, Verdict::Same),
            ("big", 1051.0, Verdict::Worse),
            ("big", 949.0, Verdict::Better),
            ("small", 28.0, Verdict::Same),
            ("small", 29.0, Verdict::Worse),
            ("other", 1.0, Verdict::New),
        ] {
            assert_eq!(baseline().verdict(name, count), verdict, "{name} {count}");
        }
    }
}
