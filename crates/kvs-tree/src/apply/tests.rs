//! The rules of each operation, one by one. The model covers their combinations.

use super::*;
use crate::diff::diff;
use crate::hash::{HashAlgorithm, StoreParams};
use crate::lookup::{Resolved, lookup};
use crate::node::{Entry, Symlink};
use crate::replay::replay;
use crate::source::NoSource;
use crate::{Fault, LINK_DEPTH};

const PARAMS: StoreParams = StoreParams {
    algorithm: HashAlgorithm::Blake3,
    split_key: [1; 32],
};
const CTX: Ctx<'static> = Ctx {
    source: &NoSource,
    params: &PARAMS,
};

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

/// `put K V`, `append K V`, `unlink K`, `mkdir K`, `link K TARGET`, `copy K K`, `move K K`,
/// `add K N`, `object K JSON`.
fn operation(text: &str) -> Operation {
    let mut words = text.splitn(3, ' ');
    let verb = words.next().unwrap();
    let first = key(words.next().unwrap());
    let second = words.next().unwrap_or_default().to_owned();
    match verb {
        "put" => Operation::Put {
            key: first,
            value: second.into(),
        },
        "append" => Operation::Append {
            key: first,
            value: second.into(),
        },
        "unlink" => Operation::Unlink { key: first },
        "mkdir" => Operation::Mkdir { key: first },
        "link" => {
            let (namespace, target) = match second.split_once("::") {
                Some((namespace, target)) => (Some(namespace.into()), target),
                None => (None, second.as_str()),
            };
            Operation::Link {
                key: first,
                target: Symlink {
                    namespace,
                    target: target.into(),
                },
            }
        }
        "copy" => Operation::Copy {
            from: first,
            to: key(&second),
        },
        "move" => Operation::Move {
            from: first,
            to: key(&second),
        },
        "add" => Operation::Add {
            key: first,
            delta: second.parse().unwrap(),
        },
        "object" => Operation::PutObject {
            key: first,
            object: second.into(),
        },
        _ => unreachable!("{verb}"),
    }
}

fn transaction(operations: &[&str]) -> Transaction {
    let operations = operations.iter().map(|text| operation(text)).collect();
    Transaction {
        conditions: Vec::new(),
        operations,
    }
}

fn try_apply(root: &Directory, operations: &[&str]) -> Result<Applied, TreeError> {
    match apply(root, &CTX, &|_| None, &transaction(operations)) {
        Ok(applied) => {
            let replayed = replay(root, &CTX, &applied.effects).unwrap();
            assert_eq!(replayed.seal(&PARAMS), applied.root.seal(&PARAMS));
            Ok(applied)
        }
        Err(Fault::Tree(error)) => Err(error),
        Err(fault) => panic!("{fault}"),
    }
}

fn tree(operations: &[&str]) -> Directory {
    try_apply(&Directory::empty(), operations).unwrap().root
}

/// Effects as short text: `*` marks that keys below changed as well.
fn effects(root: &Directory, operations: &[&str]) -> Vec<String> {
    let applied = try_apply(root, operations).unwrap();
    let show = |effect: &Effect| {
        let star = if effect.subtree() { "*" } else { "" };
        let key = effect.key();
        let text = match effect {
            Effect::Put { value, .. } => format!("put {key} {}", str::from_utf8(value).unwrap()),
            Effect::PutStored { len, .. } => format!("stored {key} {len}"),
            Effect::Append { value, .. } => format!("append {key} {}", value.len()),
            Effect::Unlink { .. } => format!("unlink {key}"),
            Effect::Mkdir { .. } => format!("mkdir {key}"),
            Effect::Link { target, .. } => format!("link {key} {}", target.target),
            Effect::Copy { from, .. } => format!("copy {from} {key}"),
            Effect::Graft { .. } => format!("graft {key}"),
        };
        format!("{text}{star}")
    };
    applied.effects.iter().map(show).collect()
}

fn refusal(root: &Directory, operations: &[&str]) -> TreeErrorKind {
    try_apply(root, operations).unwrap_err().kind
}

fn check(root: &Directory, conditions: Vec<Condition>) -> Result<(), Fault> {
    let transaction = Transaction {
        conditions,
        operations: Vec::new(),
    };
    apply(
        root,
        &CTX,
        &|version| (version == 1).then(Directory::empty),
        &transaction,
    )
    .map(|_| ())
}

