//! The newest position of each namespace that this client was told.

use kvs_proto::Position;
use smol_str::SmolStr;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A map that only moves forward within an incarnation. Each access is one short lock.
#[derive(Debug, Default)]
pub(crate) struct KnownPositions(Mutex<Positions>);

#[derive(Debug, Default)]
struct Positions {
    all: HashMap<SmolStr, Position>,
    /// The one that was asked for or told last: mostly it is the same again.
    last: Option<(SmolStr, Position)>,
}

impl KnownPositions {
    fn lock(&self) -> MutexGuard<'_, Positions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, namespace: &str) -> Option<Position> {
        self.lock().get(namespace)
    }

    pub(crate) fn learn(&self, namespace: &SmolStr, position: Position) {
        let mut known = self.lock();
        let newest = known.get(namespace);
        if newest.is_none_or(|newest| {
            newest.incarnation != position.incarnation || newest.version < position.version
        }) {
            known.all.insert(namespace.clone(), position);
            known.last = Some((namespace.clone(), position));
        }
    }

    pub(crate) fn namespaces(&self) -> Vec<SmolStr> {
        self.lock().all.keys().cloned().collect()
    }
}

impl Positions {
    fn get(&mut self, namespace: &str) -> Option<Position> {
        if let Some((name, position)) = &self.last
            && name == namespace
        {
            return Some(*position);
        }
        let (name, position) = self.all.get_key_value(namespace)?;
        self.last = Some((name.clone(), *position));
        Some(*position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_does_not_move_the_position_back() {
        let known = KnownPositions::default();
        let namespace = SmolStr::new("a");
        let at = |incarnation, version| Position {
            incarnation,
            version,
        };
        for (told, newest) in [
            (at(1, 5), at(1, 5)),
            (at(1, 3), at(1, 5)),
            (at(2, 1), at(2, 1)),
        ] {
            known.learn(&namespace, told);
            assert_eq!(known.get("a"), Some(newest));
        }
    }
}
