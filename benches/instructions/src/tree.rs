//! Cases of the pure core: each prepares its input and then repeats one operation.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use kvs_tree::{
    Applied, Blobref, Bounds, Condition, Ctx, Directory, HashAlgorithm, Key, NoSource, Node,
    NodeSource, ObjectKind, Operation, Scope, StoreParams, Transaction, apply, diff, list, lookup,
    replay,
};

/// Number of entries in the large directory.
const ENTRIES: u64 = 1000;

/// Fixed, so that directories are split the same way in every run.
const PARAMS: StoreParams = StoreParams {
    algorithm: HashAlgorithm::Blake3,
    split_key: [7; 32],
};

const CTX: Ctx<'_> = Ctx {
    source: &NoSource,
    params: &PARAMS,
};

fn key(text: &str) -> anyhow::Result<Key> {
    Ok(Key::parse(text)?)
}

fn put(at: &str, number: u64) -> anyhow::Result<Operation> {
    let mut value = [b'x'; 64];
    value[..8].copy_from_slice(&number.to_be_bytes());
    Ok(Operation::Put {
        key: key(at)?,
        value: Bytes::copy_from_slice(&value),
    })
}

fn transaction(operations: Vec<Operation>) -> Transaction {
    Transaction {
        conditions: Vec::new(),
        operations,
    }
}

fn commit(root: &Directory, transaction: &Transaction) -> anyhow::Result<Applied> {
    Ok(apply(root, &CTX, &|_| None, transaction)?)
}

/// Returns a directory of 1,000 values and jobs three levels deep, hashed.
pub(crate) fn tree() -> anyhow::Result<Directory> {
    let mut operations = Vec::new();
    for n in 0..ENTRIES {
        operations.push(put(&format!("bench.key{n}"), n)?);
    }
    for n in 0..64 {
        operations.push(put(&format!("lwj.{n}.state"), n)?);
        operations.push(put(&format!("lwj.{n}.owner"), n)?);
    }
    let root = commit(&Directory::empty(), &transaction(operations))?.root;
    root.seal(&PARAMS);
    Ok(root)
}

/// Parses a key of three names.
pub(crate) fn parse_key(rounds: u64) -> anyhow::Result<()> {
    for _ in 0..rounds {
        black_box(key(black_box("lwj.17.state"))?);
    }
    Ok(())
}

/// Looks up a value three levels deep.
pub(crate) fn lookup_deep(rounds: u64) -> anyhow::Result<()> {
    let root = tree()?;
    let key = key("lwj.17.state")?;
    for _ in 0..rounds {
        black_box(lookup(&root, &NoSource, black_box(&key), true, 0)?);
    }
    Ok(())
}

/// Puts into a directory of 1,000 and computes the new root's blobref, each put on top of the
/// previous one.
pub(crate) fn put_one(rounds: u64) -> anyhow::Result<()> {
    let mut root = tree()?;
    let name = key("bench.key500")?;
    for number in 0..rounds {
        let mut value = [b'x'; 64];
        value[..8].copy_from_slice(&number.to_be_bytes());
        let value = Bytes::copy_from_slice(&value);
        let put = Operation::Put {
            key: name.clone(),
            value,
        };
        root = commit(&root, &transaction(vec![put]))?.root;
        black_box(root.seal(&PARAMS));
    }
    Ok(())
}

/// Applies a condition, an add and two puts.
pub(crate) fn apply_transaction(rounds: u64) -> anyhow::Result<()> {
    let mut root = tree()?;
    let transaction = Transaction {
        conditions: vec![Condition::Present {
            key: key("bench.key1")?,
        }],
        operations: vec![
            Operation::Add {
                key: key("counter")?,
                delta: 1,
            },
            put("bench.key1", 1)?,
            put("lwj.3.state", 2)?,
        ],
    };
    for _ in 0..rounds {
        root = commit(&root, black_box(&transaction))?.root;
    }
    black_box(root);
    Ok(())
}

