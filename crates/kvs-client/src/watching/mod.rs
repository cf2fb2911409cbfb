//! The state of one watch on the client's side: assembles versions, counts credit, knows where to
//! resume.
//!
//! Pure: the link feeds it items and sends what it asks for. What was handed out is never handed
//! out again: `delivered` moves when a version, or the state that was asked for or follows a gap,
//! is complete, and everything behind it is fetched anew after a loss.

mod appended;
mod parts;
mod unique;

use crate::error::ClientError;
use crate::event::{Event, Gap};
use crate::inbox::Sender;
use crate::prefetch::{Cost, Prefetch};
use appended::Appended;
use kvs_proto::{Mark, Mode, Position, Start, Watch, WatchItem};
use parts::{join, size};
use tokio::sync::oneshot;
use unique::LastValues;

/// Told when the watch stands: where it began, or that it waits for its namespace.
pub(crate) type Opened = oneshot::Sender<Result<Option<Position>, ClientError>>;

/// What only the client needs to know of a watch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Versions of at most this many bytes are handed out whole.
    pub(crate) assemble_bytes: usize,
    /// Whether bookmarks are handed out.
    pub(crate) marks: bool,
    /// How much is fetched ahead.
    pub(crate) prefetch: Cost,
}

/// One watch. Owned by the link until it ends or is cancelled.
#[derive(Debug)]
pub(crate) struct WatchState {
    watch: Watch,
    manner: Manner,
    events: Sender<Event>,
    opened: Option<Opened>,
    prefetch: Prefetch,
    /// Where the request that is under way begins.
    asked: Start,
    /// Whether the namespace was not there and the consumer was told so.
    absent: bool,
    /// Everything up to here was handed out whole. `None` until the watch stands, or until its
    /// initial state is complete.
    delivered: Option<Position>,
    needs_initial: bool,
    /// A gap whose state has not come yet.
    gap: Option<Gap>,
    collected: Option<Event>,
    collected_bytes: usize,
    /// Whether parts of what is under way were already handed out.
    split: bool,
    /// Whether the consumer waits for a bookmark.
    wants_mark: bool,
    last: LastValues,
    appended: Appended,
}

impl WatchState {
    pub(crate) fn new(watch: Watch, manner: Manner, events: Sender<Event>, opened: Opened) -> Self {
        WatchState {
            needs_initial: watch.start == Start::Initial,
            asked: watch.start.clone(),
            appended: Appended::new(&watch.scopes),
            watch,
            manner,
            events,
            opened: Some(opened),
            prefetch: Prefetch::new(manner.prefetch),
            absent: false,
            delivered: None,
            gap: None,
            collected: None,
            collected_bytes: 0,
            split: false,
            wants_mark: false,
            last: LastValues::default(),
        }
    }

    pub(crate) fn prefetch(&mut self) -> &mut Prefetch {
        &mut self.prefetch
    }

    /// The request that opens the watch, or goes on where it was.
    pub(crate) fn request(&mut self) -> Watch {
        let credit = self.prefetch.open();
        if let Some(delivered) = self.delivered {
            self.asked = Start::Version {
                version: delivered.version.saturating_add(1),
                incarnation: Some(delivered.incarnation),
            };
        } else if self.absent && self.asked == Start::Now {
            // It may have been made, and changed, since we were told that it is not there.
            self.asked = Start::Version {
                version: 1,
                incarnation: None,
            };
        }
        let mode = match self.watch.mode {
            Mode::Append { offset } => Mode::Append {
                offset: self.appended.offset(offset),
            },
            mode => mode,
        };
        Watch {
            start: self.asked.clone(),
            mode,
            wait_create: self.watch.wait_create && self.delivered.is_none(),
            credit: credit.events,
            credit_bytes: Some(credit.bytes),
            ..self.watch.clone()
        }
    }

    /// The consumer asks for a bookmark.
    pub(crate) fn want_mark(&mut self) {
        self.wants_mark = true;
    }

    pub(crate) fn wants_mark(&self) -> bool {
        self.wants_mark
    }

    /// The connection is lost: what is incomplete will come again.
    pub(crate) fn disconnected(&mut self) {
        self.gap = None;
        self.collected = None;
        self.collected_bytes = 0;
        if std::mem::take(&mut self.split) {
            // The parts handed out are to be forgotten; what was handed out before them is not
            // known any more.
            self.last.clear();
            self.appended.taken_back();
            self.events.notice(Event::Restart(self.delivered));
        }
    }

    /// The watch has ended.
    pub(crate) fn end(mut self, error: ClientError) {
        match self.opened.take() {
            Some(opened) => drop(opened.send(Err(error))),
            None => self.events.end(error),
        }
    }

