//! One event: its required members, decoding and encoding.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The bytes are not a valid eventlog or event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot decode improperly formatted eventlog")
    }
}

impl std::error::Error for Malformed {}

/// A decoded event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Seconds since 1970, above 0.
    pub(crate) timestamp: f64,
    /// Name of the event; not empty.
    pub(crate) name: String,
    /// Members of the context in their stored order, each value as compact JSON. `None` if the
    /// event has no context.
    pub(crate) context: Option<Vec<(String, String)>>,
    /// The whole event as compact JSON.
    pub(crate) json: String,
}

impl Entry {
    /// Parses one line without its newline.
    pub(crate) fn parse(line: &str) -> Result<Self, Malformed> {
        let members: Members<'_> = serde_json::from_str(line).map_err(|_| Malformed)?;
        let timestamp: f64 = members.get("timestamp")?.ok_or(Malformed)?;
        let name: String = members.get("name")?.ok_or(Malformed)?;
        if !is_time(timestamp) || name.is_empty() {
            return Err(Malformed);
        }
        let context: Option<Members<'_>> = match members.raw("context") {
            Some(raw) => Some(serde_json::from_str(raw.get()).map_err(|_| Malformed)?),
            None => None,
        };
        let compacted = |(key, value): (String, &RawValue)| (key, compact(value.get()));
        Ok(Self {
            timestamp,
            name,
            context: context.map(|members| members.0.into_iter().map(compacted).collect()),
            json: compact(line),
        })
    }
}

/// Encodes a new event as one line, newline included. `context`, if given, is a JSON object as
/// text.
pub(crate) fn encode(
    timestamp: f64,
    name: &str,
    context: Option<&str>,
) -> Result<String, Malformed> {
    if !is_time(timestamp) || name.is_empty() {
        return Err(Malformed);
    }
    let mut line = format!(
        "{{\"timestamp\":{},\"name\":{}",
        serde_json::Value::from(timestamp),
        serde_json::Value::from(name)
    );
    if let Some(context) = context {
        let _: Members<'_> = serde_json::from_str(context).map_err(|_| Malformed)?;
        line.push_str(",\"context\":");
        line.push_str(&compact(context));
    }
    line.push_str("}\n");
    Ok(line)
}

fn is_time(timestamp: f64) -> bool {
    timestamp.is_finite() && timestamp > 0.0
}

/// Removes white space between the tokens of valid JSON.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c == '"' {
            quoted = true;
        } else if c.is_ascii_whitespace() {
            continue;
        }
        out.push(c);
    }
    out
}

/// The members of a JSON object in order, values not parsed.
struct Members<'j>(Vec<(String, &'j RawValue)>);

impl<'j> Members<'j> {
    /// The last member of that name, as most JSON parsers choose.
    fn raw(&self, name: &str) -> Option<&'j RawValue> {
        let found = self.0.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| *value)
    }

    fn get<T: Deserialize<'j>>(&self, name: &str) -> Result<Option<T>, Malformed> {
        let value = self.raw(name).map(|raw| serde_json::from_str(raw.get()));
        value.transpose().map_err(|_| Malformed)
    }
}

impl<'j> Deserialize<'j> for Members<'j> {
    fn deserialize<D: Deserializer<'j>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'j> Visitor<'j> for Reader {
            type Value = Members<'j>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_time_a_name_and_perhaps_a_context() {
        let entry = Entry::parse(
            r#" {"timestamp": 1.0, "name":"start", "context": {"z": [1, 2], "a":"x y"}} "#,
        )
        .unwrap();
        assert_eq!((entry.timestamp, entry.name.as_str()), (1.0, "start"));
        let context = entry.context.unwrap();
        assert_eq!(context[0], ("z".into(), "[1,2]".into()), "in their order");
        assert_eq!(context[1], ("a".into(), "\"x y\"".into()));
        assert_eq!(
            entry.json,
            r#"{"timestamp":1.0,"name":"start","context":{"z":[1,2],"a":"x y"}}"#
        );
        assert_eq!(
            Entry::parse(r#"{"timestamp":2,"name":"n"}"#)
                .unwrap()
                .context,
            None
        );
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for line in [
            "",
            "foo",
            "1",
            "[]",
            "{}",
            r#"{"name":"n"}"#,
            r#"{"timestamp":1.0}"#,
            r#"{"timestamp":"1","name":"n"}"#,
            r#"{"timestamp":0,"name":"n"}"#,
            r#"{"timestamp":-1,"name":"n"}"#,
            r#"{"timestamp":1.0,"name":7}"#,
            r#"{"timestamp":1.0,"name":""}"#,
            r#"{"timestamp":1.0,"name":"n","context":"x"}"#,
            r#"{"timestamp":1.0,"name":"n","context":[1]}"#,
            r#"{"timestamp":1.0,"name":"n"} {}"#,
        ] {
            assert_eq!(Entry::parse(line), Err(Malformed), "{line}");
        }
    }

    #[test]
    fn a_new_event_is_one_compact_line() {
        assert_eq!(
            encode(1.0, "name", Some(r#"{ "data" : "f\" o" }"#)).unwrap(),
            "{\"timestamp\":1.0,\"name\":\"name\",\"context\":{\"data\":\"f\\\" o\"}}\n"
        );
        assert_eq!(
            encode(42.5, "a\nb", None).unwrap(),
            "{\"timestamp\":42.5,\"name\":\"a\\nb\"}\n"
        );
        for context in ["not_a_object", "[1]", "1", "{", "{} {}"] {
            assert_eq!(encode(1.0, "n", Some(context)), Err(Malformed), "{context}");
        }
        assert_eq!(encode(0.0, "n", None), Err(Malformed));
        assert_eq!(encode(f64::NAN, "n", None), Err(Malformed));
        assert_eq!(encode(1.0, "", None), Err(Malformed));
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        let line = encode(1699995759.537774, "submit", Some("{\"n\":1e400}")).unwrap();
        let entry = Entry::parse(line.trim_end()).unwrap();
        assert_eq!(entry.timestamp, 1699995759.537774);
        assert_eq!(
            entry.context.unwrap()[0].1,
            "1e400",
            "numbers stay as they are"
        );
    }
}
