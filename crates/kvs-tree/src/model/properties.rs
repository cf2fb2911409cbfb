//! Random transactions on the model and on the tree.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::scope::any_matches;

type Keys = BoxedStrategy<Key>;

fn name() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        prop::sample::select(vec!["a-b", "d", "\u{e9}"])
    ]
}

fn key_below(first: impl Strategy<Value = &'static str> + 'static) -> Keys {
    (first, vec(name(), 0..4))
        .prop_map(|(first, mut names)| {
            names.insert(0, first);
            Key::parse(&names.join(".")).unwrap()
        })
        .boxed()
}

fn key() -> Keys {
    key_below(name())
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        6 => vec(any::<u8>(), 0..4).prop_map(Bytes::from),
        4 => (-3i64..20).prop_map(|number| Bytes::from(number.to_string())),
        1 => Just(Bytes::from(i64::MAX.to_string())),
        2 => (any::<u8>(), prop::sample::select(vec![127, 128, 129, 1000, 4096, 4097, 20_000]))
            .prop_map(|(fill, len)| Bytes::from(vec![fill; len])),
    ]
}

fn symlink() -> impl Strategy<Value = Symlink> {
    let target = prop_oneof![9 => key(), 1 => Just(Key::ROOT)];
    (option::weighted(0.05, Just("other")), target).prop_map(|(namespace, target)| Symlink {
        namespace: namespace.map(Into::into),
        target: target.as_str().into(),
    })
}

fn operation(key: Keys) -> impl Strategy<Value = Operation> {
    let key = || key.clone();
    prop_oneof![
        6 => (key(), bytes()).prop_map(|(key, value)| Operation::Put { key, value }),
        3 => (key(), bytes()).prop_map(|(key, value)| Operation::Append { key, value }),
        2 => key().prop_map(|key| Operation::Unlink { key }),
        2 => key().prop_map(|key| Operation::Mkdir { key }),
        3 => (key(), symlink()).prop_map(|(key, target)| Operation::Link { key, target }),
        3 => (key(), key()).prop_map(|(from, to)| Operation::Copy { from, to }),
        3 => (key(), key()).prop_map(|(from, to)| Operation::Move { from, to }),
        2 => (key(), -5i64..5).prop_map(|(key, delta)| Operation::Add { key, delta }),
        1 => (Just(Key::ROOT), bytes()).prop_map(|(key, value)| Operation::Put { key, value }),
    ]
}

fn condition(key: Keys, versions: u64) -> impl Strategy<Value = Condition> {
    let key = || key.clone();
    prop_oneof![
        key().prop_map(|key| Condition::Absent { key }),
        key().prop_map(|key| Condition::Present { key }),
        (key(), bytes()).prop_map(|(key, value)| Condition::Equals { key, value }),
        (key(), 0..versions).prop_map(|(key, since)| Condition::Unchanged { key, since }),
    ]
}

fn transaction(key: Keys, version: u64) -> impl Strategy<Value = Transaction> {
    let conditions = prop_oneof![
        3 => Just(Vec::new()).boxed(),
        1 => vec(condition(key.clone(), version + 1), 1..3).boxed(),
    ];
    // Transactions of one operation have their own code path.
    let operations = prop_oneof![vec(operation(key.clone()), 1..2), vec(operation(key), 2..5)];
    (conditions, operations).prop_map(|(conditions, operations)| Transaction {
        conditions,
        operations,
    })
}

/// One transaction per version, and whether everything is stored and evicted before it.
fn history() -> impl Strategy<Value = Vec<(Transaction, bool)>> {
    (1..12u64).prop_flat_map(|versions| {
        (0..versions)
            .map(|version| (transaction(key(), version), prop::bool::weighted(0.3)))
            .collect::<Vec<_>>()
    })
}

/// Transactions on a directory large enough to be split, in its own tree.
fn wide_history() -> impl Strategy<Value = Vec<(Transaction, bool)>> {
    let wide = (prop::sample::select(vec!["w", "x"]), 0..400u32)
        .prop_map(|(first, number)| Key::parse(&format!("{first}.{number}")).unwrap());
    let first = vec((0..400u32, bytes()), 0..300).prop_map(|entries| {
        let puts = entries.into_iter().map(|(number, value)| Operation::Put {
            key: Key::parse(&format!("w.{number}")).unwrap(),
            value,
        });
        let copy = Operation::Copy {
            from: Key::parse("w").unwrap(),
            to: Key::parse("x").unwrap(),
        };
        let mkdir = Operation::Mkdir {
            key: Key::parse("w").unwrap(),
        };
        let operations = [mkdir].into_iter().chain(puts).chain([copy]).collect();
        Transaction {
            conditions: Vec::new(),
            operations,
        }
    });
    let keys = prop_oneof![20 => wide.boxed(), 1 => key()].boxed();
    let rest = vec((transaction(keys, 0), prop::bool::weighted(0.3)), 1..6);
    (first, rest).prop_map(|(first, rest)| [(first, false)].into_iter().chain(rest).collect())
}

