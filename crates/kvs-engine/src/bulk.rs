//! Replay of many changes at once: finds the objects that replay needs, then reads, verifies and
//! decodes them on several threads, and hashes the changed parts in parallel too.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use kvs_tree::{
    Blobref, Ctx, Directory, Effect, Fault, Missing, Node, NodeSource, ReplayPrefetch, replay,
};

use crate::error::EngineError;
use crate::limits::{LOAD_BATCH, REPLAY_THREADS, SEAL_PARTS};
use crate::objects::{Object, Objects};

/// How much of the machine replay may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    threads: usize,
    keep: bool,
}

impl Effort {
    /// While the store is serving: on this thread; objects that are read go into the cache.
    pub(crate) const BESIDE: Self = Self {
        threads: 1,
        keep: true,
    };

    /// While nothing else runs, for objects that are read once: on up to `REPLAY_THREADS` threads,
    /// without caching. With `inline`, on this thread.
    pub(crate) fn alone(inline: bool) -> Self {
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            threads: if inline {
                1
            } else {
                processors().min(REPLAY_THREADS)
            },
            keep: false,
        }
    }

    /// Applies `work` to each item, in any order.
    fn each<T: Sync, R: Send>(
        self,
        items: &[T],
        work: impl Fn(&T) -> Result<R, EngineError> + Sync,
    ) -> Result<Vec<R>, EngineError> {
        let next = AtomicUsize::new(0);
        let share = || -> Result<Vec<R>, EngineError> {
            let mut done = Vec::new();
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                done.push(work(item)?);
            }
            Ok(done)
        };
        let helpers = self.threads.min(items.len()).saturating_sub(1);
        std::thread::scope(|scope| {
            // Without further threads, this one does all the work.
            let thread = || std::thread::Builder::new().name("kvs-replay".into());
            let helpers: Vec<_> = (0..helpers)
                .filter_map(|_| thread().spawn_scoped(scope, share).ok())
                .collect();
            let mut done = share()?;
            for helper in helpers {
                done.extend(helper.join().map_err(|_| EngineError::stopped())??);
            }
            Ok(done)
        })
    }
}

impl Objects {
    /// Applies effects to a directory. Reads the disk.
    ///
    /// # Errors
    /// `Corrupt` if an effect does not apply or an object is damaged, `BadObject` if an object is
    /// missing.
    pub(crate) fn replay(
        &self,
        directory: &Directory,
        effects: &[Effect],
        effort: Effort,
    ) -> Result<Directory, EngineError> {
        let source = Source {
            objects: self,
            loaded: RefCell::default(),
            failed: RefCell::default(),
        };
        let params = self.params();
        let mut ahead = ReplayPrefetch::new(directory, effects);
        loop {
            let missing = ahead.next(&Ctx {
                source: &AtHand(&source),
                params,
            });
            if missing.is_empty() {
                break;
            }
            source.load(missing, effort)?;
        }
        let ctx = Ctx {
            source: &source,
            params,
        };
        replay(directory, &ctx, effects).map_err(|fault| match fault {
            Fault::Tree(error) => error.into(),
            Fault::Missing(missing) => source.lacks(&missing),
            Fault::NeedVersion(_) => EngineError::corrupt("replay asks for a version"),
        })
    }

    /// The root of a directory, much of which may have changed.
    pub(crate) fn seal(
        &self,
        directory: &Directory,
        effort: Effort,
    ) -> Result<Blobref, EngineError> {
        let params = self.params();
        if effort.threads > 1 {
            effort.each(
                &directory.unsealed(SEAL_PARTS),
                |node| Ok(node.seal(params)),
            )?;
        }
        Ok(directory.seal(params))
    }

    fn load_all(
        &self,
        batch: &[Missing],
        keep: bool,
    ) -> Result<Vec<(Blobref, Object)>, EngineError> {
        let names: Vec<Blobref> = batch.iter().map(|one| one.blobref).collect();
        let found = self.store().get_many(&names)?;
        let objects = batch.iter().zip(found).map(|(one, bytes)| {
            let object = self.decode(one, bytes)?;
            if keep {
                self.keep(one.blobref, &object);
            }
            Ok((one.blobref, object))
        });
        objects.collect()
    }
}

/// Objects that were found to be needed, loaded in advance; any others are read from the disk on
/// demand. A step with this source never has to be restarted.
struct Source<'a> {
    objects: &'a Objects,
    /// Each is handed out once, so that its node can be changed without a copy.
    loaded: RefCell<HashMap<Blobref, Object>>,
    failed: RefCell<Option<EngineError>>,
}

impl Source<'_> {
    /// Loads objects in the order of their location on disk.
    fn load(&self, mut missing: Vec<Missing>, effort: Effort) -> Result<(), EngineError> {
        let store = self.objects.store();
        let mut loaded = self.loaded.borrow_mut();
        missing.sort_by_cached_key(|one| (store.locality_hint(&one.blobref), one.blobref));
        missing.dedup();
        if let Some(again) = missing.iter().find(|one| loaded.contains_key(&one.blobref)) {
            return Err(again_missing(again));
        }
        let batches: Vec<&[Missing]> = missing.chunks(LOAD_BATCH).collect();
        let read = effort.each(&batches, |batch| self.objects.load_all(batch, effort.keep))?;
        loaded.extend(read.into_iter().flatten());
        Ok(())
    }

    fn get(&self, missing: &Missing) -> Option<Object> {
        if let Some(object) = self.loaded.borrow_mut().remove(&missing.blobref) {
            return Some(object);
        }
        let read = self.objects.read(missing);
        read.map_err(|error| self.failed.replace(Some(error))).ok()
    }

    /// The error of a step that did not get an object.
    fn lacks(&self, missing: &[Missing]) -> EngineError {
        let failed = self.failed.take();
        let what = || {
            let first = missing.first().map(again_missing);
            first.unwrap_or_else(|| EngineError::corrupt("replay lacks nothing and ends"))
        };
        failed.unwrap_or_else(what)
    }
}

