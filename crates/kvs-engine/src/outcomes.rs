//! Exactly once: which transactions of which clients took effect, and with what answer.
//!
//! A client acknowledges the answers that it has; those are forgotten at once, so the table holds
//! what is in flight. What a client left unacknowledged when it vanished is forgotten by age, and
//! the *horizon* remembers that something was: a repeat from before it can be told neither "done"
//! nor "not done" and is answered `outcome-unknown`. Pure; the journal is its only source of
//! change, so replay rebuilds it.

use std::collections::BTreeMap;

use kvs_tree::{Blobref, OperationResult};
use serde::{Deserialize, Serialize};

use crate::limits::{OUTCOME_AGE_MS, OUTCOME_CLIENTS, OUTCOME_VERSIONS, OUTCOMES_PER_CLIENT};
use crate::record::{TransactionRecord, VersionRecord};
use crate::reference::Position;
use crate::request::TransactionId;

/// What a transaction did, as much as a repeat must be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) version: u64,
    pub(crate) root: Blobref,
    /// Empty stands for "all done", of which there are `operations`.
    results: Vec<OperationResult>,
    operations: u32,
}

impl Outcome {
    /// One result an operation.
    pub(crate) fn results(&self) -> Vec<OperationResult> {
        if self.results.is_empty() {
            return vec![OperationResult::Done; self.operations as usize];
        }
        self.results.clone()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Client {
    acknowledged: u64,
    version: u64,
    time_ms: u64,
    answers: BTreeMap<u64, Outcome>,
}

/// What is known of a transaction id.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    /// It never took effect: evaluate it.
    Never,
    /// It took effect, with this outcome.
    Before(Outcome),
    /// It is older than what is remembered.
    Unknown,
}

/// The remembered transactions of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcomes {
    clients: BTreeMap<(u32, [u8; 16]), Client>,
    /// The newest version whose outcome was forgotten without its client's acknowledgement.
    horizon: u64,
}

impl Outcomes {
    /// What is known of transaction `id` of `uid`. `repeat` is the position that the client knew
    /// when it first sent it, `incarnation` the namespace's current one.
    pub(crate) fn seen(
        &self,
        uid: u32,
        id: TransactionId,
        repeat: Option<Position>,
        incarnation: u64,
    ) -> Seen {
        if let Some(client) = self.clients.get(&(uid, id.client)) {
            if let Some(outcome) = client.answers.get(&id.number) {
                return Seen::Before(outcome.clone());
            }
            if id.number < client.acknowledged {
                return Seen::Unknown;
            }
        }
        match repeat {
            // Incarnation 0 is "knew no position": safe while nothing was ever forgotten.
            Some(at) if at.incarnation != incarnation && at.incarnation != 0 => Seen::Unknown,
            Some(at) if at.version < self.horizon => Seen::Unknown,
            _ => Seen::Never,
        }
    }

    /// Takes in a transaction that took effect in `version`.
    pub(crate) fn record(&mut self, transaction: &TransactionRecord, version: &VersionRecord) {
        let &VersionRecord {
            version,
            time_ms,
            root,
            ..
        } = version;
        let client = self
            .clients
            .entry((transaction.uid, transaction.client))
            .or_default();
        client.version = version;
        client.time_ms = time_ms;
        client.acknowledged = client.acknowledged.max(transaction.acknowledged);
        while let Some(oldest) = client.answers.first_entry()
            && *oldest.key() < client.acknowledged
        {
            oldest.remove();
        }
        client.answers.insert(
            transaction.number,
            Outcome {
                version,
                root,
                results: transaction.results.clone(),
                operations: transaction.operations,
            },
        );
        while client.answers.len() > OUTCOMES_PER_CLIENT {
            if let Some((number, _)) = client.answers.pop_first() {
                client.acknowledged = number + 1;
            }
        }
        if self.clients.len() > OUTCOME_CLIENTS {
            self.forget(version, time_ms);
        }
    }

