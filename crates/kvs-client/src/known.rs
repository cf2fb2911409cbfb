//! The newest position of each namespace that this client was told.

use dashmap::DashMap;
use kvs_proto::Position;
use smol_str::SmolStr;
use std::sync::{Mutex, PoisonError};

/// A map that only moves forward within an incarnation. Each access is one short lock.
#[derive(Debug, Default)]
pub(crate) struct Known {
    positions: DashMap<SmolStr, Position>,
    /// What was told last: mostly the same is told again.
    last: Mutex<Option<(SmolStr, Position)>>,
}

impl Known {
    pub(crate) fn get(&self, namespace: &str) -> Option<Position> {
        self.positions.get(namespace).map(|position| *position)
    }

    pub(crate) fn learn(&self, namespace: &SmolStr, position: Position) {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(&*last(), Some((name, at)) if *at == position && name == namespace) {
            return;
        }
        self.move_on(namespace, position);
        *last() = Some((namespace.clone(), position));
    }

    fn move_on(&self, namespace: &SmolStr, position: Position) {
        if let Some(mut known) = self.positions.get_mut(namespace) {
            if known.incarnation != position.incarnation || known.version < position.version {
                *known = position;
            }
            return;
        }
        self.positions.insert(namespace.clone(), position);
    }

    pub(crate) fn namespaces(&self) -> Vec<SmolStr> {
        self.positions
            .iter()
            .map(|entry| entry.key().clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_does_not_move_the_position_back() {
        let known = Known::default();
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
