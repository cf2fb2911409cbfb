//! Gives guests turns. Everything that runs for one guest, its connections and the work they wait
//! for, goes through one gate: between two steps of a guest, every other runnable task has run
//! and the sockets have been polled. So a guest with many connections gets no more time than one
//! with a single connection, and its connections take turns.
//!
//! A gate is a queue of futures that are ready to be polled, and a task that admits one at a time.
//! The task yields to the runtime before each.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Where the futures of one guest wait for their turns. Its task ends with the last handle.
#[derive(Debug)]
pub(crate) struct Gate {
    line: Arc<Line>,
    task: AbortHandle,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug, Default)]
struct Line {
    state: Mutex<State>,
    /// Signalled when a turn has ended.
    over: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the turn is taken, or was and other tasks have not run since.
    spent: bool,
    /// The future whose turn it is, if it had to wait for it.
    given: Option<u64>,
    line: VecDeque<u64>,
    waiting: HashMap<u64, Waker>,
    last: u64,
}

impl Gate {
    /// Starts a gate; spawns its task on the current runtime.
    pub(crate) fn start() -> Arc<Gate> {
        let line = Arc::new(Line::default());
        let kept = Arc::clone(&line);
        let task = tokio::spawn(async move {
            loop {
                kept.over.notified().await;
                // Every other runnable task runs, then the runtime polls its sockets.
                tokio::task::yield_now().await;
                kept.next();
            }
        });
        let task = task.abort_handle();
        Arc::new(Gate { line, task })
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the turn to the future that has waited longest, or else to the next to arrive.
    fn next(&self) {
        let waker = {
            let mut state = self.lock();
            if state.given.is_some() {
                return;
            }
            loop {
                let Some(id) = state.line.pop_front() else {
                    state.spent = false;
                    break None;
                };
                if let Some(waker) = state.waiting.remove(&id) {
                    state.given = Some(id);
                    break Some(waker);
                }
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the turn or joins the queue; returns whether it is this future's turn.
    fn enter(&self, id: u64, cx: &Context<'_>) -> bool {
        let mut state = self.lock();
        if state.given == Some(id) || !state.spent {
            state.given = None;
            state.spent = true;
            // It may still be queued from before.
            state.waiting.remove(&id);
            return true;
        }
        if state.waiting.insert(id, cx.waker().clone()).is_none() {
            state.line.push_back(id);
        }
        false
    }

    fn leave(&self, id: u64) {
        let mut state = self.lock();
        state.waiting.remove(&id);
        if state.given == Some(id) {
            state.given = None;
            drop(state);
            self.over.notify_one();
        }
    }
}

/// A future that is polled only when it has its turn at a gate.
pub(crate) struct Gated<F> {
    gate: Arc<Gate>,
    id: u64,
    future: Pin<Box<F>>,
}

impl<F: Future> Gated<F> {
    /// Sends a future through a gate.
    pub(crate) fn new(gate: Arc<Gate>, future: F) -> Gated<F> {
        let id = {
            let mut state = gate.line.lock();
            state.last += 1;
            state.last
        };
        Gated {
            gate,
            id,
            future: Box::pin(future),
        }
    }
}

/// Ends a turn on drop, also when the future panics.
struct Turn<'a>(&'a Line);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.over.notify_one();
    }
}

impl<F: Future> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let line = &this.gate.line;
        if !line.enter(this.id, cx) {
            return Poll::Pending;
        }
        let _turn = Turn(line);
        this.future.as_mut().poll(cx)
    }
}

impl<F> Drop for Gated<F> {
    fn drop(&mut self) {
        self.gate.line.leave(self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;

    /// Runs forever and counts its steps.
    async fn spin(steps: Arc<AtomicUsize>) {
        loop {
            steps.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    }

    fn counts(number: usize) -> Vec<Arc<AtomicUsize>> {
        (0..number).map(|_| Arc::default()).collect()
    }

    fn sum(counts: &[Arc<AtomicUsize>]) -> usize {
        counts
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .sum()
    }

    #[tokio::test]
    async fn a_guest_with_many_connections_gets_the_share_of_one() {
        let gates = [Gate::start(), Gate::start()];
        let (many, one, other) = (counts(32), counts(1), counts(1));
        let mut tasks = JoinSet::new();
        for steps in &many {
            tasks.spawn(Gated::new(Arc::clone(&gates[0]), spin(Arc::clone(steps))));
        }
        tasks.spawn(Gated::new(Arc::clone(&gates[1]), spin(Arc::clone(&one[0]))));
        // The instance owner runs whenever a guest has run.
        tasks.spawn(spin(Arc::clone(&other[0])));
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        let (many_steps, one_steps) = (sum(&many), sum(&one));
        assert!(
            many_steps.abs_diff(one_steps) <= 2,
            "{many_steps} {one_steps}"
        );
        assert!(sum(&other) >= many_steps, "{} {many_steps}", sum(&other));
        assert!(many_steps > 1_000, "{many_steps}");
        let each: Vec<_> = many
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .collect();
        let apart = each.iter().max().unwrap() - each.iter().min().unwrap();
        assert!(apart <= 1, "{each:?}");
    }

    #[tokio::test]
    async fn who_goes_away_before_or_in_its_turn_leaves_it_to_the_next() {
        let gate = Gate::start();
        let counts = counts(40);
        let mut tasks: Vec<_> = counts
            .iter()
            .map(|steps| tokio::spawn(Gated::new(Arc::clone(&gate), spin(Arc::clone(steps)))))
            .collect();
        for round in 0..39 {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            tasks.swap_remove(round * 7 % tasks.len()).abort();
        }
        let before = sum(&counts);
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(sum(&counts) > before + 100, "the last one goes on");
    }

    #[tokio::test]
    async fn what_ends_is_done_and_a_panic_ends_a_turn_too() {
        let gate = Gate::start();
        let gated = |fails: bool| {
            let work = async move { assert!(!fails, "as it should") };
            tokio::spawn(Gated::new(Arc::clone(&gate), work))
        };
        for fails in [false, true, false, true, false] {
            assert_eq!(gated(fails).await.is_err(), fails);
        }
    }
}
