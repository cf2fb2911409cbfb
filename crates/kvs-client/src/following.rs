//! The state of one stream of root moves on the client's side.
//!
//! Pure, like that of a watch. Each item names its place in what happens in the store. After a lost
//! connection the stream goes on behind the last item that was handed out whole, so nothing is
//! missed and nothing comes twice; where the daemon cannot go on there it says so, by a state that
//! stands for what was lost.

use crate::error::ClientError;
use crate::inbox::Sender;
use crate::limits::ASSEMBLE_BYTES;
use crate::prefetch::{Cost, Prefetch};
use crate::root_event::{Moved, RootEvent, RootStarted};
use kvs_proto::{LogChange, RootItem, SetRoot};
use smol_str::SmolStr;
use tokio::sync::oneshot;

/// Told when the stream stands.
pub(crate) type Following = oneshot::Sender<Result<RootStarted, ClientError>>;

/// One stream of root moves. Owned by the link until it ends or is cancelled.
#[derive(Debug)]
pub(crate) struct FollowState {
    asked: SetRoot,
    events: Sender<RootEvent>,
    opened: Option<Following>,
    prefetch: Prefetch,
    /// Everything before this place was handed out.
    place: Option<SmolStr>,
    collected: Option<Moved>,
    collected_bytes: usize,
    /// Whether parts of a move that is not complete were handed out.
    split: bool,
}

impl FollowState {
    pub(crate) fn new(
        asked: SetRoot,
        prefetch: Cost,
        events: Sender<RootEvent>,
        opened: Following,
    ) -> Self {
        FollowState {
            asked,
            events,
            opened: Some(opened),
            prefetch: Prefetch::new(prefetch),
            place: None,
            collected: None,
            collected_bytes: 0,
            split: false,
        }
    }

    pub(crate) fn prefetch(&mut self) -> &mut Prefetch {
        &mut self.prefetch
    }

    /// The request that opens the stream, or goes on where it was.
    pub(crate) fn request(&mut self) -> SetRoot {
        let credit = self.prefetch.open();
        SetRoot {
            place: self.place.clone().or_else(|| self.asked.place.clone()),
            credit: credit.events,
            credit_bytes: Some(credit.bytes),
            ..self.asked.clone()
        }
    }

    /// The connection is lost: what is incomplete will come again.
    pub(crate) fn disconnected(&mut self) {
        self.collected = None;
        self.collected_bytes = 0;
        if std::mem::take(&mut self.split) {
            let place = self.place.clone().unwrap_or_default();
            self.events.notice(RootEvent::Restart(place));
        }
    }

    /// The stream has ended.
    pub(crate) fn end(mut self, error: ClientError) {
        match self.opened.take() {
            Some(opened) => drop(opened.send(Err(error))),
            None => self.events.end(error),
        }
    }

    /// Takes in an item whose body has so many bytes.
    pub(crate) fn item(&mut self, item: RootItem, bytes: usize) {
        let cost = Cost::item(bytes);
        if !matches!(item, RootItem::Started(_) | RootItem::Mark(_)) {
            self.prefetch.received(cost);
        }
        let event = match item {
            RootItem::Started(started) => {
                if let Some(opened) = self.opened.take() {
                    self.place.clone_from(&started.place);
                    let _ = opened.send(Ok(started.into()));
                }
                return;
            }
            RootItem::Mark(mark) => {
                self.place = Some(mark.place);
                return;
            }
            RootItem::Moved(part) => {
                self.moved(part.into(), cost);
                return;
            }
            RootItem::State(state) => RootEvent::State(state.into()),
            RootItem::Created(made) => RootEvent::Created(made.into()),
            RootItem::Reincarnated(anew) => RootEvent::Reincarnated(anew.into()),
            RootItem::OwnerChanged(news) => RootEvent::OwnerChanged(news.into()),
            RootItem::Removed(gone) => RootEvent::Removed(gone.into()),
        };
        self.hand_out(event, cost);
    }

    fn moved(&mut self, part: Moved, cost: Cost) {
        let keys = |change: &LogChange| size_of::<LogChange>() + change.key.len();
        let size: usize = part.changes.iter().map(keys).sum();
        self.collected_bytes = self.collected_bytes.saturating_add(size);
        let moved = match self.collected.take() {
            Some(before) => {
                let (mut changes, mut transactions) = (before.changes, before.transactions);
                changes.extend(part.changes);
                transactions.extend(part.transactions);
                Moved {
                    changes,
                    transactions,
                    ..part
                }
            }
            None => part,
        };
        if !moved.last && !self.split && self.collected_bytes <= ASSEMBLE_BYTES {
            self.collected = Some(moved);
            return;
        }
        self.collected_bytes = 0;
        self.split = !moved.last;
        self.hand_out(RootEvent::Moved(moved), cost);
    }

    fn hand_out(&mut self, event: RootEvent, cost: Cost) {
        if event.completes() {
            self.place = Some(event.place().clone());
        }
        self.prefetch.handed_out(cost);
        self.events.event(event, cost);
    }
}
