//! Accounts: the resources held for one tenant, such as bytes, streams, uploads, work that waits
//! for the disk, and its write rate. All connections of a guest share one account, so that more
//! connections get no more; so do those of the instance owner and root.
//!
//! A session records what it holds and checks whether there is room for more. A session without
//! room is woken when some is released.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use kvs_engine::{Principal, Tenant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet, yield_now};
use tokio::time::Instant;

use super::gate::{Gate, Gated};
use crate::limits::{
    FREE_BYTES, GUEST_BURST_MS, GUEST_BYTES, GUEST_SLOW_REQUESTS, GUEST_STREAMS_IN_ALL,
    GUEST_UPLOADS, OWNER_BYTES, PLACE_STEPS,
};

/// The resources of one tenant.
pub(crate) struct Account {
    tenant: Tenant,
    /// Bytes held for it: received, in flight, or waiting to be sent.
    bytes: AtomicUsize,
    /// The maximum that `bytes` has reached.
    most: AtomicUsize,
    streams: AtomicUsize,
    uploads: AtomicUsize,
    /// Sessions that wait for room.
    waiting: Mutex<Vec<Waker>>,
    awaited: AtomicBool,
    /// A guest's gate; the instance owner needs none.
    pub(crate) gate: Option<Arc<Gate>>,
    slow: Option<Slow>,
    rate: Option<Mutex<Bucket>>,
}

/// Permits for requests of guests that wait for the disk: those of this guest, and those of all
/// guests.
struct Slow {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// A permit for a request that waits for the disk, released on drop.
#[derive(Debug)]
pub(crate) struct Place {
    _permits: Vec<OwnedSemaphorePermit>,
}

/// What one connection has recorded on its account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Bytes of memory.
    pub(crate) bytes: usize,
    /// Streams and waits.
    pub(crate) streams: usize,
}

impl Account {
    /// The account of the instance owner.
    pub(crate) fn owner() -> Account {
        Account {
            tenant: Tenant::Owner,
            bytes: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            uploads: AtomicUsize::new(0),
            waiting: Mutex::default(),
            awaited: AtomicBool::new(false),
            gate: None,
            slow: None,
            rate: None,
        }
    }

    /// The account of a guest who may write `rate` bytes per second. `all` are the permits shared
    /// by all guests for requests that wait for the disk.
    pub(crate) fn guest(principal: Principal, rate: u64, all: Arc<Semaphore>) -> Account {
        let own = Arc::new(Semaphore::new(GUEST_SLOW_REQUESTS));
        Account {
            tenant: Tenant::Guest(principal),
            gate: Some(Gate::start()),
            slow: Some(Slow { own, all }),
            rate: Some(Mutex::new(Bucket::new(rate, Instant::now()))),
            ..Account::owner()
        }
    }

    fn limit(&self) -> usize {
        match self.tenant {
            Tenant::Owner => OWNER_BYTES,
            Tenant::Guest(_) => GUEST_BYTES,
        }
    }

    /// Bytes held now.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Maximum bytes held at once.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Whether a connection that has recorded `held`, and holds `now`, may hold `more` bytes. A
    /// small amount is always allowed, so that no connection is blocked forever.
    pub(crate) fn has_room(&self, held: Held, now: usize, more: usize) -> bool {
        let others = self.bytes().saturating_sub(held.bytes);
        let sum = now.saturating_add(more);
        others.saturating_add(sum) <= self.limit()
            || sum <= FREE_BYTES
            || (now == 0 && !self.tenant.is_guest())
    }

    /// Checks that one more stream may be opened; an error carries the limit.
    pub(crate) fn has_stream(&self, held: Held, now: usize) -> Result<(), usize> {
        let others = self.streams.load(Ordering::Relaxed);
        let all = others.saturating_sub(held.streams).saturating_add(now);
        match self.tenant {
            Tenant::Guest(_) if all >= GUEST_STREAMS_IN_ALL => Err(GUEST_STREAMS_IN_ALL),
            _ => Ok(()),
        }
    }

