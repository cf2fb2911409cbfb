//! State shared by all sessions of a daemon: the engine, the stop switch, and counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use dashmap::DashMap;
use kvs_engine::{Engine, Principal, SliceKind, Tenant};
use smol_str::SmolStr;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::descriptors::Descriptors;
use super::polling::Activity;
use crate::limits::{
    GUEST_ACCOUNTS, GUEST_CONNECTIONS, GUEST_RATE, GUESTS_SLOW_REQUESTS, OWNER_CONNECTIONS,
    REFUSED_CONNECTIONS,
};

/// The daemon's name and version, as reported to clients.
pub(crate) const SOFTWARE: &str = concat!("kvs ", env!("CARGO_PKG_VERSION"));

/// Daemon state that every session can reach.
pub(crate) struct Shared {
    /// The engine.
    pub(crate) engine: Engine,
    /// The daemon's own user id; users other than this one and root are guests.
    pub(crate) owner: u32,
    /// Counts what is done for clients; drives busy-polling.
    pub(crate) activity: Activity,
    /// Cancelled to shut the daemon down.
    pub(crate) stop: CancellationToken,
    started: Instant,
    connections: AtomicUsize,
    /// Whether guests are served.
    allow_guests: bool,
    /// Whether the daemon serves a single command only.
    pub(crate) temporary: bool,
    /// Number of connections of each guest.
    guests: DashMap<Principal, usize>,
    /// The accounts of the instance owner and of each guest.
    owner_account: Arc<Account>,
    accounts: DashMap<Principal, Arc<Account>>,
    guest_rate: u64,
    /// Permits for guests' requests that wait for the disk.
    guests_slow: Arc<Semaphore>,
    /// Maximum bytes that were held for any user whose account has been dropped.
    most_bytes: AtomicUsize,
    /// Number of open uploads on all connections.
    uploads: Arc<AtomicUsize>,
    /// The limits on connections and uploads.
    descriptors: Descriptors,
}

/// Counts one open upload until it is dropped.
pub(crate) struct UploadPlace(Arc<AtomicUsize>, Arc<Account>);

impl Drop for UploadPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        self.1.leave_upload();
    }
}

/// How a new connection is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// A session.
    Served,
    /// Its hello is answered with an error.
    Refused,
    /// It is closed without an answer, since too many are waiting for theirs.
    Dropped,
}

impl Shared {
    /// State around an engine.
    pub(crate) fn new(engine: Engine, owner: u32) -> Shared {
        Shared {
            engine,
            owner,
            activity: Activity::default(),
            stop: CancellationToken::new(),
            started: Instant::now(),
            connections: AtomicUsize::new(0),
            allow_guests: false,
            temporary: false,
            guests: DashMap::new(),
            owner_account: Arc::new(Account::owner()),
            accounts: DashMap::new(),
            guest_rate: GUEST_RATE,
            guests_slow: Arc::new(Semaphore::new(GUESTS_SLOW_REQUESTS)),
            most_bytes: AtomicUsize::new(0),
            uploads: Arc::default(),
            descriptors: Descriptors::of(None),
        }
    }

    /// Sets the limits on connections and uploads.
    pub(crate) fn descriptors(self, descriptors: Descriptors) -> Shared {
        Shared {
            descriptors,
            ..self
        }
    }

    /// Maximum connections served at once.
    pub(crate) fn most_connections(&self) -> usize {
        self.descriptors.connections
    }

    /// Sets whether guests are served.
    pub(crate) fn allow_guests(self, allow_guests: bool) -> Shared {
        Shared {
            allow_guests,
            ..self
        }
    }

    /// Sets how many bytes per second each guest may write.
    pub(crate) fn guest_rate(self, guest_rate: u64) -> Shared {
        Shared { guest_rate, ..self }
    }

