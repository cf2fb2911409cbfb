//! The forms of a version's changes, for `kvs watch` and `kvs log`: a line a change for people, one
//! JSON object a version for programs.

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
    /// Milliseconds since the epoch when it was made; `None` where that is not recorded.
    pub(crate) time_ms: Option<u64>,
    /// Whether this is the state that a watch began with, not a change.
    pub(crate) initial: bool,
    /// Who made it: one entry a transaction. Empty where that is not told.
    pub(crate) who: Vec<Who>,
    /// What changed, in the order of the keys.
    pub(crate) changes: Vec<ChangeReport>,
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
            time: self.time_ms.map(seconds),
            initial: self.initial,
            transactions: &self.who,
            changes: self.changes.iter().map(ChangeReport::json).collect(),
        })
    }

    /// One line a change, each beginning with the version: what `kvs watch` shows a person.
    pub(crate) fn watch_lines(&self) -> Vec<String> {
        self.changes
            .iter()
            .map(|change| format!("{} {}", self.version, change.line(self.initial)))
            .collect()
    }

    /// One line for the version, with the time, the users and what happened to which keys: what
    /// `kvs log` shows a person.
    pub(crate) fn log_line(&self) -> String {
        let time = self.time_ms.map_or_else(|| "-".to_owned(), local_time);
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
        let value = self.value.as_deref();
        let text = value.and_then(|value| std::str::from_utf8(value).ok());
        let encoded = value
            .filter(|_| text.is_none())
            .map(|value| data_encoding::BASE64.encode(value));
        ChangeJson {
            key: &self.key,
            kind: self.kind,
            value: text,
            value_base64: encoded,
        }
    }

    /// One line, whatever the value holds: control characters are always written out.
    fn line(&self, initial: bool) -> String {
        let key = escape(&self.key);
        let value = self.value.as_deref().map(String::from_utf8_lossy);
        let value = value.as_deref().map(escape).unwrap_or_default();
        let kind = if initial { "initial" } else { self.kind };
        match self.kind {
            "put" => format!("{kind} {key} = {value}"),
            "append" => format!("{kind} {key} += {value}"),
            "link" => format!("{kind} {key} -> {value}"),
            "mkdir" => format!("{kind} {key}."),
            _ => format!("{kind} {key}"),
        }
    }
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
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Seconds since the epoch, exact to the millisecond.
fn seconds(time_ms: u64) -> f64 {
    // Milliseconds stay below 2^53 for 285,000 years.
    time_ms as f64 / 1000.0
}

/// The time as a person reads it, in the local time zone.
pub(crate) fn local_time(time_ms: u64) -> String {
    let time = i64::try_from(time_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(
        || "-".to_owned(),
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

    fn change(key: &str, kind: &'static str, value: Option<&[u8]>) -> ChangeReport {
        ChangeReport {
            key: key.into(),
            kind,
            value: value.map(<[u8]>::to_vec),
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
            time_ms: Some(1_700_000_000_250),
            initial: false,
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
}
