//! Follows roots: every move of a namespace's root, and the creation, removal and transfer of
//! namespaces.
//!
//! A follower is a cursor into the journal that reads record by record and holds at most one page
//! of it. It reads only published groups, so no event is ahead of a read. Its place in the journal
//! is all that another follower needs to continue, even after a restart; state is rebuilt from the
//! records that follow.

mod known;

mod tell;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::dispatch::Wake;
use crate::error::{EngineError, ErrorKind};
use crate::event::RootEvent;
use crate::limits::FOLLOW_READ_BYTES;
use crate::namespace::Namespace;
use crate::notifier::NotifierGuard;
use crate::place::Place;
use crate::reference::{PRIMARY, Position};
use crate::request::{FollowStart, Principal, Start};
use crate::state::Group;
use crate::store::Store;

use known::Sight;

/// A cursor into the journal that reports root moves and changes of namespaces. Dropping it ends
/// it.
pub struct Follower {
    sight: Sight,
    guard: NotifierGuard,
    /// Everything before this place was read.
    next: Place,
    /// Events of the current page, each with the place after it; bounded by `FOLLOW_READ_BYTES`.
    events: VecDeque<(RootEvent, Place)>,
    /// Everything before this place was delivered.
    place: Place,
    /// The state is to be reported next; true if that is because events were lost.
    state: Option<bool>,
}

impl Follower {
    pub(crate) fn open(
        store: &Arc<Store>,
        caller: Principal,
        only: Option<&str>,
        start: FollowStart,
        wake: Wake,
    ) -> Result<Self, EngineError> {
        let guard = store.feed.follow(store.tenant(caller), wake)?;
        let journal = store.namespace(PRIMARY)?.incarnation;
        let next = Place::before(journal, guard.newest() + 1);
        let mut follower = Self {
            sight: Sight::new(store, caller, only),
            guard,
            next,
            events: VecDeque::new(),
            place: next,
            state: None,
        };
        let one = only.map(|name| store.readable(caller, name)).transpose()?;
        follower.sight.learn();
        match (start, one) {
            (FollowStart::At(Start::Now), _) => {}
            (FollowStart::At(Start::Initial), _) => follower.state = Some(false),
            (
                FollowStart::At(Start::Version {
                    incarnation,
                    version,
                }),
                Some(namespace),
            ) => follower.begin_at(&namespace, incarnation, version),
            (FollowStart::At(Start::Version { .. }), None) => {
                let message = "following from a version is for one namespace";
                return Err(EngineError::new(ErrorKind::Invalid, message));
            }
            (FollowStart::Behind(place), _) => follower.go_on(place),
        }
        Ok(follower)
    }

    fn begin_at(&mut self, namespace: &Namespace, incarnation: Option<u64>, version: u64) {
        let before = version.saturating_sub(1);
        let start = {
            let history = namespace.history();
            history
                .group_of(version)
                .filter(|_| before >= history.oldest())
        };
        let newest = namespace.position().version;
        let terms = namespace.terms().clone();
        let begin = |sight: &mut Sight| {
            sight
                .state
                .assume(&namespace.name, terms.clone(), before, None)
        };
        if incarnation.is_some_and(|wanted| wanted != namespace.incarnation) {
            self.state = Some(true);
        } else if version > newest {
            begin(&mut self.sight);
        } else if let Some(group) = start {
            self.next = Place::before(self.next.journal, group);
            self.place = self.next;
            begin(&mut self.sight);
            self.sight.late = true;
        } else {
            self.state = Some(true);
        }
    }

    /// Continues at a place that a follower returned, or starts with the state if the journal is
    /// another one now.
    fn go_on(&mut self, place: Place) {
        let now = self.next;
        let ahead = (place.group, place.records) > (now.group, now.records);
        if place.journal != now.journal || ahead {
            self.state = Some(true);
            return;
        }
        (self.next, self.place) = (place, place);
        self.sight.forget_all();
        self.sight.late = true;
    }

    /// The position of the one namespace that is followed: everything after it will be reported.
    /// `None` if all are followed, or if the follower resumed from a place.
    pub fn position(&self) -> Option<Position> {
        self.sight.position()
    }

    /// The place after the last event delivered. Another follower can continue from it.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Like [`place`](Self::place), but valid before the first event too; `None` while the initial
    /// state or the first version is still to be delivered.
    pub fn mark(&self) -> Option<Place> {
        (self.state.is_none() && self.sight.has_begun()).then_some(self.place)
    }

    /// Checks that the stream may continue, without asking for an event.
    ///
    /// # Errors
    /// `Permission` if the caller may no longer read the one namespace that is followed.
    pub fn check(&self) -> Result<(), EngineError> {
        self.sight.check()
    }

    /// The next event. If there is none now, returns `None`, and the follower's sink is woken when
    /// there may be one.
    ///
    /// # Errors
    /// `NoNamespace` after the one namespace that is followed was removed, `Permission` if the
    /// caller may no longer read it, `Corrupt` for damaged data. Each ends the follower.
    pub async fn next(&mut self) -> Result<Option<RootEvent>, EngineError> {
        loop {
            self.check()?;
            if let Some(lost) = self.state.take() {
                return Ok(Some(self.state(lost)));
            }
            if let Some((event, place)) = self.events.pop_front() {
                self.place = place;
                return Ok(Some(event));
            }
            self.place = self.next;
            if let (Some(name), true) = (&self.sight.only, self.sight.ended) {
                return Err(EngineError::no_namespace(name));
            }
            let newest = self.guard.newest();
            if self.next.group > newest {
                return Ok(None);
            }
            match self.advance(newest).await {
                Ok(()) => {}
                Err(error) if error.kind == ErrorKind::Compacted => self.state = Some(true),
                Err(error) => return Err(error),
            }
        }
    }

    fn state(&mut self, lost: bool) -> RootEvent {
        if lost {
            // The state includes everything published by now, so later records of it are skipped.
            self.next = Place::before(self.next.journal, self.guard.newest() + 1);
            self.place = self.next;
            self.events.clear();
            self.sight.learn();
        }
        let namespaces = self.sight.infos();
        RootEvent::State { namespaces, lost }
    }

    async fn advance(&mut self, newest: u64) -> Result<(), EngineError> {
        for (number, group) in self.read(newest).await? {
            let info = group.info(number);
            for (record, index) in group.records.iter().zip(0..) {
                let told = (number, index) < (self.next.group, self.next.records);
                if told || self.sight.ended {
                    continue;
                }
                let event = self.sight.tell(info, record).await?;
                self.next.records = index + 1;
                self.events.extend(event.map(|event| (event, self.next)));
            }
            self.next = Place::before(self.next.journal, number + 1);
        }
        Ok(())
    }

    async fn read(&self, newest: u64) -> Result<Vec<(u64, Group)>, EngineError> {
        let from = self.next.group;
        let read = move |store: &Arc<Store>| store.archive.groups(from, newest, FOLLOW_READ_BYTES);
        self.sight.store.offload(read).await
    }
}
