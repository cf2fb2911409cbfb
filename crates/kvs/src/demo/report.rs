//! The result of `kvs demo`: a table for people, or one JSON object.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::validate::Verdict;

/// The result of one client.
#[derive(Clone, Debug)]
pub(crate) struct ClientReport {
    /// `steady`, `killed and restarted`, `slow`.
    pub(crate) role: &'static str,
    /// Number of processes started.
    pub(crate) starts: u32,
    pub(crate) verdict: Verdict,
}

/// The result of a whole run.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Jobs that the executor ran.
    pub(crate) jobs: u32,
    /// Transitions that it wrote.
    pub(crate) transitions: u64,
    /// Versions in which they were committed.
    pub(crate) versions: u64,
    /// Time from the start of the executor until the last client had handled everything.
    pub(crate) elapsed: Duration,
    /// One entry for each client.
    pub(crate) clients: Vec<ClientReport>,
}

/// The JSON form.
#[derive(Serialize)]
struct Summary {
    jobs: u32,
    clients: usize,
    transitions: u64,
    delivered: u64,
    missed: u64,
    duplicated: u64,
    out_of_order: u64,
    drifted: u64,
    seconds: f64,
    versions: u64,
    restarts: u32,
}

impl Report {
    /// The sum over all clients.
    fn total(&self) -> Verdict {
        let mut total = Verdict::default();
        for client in &self.clients {
            total.add(&client.verdict);
        }
        total
    }

    /// Whether every client received every transition once, in order, without drift.
    pub(crate) fn is_clean(&self) -> bool {
        let total = self.total();
        total.is_clean() && total.delivered == self.transitions * self.clients.len() as u64
    }

    /// One JSON object, without a newline.
    pub(crate) fn json(&self) -> String {
        let total = self.total();
        let summary = Summary {
            jobs: self.jobs,
            clients: self.clients.len(),
            transitions: self.transitions,
            delivered: total.delivered,
            missed: total.missed,
            duplicated: total.duplicated,
            out_of_order: total.out_of_order,
            drifted: total.drifted,
            seconds: (self.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            versions: self.versions,
            restarts: self
                .clients
                .iter()
                .map(|client| client.starts.saturating_sub(1))
                .sum(),
        };
        serde_json::to_string(&summary).unwrap_or_default()
    }

    /// A table with one line per client, and a summary line.
    pub(crate) fn table(&self, terminal: bool) -> String {
        let mut table = Table::new();
        table.load_style(if terminal {
            presets::UTF8_FULL_CONDENSED
        } else {
            presets::NOTHING
        });
        table.set_header([
            "client",
            "role",
            "delivered",
            "missed",
            "duplicated",
            "out of order",
            "drifted",
        ]);
        for (index, client) in self.clients.iter().enumerate() {
            table.add_row(row(&(index + 1).to_string(), client.role, &client.verdict));
        }
        table.add_row(row("all", "", &self.total()));
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let seconds = self.elapsed.as_secs_f64();
        format!(
            "{table}\n{} jobs, {} transitions in {} versions, {} clients: {:.2} s, {:.0} deliveries/s\n{}",
            self.jobs,
            self.transitions,
            self.versions,
            self.clients.len(),
            seconds,
            self.total().delivered as f64 / seconds.max(1e-9),
            if self.is_clean() {
                "Every client saw every state of every job, once, in order, and found the job as the event said."
            } else {
                "FAILED: the clients did not see what the executor wrote."
            },
        )
    }
}

/// One line of the table.
fn row(client: &str, role: &str, verdict: &Verdict) -> [String; 7] {
    [
        client.to_owned(),
        role.to_owned(),
        verdict.delivered.to_string(),
        verdict.missed.to_string(),
        verdict.duplicated.to_string(),
        verdict.out_of_order.to_string(),
        verdict.drifted.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdict: Verdict) -> Report {
        Report {
            jobs: 2,
            transitions: 12,
            versions: 6,
            elapsed: Duration::from_millis(1500),
            clients: vec![ClientReport {
                role: "steady",
                starts: 2,
                verdict,
            }],
        }
    }

    #[test]
    fn the_json_has_the_promised_fields() {
        let text = report(Verdict {
            delivered: 12,
            ..Verdict::default()
        })
        .json();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (field, want) in [
            ("jobs", 2),
            ("clients", 1),
            ("transitions", 12),
            ("delivered", 12),
            ("missed", 0),
            ("duplicated", 0),
            ("out_of_order", 0),
            ("drifted", 0),
            ("restarts", 1),
        ] {
            assert_eq!(value[field], want, "{field}");
        }
        assert_eq!(value["seconds"], 1.5);
    }

    #[test]
    fn a_run_is_clean_only_when_everything_was_delivered_and_nothing_went_wrong() {
        assert!(
            report(Verdict {
                delivered: 12,
                ..Verdict::default()
            })
            .is_clean()
        );
        assert!(
            !report(Verdict {
                delivered: 11,
                ..Verdict::default()
            })
            .is_clean()
        );
        assert!(
            !report(Verdict {
                delivered: 12,
                drifted: 1,
                ..Verdict::default()
            })
            .is_clean()
        );
    }

    #[test]
    fn the_table_says_how_it_ended() {
        let table = report(Verdict {
            delivered: 12,
            missed: 1,
            ..Verdict::default()
        })
        .table(false);
        assert!(
            table.contains("steady") && table.contains("FAILED"),
            "{table}"
        );
    }
}
