//! One followed key: its watch and its changes.
//!
//! A watch of the key delivers every change of it, also a replaced parent or a redirected link on
//! the way. What an event does not carry is read at the event's snapshot, so no value is skipped
//! and none comes from a later state.
//!
//! For a link into another namespace, only the current state is reported, not versions. It is
//! reported again after a lost connection; a repetition is filtered out here.

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use kvs_client::{
    At, Change, ChangeKind, ChangeValue, Client, Entry, ErrorCode, Event, LookupAnswer,
    LookupOptions, WatchOptions, WatchStream,
};
use smol_str::SmolStr;
use tokio::sync::mpsc;

use super::events::{Last, hash, identity, is_last, is_told_again, snapshot, told_state};
use super::failure::{About as _, is_nowhere, is_replaced};
use super::growth::Grown;
use super::key::normal;
use super::show::Form;
use crate::limits::FOLLOW_INLINE_BYTES;

/// How keys are followed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Following {
    /// Wait until the key is there, and its namespace
    #[arg(short = 'W', long, conflicts_with = "at")]
    pub(super) waitcreate: bool,
    /// Print the value, then again each time the key is written
    #[arg(short, long, conflicts_with = "at")]
    pub(super) watch: bool,
    /// With --watch: not when the value is the same as before
    #[arg(short, long)]
    pub(super) uniq: bool,
    /// With --watch: print the value, then only what is appended to it
    #[arg(short = 'A', long)]
    pub(super) append: bool,
    /// With --watch: also when the key changes indirectly, as always
    #[arg(short, long)]
    pub(super) full: bool,
    /// With --watch: end after so many values, of all keys together
    #[arg(
        short,
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(super) count: u64,
}

/// A change of a followed key.
pub(super) enum Seen {
    /// The result of a lookup. If it is not a value, nothing follows.
    Found(Box<LookupAnswer>),
    /// The value, and the reference of its snapshot.
    Bytes(Bytes, SmolStr),
    /// New bytes of a value that grows (`--append`).
    Grown {
        grown: Grown,
        /// Whether these are the last bytes of the version.
        end: bool,
        /// The reference of their snapshot.
        at: SmolStr,
    },
}

pub(super) type Sender = mpsc::Sender<Result<(usize, Seen)>>;

/// Where changes of the key with this index are sent.
pub(super) struct To {
    pub(super) index: usize,
    pub(super) sender: Sender,
}

impl To {
    /// Sends a change. Returns whether the receiver still exists.
    async fn send(&self, seen: Seen) -> bool {
        self.sender.send(Ok((self.index, seen))).await.is_ok()
    }
}

/// A followed key.
pub(super) struct Followed {
    client: Client,
    namespace: String,
    /// The key as typed.
    key: String,
    /// The key as named in events.
    normal: String,
    form: Form,
    following: Following,
}

/// An open watch, and the lookup before its first event. The lookup is `None` while a link on the
/// way leads into a namespace that does not exist yet.
pub(super) struct Opened {
    pub(super) watch: WatchStream,
    pub(super) found: Option<LookupAnswer>,
}

impl Followed {
    pub(super) fn new(
        client: &Client,
        namespace: &str,
        key: &str,
        form: Form,
        following: Following,
    ) -> Self {
        Self {
            client: client.clone(),
            namespace: namespace.to_owned(),
            key: key.to_owned(),
            normal: normal(key),
            form,
            following,
        }
    }

    /// Looks up the current state and opens a watch of what follows. With `--waitcreate`, waits for
    /// the namespace.
    pub(super) async fn open(&self) -> Result<Opened> {
        let namespace = self.client.namespace(self.namespace.as_str());
        loop {
            match namespace.info(At::Current).await {
                Err(error) if error.code == ErrorCode::NoNamespace && self.following.waitcreate => {
                    self.wait_for_namespace().await?;
                }
                answer => {
                    let info = answer.about(&self.key)?;
                    let found = self.look_up(&At::Snapshot(info.snapshot)).await?;
                    let options = self.options(found.as_ref()).after(info.position);
                    let watch = namespace.watch(options).await.about(&self.key)?;
                    return Ok(Opened { watch, found });
                }
            }
        }
    }

