//! How keys are looked up, and directories and versions listed.

use kvs_proto::{At, Scope, ScopeKind};
use smol_str::SmolStr;

/// How to look up a key.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LookupOptions {
    /// Which state to read. Default: the newest.
    pub at: At,
    /// Whether a link at the key itself is followed. Default: yes.
    pub follow: bool,
    /// Whether the tree object is wanted. Default: no.
    pub treeobj: bool,
    /// Whether the root of the state that is read is wanted, and a reference to that state.
    /// Default: no.
    pub root: bool,
    /// Values longer than this many bytes come as size and blobref. `None`: the daemon's default.
    pub inline_max: Option<u64>,
}

impl Default for LookupOptions {
    fn default() -> Self {
        LookupOptions {
            at: At::Current,
            follow: true,
            treeobj: false,
            root: false,
            inline_max: None,
        }
    }
}

impl LookupOptions {
    /// The newest state, links followed.
    pub fn new() -> Self {
        LookupOptions::default()
    }

    /// Reads another state than the newest.
    pub fn at(mut self, at: At) -> Self {
        self.at = at;
        self
    }

    /// Finds a link at the key itself, instead of what it leads to.
    pub fn no_follow(mut self) -> Self {
        self.follow = false;
        self
    }

    /// Wants the root of the state that is read, and a reference to that state.
    pub fn root(mut self) -> Self {
        self.root = true;
        self
    }

    /// Wants the tree object as well.
    pub fn treeobj(mut self) -> Self {
        self.treeobj = true;
        self
    }

    /// Values longer than this many bytes come as size and blobref.
    pub fn inline_max(mut self, bytes: u64) -> Self {
        self.inline_max = Some(bytes);
        self
    }
}

/// How to list a directory.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ListOptions {
    /// Which state to read. Default: the newest.
    pub at: At,
    /// The page begins behind this key.
    pub after: Option<SmolStr>,
    /// Most entries in a page; 0 is the daemon's maximum.
    pub limit: u64,
    /// Whether directories are descended into.
    pub recursive: bool,
    /// Only entries inside the scope.
    pub scope: Option<Scope>,
    /// Values longer than this many bytes come as size and blobref; 0 for no values. `None`: the
    /// daemon's default.
    pub inline_max: Option<u64>,
    /// Whether a page may end early, possibly without entries, when the daemon has visited many: go
    /// on after the answer's `next`. Otherwise an answer takes as long as it takes to find an
    /// entry.
    pub bounded: bool,
}

impl ListOptions {
    /// The directory itself, in the newest state.
    pub fn new() -> Self {
        ListOptions::default()
    }

    /// Reads another state than the newest.
    pub fn at(mut self, at: At) -> Self {
        self.at = at;
        self
    }

    /// Begins after that key.
    pub fn after(mut self, key: impl Into<SmolStr>) -> Self {
        self.after = Some(key.into());
        self
    }

    /// Sets the most entries in a page; 0 is the daemon's maximum.
    pub fn limit(mut self, entries: u64) -> Self {
        self.limit = entries;
        self
    }

    /// Descends into directories.
    pub fn recursive(mut self) -> Self {
        self.recursive = true;
        self
    }

    /// Only entries inside a scope, read as its text looks: a glob if it has one of `*?[`, else a
    /// key and all below it.
    pub fn scope(mut self, text: impl Into<SmolStr>) -> Self {
        let (kind, text) = (ScopeKind::Auto, text.into());
        self.scope = Some(Scope { kind, text });
        self
    }

    /// Values longer than this many bytes come as size and blobref; 0 for no values.
    pub fn inline_max(mut self, bytes: u64) -> Self {
        self.inline_max = Some(bytes);
        self
    }

    /// Lets a page end early, possibly without entries: go on after its `next`.
    pub fn bounded(mut self) -> Self {
        self.bounded = true;
        self
    }
}

/// Which versions to list.
///
/// ```
/// use kvs_client::LogOptions;
///
/// let states = LogOptions::new().from_version(10).to_version(20).scope("lwj.*.state");
/// assert_eq!((states.from, states.to), (10, Some(20)));
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LogOptions {
    /// First version; 0 is the oldest retained.
    pub from: u64,
    /// Last version. `None`: the newest.
    pub to: Option<u64>,
    /// Only versions that touched these; none is all.
    pub scopes: Vec<Scope>,
    /// Most versions in a page; 0 is the daemon's maximum.
    pub limit: u64,
}

impl LogOptions {
    /// All versions that are retained.
    pub fn new() -> Self {
        LogOptions::default()
    }

    /// Begins with that version.
    pub fn from_version(mut self, version: u64) -> Self {
        self.from = version;
        self
    }

    /// Ends with that version.
    pub fn to_version(mut self, version: u64) -> Self {
        self.to = Some(version);
        self
    }

    /// Adds a scope, read as its text looks: only versions that touched one are listed.
    pub fn scope(mut self, text: impl Into<SmolStr>) -> Self {
        let (kind, text) = (ScopeKind::Auto, text.into());
        self.scopes.push(Scope { kind, text });
        self
    }

    /// Sets the most versions in a page; 0 is the daemon's maximum.
    pub fn limit(mut self, versions: u64) -> Self {
        self.limit = versions;
        self
    }
}
