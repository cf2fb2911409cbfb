//! What to watch, and how.

use crate::limits::{ASSEMBLE_BYTES, WATCH_PREFETCH, WATCH_PREFETCH_BYTES};
use crate::prefetch::Cost;
use crate::records::ServerInfo;
use crate::time::milliseconds;
use crate::watching::Manner;
use kvs_proto::{MARK_INTERVAL_MIN_MS, Mode, Position, Scope, ScopeKind, Start, Watch};
use smol_str::SmolStr;
use std::time::Duration;

/// What to watch, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WatchOptions {
    /// Keys to watch; none is all of them.
    pub scopes: Vec<Scope>,
    /// Where to begin. Default: now.
    pub start: Start,
    /// Which events. Default: each version.
    pub mode: Mode,
    /// Whether changes bear values, or keys and kinds only. Default: values.
    pub values: bool,
    /// Whether each change bears what stood there before. Default: no.
    pub previous: bool,
    /// Whether a namespace that does not exist is waited for. Default: no, it is an error. A key
    /// need not exist in any case.
    pub wait_create: bool,
    /// How long after the last event a bookmark is wanted, as `Event::Mark`, and again after each;
    /// at least 100 ms. Default: never.
    pub mark_interval: Option<Duration>,
    /// Events fetched ahead of the consumer, at least 1. `None`: 256, but in mode `latest` 1, as
    /// only then each event is the newest state when it is asked for.
    pub prefetch: Option<u64>,
    /// Bytes fetched ahead of the consumer; one event may exceed it. Default 1 MiB.
    pub prefetch_bytes: u64,
    /// Versions of at most this many bytes are handed out whole.
    pub assemble_bytes: usize,
    /// Values longer than this many bytes come as size and blobref. `None`: the daemon's default.
    pub inline_max: Option<u64>,
}

impl Default for WatchOptions {
    fn default() -> Self {
        WatchOptions {
            scopes: Vec::new(),
            start: Start::Now,
            mode: Mode::Every,
            values: true,
            previous: false,
            wait_create: false,
            mark_interval: None,
            prefetch: None,
            prefetch_bytes: WATCH_PREFETCH_BYTES,
            assemble_bytes: ASSEMBLE_BYTES,
            inline_max: None,
        }
    }
}

impl WatchOptions {
    /// A watch of everything, from now.
    pub fn new() -> Self {
        WatchOptions::default()
    }

    /// Adds a scope as its text looks: a glob if it has one of `*?[`, else a key and all below it.
    pub fn scope(self, text: impl Into<SmolStr>) -> Self {
        self.add(ScopeKind::Auto, text.into())
    }

    /// Adds exactly one key.
    pub fn key(self, key: impl Into<SmolStr>) -> Self {
        self.add(ScopeKind::Key, key.into())
    }

    /// Adds a key and all below it.
    pub fn directory(self, key: impl Into<SmolStr>) -> Self {
        self.add(ScopeKind::Directory, key.into())
    }

    /// Adds a pattern.
    pub fn glob(self, pattern: impl Into<SmolStr>) -> Self {
        self.add(ScopeKind::Glob, pattern.into())
    }

    fn add(mut self, kind: ScopeKind, text: SmolStr) -> Self {
        self.scopes.push(Scope { kind, text });
        self
    }

    /// Begins elsewhere than now.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Begins with the state, then changes.
    pub fn initial(self) -> Self {
        self.start(Start::Initial)
    }

    /// Begins with that version of the current incarnation.
    pub fn from_version(self, version: u64) -> Self {
        self.start(Start::Version {
            version,
            incarnation: None,
        })
    }

    /// Begins right after a position, as a consumer does that remembers how far it was.
    pub fn after(self, position: Position) -> Self {
        self.start(Start::Version {
            version: position.version.saturating_add(1),
            incarnation: Some(position.incarnation),
        })
    }

    /// Sets how many events are fetched ahead.
    pub fn prefetch(mut self, events: u64) -> Self {
        self.prefetch = Some(events);
        self
    }

    /// Sets how many bytes are fetched ahead.
    pub fn prefetch_bytes(mut self, bytes: u64) -> Self {
        self.prefetch_bytes = bytes;
        self
    }

    /// Sets which events come.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The newest state only: what changed since the last event, however many versions that was.
    pub fn latest(self) -> Self {
        self.mode(Mode::Latest)
    }

    /// Of a growing value only the bytes from an offset on. For a watch of one key.
    pub fn append(self, offset: u64) -> Self {
        self.mode(Mode::Append { offset })
    }

    /// Without changes that leave a key as it was.
    pub fn unique(self) -> Self {
        self.mode(Mode::Unique)
    }

    /// Keys and kinds only.
    pub fn keys_only(mut self) -> Self {
        self.values = false;
        self
    }

    /// With what stood there before.
    pub fn with_previous(mut self) -> Self {
        self.previous = true;
        self
    }

    /// Waits for a namespace that does not exist.
    pub fn wait_create(mut self) -> Self {
        self.wait_create = true;
        self
    }

    /// Wants a bookmark when nothing came for so long.
    pub fn mark_interval(mut self, interval: Duration) -> Self {
        self.mark_interval = Some(interval);
        self
    }

    /// Values longer than this many bytes come as size and blobref.
    pub fn inline_max(mut self, bytes: u64) -> Self {
        self.inline_max = Some(bytes);
        self
    }

    /// The request, and what only the client needs to know.
    pub(crate) fn split(self, namespace: SmolStr, server: &ServerInfo) -> (Watch, Manner) {
        let events = self.prefetch.unwrap_or(match self.mode {
            Mode::Latest => 1,
            Mode::Every | Mode::Append { .. } | Mode::Unique => WATCH_PREFETCH,
        });
        let limits = server.limits;
        let prefetch = Cost {
            events: events.clamp(1, limits.stream_credit.max(1)),
            bytes: self
                .prefetch_bytes
                .clamp(1, limits.stream_credit_bytes.max(1)),
        };
        let interval = self.mark_interval.map(milliseconds);
        let interval = interval.map(|ms| ms.max(MARK_INTERVAL_MIN_MS));
        let manner = Manner {
            assemble_bytes: self.assemble_bytes,
            marks: interval.is_some(),
            prefetch,
        };
        let watch = Watch {
            scopes: self.scopes,
            start: self.start,
            mode: self.mode,
            values: self.values,
            previous: self.previous,
            wait_create: self.wait_create,
            mark_interval_ms: interval.unwrap_or(0),
            inline_max: self.inline_max,
            ..Watch::new(namespace)
        };
        (watch, manner)
    }
}
