//! The output of `kvs bench`: a table for people, or one JSON object per workload.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use kvs_tree::HashAlgorithm;
use serde::Serialize;

use crate::machine::Limit;
use crate::plan::{Layout, Plan, Size, Workload};
use crate::statistics::{Spread, median};

/// The figures of one repetition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repetition {
    /// Operations per second.
    pub(crate) rate: f64,
    /// Latency percentiles.
    pub(crate) spread: Spread,
    /// Resident memory of the daemon at the end.
    pub(crate) rss_bytes: Option<u64>,
    /// Bytes written to disk per operation.
    pub(crate) disk_bytes_per_op: Option<f64>,
    /// Machine limits, measured before the repetition.
    pub(crate) limit: Limit,
    /// Figures specific to this workload.
    pub(crate) extra: Vec<(&'static str, f64)>,
}

/// The figures of a workload: medians over its repetitions. Also the JSON format.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    workload: String,
    rate: f64,
    #[serde(flatten)]
    spread: Spread,
    daemon_rss_bytes: Option<u64>,
    disk_bytes_per_op: Option<f64>,
    limit: Limit,
    clients: usize,
    in_flight: usize,
    value_size: usize,
    keys: u64,
    layout: &'static str,
    durability: Option<String>,
    hash: String,
    seconds: f64,
    repetitions: usize,
    /// CPUs of the daemon and of the clients.
    cpus: Option<(usize, usize)>,
    #[serde(flatten)]
    extra: BTreeMap<&'static str, f64>,
}

impl Figures {
    /// Summarizes the repetitions.
    pub(crate) fn new(
        workload: Workload,
        plan: &Plan,
        size: &Size,
        hash: HashAlgorithm,
        repetitions: &[Repetition],
    ) -> Figures {
        let spreads: Vec<_> = repetitions.iter().map(|one| one.spread).collect();
        let limits: Vec<_> = repetitions.iter().map(|one| one.limit).collect();
        let known = |numbers: Vec<f64>| (!numbers.is_empty()).then(|| median(numbers));
        let rss = repetitions
            .iter()
            .filter_map(|one| one.rss_bytes)
            .map(|bytes| bytes as f64);
        let disk = repetitions.iter().filter_map(|one| one.disk_bytes_per_op);
        let mut extra: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (name, number) in repetitions.iter().flat_map(|one| &one.extra) {
            extra.entry(name).or_default().push(*number);
        }
        Figures {
            workload: workload.name(),
            rate: median(repetitions.iter().map(|one| one.rate)),
            spread: Spread::median(&spreads),
            daemon_rss_bytes: known(rss.collect()).map(|bytes| bytes as u64),
            disk_bytes_per_op: known(disk.collect()),
            limit: Limit::median(&limits),
            clients: plan.clients,
            in_flight: plan.in_flight,
            value_size: size.value,
            keys: size.keys,
            layout: match size.layout {
                Layout::Directory => "directory",
                Layout::Lwj => "lwj",
            },
            durability: plan.uri.is_none().then(|| plan.durability.clone()),
            hash: hash.to_string(),
            seconds: plan.time.as_secs_f64(),
            repetitions: repetitions.len(),
            cpus: plan.pin.map(|pin| (pin.daemon, pin.clients)),
            extra: extra
                .into_iter()
                .map(|(name, numbers)| (name, median(numbers)))
                .collect(),
        }
    }

