//! Delivers an event part by part. A part is built on demand, and only one is in memory. Building
//! yields after each slice; after `WATCH_SLICES` slices it pauses and wakes the watch's sink to
//! continue.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvs_tree::{Fault, Key};

use super::Stop;
use super::collect::Context;
use super::state::{EventBuilder, EventHeader, WatchState};
use super::step::{ChangeSource, Page};
use crate::changes::KeyChange;
use crate::event::{SharedEvent, WatchEvent};
use crate::event_cache::ModeKind;
use crate::limits::{EVENT_BYTES, EVENT_CHANGES, WATCH_SLICES};
use crate::slices::{SliceKind, visits_of_bytes};

/// Changes encoded per visit.
const CHANGES_A_VISIT: usize = 8;

/// Moves finished changes into the part while they fit.
fn take(direct: &mut BTreeMap<Key, KeyChange>, part: &mut Vec<KeyChange>, bytes: &mut usize) {
    while part.len() < EVENT_CHANGES && *bytes < EVENT_BYTES {
        let Some((_, one)) = direct.pop_first() else {
            return;
        };
        *bytes += one.key.as_str().len() + one.size();
        part.push(one);
    }
}

/// Drops changes that earlier sources reported: a key seen by several scopes, one of them through
/// links, is reported once, as the first of them sees it.
fn unreported(page: Page, done: &[ChangeSource], context: &Context<'_>) -> Result<Page, Fault> {
    let mut new = Vec::with_capacity(page.found.len());
    for one in page.found {
        let mut told = false;
        for step in done {
            told = told || step.tells(&one.key, context)?;
        }
        if !told {
            new.push(one);
        }
    }
    Ok(Page { found: new, ..page })
}

impl WatchState {
    /// The next part of the current event; `None` if there is no event or it turned out empty. The
    /// watch has read the version once the last part is built.
    ///
    /// # Errors
    /// `Idle` after many slices, so that other streams have their turn; the sink was woken to
    /// continue.
    pub(super) async fn part(&mut self) -> Result<Option<Arc<SharedEvent>>, Stop> {
        let work = self.busy.as_ref().and_then(|busy| busy.work.as_ref());
        if work.is_none_or(|work| work.steps.is_empty()) {
            return self.make_part().await;
        }
        let slices = self.store.slices.clone();
        slices.timed(SliceKind::Watch, self.make_part()).await
    }

    async fn make_part(&mut self) -> Result<Option<Arc<SharedEvent>>, Stop> {
        let shape = self.shape;
        let mut pace = self.store.slices.pace(self.caller);
        loop {
            if pace.ended() >= WATCH_SLICES {
                self.go_on_later();
                return Err(Stop::Idle);
            }
            let store = self.store.clone();
            let Some(work) = self.busy.as_mut().and_then(|busy| busy.work.as_mut()) else {
                return Ok(None);
            };
            let Some(step) = work.steps.front().cloned() else {
                take(&mut work.direct, &mut work.part, &mut work.bytes);
                break;
            };
            // A page is a part, unless it ends a source and leaves room for another.
            if work.part.len() > EVENT_CHANGES / 2 || work.bytes > EVENT_BYTES / 2 {
                break;
            }
            let done = work.done.clone();
            // Every key found is also looked up in the exhausted sources.
            let weight = 1 + step.weight() + 4 * done.len();
            let visits = pace.left().div_ceil(weight);
            let page = store
                .step(move |source, params| {
                    let context = Context {
                        source,
                        params,
                        shape,
                    };
                    unreported(step.page(&context, visits)?, &done, &context)
                })
                .await?;
            let Some(work) = self.busy.as_mut().and_then(|busy| busy.work.as_mut()) else {
                return Ok(None);
            };
            let over = pace.note(page.visits.saturating_mul(weight));
            match page.rest {
                Some(rest) => {
                    if let Some(front) = work.steps.front_mut() {
                        *front = rest;
                    }
                }
                None => {
                    let (done, step) = (work.done.iter().cloned(), work.steps.pop_front());
                    work.done = done.chain(step).collect();
                }
            }
            for one in page.found {
                let one = work.direct.remove(&one.key).unwrap_or(one);
                work.bytes += one.key.as_str().len() + one.size();
                work.part.push(one);
            }
            if over {
                pace.give_way().await;
                self.check()?;
            }
        }
        let work = self.busy.as_ref().and_then(|busy| busy.work.as_ref());
        let visits = work.map_or(0, EventBuilder::encoding_visits);
        if visits > pace.left() {
            pace.give_way().await;
            self.check()?;
        }
        pace.note(visits);
        Ok(self.finish())
    }

    /// Wakes the watch's sink to continue, although nothing was committed.
    pub(super) fn go_on_later(&self) {
        if let Some(wake) = self.namespace.wake_of(self.id) {
            wake.call();
        }
    }

    fn finish(&mut self) -> Option<Arc<SharedEvent>> {
        let busy = self.busy.as_mut()?;
        let work = busy.work.as_mut()?;
        let mut part = std::mem::take(&mut work.part);
        work.bytes = 0;
        let last = work.steps.is_empty() && work.direct.is_empty();
        let whole = last && !work.begun;
        part.sort_by(|a, b| (&a.key, a.offset).cmp(&(&b.key, b.offset)));
        let silent = part.is_empty() && whole && matches!(work.head, EventHeader::Changes { .. });
        if let (
            true,
            EventHeader::Changes {
                skipped, behind, ..
            },
        ) = (silent, &work.head)
            && self.shape.kind == ModeKind::Latest
            && behind.is_none()
        {
            busy.suppressed = skipped + 1;
        }
        let (position, root, time_ms) = (work.position, work.root, work.time_ms);
        let event = match &mut work.head {
            EventHeader::Initial { differences } => WatchEvent::Initial {
                position,
                root,
                time_ms,
                entries: part,
                differences: *differences,
                last,
            },
            EventHeader::Changes {
                transactions,
                skipped,
                behind,
            } => WatchEvent::Changes {
                position,
                root,
                time_ms,
                transactions: std::mem::take(transactions),
                changes: part,
                skipped: std::mem::take(skipped),
                behind: behind.clone(),
                last,
            },
        };
        work.begun = true;
        let share = work.share.take().filter(|_| whole);
        if last {
            self.read = self.read.max(work.reached);
            busy.have = work.whole.take().or(busy.have.take());
            busy.work = None;
        }
        if silent {
            return None;
        }
        let event = Arc::new(SharedEvent::new(event));
        if let Some(key) = share {
            self.namespace.shared().insert(key, &event);
        }
        Some(event)
    }
}

impl EventBuilder {
    /// Visits to assemble and encode the part; 0 for a small one.
    fn encoding_visits(&self) -> usize {
        self.part.len() / CHANGES_A_VISIT + visits_of_bytes(self.bytes)
    }

    /// An event without changes.
    pub(super) fn new(
        head: EventHeader,
        position: crate::reference::Position,
        root: kvs_tree::Blobref,
        time_ms: u64,
    ) -> Self {
        Self {
            head,
            position,
            root,
            time_ms,
            direct: BTreeMap::new(),
            part: Vec::new(),
            bytes: 0,
            steps: Default::default(),
            done: Default::default(),
            reached: position.version,
            share: None,
            begun: false,
            whole: None,
        }
    }
}