fn scope() -> impl Strategy<Value = Scope> {
    let part = prop_oneof![3 => name(), 1 => Just("*"), 1 => Just("**"), 1 => Just("[a-b]")];
    prop_oneof![
        key().prop_map(Scope::Key),
        key().prop_map(Scope::Directory),
        vec(part, 1..4).prop_map(|parts| Scope::parse(&parts.join(".")).unwrap()),
    ]
}

/// Models and trees of all versions of a history; a refused transaction creates none.
fn run(store: &Store, history: &[(Transaction, bool)]) -> Vec<(Model, Directory)> {
    let mut versions = vec![(Model::default(), Directory::empty())];
    let mut effects = vec![Vec::new()];
    // Uniquely owned, so that writes happen in place where possible.
    let mut head = Directory::empty();
    for (transaction, checkpoint) in history {
        let (model, mut root) = versions.last().unwrap().clone();
        if *checkpoint {
            root = store.checkpoint(&root);
            head = store.checkpoint(&head);
        }
        let transaction = &clamp(transaction, versions.len());
        let models: Vec<Model> = versions.iter().map(|(model, _)| model.clone()).collect();
        let roots: Vec<Directory> = versions.iter().map(|(_, root)| root.clone()).collect();
        let expected = model.apply(&models, transaction);
        let applied = store.apply(&root, &roots, transaction);
        check_in_place(store, &mut head, &roots, transaction, &applied);
        match (expected, applied) {
            (Ok((next, results)), Ok(applied)) => {
                assert_eq!(store.contents(&applied.root), next, "{transaction:#?}");
                assert_eq!(applied.results, results);
                check_hash(store, &next, &applied.root);
                check_replay(store, &root, &applied);
                check_coverage(store, &root, &applied);
                versions.push((next, applied.root));
                effects.push(applied.effects);
            }
            (Err(kind), Err(error)) => assert_eq!(kind, error.kind, "{error} {transaction:#?}"),
            (expected, applied) => {
                panic!(
                    "{expected:?}, but {:?} of {transaction:#?}",
                    applied.map(|one| one.effects)
                )
            }
        }
        assert_eq!(
            store.contents(&root),
            model,
            "what a transaction worked on is as it was"
        );
    }
    check_batches(store, &versions, &effects);
    versions
}

/// An in-place write has the same outcome; otherwise the applied tree replaces `head`.
fn check_in_place(
    store: &Store,
    head: &mut Directory,
    past: &[Directory],
    transaction: &Transaction,
    applied: &Result<Applied, TreeError>,
) {
    match (store.write(head, past, transaction), applied) {
        (Ok(Some(written)), Ok(applied)) => {
            assert_eq!(written.effects, applied.effects);
            assert_eq!(written.results, applied.results);
            assert_eq!(written.touched, applied.touched);
        }
        (Ok(None), Ok(applied)) => *head = applied.root.clone(),
        (Err(error), Err(wanted)) => assert_eq!(&error, wanted),
        (Ok(None), Err(_)) => {}
        (written, applied) => panic!("{written:?}, but {applied:?} of {transaction:#?}"),
    }
    if let Ok(applied) = applied {
        assert_eq!(head.seal(&PARAMS), applied.root.seal(&PARAMS));
        assert_eq!(head.stats(), applied.root.stats());
    }
}

/// Replaying many transactions at once produces the last version: from the first, and from the
/// middle with nothing at hand.
fn check_batches(store: &Store, versions: &[(Model, Directory)], effects: &[Vec<Effect>]) {
    let last = versions.last().unwrap().1.seal(&PARAMS);
    let all = store.replay(&versions[0].1, &effects.concat());
    assert_eq!(all.seal(&PARAMS), last, "{effects:#?}");
    let middle = (versions.len() - 1) / 2;
    let from_disk = store.checkpoint(&versions[middle].1);
    let rest = store.replay(&from_disk, &effects[middle + 1..].concat());
    assert_eq!(rest.seal(&PARAMS), last, "{effects:#?} from {middle}");
}

