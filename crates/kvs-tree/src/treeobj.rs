//! Tree objects as RFC 11 JSON: the input and output of `--treeobj`.
//!
//! This form is for humans and for users of `flux kvs`. Objects are stored and hashed in their
//! canonical encoding, never in this one.

mod json;

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::BASE64;
use smol_str::SmolStr;

use crate::error::{TreeError, TreeErrorKind};
use crate::hash::Blobref;
use crate::key::Key;
use crate::node::{Entry, Symlink};
use crate::source::{Ctx, Fault};
use json::Json;

/// A tree object as defined by RFC 11.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeObject {
    /// The bytes of a value.
    Val(Bytes),
    /// The concatenated bytes of one or more blobs.
    ValRef(Vec<Blobref>),
    /// A stored directory.
    DirRef(Blobref),
    /// A directory given in full, names sorted.
    Dir(Vec<(SmolStr, TreeObject)>),
    /// A symbolic link.
    Symlink(Symlink),
}

/// The entry as compact RFC 11 JSON, with sorted members. A directory, even an empty one, becomes a
/// `dirref`, an inline value a `val`, any other value a `valref` of its blobs.
///
/// # Errors
/// Only `Missing` and `Corrupt`: reads the list of a long value's blobs from the store.
pub fn to_json(entry: &Entry, ctx: &Ctx<'_>) -> Result<String, Fault> {
    Ok(match entry {
        Entry::Directory(directory) => object("dirref", &list(&[directory.seal(ctx.params)])),
        Entry::Value(value) => match value.inline() {
            Some(bytes) => object("val", &format!("\"{}\"", BASE64.encode(&bytes))),
            None => object("valref", &list(&value.blobs(ctx.source, ctx.params)?)),
        },
        Entry::Symlink(Symlink {
            namespace: None,
            target,
        }) => object("symlink", &format!("{{\"target\":{}}}", string(target))),
        Entry::Symlink(Symlink {
            namespace: Some(namespace),
            target,
        }) => object(
            "symlink",
            &format!(
                "{{\"namespace\":{},\"target\":{}}}",
                string(namespace),
                string(target)
            ),
        ),
    })
}

fn object(kind: &str, data: &str) -> String {
    format!("{{\"data\":{data},\"type\":\"{kind}\",\"ver\":1}}")
}

fn list(blobrefs: &[Blobref]) -> String {
    let quoted: Vec<String> = blobrefs
        .iter()
        .map(|blobref| format!("\"{blobref}\""))
        .collect();
    format!("[{}]", quoted.join(","))
}

fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Parses RFC 11 JSON and validates all of it: members, names, base64, blobrefs and link targets.
/// Directories can be nested about 60 deep.
///
/// # Errors
/// `BadObject`, with the position in the object.
pub fn from_json(bytes: &[u8]) -> Result<TreeObject, TreeError> {
    let json = serde_json::from_slice(bytes).map_err(|error| bad(&Key::ROOT, error))?;
    tree_object(&Key::ROOT, json)
}

/// `at` is the position in the whole object, for messages.
fn tree_object(at: &Key, json: Json) -> Result<TreeObject, TreeError> {
    let Json::Object(mut members) = json else {
        return Err(bad(at, "a tree object is a JSON object"));
    };
    let (ver, kind, data) = (
        members.remove("ver"),
        members.remove("type"),
        members.remove("data"),
    );
    let (Some(Json::Unsigned(1)), Some(Json::String(kind)), Some(data), true) =
        (ver, kind, data, members.is_empty())
    else {
        return Err(bad(
            at,
            "a tree object has exactly the members ver (1), type and data",
        ));
    };
    match (kind.as_str(), data) {
        ("val", Json::String(text)) => match BASE64.decode(text.as_bytes()) {
            Ok(bytes) => Ok(TreeObject::Val(bytes.into())),
            Err(error) => Err(bad(at, format!("base64: {error}"))),
        },
        ("valref", Json::Array(items)) if !items.is_empty() => {
            let blobrefs = items.into_iter().map(|item| blobref(at, item));
            Ok(TreeObject::ValRef(blobrefs.collect::<Result<_, _>>()?))
        }
        ("dirref", Json::Array(mut items)) if items.len() == 1 => match items.pop() {
            Some(item) => Ok(TreeObject::DirRef(blobref(at, item)?)),
            None => Err(bad(at, "a dirref without a blobref")),
        },
        ("dir", Json::Object(members)) => {
            let mut entries = Vec::with_capacity(members.len());
            for (name, json) in members {
                let below = at.child(&name).map_err(|error| bad(at, error))?;
                entries.push((SmolStr::from(name), tree_object(&below, json)?));
            }
            Ok(TreeObject::Dir(entries))
        }
        ("symlink", Json::Object(members)) => symlink(at, members),
        (kind, _) => Err(bad(
            at,
            format!("the type '{}' with data of this kind", kind.escape_debug()),
        )),
    }
}

fn blobref(at: &Key, json: Json) -> Result<Blobref, TreeError> {
    match json {
        Json::String(text) => text
            .parse()
            .map_err(|_| bad(at, format!("the blobref '{}'", text.escape_debug()))),
        _ => Err(bad(at, "a blobref is a string")),
    }
}