#[test]
fn directories_made_on_the_way_are_effects() {
    let empty = Directory::empty();
    assert_eq!(
        effects(&empty, &["put a.b.c 1"]),
        ["mkdir a", "mkdir a.b", "put a.b.c 1"]
    );
    let root = tree(&["put a 1"]);
    assert_eq!(effects(&root, &["put a.b 1"]), ["mkdir a", "put a.b 1"]);
    assert_eq!(effects(&root, &["append a.b 1"]), ["mkdir a", "put a.b 1"]);
}

#[test]
fn effects_tell_whether_keys_below_changed() {
    let root = tree(&["put a.b 1", "mkdir e"]);
    assert_eq!(effects(&root, &["put a 1"]), ["put a 1*"]);
    assert_eq!(effects(&root, &["unlink a"]), ["unlink a*"]);
    assert_eq!(effects(&root, &["link a b"]), ["link a b*"]);
    assert_eq!(effects(&root, &["put e 1"]), ["put e 1"]);
    assert_eq!(effects(&root, &["unlink e"]), ["unlink e"]);
    assert_eq!(effects(&root, &["copy a c"]), ["copy a c*"]);
    assert_eq!(effects(&root, &["copy e a"]), ["mkdir a*"]);
    let emptied = ["unlink a", "mkdir a"];
    assert_eq!(effects(&root, &emptied), ["unlink a*", "mkdir a"]);
    assert_eq!(
        effects(&root, &["move a c.d"]),
        ["mkdir c", "copy a c.d*", "unlink a*"]
    );
    assert_eq!(effects(&root, &["copy a.b c"]), ["put c 1"]);
    let long = "x".repeat(200);
    let root = tree(&[&format!("put a {long}")]);
    assert_eq!(effects(&root, &["copy a c"]), ["copy a c"]);
}

#[test]
fn a_directory_that_is_there_is_left_as_it_is() {
    let root = tree(&["put a.b 1", "mkdir e", "link l a", "put v 1", "link c.to a"]);
    for operation in ["mkdir a", "mkdir e", "mkdir c"] {
        assert!(effects(&root, &[operation]).is_empty(), "{operation}");
    }
    assert_eq!(effects(&root, &["mkdir a.n"]), ["mkdir a.n"]);
    assert_eq!(
        effects(&root, &["mkdir v"]),
        ["mkdir v"],
        "a value is replaced"
    );
    assert_eq!(
        effects(&root, &["mkdir l"]),
        ["mkdir l"],
        "and so is a link"
    );
    assert_eq!(effects(&root, &["mkdir l.n"]), ["mkdir a.n"]);
    assert_eq!(effects(&root, &["mkdir v.n"]), ["mkdir v", "mkdir v.n"]);
    let made_before = ["mkdir n", "put n.x 1", "mkdir n"];
    assert_eq!(effects(&root, &made_before), ["mkdir n", "put n.x 1"]);
    let same = try_apply(&root, &["mkdir a", "mkdir e"]).unwrap().root;
    assert_eq!(same.seal(&PARAMS), root.seal(&PARAMS));
}

#[test]
fn what_does_nothing_has_no_effect() {
    let root = tree(&["put a.b 1"]);
    for operation in ["unlink x", "unlink a.b.c", "unlink x.y.z", "move a a"] {
        assert!(effects(&root, &[operation]).is_empty(), "{operation}");
    }
    assert_eq!(
        effects(&root, &["put a.b 1"]),
        ["put a.b 1"],
        "the same again is a change"
    );
}

#[test]
fn moves_inside_their_own_way() {
    let root = tree(&["put a.b.c 1", "put a.d 1", "put v 1"]);
    assert_eq!(refusal(&root, &["move a a.b.x"]), TreeErrorKind::Invalid);
    assert_eq!(refusal(&root, &["copy v v.x"]), TreeErrorKind::Invalid);
    assert_eq!(refusal(&root, &["move v v.x"]), TreeErrorKind::Invalid);
    assert_eq!(
        effects(&root, &["move a.b a"]),
        ["copy a.b a*"],
        "the source went with the target"
    );
    assert_eq!(
        effects(&root, &["copy a a.x.y"]),
        ["mkdir a.x", "copy a a.x.y*"]
    );
}