/// The transaction, with its conditions limited to existing versions.
fn clamp(transaction: &Transaction, versions: usize) -> Transaction {
    let mut transaction = transaction.clone();
    for condition in &mut transaction.conditions {
        if let Condition::Unchanged { since, .. } = condition {
            *since %= versions as u64;
        }
    }
    transaction
}

fn check_hash(store: &Store, model: &Model, root: &Directory) {
    let hash = root.seal(&PARAMS);
    for backwards in [false, true] {
        let built = model.build(store, backwards);
        assert_eq!(built.seal(&PARAMS), hash, "same content, same hash");
        assert_eq!(built.stats(), root.stats());
    }
    assert_eq!(root.stats().entries, model.0.len() as u64);
    let bytes = model.0.values().map(|thing| match thing {
        Thing::Value(value) => value.len() as u64,
        Thing::Directory | Thing::Link(_) => 0,
    });
    assert_eq!(root.stats().bytes, bytes.sum::<u64>());
}

/// Replaying the effects, decoded from their stored form, produces the same root.
fn check_replay(store: &Store, root: &Directory, applied: &Applied) {
    let stored = rmp_serde::to_vec(&applied.effects).unwrap();
    let effects: Vec<Effect> = rmp_serde::from_slice(&stored).unwrap();
    assert_eq!(effects, applied.effects);
    let replayed = store.replay(root, &effects);
    assert_eq!(
        replayed.seal(&PARAMS),
        applied.root.seal(&PARAMS),
        "{effects:#?}"
    );
    let from_disk = store.replay(&store.checkpoint(root), &effects);
    assert_eq!(from_disk.seal(&PARAMS), applied.root.seal(&PARAMS));
}

/// Every changed key is covered by the effects, as a watch needs, and by the touched keys.
fn check_coverage(store: &Store, root: &Directory, applied: &Applied) {
    for (key, _, _) in store.diff(root, &applied.root, &[], &Key::ROOT, Bounds::items(1000)) {
        let seen = applied
            .effects
            .iter()
            .any(|effect| *effect.key() == key || effect.subtree() && key.is_below(effect.key()));
        assert!(seen, "{key} changed unseen: {:#?}", applied.effects);
        let touched = applied
            .touched
            .iter()
            .any(|touched| touched.starts_with(&key) || key.starts_with(touched));
        assert!(touched, "{key} changed untouched: {:?}", applied.touched);
    }
    assert!(applied.touched.is_sorted_by(|a, b| a < b));
}

/// Steps of every length: a walk finds the same items however it is split.
fn bounds() -> impl Strategy<Value = Bounds> {
    let visits = prop_oneof![0..20usize, Just(usize::MAX)];
    (1..5usize, visits).prop_map(|(items, visits)| Bounds { items, visits })
}

fn check_diff(
    store: &Store,
    (model_a, a): (&Model, &Directory),
    (model_b, b): (&Model, &Directory),
    (scopes, below, bounds): (&[Scope], &Key, Bounds),
) {
    let all: BTreeSet<&Key> = model_a.0.keys().chain(model_b.0.keys()).collect();
    let expected: Vec<_> = all
        .into_iter()
        .filter(|key| model_a.0.get(*key) != model_b.0.get(*key))
        .filter(|key| key.is_below(below) && any_matches(scopes, key))
        .map(|key| {
            (
                key.clone(),
                model_a.0.get(key).cloned(),
                model_b.0.get(key).cloned(),
            )
        })
        .collect();
    assert_eq!(store.diff(a, b, scopes, below, bounds), expected);
}

fn in_conflict(a: &[Key], b: &[Key]) -> bool {
    a.iter()
        .any(|a| b.iter().any(|b| a.starts_with(b) || b.starts_with(a)))
}

