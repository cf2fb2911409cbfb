//! Exactly once: which transactions of which clients took effect, and with what answer.
//!
//! A client acknowledges the answers that it has. Those are forgotten, so that the table holds what
//! is in flight. What a client left unacknowledged when it vanished is forgotten by age, and the
//! *horizon* remembers that something was: a repeat from before it can be told neither "done" nor
//! "not done" and is answered `outcome-unknown`. Pure; records are its only source of change, so
//! that replay rebuilds it.

use std::collections::VecDeque;

use kvs_tree::{Blobref, OperationResult};
use serde::{Deserialize, Serialize};

use super::persistent::Map;
use super::record::TransactionRecord;
use crate::limits::{OUTCOME_AGE_MS, OUTCOME_CLIENTS, OUTCOME_VERSIONS, OUTCOMES_PER_CLIENT};
use crate::reference::Position;
use crate::request::{Principal, TransactionId};

/// Numbers of transactions whose outcomes stand in one chunk. Part of what replay must agree on.
const CHUNK: u64 = 64;

/// Clients are ordered by the newest version that they took part in, in steps of this many
/// versions.
const STEP: u64 = 256;

/// What a transaction did, as much as a repeat must be told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) version: u64,
    /// `None` until the version is durable.
    pub(crate) root: Option<Blobref>,
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

/// Where a transaction took effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TookEffect {
    pub(crate) version: u64,
    pub(crate) age_ms: u64,
    /// The root of the version, once that is known.
    pub(crate) root: Option<Blobref>,
}

/// Names a client: user, and id.
pub(super) type ClientKey = (Principal, [u8; 16]);

/// Outcomes in the order of their numbers.
pub(super) type Chunk = VecDeque<(u64, Outcome)>;

/// What is known of a client beside its outcomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct ClientHead {
    /// All lower numbers were answered, or are forgotten.
    acknowledged: u64,
    /// The newest version that it took part in, and the store's age then.
    version: u64,
    age_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Client {
    pub(super) head: ClientHead,
    /// `CHUNK` numbers together. Some outcomes that were acknowledged may still be there.
    pub(super) chunks: Map<u64, Chunk>,
    /// How many outcomes there are.
    count: usize,
}

impl Client {
    fn outcome(&self, number: u64) -> Option<&Outcome> {
        let chunk = self.chunks.get(&(number / CHUNK))?;
        let at = chunk.binary_search_by_key(&number, |(number, _)| *number);
        chunk.get(at.ok()?).map(|(_, outcome)| outcome)
    }

    /// The highest number that has an outcome.
    fn newest(&self) -> Option<u64> {
        let (_, chunk) = self.chunks.last()?;
        chunk.back().map(|(number, _)| *number)
    }

    fn insert(&mut self, number: u64, outcome: Outcome) {
        let name = number / CHUNK;
        let Some(chunk) = self.chunks.get_mut(&name) else {
            let chunk = VecDeque::from([(number, outcome)]);
            self.chunks.insert_mut(name, chunk);
            self.count += 1;
            return;
        };
        let newest = chunk.back().is_none_or(|(last, _)| *last < number);
        let found = match newest {
            true => Err(chunk.len()),
            false => chunk.binary_search_by_key(&number, |(number, _)| *number),
        };
        match found {
            Ok(at) => {
                if let Some(before) = chunk.get_mut(at) {
                    before.1 = outcome;
                }
            }
            Err(at) => {
                chunk.insert(at, (number, outcome));
                self.count += 1;
            }
        }
    }

    /// Takes in up to where the client has its answers.
    fn acknowledge(&mut self, acknowledged: u64) {
        let before = self.head.acknowledged;
        if acknowledged > before {
            self.head.acknowledged = acknowledged;
            if acknowledged / CHUNK != before / CHUNK {
                self.drop_acknowledged();
            }
        }
    }

    /// Drops chunks of which every number is acknowledged.
    fn drop_acknowledged(&mut self) {
        let first_kept = self.head.acknowledged / CHUNK;
        while let Some((&name, chunk)) = self.chunks.first()
            && name < first_kept
        {
            self.count -= chunk.len();
            self.chunks.remove_mut(&name);
        }
    }

