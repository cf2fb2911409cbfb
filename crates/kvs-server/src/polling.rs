//! Keeps a thread of the runtime busy-polling while requests follow each other closely, so that the
//! next one finds it awake ([`BusyPoll`] decides when that is worth it).
//!
//! The runtime sleeps as soon as no task is runnable. A task that is always runnable makes it poll
//! its sockets instead. This task yields to every other task, and the CPU to every other thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kvs_engine::BusyPoll;
use tokio::sync::Notify;

/// Counts what was done for clients; sessions report it.
#[derive(Default)]
pub(crate) struct Activity {
    count: AtomicU64,
    /// Whether a task waits for the count to change.
    awaited: AtomicBool,
    changed: Notify,
}

impl Activity {
    /// Counts one more.
    pub(crate) fn note(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        // Almost always nothing waits; then this only reads memory that is in the cache.
        if self.awaited.load(Ordering::SeqCst) && self.awaited.swap(false, Ordering::SeqCst) {
            self.changed.notify_one();
        }
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Waits until the count differs from `seen`.
    async fn changed_since(&self, seen: u64) {
        while self.count() == seen {
            self.awaited.store(true, Ordering::SeqCst);
            // From here on, `note` sees that this task waits.
            if self.count() == seen {
                self.changed.notified().await;
            }
        }
    }
}

/// Busy-polls on the current thread for up to `most` after each activity, as far as that is worth
/// it. Never returns; with zero it does nothing.
pub(crate) async fn keep_polling(activity: &Activity, most: Duration) {
    if most.is_zero() {
        return std::future::pending().await;
    }
    let mut poll = BusyPoll::new(most);
    let mut seen = activity.count();
    loop {
        if !poll.again(Instant::now()) {
            activity.changed_since(seen).await;
        }
        // Every other runnable task runs, then the runtime polls its sockets.
        tokio::task::yield_now().await;
        let count = activity.count();
        if count == seen {
            poll.give_way();
        } else {
            seen = count;
            poll.found(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn it_sleeps_until_something_is_done_however_long_that_takes() {
        let activity = Arc::new(Activity::default());
        let noted = Arc::clone(&activity);
        let waiting = tokio::spawn(async move { noted.changed_since(0).await });
        tokio::task::yield_now().await;
        assert!(activity.awaited.load(Ordering::SeqCst) && !waiting.is_finished());
        activity.note();
        waiting.await.unwrap();
        // Earlier activity does not count as a change.
        activity.note();
        activity.changed_since(1).await;
    }

    #[tokio::test]
    async fn what_is_done_while_it_falls_asleep_wakes_it() {
        let activity = Arc::new(Activity::default());
        let noted = Arc::clone(&activity);
        let thread = std::thread::spawn(move || (0..10_000).for_each(|_| noted.note()));
        for seen in 0..10_000 {
            activity.changed_since(seen).await;
        }
        thread.join().unwrap();
        assert_eq!(activity.count(), 10_000);
    }

    #[tokio::test]
    async fn others_have_their_turn_while_it_is_awake() {
        let activity = Arc::new(Activity::default());
        let kept = Arc::clone(&activity);
        // Busy-polls for longer than this test can take.
        let most = Duration::from_secs(3600);
        let polling = tokio::spawn(async move { keep_polling(&kept, most).await });
        for _ in 0..100 {
            activity.note();
            tokio::task::yield_now().await;
        }
        assert!(!activity.awaited.load(Ordering::SeqCst) && !polling.is_finished());
        polling.abort();
    }

    #[tokio::test]
    async fn without_a_time_it_never_looks() {
        let activity = Activity::default();
        activity.note();
        let polling = keep_polling(&activity, Duration::ZERO);
        tokio::select! {
            biased;
            () = polling => panic!("it never ends"),
            () = tokio::task::yield_now() => {}
        }
        assert!(!activity.awaited.load(Ordering::SeqCst));
    }
}
