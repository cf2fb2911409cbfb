//! JSON objects that verbs print with `--json`: one per line, with the same member names
//! everywhere.

use serde::Serialize;

use super::pieces::Halves;

/// An entry of the tree, as JSON.
#[derive(Debug, Default, Serialize)]
pub(crate) struct EntryJson<'e> {
    pub(crate) key: &'e str,
    /// `value`, `directory` or `link`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// Bytes of a value, if they are UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<&'e str>,
    /// Bytes of a value in base64, if they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value_base64: Option<String>,
    /// Size of a value in bytes, if its bytes are not printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    /// Key that a link leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<&'e str>,
    /// Namespace that a link leads to, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<&'e str>,
    /// The version that was read, if entries may be of different versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<u64>,
    /// Reference of the snapshot that was read; present under the same condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot: Option<&'e str>,
}

/// The version that a snapshot reference names, `NAMESPACE@VERSION:BLOBREF`.
pub(crate) fn version_of(snapshot: &str) -> Option<u64> {
    let (state, _) = snapshot.rsplit_once(':')?;
    let (_, version) = state.rsplit_once('@')?;
    version.parse().ok()
}

impl<'e> EntryJson<'e> {
    pub(crate) fn directory(key: &'e str) -> Self {
        Self {
            key,
            kind: "directory",
            ..Self::default()
        }
    }

    /// A link from its text, `target` or `namespace::target`.
    pub(crate) fn link(key: &'e str, text: &'e str) -> Self {
        let (namespace, target) = match text.split_once("::") {
            Some((namespace, target)) => (Some(namespace), target),
            None => (None, text),
        };
        Self {
            key,
            kind: "link",
            target: Some(target),
            namespace,
            ..Self::default()
        }
    }

    pub(crate) fn value(key: &'e str, value: &'e [u8]) -> Self {
        let text = std::str::from_utf8(value).ok();
        let encoded = text.is_none().then(|| data_encoding::BASE64.encode(value));
        Self {
            key,
            kind: "value",
            value: text,
            value_base64: encoded,
            ..Self::default()
        }
    }

    /// A value in two halves: the caller writes its bytes in pieces between them, as a string if
    /// they are UTF-8, else in base64.
    pub(crate) fn value_halves(
        key: &str,
        text: bool,
        snapshot: &str,
    ) -> serde_json::Result<Halves> {
        let (member, entry) = match text {
            true => ("value", EntryJson::value(key, b"")),
            false => {
                let value_base64 = Some(String::new());
                let entry = EntryJson {
                    value: None,
                    value_base64,
                    ..EntryJson::value(key, b"")
                };
                ("value_base64", entry)
            }
        };
        let object = entry.at(snapshot).line()?;
        Ok(
            Halves::new(&object, member, "\"\"").unwrap_or_else(|| Halves {
                before: object,
                after: String::new(),
            }),
        )
    }

    /// Adds the snapshot that was read; an empty reference adds nothing.
    pub(crate) fn at(self, snapshot: &'e str) -> Self {
        Self {
            version: version_of(snapshot),
            snapshot: Some(snapshot).filter(|text| !text.is_empty()),
            ..self
        }
    }

    /// A value without its bytes.
    pub(crate) fn value_of_size(key: &'e str, size: u64) -> Self {
        Self {
            key,
            kind: "value",
            size: Some(size),
            ..Self::default()
        }
    }

    /// The object on one line, without a newline.
    pub(crate) fn line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_a_key_a_type_and_what_the_type_has() {
        let line = |entry: EntryJson<'_>| entry.line().unwrap();
        assert_eq!(
            line(EntryJson::value("a.b", b"x\n")),
            r#"{"key":"a.b","type":"value","value":"x\n"}"#
        );
        assert_eq!(
            line(EntryJson::value("a", b"1").at("ns@7:blake3-00")),
            r#"{"key":"a","type":"value","value":"1","version":7,"snapshot":"ns@7:blake3-00"}"#
        );
        assert_eq!(
            line(EntryJson::value("a", b"\xff").at("")),
            r#"{"key":"a","type":"value","value_base64":"/w=="}"#
        );
        assert_eq!(
            EntryJson::value_halves("a", false, "").unwrap().before,
            r#"{"key":"a","type":"value","value_base64":"#
        );
        let text = EntryJson::value_halves("a", true, "").unwrap();
        assert_eq!(
            text.before + "\"x\"" + &text.after,
            line(EntryJson::value("a", b"x"))
        );
        assert_eq!(
            line(EntryJson::value_of_size("a", 3)),
            r#"{"key":"a","type":"value","size":3}"#
        );
        assert_eq!(
            line(EntryJson::directory("d")),
            r#"{"key":"d","type":"directory"}"#
        );
        assert_eq!(
            line(EntryJson::link("l", "ns::t.u")),
            r#"{"key":"l","type":"link","target":"t.u","namespace":"ns"}"#
        );
        assert_eq!(
            line(EntryJson::link("l", "t")),
            r#"{"key":"l","type":"link","target":"t"}"#
        );
    }
}
