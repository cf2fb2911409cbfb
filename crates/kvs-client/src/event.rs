//! What a watch tells.

use crate::time::wall_time;
use kvs_proto as wire;
use kvs_proto::{Change, Position, TransactionInfo};
use smol_str::SmolStr;
use std::time::SystemTime;

/// One event of a watch. Events come in the order of versions, each version once and whole.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The state when the watch began, if it was asked for, or the state after a gap: everything,
    /// or with `differences` what is otherwise than at the gap's `from`. `last` is false only if it
    /// is too large to be handed out whole.
    Initial(Initial),
    /// What one version changed. `last` is false only if it is too large to be handed out whole.
    Changes(Changes),
    /// Some versions could not be delivered, they are not retained any more or of another
    /// incarnation. The next event is the state at `to`.
    Gap(Gap),
    /// The namespace that the watch waited for was made.
    Created(Position),
    /// A bookmark: all up to here was handed out or does not concern the watch. Only if marks were
    /// asked for.
    Mark(Position),
    /// The connection was lost between two parts of a state or version too large to be handed out
    /// whole: forget the parts after this position, they come again from the first.
    Restart(Option<Position>),
}

impl Event {
    /// The position of the event; of a gap, its end.
    pub fn position(&self) -> Option<Position> {
        match self {
            Event::Initial(initial) => Some(initial.position),
            Event::Changes(changes) => Some(changes.position),
            Event::Gap(gap) => Some(gap.to),
            Event::Created(position) | Event::Mark(position) => Some(*position),
            Event::Restart(position) => *position,
        }
    }

    /// A reference to the state that the event is about, if it has one.
    /// [`Snapshot::of`](crate::Snapshot::of) reads that state.
    pub fn snapshot(&self) -> Option<&str> {
        let snapshot = match self {
            Event::Initial(initial) => &initial.snapshot,
            Event::Changes(changes) => &changes.snapshot,
            Event::Gap(gap) => &gap.snapshot,
            Event::Created(_) | Event::Mark(_) | Event::Restart(_) => return None,
        };
        Some(snapshot.as_str()).filter(|snapshot| !snapshot.is_empty())
    }

    /// The position behind which a watch may be resumed once this event is handled; `None` if that
    /// does not complete anything.
    pub(crate) fn completes(&self) -> Option<Position> {
        match self {
            Event::Initial(initial) if initial.last => Some(initial.position),
            Event::Changes(changes) if changes.last => Some(changes.position),
            Event::Created(position) | Event::Mark(position) => Some(*position),
            // The state after a gap is yet to come.
            Event::Initial(_) | Event::Changes(_) | Event::Gap(_) | Event::Restart(_) => None,
        }
    }

    pub(crate) fn is_mark(&self) -> bool {
        matches!(self, Event::Mark(_))
    }
}

/// The state of what is watched, when the watch began or after a gap. An empty state has no
/// entries.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Initial {
    /// The position of the state; the same for all parts.
    pub position: Position,
    /// The root, as a blobref.
    pub root: SmolStr,
    /// A reference to the state.
    pub snapshot: SmolStr,
    /// When that version was made.
    pub time: SystemTime,
    /// Whether the entries are only what changed since the `from` of the gap before, unlinks
    /// included, or what follows the offset of mode `append`. Otherwise they are all that there is.
    pub differences: bool,
    /// The keys of this part, as if each had just been put.
    pub entries: Vec<Change>,
    /// Whether this is the last part.
    pub last: bool,
}

impl From<wire::Initial> for Initial {
    fn from(initial: wire::Initial) -> Self {
        let wire::Initial {
            position,
            root,
            snapshot,
            time_ms,
            differences,
            entries,
            last,
        } = initial;
        Initial {
            position,
            root,
            snapshot,
            time: wall_time(time_ms),
            differences,
            entries,
            last,
        }
    }
}

/// What one version changed of what is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// The position of the version.
    pub position: Position,
    /// Its root, as a blobref.
    pub root: SmolStr,
    /// A reference to its state, for reading other keys of it.
    pub snapshot: SmolStr,
    /// When it was made. Never decreases.
    pub time: SystemTime,
    /// The transactions that it holds, in order. Only in the first part.
    pub transactions: Vec<TransactionInfo>,
    /// In mode `latest`: versions that touched the scopes and were passed over since the last
    /// event.
    pub skipped: u64,
    /// What changed inside the scopes.
    pub changes: Vec<Change>,
    /// Set if what changed is in another namespace, behind a link: `position` then says how far the
    /// watch has come, and may be that of an event before.
    pub behind: Option<Behind>,
    /// Whether this is the last part of the version.
    pub last: bool,
}

impl From<wire::Changes> for Changes {
    fn from(version: wire::Changes) -> Self {
        let wire::Changes {
            position,
            root,
            snapshot,
            time_ms,
            transactions,
            skipped,
            changes,
            behind,
            last,
        } = version;
        Changes {
            position,
            root,
            snapshot,
            time: wall_time(time_ms),
            transactions,
            skipped,
            changes,
            behind: behind.map(Into::into),
            last,
        }
    }
}

/// A state of another namespace, which a link leads into.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Behind {
    /// The other namespace.
    pub namespace: SmolStr,
    /// Its position; `None` if it is not there.
    pub position: Option<Position>,
    /// A reference to its state; empty if it is not there.
    pub snapshot: SmolStr,
}

impl From<wire::Behind> for Behind {
    fn from(behind: wire::Behind) -> Self {
        let wire::Behind {
            namespace,
            position,
            snapshot,
        } = behind;
        Behind {
            namespace,
            position,
            snapshot,
        }
    }
}

/// A hole in what a watch could deliver; the state at `to` follows as [`Initial`], then the changes
/// after it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The watch had everything up to here, or was asked to begin right after it.
    pub from: Position,
    /// The position of the state that follows, and after it of the changes.
    pub to: Position,
    /// A reference to the state at `to`. May be empty; the state itself has it.
    pub snapshot: SmolStr,
}

impl From<wire::Gap> for Gap {
    fn from(gap: wire::Gap) -> Self {
        let wire::Gap { from, to, snapshot } = gap;
        Gap { from, to, snapshot }
    }
}
