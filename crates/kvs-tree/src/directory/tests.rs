//! Directories: golden names, equal names whatever the history, pages, and the cost of edits.

use super::levels::Mark;
use super::*;
use crate::hash::HashAlgorithm;
use crate::limits::{FLAT_MAX, HASHED_HEIGHTS, HEIGHT_MAX, INNER_MAX, LEAF_MAX};
use crate::node::{Symlink, Value};
use crate::source::NoSource;
use crate::testing::{MapSource, PARAMS};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

const CTX: Ctx<'static> = Ctx {
    source: &NoSource,
    params: &PARAMS,
};

fn value(text: &str) -> Entry {
    Entry::Value(Value::new(&PARAMS, Bytes::copy_from_slice(text.as_bytes())))
}

fn put(
    directory: &mut Directory,
    ctx: &Ctx<'_>,
    name: &str,
    entry: Option<Entry>,
) -> Result<(), Fault> {
    directory.update(ctx, name, &mut |slot| {
        *slot = entry.clone();
        Ok(())
    })
}

fn built(model: &BTreeMap<SmolStr, Entry>) -> Directory {
    Directory::from_entries(&PARAMS, model.clone()).unwrap()
}

/// Checks sizes, order, heights and totals of all nodes; returns the height.
fn check(directory: &Directory) -> u8 {
    fn node(this: &Node) -> Stats {
        match &this.body {
            Body::Leaf(leaf) => {
                assert!(leaf.entries.len() <= LEAF_MAX);
                assert!(leaf.entries.windows(2).all(|two| two[0].0 < two[1].0));
                assert_eq!(Leaf::new(leaf.entries.clone()).stats, leaf.stats);
            }
            Body::Inner(inner) => {
                assert!((1..=INNER_MAX).contains(&inner.children.len()));
                assert!(
                    inner
                        .children
                        .windows(2)
                        .all(|two| two[0].first < two[1].first)
                );
                let sum = crate::node::Inner::new(inner.height, inner.children.clone());
                assert_eq!((sum.len, sum.stats), (inner.len, inner.stats));
                for child in &inner.children {
                    let NodeRef::Loaded(below) = &child.link else {
                        continue;
                    };
                    assert_eq!(below.height() + 1, inner.height);
                    assert_eq!(below.len(), child.len);
                    assert_eq!(below.first(), Some(&child.first));
                    assert_eq!(node(below), child.stats);
                }
            }
            Body::Chunks(_) => panic!(),
        }
        this.stats()
    }
    let top = directory.link.load(&NoSource).unwrap();
    assert!(top.height() <= HEIGHT_MAX);
    assert_eq!(node(&top), directory.stats);
    top.height()
}

/// Names chosen favourably or unfavourably for the cuts of this split key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Plain,
    /// No natural cuts.
    Uncut,
    /// No natural cuts, and marks rise with the names: cutting at the smallest splits off one name
    /// at a time.
    Rising,
    /// Every name begins a leaf.
    Cuts,
}

const FAMILIES: [Family; 4] = [Family::Plain, Family::Uncut, Family::Rising, Family::Cuts];