#[test]
fn refusals_have_their_kinds() {
    let root = tree(&["put d.v 1", "link l d", "put v x", "link far other::d"]);
    for (operations, kind) in [
        (&["put . 1"][..], TreeErrorKind::Invalid),
        (&["unlink ."], TreeErrorKind::Invalid),
        (&["mkdir ."], TreeErrorKind::Invalid),
        (&["link . a"], TreeErrorKind::Invalid),
        (&["copy . a"], TreeErrorKind::Invalid),
        (&["move . a"], TreeErrorKind::Invalid),
        (&["copy d ."], TreeErrorKind::Invalid),
        (&["append d 1"], TreeErrorKind::IsDirectory),
        (&["append l 1"], TreeErrorKind::LinkAppend),
        (&["add d 1"], TreeErrorKind::IsDirectory),
        (&["add l 1"], TreeErrorKind::LinkAppend),
        (&["add v 1"], TreeErrorKind::Invalid),
        (&["copy x y"], TreeErrorKind::NotFound),
        (&["move x y"], TreeErrorKind::NotFound),
        (&["copy v.x y"], TreeErrorKind::NotFound),
        (&["put far.x 1"], TreeErrorKind::Invalid),
        (&["unlink far.x"], TreeErrorKind::Invalid),
        (&["copy far.x y"], TreeErrorKind::Invalid),
        (&["link x ns::", "put y 1"], TreeErrorKind::Invalid),
        (&["object x {}"], TreeErrorKind::BadObject),
    ] {
        assert_eq!(refusal(&root, operations), kind, "{operations:?}");
    }
}

#[test]
fn links_are_followed_in_the_middle_and_replaced_at_the_end() {
    let root = tree(&["mkdir d", "link l d", "link m l.x"]);
    assert_eq!(effects(&root, &["put l.v 1"]), ["put d.v 1"]);
    assert_eq!(effects(&root, &["put m.v 1"]), ["mkdir d.x", "put d.x.v 1"]);
    assert_eq!(effects(&root, &["put l 1"]), ["put l 1"]);
    assert_eq!(effects(&root, &["unlink l"]), ["unlink l"]);
    assert_eq!(effects(&root, &["copy l k"]), ["link k d"]);
    assert_eq!(effects(&root, &["move l k"]), ["link k d", "unlink l"]);
    assert_eq!(effects(&root, &["link k ..d..x."]), ["link k d.x"]);
    let touched = try_apply(&root, &["put m.v 1"]).unwrap().touched;
    assert_eq!(touched, ["d.x.v", "l", "m"].map(key));
}

#[test]
fn touched_holds_all_that_was_read() {
    let root = tree(&["put a.b 1", "link l a"]);
    let transaction = Transaction {
        conditions: vec![
            Condition::Present { key: key("l.b") },
            Condition::Absent { key: key("n") },
        ],
        ..transaction(&["copy a.b c", "unlink nothing.here", "put c 2"])
    };
    let touched = apply(&root, &CTX, &|_| None, &transaction).unwrap().touched;
    assert_eq!(touched, ["a.b", "c", "l", "n", "nothing.here"].map(key));
}

#[test]
fn link_cycles_end_on_reading_and_on_writing() {
    let root = tree(&["link a b", "link b a", "link c c.x"]);
    assert_eq!(refusal(&root, &["put a.x 1"]), TreeErrorKind::LinkLoop);
    assert_eq!(refusal(&root, &["put c.x 1"]), TreeErrorKind::LinkLoop);
    let fault = lookup(&root, &NoSource, &key("a"), true, 0).unwrap_err();
    assert!(matches!(fault, Fault::Tree(error) if error.kind == TreeErrorKind::LinkLoop));
    assert!(
        try_apply(&root, &["put a 1"]).is_ok(),
        "the last link is replaced"
    );
}

#[test]
fn ten_links_are_followed_and_no_more() {
    let mut links: Vec<String> = (0..=LINK_DEPTH)
        .map(|n| format!("link l{n} l{}", n + 1))
        .collect();
    links.push(format!("put l{} 1", LINK_DEPTH + 1));
    let root = tree(&links.iter().map(String::as_str).collect::<Vec<_>>());
    let found = lookup(&root, &NoSource, &key("l1"), true, 0).unwrap();
    assert!(matches!(found, Resolved::Found { links, .. } if links.len() == LINK_DEPTH));
    assert!(lookup(&root, &NoSource, &key("l0"), true, 0).is_err());
    assert!(
        lookup(&root, &NoSource, &key("l1"), true, 1).is_err(),
        "those before count"
    );
    assert!(lookup(&root, &NoSource, &key("l1"), false, 0).is_ok());
}

