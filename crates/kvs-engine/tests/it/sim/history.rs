//! What one reader saw, step by step, and the resulting deliveries: versions, states and gaps,
//! assembled from their parts, with the reader's position before each. Versions are indexes
//! (`lives`).

use std::rc::Rc;

use kvs_engine::{ErrorKind, KeyChange, Mode, WatchEvent};
use kvs_tree::Blobref;

use super::lives::World;
use super::sight::{Range, Sight, Truths};

/// `Ok`, or the first thing that is wrong.
pub(super) type Verdict = Result<(), String>;

/// What a reader asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) namespace: String,
    /// Requested by a guest, who reads what is shared with it.
    pub(super) guest: bool,
    pub(super) ranges: Vec<Range>,
    pub(super) mode: Mode,
    pub(super) values: bool,
    pub(super) previous: bool,
}

/// Where a watch was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    Initial,
    /// After this version; after the newest one if it started now.
    After(u64),
}

/// One step of a reader. `newest` is the newest published version before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Opened {
        at: Opened,
        /// It continues from what it had.
        resumed: bool,
        world: Rc<World>,
    },
    Event {
        event: WatchEvent,
        newest: u64,
        /// For a gap: whether its first version is past retention.
        compacted: bool,
        /// The version that a power cut at this moment would have left, where that was tried.
        durable: Option<u64>,
        world: Rc<World>,
        /// The world did not change while the event was made.
        still: bool,
    },
    /// There is nothing to read, and nothing woke the reader. `until` is the newest version after
    /// it.
    Idle {
        newest: u64,
        until: u64,
        world: Rc<World>,
        still: bool,
    },
    /// The watch ended with an error, or could not be opened.
    Ended { kind: ErrorKind, world: Rc<World> },
    Mark {
        version: u64,
        newest: u64,
        durable: Option<u64>,
        world: Rc<World>,
    },
    /// The watch is gone, together with all incomplete deliveries.
    Lost,
}

/// When a reader received a version: the disk operations done by then, and the reader's step.
#[derive(Clone)]
pub(super) struct Moment {
    pub(super) namespace: String,
    pub(super) operations: usize,
    pub(super) version: u64,
    pub(super) step: usize,
}

/// Everything that one reader saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct History {
    pub(super) wish: Wish,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The changes of a version.
    Version,
    /// A state, or the differences against the state at a version.
    State { against: Option<u64> },
    /// In append mode: the bytes of the value at the start that the client does not have.
    Rest,
    /// Versions after this one can no longer be delivered.
    Gap { from: u64 },
    /// Content of another namespace, behind a link. The version is how far the watch has come.
    Abroad,
}

/// A delivery, in one or more parts.
#[derive(Debug)]
pub(super) struct Delivery<'a> {
    pub(super) kind: Kind,
    /// The delivered version; for a gap, its end.
    pub(super) version: u64,
    pub(super) root: Option<Blobref>,
    pub(super) numbers: Vec<u64>,
    pub(super) skipped: u64,
    pub(super) parts: Vec<&'a [KeyChange]>,
    /// Whether the last part has arrived.
    pub(super) whole: bool,
    /// The version that the reader had before; none before its first state.
    pub(super) had: Option<u64>,
    /// The last version that it received, or where it started.
    pub(super) last: u64,
    /// The gap that it received before and that has no state yet.
    pub(super) gap: Option<(u64, u64)>,
    /// Whether it is the first since a reader that had something opened the watch.
    pub(super) resumed: bool,
    pub(super) compacted: bool,
    /// The namespace that it is about, if not the watch's own, and the index there.
    pub(super) behind: Option<(String, Option<u64>)>,
    /// The steps of its parts.
    pub(super) steps: Vec<usize>,
}

impl Delivery<'_> {
    pub(super) fn changes(&self) -> impl Iterator<Item = &KeyChange> {
        self.parts.iter().copied().flatten()
    }
}

/// A history as its reader understands it.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    Delivery(Delivery<'a>),
    Idle {
        newest: u64,
        until: u64,
        had: Option<u64>,
        gap: Option<(u64, u64)>,
        step: usize,
    },
    Mark {
        version: u64,
        newest: u64,
        had: Option<u64>,
        /// The version of which a part was delivered.
        under_way: Option<u64>,
    },
}

fn behind_of(event: &WatchEvent) -> Option<(String, Option<u64>)> {
    let WatchEvent::Changes {
        behind: Some(behind),
        ..
    } = event
    else {
        return None;
    };
    let index = behind.root.map(|_| behind.position.version);
    Some((behind.namespace.to_string(), index))
}

/// The reader's own state while a history is read.
#[derive(Default)]
struct Reader<'a> {
    had: Option<u64>,
    opened: Option<u64>,
    resumed: bool,
    /// It received something, or found that there was nothing.
    begun: bool,
    last: u64,
    gap: Option<(u64, u64)>,
    open: Option<Delivery<'a>>,
}

