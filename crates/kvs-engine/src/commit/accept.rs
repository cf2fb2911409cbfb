//! Evaluates a transaction: whether it is a repeat, whether its caller is permitted, what it does,
//! and which version it joins.

use kvs_tree::{Ctx, Fault, Key, Written, apply, locate, plain_put, put_plainly};
use smol_str::SmolStr;

use super::head::Head;
use super::loading::{Parked, Prefetched, versions};
use super::task::CommitTask;
use crate::answers::CommitReply;
use crate::error::{EngineError, ErrorKind};
use crate::history::RootAt;
use crate::limits::GUEST_TRANSACTION_NAMES;
use crate::objects::{AtHand, need_version};
use crate::request::{CommitRequest, Committed};
use crate::state::{Outcome, Seen};
use crate::store::Store;

/// Checks that a guest's transaction is small enough to be applied in one piece while others wait.
fn check_names(store: &Store, request: &CommitRequest) -> Result<(), EngineError> {
    if store.authority().is_instance_owner(request.caller) {
        return Ok(());
    }
    let names = request.transaction.names();
    if names <= GUEST_TRANSACTION_NAMES {
        return Ok(());
    }
    let message = format!(
        "a transaction with {names} names in its keys; the limit for guests is {GUEST_TRANSACTION_NAMES}: split it"
    );
    Err(EngineError::new(ErrorKind::Limit, message))
}

/// Why a transaction changes nothing now.
enum Stop {
    /// It is refused.
    Refused(EngineError),
    /// An object that it needs is not in memory.
    Lacking,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Missing(_) => Self::Lacking,
            Fault::Tree(error) => Self::Refused(error.into()),
            Fault::NeedVersion(version) => Self::Refused(need_version(version)),
        }
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Self::Refused(error)
    }
}

impl CommitTask {
    /// Accepts a transaction: evaluates it now, or after those of its client that wait.
    pub(super) fn commit(&mut self, request: Box<CommitRequest>, reply: CommitReply) {
        if self.must_wait(&request) {
            return self.wait(Parked::new(request, None, reply));
        }
        if let Some((request, reply)) = self.evaluate(request, reply, &Prefetched::default()) {
            self.wait(Parked::new(request, None, reply));
        }
    }

    /// Answers a transaction that cannot be evaluated: with the recorded outcome if it is a repeat,
    /// else with `refusal`.
    pub(super) fn settle(
        &mut self,
        request: Box<CommitRequest>,
        refusal: EngineError,
        reply: CommitReply,
    ) {
        if self.must_wait(&request) {
            return self.wait(Parked::new(request, Some(refusal), reply));
        }
        self.settle_now(&request, refusal, reply);
    }

    /// [`settle`](Self::settle), without waiting in line.
    pub(super) fn settle_now(
        &mut self,
        request: &CommitRequest,
        refusal: EngineError,
        reply: CommitReply,
    ) {
        if let Some(reply) = self.settle_repeat(request, reply) {
            self.hold_refusal(reply, refusal);
        }
    }

    /// Applies a transaction to the head of its namespace and adds it to a version. Returns it if
    /// it needs an object that is not in memory.
    pub(super) fn evaluate(
        &mut self,
        mut request: Box<CommitRequest>,
        reply: CommitReply,
        prefetched: &Prefetched,
    ) -> Option<(Box<CommitRequest>, CommitReply)> {
        let reply = self.settle_repeat(&request, reply)?;
        if let Some(error) = request.prepared.refused.take() {
            self.hold_refusal(reply, *error);
            return None;
        }
        let roots = match self.roots_for(&request, prefetched) {
            Ok(roots) => roots,
            Err(Stop::Lacking) => return Some((request, reply)),
            Err(Stop::Refused(error)) => {
                self.hold_refusal(reply, error);
                return None;
            }
        };
        let written = match self.write(&request, &roots, prefetched) {
            Ok(written) => written,
            Err(Stop::Lacking) => return Some((request, reply)),
            Err(Stop::Refused(error)) => {
                self.hold_refusal(reply, error);
                return None;
            }
        };
        if request.transaction.operations.is_empty() {
            self.answer_check(&request, reply);
            return None;
        }
        let name = request.namespace.clone();
        let staged = std::mem::take(&mut request.prepared.staged);
        self.store.objects.stage(&staged);
        self.building.stage(staged);
        if let Err(error) = self.join_version(&name) {
            self.hold_refusal(reply, error);
            return None;
        }
        if let Some(head) = self.heads.get_mut(&name)
            && let Some(record) = head.accept(*request, written, reply)
        {
            self.head.accept(&name, record);
        }
        None
    }

