//! One key that is followed: its watch, and what happened to it.
//!
//! A watch of its own makes an event about that key however it came about (a
//! parent replaced, a link on the way turned). What an event does not carry
//! is read at the event's snapshot: no value is skipped and none is taken from a later state.
//!
//! Behind a link into another namespace there are no versions, only what is there now. It is told
//! again when the connection was lost; what reads as before is then not told again here.

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

/// What happened to a followed key.
pub(super) enum Seen {
    /// It was found so. If that is no value, nothing follows.
    Found(Box<LookupAnswer>),
    /// It has this value, in the state of that reference.
    Bytes(Bytes, SmolStr),
    /// Where only what is new of it is wanted.
    Grown {
        /// What is new of it.
        grown: Grown,
        /// Whether that is all that the version brought.
        end: bool,
        /// The reference of the state that it is of.
        at: SmolStr,
    },
}

pub(super) type Sender = mpsc::Sender<Result<(usize, Seen)>>;

/// Where it is told what happened to the key of that index.
pub(super) struct To {
    pub(super) index: usize,
    pub(super) sender: Sender,
}

impl To {
    /// Whether anybody listens.
    async fn send(&self, seen: Seen) -> bool {
        self.sender.send(Ok((self.index, seen))).await.is_ok()
    }
}

/// A key that is followed.
pub(super) struct Followed {
    client: Client,
    namespace: String,
    /// As it was typed.
    key: String,
    /// As events name it.
    normal: String,
    form: Form,
    following: Following,
}

/// A watch that stands, and the state before its first event; none if a link on the way leads into
/// a namespace that is waited for.
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

    /// Looks at the present state, and opens a watch of what comes behind it. With `--waitcreate`
    /// the namespace is waited for.
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

    /// A watch of the key, which tells of whatever changes it, links on its way included.
    fn options(&self, found: Option<&LookupAnswer>) -> WatchOptions {
        let options = WatchOptions::new();
        if self.form.treeobj {
            // The tree object of a directory changes with everything below it.
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

    /// What is at the key in that state. None while a namespace that a link leads into is waited
    /// for.
    pub(super) async fn look_up(&self, at: &At) -> Result<Option<LookupAnswer>> {
        let options = LookupOptions::new().at(at.clone());
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

    /// Follows the key until an error ends it; that the key is gone is one.
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
            // Nobody knows whether what is told of other namespaces, and after a gap, was told
            // before.
            let again = is_told_again(&event);
            let change = match self.change(&event) {
                Told::Nothing if !touched => continue,
                // Many keys below it changed, which its tree object has.
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

    /// Tells what was found, unless it is waited for, or need not be told again. Whether anything
    /// can follow.
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
        // A link that is shown itself does not change with what it leads to.
        let is_link = matches!(found.entry, Some(Entry::Link(_)));
        let is_there = found.entry.is_some();
        if !last.takes(identity(&found), again || is_link || self.following.uniq) {
            return Ok(true);
        }
        Ok(to.send(Seen::Found(Box::new(found))).await && is_there)
    }

    /// Hands on what is there, then what is appended to it. Anything else that happens to it ends
    /// this.
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
                    // It is gone by now, which is about to be told.
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

    /// Tells what was found as all that there is now, unless it is waited for. Whether anything can
    /// follow.
    async fn grown(&self, found: Option<LookupAnswer>, begun: &mut bool, to: &To) -> Result<bool> {
        let waits = self.following.waitcreate && !*begun;
        let found = match found {
            Some(found) if found.entry.is_some() || !waits => found,
            None if !waits => return Err(is_nowhere(&self.key)),
            _ => return Ok(true),
        };
        let Some(value) = self.client.found_reader(&found) else {
            // The reader says what is wrong with it.
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

    /// What an event tells of the key.
    fn change<'e>(&self, event: &'e Event) -> Told<'e> {
        let changes = match event {
            Event::Initial(state) => &state.entries,
            Event::Changes(version) => &version.changes,
            _ => return Told::Nothing,
        };
        let mut own = changes.iter().filter(|one| one.key == self.normal);
        match own.next_back() {
            Some(change) => Told::Change(change),
            // Something below it, which its tree object has.
            None if self.form.treeobj && !changes.is_empty() => Told::Look,
            None => match event {
                Event::Initial(state) if state.last && !state.differences => Told::Look,
                _ => Told::Nothing,
            },
        }
    }
}

/// What an event tells of a key.
enum Told<'e> {
    /// Nothing.
    Nothing,
    /// That something happened, which the state shows.
    Look,
    /// This.
    Change(&'e Change),
}
