//! The cost of operations on a tree made by copying: RFC 0001, "What a tree that was copied costs".
//! Counts the requested nodes, over a tree of 2^39 entries in a few dozen objects.

use std::cell::Cell;

use super::*;

/// A source that counts requests.
struct Counting<'a> {
    store: &'a Store,
    asked: Cell<usize>,
}

impl NodeSource for Counting<'_> {
    fn node(&self, blobref: &Blobref) -> Option<Arc<Node>> {
        self.asked.set(self.asked.get() + 1);
        let missing = Missing {
            blobref: *blobref,
            kind: ObjectKind::Node,
        };
        self.store.load(missing);
        self.store.nodes.borrow().get(blobref).cloned()
    }

    fn blob(&self, _: &Blobref) -> Option<Bytes> {
        None
    }
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn copy(from: &str, to: &str) -> Operation {
    let (from, to) = (key(from), key(to));
    Operation::Copy { from, to }
}

fn moved(from: &str, to: &str) -> Operation {
    let (from, to) = (key(from), key(to));
    Operation::Move { from, to }
}

fn transaction(operations: Vec<Operation>) -> Transaction {
    Transaction {
        conditions: Vec::new(),
        operations,
    }
}

/// `d`: 2^38 keys, where each level is a directory of two equal ones; and a value next to it.
fn grown(store: &Store) -> Directory {
    let value = |key: Key| Operation::Put {
        key,
        value: "1".into(),
    };
    let puts = vec![value(key("d.a")), value(key("d.b")), value(key("x"))];
    let mut root = Directory::empty();
    root = store.apply(&root, &[], &transaction(puts)).unwrap().root;
    for _ in 0..37 {
        // Copies `d` to another name, then twice below a directory that takes its place.
        let step = vec![copy("d", "e"), copy("e", "d.a"), moved("e", "d.b")];
        root = store.apply(&root, &[], &transaction(step)).unwrap().root;
    }
    assert!(root.stats().entries > 1 << 38);
    store.checkpoint(&root)
}