    /// Opens a version of the namespace if none is open.
    fn join_version(&mut self, name: &SmolStr) -> Result<(), EngineError> {
        if self.trees(name)?.is_open() {
            return Ok(());
        }
        let info = self.group_info();
        let version = self.head.open_version(name, info)?;
        let time_ms = self.time.wall();
        let stamp = self.time.stamp(time_ms);
        self.trees(name)?.open(version, time_ms, stamp);
        if !self.open.contains(name) {
            self.open.push(name.clone());
        }
        Ok(())
    }

    /// Applies a transaction to the directory of its head, which is unchanged on failure. Closes
    /// the open version first if the transaction cannot join it.
    fn write(
        &mut self,
        request: &CommitRequest,
        roots: &[RootAt],
        prefetched: &Prefetched,
    ) -> Result<Written, Stop> {
        let (name, transaction) = (&request.namespace, &request.transaction);
        let store = self.store.clone();
        let source = &AtHand {
            objects: &store.objects,
            loaded: &prefetched.objects,
        };
        let params = store.objects.params();
        let ctx = Ctx { source, params };
        let known = |version| {
            let root = roots.iter().find(|root| root.version == version);
            root.map(|root| root.directory.clone())
        };
        // Nodes copied by earlier transactions of the open version are uniquely owned, so they are
        // changed in place.
        if let Some(key) = plain_put(transaction) {
            let directory = &mut self.joined(request, std::slice::from_ref(key))?.directory;
            if let Some(written) = put_plainly(directory, &ctx, transaction)? {
                return Ok(written);
            }
        }
        let head = self.trees(name)?;
        let located = locate(&head.directory, &ctx, &known, transaction)?;
        if let Some(mut located) = located {
            let directory = &mut self.joined(request, located.touched())?.directory;
            return Ok(located.write(directory, &ctx, transaction)?);
        }
        let applied = apply(&head.directory, &ctx, &known, transaction)?;
        if !transaction.operations.is_empty() {
            self.joined(request, &applied.touched)?.directory = applied.root;
        }
        Ok(Written {
            effects: applied.effects,
            results: applied.results,
            touched: applied.touched,
        })
    }

    /// The head for a transaction that touches these keys. Closes its open version first if the
    /// transaction cannot join it.
    fn joined(
        &mut self,
        request: &CommitRequest,
        touched: &[Key],
    ) -> Result<&mut Head, EngineError> {
        let name = &request.namespace;
        if self.trees(name)?.must_seal(request, touched) {
            self.close(name);
        }
        self.trees(name)
    }

    fn trees(&mut self, name: &str) -> Result<&mut Head, EngineError> {
        let head = self.heads.get_mut(name);
        head.ok_or_else(|| EngineError::no_namespace(name))
    }