#[test]
fn a_lookup_ends_at_another_namespace() {
    let root = tree(&["link l other::x.y", "link m l.z"]);
    let found = lookup(&root, &NoSource, &key("m.k"), true, 0).unwrap();
    let Resolved::Elsewhere {
        namespace,
        key: rest,
        followed,
        links,
    } = found
    else {
        panic!("{found:?}");
    };
    assert_eq!(
        (namespace.as_str(), rest, followed),
        ("other", key("x.y.z.k"), 2)
    );
    assert_eq!(links, ["m", "l"].map(key));
    let found = lookup(&root, &NoSource, &key("l"), false, 0).unwrap();
    assert!(matches!(
        found,
        Resolved::Found {
            entry: Entry::Symlink(_),
            ..
        }
    ));
}

#[test]
fn sums_are_exact_or_refused() {
    let root = tree(&["put n 9223372036854775806", "put neg -5"]);
    let sum = |text: &str| try_apply(&root, &[text]).map(|applied| applied.results[0]);
    assert_eq!(sum("add n 1").unwrap(), OperationResult::Added(i64::MAX));
    assert_eq!(sum("add n 2").unwrap_err().kind, TreeErrorKind::Limit);
    assert_eq!(sum("add neg 2").unwrap(), OperationResult::Added(-3));
    assert_eq!(sum("add new.n 4").unwrap(), OperationResult::Added(4));
    assert_eq!(effects(&root, &["add neg 2"]), ["put neg -3"]);
    assert_eq!(
        refusal(&tree(&["put n "]), &["add n 1"]),
        TreeErrorKind::Invalid
    );
    assert_eq!(
        refusal(&tree(&["put n 1 "]), &["add n 1"]),
        TreeErrorKind::Invalid
    );
}

#[test]
fn conditions_are_about_what_a_write_would_replace() {
    let root = tree(&[
        "put a 1",
        "link l a",
        "mkdir d",
        &format!("put long {}", "x".repeat(9000)),
    ]);
    let equals = |name: &str, value: &str| Condition::Equals {
        key: key(name),
        value: value.to_owned().into(),
    };
    for condition in [
        Condition::Absent { key: key("x") },
        Condition::Absent { key: key("a.x") },
        Condition::Present { key: key("a") },
        Condition::Present { key: key("l") },
        Condition::Present { key: key("d") },
        equals("a", "1"),
        equals("long", &"x".repeat(9000)),
        Condition::Unchanged {
            key: key("x"),
            since: 1,
        },
    ] {
        check(&root, vec![condition]).unwrap();
    }
    for condition in [
        Condition::Absent { key: key("a") },
        Condition::Absent { key: key("l") },
        Condition::Present { key: key("x") },
        equals("a", "2"),
        equals("a", "11"),
        equals("l", "1"),
        equals("d", ""),
        equals("x", ""),
        equals("long", &"y".repeat(9000)),
        Condition::Unchanged {
            key: key("a"),
            since: 1,
        },
    ] {
        let Err(Fault::Tree(error)) = check(&root, vec![condition.clone()]) else {
            panic!("{condition:?} holds");
        };
        assert_eq!(error.kind, TreeErrorKind::ConditionFailed, "{error}");
        assert!(error.message.starts_with("condition 0: "), "{error}");
    }
    let fault = check(
        &root,
        vec![Condition::Unchanged {
            key: key("a"),
            since: 7,
        }],
    );
    assert!(matches!(fault, Err(Fault::NeedVersion(7))));
}

#[test]
fn errors_name_the_operation_and_the_key() {
    let root = tree(&["mkdir d"]);
    let error = try_apply(&root, &["put a 1", "append d x"]).unwrap_err();
    assert_eq!(
        error.message,
        "operation 1: append d: nothing can be appended to a directory"
    );
}