    /// The account of a principal. Must be called within the runtime.
    pub(crate) fn account(&self, principal: Principal) -> Arc<Account> {
        if !self.is_guest(principal) {
            return Arc::clone(&self.owner_account);
        }
        if self.accounts.len() >= GUEST_ACCOUNTS && !self.accounts.contains_key(&principal) {
            self.accounts.retain(|_, account| {
                self.most_bytes.fetch_max(account.most(), Ordering::Relaxed);
                Arc::strong_count(account) > 1
            });
        }
        let new = || {
            Arc::new(Account::guest(
                principal,
                self.guest_rate,
                self.guests_slow.clone(),
            ))
        };
        Arc::clone(&self.accounts.entry(principal).or_insert_with(new))
    }

    /// Bytes held for the user with the most, now and at their maximum.
    fn held(&self) -> (usize, usize) {
        let kept = self.most_bytes.load(Ordering::Relaxed);
        let owner = (
            self.owner_account.bytes(),
            self.owner_account.most().max(kept),
        );
        let guests = self.accounts.iter().map(|one| (one.bytes(), one.most()));
        guests.fold(owner, |(now, most), (bytes, of)| {
            (now.max(bytes), most.max(of))
        })
    }

    /// Sets whether the daemon serves a single command only.
    pub(crate) fn temporary(self, temporary: bool) -> Shared {
        Shared { temporary, ..self }
    }

    /// Whether the principal is neither the owner nor root.
    pub(crate) fn is_guest(&self, principal: Principal) -> bool {
        Tenant::of(principal, self.owner).is_guest()
    }

    /// Whether the principal is served at all.
    pub(crate) fn serves(&self, principal: Principal) -> bool {
        self.allow_guests || !self.is_guest(principal)
    }

    /// Counts a new connection and decides how it is treated; [`Shared::leave`] counts it out.
    pub(crate) fn enter(&self, principal: Principal) -> Admission {
        let others = self.connections.fetch_add(1, Ordering::Relaxed);
        if !self.is_guest(principal) {
            return admit(others, self.most_connections());
        }
        let mut own = self.guests.entry(principal).or_default();
        *own += 1;
        admit_guest(others, *own - 1, self.most_connections())
    }

    /// Counts a connection out.
    pub(crate) fn leave(&self, principal: Principal) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        self.guests.remove_if_mut(&principal, |_, own| {
            *own -= 1;
            *own == 0
        });
    }

    /// Counts one more upload until the result is dropped; `None` if there are too many.
    pub(crate) fn enter_upload(&self, principal: Principal) -> Option<UploadPlace> {
        let (guest, account) = (self.is_guest(principal), self.account(principal));
        if !account.enter_upload() {
            return None;
        }
        let all = self.descriptors.uploads;
        let most = if guest { all / 2 } else { all };
        let others = self.uploads.fetch_add(1, Ordering::Relaxed);
        let place = UploadPlace(Arc::clone(&self.uploads), account);
        (others < most).then_some(place)
    }

    /// Numbers for `status`; each name ends in its unit.
    pub(crate) fn counters(&self) -> Vec<(SmolStr, u64)> {
        let uptime = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let connections = self.connections.load(Ordering::Relaxed) as u64;
        let slices = self.engine.slices().counts();
        let of = |kind: SliceKind| {
            slices
                .longest_ns_of
                .get(kind as usize)
                .copied()
                .unwrap_or(0)
        };
        let matched = self.engine.match_counts();
        let checkpoints = self.engine.checkpoint_counts();
        let most_connections = self.most_connections() as u64;
        let uploads = self.uploads.load(Ordering::Relaxed) as u64;
        let descriptors = self.descriptors.limit as u64;
        let (held, most_held) = self.held();
        vec![
            (SmolStr::new_static("principal_held_bytes"), held as u64),
            (
                SmolStr::new_static("principal_held_most_bytes"),
                most_held as u64,
            ),
            (SmolStr::new_static("guests"), self.guests.len() as u64),
            (SmolStr::new_static("uptime_ms"), uptime),
            (SmolStr::new_static("connections"), connections),
            (SmolStr::new_static("most_connections"), most_connections),
            (SmolStr::new_static("uploads"), uploads),
            (SmolStr::new_static("descriptors"), descriptors),
            (SmolStr::new_static("slices"), slices.slices),
            (SmolStr::new_static("slice_visits"), slices.visits),
            (SmolStr::new_static("slice_visits_max"), slices.most_visits),
            (SmolStr::new_static("slice_total_ns"), slices.total_ns),
            (SmolStr::new_static("slice_long"), slices.long),
            (SmolStr::new_static("slice_max_ns"), slices.longest_ns()),
            (
                SmolStr::new_static("slice_max_ns_list"),
                of(SliceKind::List),
            ),
            (
                SmolStr::new_static("slice_max_ns_read"),
                of(SliceKind::Read),
            ),
            (
                SmolStr::new_static("slice_max_ns_lookup_many"),
                of(SliceKind::LookupMany),
            ),
            (
                SmolStr::new_static("slice_max_ns_nodes"),
                of(SliceKind::Nodes),
            ),
            (SmolStr::new_static("slice_max_ns_log"), of(SliceKind::Log)),
            (
                SmolStr::new_static("slice_max_ns_watch"),
                of(SliceKind::Watch),
            ),
            (SmolStr::new_static("checkpoints"), checkpoints.checkpoints),
            (
                SmolStr::new_static("checkpoint_last_bytes"),
                checkpoints.last_bytes,
            ),
            (
                SmolStr::new_static("checkpoint_last_held_ns"),
                checkpoints.last_held_ns,
            ),
            (
                SmolStr::new_static("checkpoint_most_held_ns"),
                checkpoints.most_held_ns,
            ),
            (SmolStr::new_static("match_slices"), matched.slices),
            (SmolStr::new_static("match_visits"), matched.visits),
            (SmolStr::new_static("match_visits_max"), matched.visits_most),
            (SmolStr::new_static("match_wakes"), matched.wakes),
            (SmolStr::new_static("match_lag_max"), matched.lag_most),
        ]
    }
}