    /// Answers repeats and requests that are not permitted; returns the reply for all others.
    fn settle_repeat(
        &mut self,
        request: &CommitRequest,
        reply: CommitReply,
    ) -> Option<CommitReply> {
        let name = &request.namespace;
        let state = self.head.namespace(name);
        let head = self.heads.get_mut(name);
        let current = state.zip(head).filter(|(state, head)| {
            // A recreated namespace exists once its creation is published.
            state.terms.incarnation == head.namespace.incarnation
        });
        let Some((state, head)) = current else {
            let error = self.store.authority().no_namespace(request.caller, name);
            self.hold_refusal(reply, error);
            return None;
        };
        let id = (request.caller, request.id);
        let incarnation = state.terms.incarnation;
        match state.outcomes.seen(id.0, id.1, request.repeat, incarnation) {
            Seen::Never => {
                let authority = self.store.authority();
                let may = authority.check_use(request.caller, state.terms.owner, name);
                match may.and_then(|()| check_names(&self.store, request)) {
                    Ok(()) => Some(reply),
                    Err(error) => {
                        self.hold_refusal(reply, error);
                        None
                    }
                }
            }
            // A repeat gets its outcome even if the caller has lost its rights since.
            Seen::Before(outcome) if outcome.version > head.namespace.position().version => {
                let reply = head.join_open(outcome.version, id, reply)?;
                let reply = self.building.join(name, outcome.version, id, reply)?;
                let reply = match &mut self.in_flight {
                    Some(in_flight) => in_flight.group.join(name, outcome.version, id, reply)?,
                    None => reply,
                };
                self.hold_refusal(reply, unknown(request));
                None
            }
            Seen::Before(outcome) => {
                // The outcome in the published state has the root as well.
                let published = self.published.namespace(name);
                let published = published
                    .map(|state| state.outcomes.seen(id.0, id.1, request.repeat, incarnation));
                let Some(Seen::Before(Outcome {
                    root: Some(root), ..
                })) = published
                else {
                    self.hold_refusal(reply, unknown(request));
                    return None;
                };
                let committed = Committed {
                    position: head.namespace.at(outcome.version),
                    root,
                    results: outcome.results(),
                };
                reply.send(Ok(committed), &mut self.wakes);
                None
            }
            Seen::Unknown => {
                self.hold_refusal(reply, unknown(request));
                None
            }
            Seen::Overtaken => {
                self.hold_refusal(reply, overtaken(request));
                None
            }
        }
    }

    /// Answers a transaction without operations, which only checks its conditions.
    fn answer_check(&mut self, request: &CommitRequest, reply: CommitReply) {
        let name = &request.namespace;
        let Some(head) = self.heads.get(name) else {
            return self.hold_refusal(reply, EngineError::no_namespace(name));
        };
        let namespace = head.namespace.clone();
        self.hold(Box::new(move |outcome, wakes| {
            let now = namespace.published();
            let committed = outcome.map(|()| Committed {
                position: namespace.at(now.version),
                root: now.root,
                results: Vec::new(),
            });
            reply.send(committed, wakes);
        }));
    }

    /// The roots of the versions that the conditions of a transaction compare with.
    fn roots_for(
        &self,
        request: &CommitRequest,
        prefetched: &Prefetched,
    ) -> Result<Vec<RootAt>, Stop> {
        let mut roots = Vec::new();
        for version in versions(request) {
            let head = self.heads.get(&request.namespace);
            let head = head.ok_or_else(|| EngineError::no_namespace(&request.namespace))?;
            let newest = head.namespace.position().version;
            if version > newest {
                let message = format!(
                    "version {version} of namespace {} does not exist yet, the newest is {newest}",
                    request.namespace
                );
                return Err(EngineError::new(ErrorKind::StaleSnapshot, message).into());
            }
            let found = prefetched.root(head.namespace.incarnation, version);
            let found = found.cloned().or_else(|| self.root_at_hand(head, version));
            roots.push(found.ok_or(Stop::Lacking)?);
        }
        Ok(roots)
    }

    fn root_at_hand(&self, head: &Head, version: u64) -> Option<RootAt> {
        let namespace = &head.namespace;
        let published = namespace.published();
        if published.version == version {
            return Some((*published).clone());
        }
        let pinned = || self.store.pinned_root(&namespace.name, version);
        namespace.history().recent_root(version).or_else(pinned)
    }
}

/// The error for a repeat of a refused transaction that a later one of its client has overtaken.
fn overtaken(request: &CommitRequest) -> EngineError {
    let message = format!(
        "transaction {} was refused before: it had no effect on namespace {}, and a later one of its client had",
        request.id.number, request.namespace
    );
    EngineError::new(crate::ErrorKind::Invalid, message)
}

/// The error for a repeat of which it is not known whether it took effect.
fn unknown(request: &CommitRequest) -> EngineError {
    let message = format!(
        "transaction {} is older than what namespace {} remembers: whether it took effect is not known",
        request.id.number, request.namespace
    );
    EngineError::new(crate::ErrorKind::OutcomeUnknown, message)
}
