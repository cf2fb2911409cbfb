//! Prints versions as the daemon delivers them, part by part and value by value. Memory holds one
//! part of a version and a few pieces of a value, whatever their size.
//!
//! After a lost connection, the daemon repeats a partly delivered version from its beginning. The
//! printer then skips what it has printed, provided the repetition is identical.

use std::time::UNIX_EPOCH;

use anyhow::{Result, anyhow};
use kvs_client::{
    Behind, Change, ChangeValue, Client, Event, Gap, LogVersion, Position, TransactionInfo,
};
use serde_json::json;

use super::failure::About as _;
use super::outlet::Outlet;
use super::retelling::{Differs, Retelling};
use super::value::{encoded, is_text, link_text};
use crate::output::{
    Before, ChangeReport, Elsewhere, Encoding, Halves, Told, VersionReport, Who, escape,
};

/// Prints versions in one format.
pub(super) struct Printer {
    client: Client,
    namespace: String,
    json: bool,
    begun: Option<Begun>,
}

/// A version that has been printed in part.
struct Begun {
    subject: Subject,
    printed: Retelling,
    /// The text after the changes.
    end: String,
}

/// Identifies a version or state.
#[derive(Clone, PartialEq, Eq)]
struct Subject {
    initial: bool,
    position: Position,
    root: String,
    behind: Option<Behind>,
}

/// Records a change. Returns whether it must be printed.
fn takes(printed: &mut Retelling, change: &Change, last: bool) -> Result<bool, Differs> {
    let size;
    let link;
    let (kind, value): (&[u8], &[u8]) = match &change.value {
        ChangeValue::None => (b"none", b""),
        ChangeValue::Bytes(bytes) => (b"bytes", bytes),
        ChangeValue::Large {
            size: long,
            blobref,
        } => {
            size = format!("{long} {blobref}");
            (b"large", size.as_bytes())
        }
        ChangeValue::Link(target) => {
            link = link_text(target);
            (b"link", link.as_bytes())
        }
    };
    let offset = change.offset.unwrap_or(0).to_le_bytes();
    let name = change.kind.name().as_bytes();
    let item = [change.key.as_bytes(), name, kind, value, &offset];
    match last {
        true => printed.takes_last(&item),
        false => printed.takes(&item),
    }
}

/// A part of a version or state.
struct Part<'e> {
    subject: Subject,
    changes: &'e [Change],
    last: bool,
}

impl<'e> Part<'e> {
    fn of(event: &'e Event) -> Option<Self> {
        match event {
            Event::Initial(state) => Some(Self {
                subject: Subject {
                    initial: true,
                    position: state.position,
                    root: state.root.to_string(),
                    behind: None,
                },
                changes: &state.entries,
                last: state.last,
            }),
            Event::Changes(version) => Some(Self {
                subject: Subject {
                    initial: false,
                    position: version.position,
                    root: version.root.to_string(),
                    behind: version.behind.clone(),
                },
                changes: &version.changes,
                last: version.last,
            }),
            _ => None,
        }
    }
}

/// The report of an event's version, without changes. `None` for events without a version.
pub(super) fn head(namespace: &str, event: &Event) -> Option<VersionReport> {
    match event {
        Event::Initial(state) => Some(VersionReport {
            namespace: namespace.to_owned(),
            version: state.position.version,
            root: state.root.to_string(),
            time: Some(state.time),
            initial: !state.differences,
            differences: state.differences,
            skipped: 0,
            behind: None,
            who: Vec::new(),
        }),
        Event::Changes(version) => Some(VersionReport {
            namespace: namespace.to_owned(),
            version: version.position.version,
            root: version.root.to_string(),
            // If a namespace that a link leads into is gone, there is no time.
            time: Some(version.time).filter(|time| *time != UNIX_EPOCH),
            initial: false,
            differences: false,
            skipped: version.skipped,
            behind: version.behind.as_ref().map(elsewhere),
            who: who(&version.transactions),
        }),
        _ => None,
    }
}

impl Printer {
    /// `json` selects JSON objects instead of lines.
    pub(super) fn new(client: &Client, namespace: &str, json: bool) -> Self {
        Self {
            client: client.clone(),
            namespace: namespace.to_owned(),
            json,
            begun: None,
        }
    }

    /// Prints the part of a version in an event. `skipped` is the number of further versions
    /// skipped before it. Returns whether the version is complete.
    pub(super) async fn part(
        &mut self,
        event: &Event,
        skipped: u64,
        out: &mut Outlet<'_>,
    ) -> Result<bool> {
        let Some(part) = Part::of(event) else {
            return Ok(false);
        };
        let mut begun = match self.begun.take() {
            Some(begun) if begun.subject == part.subject => begun,
            Some(begun) => return Err(cut_off(&begun.subject)),
            None => self.begin(event, &part, skipped, out).await?,
        };
        let listed = matches!(event, Event::Initial(state) if !state.differences);
        for change in part.changes {
            let is_first = begun.printed.count() == 0;
            let printed = takes(&mut begun.printed, change, part.last);
            if !printed.map_err(|_| cut_off(&begun.subject))? {
                continue;
            }
            if self.json && !is_first {
                out.text(",").await?;
            }
            self.change(event, change, listed, out).await?;
        }
        if !part.last {
            self.begun = Some(begun);
            return Ok(false);
        }
        let complete = begun.printed.finish();
        complete.map_err(|_| cut_off(&begun.subject))?;
        out.text(&begun.end).await?;
        Ok(true)
    }

    /// Notes a lost connection: a partly printed version will be repeated.
    pub(super) fn restart(&mut self) {
        if let Some(begun) = &mut self.begun {
            begun.printed.restart();
        }
    }

