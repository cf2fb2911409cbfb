//! Random transactions over few keys, so that they collide: values, directories, links that lead to
//! each other, and whatever can happen to a watched key from above.

use bytes::Bytes;
use kvs_engine::Mode;
use kvs_tree::{Key, Operation, Symlink};

use super::history::Wish;
use super::sight::Range;
use super::tree::{Doing, Thing, target_of};
use crate::support::{NS, Random, key};

const TOPS: [&str; 6] = ["a", "b", "c", "l", "m", "d"];
const NAMES: [&str; 4] = ["x", "y", "z", "l"];

/// Keys of a directory that does not fit into one part of an event.
pub(super) const MANY: u64 = 1_100;

pub(super) fn one_of<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len() as u64) as usize]
}

pub(super) fn some_key(random: &mut Random) -> Key {
    let mut text = one_of(random, &TOPS).to_owned();
    for _ in 0..one_of(random, &[0, 0, 1, 1, 1, 1, 2]) {
        text = format!("{text}.{}", one_of(random, &NAMES));
    }
    key(&text)
}

/// A key that is mostly a directory.
fn some_directory(random: &mut Random) -> Key {
    key(one_of(
        random,
        &["a", "b", "c", "d", "a.x", "b.y", "l", "m"],
    ))
}

pub(super) fn some_value(random: &mut Random) -> Bytes {
    let letter = b'a' + random.below(26) as u8;
    match random.below(40) {
        0 => vec![letter; 66_000 + random.below(1000) as usize].into(),
        1 => vec![letter; 4_000 + random.below(3000) as usize].into(),
        2..=16 => vec![letter; 200 + random.below(900) as usize].into(),
        // Often the previous value.
        _ => random.below(4).to_string().into(),
    }
}

fn some_link(random: &mut Random) -> Doing {
    let at = match random.below(9) {
        0..=2 => some_key(random),
        // Nothing else happens to these.
        3 => key(one_of(random, &["w.f", "w.g"])),
        4..=5 => key(one_of(random, &["l", "m", "a.l", "b.l", "l.l"])),
        _ => key(one_of(random, &["l", "m"])),
    };
    let target = match random.below(3) {
        0 => some_directory(random),
        _ => some_key(random),
    };
    let target = match random.below(3) {
        0 => format!("{}::{target}", one_of(random, &["o", "o", "p", "primary"])),
        _ => target.to_string(),
    };
    Doing::Link(at, target)
}

fn some_object(random: &mut Random) -> Doing {
    let mut members = Vec::new();
    for name in NAMES {
        match random.below(4) {
            0 => members.push((name.to_owned(), Thing::Value(some_value(random)))),
            1 => members.push((name.to_owned(), Thing::Link(some_key(random).to_string()))),
            2 => members.push((name.to_owned(), Thing::Directory)),
            _ => {}
        }
    }
    Doing::Object(some_directory(random), members)
}

pub(super) fn doing(random: &mut Random) -> Doing {
    match random.below(40) {
        0..=15 => Doing::Put(some_key(random), some_value(random)),
        16..=19 => {
            let len = if random.below(30) == 0 {
                70_000
            } else {
                1 + random.below(40)
            };
            let bytes = vec![b'0' + random.below(10) as u8; len as usize];
            Doing::Append(some_key(random), bytes.into())
        }
        20 => Doing::Add(some_key(random), random.below(9) as i64 - 4),
        21..=23 => Doing::Unlink(some_key(random)),
        24..=25 => Doing::Unlink(some_directory(random)),
        26 => Doing::Mkdir(some_key(random)),
        27..=30 => some_link(random),
        31..=33 => Doing::Copy(some_directory(random), some_directory(random)),
        34 => Doing::Copy(some_key(random), some_key(random)),
        35..=36 => Doing::Move(some_directory(random), some_directory(random)),
        37 => Doing::Move(some_key(random), some_key(random)),
        _ => some_object(random),
    }
}

/// Operations on the directory of [`many`] keys as a whole.
pub(super) fn widely(random: &mut Random) -> Vec<Doing> {
    let (big, other) = (
        key("a.big"),
        key(one_of(random, &["b.x", "c", "d.y", "a.big"])),
    );
    vec![match random.below(4) {
        0 => Doing::Copy(big, other),
        1 => Doing::Move(other, big),
        2 => Doing::Unlink(other),
        _ => Doing::Link(key("l"), one_of(random, &["a.big", "c", "b"]).to_owned()),
    }]
}

pub(super) fn transaction(random: &mut Random) -> Vec<Doing> {
    let count = one_of(random, &[1, 1, 1, 2, 3]);
    (0..count).map(|_| doing(random)).collect()
}

