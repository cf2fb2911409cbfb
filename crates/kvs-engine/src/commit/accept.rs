//! A transaction comes in: is it a repeat, may its caller, what does it do, which version does it
//! join.

use kvs_tree::{Condition, Ctx, Key, NodeSource, Written, apply, locate, plain_put, put_plainly};
use smol_str::SmolStr;

use super::command::{Command, refuse};
use super::head::{CommitReply, Head};
use super::task::CommitTask;
use crate::error::{EngineError, ErrorKind};
use crate::history::RootAt;
use crate::limits::GUEST_TRANSACTION_NAMES;
use crate::request::{CommitRequest, Committed};
use crate::roots::root_of;
use crate::state::{Outcome, Seen};
use crate::store::Store;

/// Whether a guest's transaction is small enough to be applied in one piece, while others wait.
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

impl CommitTask {
    /// Applies a transaction to the head of its namespace and lets it join a version.
    pub(super) fn commit(
        &mut self,
        mut request: CommitRequest,
        past: Vec<RootAt>,
        reply: CommitReply,
    ) {
        let Some(reply) = self.settle_repeat(&request, reply) else {
            return;
        };
        if let Some(error) = request.prepared.refused.take() {
            return self.hold_error(reply, *error);
        }
        let missing = match self.missing_version(&request, &past) {
            Ok(missing) => missing,
            Err(error) => return self.hold_error(reply, error),
        };
        if let Some(version) = missing {
            return self.park(request, past, version, reply);
        }
        let name = request.namespace.clone();
        let roots: Vec<RootAt> = conditions(&request)
            .filter_map(|v| self.known_root(&request, &past, v))
            .collect();
        let staged = std::mem::take(&mut request.prepared.staged);
        self.store.objects.stage(&staged);
        let written = match self.write(&request, &roots) {
            Ok(written) => written,
            Err(error) => {
                self.store.objects.unstage(&staged);
                return self.hold_error(reply, error);
            }
        };
        if request.transaction.operations.is_empty() {
            return self.answer_check(&request, reply);
        }
        self.building.stage(staged);
        if let Err(error) = self.join_version(&name) {
            return self.hold_error(reply, error);
        }
        if let Some(head) = self.heads.get_mut(&name)
            && let Some(record) = head.accept(request, written, reply)
        {
            self.head.accept(&name, record);
        }
    }

    /// Opens a version of the namespace if none is open.
    fn join_version(&mut self, name: &SmolStr) -> Result<(), EngineError> {
        if self.trees(name)?.is_open() {
            return Ok(());
        }
        let age_ms = self.stamp().age_ms;
        let version = self.head.open_version(name, age_ms)?;
        let time_ms = self.time.wall();
        let stamp = self.time.stamp(time_ms);
        self.trees(name)?.open(version, time_ms, stamp);
        if !self.open.contains(name) {
            self.open.push(name.clone());
        }
        Ok(())
    }

    /// Applies a transaction to the directory of its head, in which nothing changes if it fails. The open version is closed
    /// first if the transaction cannot be part of it.
    fn write(&mut self, request: &CommitRequest, roots: &[RootAt]) -> Result<Written, EngineError> {
        let (name, transaction) = (&request.namespace, &request.transaction);
        let store = self.store.clone();
        let (objects, params) = (&store.objects, store.objects.params());
        let known = |version| {
            let root = roots.iter().find(|root| root.version == version);
            root.map(|root| root.directory.clone())
        };
        // Nobody else holds what earlier transactions of the open version have copied, so it is changed in place.
        if let Some(key) = plain_put(transaction) {
            let directory = &mut self.joined(request, std::slice::from_ref(key))?.directory;
            let put = |source: &dyn NodeSource| {
                put_plainly(directory, &Ctx { source, params }, transaction)
            };
            if let Some(written) = objects.complete(put)? {
                return Ok(written);
            }
        }
        let head = self.trees(name)?;
        let located = objects.complete(|source| {
            let ctx = Ctx { source, params };
            locate(&head.directory, &ctx, &known, transaction)
        })?;
        if let Some(mut located) = located {
            let directory = &mut self.joined(request, located.touched())?.directory;
            return objects
                .complete(|source| located.write(directory, &Ctx { source, params }, transaction));
        }
        let applied = objects.complete(|source| {
            apply(
                &head.directory,
                &Ctx { source, params },
                &known,
                transaction,
            )
        })?;
        if !transaction.operations.is_empty() {
            self.joined(request, &applied.touched)?.directory = applied.root;
        }
        Ok(Written {
            effects: applied.effects,
            results: applied.results,
            touched: applied.touched,
        })
    }

    /// The head of a transaction that touches these keys. Its open version is closed first if the transaction cannot join it.
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