fn again_missing(one: &Missing) -> EngineError {
    EngineError::corrupt(format!(
        "object {} is asked for as {:?}, which it is not",
        one.blobref, one.kind
    ))
}

impl NodeSource for Source<'_> {
    fn node(&self, reference: &Blobref) -> Option<Arc<Node>> {
        self.get(&Missing {
            blobref: *reference,
            kind: kvs_tree::ObjectKind::Node,
        })?
        .node()
    }

    fn blob(&self, reference: &Blobref) -> Option<Bytes> {
        self.get(&Missing {
            blobref: *reference,
            kind: kvs_tree::ObjectKind::Blob,
        })?
        .blob()
    }
}

/// The objects of a source that are in memory.
struct AtHand<'a>(&'a Source<'a>);

impl NodeSource for AtHand<'_> {
    fn node(&self, reference: &Blobref) -> Option<Arc<Node>> {
        match self.0.loaded.borrow().get(reference) {
            Some(object) => object.clone().node(),
            None => self.0.objects.node(reference),
        }
    }

    fn blob(&self, reference: &Blobref) -> Option<Bytes> {
        match self.0.loaded.borrow().get(reference) {
            Some(object) => object.clone().blob(),
            None => self.0.objects.blob(reference),
        }
    }
}

#[cfg(test)]
mod tests {
    use kvs_tree::{HashAlgorithm, Key, ObjectKind, StoreParams};

    use super::*;
    use crate::error::ErrorKind;
    use crate::pack::BlobStore;
    use kvs_storage::memory::MemoryBlobStore;

    const PARAMS: StoreParams = StoreParams {
        algorithm: HashAlgorithm::Blake3,
        split_key: [7; 32],
    };

    const ALL: Effort = Effort {
        threads: 3,
        keep: false,
    };

    fn puts(numbers: impl Iterator<Item = u64>, value: &str) -> Vec<Effect> {
        let put = |number: u64| Effect::Put {
            key: Key::parse(&format!("r.{}.{number}", number % 40)).unwrap(),
            value: value.to_owned().into(),
            subtree: false,
        };
        numbers.map(put).collect()
    }

    /// A stored tree of 20,000 keys, without the objects at positions for which `lost` is true.
    fn stored(lost: impl Fn(usize) -> bool) -> (Objects, Directory) {
        let mkdir = |key: &str| Effect::Mkdir {
            key: Key::parse(key).unwrap(),
            subtree: false,
        };
        let directories = (0..40).map(|number| mkdir(&format!("r.{number}")));
        let mut effects: Vec<Effect> = [mkdir("r")].into_iter().chain(directories).collect();
        effects.extend(puts(0..20_000, "old"));
        let new = Objects::new(Arc::new(MemoryBlobStore::new()), PARAMS, 1 << 20);
        let tree = new.replay(&Directory::empty(), &effects, ALL).unwrap();
        let mut found = Vec::new();
        tree.unwritten(&PARAMS, &|_| false, &mut |blobref, kind, bytes| {
            assert_eq!(kind, ObjectKind::Node);
            found.push((blobref, bytes));
        });
        let kept = found
            .into_iter()
            .enumerate()
            .filter(|(index, _)| !lost(*index));
        let store = MemoryBlobStore::new();
        store
            .write_pack(&mut kept.map(|(_, object)| object))
            .unwrap();
        let detached = tree.detach(&PARAMS, &|_| true);
        (Objects::new(Arc::new(store), PARAMS, 1 << 20), detached)
    }

    #[test]
    fn many_threads_come_to_the_same_tree_as_one() {
        let (objects, tree) = stored(|_| false);
        let effects = puts((0..20_000).step_by(3).chain(30_000..31_000), "new");
        let one = objects.replay(&tree, &effects, Effort::BESIDE).unwrap();
        let many = objects.replay(&tree, &effects, ALL).unwrap();
        let root = objects.seal(&many, ALL).unwrap();
        assert!(many.unsealed(1).is_empty());
        assert_eq!(one.seal(&PARAMS), root);
        assert_ne!(tree.seal(&PARAMS), root);
        let ctx = Ctx {
            source: &Everything(&objects),
            params: &PARAMS,
        };
        let slowly = effects
            .chunks(100)
            .fold(tree, |tree, effects| replay(&tree, &ctx, effects).unwrap());
        assert_eq!(slowly.seal(&PARAMS), root);
    }

    #[test]
    fn an_object_that_is_not_there_is_told_whichever_thread_misses_it() {
        for lost in [0, 100, 500] {
            let (objects, tree) = stored(|index| index == lost);
            let effects = puts(0..20_000, "new");
            for effort in [Effort::BESIDE, ALL] {
                let error = objects.replay(&tree, &effects, effort).unwrap_err();
                assert_eq!(error.kind, ErrorKind::BadObject, "{error}");
            }
        }
    }

    /// Reads every object on demand.
    struct Everything<'a>(&'a Objects);

    impl NodeSource for Everything<'_> {
        fn node(&self, reference: &Blobref) -> Option<Arc<Node>> {
            let missing = Missing {
                blobref: *reference,
                kind: ObjectKind::Node,
            };
            self.0.read(&missing).unwrap().node()
        }

        fn blob(&self, _: &Blobref) -> Option<Bytes> {
            None
        }
    }
}
