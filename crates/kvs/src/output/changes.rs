//! Formats of a version's changes, for `kvs watch` and `kvs log`: one line per change for people,
//! one JSON object per version for programs.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::escape::{escape, escape_bytes};
use super::pieces::Halves;

/// A version that touched the watched scope, without its changes: their number is not bounded.
#[derive(Debug, Clone)]
pub(crate) struct VersionReport {
    pub(crate) namespace: String,
    pub(crate) version: u64,
    /// Blobref of its root.
    pub(crate) root: String,
    /// Time of the commit; `None` if it is not recorded.
    pub(crate) time: Option<SystemTime>,
    /// Whether this is a whole state, which a watch begins with or goes on with, not a change.
    pub(crate) initial: bool,
    /// Whether it is a state of which only the differences from what the reader has are reported.
    /// Never together with `initial`.
    pub(crate) differences: bool,
    /// Watched versions that were skipped before this one.
    pub(crate) skipped: u64,
    /// The other namespace in which the change happened, if a link led there.
    pub(crate) behind: Option<Elsewhere>,
    /// Authors, one for each transaction. Empty if not reported.
    pub(crate) who: Vec<Who>,
}

/// A state of another namespace that a link leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Elsewhere {
    pub(crate) namespace: String,
    /// Its version; `None` if the namespace does not exist.
    pub(crate) version: Option<u64>,
    /// The snapshot reference of that version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) snapshot: String,
}

/// The author of one transaction.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Who {
    /// User id of the sender.
    pub(crate) uid: u32,
    /// Client id of the sender, in hexadecimal.
    pub(crate) client: String,
    /// The client's number for the transaction.
    pub(crate) number: u64,
    /// The name that the client gave the transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
}

/// One change of one key, without its bytes: their number is not bounded.
#[derive(Debug, Clone)]
pub(crate) struct ChangeReport<'c> {
    pub(crate) key: &'c str,
    /// `put`, `append`, `unlink`, `mkdir` or `link`.
    pub(crate) kind: &'static str,
    /// What was at the key before, if requested.
    pub(crate) previous: Option<Before>,
    /// Offset of the bytes in the value, if only new bytes were requested.
    pub(crate) offset: Option<u64>,
}

/// The payload of a change: the bytes of a put or an append, or the target of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    /// Valid UTF-8.
    Text,
    /// Not valid UTF-8.
    Bytes,
}

/// The entry at a key before a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Before {
    /// No value and no link.
    Nothing,
    /// A value, or the target of a link.
    Value(Vec<u8>),
    /// A value too long to be reported; its size in bytes.
    Long(u64),
}

impl VersionReport {
    /// The snapshot reference of the version: `NAMESPACE@VERSION:BLOBREF`.
    pub(crate) fn snapshot(&self) -> String {
        format!("{}@{}:{}", self.namespace, self.version, self.root)
    }

    /// One JSON object without a newline, in two halves: the caller writes the changes between
    /// them, in brackets. Members that are false, zero or empty are omitted.
    pub(crate) fn json(&self) -> serde_json::Result<Halves> {
        let object = serde_json::to_string(&ReportJson {
            namespace: &self.namespace,
            version: self.version,
            root: &self.root,
            snapshot: self.snapshot(),
            time: self.time.map(seconds),
            initial: self.initial,
            differences: self.differences,
            skipped: self.skipped,
            behind: self.behind.as_ref(),
            transactions: &self.who,
            changes: [],
        })?;
        Ok(halves(&object, "changes", "[]"))
    }

    /// The line before the changes that reports how many versions were skipped.
    pub(crate) fn skipped_line(&self) -> Option<String> {
        (self.skipped > 0).then(|| format!("{} skipped {}", self.version, self.skipped))
    }

    /// Beginning of the line of a version in `kvs log`, with time and users. [`ChangeReport::word`]
    /// appends each change.
    pub(crate) fn log_line(&self) -> String {
        let time = self.time.map_or_else(|| "-".to_owned(), local_time);
        let mut who: Vec<String> = Vec::new();
        for one in &self.who {
            let text = match &one.name {
                Some(name) => format!("{}({})", one.uid, escape(name)),
                None => one.uid.to_string(),
            };
            if !who.contains(&text) {
                who.push(text);
            }
        }
        let who = if who.is_empty() {
            "-".to_owned()
        } else {
            who.join(",")
        };
        format!("{} {time} {who}", self.version)
    }
}

