//! A step in words: a verb and its arguments, quoted as in a shell.
//!
//! Words are separated by blanks. Inside '…' every character is literal. Inside "…" and outside
//! quotes, a backslash makes `\n \t \r \0 \xHH` a byte and any other character literal.

use bytes::Bytes;
use kvs_client::{Condition, Operation};
use smol_str::SmolStr;

use super::step::{Step, is_verb, with_bytes, with_key, with_keys};

/// Parses one line. The error is a message for the user.
pub(super) fn parse(line: &str) -> Result<Step, String> {
    let words = split(line)?;
    let (verb, rest) = words.split_first().ok_or("nothing stands there")?;
    let verb = text(verb)?;
    let step = match (verb.as_str(), rest) {
        ("unlink" | "mkdir" | "if-absent" | "if-present", [key]) => with_key(&verb, text(key)?),
        ("put" | "append" | "put-object" | "if-equals", [pair]) => {
            let (key, value) = pair_of(&verb, pair)?;
            with_bytes(&verb, key, value)
        }
        ("copy" | "move", [from, to]) => with_keys(&verb, text(from)?, text(to)?),
        ("link", [target, key]) => Some(Step::Do(link(&text(target)?, text(key)?))),
        ("add", [pair]) => {
            let (key, delta) = pair_of(&verb, pair)?;
            Some(Step::Do(Operation::Add {
                key,
                delta: number(&delta)?,
            }))
        }
        ("add", [key, delta]) => Some(Step::Do(Operation::Add {
            key: text(key)?,
            delta: number(delta)?,
        })),
        ("if-unchanged", [key, since]) => Some(Step::If(Condition::Unchanged {
            key: text(key)?,
            since: number(since)?,
        })),
        _ => None,
    };
    step.ok_or_else(|| match verb.as_str() {
        known if is_verb(known) => format!("usage: {}", usage(known)),
        unknown => format!("there is no operation '{unknown}'"),
    })
}

fn usage(verb: &str) -> String {
    let behind = match verb {
        "unlink" | "mkdir" | "if-absent" | "if-present" => "KEY",
        "link" => "TARGET KEY",
        "copy" | "move" => "SRC DST",
        "add" => "KEY=NUMBER",
        "put-object" => "KEY=JSON",
        "if-unchanged" => "KEY VERSION",
        _ => "KEY=VALUE",
    };
    format!("{verb} {behind}")
}

/// A link in the syntax of `kvs link`: the target has the prefix `NAMESPACE::` if it is in another
/// namespace.
fn link(target: &str, key: SmolStr) -> Operation {
    let (namespace, target) = match target.split_once("::") {
        Some((namespace, target)) => (Some(namespace.into()), target),
        None => (None, target),
    };
    Operation::Link {
        key,
        target: target.into(),
        namespace,
    }
}

fn pair_of(verb: &str, word: &[u8]) -> Result<(SmolStr, Bytes), String> {
    let at = word.iter().position(|byte| *byte == b'=');
    let (key, value) = at
        .and_then(|at| word.split_at_checked(at))
        .ok_or_else(|| format!("usage: {}", usage(verb)))?;
    let value = value.strip_prefix(b"=").unwrap_or(value);
    Ok((text(key)?, Bytes::copy_from_slice(value)))
}

fn text(word: &[u8]) -> Result<SmolStr, String> {
    let text = std::str::from_utf8(word).map_err(|_| "a key is not UTF-8")?;
    Ok(text.into())
}

fn number<T: std::str::FromStr>(word: &[u8]) -> Result<T, String> {
    let shown = String::from_utf8_lossy(word);
    shown
        .parse()
        .map_err(|_| format!("'{shown}' is not a number that fits"))
}

/// Splits a line into words and removes the quotes.
fn split(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, ' ' | '\t') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => escaped(&mut chars, word.get_or_insert_default())?,
            (_, c) => push(c, word.get_or_insert_default()),
        }
    }
    if let Some(open) = quote {
        return Err(format!("the quote {open} is not closed"));
    }
    words.extend(word);
    Ok(words)
}

fn escaped(chars: &mut std::str::Chars<'_>, word: &mut Vec<u8>) -> Result<(), String> {
    match chars.next().ok_or("nothing stands behind the last \\")? {
        'n' => word.push(b'\n'),
        't' => word.push(b'\t'),
        'r' => word.push(b'\r'),
        '0' => word.push(0),
        'x' => {
            let digits = chars.as_str().get(..2).unwrap_or_default().to_owned();
            let byte = u8::from_str_radix(&digits, 16).map_err(|_| "\\x wants two digits")?;
            word.push(byte);
            chars.nth(1);
        }
        other => push(other, word),
    }
    Ok(())
}

fn push(c: char, word: &mut Vec<u8>) {
    word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &[u8]) -> Step {
        with_bytes("put", key.into(), Bytes::copy_from_slice(value)).unwrap()
    }

    #[test]
    fn every_verb_has_its_form() {
        let form = |line: &str| parse(line).unwrap();
        assert_eq!(form("put a.b=c=d"), put("a.b", b"c=d"));
        assert_eq!(form("put  a.b= "), put("a.b", b""));
        assert_eq!(
            form("link ns::x.y l"),
            Step::Do(Operation::Link {
                key: "l".into(),
                target: "x.y".into(),
                namespace: Some("ns".into()),
            })
        );
        assert_eq!(form("add n=-3"), form("add n -3"));
        assert_eq!(
            form("if-unchanged a.b 17"),
            Step::If(Condition::Unchanged {
                key: "a.b".into(),
                since: 17,
            })
        );
        for line in [
            "append a=b",
            "unlink a",
            "mkdir a",
            "link t a",
            "copy a b",
            "move a b",
            "put-object a={}",
            "if-absent a",
            "if-present a",
            "if-equals a=b",
        ] {
            parse(line).unwrap();
        }
    }

    #[test]
    fn quotes_and_backslashes_are_those_of_a_shell() {
        for line in [
            r#"put a="x y""#,
            r#"put "a=x y""#,
            r"put 'a=x y'",
            r"put a=x\ y",
            r#"put a='x'" y""#,
            r#"put a="x\x20y""#,
        ] {
            assert_eq!(parse(line).unwrap(), put("a", b"x y"), "{line}");
        }
        assert_eq!(
            parse(r#"put a="\n\t\r\0\\\"\xff é""#).unwrap(),
            put("a", b"\n\t\r\0\\\"\xff \xc3\xa9")
        );
        assert_eq!(parse(r"put a='\n'").unwrap(), put("a", br"\n"));
        assert_eq!(parse("put a=''").unwrap(), put("a", b""));
    }

    #[test]
    fn mistakes_are_told() {
        for (line, error) in [
            ("frob a", "there is no operation 'frob'"),
            ("put a", "usage: put KEY=VALUE"),
            ("put a=b c=d", "usage: put KEY=VALUE"),
            ("copy a", "usage: copy SRC DST"),
            ("add n=x", "'x' is not a number that fits"),
            (
                "add n=9223372036854775808",
                "'9223372036854775808' is not a number that fits",
            ),
            ("if-unchanged a", "usage: if-unchanged KEY VERSION"),
            ("put a=\"b", "the quote \" is not closed"),
            (r"put a=\xg0", "\\x wants two digits"),
            (r"put \xff=1", "a key is not UTF-8"),
            ("put a=\\", "nothing stands behind the last \\"),
        ] {
            assert_eq!(parse(line).unwrap_err(), error, "{line}");
        }
    }
}