/// Whether two lookups have the same result.
fn same_end(one: &Result<Resolved, Fault>, two: &Result<Resolved, Fault>) -> bool {
    use Resolved::{Absent, Elsewhere, Found};
    match (one, two) {
        (
            Ok(Found {
                entry: a, key: b, ..
            }),
            Ok(Found { entry, key, .. }),
        ) => {
            // The totals of a root are only in its node.
            b == key && (key.is_root() || a.same(entry, &PARAMS))
        }
        (Ok(Absent { key: a, .. }), Ok(Absent { key, .. })) => a == key,
        (
            Ok(Elsewhere {
                namespace: a,
                key: b,
                ..
            }),
            Ok(Elsewhere { namespace, key, .. }),
        ) => a == namespace && b == key,
        (Err(Fault::Tree(a)), Err(Fault::Tree(b))) => a.kind == b.kind,
        _ => false,
    }
}

proptest! {
    #[test]
    fn transactions_do_what_the_model_does(history in history()) {
        run(&Store::default(), &history);
    }

    #[test]
    fn lookups_find_what_the_model_has(history in history(), keys in vec(key(), 20)) {
        let store = Store::default();
        for (model, root) in run(&store, &history) {
            for key in &keys {
                let seen = store.try_get_inline(&root, key);
                match (model.resolve(key, false), seen) {
                    (Ok(resolved), Some(bytes)) if resolved == *key => {
                        prop_assert_eq!(model.0.get(key), Some(&Thing::Value(bytes)));
                    }
                    (Ok(resolved), None) if resolved == *key => {
                        prop_assert!(!matches!(model.0.get(key), Some(Thing::Value(_))));
                    }
                    (_, seen) => prop_assert_eq!(seen, None),
                }
                for follow in [false, true] {
                    let found = store.lookup(&root, key, follow);
                    match (model.resolve(key, follow), found) {
                        (Ok(resolved), Ok(Resolved::Found { entry, key, .. })) => {
                            prop_assert_eq!(&resolved, &key);
                            match model.0.get(&key) {
                                Some(thing) => prop_assert_eq!(thing, &store.thing(&entry)),
                                None => prop_assert!(key.is_root()),
                            }
                        }
                        (Ok(resolved), Ok(Resolved::Absent { key, .. })) => {
                            prop_assert_eq!(&resolved, &key);
                            prop_assert!(!model.0.contains_key(&key));
                        }
                        (Err(TreeErrorKind::Invalid), Ok(Resolved::Elsewhere { namespace, .. })) => {
                            prop_assert_eq!(namespace, "other");
                        }
                        (Err(kind), Err(error)) => prop_assert_eq!(kind, error.kind),
                        (model, tree) => prop_assert!(false, "{:?} but {:?}", model, tree),
                    }
                }
            }
        }
    }

    #[test]
    fn the_nodes_on_the_way_to_a_key_are_what_a_lookup_of_it_takes(history in history(), keys in vec(key(), 10)) {
        let store = Store::default();
        let Some((_, root)) = run(&store, &history).pop() else { return Ok(()) };
        for root in [store.checkpoint(&root), root] {
            let stored = Directory::stored(root.seal(&PARAMS), Stats::EMPTY);
            for key in &keys {
                let whole = store.path(&root, key);
                for first in 0..=whole.nodes.len() {
                    let alone = Store::default();
                    for (blobref, node) in whole.nodes.iter().take(first) {
                        let bytes = node.encode(&PARAMS);
                        prop_assert_eq!(Blobref::of(PARAMS.algorithm, &bytes), *blobref);
                        let node = Node::decode(PARAMS.algorithm, &bytes).unwrap();
                        alone.nodes.borrow_mut().insert(*blobref, Arc::new(node));
                    }
                    let way = path(&stored, &alone.ctx(), key);
                    prop_assert_eq!(way.nodes.len(), first);
                    match (way.end, whole.nodes.get(first)) {
                        (Err(Fault::Missing(missing)), Some((next, _))) => {
                            prop_assert!(missing.iter().any(|one| one.blobref == *next));
                        }
                        (end, None) => prop_assert!(same_end(&end, &whole.end), "{:?} for {:?}", end, whole.end),
                        (end, Some(_)) => prop_assert!(false, "{:?} with too few nodes", end),
                    }
                }
            }
        }
    }

    #[test]
    fn listings_page_filter_and_end(
        history in history(),
        dir in key(),
        scope in option::of(scope()),
        bounds in bounds(),
        recursive in any::<bool>(),
    ) {
        let store = Store::default();
        let (model, root) = run(&store, &history).pop().unwrap();
        for dir in [Key::ROOT, dir] {
            if !dir.is_root() && model.0.get(&dir) != Some(&Thing::Directory) {
                let result = store.run(|ctx| list(&root, ctx.source, &dir, None, Bounds::items(1), true, None));
                let through = (1..dir.depth()).all(|count| {
                    model.0.get(&dir.prefix(count)).is_none_or(|it| *it == Thing::Directory)
                });
                let expected = match model.0.contains_key(&dir) || !through {
                    true => TreeErrorKind::NotDirectory,
                    false => TreeErrorKind::NotFound,
                };
                prop_assert_eq!(result.unwrap_err().kind, expected);
                continue;
            }
            let expected: Vec<(Key, Thing)> = model
                .0
                .iter()
                .filter(|(key, _)| key.is_below(&dir))
                .filter(|(key, _)| recursive || key.depth() == dir.depth() + 1)
                .filter(|(key, _)| scope.as_ref().is_none_or(|scope| scope.matches(key)))
                .map(|(key, thing)| (key.clone(), thing.clone()))
                .collect();
            prop_assert_eq!(store.list(&root, &dir, bounds, recursive, scope.as_ref()), expected);
        }
    }

    #[test]
    fn diffs_are_the_differences_of_the_models(
        history in history(),
        scopes in vec(scope(), 0..3),
        below in prop_oneof![Just(Key::ROOT), key()],
        bounds in bounds(),
    ) {
        let store = Store::default();
        let versions = run(&store, &history);
        let (model_b, b) = versions.last().unwrap();
        for (model_a, a) in &versions {
            check_diff(&store, (model_a, a), (model_b, b), (&scopes, &below, bounds));
        }
    }

    #[test]
    fn a_diff_applied_to_one_side_gives_the_other(history in history()) {
        let store = Store::default();
        let versions = run(&store, &history);
        let (_, b) = versions.last().unwrap();
        for (_, a) in &versions {
            let changes = store.diff(a, b, &[], &Key::ROOT, Bounds::items(1000));
            let effects: Vec<Effect> = changes
                .into_iter()
                .map(|(key, _, after)| match after {
                    None => Effect::Unlink { key, subtree: false },
                    Some(Thing::Directory) => Effect::Mkdir { key, subtree: false },
                    Some(Thing::Link(target)) => Effect::Link { key, target, subtree: false },
                    Some(Thing::Value(value)) => {
                        Effect::Put { key, value: value.into(), subtree: false }
                    }
                })
                .collect();
            // Entries below a removed directory are gone with it.
            let mut gone: Option<Key> = None;
            let mut tree = a.clone();
            for effect in &effects {
                let key = effect.key().clone();
                if gone.as_ref().is_some_and(|gone| key.is_below(gone)) {
                    continue;
                }
                gone = (!matches!(effect, Effect::Mkdir { .. })).then_some(key);
                tree = store.replay(&tree, std::slice::from_ref(effect));
            }
            prop_assert_eq!(tree.seal(&PARAMS), b.seal(&PARAMS));
        }
    }

    #[test]
    fn transactions_that_do_not_conflict_commute(
        history in history(),
        first in transaction(key_below(prop::sample::select(vec!["a", "b"])), 0),
        second in transaction(key_below(prop::sample::select(vec!["c", "d"])), 0),
    ) {
        let store = Store::default();
        let (_, root) = run(&store, &history).pop().unwrap();
        let roots = [root.clone()];
        let Ok(one) = store.apply(&root, &roots, &first) else { return Ok(()) };
        let Ok(two) = store.apply(&one.root, &roots, &second) else { return Ok(()) };
        if in_conflict(&one.touched, &two.touched) {
            return Ok(());
        }
        let other_two = store.apply(&root, &roots, &second).unwrap();
        let other_one = store.apply(&other_two.root, &roots, &first).unwrap();
        prop_assert_eq!(&other_two.results, &two.results);
        prop_assert_eq!(&other_one.results, &one.results);
        prop_assert_eq!(&other_two.touched, &two.touched);
        prop_assert_eq!(other_one.root.seal(&PARAMS), two.root.seal(&PARAMS));
    }

    #[test]
    fn what_is_printed_as_a_tree_object_can_be_put_back(history in history(), to in key()) {
        let store = Store::default();
        let (model, root) = run(&store, &history).pop().unwrap();
        let root = store.checkpoint(&root);
        let Ok(resolved) = model.write_key(&to) else { return Ok(()) };
        for from in model.0.keys() {
            let Resolved::Found { entry, .. } = store.lookup(&root, from, false).unwrap() else {
                panic!("{from} is there");
            };
            let json = store.run(|ctx| to_json(&entry, ctx)).unwrap();
            let operation = Operation::PutObject { key: to.clone(), object: json.clone().into() };
            let transaction = Transaction { operations: vec![operation], ..Default::default() };
            let applied = store.apply(&root, &[], &transaction).unwrap();
            let mut expected = model.clone();
            let things = model.take(from);
            expected.paste(&resolved, &things);
            prop_assert_eq!(store.contents(&applied.root), expected.clone());
            check_hash(&store, &expected, &applied.root);
            check_replay(&store, &root, &applied);
            check_coverage(&store, &root, &applied);
            let Resolved::Found { entry, .. } =
                store.lookup(&applied.root, &resolved, false).unwrap()
            else {
                panic!("{to} is there");
            };
            prop_assert_eq!(store.run(|ctx| to_json(&entry, ctx)).unwrap(), json);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn split_directories_do_too(history in wide_history(), limit in 50..200usize) {
        let store = Store::default();
        let versions = run(&store, &history);
        let (model_b, b) = versions.last().unwrap();
        for (model_a, a) in &versions {
            let all: Vec<(Key, Thing)> = model_a.0.clone().into_iter().collect();
            prop_assert_eq!(store.list(a, &Key::ROOT, Bounds::items(limit), true, None), all);
            check_diff(&store, (model_a, a), (model_b, b), (&[], &Key::ROOT, Bounds::items(limit)));
        }
    }
}

#[test]
fn steps_load_what_they_need_and_no_more() {
    let store = Store::default();
    let put = |number: u32, value: &str| Operation::Put {
        key: Key::parse(&format!("w.{number}.v")).unwrap(),
        value: value.to_owned().into(),
    };
    let transaction = |operations: Vec<Operation>| Transaction {
        conditions: Vec::new(),
        operations,
    };
    let mut a = Directory::empty();
    for start in [0, 10_000] {
        let puts = (start..start + 10_000)
            .map(|number| put(number, "1"))
            .collect();
        a = store.apply(&a, &[], &transaction(puts)).unwrap().root;
    }
    let a = store.checkpoint(&a);
    let loads = |what: &str, most: usize| {
        let loaded = store.nodes.borrow().len();
        assert!((1..=most).contains(&loaded), "{what} loaded {loaded} nodes");
        store.nodes.borrow_mut().clear();
    };

    let b = store
        .apply(&a, &[], &transaction(vec![put(777, "2")]))
        .unwrap()
        .root;
    loads("a put", 6);
    let b = store.checkpoint(&b);
    assert_eq!(
        store.diff(&a, &b, &[], &Key::ROOT, Bounds::items(10)).len(),
        1
    );
    loads("a diff of one value", 12);
    let one = Scope::Key(Key::parse("w.5.v").unwrap());
    let gone = Directory::empty();
    assert_eq!(
        store
            .diff(
                &b,
                &gone,
                std::slice::from_ref(&one),
                &Key::ROOT,
                Bounds::items(10)
            )
            .len(),
        1
    );
    loads("a diff of all that is asked for one key", 6);
    assert_eq!(
        store
            .list(&b, &Key::ROOT, Bounds::items(10), true, Some(&one))
            .len(),
        1
    );
    loads("a listing that is asked for one key", 6);
    let w = Key::parse("w").unwrap();
    assert_eq!(
        store
            .run(|ctx| list(&b, ctx.source, &w, None, Bounds::items(10), false, None))
            .unwrap()
            .items
            .len(),
        10
    );
    loads("a page", 8);
    let mut rounds = 0;
    let many = transaction((0..100).map(|number| put(number * 199, "3")).collect());
    store
        .run(|ctx| {
            rounds += 1;
            apply(&b, ctx, &|_| None, &many)
        })
        .unwrap();
    assert!(
        rounds < 10,
        "objects of all operations are asked for together, not in {rounds} rounds"
    );
    store.nodes.borrow_mut().clear();
    let put = |number: u32| Effect::Put {
        key: Key::parse(&format!("w.{number}.v")).unwrap(),
        value: "4".into(),
        subtree: false,
    };
    let effects: Vec<_> = (0..100).map(|number| put(number * 199)).collect();
    let mut rounds = 0;
    store
        .run(|ctx| {
            rounds += 1;
            replay(&b, ctx, &effects)
        })
        .unwrap();
    assert!(rounds < 10, "so for replay, not in {rounds} rounds");
}