fn names(family: Family) -> &'static [SmolStr] {
    static NAMES: OnceLock<[Vec<SmolStr>; 4]> = OnceLock::new();
    let all = NAMES.get_or_init(|| {
        let level = |name: &SmolStr| Mark::of(name, &PARAMS).level();
        let all = (0..).map(|at: u32| SmolStr::from(at.wrapping_mul(2_654_435_769).to_string()));
        let plain: Vec<SmolStr> = all.clone().take(3000).collect();
        let uncut = plain
            .iter()
            .filter(|name| level(name) == 0)
            .cloned()
            .collect();
        let cuts = all.filter(|name| level(name) > 0).take(600).collect();
        let mut rising = Vec::new();
        for step in 0..1500u64 {
            let low = (1 << 60) + step * ((u64::MAX - (1 << 60)) / 1500);
            let name = (0u32..)
                .map(|at| SmolStr::from(format!("{step:05}-{at}")))
                .find(|name| {
                    let mark = Mark::of(name, &PARAMS).0;
                    mark >= low && (mark - low) < (1 << 60)
                });
            rising.push(name.unwrap());
        }
        [plain, uncut, rising, cuts]
    });
    &all[family as usize]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_arrives_at_the_directory_built_from_its_entries(
        family in prop::sample::select(&FAMILIES[..]),
        size in prop_oneof![0usize..140, 0usize..1500],
        seed in any::<u64>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0u8..5), 1..60),
    ) {
        let names = names(family);
        let mut model = BTreeMap::new();
        let mut at = seed;
        while model.len() < size.min(names.len() * 2 / 3) {
            at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            model.insert(names[(at >> 33) as usize % names.len()].clone(), value("old"));
        }
        let mut directory = built(&model);
        let source = MapSource::default();
        let ctx = Ctx { source: &source, params: &PARAMS };
        if seed % 2 == 0 {
            directory = source.write(&directory, &PARAMS);
        }
        for (index, kind) in edits {
            let mut name = names[index.index(names.len())].clone();
            if kind < 2 && !model.is_empty() {
                name = model.keys().nth(index.index(model.len())).unwrap().clone();
            }
            let entry = match kind {
                0 => None,
                1 | 2 => Some(value("new value")),
                3 => Some(Entry::Directory(built(&model.iter().take(3).map(|(n, e)| (n.clone(), e.clone())).collect()))),
                _ => Some(Entry::Symlink(Symlink { namespace: None, target: "a.b".into() })),
            };
            let before = directory.clone();
            let old = before.seal(&PARAMS);
            directory = source.run(|| {
                let mut directory = before.clone();
                put(&mut directory, &ctx, &name, entry.clone())?;
                Ok(directory)
            });
            let was = match entry {
                Some(entry) => model.insert(name.clone(), entry),
                None => model.remove(&name),
            };
            let fresh = built(&model);
            prop_assert_eq!(directory.stats(), fresh.stats());
            prop_assert_eq!(directory.seal(&PARAMS), fresh.seal(&PARAMS), "{:?} {}", family, name);
            prop_assert_eq!(before.seal(&PARAMS), old, "the directory before is unchanged");
            let got = source.run(|| directory.get(&source, &name));
            prop_assert_eq!(got.is_some(), model.contains_key(&name));
            let changes = source.run(|| before.changes(&directory, &ctx, None, 10));
            let same = match (&was, model.get(&name)) {
                (Some(one), Some(two)) => one.same(two, &PARAMS),
                (None, None) => true,
                _ => false,
            };
            prop_assert_eq!(changes.len(), usize::from(!same));
            prop_assert!(changes.iter().all(|change| change.name == name));
        }
        prop_assert_eq!(source.run(|| directory.len(&source)), model.len() as u64);
    }

    #[test]
    fn changes_are_all_differences_in_pages(
        family in prop::sample::select(&FAMILIES[..]),
        size in 0usize..900,
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0u8..3), 0..40),
        limit in 1usize..20,
    ) {
        let names = names(family);
        let one: BTreeMap<SmolStr, Entry> =
            names.iter().take(size).map(|name| (name.clone(), value("old"))).collect();
        let mut two = one.clone();
        for (index, kind) in picks {
            let name = names[index.index(names.len())].clone();
            match kind {
                0 => drop(two.remove(&name)),
                _ => drop(two.insert(name, value("new"))),
            }
        }
        let source = MapSource::default();
        let ctx = Ctx { source: &source, params: &PARAMS };
        let (a, b) = (source.write(&built(&one), &PARAMS), source.write(&built(&two), &PARAMS));
        let expected: Vec<(SmolStr, bool, bool)> = names.iter().collect::<std::collections::BTreeSet<_>>().into_iter()
            .filter(|name| match (one.get(*name), two.get(*name)) {
                (Some(one), Some(two)) => !one.same(two, &PARAMS),
                (None, None) => false,
                _ => true,
            })
            .map(|name| (name.clone(), one.contains_key(name), two.contains_key(name)))
            .collect();
        let mut found: Vec<(SmolStr, bool, bool)> = Vec::new();
        loop {
            let after = found.last().map(|(name, ..)| name.clone());
            let page = source.run(|| a.changes(&b, &ctx, after.as_deref(), limit));
            prop_assert!(page.len() <= limit);
            let end = page.len() < limit;
            found.extend(page.into_iter().map(|c| (c.name, c.before.is_some(), c.after.is_some())));
            if end {
                break;
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn bytes_that_are_not_canonical_are_refused(
        size in 0usize..300,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut model = BTreeMap::new();
        for (at, name) in names(Family::Plain).iter().take(size).enumerate() {
            model.insert(name.clone(), match at % 5 {
                0 => value("a value"),
                1 => Entry::Value(Value::new(&PARAMS, vec![at as u8; 300].into())),
                2 => Entry::Directory(Directory::empty()),
                3 => Entry::Symlink(Symlink { namespace: Some("other".into()), target: "a.b".into() }),
                _ => Entry::Symlink(Symlink { namespace: None, target: ".".into() }),
            });
        }
        let mut objects = vec![Node::new(Body::Leaf(Leaf::new(Vec::new()))).encode(&PARAMS)];
        built(&model).unwritten(&PARAMS, &|_| false, &mut |_, kind, bytes| {
            if kind == ObjectKind::Node {
                objects.push(bytes);
            }
        });
        for bytes in objects {
            let whole = Node::decode(PARAMS.algorithm, &bytes).unwrap();
            prop_assert_eq!(whole.encode(&PARAMS), bytes.clone());
            let mut changed = bytes.to_vec();
            if cut {
                changed.truncate(at.index(bytes.len()));
            } else {
                changed[at.index(bytes.len())] = byte;
            }
            let changed = Bytes::from(changed);
            if let Ok(node) = Node::decode(PARAMS.algorithm, &changed) {
                prop_assert_eq!(node.encode(&PARAMS), changed);
            }
        }
    }

    #[test]
    fn random_bytes_are_never_decoded_otherwise(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let bytes = Bytes::from(bytes);
        if let Ok(node) = Node::decode(PARAMS.algorithm, &bytes) {
            prop_assert_eq!(node.encode(&PARAMS), bytes);
        }
    }
}

#[test]
fn a_directory_grows_and_shrinks_through_all_its_forms() {
    for family in FAMILIES {
        let names = &names(family)[..400];
        let mut model = BTreeMap::new();
        let mut directory = Directory::empty();
        let mut step = |name: &SmolStr, entry: Option<Entry>| {
            put(&mut directory, &CTX, name, entry.clone()).unwrap();
            match entry {
                Some(entry) => drop(model.insert(name.clone(), entry)),
                None => drop(model.remove(name)),
            }
            check(&directory);
            assert_eq!(
                directory.seal(&PARAMS),
                built(&model).seal(&PARAMS),
                "{family:?} {name}"
            );
            if model.len() <= FLAT_MAX {
                assert_eq!(directory.link.load(&NoSource).unwrap().height(), 0);
            }
        };
        names.iter().for_each(|name| step(name, Some(value(name))));
        names.iter().for_each(|name| step(name, None));
        assert!(directory.is_empty());
        assert!(directory.same(&Directory::empty(), &PARAMS));
    }
}

#[test]
fn names_chosen_with_the_key_leave_nodes_small_and_heights_bounded() {
    for family in FAMILIES {
        let model = names(family)
            .iter()
            .map(|name| (name.clone(), value(name)))
            .collect();
        let height = check(&built(&model));
        let bound = if family == Family::Rising {
            HASHED_HEIGHTS + 2
        } else {
            5
        };
        assert!(height <= bound, "{family:?}: {height}");
    }
}

#[test]
fn names_chosen_for_another_key_cost_one_short_path() {
    let other = StoreParams {
        split_key: [99; 32],
        ..PARAMS
    };
    let chosen = (0..).map(|at: u32| SmolStr::from(at.to_string()));
    let chosen = chosen
        .filter(|name| Mark::of(name, &other).level() == 0)
        .take(20_000);
    let model: BTreeMap<SmolStr, Entry> = chosen.map(|name| (name, value("x"))).collect();
    let source = MapSource::default();
    let ctx = Ctx {
        source: &source,
        params: &PARAMS,
    };
    let stored = source.write(&built(&model), &PARAMS);
    for (at, name) in names(Family::Plain).iter().take(50).enumerate() {
        source.forget();
        let name = format!("{name}{at}");
        let edited = source.run(|| {
            let mut directory = stored.clone();
            put(&mut directory, &ctx, &name, Some(value("y")))?;
            Ok(directory)
        });
        let loaded = source.loaded.borrow().len();
        assert!(loaded <= 30, "{loaded} nodes loaded for one insertion");
        let mut new = 0;
        edited.unwritten(
            &PARAMS,
            &|name| source.written.borrow().contains_key(name),
            &mut |_, _, _| new += 1,
        );
        assert!(new <= 15, "{new} nodes written for one insertion");
    }
}

#[test]
fn pages_are_sorted_and_complete() {
    for family in FAMILIES {
        let model: BTreeMap<SmolStr, Entry> = names(family)
            .iter()
            .map(|name| (name.clone(), value(name)))
            .collect();
        let source = MapSource::default();
        let directory = source.write(&built(&model), &PARAMS);
        for limit in [1, 7, 1000, 100_000] {
            let mut found: Vec<SmolStr> = Vec::new();
            loop {
                let after = found.last().cloned();
                let page = source.run(|| directory.page(&source, after.as_deref(), limit));
                assert!(page.len() <= limit);
                found.extend(page.iter().map(|(name, _)| name.clone()));
                if page.len() < limit || found.len() > 20 * limit {
                    break;
                }
            }
            assert!(found.iter().eq(model.keys().take(found.len())));
            assert!(found.len() == model.len() || found.len() > 20 * limit);
        }
        let behind = source.run(|| directory.page(&source, Some("zzz"), 10));
        assert!(behind.is_empty());
    }
}

#[test]
fn what_is_written_is_all_that_is_needed() {
    let mut inner = BTreeMap::new();
    for name in names(Family::Plain).iter().take(500) {
        inner.insert(
            name.clone(),
            Entry::Value(Value::new(&PARAMS, name.as_bytes().repeat(1000).into())),
        );
    }
    let mut root = Directory::empty();
    put(
        &mut root,
        &CTX,
        "dir",
        Some(Entry::Directory(built(&inner))),
    )
    .unwrap();
    put(
        &mut root,
        &CTX,
        "copy",
        Some(Entry::Directory(built(&inner))),
    )
    .unwrap();
    let source = MapSource::default();
    let stored = source.write(&root, &PARAMS);
    assert!(matches!(stored.link, NodeRef::Stored(_)));
    assert!(stored.same(&root, &PARAMS));
    let again = Directory::stored(stored.seal(&PARAMS), root.stats());
    for copy in ["dir", "copy"] {
        let Some(Entry::Directory(directory)) = source.run(|| again.get(&source, copy)) else {
            panic!()
        };
        assert_eq!(directory.stats().entries, 500);
        for (name, bytes) in source.run(|| directory.page(&source, None, 1000)) {
            let Entry::Value(value) = bytes else { panic!() };
            let read = source.run(|| value.read(&source, 0..u64::MAX));
            assert_eq!(read, name.as_bytes().repeat(1000));
        }
    }
    let node = source.node(&stored.seal(&PARAMS)).unwrap();
    assert_eq!(
        Directory::load_root(stored.seal(&PARAMS), &node).stats(),
        root.stats()
    );
    // Only the changed path is new after an edit.
    let ctx = Ctx {
        source: &source,
        params: &PARAMS,
    };
    let edited = source.run(|| {
        let mut root = again.clone();
        root.update(&ctx, "dir", &mut |slot| match slot {
            Some(Entry::Directory(directory)) => put(directory, &ctx, "new", Some(value("x"))),
            _ => panic!(),
        })?;
        Ok(root)
    });
    let mut new = Vec::new();
    let is_written = |name: &Blobref| source.written.borrow().contains_key(name);
    edited.unwritten(&PARAMS, &is_written, &mut |name, _, _| new.push(name));
    assert!((2..=6).contains(&new.len()), "{}", new.len());
    assert_eq!(new.last(), Some(&edited.seal(&PARAMS)));
    assert_eq!(edited.stats().entries, root.stats().entries + 1);
    let detached = edited.detach(&PARAMS, &is_written);
    assert!(
        matches!(detached.link, NodeRef::Loaded(_)),
        "what is not written stays"
    );
    assert!(detached.same(&edited, &PARAMS));
}

#[test]
fn what_is_in_memory_is_passed_as_it_is_stored_and_alone() {
    let mut inner: BTreeMap<SmolStr, Entry> = (0..500)
        .map(|n| (SmolStr::new(format!("n{n}")), value("x")))
        .collect();
    // A blob, and a value of many.
    for (name, len) in [("blob", 1_000), ("tree", 1_000_000)] {
        let bytes = (0..len).map(|n: u32| (n / 64) as u8).collect::<Vec<_>>();
        inner.insert(name.into(), Entry::Value(Value::new(&PARAMS, bytes.into())));
    }
    let mut root = built(&inner);
    for copy in ["a", "b"] {
        let entry = Entry::Directory(built(&inner));
        put(&mut root, &CTX, copy, Some(entry)).unwrap();
    }
    let mut stored = BTreeMap::new();
    root.unwritten(&PARAMS, &|_| false, &mut |name, kind, bytes| {
        stored.insert(name, (kind, bytes));
    });
    let mut seen = HashSet::new();
    let (mut nodes, mut blobs) = (0, 0);
    root.in_memory(&PARAMS, &mut |name, object| {
        assert!(seen.insert(name), "each once");
        let (kind, bytes) = &stored[&name];
        match object {
            Detached::Node(node) => {
                nodes += 1;
                assert_eq!((*kind, &node.encode(&PARAMS)), (ObjectKind::Node, bytes));
                let alone = Directory {
                    link: NodeRef::Loaded(node),
                    stats: Stats::EMPTY,
                };
                alone.in_memory(&PARAMS, &mut |_, _| blobs += 1);
                assert_eq!(
                    std::mem::take(&mut blobs),
                    1,
                    "nothing is in memory below it"
                );
            }
            Detached::Blob(blob) => assert_eq!((*kind, &blob), (ObjectKind::Blob, bytes)),
        }
    });
    let all = stored.values();
    let all = all.filter(|(kind, _)| *kind == ObjectKind::Node).count();
    assert_eq!((nodes, seen.len() - nodes), (all, 2));
    assert!(seen.contains(&root.seal(&PARAMS)));
}

#[test]
fn versions_share_after_a_detach_what_they_shared_before() {
    let model = (0..1_000).map(|n| (SmolStr::new(format!("n{n}")), value("x")));
    let root = built(&model.collect());
    let mut versions = vec![root.clone()];
    for n in 0..50 {
        let mut next = versions.last().unwrap().clone();
        put(
            &mut next,
            &CTX,
            &format!("n{}", n % 3),
            Some(value(&n.to_string())),
        )
        .unwrap();
        next.seal(&PARAMS);
        versions.push(next);
    }
    let mut written = HashSet::new();
    root.unwritten(&PARAMS, &|_| false, &mut |name, _, _| {
        written.insert(name);
    });
    fn nodes(link: &NodeRef, found: &mut HashSet<*const Node>) {
        let NodeRef::Loaded(node) = link else { return };
        found.insert(Arc::as_ptr(node));
        if let Body::Inner(inner) = &node.body {
            inner
                .children
                .iter()
                .for_each(|child| nodes(&child.link, found));
        }
    }
    let count = |versions: &[Directory]| {
        let mut found = HashSet::new();
        versions
            .iter()
            .for_each(|version| nodes(&version.link, &mut found));
        found.len()
    };
    let before = count(&versions);
    let is_written = |name: &Blobref| written.contains(name);
    let mut detacher = Detacher::new(PARAMS, &is_written);
    let detached: Vec<_> = versions
        .iter()
        .map(|version| detacher.directory(version))
        .collect();
    assert_eq!(count(&detached), before - written.len());
    assert!(
        versions
            .iter()
            .zip(&detached)
            .all(|(one, two)| one.same(two, &PARAMS))
    );
    // Nothing more has been written, so everything stays as it is.
    let again: Vec<_> = detached
        .iter()
        .map(|version| detacher.directory(version))
        .collect();
    assert_eq!(count(&[detached, again].concat()), before - written.len());
}

#[test]
fn a_directory_copied_into_itself_sixty_times_is_walked_by_its_nodes_not_by_its_paths() {
    let mut root = Directory::empty();
    put(&mut root, &CTX, "a", Some(value("x"))).unwrap();
    for _ in 0..60 {
        let copy = Entry::Directory(root.clone());
        put(&mut root, &CTX, "b", Some(copy.clone())).unwrap();
        put(&mut root, &CTX, "c", Some(copy)).unwrap();
    }
    assert_eq!(root.stats().depth, 61);
    let source = MapSource::default();
    let stored = source.write(&root, &PARAMS);
    assert_eq!(source.written.borrow().len(), 61);
    assert!(stored.same(&root, &PARAMS));
    let partly = root.detach(&PARAMS, &|name| *name != root.seal(&PARAMS));
    assert!(matches!(partly.link, NodeRef::Loaded(_)));
}

#[test]
fn trees_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Directory>();
    shared::<Entry>();
    shared::<Node>();
}

#[test]
fn an_error_of_the_edit_is_passed_on() {
    let mut root = Directory::empty();
    let refused = root.update(&CTX, "a", &mut |_| Err(Fault::NeedVersion(3)));
    assert!(matches!(refused, Err(Fault::NeedVersion(3))));
}

#[test]
fn what_is_no_name_is_refused() {
    for name in ["", ".", "a.b", &"x".repeat(256)] {
        let mut root = Directory::empty();
        let refused = put(&mut root, &CTX, name, Some(value("x")));
        assert!(matches!(
            refused,
            Err(Fault::Tree(TreeError {
                kind: TreeErrorKind::Invalid,
                ..
            }))
        ));
        let entries = BTreeMap::from([(name.into(), value("x"))]);
        assert!(Directory::from_entries(&PARAMS, entries).is_err());
    }
    put(
        &mut Directory::empty(),
        &CTX,
        &"x".repeat(255),
        Some(value("x")),
    )
    .unwrap();
}

#[test]
fn golden_names_of_directories() {
    let sha1 = StoreParams {
        algorithm: HashAlgorithm::Sha1,
        ..PARAMS
    };
    let entries = |kind: u8, params| match kind {
        0 => BTreeMap::new(),
        1 => BTreeMap::from([
            ("a".into(), value("1")),
            (
                "b".into(),
                Entry::Symlink(Symlink {
                    namespace: None,
                    target: "a".into(),
                }),
            ),
            ("c".into(), Entry::Directory(Directory::empty())),
            (
                "d".into(),
                Entry::Value(Value::new(params, Bytes::from_static(&[b'x'; 200]))),
            ),
        ]),
        _ => (0..10_000)
            .map(|at: u32| (at.to_string().into(), value(&at.to_string())))
            .collect(),
    };
    let directory = |kind, params| Directory::from_entries(params, entries(kind, params)).unwrap();
    let encoded = directory(1, &sha1)
        .link
        .load(&NoSource)
        .unwrap()
        .encode(&sha1);
    let hex = data_encoding::HEXLOWER.encode(&encoded);
    assert_eq!(
        hex,
        "920084a161c40131a1629202a161a1639501c414875c8b9e9fe1a8441fa46ebc7452aff6a26f5569000001a1649300c41494218caae9904e93a3d7bf578bf4791926fc5e82ccc8"
    );
    for (kind, blake, sha) in [
        (
            0,
            "2f6ddece448cddd4add643245f7a754b56f6df0868d467e8ab6a1afe95bbdb8a",
            "875c8b9e9fe1a8441fa46ebc7452aff6a26f5569",
        ),
        (
            1,
            "5eba53c32a67a13ea2816aa28bb342df5ef8dc5dfc4bc556f40f5341ba7ce717",
            "b3a59432a989e36f529d9353e1e7009584744358",
        ),
        (
            2,
            "94b8017a055194690658786f6edc3eba4cdf9e7a826b1c3c6f3f203637f33f74",
            "2643c5aa12761d66a4ca6bf6e9f3bef19f5a94d1",
        ),
    ] {
        assert_eq!(
            directory(kind, &PARAMS).seal(&PARAMS).to_string(),
            format!("blake3-{blake}")
        );
        assert_eq!(
            directory(kind, &sha1).seal(&sha1).to_string(),
            format!("sha1-{sha}")
        );
    }
}