    /// Fails if a version has been printed in part.
    pub(super) fn check_whole(&self) -> Result<()> {
        match &self.begun {
            Some(begun) => Err(cut_off(&begun.subject)),
            None => Ok(()),
        }
    }

    async fn begin(
        &self,
        event: &Event,
        part: &Part<'_>,
        skipped: u64,
        out: &mut Outlet<'_>,
    ) -> Result<Begun> {
        let mut end = String::new();
        if let Some(mut report) = head(&self.namespace, event) {
            report.skipped += skipped;
            if self.json {
                let Halves { before, after } = report.json()?;
                out.text(&before).await?;
                out.text("[").await?;
                end = format!("]{after}\n");
            } else if let Some(line) = report.skipped_line() {
                out.text(&line).await?;
                out.text("\n").await?;
            }
        }
        Ok(Begun {
            subject: part.subject.clone(),
            printed: Retelling::default(),
            end,
        })
    }

    async fn change(
        &self,
        event: &Event,
        change: &Change,
        listed: bool,
        out: &mut Outlet<'_>,
    ) -> Result<()> {
        let namespace = self.client.namespace(self.namespace.as_str());
        let value = namespace.change_reader(event, change).await;
        let value = value.about(&change.key)?;
        let link = match &change.value {
            ChangeValue::Link(link) => Some(link_text(link)),
            _ => None,
        };
        let report = ChangeReport {
            key: &change.key,
            kind: change.kind.name(),
            previous: change.previous.as_ref().map(before),
            offset: change.offset,
        };
        if !self.json {
            let version = event.position().map_or(0, |position| position.version);
            let told = value.is_some() || link.is_some();
            let Halves { before, after } = report.line(version, listed, told);
            out.text(&before).await?;
            if let Some(link) = link {
                out.text(&escape(&link)).await?;
            }
            if let Some(value) = value {
                let write = async |bytes: &[u8]| out.write(bytes).await;
                encoded(value, Encoding::Line, &change.key, write).await?;
            }
            out.text(&after).await?;
            return out.text("\n").await;
        }
        let told = match (&link, &value) {
            (None, None) => Told::Nothing,
            (Some(_), _) => Told::Text,
            (None, Some(value)) => match is_text(value.again(), &change.key).await? {
                true => Told::Text,
                false => Told::Bytes,
            },
        };
        let Halves { before, after } = report.json(told)?;
        out.text(&before).await?;
        if let Some(link) = link {
            out.text(&serde_json::to_string(&link)?).await?;
        }
        if let Some(value) = value {
            let encoding = match told {
                Told::Bytes => Encoding::Base64,
                Told::Text | Told::Nothing => Encoding::Json,
            };
            out.text("\"").await?;
            let write = async |bytes: &[u8]| out.write(bytes).await;
            encoded(value, encoding, &change.key, write).await?;
            out.text("\"").await?;
        }
        out.text(&after).await
    }
}

/// The rest of a partly printed version is not available.
fn cut_off(subject: &Subject) -> anyhow::Error {
    let version = subject.position.version;
    let what = if subject.initial {
        "the state at version"
    } else {
        "version"
    };
    anyhow!(
        "watch: the connection was lost while {what} {version} was printed, and the rest of it is not to be had: --from {version} begins with it again"
    )
}

fn elsewhere(behind: &Behind) -> Elsewhere {
    Elsewhere {
        namespace: behind.namespace.to_string(),
        version: behind.position.map(|position| position.version),
        snapshot: behind.snapshot.to_string(),
    }
}

/// The report of a version in the log, without values and changes.
pub(super) fn logged(namespace: &str, version: &LogVersion) -> VersionReport {
    VersionReport {
        namespace: namespace.to_owned(),
        version: version.position.version,
        root: version.root.to_string(),
        time: Some(version.time),
        initial: false,
        differences: false,
        skipped: 0,
        behind: None,
        who: who(&version.transactions),
    }
}

/// One line about versions that are no longer retained.
pub(super) fn gap(namespace: &str, gap: &Gap, as_json: bool) -> String {
    let (from, to) = (gap.from.version, gap.to.version);
    if as_json {
        let hole = json!({ "from": from, "to": to });
        return json!({ "gap": hole, "namespace": namespace, "snapshot": gap.snapshot })
            .to_string();
    }
    format!("gap {from} {to} {}", gap.snapshot)
}

pub(super) fn who(transactions: &[TransactionInfo]) -> Vec<Who> {
    let who = transactions.iter().map(|transaction| Who {
        uid: transaction.uid,
        client: data_encoding::HEXLOWER.encode(&transaction.client),
        number: transaction.number,
        name: transaction.name.as_ref().map(ToString::to_string),
    });
    who.collect()
}

/// The value before a change.
fn before(value: &ChangeValue) -> Before {
    match value {
        ChangeValue::None => Before::Nothing,
        ChangeValue::Bytes(bytes) => Before::Value(bytes.to_vec()),
        ChangeValue::Link(link) => Before::Value(link_text(link).into_bytes()),
        ChangeValue::Large { size, .. } => Before::Long(*size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_either_whole_or_differences() {
        for differences in [false, true] {
            let state = kvs_proto::Initial {
                position: Position {
                    incarnation: 1,
                    version: 1,
                },
                root: "blake3-00".into(),
                snapshot: "primary@1:blake3-00".into(),
                time_ms: 0,
                differences,
                entries: Vec::new(),
                last: true,
            };
            let report = head("primary", &Event::Initial(state.into())).unwrap();
            assert_eq!(report.initial, !differences);
            assert_eq!(report.differences, differences);
        }
    }
}