#[test]
fn a_transaction_has_a_limit_of_operations() {
    let many = Transaction {
        conditions: Vec::new(),
        operations: vec![operation("unlink x"); TRANSACTION_OPERATIONS + 1],
    };
    let fault = apply(&Directory::empty(), &CTX, &|_| None, &many).unwrap_err();
    assert!(matches!(fault, Fault::Tree(error) if error.kind == TreeErrorKind::Limit));
}

/// A transaction with these conditions and operations on the tree that `before` makes.
fn refusal_on(
    before: &[String],
    conditions: Vec<Condition>,
    operations: Vec<Operation>,
) -> Option<TreeErrorKind> {
    let before = Transaction {
        conditions: Vec::new(),
        operations: before.iter().map(|text| operation(text)).collect(),
    };
    let root = apply(&Directory::empty(), &CTX, &|_| None, &before)
        .unwrap()
        .root;
    let transaction = Transaction {
        conditions,
        operations,
    };
    match apply(&root, &CTX, &|_| Some(root.clone()), &transaction) {
        Ok(_) => None,
        Err(Fault::Tree(error)) => Some(error.kind),
        Err(fault) => panic!("{fault:?}"),
    }
}

#[test]
fn a_transaction_has_a_limit_of_names_with_those_of_links_on_the_way() {
    const LIMIT: Option<TreeErrorKind> = Some(TreeErrorKind::Limit);
    let puts = |count: usize, key: &str| -> Vec<Operation> {
        (0..count)
            .map(|n| operation(&format!("put {key}{n} v")))
            .collect()
    };
    let deep = ["d"; 63].join(".") + ".k";
    let most = TRANSACTION_VISITS / 64;
    assert_eq!(refusal_on(&[], Vec::new(), puts(most, &deep)), None);
    assert_eq!(refusal_on(&[], Vec::new(), puts(most + 1, &deep)), LIMIT);
    // What documents promise: 10,000 keys of six names.
    assert_eq!(
        refusal_on(&[], Vec::new(), puts(10_000, "a.b.c.d.e.f")),
        None
    );
    // Two names each, and ten links of sixty names on the way.
    let long = ["d"; 59].join(".");
    let links: Vec<String> = (0..10)
        .map(|n| format!("link {long}.l{n} {long}.l{}", n + 1))
        .chain([format!("mkdir {long}.l10"), format!("link l {long}.l1")])
        .collect();
    let few = TRANSACTION_VISITS / (1 + 9 * 60 + 61);
    for verb in ["put", "append", "unlink", "mkdir"] {
        let operations = |count: usize| -> Vec<Operation> {
            let one = |n| operation(&format!("{verb} l.{n} v"));
            (0..count).map(one).collect()
        };
        assert_eq!(
            refusal_on(&links, Vec::new(), operations(few)),
            None,
            "{verb}"
        );
        assert_eq!(
            refusal_on(&links, Vec::new(), operations(few + 1)),
            LIMIT,
            "{verb}"
        );
    }
    let absent = |count| vec![Condition::Absent { key: key("l.x") }; count];
    assert_eq!(refusal_on(&links, absent(few), Vec::new()), None);
    assert_eq!(refusal_on(&links, absent(few + 1), Vec::new()), LIMIT);
    // Compared with an old state, which is looked into as well.
    let unchanged = |count| {
        vec![
            Condition::Unchanged {
                key: key("l.x"),
                since: 1
            };
            count
        ]
    };
    assert_eq!(refusal_on(&links, unchanged(few / 2), Vec::new()), None);
    assert_eq!(
        refusal_on(&links, unchanged(few / 2 + 1), Vec::new()),
        LIMIT
    );
}

#[test]
fn doubling_and_nesting_end_at_the_limits() {
    let doubling: Vec<Operation> = (0..100)
        .map(|n| operation(&format!("copy d d.{n}")))
        .collect();
    let nest = |first: &str| -> Vec<Operation> {
        (0..1000)
            .flat_map(|_| [operation(first), operation("move e d")])
            .collect()
    };
    for operations in [doubling, nest("copy d e.d"), nest("move d e.d")] {
        let root = tree(&["put d.v 1"]);
        let transaction = Transaction {
            conditions: Vec::new(),
            operations,
        };
        let fault = apply(&root, &CTX, &|_| None, &transaction).unwrap_err();
        let Fault::Tree(error) = fault else {
            panic!("{fault}")
        };
        assert_eq!(error.kind, TreeErrorKind::Limit, "{error}");
        assert!(error.message.contains("the limit is"), "{error}");
    }
}