    /// Replaces what a connection has recorded.
    pub(crate) fn record(&self, held: &mut Held, now: Held) {
        if *held == now {
            return;
        }
        if now.bytes > held.bytes {
            let more = now.bytes - held.bytes;
            let all = self.bytes.fetch_add(more, Ordering::Relaxed) + more;
            self.most.fetch_max(all, Ordering::Relaxed);
        } else if now.bytes < held.bytes {
            self.bytes
                .fetch_sub(held.bytes - now.bytes, Ordering::SeqCst);
            if self.awaited.load(Ordering::SeqCst) {
                self.wake();
            }
        }
        if now.streams >= held.streams {
            let more = now.streams - held.streams;
            self.streams.fetch_add(more, Ordering::Relaxed);
        } else {
            let less = held.streams - now.streams;
            self.streams.fetch_sub(less, Ordering::Relaxed);
        }
        *held = now;
    }

    /// Registers a session to be woken when there may be room again.
    pub(crate) fn wait(&self, waker: &Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
        self.awaited.store(true, Ordering::SeqCst);
    }

    fn wake(&self) {
        let woken = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.awaited.store(false, Ordering::SeqCst);
            std::mem::take(&mut *waiting)
        };
        woken.iter().for_each(Waker::wake_by_ref);
    }

    /// Charges the tenant's rate for bytes to be written. Returns how long the caller must wait
    /// before it writes them: until earlier charges are paid. So writes proceed at the rate, on any
    /// number of connections.
    pub(crate) fn charge(&self, bytes: usize) -> Option<Duration> {
        let rate = self.rate.as_ref()?;
        let mut bucket = rate.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let wait = bucket.wait(now);
        bucket.spend(bytes, now);
        wait
    }

    /// Counts one more upload, unless there are too many.
    pub(crate) fn enter_upload(&self) -> bool {
        if !self.tenant.is_guest() {
            return true;
        }
        let others = self.uploads.fetch_add(1, Ordering::Relaxed);
        if others >= GUEST_UPLOADS {
            self.leave_upload();
            return false;
        }
        true
    }

    /// Counts an upload as ended.
    pub(crate) fn leave_upload(&self) {
        if self.tenant.is_guest() {
            self.uploads.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// How a connection runs work outside its session task.
#[derive(Clone)]
pub(crate) struct Aside {
    account: Arc<Account>,
    /// A guest's connection waits for one permit at a time, so that connections take turns.
    turn: Option<Arc<Semaphore>>,
}

impl Aside {
    /// For a new connection.
    pub(crate) fn new(account: &Arc<Account>) -> Aside {
        let turn = account.slow.as_ref().map(|_| Arc::new(Semaphore::new(1)));
        Aside {
            account: Arc::clone(account),
            turn,
        }
    }

    /// Whether work that may wait for the disk needs a permit.
    pub(crate) fn needs_place(&self) -> bool {
        self.turn.is_some()
    }

    /// Waits for a permit for work that may wait for the disk: first among the work of the
    /// connection, then of the guest, then of all guests. Few wait at each level, so all of them
    /// take turns.
    pub(crate) async fn place(&self) -> Place {
        let slow = self.account.slow.as_ref();
        let levels = [
            self.turn.as_ref(),
            slow.map(|slow| &slow.own),
            slow.map(|slow| &slow.all),
        ];
        let mut permits = Vec::new();
        for level in levels.into_iter().flatten() {
            // The semaphores are never closed.
            permits.extend(Arc::clone(level).acquire_owned().await.ok());
        }
        Place { _permits: permits }
    }

    /// Runs long work that may wait for the disk. After a number of steps it releases its permit
    /// and queues again, so that others get one.
    pub(crate) async fn in_places<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        loop {
            let place = self.place().await;
            let mut steps = 0;
            let done = poll_fn(|cx| match work.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Some(done)),
                Poll::Pending if steps >= PLACE_STEPS => Poll::Ready(None),
                Poll::Pending => {
                    steps += 1;
                    Poll::Pending
                }
            });
            if let Some(done) = done.await {
                return done;
            }
            drop(place);
            yield_now().await;
        }
    }

    /// Spawns a task for work; a guest's goes through its gate.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        tasks: &mut JoinSet<T>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> AbortHandle {
        match &self.account.gate {
            None => tasks.spawn(work),
            Some(gate) => tasks.spawn(Gated::new(Arc::clone(gate), work)),
        }
    }
}

