//! What is stored outside the trees of namespaces: the state, the pasts of namespaces, and the list
//! of packs, as objects in packs of their own (RFC 0008).
//!
//! They are kept apart from the objects of trees, so that a pack can be deleted as soon as no root
//! record names it, whatever users put into trees.

mod load;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use kvs_tree::{
    Blobref, Ctx, Detacher, Directory, Entry, Fault, Missing, NoSource, ObjectKind, StoreParams,
    Value,
};
use smol_str::SmolStr;

use crate::error::EngineError;
use crate::limits::{STATE_CACHE_BYTES, STATE_PACKS, STATE_WASTE_BYTES};
use crate::objects::Objects;
use crate::pack::{BlobStore, PackId};
use crate::past::Past;
use crate::state::{Area, Changed, STORE, State, encode, entry_name};

/// Entries that are read in one step.
const PAGE: usize = 128;

/// Names of the list of packs and of the directory of pasts.
const PACKS: &str = "packs";
const PASTS: &str = "pasts";

/// Where the state is found: part of the root record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SystemRoot {
    /// The root of the state. Equal states have equal roots.
    pub(crate) state: Blobref,
    /// The root of what is specific to this store: pasts, and the list of packs.
    pub(crate) local: Blobref,
    /// The packs that hold both.
    pub(crate) packs: Vec<PackId>,
    /// Bytes of these packs when they were last written as a whole.
    pub(crate) whole_bytes: u64,
}

/// The contents of a store at its root record.
pub(crate) struct Loaded {
    pub(crate) state: State,
    /// By namespace.
    pub(crate) pasts: BTreeMap<SmolStr, Past>,
    /// The packs of trees.
    pub(crate) packs: Vec<PackId>,
}

/// What is to be written.
pub(crate) struct Snapshot<'a> {
    pub(crate) state: &'a State,
    /// The parts of the state that changed since it was last written.
    pub(crate) changed: &'a Changed,
    /// The pasts of changed namespaces; `None` if the namespace is gone.
    pub(crate) pasts: &'a [(SmolStr, Option<Past>)],
    /// The packs of trees.
    pub(crate) packs: &'a [PackId],
}

/// The directories to which changes are applied.
#[derive(Clone)]
struct Trees {
    areas: [Directory; Area::ALL.len()],
    pasts: Directory,
}

impl Trees {
    fn empty() -> Self {
        Self {
            areas: std::array::from_fn(|_| Directory::empty()),
            pasts: Directory::empty(),
        }
    }

    fn area(&mut self, area: Area) -> &mut Directory {
        let [namespaces, clients, pins, epochs] = &mut self.areas;
        match area {
            Area::Namespaces => namespaces,
            Area::Clients => clients,
            Area::Pins => pins,
            Area::Epochs => epochs,
        }
    }
}

/// The writer of the state; there is only one.
pub(crate) struct System {
    objects: Objects,
    trees: Trees,
    /// The state in the trees.
    written: State,
    root: Option<SystemRoot>,
}

/// Objects that were written and are not named by a root record yet.
#[must_use = "what was written is of use once it is named, or else it is to be taken back"]
pub(crate) struct Written {
    pub(crate) root: SystemRoot,
    trees: Trees,
    state: State,
    pack: Option<PackId>,
    /// It needs none of the previous packs, which are deleted once no slot of the root record names
    /// them.
    pub(crate) replaces: bool,
}

impl System {
    /// The writer of a new store. `blobs` must not be used for anything else.
    pub(crate) fn new(blobs: Arc<dyn BlobStore>, params: StoreParams) -> Self {
        Self {
            objects: Objects::new(blobs, params, STATE_CACHE_BYTES),
            trees: Trees::empty(),
            written: State::new(&params),
            root: None,
        }
    }