/// How a connection is treated when there are `others` already, out of `most`.
fn admit(others: usize, most: usize) -> Admission {
    if others < most {
        Admission::Served
    } else if others < most + REFUSED_CONNECTIONS.min(most / 4) {
        Admission::Refused
    } else {
        Admission::Dropped
    }
}

/// How a guest's connection is treated when there are `others` already, `own` of them of the same
/// user.
fn admit_guest(others: usize, own: usize, most: usize) -> Admission {
    let kept = OWNER_CONNECTIONS.min(most.div_ceil(4));
    if others >= most {
        admit(others, most)
    } else if own >= GUEST_CONNECTIONS + REFUSED_CONNECTIONS {
        Admission::Dropped
    } else if own >= GUEST_CONNECTIONS || others >= most - kept {
        Admission::Refused
    } else {
        Admission::Served
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvs_proto::CONNECTIONS;

    #[test]
    fn connections_over_the_limit_are_told_and_far_over_it_dropped() {
        for most in [CONNECTIONS, 600, 20] {
            assert_eq!(admit(most - 1, most), Admission::Served);
            assert_eq!(admit(most, most), Admission::Refused);
            let far = most + REFUSED_CONNECTIONS.min(most / 4);
            assert_eq!(admit(far, most), Admission::Dropped);
        }
    }

    #[test]
    fn no_guest_takes_the_place_of_others() {
        let guest = |others, own| admit_guest(others, own, CONNECTIONS);
        assert_eq!(guest(0, GUEST_CONNECTIONS - 1), Admission::Served);
        assert_eq!(guest(0, GUEST_CONNECTIONS), Admission::Refused);
        let far = GUEST_CONNECTIONS + REFUSED_CONNECTIONS;
        assert_eq!(guest(0, far), Admission::Dropped);
        let full = CONNECTIONS - OWNER_CONNECTIONS;
        assert_eq!(guest(full - 1, 0), Admission::Served);
        assert_eq!(guest(full, 0), Admission::Refused);
        assert_eq!(admit(full, CONNECTIONS), Admission::Served);
        // If there are few, guests get three quarters of them.
        assert_eq!(admit_guest(74, 0, 100), Admission::Served);
        assert_eq!(admit_guest(75, 0, 100), Admission::Refused);
        assert_eq!(admit_guest(0, 0, 1), Admission::Refused);
    }
}