/// Links into another namespace, and something that exists there.
pub(super) fn abroad(random: &mut Random) -> Vec<(&'static str, Vec<Doing>)> {
    let mut all = Vec::new();
    for at in ["l", "w.f", "w.g"] {
        let target = some_directory(random);
        if random.below(3) > 0 {
            all.push((NS, vec![Doing::Link(key(at), format!("o::{target}"))]));
            let inside = target.child(one_of(random, &NAMES)).unwrap();
            all.push(("o", vec![Doing::Put(inside, some_value(random))]));
        }
    }
    all
}

/// More keys than a part of an event holds.
pub(super) fn many() -> Vec<Doing> {
    (0..MANY)
        .map(|n| Doing::Put(key(&format!("a.big.k{n:04}")), n.to_string().into()))
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() {
                letter.into()
            } else {
                '='
            });
        }
    }
    text
}

fn object(data: &str, kind: &str) -> String {
    format!(r#"{{"data":{data},"type":"{kind}","ver":1}}"#)
}

pub(super) fn operation(doing: &Doing) -> Operation {
    let link = |text: &str| {
        let (namespace, target) = target_of(text);
        Symlink {
            namespace: namespace.map(Into::into),
            target: target.into(),
        }
    };
    match doing.clone() {
        Doing::Put(key, value) => Operation::Put { key, value },
        Doing::Append(key, value) => Operation::Append { key, value },
        Doing::Add(key, delta) => Operation::Add { key, delta },
        Doing::Unlink(key) => Operation::Unlink { key },
        Doing::Mkdir(key) => Operation::Mkdir { key },
        Doing::Link(key, target) => Operation::Link {
            key,
            target: link(&target),
        },
        Doing::Copy(from, to) => Operation::Copy { from, to },
        Doing::Move(from, to) => Operation::Move { from, to },
        Doing::Object(key, members) => {
            let member = |(name, thing): &(String, Thing)| {
                let one = match thing {
                    Thing::Value(bytes) => object(&format!("\"{}\"", base64(bytes)), "val"),
                    Thing::Link(to) => object(&format!(r#"{{"target":"{to}"}}"#), "symlink"),
                    Thing::Directory => object("{}", "dir"),
                };
                format!("\"{name}\":{one}")
            };
            let all: Vec<String> = members.iter().map(member).collect();
            let object = object(&format!("{{{}}}", all.join(",")), "dir").into();
            Operation::PutObject { key, object }
        }
    }
}

const GLOBS: [&str; 10] = [
    "*",
    "**",
    "a.*",
    "*.x",
    "**.y",
    "a.**",
    "b.*.x",
    "a.big.k00*",
    "l.x.*",
    "b.l.*.x",
];

fn range(random: &mut Random) -> Range {
    match random.below(12) {
        10 => Range::Directory(key(one_of(random, &["l", "w", "w.f", "w.g"]))),
        11 => Range::Key(key(one_of(random, &["m", "l.x", "w.f.x", "w.g.y", "w.f"]))),
        0..=3 => Range::Key(some_key(random)),
        4..=6 => Range::Directory(some_key(random)),
        7 => Range::Directory(some_directory(random)),
        _ => Range::Glob(one_of(random, &GLOBS).to_owned()),
    }
}

/// A random wish; for many keys if `wide`.
pub(super) fn wish(random: &mut Random, wide: bool) -> Wish {
    let mut ranges: Vec<Range> = Vec::new();
    if wide {
        ranges.push(match random.below(3) {
            0 => Range::Glob("**".to_owned()),
            1 => Range::Directory(key("l")),
            _ => Range::Directory(some_directory(random)),
        });
    }
    if random.below(7) == 0 {
        // One path that stays, into another namespace, and one that moves.
        ranges.push(Range::Directory(key(one_of(random, &["w.f", "w.g"]))));
        ranges.push(Range::Directory(key("l")));
    }
    for _ in 0..one_of(random, &[1, 1, 1, 2, 3, 0]) {
        let range = range(random);
        if !ranges.contains(&range) {
            ranges.push(range);
        }
    }
    let mode = match random.below(8) {
        0..=3 => Mode::Every,
        4..=5 => Mode::Latest,
        6 => Mode::Unique,
        _ => Mode::Append { offset: 0 },
    };
    Wish {
        namespace: NS.to_owned(),
        guest: false,
        ranges,
        mode,
        values: matches!(mode, Mode::Append { .. }) || random.below(4) > 0,
        previous: random.below(4) == 0,
    }
}