    /// Past the limit of outcomes, the oldest count as acknowledged.
    fn bound(&mut self) {
        while self.count > OUTCOMES_PER_CLIENT {
            let Some((&name, _)) = self.chunks.first() else {
                return;
            };
            self.head.acknowledged = self.head.acknowledged.max((name + 1).saturating_mul(CHUNK));
            self.drop_acknowledged();
        }
    }
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
    /// It never took effect, and a later one of its client and namespace did: evaluated now, it
    /// would take effect out of order.
    Overtaken,
}

/// The remembered transactions of one namespace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcomes {
    clients: Map<ClientKey, Client>,
    /// The same clients, the longest silent first: by the step of their newest version.
    silent: Map<(u64, ClientKey), ()>,
    /// The same clients by user, in the same order within each.
    by_user: Map<(Principal, u64, [u8; 16]), ()>,
    /// How many clients each user has.
    counts: Map<Principal, usize>,
    /// By user, the newest version whose outcome was forgotten without its client's
    /// acknowledgement. Users whom nothing was forgotten of are not in it.
    horizons: Map<Principal, u64>,
}

impl Default for Outcomes {
    fn default() -> Self {
        Self {
            clients: Map::new_sync(),
            silent: Map::new_sync(),
            by_user: Map::new_sync(),
            counts: Map::new_sync(),
            horizons: Map::new_sync(),
        }
    }
}

impl Outcomes {
    /// What is known of transaction `id` of `caller`. `repeat` is the position that the client knew
    /// when it first sent it, `incarnation` the namespace's current one.
    pub(crate) fn seen(
        &self,
        caller: Principal,
        id: TransactionId,
        repeat: Option<Position>,
        incarnation: u64,
    ) -> Seen {
        if let Some(client) = self.clients.get(&(caller, id.client)) {
            if id.number < client.head.acknowledged {
                return Seen::Unknown;
            }
            if let Some(outcome) = client.outcome(id.number) {
                return Seen::Before(outcome.clone());
            }
        }
        match repeat {
            // Incarnation 0 is "knew no position": safe while nothing was ever forgotten.
            Some(at) if at.incarnation != incarnation && at.incarnation != 0 => Seen::Unknown,
            Some(at) if at.version < self.horizon(caller) => Seen::Unknown,
            Some(_) if self.is_overtaken(caller, id) => Seen::Overtaken,
            _ => Seen::Never,
        }
    }

    /// Returns whether a later transaction of the client took effect.
    fn is_overtaken(&self, caller: Principal, id: TransactionId) -> bool {
        let client = self.clients.get(&(caller, id.client));
        let newest = client.and_then(Client::newest);
        newest.is_some_and(|newest| newest > id.number)
    }

    /// Takes in a transaction that took effect. If there are too many clients by it, one
    /// is forgotten: of the user who has most, the one that has been silent longest.
    pub(crate) fn record(&mut self, transaction: &TransactionRecord, at: TookEffect) {
        let key = (transaction.principal, transaction.client);
        if !self.clients.contains_key(&key) {
            if self.clients.size() >= OUTCOME_CLIENTS {
                self.forget_of_most();
            }
            self.clients.insert_mut(key, Client::default());
            self.line_up(at.version / STEP, key);
            let count = self.counts.get(&key.0).copied().unwrap_or(0);
            self.counts.insert_mut(key.0, count + 1);
        }
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        let (before, now) = (client.head.version / STEP, at.version / STEP);
        if client.head.version != 0 && before != now {
            self.silent.remove_mut(&(before, key));
            self.silent.insert_mut((now, key), ());
            self.by_user.remove_mut(&(key.0, before, key.1));
            self.by_user.insert_mut((key.0, now, key.1), ());
        }
        client.head.version = at.version;
        client.head.age_ms = at.age_ms;
        client.acknowledge(transaction.acknowledged);
        client.insert(
            transaction.number,
            Outcome {
                version: at.version,
                root: at.root,
                results: transaction.results.clone(),
                operations: transaction.operations,
            },
        );
        client.bound();
    }

    /// A version is opened: the client that has been silent longest is forgotten if it is past the
    /// limits by versions and time.
    pub(crate) fn forget_old(&mut self, version: u64, age_ms: u64) {
        self.forget_silent(|client| {
            version.saturating_sub(client.head.version) > OUTCOME_VERSIONS
                && age_ms.saturating_sub(client.head.age_ms) > OUTCOME_AGE_MS
        });
    }

