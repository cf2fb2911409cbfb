//! Namespaces have several incarnations, called lives here: they are removed and recreated, or
//! continue after a crash that lost something. A position in any life is one number that only
//! grows: an index.

use std::collections::{BTreeMap, BTreeSet};

use kvs_engine::{Behind, Position, WatchEvent};
use kvs_tree::Blobref;

/// Indexes in one life.
pub(super) const LIFE: u64 = 1 << 32;

/// The life that an index belongs to.
pub(super) fn life(index: u64) -> u64 {
    index / LIFE
}

/// One life of a namespace.
pub(super) struct Life {
    incarnation: u64,
    /// It continues from this index of an earlier life, which has this root.
    pub(super) continues: Option<(u64, Blobref)>,
}

/// The lives of all namespaces by name, in order.
#[derive(Default)]
pub(super) struct Lives(pub(super) BTreeMap<String, Vec<Life>>);

impl Lives {
    /// Records a new life.
    pub(super) fn born(&mut self, name: &str, incarnation: u64, continues: Option<(u64, Blobref)>) {
        self.0.entry(name.to_owned()).or_default().push(Life {
            incarnation,
            continues,
        });
    }

    pub(super) fn knows(&self, name: &str, incarnation: u64) -> bool {
        self.number(name, incarnation).is_some()
    }

    fn number(&self, name: &str, incarnation: u64) -> Option<u64> {
        let lives = self.0.get(name)?;
        let at = lives.iter().position(|one| one.incarnation == incarnation);
        at.map(|at| at as u64)
    }

    /// The last life of a namespace.
    pub(super) fn last(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |lives| lives.len() as u64 - 1)
    }

    pub(super) fn index(&self, name: &str, position: Position) -> u64 {
        let number = self.number(name, position.incarnation);
        number.expect("a life that nobody began") * LIFE + position.version
    }

    pub(super) fn position(&self, name: &str, index: u64) -> Position {
        Position {
            incarnation: self.0[name][life(index) as usize].incarnation,
            version: index % LIFE,
        }
    }

    /// The event with indexes for versions and numbers of lives for incarnations.
    pub(super) fn indexed(&self, name: &str, event: &WatchEvent) -> WatchEvent {
        let mut event = event.clone();
        let place = |name: &str, at: &mut Position| {
            let version = self.index(name, *at);
            let incarnation = life(version);
            *at = Position {
                incarnation,
                version,
            };
        };
        match &mut event {
            WatchEvent::Gap { from, to } => {
                place(name, from);
                place(name, to);
            }
            WatchEvent::Initial { position, .. } => place(name, position),
            WatchEvent::Changes {
                position, behind, ..
            } => {
                place(name, position);
                if let Some(Behind {
                    namespace,
                    position,
                    root: Some(_),
                }) = behind
                {
                    place(namespace, position);
                }
            }
        }
        event
    }
}

/// The namespaces at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct World {
    /// The namespaces that exist, with the newest index of each.
    pub(super) newest: BTreeMap<String, u64>,
    /// Those shared with the guest.
    pub(super) shared: BTreeSet<String>,
}