    /// Formats one JSON object without a newline.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Formats the table, followed by workload-specific figures and the machine limits.
pub fn table(figures: &[Figures], terminal: bool) -> String {
    let style = if terminal {
        presets::UTF8_FULL_CONDENSED
    } else {
        presets::NOTHING
    };
    let mut table = Table::new();
    table.load_style(style);
    table.set_header([
        "workload",
        "rate/s",
        "p50 µs",
        "p90 µs",
        "p99 µs",
        "max µs",
        "daemon MB",
        "disk B/op",
    ]);
    let mut limits = Table::new();
    limits.load_style(style);
    limits.set_header([
        "machine's limits",
        "ping-pong µs",
        "one CPU",
        "two CPUs",
        "fdatasync µs",
        "appends/s",
        "ping-pongs/s",
    ]);
    let mut text = String::new();
    for one in figures {
        let Spread {
            p50_us,
            p90_us,
            p99_us,
            max_us,
        } = one.spread;
        let rss = one.daemon_rss_bytes.map(|bytes| bytes as f64 / 1e6);
        let mut row = vec![one.workload.clone()];
        let numbers = [one.rate, p50_us, p90_us, p99_us, max_us].map(Some);
        row.extend(
            numbers
                .into_iter()
                .chain([rss, one.disk_bytes_per_op])
                .map(number),
        );
        table.add_row(row);
        let limit = &one.limit;
        let mut row = vec![one.workload.clone()];
        row.extend(
            [
                limit.pingpong_p50_us,
                limit.pingpong_same_core_p50_us,
                limit.pingpong_cross_core_p50_us,
                limit.fdatasync_p50_us,
                limit.append_rate,
                limit.pingpong_rate,
            ]
            .map(number),
        );
        limits.add_row(row);
        if !one.extra.is_empty() {
            let extra: Vec<_> = one
                .extra
                .iter()
                .map(|(name, value)| format!("{name} {}", number(Some(*value))))
                .collect();
            text.push_str(&format!("\n{}: {}", one.workload, extra.join(", ")));
        }
    }
    for table in [&mut table, &mut limits] {
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}{text}\n\n{limits}")
}

/// Formats a figure with about three digits and thousands separators.
fn number(value: Option<f64>) -> String {
    let Some(value) = value else {
        return "-".to_owned();
    };
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn figures() -> Figures {
        let plan = Plan {
            clients: 1,
            in_flight: 128,
            value_size: None,
            keys: None,
            watchers: None,
            layout: Layout::Lwj,
            time: Duration::from_millis(200),
            warm_up: Duration::ZERO,
            repetitions: 2,
            pin: None,
            durability: "commit".to_owned(),
            hash: HashAlgorithm::Blake3,
            directory: None,
            uri: None,
        };
        let repetition = |rate, rss_bytes| Repetition {
            rate,
            rss_bytes,
            extra: vec![("watchers", 2.0)],
            ..Repetition::default()
        };
        Figures::new(
            Workload::Put,
            &plan,
            &plan.size(Workload::Put),
            HashAlgorithm::Sha1,
            &[repetition(100_000.0, Some(5)), repetition(300_000.0, None)],
        )
    }

    #[test]
    fn the_json_has_every_field_also_when_it_is_unknown() {
        let value: serde_json::Value = serde_json::from_str(&figures().json()).unwrap();
        for field in [
            "workload",
            "rate",
            "p50_us",
            "p90_us",
            "p99_us",
            "max_us",
            "daemon_rss_bytes",
            "disk_bytes_per_op",
            "limit",
            "in_flight",
            "watchers",
        ] {
            assert!(value.get(field).is_some(), "{field}");
        }
        for field in ["pingpong_p50_us", "fdatasync_p50_us", "append_rate"] {
            assert!(value["limit"].get(field).is_some(), "{field}");
        }
        assert_eq!(value["rate"], 200_000.0);
        assert_eq!(value["daemon_rss_bytes"], 5);
        assert_eq!(value["layout"], "lwj");
        assert_eq!(value["hash"], "sha1");
    }

    #[test]
    fn the_table_has_a_line_a_workload() {
        let table = table(&[figures()], false);
        assert!(
            table.contains("200,000") && table.contains("watchers 2.0"),
            "{table}"
        );
    }

    #[test]
    fn numbers_are_short_and_readable() {
        assert_eq!(number(Some(4.25)), "4.2");
        assert_eq!(number(Some(999.6)), "1,000");
        assert_eq!(number(Some(1_234_567.0)), "1,234,567");
        assert_eq!(number(Some(100.0)), "100");
        assert_eq!(number(None), "-");
    }
}