/// Replays the journaled effects of one put.
pub(crate) fn replay_one(rounds: u64) -> anyhow::Result<()> {
    let root = tree()?;
    let effects = commit(&root, &transaction(vec![put("bench.key500", 1)?]))?.effects;
    for _ in 0..rounds {
        black_box(replay(&root, &CTX, black_box(&effects))?);
    }
    Ok(())
}

/// Diffs two roots that differ in one of 1,000 keys.
pub(crate) fn diff_one(rounds: u64) -> anyhow::Result<()> {
    let before = tree()?;
    let after = commit(&before, &transaction(vec![put("bench.key500", 1)?]))?.root;
    after.seal(&PARAMS);
    let top = key(".")?;
    for _ in 0..rounds {
        black_box(diff(
            &before,
            &after,
            &NoSource,
            &PARAMS,
            &[],
            &top,
            None,
            Bounds::items(100),
        )?);
    }
    Ok(())
}

/// Lists a page of 100 entries.
pub(crate) fn list_page(rounds: u64) -> anyhow::Result<()> {
    let root = tree()?;
    let directory = key("bench")?;
    for _ in 0..rounds {
        let page = list(
            &root,
            &NoSource,
            &directory,
            None,
            Bounds::items(100),
            false,
            None,
        );
        black_box(page?);
    }
    Ok(())
}

/// Matches a key against a pattern.
pub(crate) fn match_scope(rounds: u64) -> anyhow::Result<()> {
    let scope = Scope::parse("lwj.*.state")?;
    let key = key("lwj.17.state")?;
    for _ in 0..rounds {
        black_box(black_box(&scope).matches(black_box(&key)));
    }
    Ok(())
}

/// Encodes a directory node as stored, and decodes it.
pub(crate) fn node_and_back(rounds: u64) -> anyhow::Result<()> {
    let root = tree()?;
    let mut nodes = Vec::new();
    root.unwritten(&PARAMS, &|_| false, &mut |_, kind, bytes| {
        if kind == ObjectKind::Node {
            nodes.push(bytes);
        }
    });
    let largest = nodes.iter().max_by_key(|bytes| bytes.len());
    let bytes = largest.context("a tree has nodes")?;
    for _ in 0..rounds {
        let node = Node::decode(PARAMS.algorithm, black_box(bytes))?;
        black_box(node.encode(&PARAMS));
    }
    Ok(())
}

/// Computes the blobref of a 4 KiB object.
pub(crate) fn hash_4k(rounds: u64) -> anyhow::Result<()> {
    let bytes = vec![b'x'; 4096];
    for _ in 0..rounds {
        black_box(Blobref::of(PARAMS.algorithm, black_box(&bytes)));
    }
    Ok(())
}

/// Looks up entries in nodes that come from a source, as after a restart.
pub(crate) fn lookup_stored(rounds: u64) -> anyhow::Result<()> {
    struct Stored(Vec<(Blobref, Arc<Node>)>);

    impl NodeSource for Stored {
        fn node(&self, blobref: &Blobref) -> Option<Arc<Node>> {
            let found = self.0.binary_search_by_key(blobref, |(name, _)| *name);
            Some(Arc::clone(&self.0.get(found.ok()?)?.1))
        }

        fn blob(&self, _: &Blobref) -> Option<Bytes> {
            None
        }
    }

    let root = tree()?;
    let mut stored = Vec::new();
    let mut failed = None;
    root.unwritten(&PARAMS, &|_| false, &mut |blobref, kind, bytes| {
        if kind == ObjectKind::Node {
            match Node::decode(PARAMS.algorithm, &bytes) {
                Ok(node) => stored.push((blobref, Arc::new(node))),
                Err(error) => failed = Some(error),
            }
        }
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    stored.sort_by_key(|(blobref, _)| *blobref);
    let root = root.detach(&PARAMS, &|_| true);
    let (source, key) = (Stored(stored), key("lwj.17.state")?);
    for _ in 0..rounds {
        black_box(lookup(&root, &source, black_box(&key), true, 0)?);
    }
    Ok(())
}