    /// Writes changes into a pack. They take effect only with [`named`](Self::named). Cost: linear
    /// in the changes; if most of the packs' bytes are no longer live, linear in the whole state.
    ///
    /// # Errors
    /// `NoSpace`, and failures of the medium: nothing is left behind.
    pub(crate) fn write(&self, snapshot: &Snapshot<'_>) -> Result<Written, EngineError> {
        let params = *self.objects.params();
        let mut trees = self.trees.clone();
        for edit in snapshot.state.edits(&self.written, snapshot.changed)? {
            let directory = trees.area(edit.area);
            *directory = self.step(directory, |one, ctx| edit.apply(one, ctx))?;
        }
        for (name, past) in snapshot.pasts {
            let value = past.as_ref().map(encode).transpose()?;
            let value = value.map(|bytes| Entry::Value(Value::new(&params, bytes)));
            trees.pasts = self.step(&trees.pasts, |pasts, ctx| {
                pasts.update(ctx, &entry_name(name), &mut |entry| {
                    entry.clone_from(&value);
                    Ok(())
                })
            })?;
        }
        let (state, local) = roots(&params, &trees, snapshot)?;
        let (pack, names) = write_new(&**self.objects.store(), &params, [&state, &local])?;
        let mut detacher = Detacher::new(params, |name: &Blobref| names.contains(name));
        for directory in trees.areas.iter_mut().chain([&mut trees.pasts]) {
            *directory = detacher.directory(directory);
        }
        let before = self.root.as_ref();
        let mut packs = before.map_or_else(Vec::new, |root| root.packs.clone());
        packs.extend(pack);
        let whole_bytes = before.map_or_else(|| self.bytes(&packs), |root| root.whole_bytes);
        let mut written = Written {
            root: SystemRoot {
                state: state.seal(&params),
                local: local.seal(&params),
                packs,
                whole_bytes,
            },
            trees,
            state: snapshot.state.clone(),
            pack,
            replaces: false,
        };
        if self.is_wasteful(&written.root) || self.relies_on_others(&written.root) {
            self.write_whole(&mut written)?;
        }
        Ok(written)
    }

    /// The root that a state will have once it is written. Cost: linear in the state.
    ///
    /// # Errors
    /// `Corrupt` for a namespace whose root is not known.
    pub(crate) fn root_of(&self, state: &State) -> Result<Blobref, EngineError> {
        let params = *self.objects.params();
        let ctx = Ctx {
            source: &NoSource,
            params: &params,
        };
        let mut trees = Trees::empty();
        let mut changed = state.clone();
        changed.mark_all();
        for edit in state.edits(&State::new(&params), &changed.take_changed())? {
            let applied = edit.apply(trees.area(edit.area), &ctx);
            applied.map_err(|fault| EngineError::corrupt(format!("the state: {fault}")))?;
        }
        let snapshot = Snapshot {
            state,
            changed: &Changed::default(),
            pasts: &[],
            packs: &[],
        };
        Ok(roots(&params, &trees, &snapshot)?.0.seal(&params))
    }

    /// Records that a durable root record names what was written; if that
    /// [replaces](Written::replaces) the previous packs, that both slots do. Deletes the packs that
    /// it does not name.
    ///
    /// # Errors
    /// Failures of the medium. Packs that are left over are deleted when the store is opened.
    pub(crate) fn named(&mut self, written: Written) -> Result<(), EngineError> {
        self.named_beside(written);
        let named = self.root.as_ref().map_or(&[][..], |root| &root.packs);
        let blobs = self.objects.store();
        for pack in blobs.packs() {
            if !named.contains(&pack.id) {
                blobs.delete(pack.id)?;
            }
        }
        Ok(())
    }

    /// The same while the other slot may still name other packs: these are kept, and the next
    /// checkpoint replaces all of them.
    pub(crate) fn named_beside(&mut self, written: Written) {
        self.trees = written.trees;
        self.written = written.state;
        self.root = Some(written.root);
    }

    /// Discards what was written: no root record names it.
    pub(crate) fn take_back(&self, written: Written) {
        for pack in self.new_packs(&written) {
            // Packs that cannot be deleted now are deleted when the store is opened.
            let _ = self.objects.store().delete(pack);
        }
    }

    /// Bytes of the packs that were written.
    pub(crate) fn new_bytes(&self, written: &Written) -> u64 {
        self.bytes(&self.new_packs(written))
    }

    /// The packs that were written, whether `written` names them or not.
    fn new_packs(&self, written: &Written) -> Vec<PackId> {
        let before = self.root.as_ref().map_or(&[][..], |root| &root.packs);
        let mut new = written.root.packs.clone();
        new.retain(|pack| !before.contains(pack));
        let aside = written.pack.filter(|pack| !new.contains(pack));
        new.extend(aside);
        new
    }