impl ChangeReport<'_> {
    /// A JSON object in two halves: the caller writes the payload between them, as a string.
    /// Without a payload the first half is the whole object.
    pub(crate) fn json(&self, told: Told) -> serde_json::Result<Halves> {
        let (before, previous_base64, previous_size) = match &self.previous {
            None => (None, None, None),
            Some(Before::Nothing) => (Some(None), None, None),
            Some(Before::Long(size)) => (None, None, Some(*size)),
            Some(Before::Value(value)) => {
                let (text, encoded) = text_or_base64(Some(value));
                (text.map(Some), encoded, None)
            }
        };
        let object = serde_json::to_string(&ChangeJson {
            key: self.key,
            kind: self.kind,
            value: (told == Told::Text).then_some(""),
            value_base64: (told == Told::Bytes).then_some(""),
            offset: self.offset,
            previous: before,
            previous_base64,
            previous_size,
        })?;
        Ok(match told {
            Told::Nothing => Halves {
                before: object,
                after: String::new(),
            },
            Told::Text => halves(&object, "value", "\"\""),
            Told::Bytes => halves(&object, "value_base64", "\"\""),
        })
    }

    /// One line in two halves: the caller writes the payload between them, with control characters
    /// escaped.
    pub(crate) fn line(&self, version: u64, initial: bool, told: bool) -> Halves {
        let key = escape(self.key);
        let kind = if initial { "initial" } else { self.kind };
        let before = match (self.kind, told) {
            ("put", true) => format!("{version} {kind} {key} = "),
            ("append", true) => format!("{version} {kind} {key} += "),
            ("link", true) => format!("{version} {kind} {key} -> "),
            ("mkdir", _) => format!("{version} {kind} {key}."),
            _ => format!("{version} {kind} {key}"),
        };
        let after = match &self.previous {
            None => String::new(),
            Some(Before::Nothing) => " (was nothing)".to_owned(),
            Some(Before::Long(size)) => format!(" (was {size} bytes)"),
            Some(Before::Value(value)) => {
                format!(" (was {})", escape_bytes(value))
            }
        };
        Halves { before, after }
    }

    /// The change as one word of a `kvs log` line.
    pub(crate) fn word(&self) -> String {
        format!(" {} {}", self.kind, escape(self.key))
    }
}

/// Splits an object at a member. Without the member, it stays whole.
fn halves(object: &str, name: &str, mark: &str) -> Halves {
    Halves::new(object, name, mark).unwrap_or_else(|| Halves {
        before: object.to_owned(),
        after: String::new(),
    })
}

/// Bytes as a JSON string: as text if they are UTF-8, else in base64.
fn text_or_base64(value: Option<&[u8]>) -> (Option<&str>, Option<String>) {
    let text = value.and_then(|value| std::str::from_utf8(value).ok());
    let encoded = value
        .filter(|_| text.is_none())
        .map(|value| data_encoding::BASE64.encode(value));
    (text, encoded)
}

/// The JSON object of a version. The order of the members is the order of output.
#[derive(Serialize)]
struct ReportJson<'r> {
    namespace: &'r str,
    version: u64,
    root: &'r str,
    snapshot: String,
    time: Option<f64>,
    #[serde(skip_serializing_if = "is_false")]
    initial: bool,
    #[serde(skip_serializing_if = "is_false")]
    differences: bool,
    #[serde(skip_serializing_if = "is_zero")]
    skipped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    behind: Option<&'r Elsewhere>,
    #[serde(skip_serializing_if = "<[Who]>::is_empty")]
    transactions: &'r [Who],
    changes: [(); 0],
}

/// The JSON object of a change.
#[derive(Serialize)]
struct ChangeJson<'r> {
    key: &'r str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// `null` if there was no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<Option<&'r str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_size: Option<u64>,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Seconds since the epoch, exact to the millisecond.
pub(crate) fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Milliseconds stay below 2^53 for 285,000 years.
    since.as_millis() as f64 / 1000.0
}

