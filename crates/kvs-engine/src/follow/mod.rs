//! Following roots: every move of a namespace's root, and namespaces that come, go and change
//! hands.
//!
//! A cursor into the journal, record by record, shared by nobody and buffered nowhere: at most one
//! page of the journal is held. Only groups that are published are read, so no event is ahead of a
//! read. A follower can say at any time which place it has reached, and another one go on from
//! there, after a restart too: the journal is the same for all, so nothing but the place has to be
//! known. What it meets from there on is learnt as it comes.

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

/// A cursor into the journal that tells of root moves and of namespaces. Dropping it ends it.
pub struct Follower {
    sight: Sight,
    guard: NotifierGuard,
    /// Everything before this place was looked at.
    next: Place,
    /// Events of the page that was read, each with the place behind it; bounded by
    /// `FOLLOW_READ_BYTES`.
    events: VecDeque<(RootEvent, Place)>,
    /// Everything before this place was told.
    place: Place,
    /// The state is to be told next, and whether that is because events were lost.
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

    /// Goes on at a place that this follower or another one has told, or with the state if this is
    /// another journal now.
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

    /// Of the one namespace that is followed: everything after this position is told. None if all
    /// are followed, or if it goes on at a place.
    pub fn position(&self) -> Option<Position> {
        self.sight.position()
    }

    /// The place behind the event that was told last, from which another follower can go on.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The same, also when nothing was told yet; none as long as what it was to begin with is still
    /// to come, a state or a version.
    pub fn mark(&self) -> Option<Place> {
        (self.state.is_none() && self.sight.has_begun()).then_some(self.place)
    }

    /// Whether the stream goes on, for one that may not be told anything now.
    ///
    /// # Errors
    /// `Permission` once the right to read the one namespace that is followed is gone.
    pub fn check(&self) -> Result<(), EngineError> {
        self.sight.check()
    }

    /// The next event if there is one now; else `None`, and the follower's sink is woken when there
    /// may be one.
    ///
    /// # Errors
    /// `NoNamespace` after the one namespace that is followed was removed, `Permission` once the
    /// right to read it is gone, `Corrupt` for damaged data. Each ends the follower.
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
            // Whatever is published by now is in the state; what of it is read again is left out.
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
            let stamp = group.stamp(number);
            for (record, index) in group.records.iter().zip(0..) {
                let told = (number, index) < (self.next.group, self.next.records);
                if told || self.sight.ended {
                    continue;
                }
                let event = self.sight.tell(stamp, record).await?;
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