impl<'a> Reader<'a> {
    fn event(&mut self, event: &'a WatchEvent, compacted: bool, step: usize) -> Vec<Seen<'a>> {
        let (kind, position, root, numbers, skipped, part, last) = match event {
            WatchEvent::Gap { from, to } => {
                let kind = Kind::Gap { from: from.version };
                let mut seen: Vec<_> = self.open.take().map(Seen::Delivery).into_iter().collect();
                let none: &[KeyChange] = &[];
                let new = self.delivery((kind, to.version), (None, Vec::new(), 0), none, step);
                self.gap = Some((from.version, to.version));
                let whole = true;
                seen.push(Seen::Delivery(Delivery {
                    whole,
                    compacted,
                    ..new
                }));
                return seen;
            }
            WatchEvent::Initial {
                position,
                root,
                entries,
                differences,
                last,
                ..
            } => {
                let from = self.gap.map(|(from, _)| from);
                let against = from.filter(|_| *differences);
                let kind = Kind::State { against };
                (kind, position, root, Vec::new(), 0, entries, *last)
            }
            WatchEvent::Changes {
                position,
                root,
                transactions,
                changes,
                skipped,
                last,
                behind,
                ..
            } => {
                let mut numbers: Vec<u64> = transactions.iter().map(|t| t.number).collect();
                numbers.sort_unstable();
                let open = self.open.as_ref().map(|open| open.kind);
                let rest = match open {
                    Some(kind) => kind == Kind::Rest,
                    None => self.opened == Some(position.version) && numbers.is_empty(),
                };
                let kind = match (behind, rest) {
                    (Some(_), _) => Kind::Abroad,
                    (None, true) => Kind::Rest,
                    (None, false) => Kind::Version,
                };
                (kind, position, root, numbers, *skipped, changes, *last)
            }
        };
        let mut seen = Vec::new();
        match &mut self.open {
            Some(open) if (open.kind, open.version) == (kind, position.version) => {
                open.parts.push(part);
                open.steps.push(step);
            }
            open => {
                seen.extend(open.take().map(Seen::Delivery));
                let about = (Some(*root), numbers, skipped);
                let new = self.delivery((kind, position.version), about, part, step);
                let behind = behind_of(event);
                self.open = Some(Delivery { behind, ..new });
            }
        }
        if last && let Some(mut done) = self.open.take() {
            done.whole = true;
            if done.kind == Kind::Abroad {
                self.had = self.had.max(Some(done.version));
            } else {
                self.had = Some(done.version);
                self.last = done.version;
            }
            self.begun = true;
            self.gap = None;
            seen.push(Seen::Delivery(done));
        }
        seen
    }

    fn delivery(
        &mut self,
        (kind, version): (Kind, u64),
        (root, numbers, skipped): (Option<Blobref>, Vec<u64>, u64),
        part: &'a [KeyChange],
        step: usize,
    ) -> Delivery<'a> {
        Delivery {
            kind,
            version,
            root,
            numbers,
            skipped,
            parts: vec![part],
            whole: false,
            had: self.had,
            last: self.last,
            gap: self.gap,
            resumed: std::mem::take(&mut self.resumed),
            compacted: false,
            behind: None,
            steps: vec![step],
        }
    }
}

impl History {
    /// The truth about what it asked for.
    pub(super) fn sight<'a>(&self, truths: &'a Truths) -> Sight<'a> {
        Sight::new(truths, &self.wish.namespace, &self.wish.ranges)
    }

    /// Assembles the reader's steps. Includes deliveries that were never completed.
    pub(super) fn seen(&self) -> Vec<Seen<'_>> {
        let (mut reader, mut seen) = (Reader::default(), Vec::new());
        for (step, one) in self.steps.iter().enumerate() {
            match one {
                Step::Opened { at, resumed, .. } => {
                    reader.opened = match at {
                        Opened::Initial => None,
                        Opened::After(version) => Some(*version),
                    };
                    reader.had = reader.had.or(reader.opened);
                    reader.last = reader.opened.unwrap_or(0);
                    reader.resumed = *resumed && reader.begun;
                }
                Step::Event {
                    event, compacted, ..
                } => {
                    let new = reader.event(event, *compacted, step);
                    seen.extend(new);
                    reader.opened = None;
                }
                Step::Idle { newest, until, .. } => {
                    seen.extend(reader.open.take().map(Seen::Delivery));
                    let (newest, until, had, gap) = (*newest, *until, reader.had, reader.gap);
                    seen.push(Seen::Idle {
                        newest,
                        until,
                        had,
                        gap,
                        step,
                    });
                    reader.begun = true;
                }
                Step::Mark {
                    version, newest, ..
                } => {
                    let open = reader.open.as_ref();
                    let version_of =
                        |open: &Delivery<'_>| (open.kind == Kind::Version).then_some(open.version);
                    let under_way = open.and_then(version_of);
                    let complete = open.is_none() && reader.gap.is_none();
                    seen.push(Seen::Mark {
                        version: *version,
                        newest: *newest,
                        had: reader.had.filter(|_| complete),
                        under_way,
                    });
                    if complete && reader.had.is_some() {
                        reader.had = reader.had.max(Some(*version));
                    }
                }
                Step::Lost | Step::Ended { .. } => {
                    seen.extend(reader.open.take().map(Seen::Delivery));
                    reader.gap = None;
                }
            }
        }
        seen.extend(reader.open.take().map(Seen::Delivery));
        seen
    }
}
