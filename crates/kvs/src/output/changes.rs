//! The forms of a version's changes, for `kvs watch` and `kvs log`: a line a change for people, one
//! JSON object a version for programs.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::escape::escape;

/// One version that touched what was asked for.
#[derive(Debug, Clone)]
pub(crate) struct VersionReport {
    /// The namespace.
    pub(crate) namespace: String,
    /// Its version.
    pub(crate) version: u64,
    /// The root of that version, a blobref.
    pub(crate) root: String,
    /// When it was made; `None` where that is not recorded.
    pub(crate) time: Option<SystemTime>,
    /// Whether this is the state that a watch began with, or went on with, not a change.
    pub(crate) initial: bool,
    /// Whether of that state only the differences to what was printed before are told.
    pub(crate) differences: bool,
    /// Versions of what is watched that were passed over before it.
    pub(crate) skipped: u64,
    /// Where what changed stands, if that is another namespace, behind a link.
    pub(crate) behind: Option<Elsewhere>,
    /// Who made it: one entry a transaction. Empty where that is not told.
    pub(crate) who: Vec<Who>,
    /// What changed, in the order of the keys.
    pub(crate) changes: Vec<ChangeReport>,
}

/// A state of another namespace, which a link leads into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Elsewhere {
    /// Its name.
    pub(crate) namespace: String,
    /// Its version; none if it is not there.
    pub(crate) version: Option<u64>,
    /// The snapshot reference of that version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) snapshot: String,
}

/// The author of one transaction.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Who {
    /// The user that sent it.
    pub(crate) uid: u32,
    /// The client that sent it, in hexadecimal.
    pub(crate) client: String,
    /// That client's number for it.
    pub(crate) number: u64,
    /// The name that the client gave it, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
}

/// One change of one key.
#[derive(Debug, Clone)]
pub(crate) struct ChangeReport {
    /// The key.
    pub(crate) key: String,
    /// `put`, `append`, `unlink`, `mkdir` or `link`.
    pub(crate) kind: &'static str,
    /// The bytes of a put, what an append added, the target of a link; none for the other kinds and
    /// where the value is no longer there to be read.
    pub(crate) value: Option<Vec<u8>>,
    /// What stood there before, if that was asked for.
    pub(crate) previous: Option<Before>,
    /// Where in the value the bytes begin, if only what is new of it was asked for.
    pub(crate) offset: Option<u64>,
}

/// What stood at a key before a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing that has a value.
    Nothing,
    /// A value, or the target of a link.
    Value(Vec<u8>),
    /// A value of so many bytes, too long to be told.
    Long(u64),
}

impl VersionReport {
    /// The snapshot reference of the version: `NAMESPACE@VERSION:BLOBREF`.
    pub(crate) fn snapshot(&self) -> String {
        format!("{}@{}:{}", self.namespace, self.version, self.root)
    }

    /// One JSON object on one line, not ended. `initial` and `transactions` stand in it only where
    /// they say something.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&ReportJson {
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
            changes: self.changes.iter().map(ChangeReport::json).collect(),
        })
    }

    /// One line a change, each beginning with the version: what `kvs watch` shows a person.
    pub(crate) fn watch_lines(&self) -> Vec<String> {
        let initial = self.initial && !self.differences;
        let skipped = (self.skipped > 0).then(|| format!("skipped {}", self.skipped));
        let changes = self.changes.iter().map(|change| change.line(initial));
        let lines = skipped.into_iter().chain(changes);
        lines
            .map(|line| format!("{} {line}", self.version))
            .collect()
    }

    /// One line for the version, with the time, the users and what happened to which keys: what
    /// `kvs log` shows a person.
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
        let mut line = format!("{} {time} {who}", self.version);
        for change in &self.changes {
            line.push_str(&format!(" {} {}", change.kind, escape(&change.key)));
        }
        line
    }
}

impl ChangeReport {
    fn json(&self) -> ChangeJson<'_> {
        let (value, value_base64) = text_or_base64(self.value.as_deref());
        let (before, previous_base64, previous_size) = match &self.previous {
            None => (None, None, None),
            Some(Before::Nothing) => (Some(None), None, None),
            Some(Before::Long(size)) => (None, None, Some(*size)),
            Some(Before::Value(value)) => {
                let (text, encoded) = text_or_base64(Some(value));
                (text.map(Some), encoded, None)
            }
        };
        ChangeJson {
            key: &self.key,
            kind: self.kind,
            value,
            value_base64,
            offset: self.offset,
            previous: before,
            previous_base64,
            previous_size,
        }
    }

    /// One line, whatever the value holds: control characters are always written out.
    fn line(&self, initial: bool) -> String {
        let key = escape(&self.key);
        let kind = if initial { "initial" } else { self.kind };
        let value = self.value.as_deref().map(String::from_utf8_lossy);
        let mut line = match (self.kind, value.as_deref().map(escape)) {
            ("put", Some(value)) => format!("{kind} {key} = {value}"),
            ("append", Some(value)) => format!("{kind} {key} += {value}"),
            ("link", Some(value)) => format!("{kind} {key} -> {value}"),
            ("mkdir", _) => format!("{kind} {key}."),
            _ => format!("{kind} {key}"),
        };
        match &self.previous {
            None => {}
            Some(Before::Nothing) => line.push_str(" (was nothing)"),
            Some(Before::Long(size)) => line.push_str(&format!(" (was {size} bytes)")),
            Some(Before::Value(value)) => {
                let value = String::from_utf8_lossy(value);
                line.push_str(&format!(" (was {})", escape(&value)));
            }
        }
        line
    }
}