    /// Answers repeats, and requests that may not be made; gives the reply back for the rest.
    fn settle_repeat(
        &mut self,
        request: &CommitRequest,
        reply: CommitReply,
    ) -> Option<CommitReply> {
        let name = &request.namespace;
        let state = self.head.namespace(name);
        let head = self.heads.get_mut(name);
        let current = state.zip(head).filter(|(state, head)| {
            // A namespace that was removed and created again is there once that is published.
            state.terms.incarnation == head.namespace.incarnation
        });
        let Some((state, head)) = current else {
            let error = self.store.authority().no_namespace(request.caller, name);
            self.hold_error(reply, error);
            return None;
        };
        let id = (request.caller.uid(), request.id);
        let incarnation = state.terms.incarnation;
        match state.outcomes.seen(id.0, id.1, request.repeat, incarnation) {
            Seen::Never => {
                let authority = self.store.authority();
                let may = authority.check_use(request.caller, state.terms.owner, name);
                match may.and_then(|()| check_names(&self.store, request)) {
                    Ok(()) => Some(reply),
                    Err(error) => {
                        self.hold_error(reply, error);
                        None
                    }
                }
            }
            // What took effect did, also if its caller may do nothing here any more.
            Seen::Before(outcome) if outcome.version > head.namespace.position().version => {
                let reply = head.join_open(outcome.version, id, reply)?;
                let reply = self.building.join(name, outcome.version, id, reply)?;
                let reply = match &mut self.in_flight {
                    Some(in_flight) => in_flight.group.join(name, outcome.version, id, reply)?,
                    None => reply,
                };
                self.hold_error(reply, unknown(request));
                None
            }
            Seen::Before(outcome) => {
                // The published state has the root as well.
                let published = self.published.namespace(name);
                let published = published
                    .map(|state| state.outcomes.seen(id.0, id.1, request.repeat, incarnation));
                let Some(Seen::Before(Outcome {
                    root: Some(root), ..
                })) = published
                else {
                    self.hold_error(reply, unknown(request));
                    return None;
                };
                let _ = reply.send(Ok(Committed {
                    position: head.namespace.at(outcome.version),
                    root,
                    results: outcome.results(),
                }));
                None
            }
            Seen::Unknown => {
                self.hold_error(reply, unknown(request));
                None
            }
        }
    }

    /// Answers a transaction that cannot be evaluated: as before if it is a repeat, else with `refusal`.
    pub(super) fn settle(
        &mut self,
        request: &CommitRequest,
        refusal: EngineError,
        reply: CommitReply,
    ) {
        if let Some(reply) = self.settle_repeat(request, reply) {
            self.hold_error(reply, refusal);
        }
    }

    /// A transaction without operations only asks whether its conditions hold.
    fn answer_check(&mut self, request: &CommitRequest, reply: CommitReply) {
        let name = &request.namespace;
        let Some(head) = self.heads.get(name) else {
            return self.hold_error(reply, EngineError::no_namespace(name));
        };
        let namespace = head.namespace.clone();
        self.hold(Box::new(move |outcome| {
            let now = namespace.published();
            let _ = reply.send(outcome.map(|()| Committed {
                position: namespace.at(now.version),
                root: now.root,
                results: Vec::new(),
            }));
        }));
    }

    fn known_root(&self, request: &CommitRequest, past: &[RootAt], version: u64) -> Option<RootAt> {
        if let Some(root) = past.iter().find(|root| root.version == version) {
            return Some(root.clone());
        }
        let namespace = &self.heads.get(&request.namespace)?.namespace;
        let published = namespace.published();
        if published.version == version {
            return Some((*published).clone());
        }
        let pinned = || self.store.pinned_root(&namespace.name, version);
        namespace.history().recent_root(version).or_else(pinned)
    }

    /// A version that a condition compares with and that is not at hand.
    fn missing_version(
        &self,
        request: &CommitRequest,
        past: &[RootAt],
    ) -> Result<Option<u64>, EngineError> {
        let mut versions = conditions(request).peekable();
        if versions.peek().is_none() {
            return Ok(None);
        }
        let Some(head) = self.heads.get(&request.namespace) else {
            return Ok(None);
        };
        let newest = head.namespace.position().version;
        for version in versions {
            if version > newest {
                return Err(EngineError::new(
                    crate::ErrorKind::StaleSnapshot,
                    format!(
                        "version {version} of namespace {} does not exist yet, the newest is {newest}",
                        request.namespace
                    ),
                ));
            }
            if self.known_root(request, past, version).is_none() {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// Rebuilds an old root beside this task and submits the transaction again with it. It loses
    /// its place in the order of arrival, as if it had come later.
    fn park(
        &mut self,
        request: CommitRequest,
        mut past: Vec<RootAt>,
        version: u64,
        reply: CommitReply,
    ) {
        let name = &request.namespace;
        let Some(head) = self.heads.get(name) else {
            return self.hold_error(reply, EngineError::no_namespace(name));
        };
        let (namespace, store) = (head.namespace.clone(), self.store.clone());
        let resubmit = self.resubmit.clone();
        let tenant = self.store.tenant(request.caller);
        tokio::spawn(async move {
            match root_of(&store, &namespace, version).await {
                Ok(root) => past.push(root),
                Err(error) => return drop(reply.send(Err(error))),
            }
            let command = Command::Commit {
                request: Box::new(request),
                past,
                reply,
            };
            match resubmit.upgrade() {
                // If it has ended since, the transaction is answered so.
                Some(inbox) => drop(inbox.send(tenant, command)),
                None => refuse(command, EngineError::stopped()),
            }
        });
    }
}

/// The answer to a repeat of which it is not known whether it took effect.
fn unknown(request: &CommitRequest) -> EngineError {
    let message = format!(
        "transaction {} is older than what namespace {} remembers: whether it took effect is not known",
        request.id.number, request.namespace
    );
    EngineError::new(crate::ErrorKind::OutcomeUnknown, message)
}

fn conditions(request: &CommitRequest) -> impl Iterator<Item = u64> {
    request
        .transaction
        .conditions
        .iter()
        .filter_map(|condition| match condition {
            Condition::Unchanged { since, .. } => Some(*since),
            _ => None,
        })
}