    /// Total bytes of these packs.
    fn bytes(&self, packs: &[PackId]) -> u64 {
        let all = self.objects.store().packs();
        let named = all.iter().filter(|pack| packs.contains(&pack.id));
        named.map(|pack| pack.bytes).sum()
    }

    /// Whether the packs should be replaced by one: most of their bytes are no longer live, or
    /// there are many packs.
    fn is_wasteful(&self, root: &SystemRoot) -> bool {
        let most = root.whole_bytes.saturating_mul(2) + STATE_WASTE_BYTES;
        root.packs.len() > STATE_PACKS || self.bytes(&root.packs) > most
    }

    /// Whether packs are in use that the root does not name: an object that is only in one of them
    /// was not written again.
    fn relies_on_others(&self, root: &SystemRoot) -> bool {
        let in_use = self.objects.store().packs();
        !in_use.iter().all(|pack| root.packs.contains(&pack.id))
    }

    /// Copies all live objects into one pack, which replaces the others.
    fn write_whole(&self, written: &mut Written) -> Result<(), EngineError> {
        let (mut live, mut left) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        left.extend([written.root.state, written.root.local].map(|name| (name, ObjectKind::Node)));
        while let Some((name, kind)) = left.pop() {
            if !seen.insert(name) {
                continue;
            }
            live.push(name);
            if kind == ObjectKind::Node {
                let node = self.objects.read_node(&Missing {
                    blobref: name,
                    kind,
                })?;
                left.extend(node.children());
            }
        }
        let copied = self.objects.store().copy_live(&mut live.into_iter());
        match copied {
            Ok(pack) => {
                written.root.packs = pack.into_iter().collect();
                written.root.whole_bytes = self.bytes(&written.root.packs);
                written.replaces = true;
                Ok(())
            }
            Err(error) => {
                let _ = written.pack.map(|pack| self.objects.store().delete(pack));
                Err(error.into())
            }
        }
    }

    /// The parameters of the store.
    pub(crate) fn params(&self) -> &StoreParams {
        self.objects.params()
    }

    /// Applies one step to a copy of a directory.
    fn step(
        &self,
        directory: &Directory,
        step: impl Fn(&mut Directory, &Ctx<'_>) -> Result<(), Fault>,
    ) -> Result<Directory, EngineError> {
        let params = self.objects.params();
        self.objects.complete(|source| {
            let mut after = directory.clone();
            step(&mut after, &Ctx { source, params })?;
            Ok(after)
        })
    }
}

/// Writes the objects under some roots that are only in memory into a pack. Returns their names,
/// and the pack if the store lacked any of them.
///
/// # Errors
/// `NoSpace`, and failures of the medium: nothing is left behind.
pub(crate) fn write_new<'a>(
    blobs: &dyn BlobStore,
    params: &StoreParams,
    roots: impl IntoIterator<Item = &'a Directory>,
) -> Result<(Option<PackId>, HashSet<Blobref>), EngineError> {
    let mut names = HashSet::new();
    let mut pack = blobs.begin_pack()?;
    for root in roots {
        let mut failed = None;
        let mut new = Vec::new();
        let known = |name: &Blobref| names.contains(name);
        root.unwritten(params, &known, &mut |name, _, bytes| {
            new.push(name);
            if failed.is_none() {
                failed = pack.add(&name, &bytes).err();
            }
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        names.extend(new);
    }
    Ok((pack.finish()?, names))
}

/// The root directories of the state and of the local data.
fn roots(
    params: &StoreParams,
    trees: &Trees,
    snapshot: &Snapshot<'_>,
) -> Result<(Directory, Directory), EngineError> {
    let value = |bytes| Entry::Value(Value::new(params, bytes));
    let areas = Area::ALL.iter().zip(&trees.areas);
    let areas = areas.map(|(area, directory)| {
        let entry = Entry::Directory(directory.clone());
        (SmolStr::new(area.name()), entry)
    });
    let mut state: BTreeMap<SmolStr, Entry> = areas.collect();
    state.insert(STORE.into(), value(snapshot.state.stored_store()?));
    let local = BTreeMap::from([
        (PASTS.into(), Entry::Directory(trees.pasts.clone())),
        (PACKS.into(), value(encode(&snapshot.packs)?)),
    ]);
    Ok((
        Directory::from_entries(params, state)?,
        Directory::from_entries(params, local)?,
    ))
}

#[cfg(test)]
mod tests;