/// The time in the local time zone, for people.
pub(crate) fn local_time(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(
        |_| "-".to_owned(),
        |time| {
            time.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%dT%H:%M:%S%.3f%:z")
                .to_string()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn change(key: &'static str, kind: &'static str) -> ChangeReport<'static> {
        ChangeReport {
            key,
            kind,
            previous: None,
            offset: None,
        }
    }

    fn who(uid: u32, name: Option<&str>) -> Who {
        Who {
            uid,
            client: "ab".into(),
            number: 1,
            name: name.map(str::to_owned),
        }
    }

    fn report() -> VersionReport {
        VersionReport {
            namespace: "primary".into(),
            version: 42,
            root: "blake3-00".into(),
            time: Some(UNIX_EPOCH + Duration::from_millis(1_700_000_000_250)),
            initial: false,
            differences: false,
            skipped: 0,
            behind: None,
            who: Vec::new(),
        }
    }

    /// Joins the halves around `between`.
    fn whole(halves: Halves, between: &str) -> String {
        halves.before + between + &halves.after
    }

    #[test]
    fn json_has_the_documented_members_in_their_order() {
        let one = whole(change("a.b", "put").json(Told::Text).unwrap(), "\"x\"");
        let other = whole(change("c", "unlink").json(Told::Nothing).unwrap(), "");
        assert_eq!(
            whole(report().json().unwrap(), &format!("[{one},{other}]")),
            "{\"namespace\":\"primary\",\"version\":42,\"root\":\"blake3-00\",\
             \"snapshot\":\"primary@42:blake3-00\",\"time\":1700000000.25,\
             \"changes\":[{\"key\":\"a.b\",\"kind\":\"put\",\"value\":\"x\"},{\"key\":\"c\",\"kind\":\"unlink\"}]}"
        );
    }

    #[test]
    fn bytes_that_are_not_text_travel_in_base64() {
        let mut append = change("k", "append");
        append.offset = Some(7);
        assert_eq!(
            whole(append.json(Told::Bytes).unwrap(), "\"/wA=\""),
            "{\"key\":\"k\",\"kind\":\"append\",\"value_base64\":\"/wA=\",\"offset\":7}"
        );
    }

    #[test]
    fn the_initial_state_and_authors_are_marked_only_where_they_are() {
        let mut with = report();
        with.initial = true;
        with.who = vec![who(0, None), who(7, Some("fence"))];
        let json = with.json().unwrap().before;
        assert!(
            json.contains(
                "\"initial\":true,\"transactions\":[{\"uid\":0,\"client\":\"ab\",\"number\":1},\
             {\"uid\":7,\"client\":\"ab\",\"number\":1,\"name\":\"fence\"}],"
            ),
            "{json}"
        );
    }

    #[test]
    fn people_get_one_line_a_change() {
        let line = |key, kind, told: &str| {
            whole(change(key, kind).line(42, false, !told.is_empty()), told)
        };
        for (key, kind, told, expected) in [
            ("a", "put", "1", "42 put a = 1"),
            ("b", "append", "more", "42 append b += more"),
            ("c", "unlink", "", "42 unlink c"),
            ("d", "mkdir", "", "42 mkdir d."),
            ("e", "link", "ns::a", "42 link e -> ns::a"),
            // Without payloads, lines have no `=`, `+=` or `->`.
            ("a", "put", "", "42 put a"),
            ("b", "link", "", "42 link b"),
        ] {
            assert_eq!(line(key, kind, told), expected);
        }
    }

    #[test]
    fn the_initial_state_is_said_to_be_one() {
        let line = |change: ChangeReport<'_>, told| change.line(42, true, told).before;
        assert_eq!(line(change("a", "put"), true), "42 initial a = ");
        assert_eq!(line(change("d", "mkdir"), false), "42 initial d.");
    }

    #[test]
    fn a_log_line_tells_who_and_which_keys() {
        let mut logged = report();
        logged.who = vec![who(0, None), who(0, None), who(7, Some("n"))];
        let line = logged.log_line();
        assert!(line.starts_with("42 20"), "{line}");
        assert!(line.ends_with(" 0,7(n)"), "{line}");
        assert_eq!(change("a", "put").word(), " put a");
        assert_eq!(change("b\u{1b}", "unlink").word(), " unlink b\\u{1b}");
    }

    #[test]
    fn what_stood_there_before_is_told_in_all_its_forms() {
        for (before, member, behind) in [
            (Before::Nothing, "\"previous\":null", " (was nothing)"),
            (
                Before::Value(b"1".to_vec()),
                "\"previous\":\"1\"",
                " (was 1)",
            ),
            (
                Before::Value(b"\xff".to_vec()),
                "\"previous_base64\":\"/w==\"",
                " (was \\xff)",
            ),
            (
                Before::Long(70_000),
                "\"previous_size\":70000",
                " (was 70000 bytes)",
            ),
        ] {
            let mut with = change("a", "put");
            with.previous = Some(before);
            let json = whole(with.json(Told::Text).unwrap(), "\"2\"");
            assert!(json.contains(member), "{json}");
            assert_eq!(with.line(42, false, true).after, behind);
        }
    }

    #[test]
    fn what_was_passed_over_is_said_first() {
        let mut latest = report();
        assert_eq!(latest.skipped_line(), None);
        latest.skipped = 5;
        assert_eq!(latest.skipped_line().unwrap(), "42 skipped 5");
        let json = latest.json().unwrap();
        assert!(json.before.contains("\"skipped\":5,"), "{json:?}");
        assert!(json.before.ends_with(",\"changes\":"), "{json:?}");
    }
}
