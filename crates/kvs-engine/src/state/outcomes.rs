//! Exactly-once execution: which clients' transactions took effect, and with which result.
//!
//! Clients acknowledge the answers that they have received. Acknowledged outcomes are dropped, so
//! that the table holds what is in flight. Outcomes that a client never acknowledged are dropped by
//! age, and the *horizon* remembers that some were: whether a repeat from before the horizon took
//! effect is unknown, and it is answered with `outcome-unknown`. Pure; changed by records only, so
//! that replay rebuilds it.

use std::collections::VecDeque;

use kvs_tree::{Blobref, OperationResult};
use serde::{Deserialize, Serialize};

use super::persistent::Map;
use super::record::TransactionRecord;
use crate::limits::{OUTCOME_AGE_MS, OUTCOME_CLIENTS, OUTCOME_VERSIONS, OUTCOMES_PER_CLIENT};
use crate::reference::Position;
use crate::request::{Principal, TransactionId};

/// The number of transaction numbers per chunk of outcomes. Replay depends on it.
const CHUNK: u64 = 64;

/// Clients are ordered by the newest version that they took part in, in steps of this many
/// versions.
const STEP: u64 = 256;

/// The result of a transaction, as a repeat needs it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) version: u64,
    /// `None` until the version is durable.
    pub(crate) root: Option<Blobref>,
    /// Empty if all `operations` results are `Done`.
    results: Vec<OperationResult>,
    operations: u32,
}

impl Outcome {
    /// One result for each operation.
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
    /// The root of the version, once known.
    pub(crate) root: Option<Blobref>,
}

/// Identifies a client: user and client id.
pub(super) type ClientKey = (Principal, [u8; 16]);

/// Outcomes in the order of their numbers.
pub(super) type Chunk = VecDeque<(u64, Outcome)>;

/// A client's state besides its outcomes.
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
    /// Outcomes by chunk of `CHUNK` numbers. May still contain acknowledged ones.
    pub(super) chunks: Map<u64, Chunk>,
    /// The number of outcomes.
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

    /// Raises the number up to which the client has its answers.
    fn acknowledge(&mut self, acknowledged: u64) {
        let before = self.head.acknowledged;
        if acknowledged > before {
            self.head.acknowledged = acknowledged;
            if acknowledged / CHUNK != before / CHUNK {
                self.drop_acknowledged();
            }
        }
    }

    /// Drops chunks in which every number is acknowledged.
    fn drop_acknowledged(&mut self) {
        let first_kept = self.head.acknowledged / CHUNK;
        while let Some((&name, chunk)) = self.chunks.first()
            && name < first_kept
        {
            self.count -= chunk.len();
            self.chunks.remove_mut(&name);
        }
    }

    /// Treats the oldest outcomes as acknowledged while there are more than the limit.
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
    /// It never took effect, but a later transaction of its client in this namespace did: evaluated
    /// now, it would take effect out of order.
    Overtaken,
}

/// The remembered transactions of one namespace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcomes {
    clients: Map<ClientKey, Client>,
    /// The same clients, longest silent first: by the step of their newest version.
    silent: Map<(u64, ClientKey), ()>,
    /// The same clients by user, in that order within each.
    by_user: Map<(Principal, u64, [u8; 16]), ()>,
    /// The number of clients of each user.
    counts: Map<Principal, usize>,
    /// By user, the newest version whose outcome was forgotten unacknowledged; absent if none.
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
    /// when it first sent the transaction, `incarnation` the namespace's current one.
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
            // Incarnation 0 means that the client knew no position: safe while nothing was
            // forgotten.
            Some(at) if at.incarnation != incarnation && at.incarnation != 0 => Seen::Unknown,
            Some(at) if at.version < self.horizon(caller) => Seen::Unknown,
            Some(_) if self.is_overtaken(caller, id) => Seen::Overtaken,
            _ => Seen::Never,
        }
    }

    /// Whether a later transaction of the client took effect.
    fn is_overtaken(&self, caller: Principal, id: TransactionId) -> bool {
        let client = self.clients.get(&(caller, id.client));
        client.and_then(Client::newest) > Some(id.number)
    }

    /// Records a transaction that took effect. If that makes too many clients, forgets the longest
    /// silent client of the user who has most.
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

    /// Called when a version is opened: forgets the longest silent client if it exceeds the limits
    /// by versions and by age.
    pub(crate) fn forget_old(&mut self, version: u64, age_ms: u64) {
        self.forget_silent(|client| {
            version.saturating_sub(client.head.version) > OUTCOME_VERSIONS
                && age_ms.saturating_sub(client.head.age_ms) > OUTCOME_AGE_MS
        });
    }

    /// Forgets the longest silent client if `old` holds for it.
    fn forget_silent(&mut self, old: impl Fn(&Client) -> bool) {
        let Some((&(step, key), ())) = self.silent.first() else {
            return;
        };
        if self.clients.get(&key).is_some_and(old) {
            self.forget(step, key);
        }
    }

    /// Forgets a client of the user who has most, so that no user can displace the outcomes of
    /// others. Cost: linear in the users.
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

    /// The horizon of each user, as in the field.
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

    /// Clients that took part in a version after `since`. Cost: linear in them and in those of the
    /// same step.
    pub(super) fn active_since(&self, since: u64) -> impl Iterator<Item = (&ClientKey, &Client)> {
        let recent = self.silent.keys().rev();
        let recent = recent.take_while(move |(step, _)| *step >= since / STEP);
        let clients = recent.filter_map(|(_, key)| self.clients.get_key_value(key));
        clients.filter(move |(_, client)| client.head.version > since)
    }

    /// Clients in `before`, an earlier state of the same outcomes, that were forgotten since. Cost:
    /// linear in them and in those that returned in between.
    pub(super) fn forgotten_since<'a>(
        &'a self,
        before: &'a Outcomes,
    ) -> impl Iterator<Item = &'a ClientKey> {
        // Each user's clients are forgotten in this order.
        let gone = before.counts.keys().flat_map(move |uid| {
            let own = before.by_user.range((*uid, 0, [0; 16])..);
            let own = own.map(|(entry, ())| entry);
            own.take_while(move |entry| entry.0 == *uid && !self.by_user.contains_key(*entry))
        });
        let keys = gone.filter_map(|(uid, _, id)| before.clients.get_key_value(&(*uid, *id)));
        keys.map(|(key, _)| key)
            .filter(|key| !self.clients.contains_key(*key))
    }

    /// Outcomes as written, before their clients are [restored](Self::restore_client).
    pub(super) fn restore(horizons: Vec<(Principal, u64)>) -> Self {
        Self {
            horizons: horizons.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Restores a client as written.
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
    /// Its chunks with an outcome of a version after `since`.
    pub(super) fn chunks_since(&self, since: u64) -> impl Iterator<Item = (&u64, &Chunk)> {
        let newer = move |(_, outcome): &(u64, Outcome)| outcome.version > since;
        let chunks = self.chunks.iter();
        chunks.filter(move |(_, chunk)| chunk.iter().any(newer))
    }
}

#[cfg(test)]
mod tests;
