//! Transactions wait for what is loaded beside this task, and are evaluated at their place then.

use std::sync::Arc;

use super::command::Command;
use super::loading::{Load, LoadDone, Parked, Prefetched, load};
use super::task::CommitTask;
use super::waiting::{Full, LineKey};
use crate::error::{EngineError, ErrorKind};
use crate::limits::{GUEST_GROUP_BYTES, LOAD_ROUNDS, LOAD_TRANSACTIONS, VERSION_BYTES};
use crate::request::CommitRequest;

impl CommitTask {
    /// Whether a transaction has to wait because one before it in its line does.
    pub(super) fn must_wait(&self, request: &CommitRequest) -> bool {
        !self.waiting.is_empty() && self.waiting.contains(&LineKey::of(request))
    }

    /// Has a transaction wait at the end of its line.
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

    /// Has something loaded for whoever waits, as far as there are threads for it.
    pub(super) fn start_loads(&mut self) {
        while let Some(key) = self.waiting.next() {
            let Some(load_of) = self.load_of(&key) else {
                // Nothing need be loaded to answer that there is no such namespace.
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
        // What guests get into a group stays small, also at once.
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

    /// Something was loaded for a line.
    pub(super) fn on_loaded(&mut self, done: LoadDone) {
        self.waiting.loaded();
        let LoadDone {
            line,
            prefetched,
            failures,
        } = done;
        self.go_on(line, &prefetched, failures);
    }

    /// Evaluates transactions of a line in their order: those that something was loaded for, and
    /// then whatever needs nothing.
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
            // What is missing may be gone from the tree by now, so a failure counts if it comes
            // again.
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

    /// Answers all that waits with `error`.
    pub(super) fn refuse_waiting(&mut self, error: &EngineError) {
        for parked in self.waiting.drain() {
            parked.reply.send(Err(error.clone()), &mut self.wakes);
        }
    }
}
