//! The state of one stream of root moves on the client's side.
//!
//! Pure, like that of a watch. It goes on behind the last cursor, or by version; what comes a second time by that is left out.

use crate::error::ClientError;
use crate::inbox::Sender;
use crate::limits::FOLLOW_ASSEMBLE_BYTES;
use crate::prefetch::{Cost, Prefetch};
use crate::root_event::RootEvent;
use kvs_proto::{
    ErrorCode, LogChange, Moved, Position, RootGap, RootItem, RootStarted, SetRoot, SetRootStart,
};
use smol_str::SmolStr;
use std::collections::HashMap;
use tokio::sync::oneshot;

/// Told when the stream stands.
pub(crate) type Following = oneshot::Sender<Result<RootStarted, ClientError>>;

/// The last that was handed out of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    At(Position),
    Removed,
}

/// One stream of root moves. Owned by the link until it ends or is cancelled.
#[derive(Debug)]
pub(crate) struct FollowState {
    asked: SetRoot,
    events: Sender<RootEvent>,
    opened: Option<Following>,
    prefetch: Prefetch,
    cursor: Option<u64>,
    /// Of the one namespace.
    position: Option<Position>,
    seen: HashMap<SmolStr, Seen>,
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
            cursor: None,
            position: None,
            seen: HashMap::new(),
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
        let standing = self.opened.is_none();
        let start = match (self.cursor, self.position) {
            (Some(cursor), _) => SetRootStart::Cursor(cursor),
            (None, Some(position)) if self.asked.namespace.is_some() => SetRootStart::Version {
                version: position.version.saturating_add(1),
                incarnation: Some(position.incarnation),
            },
            _ if standing => {
                self.events.notice(RootEvent::Gap(RootGap {
                    namespace: self.asked.namespace.clone(),
                    from: None,
                    to: None,
                    cursor: None,
                }));
                SetRootStart::Now
            }
            _ => self.asked.start,
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
        match item {
            RootItem::Started(started) => {
                if let Some(opened) = self.opened.take() {
                    self.reached(started.position, started.cursor);
                    let _ = opened.send(Ok(started));
                }
                return Ok(());
            }
            RootItem::Mark(mark) => {
                self.reached(Some(mark.position), None);
                return Ok(());
            }
            RootItem::Moved(part) => {
                self.prefetch.received(cost);
                return self.moved(part, cost);
            }
            RootItem::Created(created) => {
                self.prefetch.received(cost);
                self.reached(Some(created.position), created.cursor);
                let seen = Seen::At(created.position);
                if !self.is_old(&created.namespace, created.position) {
                    self.seen.insert(created.namespace.clone(), seen);
                    self.hand_out(RootEvent::Created(created), cost);
                }
            }
            RootItem::Owner(owner) => {
                self.prefetch.received(cost);
                self.reached(None, owner.cursor);
                self.hand_out(RootEvent::Owner(owner), cost);
            }
            RootItem::Removed(removed) => {
                self.prefetch.received(cost);
                self.reached(None, removed.cursor);
                let before = self.seen.insert(removed.namespace.clone(), Seen::Removed);
                if before != Some(Seen::Removed) {
                    self.hand_out(RootEvent::Removed(removed), cost);
                }
            }
            RootItem::Gap(gap) => {
                self.prefetch.received(cost);
                self.reached(gap.to, gap.cursor);
                self.hand_out(RootEvent::Gap(gap), cost);
            }
        }
        Ok(())
    }

    fn reached(&mut self, position: Option<Position>, cursor: Option<u64>) {
        self.position = position.or(self.position);
        self.cursor = cursor.or(self.cursor);
    }

    fn is_old(&self, namespace: &SmolStr, position: Position) -> bool {
        match self.seen.get(namespace) {
            Some(Seen::At(seen)) => {
                seen.incarnation == position.incarnation && seen.version >= position.version
            }
            Some(Seen::Removed) | None => false,
        }
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
        self.reached(Some(moved.position), moved.cursor);
        if !self.is_old(&moved.namespace, moved.position) {
            let seen = Seen::At(moved.position);
            self.seen.insert(moved.namespace.clone(), seen);
            self.hand_out(RootEvent::Moved(moved), cost);
        }
        Ok(())
    }

    fn hand_out(&mut self, event: RootEvent, cost: Cost) {
        self.prefetch.handed_out(cost);
        self.events.event(event, cost);
    }
}
