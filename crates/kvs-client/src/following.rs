//! The state of one stream of root moves on the client's side.
//!
//! Pure, like that of a watch. That of one namespace goes on by version. For all of them there is no one place to go on from:
//! then the state is asked for, and handed out as standing for what was missed.

use crate::error::ClientError;
use crate::inbox::Sender;
use crate::limits::FOLLOW_ASSEMBLE_BYTES;
use crate::prefetch::{Cost, Prefetch};
use crate::root_event::RootEvent;
use kvs_proto::{ErrorCode, LogChange, Moved, Position, RootItem, RootStarted, SetRoot, Start};
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
    /// Of the one namespace: everything up to here was handed out.
    position: Option<Position>,
    /// The stream was opened anew, and the state that comes first stands for what was missed.
    resumed: bool,
    collected: Option<Moved>,
    collected_bytes: usize,
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
            position: None,
            resumed: false,
            collected: None,
            collected_bytes: 0,
        }
    }

    pub(crate) fn prefetch(&mut self) -> &mut Prefetch {
        &mut self.prefetch
    }

    /// The request that opens the stream, or goes on where it was.
    pub(crate) fn request(&mut self) -> SetRoot {
        let credit = self.prefetch.open();
        let start = match (self.opened.is_some(), self.position) {
            (true, _) => self.asked.start.clone(),
            (false, Some(position)) => Start::Version {
                version: position.version.saturating_add(1),
                incarnation: Some(position.incarnation),
            },
            (false, None) => {
                self.resumed = true;
                Start::Initial
            }
        };
        SetRoot {
            namespace: self.asked.namespace.clone(),
            start,
            credit: credit.events,
            credit_bytes: Some(credit.bytes),
        }
    }

    /// The connection is lost: what is incomplete will come again.
    pub(crate) fn disconnected(&mut self) {
        self.collected = None;
        self.collected_bytes = 0;
    }

    /// The stream has ended.
    pub(crate) fn end(mut self, error: ClientError) {
        match self.opened.take() {
            Some(opened) => drop(opened.send(Err(error))),
            None => self.events.end(error),
        }
    }

    /// Takes in an item whose body has so many bytes. An error ends the stream.
    pub(crate) fn item(&mut self, item: RootItem, bytes: usize) -> Result<(), ClientError> {
        let cost = Cost::item(bytes);
        if !matches!(item, RootItem::Started(_)) {
            self.prefetch.received(cost);
        }
        let event = match item {
            RootItem::Started(started) => {
                if let Some(opened) = self.opened.take() {
                    self.reached(started.position);
                    let _ = opened.send(Ok(started));
                }
                return Ok(());
            }
            RootItem::Moved(part) => return self.moved(part, cost),
            RootItem::State(mut state) => {
                state.lost |= std::mem::take(&mut self.resumed);
                self.reached(state.namespaces.first().map(|namespace| namespace.position));
                RootEvent::State(state)
            }
            RootItem::Created(created) => RootEvent::Created(created),
            RootItem::Reincarnated(reincarnated) => RootEvent::Reincarnated(reincarnated),
            RootItem::OwnerChanged(changed) => RootEvent::OwnerChanged(changed),
            RootItem::Removed(removed) => RootEvent::Removed(removed),
        };
        self.hand_out(event, cost);
        Ok(())
    }

    fn reached(&mut self, position: Option<Position>) {
        if self.asked.namespace.is_some() {
            self.position = position.or(self.position);
        }
    }

    fn is_old(&self, position: Position) -> bool {
        self.position.is_some_and(|seen| {
            seen.incarnation == position.incarnation && seen.version >= position.version
        })
    }

    fn moved(&mut self, part: Moved, cost: Cost) -> Result<(), ClientError> {
        let keys = |change: &LogChange| size_of::<LogChange>() + change.key.len();
        let size: usize = part.changes.iter().map(keys).sum();
        self.collected_bytes = self.collected_bytes.saturating_add(size);
        if self.collected_bytes > FOLLOW_ASSEMBLE_BYTES {
            let message = format!("version {} touched too many keys", part.position.version);
            return Err(ClientError::new(ErrorCode::TooBig, message));
        }
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
        if !moved.last {
            self.collected = Some(moved);
            return Ok(());
        }
        self.collected_bytes = 0;
        if !self.is_old(moved.position) {
            self.reached(Some(moved.position));
            self.hand_out(RootEvent::Moved(moved), cost);
        }
        Ok(())
    }

    fn hand_out(&mut self, event: RootEvent, cost: Cost) {
        self.prefetch.handed_out(cost);
        self.events.event(event, cost);
    }
}