    /// Takes in an item whose body has so many bytes.
    pub(crate) fn item(&mut self, item: WatchItem, bytes: usize) {
        let cost = Cost::item(bytes);
        match item {
            WatchItem::Absent {} => self.absent(),
            WatchItem::Started(started) => self.started(started.position),
            WatchItem::Mark(mark) => self.mark(mark),
            WatchItem::Gap(gap) => {
                self.prefetch.received(cost);
                let from = self.gap.take().map_or(gap.from, |first| first.from);
                let gap = Gap::from(gap);
                self.gap = Some(Gap { from, ..gap });
            }
            WatchItem::Initial(initial) => {
                self.prefetch.received(cost);
                self.part(initial.last, Event::Initial(initial.into()), cost);
            }
            WatchItem::Changes(changes) => {
                self.prefetch.received(cost);
                if changes.behind.is_some() || !self.is_old(changes.position) {
                    self.part(changes.last, Event::Changes(changes.into()), cost);
                }
            }
        }
    }

    fn absent(&mut self) {
        self.absent = true;
        if let Some(opened) = self.opened.take() {
            let _ = opened.send(Ok(None));
        }
    }

    fn started(&mut self, position: Position) {
        let created = std::mem::take(&mut self.absent);
        if self.opened.is_none() && !created {
            return;
        }
        let position = match self.asked {
            Start::Version {
                version,
                incarnation,
            } => Position {
                incarnation: incarnation.unwrap_or(position.incarnation),
                version: version.saturating_sub(1),
            },
            Start::Now | Start::Initial => position,
        };
        if !self.needs_initial {
            self.delivered = Some(position);
        }
        match self.opened.take() {
            Some(opened) => drop(opened.send(Ok(Some(position)))),
            None => self.events.notice(Event::Created(position)),
        }
    }

    fn mark(&mut self, mark: Mark) {
        let between = self.collected.is_some() || self.split || self.gap.is_some();
        if between || self.needs_initial {
            return;
        }
        if self.delivered.is_none_or(|at| is_after(mark.position, at)) {
            self.delivered = Some(mark.position);
        }
        let wanted = mark.requested && std::mem::take(&mut self.wants_mark);
        let shown = wanted || self.manner.marks;
        self.bookmark(self.delivered.unwrap_or(mark.position), !shown);
    }

    fn bookmark(&self, position: Position, quiet: bool) {
        self.events
            .bookmark(Event::Mark(position), quiet, Event::is_mark);
    }

    fn is_old(&self, position: Position) -> bool {
        self.delivered.is_some_and(|at| {
            at.incarnation == position.incarnation && position.version <= at.version
        })
    }

    fn part(&mut self, last: bool, part: Event, cost: Cost) {
        self.collected_bytes = self.collected_bytes.saturating_add(size(&part));
        let event = match self.collected.take() {
            Some(before) => join(before, part),
            None => part,
        };
        if last {
            self.hand_out(event, cost);
            self.split = false;
        } else if self.split || self.collected_bytes > self.manner.assemble_bytes {
            self.hand_out(event, cost);
            self.split = true;
        } else {
            self.collected = Some(event);
        }
    }

    fn hand_out(&mut self, mut event: Event, cost: Cost) {
        self.collected_bytes = 0;
        if let Some(mut gap) = self.gap.take() {
            if gap.snapshot.is_empty() && event.position() == Some(gap.to) {
                gap.snapshot = event.snapshot().unwrap_or_default().into();
            }
            self.events.notice(Event::Gap(gap));
        }
        let is_news = self.note(&mut event);
        if let Some(position) = event.completes() {
            if !self.is_old(position) {
                self.delivered = Some(position);
            }
            self.needs_initial = false;
            self.appended.completed();
            if !is_news {
                return self.bookmark(position, true);
            }
        }
        if is_news {
            self.prefetch.handed_out(cost);
            self.events.event(event, cost);
        }
    }

    /// Does what the mode wants before an event is handed out; whether there is anything left to
    /// hand out.
    fn note(&mut self, event: &mut Event) -> bool {
        let first = !self.split;
        match (self.watch.mode, event) {
            (Mode::Unique, Event::Initial(initial)) => self.last.state(initial, first),
            (Mode::Unique, Event::Changes(changes)) => {
                changes.changes.retain(|change| self.last.changes(change));
                return !changes.changes.is_empty() || (changes.last && self.split);
            }
            (Mode::Append { .. }, Event::Initial(initial)) => {
                if first && !initial.differences {
                    self.appended.clear();
                }
                let entries = initial.entries.iter();
                entries.for_each(|change| self.appended.handed_out(change));
            }
            (Mode::Append { .. }, Event::Changes(changes)) => {
                let changes = changes.changes.iter();
                changes.for_each(|change| self.appended.handed_out(change));
            }
            _ => {}
        }
        true
    }
}

fn is_after(a: Position, b: Position) -> bool {
    a.incarnation == b.incarnation && a.version > b.version
}