fn symlink(at: &Key, mut members: BTreeMap<String, Json>) -> Result<TreeObject, TreeError> {
    let (target, namespace) = (members.remove("target"), members.remove("namespace"));
    let namespace = match namespace {
        None => None,
        Some(Json::String(namespace)) if !namespace.is_empty() => Some(namespace.into()),
        Some(_) => return Err(bad(at, "the namespace of a link is a string and not empty")),
    };
    let (Some(Json::String(target)), true) = (target, members.is_empty()) else {
        return Err(bad(
            at,
            "a link has exactly the members target and, maybe, namespace",
        ));
    };
    let target = Key::parse(&target).map_err(|error| bad(at, error))?;
    Ok(TreeObject::Symlink(Symlink {
        namespace,
        target: SmolStr::new(target.as_str()),
    }))
}

fn bad(at: &Key, why: impl std::fmt::Display) -> TreeError {
    let message = format!("bad tree object at {}: {why}", at.as_str().escape_debug());
    TreeError::new(TreeErrorKind::BadObject, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOBREF: &str = "blake3-0000000000000000000000000000000000000000000000000000000000000000";

    fn read(text: &str) -> TreeObject {
        from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn each_type_is_read() {
        assert_eq!(
            read(r#"{"data":"Zm9v","type":"val","ver":1}"#),
            TreeObject::Val(Bytes::from_static(b"foo"))
        );
        assert_eq!(
            read(r#"{"ver":1,"type":"val","data":""}"#),
            TreeObject::Val(Bytes::new())
        );
        let blobref: Blobref = BLOBREF.parse().unwrap();
        assert_eq!(
            read(&format!(
                r#"{{"data":["{BLOBREF}","{BLOBREF}"],"type":"valref","ver":1}}"#
            )),
            TreeObject::ValRef(vec![blobref, blobref])
        );
        assert_eq!(
            read(&format!(
                r#"{{"data":["{BLOBREF}"],"type":"dirref","ver":1}}"#
            )),
            TreeObject::DirRef(blobref)
        );
        let link = |namespace: Option<&str>| {
            TreeObject::Symlink(Symlink {
                namespace: namespace.map(SmolStr::new),
                target: "a.b".into(),
            })
        };
        assert_eq!(
            read(r#"{"data":{"target":".a..b"},"type":"symlink","ver":1}"#),
            link(None)
        );
        assert_eq!(
            read(r#"{"data":{"namespace":"n","target":"a.b"},"type":"symlink","ver":1}"#),
            link(Some("n"))
        );
        assert_eq!(
            read(
                r#"{"data":{"b":{"data":{},"type":"dir","ver":1},"a":{"data":"","type":"val","ver":1}},"type":"dir","ver":1}"#
            ),
            TreeObject::Dir(vec![
                ("a".into(), TreeObject::Val(Bytes::new())),
                ("b".into(), TreeObject::Dir(Vec::new())),
            ])
        );
    }

    #[test]
    fn whatever_is_not_exactly_a_tree_object_is_refused() {
        let dirref2 = format!(r#"{{"data":["{BLOBREF}","{BLOBREF}"],"type":"dirref","ver":1}}"#);
        let inner = r#"{"data":{"a":{"data":{"b":{"data":"?","type":"val","ver":1}},"type":"dir","ver":1}},"type":"dir","ver":1}"#;
        for text in [
            "",
            "1",
            "[]",
            "null",
            "{}",
            r#"{"data":"","type":"val"}"#,
            r#"{"data":"","type":"val","ver":2}"#,
            r#"{"data":"","type":"val","ver":1.0}"#,
            r#"{"data":"","type":"val","ver":"1"}"#,
            r#"{"data":"","type":"val","ver":1,"more":1}"#,
            r#"{"data":"","type":"val","ver":1} x"#,
            r#"{"data":"","data":"","type":"val","ver":1}"#,
            r#"{"data":"Zm9","type":"val","ver":1}"#,
            r#"{"data":"Zm9=\n","type":"val","ver":1}"#,
            r#"{"data":{},"type":"val","ver":1}"#,
            r#"{"data":[],"type":"valref","ver":1}"#,
            r#"{"data":["x"],"type":"valref","ver":1}"#,
            r#"{"data":[1],"type":"valref","ver":1}"#,
            r#"{"data":[],"type":"dirref","ver":1}"#,
            &dirref2,
            r#"{"data":{"target":""},"type":"symlink","ver":1}"#,
            r#"{"data":{"target":"a","namespace":""},"type":"symlink","ver":1}"#,
            r#"{"data":{"target":"a","namespace":null},"type":"symlink","ver":1}"#,
            r#"{"data":{"target":"a","x":"b"},"type":"symlink","ver":1}"#,
            r#"{"data":{"a.b":{"data":"","type":"val","ver":1}},"type":"dir","ver":1}"#,
            r#"{"data":{"":{"data":"","type":"val","ver":1}},"type":"dir","ver":1}"#,
            r#"{"data":{"a":1},"type":"dir","ver":1}"#,
            inner,
            r#"{"data":"","type":"unknown","ver":1}"#,
        ] {
            let error = from_json(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind, TreeErrorKind::BadObject, "{text}");
        }
        assert!(
            from_json(inner.as_bytes())
                .unwrap_err()
                .message
                .contains("at a.b:")
        );
    }

    #[test]
    fn deep_nesting_is_refused_and_not_a_crash() {
        let deep = |levels: usize| {
            let open = r#"{"type":"dir","ver":1,"data":{"a":"#.repeat(levels);
            let close = "}}".repeat(levels);
            format!(r#"{open}{{"data":"","type":"val","ver":1}}{close}"#)
        };
        assert!(from_json(deep(60).as_bytes()).is_ok());
        assert!(from_json(deep(100).as_bytes()).is_err());
        assert!(from_json(deep(100_000).as_bytes()).is_err());
    }
}
