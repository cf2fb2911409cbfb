//! Makes transactions wait for objects that are loaded outside this task, then evaluates them in
//! order.

use std::sync::Arc;

use super::command::Command;
use super::loading::{Load, LoadDone, Parked, Prefetched, load};
use super::task::CommitTask;
use super::waiting::{Full, LineKey};
use crate::error::{EngineError, ErrorKind};
use crate::limits::{GUEST_GROUP_BYTES, LOAD_ROUNDS, LOAD_TRANSACTIONS, VERSION_BYTES};
use crate::request::CommitRequest;

impl CommitTask {
    /// Whether a transaction must wait because an earlier one in its line does.
    pub(super) fn must_wait(&self, request: &CommitRequest) -> bool {
        !self.waiting.is_empty() && self.waiting.contains(&LineKey::of(request))
    }

    /// Appends a transaction to its line.
    pub(super) fn wait(&mut self, parked: Parked) {
        let key = LineKey::of(&parked.request);
        let tenant = self.store.tenant(parked.request.caller);
        let bytes = u64::from(Command::bytes(&parked.request));
        let pushed = self.waiting.push(key, tenant, parked, bytes);
        let Err((Parked { reply, .. }, full)) = pushed else {
            return;
        };
        let most = match full {
            Full::Transactions(most) => format!("{most} transactions"),
            Full::Bytes(most) => format!("transactions of {most} bytes"),
        };
        let message = format!("{most} of this user wait for the disk already, try again");
        self.hold_refusal(reply, EngineError::new(ErrorKind::Busy, message));
    }

    /// Starts loads for waiting lines, as many as may run at once.
    pub(super) fn start_loads(&mut self) {
        while let Some(key) = self.waiting.next() {
            let Some(load_of) = self.load_of(&key) else {
                // A missing namespace is reported without loading anything.
                self.waiting.loaded();
                self.go_on(key, &Prefetched::default(), Vec::new());
                continue;
            };
            let (store, loaded) = (self.store.clone(), self.loaded.clone());
            tokio::spawn(async move { drop(loaded.send(load(store, load_of).await)) });
        }
    }

    fn load_of(&self, key: &LineKey) -> Option<Load> {
        let head = self.heads.get(&key.namespace)?;
        let first = self.waiting.first(key, 0).next()?;
        // Guests' share of a group stays small, also when several of their transactions are
        // evaluated at once.
        let most = match self.store.tenant(first.request.caller).is_guest() {
            true => GUEST_GROUP_BYTES,
            false => VERSION_BYTES as u64,
        };
        let first = self.waiting.first(key, most).take(LOAD_TRANSACTIONS);
        let requests = first.map(|parked| parked.request.clone());
        Some(Load {
            line: key.clone(),
            namespace: head.namespace.clone(),
            directory: head.directory.clone(),
            requests: requests.collect(),
        })
    }

    /// Handles the end of a load for a line.
    pub(super) fn on_loaded(&mut self, done: LoadDone) {
        self.waiting.loaded();
        let LoadDone {
            line,
            prefetched,
            failures,
        } = done;
        self.go_on(line, &prefetched, failures);
    }

    /// Evaluates transactions of a line in order: those that something was loaded for, then all
    /// that need nothing.
    fn go_on(&mut self, key: LineKey, known: &Prefetched, failures: Vec<Option<EngineError>>) {
        let mut failures = failures.into_iter();
        for _ in 0..LOAD_TRANSACTIONS {
            let Some((parked, bytes)) = self.waiting.pop(&key) else {
                break;
            };
            let (was_loaded, failure) = match failures.next() {
                Some(failure) => (true, failure),
                None => (false, None),
            };
            let Parked {
                request,
                refusal,
                reply,
                rounds,
                failed,
            } = parked;
            if let Some(refusal) = refusal {
                self.settle_now(&request, refusal, reply);
                continue;
            }
            let request = Box::new(Arc::unwrap_or_clone(request));
            let Some((request, reply)) = self.evaluate(request, reply, known) else {
                continue;
            };
            // The missing object may have left the tree since, so a failure counts only when it
            // repeats.
            let has_failed = failure.is_some();
            if let Some(error) = failure.filter(|_| failed) {
                self.hold_refusal(reply, error);
                continue;
            }
            if rounds >= LOAD_ROUNDS {
                let message = "what this transaction works on changes faster than it can be read from the disk, try again";
                self.hold_refusal(reply, EngineError::new(ErrorKind::Busy, message));
                continue;
            }
            let parked = Parked {
                rounds: rounds + usize::from(was_loaded),
                failed: has_failed,
                ..Parked::new(request, None, reply)
            };
            self.waiting.put_back(&key, parked, bytes);
            break;
        }
        self.waiting.settle(key);
    }

    /// Refuses all waiting transactions with `error`.
    pub(super) fn refuse_waiting(&mut self, error: &EngineError) {
        for parked in self.waiting.drain() {
            parked.reply.send(Err(error.clone()), &mut self.wakes);
        }
    }
}