    /// Forgets the client that has been silent longest, if `old` says so.
    fn forget_silent(&mut self, old: impl Fn(&Client) -> bool) {
        let Some((&(step, key), ())) = self.silent.first() else {
            return;
        };
        if self.clients.get(&key).is_some_and(old) {
            self.forget(step, key);
        }
    }

    /// Forgets a client of the user who has most of them, so that nobody has outcomes of others
    /// forgotten. Cost: linear in the users.
    fn forget_of_most(&mut self) {
        let most = self.counts.iter().max_by_key(|(_, count)| **count);
        let Some(user) = most.map(|(user, _)| *user) else {
            return;
        };
        let first = self.by_user.range((user, 0, [0; 16])..).next();
        if let Some((&(user, step, id), ())) = first {
            self.forget(step, (user, id));
        }
    }

    fn forget(&mut self, step: u64, key: ClientKey) {
        let version = self.clients.get(&key).map_or(0, |one| one.head.version);
        let horizon = self.horizon(key.0).max(version);
        self.horizons.insert_mut(key.0, horizon);
        self.clients.remove_mut(&key);
        self.silent.remove_mut(&(step, key));
        self.by_user.remove_mut(&(key.0, step, key.1));
        match self.counts.get(&key.0).copied() {
            Some(count) if count > 1 => self.counts.insert_mut(key.0, count - 1),
            _ => drop(self.counts.remove_mut(&key.0)),
        }
    }

    fn line_up(&mut self, step: u64, key: ClientKey) {
        self.silent.insert_mut((step, key), ());
        self.by_user.insert_mut((key.0, step, key.1), ());
    }

    fn horizon(&self, caller: Principal) -> u64 {
        self.horizons.get(&caller).copied().unwrap_or(0)
    }

    /// The horizons, by user: see the field.
    pub(super) fn horizons(&self) -> Vec<(Principal, u64)> {
        let all = self.horizons.iter();
        all.map(|(uid, horizon)| (*uid, *horizon)).collect()
    }

    pub(super) fn client(&self, key: &ClientKey) -> Option<&Client> {
        self.clients.get(key)
    }

    /// All clients.
    pub(super) fn clients(&self) -> impl Iterator<Item = (&ClientKey, &Client)> {
        self.clients.iter()
    }

    /// Clients that took part in a version after `since`. Cost: linear in them, and in those of the
    /// same step.
    pub(super) fn active_since(&self, since: u64) -> impl Iterator<Item = (&ClientKey, &Client)> {
        let recent = self.silent.keys().rev();
        let recent = recent.take_while(move |(step, _)| *step >= since / STEP);
        let clients = recent.filter_map(|(_, key)| self.clients.get_key_value(key));
        clients.filter(move |(_, client)| client.head.version > since)
    }

