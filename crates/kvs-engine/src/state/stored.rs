//! A state as tree objects, so that a checkpoint writes only what changed (RFC 0008).
//!
//! Four directories: namespaces by name, clients by incarnation and id, pins by id, epochs by
//! number. Pure: computes the edits from one state to a later one, and restores a state from what
//! was written.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kvs_tree::{Blobref, Ctx, Directory, Entry, Fault, StoreParams, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use super::namespace::{EpochVersions, NamespaceState};
use super::outcomes::{Chunk, ClientHead, ClientKey, Outcomes};
use super::persistent::Map;
use super::terms::Terms;
use super::whole::{Changed, State};
use crate::error::EngineError;
use crate::request::{Pin, Principal};
use crate::whole_value;

/// A directory of a written state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    Namespaces,
    Clients,
    Pins,
    Epochs,
}

impl Area {
    /// All areas, in reading order: each may refer to earlier ones.
    pub(crate) const ALL: [Self; 4] = [Self::Namespaces, Self::Clients, Self::Pins, Self::Epochs];

    /// Its name in the root directory.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Clients => "clients",
            Self::Pins => "pins",
            Self::Epochs => "epochs",
        }
    }
}

/// The name of the only value in the root directory.
pub(crate) const STORE: &str = "store";

/// The name of the entry of a client that is not a chunk.
const HEAD: &str = "head";

#[derive(Serialize, Deserialize)]
struct StoredStore {
    group: u64,
    age_ms: u64,
    stamp: u64,
    last_pin: u64,
    checkpoint: Option<(u64, Blobref)>,
    trimmed_to: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredNamespace {
    terms: Terms,
    version: u64,
    root: Blobref,
    epochs: Arc<Vec<EpochVersions>>,
    age_ms: u64,
    /// By user.
    horizons: Vec<(Principal, u64)>,
}

/// A change of one entry.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) area: Area,
    name: SmolStr,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Put(Bytes),
    /// The entry is a directory: sets or removes the values at these names.
    Within(Vec<(SmolStr, Option<Bytes>)>),
    Remove,
}

impl Edit {
    /// Applies the edit to the directory of its area. Idempotent.
    pub(crate) fn apply(&self, directory: &mut Directory, ctx: &Ctx<'_>) -> Result<(), Fault> {
        let value = |bytes: &Bytes| Entry::Value(Value::new(ctx.params, bytes.clone()));
        directory.update(ctx, &self.name, &mut |entry| {
            match &self.what {
                What::Put(bytes) => *entry = Some(value(bytes)),
                What::Remove => *entry = None,
                What::Within(edits) => {
                    let mut inner = match entry {
                        Some(Entry::Directory(directory)) => directory.clone(),
                        _ => Directory::empty(),
                    };
                    for (name, bytes) in edits {
                        let new = bytes.as_ref().map(value);
                        inner.update(ctx, name, &mut |entry| {
                            *entry = new.clone();
                            Ok(())
                        })?;
                    }
                    *entry = Some(Entry::Directory(inner));
                }
            }
            Ok(())
        })
    }
}

/// The entry name for a namespace. Names in a tree cannot contain dots, and names of namespaces no
/// control characters.
pub(crate) fn entry_name(namespace: &str) -> SmolStr {
    SmolStr::from(namespace.replace('.', "\u{1}"))
}

/// The namespace of an entry.
pub(crate) fn namespace_name(entry: &str) -> SmolStr {
    SmolStr::from(entry.replace('\u{1}', "."))
}

/// The letter before the uid gives the kind of principal.
fn client_name(incarnation: u64, (principal, id): &ClientKey) -> SmolStr {
    let Principal::Uid(uid) = principal;
    let id = u128::from_be_bytes(*id);
    format_smolstr!("{incarnation:016x}-u{uid:08x}-{id:032x}")
}

fn parse_client(name: &str) -> Option<(u64, ClientKey)> {
    let mut parts = name.split('-');
    let (incarnation, uid, id) = (parts.next()?, parts.next()?, parts.next()?);
    let uid = u32::from_str_radix(uid.strip_prefix('u')?, 16).ok()?;
    let id = u128::from_str_radix(id, 16).ok()?;
    let incarnation = u64::from_str_radix(incarnation, 16).ok()?;
    Some((incarnation, (Principal::Uid(uid), id.to_be_bytes())))
}

