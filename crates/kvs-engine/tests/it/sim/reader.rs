//! A reader of a watch, as the client library is one: it knows how far it has come, goes on from there
//! after a loss, and reads only when it is woken or has not found the end yet. All it sees is recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kvs_engine::{
    At, ChangeKind, ChangeValue, ErrorKind, KeyChange, Mode, Start, WakeSink, Watch, WatchEvent,
    WatchRequest,
};

use super::history::{History, Moment, Opened, Step, Wish};
use super::machine::Machine;
use super::sight::Range;
use crate::support::{NS, OWNER};

#[derive(Default)]
struct Flag(AtomicBool);

impl WakeSink for Flag {
    fn wake(&self, _token: u64) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub(super) struct Reader {
    pub(super) history: History,
    watch: Option<Watch>,
    woken: Arc<Flag>,
    /// Where it begins, until it has something.
    start: Start,
    /// Everything up to here was handed out whole.
    had: Option<u64>,
    /// A gap or a part was told, and the rest not yet.
    between: bool,
    /// How many bytes of the one key that it watches were handed out, in append mode.
    grown: Option<u64>,
    /// What is not complete yet is a whole state.
    listed: bool,
    /// Changes of what is not complete yet.
    parts: Vec<KeyChange>,
    /// Steps that told of a version, and how far the disk had come then.
    pub(super) moments: Vec<Moment>,
    /// Resumes with the version that it had already.
    pub(super) repeats: bool,
}

impl Reader {
    pub(super) fn new(wish: Wish, start: Start) -> Self {
        let steps = Vec::new();
        Self {
            history: History { wish, steps },
            watch: None,
            woken: Arc::default(),
            start,
            had: None,
            between: false,
            grown: None,
            listed: false,
            parts: Vec::new(),
            moments: Vec::new(),
            repeats: false,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.watch.is_some()
    }

    /// Opens the watch, or goes on where it was.
    pub(super) async fn open(&mut self, machine: &Machine) {
        let resumed = self.had.is_some();
        let start = match self.had {
            Some(had) => Start::Version {
                incarnation: None,
                version: had + u64::from(!self.repeats),
            },
            None => self.start,
        };
        let wish = &self.history.wish;
        let mode = match (wish.mode, self.grown) {
            (Mode::Append { .. }, Some(offset)) => Mode::Append { offset },
            (mode, _) => mode,
        };
        let request = WatchRequest {
            scopes: wish.ranges.iter().map(|range| range.scope()).collect(),
            start,
            mode,
            values: wish.values,
            previous: wish.previous,
        };
        self.woken = Arc::default();
        self.woken.wake(0);
        let newest = machine.newest().await;
        let watch = machine
            .engine
            .watch(OWNER, NS, request, self.woken.clone(), 0);
        self.watch = Some(watch.unwrap());
        let at = match start {
            Start::Initial => Opened::Initial,
            Start::Now => Opened::After(newest),
            Start::Version { version, .. } => Opened::After(version.saturating_sub(1)),
        };
        if let Opened::After(version) = at {
            self.had = self.had.or(Some(version));
        }
        self.history.steps.push(Step::Opened { at, resumed });
    }

    pub(super) fn disconnect(&mut self) {
        if self.watch.take().is_some() {
            self.between = false;
            self.parts.clear();
            self.listed = false;
            self.history.steps.push(Step::Lost);
        }
    }

    /// Has the state kept that it knows, so that it can be told the differences against it.
    pub(super) async fn pin(&self, machine: &Machine) {
        let engine = &machine.engine;
        let Some(had) = self.had else { return };
        if let Ok(view) = engine.view(OWNER, NS, At::Version(had)).await {
            // Whether it can is not what is looked at here.
            let _ = engine.pin(OWNER, view.snapshot(), None).await;
        }
    }

    /// Takes at most `credit` events.
    pub(super) async fn read(&mut self, machine: &Machine, credit: u64) {
        for _ in 0..credit {
            // Woken from here on means: look again.
            if !self.woken.0.swap(false, Ordering::SeqCst) {
                return;
            }
            let newest = machine.newest().await;
            let Some(watch) = &mut self.watch else { return };
            let Some(event) = watch.next().await.unwrap() else {
                let until = machine.newest().await;
                self.history.steps.push(Step::Idle { newest, until });
                continue;
            };
            self.woken.0.store(true, Ordering::SeqCst);
            let event = event.event().clone();
            let compacted = self.note(&event, machine).await;
            self.history.steps.push(Step::Event {
                event,
                newest,
                compacted,
                durable: None,
            });
        }
    }

    /// Keeps account of an event; tells whether the versions of a gap are past retention.
    async fn note(&mut self, event: &WatchEvent, machine: &Machine) -> bool {
        let mut compacted = false;
        let (version, last) = match event {
            WatchEvent::Gap { from, to } => {
                self.parts.clear();
                let next = from.version + 1;
                let log = machine.engine.log(OWNER, NS, next, next, &[], 1).await;
                compacted = log.is_err_and(|error| error.kind == ErrorKind::Compacted);
                (to.version, false)
            }
            WatchEvent::Initial {
                position,
                entries,
                differences,
                last,
                ..
            } => {
                self.listed = !differences;
                self.parts.extend(entries.iter().cloned());
                (position.version, *last)
            }
            WatchEvent::Changes {
                position,
                changes,
                last,
                ..
            } => {
                self.parts.extend(changes.iter().cloned());
                (position.version, *last)
            }
        };
        self.between = !last;
        if last {
            self.had = Some(version);
            if std::mem::take(&mut self.listed) {
                // What is not listed is not there.
                self.grown = Some(0);
            }
            for change in std::mem::take(&mut self.parts) {
                self.grow(&change);
            }
        }
        self.moment(version, machine);
        compacted
    }

    /// Notes that the next step tells of a version.
    fn moment(&mut self, version: u64, machine: &Machine) {
        self.moments.push(Moment {
            operations: machine.disk.operations(),
            version,
            step: self.history.steps.len(),
        });
    }

    fn grow(&mut self, change: &KeyChange) {
        let own = match &*self.history.wish.ranges {
            [Range::Key(key) | Range::Directory(key)] => *key == change.key,
            _ => false,
        };
        let bytes = match (&change.appended, &change.value) {
            (Some(new), _) => new.len() as u64,
            (None, ChangeValue::Inline(bytes)) => bytes.len() as u64,
            (None, ChangeValue::Large { len, .. }) => *len,
            (None, _) => 0,
        };
        let begin = match change.kind {
            ChangeKind::Append => change.offset.unwrap_or(0),
            _ => 0,
        };
        if own {
            self.grown = Some(begin + bytes);
        }
    }

    /// Asks for a mark, and remembers it as the place to go on from.
    pub(super) async fn mark(&mut self, machine: &Machine) {
        let newest = machine.newest().await;
        let Some(watch) = &mut self.watch else { return };
        let version = watch.mark().version;
        let durable = None;
        self.moment(version, machine);
        self.history.steps.push(Step::Mark {
            version,
            newest,
            durable,
        });
        if !self.between && self.had.is_some() {
            self.had = self.had.max(Some(version));
        }
    }

    /// Reads all there is. Nothing is under way any more: if it was not woken, it has everything.
    pub(super) async fn finish(&mut self, machine: &Machine) {
        if self.watch.is_none() {
            self.open(machine).await;
        }
        self.read(machine, u64::MAX).await;
        let newest = machine.newest().await;
        let until = newest;
        self.history.steps.push(Step::Idle { newest, until });
        self.mark(machine).await;
        self.disconnect();
    }
}
