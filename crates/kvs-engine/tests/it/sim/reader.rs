//! A reader of a watch that behaves as the client library does: it knows its position, resumes from
//! there after a loss, and reads only when it was woken or has not found the end yet. Everything it
//! sees is recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kvs_engine::{
    At, Behind, ChangeKind, ChangeValue, ErrorKind, KeyChange, Mode, Principal, Start, WakeSink,
    Watch, WatchEvent, WatchRequest,
};

use super::history::{History, Moment, Opened, Step, Wish};
use super::lives::{LIFE, World, life};
use super::machine::Machine;
use super::sight::Range;
use crate::support::OWNER;

/// The user with whom namespaces are shared.
pub(super) const GUEST: Principal = Principal::Uid(4242);

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
    /// Where it starts, until it has something.
    start: Start,
    /// Everything up to here was delivered completely.
    had: Option<u64>,
    /// A gap or a part was received, but not the rest.
    between: bool,
    /// In append mode, the number of delivered bytes of the one watched key.
    grown: Option<u64>,
    /// The incomplete delivery is a whole state.
    listed: bool,
    /// Changes of the incomplete delivery.
    parts: Vec<KeyChange>,
    /// Steps that delivered a version, with the disk operations done by then.
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

    fn caller(&self) -> Principal {
        if self.history.wish.guest {
            GUEST
        } else {
            OWNER
        }
    }

    /// The newest index of its namespace.
    fn newest(&self, world: &World) -> u64 {
        let newest = world.newest.get(&self.history.wish.namespace);
        newest.copied().unwrap_or(0)
    }

    /// Where it starts. The intended start may be gone: a namespace that was recreated has fewer
    /// versions, and mode append starts with what exists.
    fn start_in(&self, world: &World) -> Start {
        let newest = self.newest(world) % LIFE;
        match (self.start, self.history.wish.mode) {
            (Start::Version { version, .. }, Mode::Append { .. }) if version > newest + 1 => {
                Start::Now
            }
            (start, _) => start,
        }
    }

    /// Opens the watch, or resumes where it was.
    pub(super) async fn open(&mut self, machine: &Machine) {
        let resumed = self.had.is_some();
        let name = self.history.wish.namespace.clone();
        let start = match self.had {
            Some(had) => {
                let had = machine.lives.position(&name, had);
                Start::Version {
                    incarnation: Some(had.incarnation),
                    version: had.version + u64::from(!self.repeats),
                }
            }
            None => self.start_in(&machine.world()),
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
        let world = machine.world();
        let newest = self.newest(&world);
        let (engine, woken) = (&machine.engine, self.woken.clone());
        match engine.watch(self.caller(), &name, request, woken, 0) {
            Ok(watch) => self.watch = Some(watch),
            Err(error) => return self.end(error.kind, machine),
        }
        let at = match start {
            Start::Initial => Opened::Initial,
            Start::Now => Opened::After(newest),
            Start::Version { version, .. } => {
                let number = life(self.had.unwrap_or(newest));
                Opened::After(number * LIFE + version.saturating_sub(1))
            }
        };
        if let Opened::After(version) = at {
            self.had = self.had.or(Some(version));
        }
        self.history.steps.push(Step::Opened { at, resumed, world });
    }

    /// Handles the end of the watch.
    fn end(&mut self, kind: ErrorKind, machine: &Machine) {
        self.disconnect();
        let world = machine.world();
        self.history.steps.push(Step::Ended { kind, world });
    }

    pub(super) fn disconnect(&mut self) {
        if self.watch.take().is_some() {
            self.between = false;
            self.parts.clear();
            self.listed = false;
            self.history.steps.push(Step::Lost);
        }
    }

    /// Pins the state that the reader has, so that it can get the differences against it.
    pub(super) async fn pin(&self, machine: &Machine) {
        let engine = &machine.engine;
        let name = &self.history.wish.namespace;
        let Some(had) = self
            .had
            .filter(|had| life(*had) == machine.lives.last(name))
        else {
            return;
        };
        let at = At::Version(machine.lives.position(name, had).version);
        if let Ok(view) = engine.view(OWNER, name, at).await {
            // Whether pinning succeeds is not tested here.
            let _ = engine.pin(OWNER, view.snapshot(), None).await;
        }
    }

    /// Takes at most `credit` events.
    pub(super) async fn read(&mut self, machine: &Machine, credit: u64) {
        for _ in 0..credit {
            // A wake from here on requires another look.
            if !self.woken.0.swap(false, Ordering::SeqCst) {
                return;
            }
            let world = machine.world();
            let newest = self.newest(&world);
            let Some(watch) = &mut self.watch else { return };
            let event = match watch.next().await {
                Ok(Some(event)) => event,
                // It has not looked at everything yet.
                Ok(None) if self.woken.0.load(Ordering::SeqCst) => continue,
                Ok(None) => {
                    let after = machine.world();
                    let until = self.newest(&after);
                    let still = after == world;
                    self.history.steps.push(Step::Idle {
                        newest,
                        until,
                        world,
                        still,
                    });
                    continue;
                }
                Err(error) => return self.end(error.kind, machine),
            };
            self.woken.0.store(true, Ordering::SeqCst);
            let name = &self.history.wish.namespace;
            let event = machine.lives.indexed(name, event.event());
            let compacted = self.note(&event, machine).await;
            let still = machine.world() == world;
            self.history.steps.push(Step::Event {
                event,
                newest,
                compacted,
                durable: None,
                world,
                still,
            });
        }
    }

    /// Records an event; returns whether the versions of a gap are past retention.
    async fn note(&mut self, event: &WatchEvent, machine: &Machine) -> bool {
        let mut compacted = false;
        let (version, last) = match event {
            WatchEvent::Gap { from, to } => {
                self.parts.clear();
                compacted = self.is_lost(from.version, machine).await;
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
            let abroad = matches!(
                event,
                WatchEvent::Changes {
                    behind: Some(_),
                    ..
                }
            );
            self.had = self.had.filter(|_| abroad).max(Some(version));
            if std::mem::take(&mut self.listed) {
                // A key that is not listed does not exist.
                self.grown = Some(0);
            }
            for change in std::mem::take(&mut self.parts) {
                self.grow(&change);
            }
        }
        let own = self.history.wish.namespace.clone();
        self.moment(own, version, machine);
        if let WatchEvent::Changes {
            behind:
                Some(Behind {
                    namespace,
                    position,
                    root: Some(_),
                }),
            ..
        } = event
        {
            self.moment(namespace.to_string(), position.version, machine);
        }
        compacted
    }

    /// Whether the version after this one can no longer be delivered.
    async fn is_lost(&self, version: u64, machine: &Machine) -> bool {
        let name = &self.history.wish.namespace;
        if life(version) != machine.lives.last(name) {
            return true;
        }
        let next = machine.lives.position(name, version).version + 1;
        let log = machine.engine.log(OWNER, name, next, next, &[], 1).await;
        log.is_err_and(|error| error.kind == ErrorKind::Compacted)
    }

    /// Records that the next step delivers a version.
    fn moment(&mut self, namespace: String, version: u64, machine: &Machine) {
        self.moments.push(Moment {
            namespace,
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

    /// Asks for a mark, and remembers it as the position to resume from.
    pub(super) async fn mark(&mut self, machine: &Machine) {
        let world = machine.world();
        let newest = self.newest(&world);
        let Some(watch) = &mut self.watch else { return };
        if watch.check().is_err() {
            return;
        }
        let name = self.history.wish.namespace.clone();
        let version = machine.lives.index(&name, watch.mark());
        let durable = None;
        self.moment(name.clone(), version, machine);
        self.history.steps.push(Step::Mark {
            version,
            newest,
            durable,
            world,
        });
        if !self.between && self.had.is_some() {
            self.had = self.had.max(Some(version));
        }
    }

    /// Reads everything. Nothing is pending any more: if it was not woken, it has everything.
    pub(super) async fn finish(&mut self, machine: &Machine) {
        if self.watch.is_none() {
            self.open(machine).await;
        }
        self.read(machine, u64::MAX).await;
        if self.watch.is_none() {
            return;
        }
        let world = machine.world();
        let newest = self.newest(&world);
        self.history.steps.push(Step::Idle {
            newest,
            until: newest,
            world,
            still: true,
        });
        self.mark(machine).await;
        self.disconnect();
    }
}
