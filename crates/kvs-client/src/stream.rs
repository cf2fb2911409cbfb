//! The state of one watch on the client's side: assembles versions, counts credit, knows where to resume.
//!
//! Pure: the link feeds it items and sends what it asks for. Credit: the daemon takes one for each item; an event handed out
//! gives one back when the consumer takes it, and a part that is only collected gives one back at once, so that a version
//! of more parts than the prefetch cannot wait for itself.

use crate::error::ClientError;
use crate::event::Event;
use kvs_proto::{
    Change, ChangeValue, Changes, ErrorCode, Initial, Position, Start, Watch, WatchItem,
};
use tokio::sync::{mpsc, oneshot};

/// Receives the events of a watch.
pub(crate) type Events = mpsc::UnboundedSender<Result<Event, ClientError>>;

/// One watch. Owned by the link until it ends or is cancelled.
#[derive(Debug)]
pub(crate) struct StreamState {
    watch: Watch,
    assemble_bytes: usize,
    events: Events,
    opened: Option<oneshot::Sender<Result<Position, ClientError>>>,
    /// Everything up to here was handed out whole. `None` until the watch stands, or until its initial state is complete.
    delivered: Option<Position>,
    needs_initial: bool,
    collected: Option<Event>,
    collected_bytes: usize,
    /// Whether parts of what is under way were already handed out.
    split: bool,
    /// Events handed out that the consumer has not yet given credit back for. Never above the prefetch.
    unreturned: u64,
    /// Whether the daemon on the present connection knows the watch.
    pub(crate) live: bool,
}

impl StreamState {
    /// `watch.credit` is the prefetch.
    pub(crate) fn new(
        watch: Watch,
        assemble_bytes: usize,
        events: Events,
        opened: oneshot::Sender<Result<Position, ClientError>>,
    ) -> Self {
        StreamState {
            needs_initial: watch.start == Start::Initial,
            watch,
            assemble_bytes,
            events,
            opened: Some(opened),
            delivered: None,
            collected: None,
            collected_bytes: 0,
            split: false,
            unreturned: 0,
            live: false,
        }
    }

    /// The request that opens the watch, or goes on where it was.
    pub(crate) fn request(&self) -> Watch {
        let mut watch = self.watch.clone();
        watch.credit = self.watch.credit.saturating_sub(self.unreturned);
        if let Some(delivered) = self.delivered {
            watch.start = Start::Version {
                version: delivered.version.saturating_add(1),
                incarnation: Some(delivered.incarnation),
            };
        }
        watch
    }

    /// The consumer took events.
    pub(crate) fn returned(&mut self, events: u64) {
        self.unreturned = self.unreturned.saturating_sub(events);
    }

    /// The connection is lost: what is incomplete will come again.
    pub(crate) fn disconnected(&mut self) {
        self.live = false;
        self.collected = None;
        self.collected_bytes = 0;
        if std::mem::take(&mut self.split) {
            let _ = self.events.send(Ok(Event::Restart(self.delivered)));
        }
    }

    /// The watch has ended.
    pub(crate) fn end(mut self, error: ClientError) {
        match self.opened.take() {
            Some(opened) => drop(opened.send(Err(error))),
            None => drop(self.events.send(Err(error))),
        }
    }

    /// The daemon ended the watch without an error.
    pub(crate) fn finish(self) {
        self.end(ClientError::new(
            ErrorCode::NoData,
            "the daemon ended the watch",
        ));
    }

    /// Takes an item in. Returns the credit to give back at once.
    pub(crate) fn item(&mut self, item: WatchItem) -> u64 {
        match item {
            WatchItem::Absent {} => 0,
            WatchItem::Started(started) => {
                self.started(started.position);
                0
            }
            WatchItem::Mark(mark) => {
                self.mark(mark.position);
                0
            }
            WatchItem::Gap(gap) => {
                self.delivered = Some(gap.to);
                self.needs_initial = false;
                self.hand_out(Event::Gap(gap))
            }
            WatchItem::Initial(initial) => self.part(initial.last, Event::Initial(initial)),
            WatchItem::Changes(changes) if self.is_old(changes.position) => 1,
            WatchItem::Changes(changes) => self.part(changes.last, Event::Changes(changes)),
        }
    }

    fn started(&mut self, position: Position) {
        let Some(opened) = self.opened.take() else {
            return;
        };
        let incarnation = position.incarnation;
        let position = match self.watch.start {
            Start::Version { version, .. } => Position {
                incarnation,
                version: version.saturating_sub(1),
            },
            Start::Now | Start::Initial => position,
        };
        if !self.needs_initial {
            self.delivered = Some(position);
        }
        let _ = opened.send(Ok(position));
    }

    fn mark(&mut self, position: Position) {
        let idle = self.collected.is_none() && !self.split && !self.needs_initial;
        if idle && self.delivered.is_none_or(|at| is_after(position, at)) {
            self.delivered = Some(position);
        }
    }

    fn is_old(&self, position: Position) -> bool {
        self.delivered.is_some_and(|at| {
            at.incarnation == position.incarnation && position.version <= at.version
        })
    }

    fn part(&mut self, last: bool, part: Event) -> u64 {
        self.collected_bytes = self.collected_bytes.saturating_add(size(&part));
        let event = match self.collected.take() {
            Some(before) => join(before, part),
            None => part,
        };
        if last {
            self.delivered = event.position();
            self.needs_initial = false;
            self.split = false;
            return self.hand_out(event);
        }
        if self.split || self.collected_bytes > self.assemble_bytes {
            self.split = true;
            return self.hand_out(event);
        }
        self.collected = Some(event);
        1
    }

    fn hand_out(&mut self, event: Event) -> u64 {
        self.collected_bytes = 0;
        self.unreturned = self.unreturned.saturating_add(1);
        let _ = self.events.send(Ok(event));
        0
    }
}

fn is_after(a: Position, b: Position) -> bool {
    a.incarnation == b.incarnation && a.version > b.version
}

fn join(before: Event, part: Event) -> Event {
    match (before, part) {
        (Event::Initial(before), Event::Initial(part)) => {
            let mut entries = before.entries;
            entries.extend(part.entries);
            Event::Initial(Initial { entries, ..part })
        }
        (Event::Changes(before), Event::Changes(part)) => {
            let (mut changes, mut transactions) = (before.changes, before.transactions);
            changes.extend(part.changes);
            transactions.extend(part.transactions);
            Event::Changes(Changes {
                changes,
                transactions,
                ..part
            })
        }
        (_, part) => part,
    }
}

fn size(event: &Event) -> usize {
    let changes: &[Change] = match event {
        Event::Initial(initial) => &initial.entries,
        Event::Changes(changes) => &changes.changes,
        Event::Gap(_) | Event::Restart(_) => &[],
    };
    let one = |change: &Change| {
        let value = match &change.value {
            ChangeValue::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        size_of::<Change>() + change.key.len() + value
    };
    changes.iter().map(one).sum()
}