    async fn wait_for_namespace(&self) -> Result<()> {
        let namespace = self.client.namespace(self.namespace.as_str());
        let options = WatchOptions::new().key(self.key.as_str());
        let options = options.keys_only().wait_create();
        let mut watch = namespace.watch(options).await.about(&self.key)?;
        if watch.started().is_none() {
            watch.recv().await.about(&self.key)?;
        }
        Ok(())
    }

    /// Options of a watch that reports every change of the key, links on its way included.
    fn options(&self, found: Option<&LookupAnswer>) -> WatchOptions {
        let options = WatchOptions::new();
        if self.form.treeobj {
            // The tree object of a directory changes with every key below it.
            return options.directory(self.key.as_str()).keys_only();
        }
        let options = options.key(self.key.as_str());
        if !self.following.append {
            return options;
        }
        options.append(match found.and_then(|found| found.entry.as_ref()) {
            Some(Entry::Value(value)) => value.size,
            _ => 0,
        })
    }

    /// Looks the key up in a state. Returns `None` while waiting for a namespace that a link leads
    /// into.
    pub(super) async fn look_up(&self, at: &At) -> Result<Option<LookupAnswer>> {
        let options = LookupOptions::new().at(at.clone()).root();
        let options = match self.form.treeobj {
            true => options.no_follow().treeobj().inline_max(0),
            false => options.inline_max(FOLLOW_INLINE_BYTES),
        };
        let namespace = self.client.namespace(self.namespace.as_str());
        match namespace.lookup(self.key.as_str(), options).await {
            Err(error) if error.code == ErrorCode::NoNamespace && self.following.waitcreate => {
                Ok(None)
            }
            answer => answer.about(&self.key).map(Some),
        }
    }

    /// Follows the key until an error ends it; removal of the key is an error.
    pub(super) async fn run(&self, opened: Option<Opened>, to: &To) -> Result<()> {
        let opened = match opened {
            Some(opened) => opened,
            None => self.open().await?,
        };
        if self.following.append && !self.form.treeobj {
            self.run_growing(opened, to).await
        } else {
            self.run_whole(opened, to).await
        }
    }