    /// Clients that were known in `before`, an earlier state of the same outcomes, and are
    /// forgotten. Cost: linear in them, and in those that came back in between.
    pub(super) fn forgotten_since<'a>(
        &'a self,
        before: &'a Outcomes,
    ) -> impl Iterator<Item = &'a ClientKey> {
        // Of each user they are forgotten in this order.
        let gone = before.counts.keys().flat_map(move |uid| {
            let own = before.by_user.range((*uid, 0, [0; 16])..);
            let own = own.map(|(entry, ())| entry);
            own.take_while(move |entry| entry.0 == *uid && !self.by_user.contains_key(*entry))
        });
        let keys = gone.filter_map(|(uid, _, id)| before.clients.get_key_value(&(*uid, *id)));
        keys.map(|(key, _)| key)
            .filter(|key| !self.clients.contains_key(*key))
    }

    /// Outcomes as they were written: clients with their chunks.
    pub(super) fn restore(horizons: Vec<(Principal, u64)>) -> Self {
        Self {
            horizons: horizons.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Takes in a client as it was written.
    pub(super) fn restore_client(
        &mut self,
        key: ClientKey,
        head: ClientHead,
        chunks: Map<u64, Chunk>,
    ) {
        let count = chunks.values().map(VecDeque::len).sum();
        self.line_up(head.version / STEP, key);
        let owned = self.counts.get(&key.0).copied().unwrap_or(0);
        self.counts.insert_mut(key.0, owned + 1);
        let client = Client {
            head,
            chunks,
            count,
        };
        self.clients.insert_mut(key, client);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.clients.values().map(|client| client.count).sum()
    }
}

impl Client {
    /// Its chunks that hold an outcome of a version after `since`.
    pub(super) fn chunks_since(&self, since: u64) -> impl Iterator<Item = (&u64, &Chunk)> {
        let newer = move |(_, outcome): &(u64, Outcome)| outcome.version > since;
        let chunks = self.chunks.iter();
        chunks.filter(move |(_, chunk)| chunk.iter().any(newer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Principal = Principal::Uid(0);

    fn transaction(client: u8, number: u64, acknowledged: u64) -> TransactionRecord {
        TransactionRecord {
            principal: USER,
            client: [client; 16],
            number,
            acknowledged,
            name: None,
            results: Vec::new(),
            operations: 1,
            effects: Vec::new(),
        }
    }

    fn version(version: u64, age_ms: u64) -> TookEffect {
        TookEffect {
            version,
            root: Some(Blobref::of(kvs_tree::HashAlgorithm::Blake3, b"")),
            age_ms,
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
        outcomes.record(&transaction(1, 5, 0), version(17, 0));
        let Seen::Before(outcome) = outcomes.seen(USER, id(1, 5), None, 1) else {
            panic!()
        };
        assert_eq!(
            (outcome.version, outcome.results()),
            (17, vec![OperationResult::Done])
        );
        assert_eq!(outcomes.seen(USER, id(1, 6), None, 1), Seen::Never);
        assert_eq!(
            outcomes.seen(Principal::Uid(7), id(1, 5), None, 1),
            Seen::Never,
            "ids are scoped by principal"
        );
    }

    #[test]
    fn acknowledged_outcomes_are_forgotten_and_never_evaluated_again() {
        let mut outcomes = Outcomes::default();
        for number in 0..1000 {
            outcomes.record(
                &transaction(1, number, number.saturating_sub(10)),
                version(number + 1, 0),
            );
        }
        assert!(outcomes.len() <= 11 + CHUNK as usize);
        assert_eq!(outcomes.seen(USER, id(1, 3), None, 1), Seen::Unknown);
    }

    #[test]
    fn a_repeat_that_a_later_one_overtook_is_not_evaluated() {
        let mut outcomes = Outcomes::default();
        for (number, at) in [(5, 1), (70, 2)] {
            outcomes.record(&transaction(1, number, 0), version(at, 0));
        }
        let knew = Some(Position {
            incarnation: 1,
            version: 0,
        });
        let seen = |client, number| outcomes.seen(USER, id(client, number), knew, 1);
        assert_eq!(
            [4, 6, 69].map(|number| seen(1, number)),
            [(); 3].map(|()| Seen::Overtaken)
        );
        assert_eq!(seen(1, 71), Seen::Never);
        assert_eq!(seen(2, 4), Seen::Never, "of another client");
        // What is not a repeat was not evaluated before.
        assert_eq!(outcomes.seen(USER, id(1, 6), None, 1), Seen::Never);
    }

    #[test]
    fn a_repeat_from_before_the_horizon_is_unknown() {
        let mut outcomes = Outcomes::default();
        outcomes.record(&transaction(1, 0, 0), version(10, 0));
        let late = version(2 * OUTCOME_VERSIONS, 2 * OUTCOME_AGE_MS);
        outcomes.forget_old(late.version, late.age_ms);
        outcomes.record(&transaction(2, 0, 0), late);
        let at = |version| {
            Some(Position {
                incarnation: 1,
                version,
            })
        };
        assert_eq!(outcomes.seen(USER, id(1, 0), at(9), 1), Seen::Unknown);
        assert_eq!(outcomes.seen(USER, id(3, 0), at(10), 1), Seen::Never);
        let other = Some(Position {
            incarnation: 2,
            version: 11,
        });
        assert_eq!(outcomes.seen(USER, id(3, 0), other, 1), Seen::Unknown);
    }

    #[test]
    fn the_number_of_clients_is_bounded() {
        let mut outcomes = Outcomes::default();
        for n in 0..(OUTCOME_CLIENTS as u64 + 10) {
            let mut t = transaction(0, 0, 0);
            t.client[..8].copy_from_slice(&n.to_be_bytes());
            outcomes.record(&t, version(n, 0));
        }
        assert_eq!(outcomes.clients.size(), OUTCOME_CLIENTS);
        assert_eq!(outcomes.silent.size(), OUTCOME_CLIENTS);
        assert!(outcomes.horizon(USER) > 0);
    }

    #[test]
    fn past_the_limit_the_client_that_was_silent_longest_is_forgotten() {
        let mut outcomes = Outcomes::default();
        let client = |n: u64| {
            let mut t = transaction(0, 0, 0);
            t.client[..8].copy_from_slice(&n.to_be_bytes());
            t
        };
        let clients = OUTCOME_CLIENTS as u64;
        for n in 0..clients {
            outcomes.record(&client(n), version(n * STEP + 1, 0));
        }
        let newer = clients * STEP;
        outcomes.record(&client(0), version(newer + 1, 0));
        outcomes.record(&client(clients), version(newer + 2, 0));
        assert!(outcomes.clients.contains_key(&(USER, client(0).client)));
        assert!(!outcomes.clients.contains_key(&(USER, client(1).client)));
        assert_eq!(outcomes.horizon(USER), STEP + 1);
    }

    #[test]
    fn a_user_with_many_clients_has_no_others_forgotten() {
        let client = |caller: Principal, n: u64| {
            let mut t = transaction(0, 0, 0);
            t.principal = caller;
            t.client[..8].copy_from_slice(&n.to_be_bytes());
            t
        };
        let mut outcomes = Outcomes::default();
        let few = 100;
        for n in 0..few {
            outcomes.record(&client(Principal::Uid(1), n), version(n + 1, 0));
        }
        let before = outcomes.clone();
        for n in 0..3 * OUTCOME_CLIENTS as u64 {
            outcomes.record(&client(Principal::Uid(2), n), version(1_000 + n, 0));
        }
        assert_eq!(outcomes.clients.size(), OUTCOME_CLIENTS);
        assert_eq!(outcomes.counts.values().sum::<usize>(), OUTCOME_CLIENTS);
        for n in 0..few {
            assert!(
                outcomes
                    .clients
                    .contains_key(&(Principal::Uid(1), client(Principal::Uid(1), n).client))
            );
        }
        // What was never sent before is evaluated, however much another user has had forgotten.
        let knew = Some(Position {
            incarnation: 1,
            version: 5,
        });
        assert_eq!(
            outcomes.seen(Principal::Uid(1), id(9, 1), knew, 1),
            Seen::Never
        );
        assert_eq!(
            outcomes.seen(Principal::Uid(2), id(9, 1), knew, 1),
            Seen::Unknown
        );
        assert_eq!(outcomes.forgotten_since(&before).count(), 0);
        // Those who come back to a full table take the place of one who has most.
        outcomes.record(&client(Principal::Uid(1), few), version(1 << 30, 0));
        assert_eq!(
            outcomes.counts.get(&Principal::Uid(1)),
            Some(&(few as usize + 1))
        );
        assert_eq!(outcomes.clients.size(), OUTCOME_CLIENTS);
        let later = outcomes.clone();
        outcomes.forget_of_most();
        assert_eq!(outcomes.forgotten_since(&later).count(), 1);
    }

    #[test]
    fn the_outcomes_of_a_client_are_bounded_and_older_ones_are_unknown() {
        let mut outcomes = Outcomes::default();
        let most = OUTCOMES_PER_CLIENT as u64;
        for number in 0..=most {
            outcomes.record(&transaction(1, number, 0), version(number + 1, 0));
        }
        assert!(outcomes.len() <= OUTCOMES_PER_CLIENT);
        assert_eq!(outcomes.seen(USER, id(1, 0), None, 1), Seen::Unknown);
        let kept = |number| matches!(outcomes.seen(USER, id(1, number), None, 1), Seen::Before(_));
        assert!(kept(CHUNK) && kept(most));
    }

    #[test]
    fn outcomes_that_come_out_of_order_are_found() {
        let mut outcomes = Outcomes::default();
        for (version_number, number) in [(1, 130), (2, 5), (3, 64), (4, 63), (5, 5)] {
            outcomes.record(&transaction(1, number, 0), version(version_number, 0));
        }
        let at = |number| match outcomes.seen(USER, id(1, number), None, 1) {
            Seen::Before(outcome) => outcome.version,
            _ => 0,
        };
        assert_eq!([5, 63, 64, 130, 6].map(at), [5, 4, 3, 1, 0]);
        assert_eq!(outcomes.len(), 4);
    }
}