/// Bytes as a JSON string: as they are where they are UTF-8, else in base64.
fn text_or_base64(value: Option<&[u8]>) -> (Option<&str>, Option<String>) {
    let text = value.and_then(|value| std::str::from_utf8(value).ok());
    let encoded = value
        .filter(|_| text.is_none())
        .map(|value| data_encoding::BASE64.encode(value));
    (text, encoded)
}

/// The members of the JSON object of a version, in the order in which they are printed.
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
    changes: Vec<ChangeJson<'r>>,
}

/// The members of the JSON object of a change.
#[derive(Serialize)]
struct ChangeJson<'r> {
    key: &'r str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// `null` where nothing stood there.
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

/// The time as a person reads it, in the local time zone.
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

    fn change(key: &str, kind: &'static str, value: Option<&[u8]>) -> ChangeReport {
        ChangeReport {
            key: key.into(),
            kind,
            value: value.map(<[u8]>::to_vec),
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

    fn report(changes: Vec<ChangeReport>) -> VersionReport {
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
            changes,
        }
    }

    #[test]
    fn json_has_the_documented_members_in_their_order() {
        assert_eq!(
            report(vec![
                change("a.b", "put", Some(b"x")),
                change("c", "unlink", None)
            ])
            .json()
            .unwrap(),
            "{\"namespace\":\"primary\",\"version\":42,\"root\":\"blake3-00\",\
             \"snapshot\":\"primary@42:blake3-00\",\"time\":1700000000.25,\
             \"changes\":[{\"key\":\"a.b\",\"kind\":\"put\",\"value\":\"x\"},{\"key\":\"c\",\"kind\":\"unlink\"}]}"
        );
    }

    #[test]
    fn bytes_that_are_not_text_travel_in_base64() {
        let json = report(vec![change("k", "append", Some(b"\xff\x00"))])
            .json()
            .unwrap();
        assert!(
            json.ends_with("[{\"key\":\"k\",\"kind\":\"append\",\"value_base64\":\"/wA=\"}]}"),
            "{json}"
        );
    }

    #[test]
    fn the_initial_state_and_authors_are_marked_only_where_they_are() {
        let mut with = report(vec![]);
        with.initial = true;
        with.who = vec![who(0, None), who(7, Some("fence"))];
        let json = with.json().unwrap();
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
        let lines = report(vec![
            change("a", "put", Some(b"1\n2")),
            change("b", "append", Some(b"more")),
            change("c", "unlink", None),
            change("d", "mkdir", None),
            change("e", "link", Some(b"ns::a")),
        ])
        .watch_lines();
        assert_eq!(
            lines,
            [
                "42 put a = 1\\n2",
                "42 append b += more",
                "42 unlink c",
                "42 mkdir d.",
                "42 link e -> ns::a"
            ]
        );
    }

    #[test]
    fn the_initial_state_is_said_to_be_one() {
        let mut initial = report(vec![
            change("a", "put", Some(b"1")),
            change("d", "mkdir", None),
        ]);
        initial.initial = true;
        assert_eq!(initial.watch_lines(), ["42 initial a = 1", "42 initial d."]);
    }

    #[test]
    fn a_log_line_tells_who_and_which_keys() {
        let mut logged = report(vec![
            change("a", "put", None),
            change("b\u{1b}", "unlink", None),
        ]);
        logged.who = vec![who(0, None), who(0, None), who(7, Some("n"))];
        let line = logged.log_line();
        assert!(line.starts_with("42 20"), "{line}");
        assert!(line.ends_with(" 0,7(n) put a unlink b\\u{1b}"), "{line}");
    }

    #[test]
    fn what_stood_there_before_is_told_in_all_its_forms() {
        let mut with = report(vec![change("a", "put", Some(b"2")); 4]);
        let befores = [
            Before::Nothing,
            Before::Value(b"1".to_vec()),
            Before::Value(b"\xff".to_vec()),
            Before::Long(70_000),
        ];
        for (change, before) in with.changes.iter_mut().zip(befores) {
            change.previous = Some(before);
        }
        let json = with.json().unwrap();
        for member in [
            "\"previous\":null",
            "\"previous\":\"1\"",
            "\"previous_base64\":\"/w==\"",
            "\"previous_size\":70000",
        ] {
            assert!(json.contains(member), "{json}");
        }
        let lines = with.watch_lines();
        assert_eq!(lines[0], "42 put a = 2 (was nothing)");
        assert_eq!(lines[1], "42 put a = 2 (was 1)");
        assert_eq!(lines[3], "42 put a = 2 (was 70000 bytes)");
    }

    #[test]
    fn what_was_passed_over_is_said_first_and_keys_alone_have_no_sign() {
        let mut latest = report(vec![change("a", "put", None), change("b", "link", None)]);
        latest.skipped = 5;
        assert_eq!(
            latest.watch_lines(),
            ["42 skipped 5", "42 put a", "42 link b"]
        );
        assert!(latest.json().unwrap().contains("\"skipped\":5,"));
    }

    #[test]
    fn differences_to_the_state_before_have_their_kinds() {
        let mut after = report(vec![change("a", "unlink", None)]);
        (after.initial, after.differences) = (true, true);
        assert_eq!(after.watch_lines(), ["42 unlink a"]);
        let json = after.json().unwrap();
        assert!(
            json.contains("\"initial\":true,\"differences\":true,"),
            "{json}"
        );
    }
}