#[test]
fn a_tree_that_copies_made_costs_its_depth_and_not_its_size() {
    let store = Store::default();
    let root = grown(&store);
    let deep = key(&format!("d{}", ".a".repeat(38)));
    let cost = |what: &str, most: usize, work: &dyn Fn(&Ctx<'_>)| {
        let source = Counting {
            store: &store,
            asked: Cell::new(0),
        };
        work(&Ctx {
            source: &source,
            params: &PARAMS,
        });
        let asked = source.asked.get();
        assert!(asked <= most, "{what} asked for {asked} nodes");
    };
    let commit = |ctx: &Ctx<'_>, operation: Operation| {
        let transaction = transaction(vec![operation]);
        apply(&root, ctx, &|_| None, &transaction).unwrap().root
    };
    let put = |text: &str| Operation::Put {
        key: key(text),
        value: "2".into(),
    };
    // Each level is one node; an operation may descend several times.
    let path = 39;
    cost("a lookup", path, &|ctx| {
        let found = lookup(&root, ctx.source, &deep, true, 0).unwrap();
        assert!(matches!(found, Resolved::Found { .. }));
    });
    cost("counts", 0, &|_| assert!(root.stats().entries > 1 << 38));
    cost("a put", 4 * path, &|ctx| {
        drop(commit(ctx, put(deep.as_str())))
    });
    cost("a put over everything", 4, &|ctx| {
        drop(commit(ctx, put("d")))
    });
    cost("an unlink", 4, &|ctx| {
        drop(commit(ctx, Operation::Unlink { key: key("d") }))
    });
    cost("a mkdir", 4, &|ctx| {
        drop(commit(ctx, Operation::Mkdir { key: key("d") }))
    });
    cost("a copy", 8, &|ctx| drop(commit(ctx, copy("d.a", "y"))));
    cost("a move", 8, &|ctx| drop(commit(ctx, moved("d", "y"))));
    cost("a condition", 8, &|ctx| {
        let conditions = vec![Condition::Unchanged {
            key: key("d"),
            since: 0,
        }];
        let asked = Transaction {
            conditions,
            operations: vec![put("x")],
        };
        let past = |_: u64| Some(root.clone());
        assert!(apply(&root, ctx, &past, &asked).is_ok());
    });

    let bounds = Bounds {
        items: 10,
        visits: 1000,
    };
    let ends = |what: &str, next: Option<Key>, visits: usize| {
        assert!(next.is_some(), "{what} is at its end");
        assert!(visits < 1200, "{what} made {visits} visits");
    };
    cost("a list", 3, &|ctx| {
        let page = list(&root, ctx.source, &key("d"), None, bounds, false, None).unwrap();
        assert_eq!((page.items.len(), page.next), (2, None));
    });
    for (scope, found) in [("**", 10), ("**.nothing", 0), ("d.**.a.**.nothing", 0)] {
        let scope = Scope::parse(scope).unwrap();
        cost("a recursive list", 2 * bounds.visits, &|ctx| {
            let page = list(
                &root,
                ctx.source,
                &Key::ROOT,
                None,
                bounds,
                true,
                Some(&scope),
            );
            let page = page.unwrap();
            assert_eq!(page.items.len(), found);
            ends("a recursive list", page.next, page.visits);
        });
        let unlinked = store.run(|ctx| Ok(commit(ctx, Operation::Unlink { key: key("d") })));
        let unlinked = unlinked.unwrap();
        let scopes = std::slice::from_ref(&scope);
        cost("what an unlink removed", 4 * bounds.visits, &|ctx| {
            let (source, params) = (ctx.source, ctx.params);
            let page = diff(
                &root,
                &unlinked,
                source,
                params,
                scopes,
                &Key::ROOT,
                None,
                bounds,
            );
            let page = page.unwrap();
            assert_eq!(page.items.len(), found);
            ends("what an unlink removed", page.next, page.visits);
        });
    }
    cost("no difference", 8, &|ctx| {
        let again = commit(ctx, copy("d.a", "d.b"));
        let (source, params) = (ctx.source, ctx.params);
        let page = diff(&root, &again, source, params, &[], &Key::ROOT, None, bounds).unwrap();
        assert!(page.items.is_empty() && page.next.is_none());
    });

    let copied = store.run(|ctx| Ok(commit(ctx, copy("d", "y")))).unwrap();
    let mut written = 0;
    copied.unwritten(&PARAMS, &|_| false, &mut |_, _, _| written += 1);
    assert!(
        written < 5,
        "a checkpoint after a copy writes {written} objects"
    );
    let effects = [Effect::Copy {
        from: key("d"),
        to: key("y"),
        subtree: true,
    }];
    cost("replay of a copy", 8, &|ctx| {
        assert!(replay(&root, ctx, &effects).unwrap().same(&copied, &PARAMS));
    });
}

#[test]
fn a_tree_in_memory_that_copies_made_is_written_and_let_go_object_by_object() {
    let store = Store::default();
    let value = Operation::Put {
        key: key("d.a"),
        value: "1".into(),
    };
    let mut root = store.apply(&Directory::empty(), &[], &transaction(vec![value]));
    let mut root = root.as_mut().unwrap().root.clone();
    for _ in 0..37 {
        let step = vec![copy("d", "e"), copy("e", "d.a"), moved("e", "d.b")];
        root = store.apply(&root, &[], &transaction(step)).unwrap().root;
    }
    let mut objects = 0;
    root.unwritten(&PARAMS, &|_| false, &mut |_, _, _| objects += 1);
    assert!(objects < 50, "{objects} objects");
    let stored = store.checkpoint(&root);
    assert!(stored.same(&root, &PARAMS));
    assert!(root.unsealed(100).is_empty());
}
