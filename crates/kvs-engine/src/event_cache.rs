//! Caches events that many watches deliver: each is read, filtered and encoded once for all watches
//! with equal scopes and options at the same version.
//!
//! Bounded by number and bytes; an evicted event is rebuilt on demand.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use kvs_tree::Scope;

use crate::event::SharedEvent;
use crate::limits::{SHARED_EVENT_BYTES, SHARED_EVENTS};

/// The scopes of a watch. Nearly always a single one, stored without an allocation of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scopes {
    One(Scope),
    Many(Arc<[Scope]>),
}

impl Scopes {
    /// No scopes means the whole tree.
    pub(crate) fn new(mut scopes: Vec<Scope>) -> Self {
        match scopes.pop() {
            Some(only) if scopes.is_empty() => Self::One(only),
            Some(last) => {
                scopes.push(last);
                Self::Many(scopes.into())
            }
            None => Self::One(Scope::Directory(kvs_tree::Key::ROOT)),
        }
    }

    pub(crate) fn as_slice(&self) -> &[Scope] {
        match self {
            Self::One(scope) => std::slice::from_ref(scope),
            Self::Many(scopes) => scopes,
        }
    }
}

/// What determines an event's content besides scopes and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) kind: ModeKind,
    pub(crate) values: bool,
    pub(crate) previous: bool,
}

/// A mode without the parameters of its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ModeKind {
    Every,
    Latest,
    Append,
    Unique,
}

/// The key of a cached event.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct EventKey {
    pub(crate) version: u64,
    pub(crate) shape: Shape,
    pub(crate) scopes: Scopes,
}

/// The recently delivered events of one namespace.
#[derive(Default)]
pub(crate) struct EventCache {
    events: HashMap<EventKey, Arc<SharedEvent>>,
    order: VecDeque<EventKey>,
    bytes: usize,
}

impl EventCache {
    pub(crate) fn get(&self, key: &EventKey) -> Option<Arc<SharedEvent>> {
        self.events.get(key).cloned()
    }

    pub(crate) fn insert(&mut self, key: EventKey, event: &Arc<SharedEvent>) {
        if self.events.insert(key.clone(), event.clone()).is_some() {
            return;
        }
        self.bytes += event.size();
        self.order.push_back(key);
        while self.order.len() > SHARED_EVENTS || self.bytes > SHARED_EVENT_BYTES {
            let Some(old) = self.order.pop_front() else {
                return;
            };
            if let Some(event) = self.events.remove(&old) {
                self.bytes -= event.size();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::WatchEvent;
    use crate::reference::Position;

    #[test]
    fn the_oldest_events_make_room() {
        let mut events = EventCache::default();
        let at = Position {
            incarnation: 1,
            version: 1,
        };
        let event = Arc::new(SharedEvent::new(WatchEvent::Gap { from: at, to: at }));
        let key = |version| EventKey {
            version,
            shape: Shape {
                kind: ModeKind::Every,
                values: true,
                previous: false,
            },
            scopes: Scopes::new(Vec::new()),
        };
        for version in 0..=SHARED_EVENTS as u64 {
            events.insert(key(version), &event);
        }
        assert!(events.get(&key(0)).is_none());
        assert!(events.get(&key(1)).is_some());
        assert_eq!(events.bytes, SHARED_EVENTS * event.size());
    }
}