    async fn run_whole(&self, opened: Opened, to: &To) -> Result<()> {
        let Opened { mut watch, found } = opened;
        let (mut last, mut touched) = (Last::default(), false);
        if !self.tell(found, false, &mut last, to).await? {
            return Ok(());
        }
        loop {
            let event = watch.recv().await.about(&self.key)?;
            let Some(at) = snapshot(&event) else { continue };
            // States of other namespaces, and states after a gap, may have been reported before.
            let again = is_told_again(&event);
            let change = match self.change(&event) {
                Told::Nothing if !touched => continue,
                // Many keys below it changed, and with them its tree object.
                _ if !is_last(&event) => {
                    touched = true;
                    continue;
                }
                Told::Nothing | Told::Look => None,
                Told::Change(change) => Some(change),
            };
            touched = false;
            match change {
                Some(Change {
                    kind: ChangeKind::Put,
                    value: ChangeValue::Bytes(bytes),
                    ..
                }) if !self.form.treeobj => {
                    let hash = Some(hash(b'v', bytes));
                    if last.takes(hash, again || self.following.uniq)
                        && !to
                            .send(Seen::Bytes(bytes.clone(), told_state(&event)))
                            .await
                    {
                        return Ok(());
                    }
                }
                _ => {
                    let found = self.look_up(&at).await?;
                    if !self.tell(found, again, &mut last, to).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Sends a lookup, unless it is waited for or repeats the last one. Returns whether more can
    /// follow.
    async fn tell(
        &self,
        found: Option<LookupAnswer>,
        again: bool,
        last: &mut Last,
        to: &To,
    ) -> Result<bool> {
        let waits = self.following.waitcreate && !last.any;
        let found = match found {
            Some(found) if found.entry.is_some() || !waits => found,
            None if !waits => return Err(is_nowhere(&self.key)),
            _ => return Ok(true),
        };
        // A link that is printed itself does not change with its target.
        let is_link = matches!(found.entry, Some(Entry::Link(_)));
        let is_there = found.entry.is_some();
        if !last.takes(identity(&found), again || is_link || self.following.uniq) {
            return Ok(true);
        }
        Ok(to.send(Seen::Found(Box::new(found))).await && is_there)
    }

    /// Sends the current value, then appends. Any other change ends this.
    async fn run_growing(&self, opened: Opened, to: &To) -> Result<()> {
        let Opened { mut watch, found } = opened;
        let mut begun = false;
        if !self.grown(found, &mut begun, to).await? {
            return Ok(());
        }
        loop {
            let event = watch.recv().await.about(&self.key)?;
            let Some(at) = snapshot(&event) else { continue };
            let (changes, last) = match &event {
                Event::Initial(state) => (state.entries.as_slice(), state.last),
                Event::Changes(version) => (version.changes.as_slice(), version.last),
                _ => continue,
            };
            if let Told::Look = self.change(&event) {
                let found = self.look_up(&at).await?;
                if !self.grown(found, &mut begun, to).await? {
                    return Ok(());
                }
                continue;
            }
            let told = told_state(&event);
            let own = changes.iter().filter(|one| one.key == self.normal);
            let own: Vec<&Change> = own.collect();
            for (at_change, change) in own.iter().enumerate() {
                let namespace = self.client.namespace(self.namespace.as_str());
                let bytes = namespace.change_reader(&event, change).await;
                let bytes = bytes.about(&self.key)?;
                let grown = match (change.kind, bytes) {
                    (ChangeKind::Append, Some(bytes)) => Grown::Appended {
                        offset: change.offset.unwrap_or(0),
                        bytes,
                        more: change.more,
                    },
                    (ChangeKind::Put, Some(_)) if begun && !is_told_again(&event) => {
                        return Err(is_replaced(&self.key));
                    }
                    (ChangeKind::Put, Some(bytes)) => Grown::Whole(bytes),
                    // The value no longer exists; an event about this follows.
                    (ChangeKind::Put | ChangeKind::Append, None) => continue,
                    _ => {
                        let found = self.look_up(&at).await?;
                        if !self.grown(found, &mut begun, to).await? {
                            return Ok(());
                        }
                        continue;
                    }
                };
                begun = true;
                let end = last && !change.more && at_change + 1 == own.len();
                if !to
                    .send(Seen::Grown {
                        grown,
                        end,
                        at: told.clone(),
                    })
                    .await
                {
                    return Ok(());
                }
            }
        }
    }

    /// Sends a lookup as the whole current value, unless it is waited for. Returns whether more can
    /// follow.
    async fn grown(&self, found: Option<LookupAnswer>, begun: &mut bool, to: &To) -> Result<bool> {
        let waits = self.following.waitcreate && !*begun;
        let found = match found {
            Some(found) if found.entry.is_some() || !waits => found,
            None if !waits => return Err(is_nowhere(&self.key)),
            _ => return Ok(true),
        };
        let Some(value) = self.client.found_reader(&found) else {
            // The receiver reports the error.
            to.send(Seen::Found(Box::new(found))).await;
            return Ok(false);
        };
        *begun = true;
        let grown = Grown::Whole(value);
        let seen = Seen::Grown {
            grown,
            end: true,
            at: found.snapshot,
        };
        Ok(to.send(seen).await)
    }

    /// What an event reports about the key.
    fn change<'e>(&self, event: &'e Event) -> Told<'e> {
        let changes = match event {
            Event::Initial(state) => &state.entries,
            Event::Changes(version) => &version.changes,
            _ => return Told::Nothing,
        };
        let mut own = changes.iter().filter(|one| one.key == self.normal);
        match own.next_back() {
            Some(change) => Told::Change(change),
            // A change below it, and with it of its tree object.
            None if self.form.treeobj && !changes.is_empty() => Told::Look,
            None => match event {
                Event::Initial(state) if state.last && !state.differences => Told::Look,
                _ => Told::Nothing,
            },
        }
    }
}

/// What an event reports about a key.
enum Told<'e> {
    Nothing,
    /// A change that requires a lookup.
    Look,
    /// A change of the key itself.
    Change(&'e Change),
}
