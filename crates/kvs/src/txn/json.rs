//! A step as a JSON object: `op` is the verb, the other members are its arguments.

use bytes::Bytes;
use kvs_client::{Condition, Operation};
use serde::Deserialize;
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::step::{Step, VERBS, with_bytes, with_key, with_keys};

/// All members of all verbs. [`Object::step`] checks which ones the verb takes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Object {
    op: String,
    key: Option<SmolStr>,
    value: Option<String>,
    value_base64: Option<String>,
    object: Option<Box<RawValue>>,
    target: Option<SmolStr>,
    namespace: Option<SmolStr>,
    from: Option<SmolStr>,
    to: Option<SmolStr>,
    delta: Option<i64>,
    since: Option<u64>,
}

/// Parses one line. The error is a message for the user.
pub(super) fn parse(line: &str) -> Result<Step, String> {
    serde_json::from_str::<Object>(line)
        .map_err(|error| plain(&error))?
        .step()
}

/// The error of serde without its position: the user sees the line number of the whole text
/// instead.
pub(super) fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

impl Object {
    /// Converts to a step. Members that the verb does not take are refused, not ignored.
    pub(super) fn step(mut self) -> Result<Step, String> {
        let verb = std::mem::take(&mut self.op);
        let step = match verb.as_str() {
            "unlink" | "mkdir" | "if-absent" | "if-present" => with_key(&verb, self.key()?),
            "put" | "append" | "if-equals" => {
                let (key, value) = (self.key()?, self.bytes()?);
                with_bytes(&verb, key, value)
            }
            "put-object" => {
                let object = needed(self.object.take(), "object")?;
                let object = Bytes::from(object.get().to_owned());
                with_bytes(&verb, self.key()?, object)
            }
            "copy" | "move" => {
                let from = needed(self.from.take(), "from")?;
                with_keys(&verb, from, needed(self.to.take(), "to")?)
            }
            "link" => Some(Step::Do(Operation::Link {
                key: self.key()?,
                target: needed(self.target.take(), "target")?,
                namespace: self.namespace.take(),
            })),
            "add" => Some(Step::Do(Operation::Add {
                key: self.key()?,
                delta: needed(self.delta.take(), "delta")?,
            })),
            "if-unchanged" => Some(Step::If(Condition::Unchanged {
                key: self.key()?,
                since: needed(self.since.take(), "since")?,
            })),
            _ => return Err(format!("there is no operation '{verb}'")),
        };
        match (step, self.left()) {
            (Some(step), None) => Ok(step),
            (_, Some(member)) => Err(format!("{verb} has no \"{member}\"")),
            (None, None) => Err(format!("there are {}", VERBS.join(", "))),
        }
    }

    fn key(&mut self) -> Result<SmolStr, String> {
        needed(self.key.take(), "key")
    }

    fn bytes(&mut self) -> Result<Bytes, String> {
        match (self.value.take(), self.value_base64.take()) {
            (Some(text), None) => Ok(Bytes::from(text)),
            (None, Some(encoded)) => data_encoding::BASE64
                .decode(encoded.as_bytes())
                .map(Bytes::from)
                .map_err(|_| "\"value_base64\" is not base64".to_owned()),
            _ => Err("one of \"value\" and \"value_base64\" is needed".to_owned()),
        }
    }

    /// The first member that was not used.
    fn left(&self) -> Option<&'static str> {
        let members = [
            ("key", self.key.is_some()),
            ("value", self.value.is_some()),
            ("value_base64", self.value_base64.is_some()),
            ("object", self.object.is_some()),
            ("target", self.target.is_some()),
            ("namespace", self.namespace.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
            ("delta", self.delta.is_some()),
            ("since", self.since.is_some()),
        ];
        members
            .iter()
            .find(|(_, left)| *left)
            .map(|(name, _)| *name)
    }
}

fn needed<T>(member: Option<T>, name: &str) -> Result<T, String> {
    member.ok_or_else(|| format!("\"{name}\" is needed"))
}

#[cfg(test)]
mod tests {
    use super::super::words;
    use super::*;

    #[test]
    fn json_says_the_same_as_words() {
        for (json, line) in [
            (r#"{"op":"put","key":"a.b","value":"x y"}"#, "put a.b='x y'"),
            (
                r#"{"op":"append","key":"a","value_base64":"/w=="}"#,
                r"append a=\xff",
            ),
            (r#"{"op":"unlink","key":"a"}"#, "unlink a"),
            (r#"{"op":"mkdir","key":"a"}"#, "mkdir a"),
            (
                r#"{"op":"link","key":"l","target":"t","namespace":"n"}"#,
                "link n::t l",
            ),
            (r#"{"op":"link","key":"l","target":"t"}"#, "link t l"),
            (r#"{"op":"copy","from":"a","to":"b"}"#, "copy a b"),
            (r#"{"op":"move","from":"a","to":"b"}"#, "move a b"),
            (r#"{"op":"add","key":"n","delta":-3}"#, "add n=-3"),
            (
                r#"{"op":"put-object","key":"a","object":{"ver":1}}"#,
                r#"put-object 'a={"ver":1}'"#,
            ),
            (r#"{"op":"if-absent","key":"a"}"#, "if-absent a"),
            (r#"{"op":"if-present","key":"a"}"#, "if-present a"),
            (
                r#"{"op":"if-equals","key":"a","value":"b"}"#,
                "if-equals a=b",
            ),
            (
                r#"{"op":"if-unchanged","key":"a","since":7}"#,
                "if-unchanged a 7",
            ),
        ] {
            assert_eq!(parse(json), words::parse(line), "{json}");
            parse(json).unwrap();
        }
    }

    #[test]
    fn mistakes_are_told() {
        for (json, error) in [
            (r#"{"op":"frob"}"#, "there is no operation 'frob'"),
            (r#"{"op":"put","value":"x"}"#, "\"key\" is needed"),
            (
                r#"{"op":"put","key":"a"}"#,
                "one of \"value\" and \"value_base64\" is needed",
            ),
            (
                r#"{"op":"put","key":"a","value":"b","delta":1}"#,
                "put has no \"delta\"",
            ),
            (r#"{"op":"add","key":"n"}"#, "\"delta\" is needed"),
            (
                r#"{"op":"put","key":"a","value_base64":"?"}"#,
                "\"value_base64\" is not base64",
            ),
            (r#"{"key":"a"}"#, "missing field `op`"),
        ] {
            assert_eq!(parse(json).unwrap_err(), error, "{json}");
        }
        assert!(
            parse(r#"{"op":"put","kye":"a"}"#)
                .unwrap_err()
                .contains("kye")
        );
        assert!(parse("{").is_err());
    }
}