#[test]
fn the_deepest_key_can_be_written_and_listed() {
    let deepest = vec!["n"; crate::KEY_NAMES].join(".");
    let root = tree(&[&format!("put {deepest} 1")]);
    assert_eq!(root.stats().depth, DEPTH);
    assert_eq!(
        refusal(&root, &[&format!("mkdir {deepest}")]),
        TreeErrorKind::Limit
    );
    let all = crate::list(
        &root,
        &NoSource,
        &Key::ROOT,
        None,
        crate::Bounds::items(1000),
        true,
        None,
    )
    .unwrap()
    .items;
    assert_eq!(all.last().unwrap().0, key(&deepest));
}

#[test]
fn a_given_directory_is_taken_apart() {
    let json = r#"{"data":{"a":{"data":"MQ==","type":"val","ver":1},"d":{"data":{},"type":"dir","ver":1},"l":{"data":{"target":".x"},"type":"symlink","ver":1}},"type":"dir","ver":1}"#;
    let root = tree(&["put k.old 1"]);
    assert_eq!(
        effects(&root, &[&format!("object k {json}")]),
        ["mkdir k*", "put k.a 1", "mkdir k.d", "link k.l x"]
    );
}

#[test]
fn references_are_asked_for_and_must_fit() {
    let blobref = crate::Blobref::of(HashAlgorithm::Blake3, b"unknown");
    for kind in ["dirref", "valref"] {
        let object = format!(r#"{{"data":["{blobref}"],"type":"{kind}","ver":1}}"#);
        let operation = format!("object k {object}");
        let fault = apply(
            &Directory::empty(),
            &CTX,
            &|_| None,
            &transaction(&[&operation]),
        )
        .unwrap_err();
        assert!(matches!(fault, Fault::Missing(missing) if missing[0].blobref == blobref));
        let other = crate::Blobref::of(HashAlgorithm::Sha1, b"unknown");
        let operation = operation.replace(&blobref.to_string(), &other.to_string());
        assert_eq!(
            refusal(&Directory::empty(), &[&operation]),
            TreeErrorKind::BadObject
        );
    }
    let empty = Directory::empty().seal(&PARAMS);
    let object = format!(r#"object k {{"data":["{empty}"],"type":"dirref","ver":1}}"#);
    assert_eq!(
        effects(&Directory::empty(), &[&object]),
        ["mkdir k"],
        "it is never stored"
    );
}

#[test]
fn diffs_report_what_a_changed_directory_held() {
    let a = tree(&["put d.x.y 1", "put same.z 1", "put v 1"]);
    let b = try_apply(&a, &["put d 1", "put v.w 1", "put same.z 2"])
        .unwrap()
        .root;
    let changes = diff(
        &a,
        &b,
        &NoSource,
        &PARAMS,
        &[],
        &Key::ROOT,
        None,
        crate::Bounds::items(100),
    )
    .unwrap()
    .items;
    let keys: Vec<String> = changes
        .iter()
        .map(|change| change.key.to_string())
        .collect();
    assert_eq!(keys, ["d", "d.x", "d.x.y", "same.z", "v", "v.w"]);
}

#[test]
fn replay_refuses_what_does_not_fit() {
    let root = tree(&["put v 1", "mkdir d", "link l d"]);
    for effect in [
        Effect::Unlink {
            key: key("x"),
            subtree: false,
        },
        Effect::Append {
            key: key("d"),
            value: "1".into(),
        },
        Effect::Append {
            key: key("x"),
            value: "1".into(),
        },
        Effect::Put {
            key: key("v.x"),
            value: "1".into(),
            subtree: false,
        },
        Effect::Put {
            key: key("x.x"),
            value: "1".into(),
            subtree: false,
        },
        Effect::Put {
            key: key("l.x"),
            value: "1".into(),
            subtree: false,
        },
        Effect::Copy {
            from: key("x"),
            to: key("y"),
            subtree: false,
        },
        Effect::Copy {
            from: key("l.x"),
            to: key("y"),
            subtree: false,
        },
    ] {
        let Err(Fault::Tree(error)) = replay(&root, &CTX, std::slice::from_ref(&effect)) else {
            panic!("{effect:?} fits");
        };
        assert_eq!(error.kind, TreeErrorKind::Corrupt, "{error}");
    }
}