pub(crate) fn encode(value: &impl Serialize) -> Result<Bytes, EngineError> {
    let bytes = rmp_serde::to_vec(value);
    let bytes =
        bytes.map_err(|e| EngineError::corrupt(format!("the state does not encode: {e}")))?;
    Ok(bytes.into())
}

/// Decodes the output of [`encode`]. `what` names it in the error.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, EngineError> {
    let wrong = |reason| format!("{what} of the state does not decode: {reason}");
    whole_value::decode(bytes).map_err(|reason| EngineError::corrupt(wrong(reason)))
}

impl State {
    /// The value beside the areas in the root directory.
    pub(crate) fn stored_store(&self) -> Result<Bytes, EngineError> {
        encode(&StoredStore {
            group: self.group,
            age_ms: self.age_ms,
            stamp: self.stamp,
            last_pin: self.last_pin,
            checkpoint: self.checkpoint,
            trimmed_to: self.trimmed_to,
        })
    }

    /// The edits from `before`, as written, to this state; `changed` is what changed in between.
    /// Cost: linear in that.
    pub(crate) fn edits(
        &self,
        before: &State,
        changed: &Changed,
    ) -> Result<Vec<Edit>, EngineError> {
        let mut edits = Vec::new();
        for (name, ()) in &changed.namespaces {
            let (old, new) = (before.namespace(name), self.namespace(name));
            edits.push(Edit {
                area: Area::Namespaces,
                name: entry_name(name),
                what: match new {
                    Some(state) => What::Put(state.stored(name)?),
                    None => What::Remove,
                },
            });
            client_edits(old, new, &mut edits)?;
        }
        for (id, ()) in &changed.pins {
            edits.push(Edit {
                area: Area::Pins,
                name: format_smolstr!("{id:016x}"),
                what: match self.pin(*id) {
                    Some(pin) => What::Put(encode(&**pin)?),
                    None => What::Remove,
                },
            });
        }
        let number = |number: &u64| format_smolstr!("{number:016x}");
        for (new, epoch) in self.epochs.iter().rev() {
            if before.epochs.contains_key(new) {
                break;
            }
            edits.push(Edit {
                area: Area::Epochs,
                name: number(new),
                what: What::Put(encode(epoch)?),
            });
        }
        let gone = before.epochs.keys();
        let gone = gone.take_while(|old| !self.epochs.contains_key(*old));
        edits.extend(gone.map(|old| Edit {
            area: Area::Epochs,
            name: number(old),
            what: What::Remove,
        }));
        Ok(edits)
    }
}

/// The edits for the clients of one namespace. Another incarnation has other entries.
fn client_edits(
    old: Option<&NamespaceState>,
    new: Option<&NamespaceState>,
    edits: &mut Vec<Edit>,
) -> Result<(), EngineError> {
    let incarnation = |state: &NamespaceState| state.terms.incarnation;
    let same = old.map(incarnation) == new.map(incarnation);
    if let (Some(old), false) = (old, same) {
        let removed = old.outcomes.clients();
        edits.extend(removed.map(|(key, _)| remove_client(incarnation(old), key)));
    }
    let Some(new) = new else {
        return Ok(());
    };
    let old = old.filter(|_| same);
    if let Some(old) = old {
        let forgotten = new.outcomes.forgotten_since(&old.outcomes);
        edits.extend(forgotten.map(|key| remove_client(incarnation(new), key)));
    }
    let since = old.map_or(0, |old| old.version);
    for (key, client) in new.outcomes.active_since(since) {
        let mut within = vec![(HEAD.into(), Some(encode(&client.head)?))];
        for (number, chunk) in client.chunks_since(since) {
            within.push((format_smolstr!("{number:016x}"), Some(encode(chunk)?)));
        }
        let before = old.and_then(|old| old.outcomes.client(key));
        let before = before.into_iter().flat_map(|client| client.chunks.keys());
        let gone = before.filter(|number| !client.chunks.contains_key(*number));
        within.extend(gone.map(|number| (format_smolstr!("{number:016x}"), None)));
        edits.push(Edit {
            area: Area::Clients,
            name: client_name(incarnation(new), key),
            what: What::Within(within),
        });
    }
    Ok(())
}

