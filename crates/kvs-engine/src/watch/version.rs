//! Builds the event of one record.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvs_tree::{Effect, Key, NodeSource, Scope};

use super::direct::{Directing, Source, direct_needs_roots};
use super::retarget::compare;
use super::route::{Route, ScopeMapping, may_move};
use super::state::{EventBuilder, EventHeader, Routes, WatchState};
use super::step::ChangeSource;
use crate::changes::{KeyChange, tells_below};
use crate::error::EngineError;
use crate::event_cache::EventKey;
use crate::history::RootAt;
use crate::roots::root_of;
use crate::slices::Pace;
use crate::state::VersionRecord;
use crate::version_changes::{any_effect, transactions_of};

/// The scopes whose route changed.
fn retargeted<'a>(scopes: &'a [Scope], old: &[Route], new: &[Route]) -> Vec<&'a Scope> {
    let of = |routes: &[Route], scope: &Scope| routes.iter().find(|r| r.scope == *scope).cloned();
    scopes
        .iter()
        .filter(|scope| of(old, scope) != of(new, scope))
        .collect()
}

impl WatchState {
    /// The event of one version of this namespace, without changes yet.
    pub(super) fn event_of(&self, record: &VersionRecord, skipped: u64) -> EventBuilder {
        let head = EventHeader::Changes {
            transactions: transactions_of(record),
            skipped,
            behind: None,
        };
        let position = self.namespace.at(record.version);
        EventBuilder::new(head, position, record.root, record.time_ms)
    }

    /// The cache key of the event of `version`.
    pub(super) fn event_key(&self, version: u64) -> EventKey {
        EventKey {
            version,
            shape: self.shape,
            scopes: self.scopes.clone(),
        }
    }

    /// The routes after `record`, if it changed them.
    pub(super) async fn routes_after(
        &self,
        record: &VersionRecord,
        pace: &mut Pace,
    ) -> Result<Option<Routes>, EngineError> {
        let (scopes, routes) = (self.scopes.as_slice(), self.routes());
        let moves = |effect: &Effect| may_move(scopes, routes, effect);
        if !any_effect(record, scopes, pace, moves).await {
            return Ok(None);
        }
        let root = root_of(&self.store, &self.namespace, record.version).await?;
        self.new_ways(&root).await
    }

    /// Queues the event of `record`, which must be the next that may concern the watch.
    ///
    /// # Errors
    /// `Compacted` if a required root is no longer retained; `Permission` if a link now leads where
    /// the caller may not read.
    pub(super) async fn tell(&mut self, record: &Arc<VersionRecord>) -> Result<(), EngineError> {
        let version = record.version;
        let mut pace = self.store.slices.pace(self.caller);
        let moved = self.routes_after(record, &mut pace).await?;
        let silent = version < self.busy().from;
        if silent {
            if let Some(moved) = moved {
                drop(self.set_routes(moved, version));
            }
            self.read = version;
            return Ok(());
        }
        let mut work = self.event_of(record, 0);
        let routes = moved.as_ref().map_or(self.routes(), |moved| &moved.routes);
        let scopes = self.scopes.as_slice();
        let turned = retargeted(scopes, self.routes(), routes);
        let stay = |route: &&Route| !turned.contains(&&route.scope);
        let staying: Vec<Route> = self.routes().iter().filter(stay).cloned().collect();
        let leaving = self.routes().iter().chain(routes);
        let leaving: Vec<Route> = leaving.filter(|r| !stay(r)).cloned().collect();
        let aim = ScopeMapping::new(scopes, &staying, &leaving);
        let (aimed, shape) = (aim.scopes(), self.shape);
        let tells = |effect: &Effect| !aimed.is_empty() && tells_below(effect, aimed);
        let below = any_effect(record, aimed, &mut pace, tells).await;
        let needs = |effect: &Effect| direct_needs_roots(effect, &aim, shape);
        let mut roots = None;
        if below || !turned.is_empty() || any_effect(record, aimed, &mut pace, needs).await {
            let before = root_of(&self.store, &self.namespace, version - 1).await?;
            let after = root_of(&self.store, &self.namespace, version).await?;
            roots = Some((before, after));
        }
        let (told, steps) = self.direct(record, &aim, roots.clone(), &mut pace).await?;
        work.direct = told;
        // Pieces come first, so that their keys are not reported again as whole values.
        work.steps.extend(steps);
        if let Some((before, after)) = &roots {
            if below {
                work.steps.push_back(compare(before, after, aim));
            }
            if let Some(moved) = &moved {
                for scope in turned.iter().copied() {
                    let step = self
                        .turned(
                            scope,
                            Some((before, self.routes_ref())),
                            after,
                            moved.routes_ref(),
                        )
                        .await?;
                    work.steps.push_back(step);
                }
            }
        }
        if turned.is_empty()
            && self
                .busy
                .as_ref()
                .is_none_or(|busy| busy.foreign.is_empty())
        {
            work.share = Some(self.event_key(version));
        }
        if let Some(moved) = moved {
            drop(self.set_routes(moved, version));
        }
        self.busy().work = Some(work);
        Ok(())
    }

    /// The changes taken from the record, by the keys they are reported under, and sources for
    /// those that are too large.
    async fn direct(
        &self,
        record: &Arc<VersionRecord>,
        aim: &ScopeMapping,
        roots: Option<(RootAt, RootAt)>,
        pace: &mut Pace,
    ) -> Result<(BTreeMap<Key, KeyChange>, Vec<ChangeSource>), EngineError> {
        let of = Source {
            record: record.clone(),
            aim: aim.clone(),
            roots,
            shape: self.shape,
        };
        let mut state = (Directing::new(), of);
        loop {
            let visits = pace.left();
            let step =
                move |(directing, of): &mut (Directing, Source),
                      source: &dyn NodeSource,
                      params: &_| { directing.step(of, source, params, visits) };
            let made;
            (state, made) = self.store.advance(state, step).await?;
            if state.0.is_complete() {
                pace.note(made);
                return Ok((state.0.told, state.0.steps));
            }
            pace.spend(made).await;
        }
    }
}
