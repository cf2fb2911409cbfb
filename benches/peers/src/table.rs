//! The output: settings, figures, and targets with their results.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use kvs_testkit::median;

use super::work::{Measured, Work};

/// Limits of the comparison, independent of the figures.
pub(crate) const NOT_COMPARABLE: &[&str] = &[
    "kvs is asked through its client library, the others (and \"bare\" rows of kvs) by a loop that counts answers: no library would be faster.",
    "kvs numbers each commit and keeps each version; etcd keeps revisions as well; Redis, ZooKeeper and NATS (history 1) keep the last value only.",
    "etcd, ZooKeeper and NATS can replicate and pay for it with one member too; kvs and Redis cannot, or do so without waiting.",
    "etcd's gets are linearizable as those of kvs are (it confirms that it leads); those of Redis, ZooKeeper and NATS read what is there.",
    "Watch events: those of kvs, etcd and NATS have values and can be resumed; those of Redis and ZooKeeper say only that a key changed, and are lost while nobody listens. kvs's library time ends in the callback, the bare ones' when the event is parsed.",
    "Counters: kvs and Redis add; etcd, ZooKeeper and NATS put the next number on condition that nobody did meanwhile, so more than one in flight would be refused.",
    "NATS's defaults sync every two minutes: compare it with kvs at durability interval.",
    "Redis and kvs listen on a unix socket, etcd as well; ZooKeeper and NATS know TCP only.",
];

/// All figures: one value per system, workload and repetition.
#[derive(Default)]
pub(crate) struct Figures {
    names: Vec<&'static str>,
    measured: BTreeMap<(Work, &'static str), Vec<Measured>>,
}

/// A performance target.
pub(crate) struct Target {
    /// Description of the target.
    pub(crate) what: String,
    /// The measured value, if available.
    pub(crate) value: Option<f64>,
    /// The required bound.
    pub(crate) bound: f64,
    /// True if the bound is a maximum, false if it is a minimum.
    pub(crate) at_most: bool,
}

impl Figures {
    /// Creates an empty set of figures for the named systems.
    pub(crate) fn new(names: Vec<&'static str>) -> Self {
        Self {
            names,
            measured: BTreeMap::new(),
        }
    }

    /// Adds a repetition.
    pub(crate) fn add(&mut self, work: Work, name: &'static str, measured: Measured) {
        self.measured
            .entry((work, name))
            .or_default()
            .push(measured);
    }

    /// Returns the median rate, or the median of the median latencies.
    pub(crate) fn figure(&self, work: Work, name: &'static str) -> Option<f64> {
        let all = self.measured.get(&(work, name))?;
        let one = |measured: &Measured| match work.is_rate() {
            true => measured.rate,
            false => measured.p50_us,
        };
        Some(median(&mut all.iter().map(one).collect::<Vec<_>>()))
    }

    /// Divides the figure of `ours` by that of `theirs`.
    pub(crate) fn ratio(
        &self,
        work: Work,
        ours: &'static str,
        theirs: &'static str,
    ) -> Option<f64> {
        Some(self.figure(work, ours)? / self.figure(work, theirs)?.max(1e-9))
    }

    /// Formats a table with one row per workload and one column per system; with `ratios_of`, the
    /// ratios of that system to each.
    pub(crate) fn table(&self, ratios_of: Option<&'static str>) -> Table {
        let unit = |work: Work| if work.is_rate() { "1/s" } else { "p50 µs" };
        let mut header = vec!["workload".to_owned()];
        header.extend(self.names.iter().map(|name| (*name).to_owned()));
        let mut table = new_table(header);
        for work in Work::ALL {
            let mut row = vec![format!("{}, {}", work.name(), unit(work))];
            row.extend(self.names.iter().map(|name| match ratios_of {
                Some(ours) => text(self.ratio(work, ours, name), "×"),
                None => text(self.figure(work, name), ""),
            }));
            table.add_row(row);
        }
        right(&mut table);
        table
    }

    /// Returns all figures as JSON.
    pub(crate) fn json(&self) -> Value {
        let rows = self.measured.iter().map(|((work, name), all)| {
            let of = |field: fn(&Measured) -> f64| {
                median(&mut all.iter().map(field).collect::<Vec<_>>())
            };
            json!({
                "workload": work.name(), "system": name, "in_flight": work.in_flight(),
                "rate": of(|one| one.rate), "p50_us": of(|one| one.p50_us),
                "p99_us": of(|one| one.p99_us), "repetitions": all.len(),
            })
        });
        Value::Array(rows.collect())
    }
}

impl Target {
    /// Returns whether the target was met, if it was measured.
    pub(crate) fn met(&self) -> Option<bool> {
        let value = self.value?;
        Some(if self.at_most {
            value <= self.bound
        } else {
            value >= self.bound
        })
    }
}

/// Formats the targets and their results.
pub(crate) fn targets(targets: &[Target]) -> Table {
    let header = ["target", "demanded", "measured", "met"];
    let mut table = new_table(header.map(str::to_owned).to_vec());
    for target in targets {
        let sign = if target.at_most { "≤" } else { "≥" };
        table.add_row([
            target.what.clone(),
            format!("{sign} {}", target.bound),
            text(target.value, ""),
            match target.met() {
                Some(true) => "yes".to_owned(),
                Some(false) => "NO".to_owned(),
                None => "not measured".to_owned(),
            },
        ]);
    }
    right(&mut table);
    table
}

fn new_table(header: Vec<String>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header);
    table
}

fn right(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Formats a figure with about three digits and thousands separators.
fn text(value: Option<f64>, unit: &str) -> String {
    let Some(value) = value else {
        return "-".to_owned();
    };
    if value.abs() < 100.0 {
        let digits = if value.abs() < 10.0 { 2 } else { 1 };
        return format!("{value:.digits$}{unit}");
    }
    let whole = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(rate: f64, p50_us: f64) -> Measured {
        Measured {
            rate,
            p50_us,
            p99_us: 0.0,
        }
    }

    #[test]
    fn ratios_are_of_rates_or_of_latencies() {
        let mut figures = Figures::new(vec!["a", "b"]);
        for work in [Work::Get, Work::Gets] {
            figures.add(work, "a", measured(1000.0, 30.0));
            figures.add(work, "b", measured(500.0, 60.0));
        }
        assert_eq!(figures.ratio(Work::Gets, "a", "b"), Some(2.0));
        assert_eq!(figures.ratio(Work::Get, "a", "b"), Some(0.5));
        assert_eq!(figures.ratio(Work::Put, "a", "b"), None);
        let table = figures.table(Some("a")).to_string();
        assert!(
            table.contains("2.00×") && table.contains("0.50×"),
            "{table}"
        );
    }

    #[test]
    fn a_target_that_was_not_measured_is_neither_met_nor_missed() {
        let target = |value| Target {
            what: String::new(),
            value,
            bound: 2.0,
            at_most: false,
        };
        assert_eq!(target(Some(2.0)).met(), Some(true));
        assert_eq!(target(Some(1.0)).met(), Some(false));
        assert_eq!(target(None).met(), None);
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(text(Some(1_234_567.8), ""), "1,234,568");
        assert_eq!(text(Some(1.234), "×"), "1.23×");
        assert_eq!(text(None, "×"), "-");
    }
}