/// A token bucket of bytes that may be written: the rate, plus a burst of up to `GUEST_BURST_MS` of
/// unused rate. Negative after an overdraft, which the next write waits for.
#[derive(Debug)]
struct Bucket {
    rate: u64,
    full: i128,
    level: i128,
    at: Instant,
}

/// Fractions of a byte in which the level is counted, so that short times add up.
const PARTS: i128 = 1_000_000_000;

impl Bucket {
    fn new(rate: u64, now: Instant) -> Bucket {
        let rate = rate.max(1);
        let full = i128::from(rate) * PARTS / 1000 * i128::from(GUEST_BURST_MS);
        Bucket {
            rate,
            full,
            level: full,
            at: now,
        }
    }

    fn fill(&mut self, now: Instant) {
        let nanos = now.saturating_duration_since(self.at).as_nanos();
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX / 2);
        let added = nanos.saturating_mul(self.rate.into());
        self.level = self.level.saturating_add(added).min(self.full);
        self.at = now;
    }

    fn spend(&mut self, bytes: usize, now: Instant) {
        self.fill(now);
        self.level -= bytes as i128 * PARTS;
    }

    fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.fill(now);
        if self.level > 0 {
            return None;
        }
        let nanos = 1 - self.level / i128::from(self.rate);
        Some(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(bytes: usize, streams: usize) -> Held {
        Held { bytes, streams }
    }

    fn guest() -> Account {
        Account::guest(Principal::Uid(7), 1000, Arc::new(Semaphore::new(2)))
    }

    #[tokio::test]
    async fn connections_share_what_their_user_may_hold() {
        let account = guest();
        let (mut one, mut other) = (Held::default(), Held::default());
        account.record(&mut one, held(GUEST_BYTES - 1000, 0));
        assert!(account.has_room(other, 0, 1000));
        // A small amount is always allowed.
        assert!(account.has_room(other, 0, FREE_BYTES));
        assert!(!account.has_room(other, 0, FREE_BYTES + 1));
        account.record(&mut other, held(1000, 0));
        assert!(!account.has_room(one, one.bytes, 1));
        account.record(&mut one, held(0, 0));
        assert!(account.has_room(other, 1000, FREE_BYTES + 1));
        assert_eq!((account.bytes(), account.most()), (1000, GUEST_BYTES));
    }

    #[tokio::test]
    async fn who_found_no_room_is_woken_when_there_may_be_some() {
        struct Count(AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let account = guest();
        let count = Arc::new(Count(0.into()));
        let waker = Waker::from(Arc::clone(&count));
        let mut one = Held::default();
        account.record(&mut one, held(100, 0));
        account.wait(&waker);
        account.wait(&waker);
        account.record(&mut one, held(100, 1));
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        account.record(&mut one, held(99, 0));
        account.record(&mut one, held(0, 0));
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_guest_has_so_many_streams_whatever_connections_it_has() {
        let account = guest();
        let mut one = Held::default();
        account.record(&mut one, held(0, GUEST_STREAMS_IN_ALL - 1));
        let other = Held::default();
        assert_eq!(account.has_stream(other, 0), Ok(()));
        assert_eq!(account.has_stream(other, 1), Err(GUEST_STREAMS_IN_ALL));
        account.record(&mut one, held(0, 0));
        assert_eq!(account.has_stream(other, 1), Ok(()));
    }

    #[tokio::test]
    async fn a_guest_has_so_many_uploads() {
        let account = guest();
        let opened = (0..GUEST_UPLOADS + 2)
            .filter(|_| account.enter_upload())
            .count();
        assert_eq!(opened, GUEST_UPLOADS);
        account.leave_upload();
        assert!(account.enter_upload() && !account.enter_upload());
    }

    #[tokio::test]
    async fn requests_that_wait_for_the_disk_take_turns_by_guest_and_then_by_connection() {
        let all = Arc::new(Semaphore::new(1));
        let [one, two] =
            [1, 2].map(|uid| Arc::new(Account::guest(Principal::Uid(uid), 1, all.clone())));
        let connections = [Aside::new(&one), Aside::new(&one), Aside::new(&two)];
        let order: Arc<Mutex<Vec<usize>>> = Arc::default();
        let mut tasks = JoinSet::new();
        let busy = connections[0].place().await;
        // Ten requests of one connection are queued before one each of the others.
        for index in [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2] {
            let (aside, order) = (connections[index].clone(), Arc::clone(&order));
            tasks.spawn(async move {
                let _place = aside.place().await;
                order.lock().unwrap().push(index);
            });
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        drop(busy);
        while tasks.join_next().await.is_some() {}
        let order = order.lock().unwrap().clone();
        assert!(
            order[..4].contains(&1) && order[..4].contains(&2),
            "{order:?}"
        );
        // The instance owner needs no permit.
        let owner = Aside::new(&Arc::new(Account::owner()));
        assert!(!owner.needs_place());
        drop(owner.place().await);
    }

    #[tokio::test]
    async fn work_that_never_ends_gives_others_its_place_now_and_then() {
        let all = Arc::new(Semaphore::new(2));
        let guests = [1, 2, 3].map(|uid| {
            Aside::new(&Arc::new(Account::guest(
                Principal::Uid(uid),
                1,
                all.clone(),
            )))
        });
        let mut endless = JoinSet::new();
        for aside in &guests[..2] {
            let aside = aside.clone();
            endless.spawn(async move {
                let work = async {
                    loop {
                        yield_now().await;
                    }
                };
                aside.in_places(work).await
            });
        }
        while all.available_permits() > 0 {
            yield_now().await;
        }
        for _ in 0..10 {
            assert_eq!(guests[2].in_places(async { 7 }).await, 7);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_come_at_their_rate_and_what_was_taken_before_is_waited_for() {
        let mut bucket = Bucket::new(1000, Instant::now());
        assert_eq!(bucket.wait(Instant::now()), None);
        bucket.spend(burst() + 500, Instant::now());
        let wait = bucket.wait(Instant::now()).unwrap();
        assert!(
            wait > Duration::from_millis(499) && wait < Duration::from_millis(502),
            "{wait:?}"
        );
        tokio::time::advance(wait).await;
        assert_eq!(bucket.wait(Instant::now()), None);
        // At most one burst of unused rate is kept.
        tokio::time::advance(Duration::from_secs(100)).await;
        bucket.spend(burst() + 1, Instant::now());
        assert!(bucket.wait(Instant::now()).is_some());
    }

    /// Bytes of a burst at a rate of 1,000 per second.
    fn burst() -> usize {
        usize::try_from(GUEST_BURST_MS).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn writes_of_any_number_of_connections_follow_each_other_at_the_rate() {
        let account = guest();
        // One overdraws; each one after it waits for all earlier ones.
        assert_eq!(account.charge(burst() + 1000), None);
        let waits = (0..4).map(|_| account.charge(1000).unwrap());
        for (number, wait) in waits.enumerate() {
            let least = Duration::from_secs(1 + number as u64);
            assert!(wait >= least && wait < least + Duration::from_millis(2));
        }
    }
}