fn remove_client(incarnation: u64, key: &ClientKey) -> Edit {
    Edit {
        area: Area::Clients,
        name: client_name(incarnation, key),
        what: What::Remove,
    }
}

impl NamespaceState {
    fn stored(&self, name: &str) -> Result<Bytes, EngineError> {
        let missing = || EngineError::corrupt(format!("namespace {name} has no root to write"));
        encode(&StoredNamespace {
            terms: (*self.terms).clone(),
            version: self.version,
            root: self.root.ok_or_else(missing)?,
            epochs: self.epochs.clone(),
            age_ms: self.age_ms,
            horizons: self.outcomes.horizons(),
        })
    }
}

/// Restores a state, area by area.
pub(crate) struct Restore {
    state: State,
    /// Namespaces by incarnation.
    names: BTreeMap<u64, SmolStr>,
}

impl Restore {
    /// Starts with the value beside the areas.
    ///
    /// # Errors
    /// `Corrupt` for what does not decode, here and below.
    pub(crate) fn new(params: &StoreParams, store: &[u8]) -> Result<Self, EngineError> {
        let store: StoredStore = decode(STORE, store)?;
        let mut state = State::new(params);
        state.group = store.group;
        state.age_ms = store.age_ms;
        state.stamp = store.stamp;
        state.last_pin = store.last_pin;
        state.checkpoint = store.checkpoint;
        state.trimmed_to = store.trimmed_to;
        Ok(Self {
            state,
            names: BTreeMap::new(),
        })
    }

    /// Adds an entry of `Namespaces`, `Pins` or `Epochs`.
    pub(crate) fn value(
        &mut self,
        area: Area,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), EngineError> {
        if area == Area::Pins {
            let pin: Pin = decode("a pin", bytes)?;
            self.state.pins.insert_mut(pin.id, Arc::new(pin));
            return Ok(());
        }
        if area == Area::Epochs {
            let wrong = || EngineError::corrupt(format!("epoch {name} of the state has no number"));
            let number = u64::from_str_radix(name, 16).map_err(|_| wrong())?;
            let epoch = decode("an epoch", bytes)?;
            self.state.epochs.insert_mut(number, epoch);
            return Ok(());
        }
        let stored: StoredNamespace = decode("a namespace", bytes)?;
        let name = namespace_name(name);
        self.names.insert(stored.terms.incarnation, name.clone());
        let state = NamespaceState {
            terms: Arc::new(stored.terms),
            version: stored.version,
            root: Some(stored.root),
            epochs: stored.epochs,
            age_ms: stored.age_ms,
            outcomes: Outcomes::restore(stored.horizons),
            changed: false,
        };
        self.state.namespaces.insert_mut(name, state);
        Ok(())
    }

    /// Adds an entry of `Clients`, with its contents.
    pub(crate) fn client(
        &mut self,
        name: &str,
        entries: Vec<(SmolStr, Bytes)>,
    ) -> Result<(), EngineError> {
        let unknown = || EngineError::corrupt(format!("{name} in the state is not a valid client"));
        let (incarnation, key) = parse_client(name).ok_or_else(unknown)?;
        let namespace = self.names.get(&incarnation).ok_or_else(unknown)?;
        let namespace = self.state.namespaces.get_mut(namespace);
        let namespace = namespace.ok_or_else(unknown)?;
        let (mut head, mut chunks) = (ClientHead::default(), Map::new_sync());
        for (entry, bytes) in entries {
            if entry == HEAD {
                head = decode("a client", &bytes)?;
                continue;
            }
            let number = u64::from_str_radix(&entry, 16).map_err(|_| unknown())?;
            let chunk: Chunk = decode("outcomes", &bytes)?;
            chunks.insert_mut(number, chunk);
        }
        namespace.outcomes.restore_client(key, head, chunks);
        Ok(())
    }

    /// The state as written.
    pub(crate) fn finish(self) -> State {
        self.state
    }
}