    /// Forgets clients that are past the limits by versions and by time; past the limit by number,
    /// the oldest half.
    pub(crate) fn forget(&mut self, version: u64, time_ms: u64) {
        let mut horizon = self.horizon;
        let mut keep = |client: &Client, old: bool| {
            if old {
                horizon = horizon.max(client.version);
            }
            !old
        };
        self.clients.retain(|_, c| {
            let old = version.saturating_sub(c.version) > OUTCOME_VERSIONS
                && time_ms.saturating_sub(c.time_ms) > OUTCOME_AGE_MS;
            keep(c, old)
        });
        if self.clients.len() > OUTCOME_CLIENTS {
            let mut versions: Vec<u64> = self.clients.values().map(|c| c.version).collect();
            versions.sort_unstable();
            let middle = versions.get(versions.len() / 2).copied().unwrap_or(version);
            self.clients.retain(|_, c| keep(c, c.version <= middle));
        }
        self.horizon = horizon;
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.clients.values().map(|c| c.answers.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(client: u8, number: u64, acknowledged: u64) -> TransactionRecord {
        TransactionRecord {
            uid: 0,
            client: [client; 16],
            number,
            acknowledged,
            name: None,
            results: Vec::new(),
            operations: 1,
            effects: Vec::new(),
        }
    }

    fn version(version: u64, time_ms: u64) -> VersionRecord {
        VersionRecord {
            namespace: "primary".into(),
            incarnation: 1,
            version,
            root: Blobref::of(kvs_tree::HashAlgorithm::Blake3, b""),
            time_ms,
            transactions: Vec::new(),
        }
    }

    fn id(client: u8, number: u64) -> TransactionId {
        TransactionId {
            client: [client; 16],
            number,
        }
    }

    #[test]
    fn a_repeat_gets_the_first_outcome() {
        let mut outcomes = Outcomes::default();
        outcomes.record(&transaction(1, 5, 0), &version(17, 0));
        let Seen::Before(outcome) = outcomes.seen(0, id(1, 5), None, 1) else {
            panic!()
        };
        assert_eq!(
            (outcome.version, outcome.results()),
            (17, vec![OperationResult::Done])
        );
        assert_eq!(outcomes.seen(0, id(1, 6), None, 1), Seen::Never);
        assert_eq!(
            outcomes.seen(7, id(1, 5), None, 1),
            Seen::Never,
            "ids are scoped by uid"
        );
    }

    #[test]
    fn acknowledged_outcomes_are_forgotten_and_never_evaluated_again() {
        let mut outcomes = Outcomes::default();
        for number in 0..1000 {
            outcomes.record(
                &transaction(1, number, number.saturating_sub(10)),
                &version(number + 1, 0),
            );
        }
        assert!(outcomes.len() <= 11);
        assert_eq!(outcomes.seen(0, id(1, 3), None, 1), Seen::Unknown);
    }

    #[test]
    fn a_repeat_from_before_the_horizon_is_unknown() {
        let mut outcomes = Outcomes::default();
        outcomes.record(&transaction(1, 0, 0), &version(10, 0));
        let late = version(2 * OUTCOME_VERSIONS, 2 * OUTCOME_AGE_MS);
        outcomes.record(&transaction(2, 0, 0), &late);
        outcomes.forget(2 * OUTCOME_VERSIONS, 2 * OUTCOME_AGE_MS);
        let at = |version| {
            Some(Position {
                incarnation: 1,
                version,
            })
        };
        assert_eq!(outcomes.seen(0, id(1, 0), at(9), 1), Seen::Unknown);
        assert_eq!(outcomes.seen(0, id(3, 0), at(10), 1), Seen::Never);
        let other = Some(Position {
            incarnation: 2,
            version: 11,
        });
        assert_eq!(outcomes.seen(0, id(3, 0), other, 1), Seen::Unknown);
    }

    #[test]
    fn the_number_of_clients_is_bounded() {
        let mut outcomes = Outcomes::default();
        for n in 0..(OUTCOME_CLIENTS as u64 + 10) {
            let mut t = transaction(0, 0, 0);
            t.client[..8].copy_from_slice(&n.to_be_bytes());
            outcomes.record(&t, &version(n, 0));
        }
        assert!(outcomes.clients.len() <= OUTCOME_CLIENTS);
        assert!(outcomes.horizon > 0);
    }
}
