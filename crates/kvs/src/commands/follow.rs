//! `kvs get --watch` and `--waitcreate`: one key followed through its versions.
//!
//! Each key has a watch of its own, so that an event is about that key however it came about (a
//! parent replaced, a link on the way turned). What an event does not carry
//! is read at the event's snapshot: no value is skipped and none is taken from a later state. All
//! watches stand before the first value is printed.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use clap::Args;
use kvs_client::{
    At, Change, ChangeKind, ChangeValue, Changes, Client, Entry, ErrorCode, Event, LookupAnswer,
    WatchOptions, WatchStream,
};
use tokio::sync::mpsc;

use super::failure::{About as _, failure};
use super::key::normal;
use super::show::Form;
use super::value::{Place, appended, whole};
use crate::output::{Sink, reader_gone};

/// Pauses between looks for a namespace that is not there yet: the first, and the longest.
const NAMESPACE_PAUSES: (Duration, Duration) =
    (Duration::from_millis(5), Duration::from_millis(100));
/// Versions that may wait to be printed.
const VERSIONS_AHEAD: usize = 16;

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
    uniq: bool,
    /// With --watch: print the value, then only what is appended to it
    #[arg(short = 'A', long)]
    append: bool,
    /// With --watch: also when the key changes indirectly, as always
    #[arg(short, long)]
    full: bool,
    /// With --watch: end after so many values, of all keys together
    #[arg(
        short,
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true
    )]
    count: u64,
}

/// Waits until a key is there, and gives what was found.
pub(super) async fn wait_for(
    client: &Client,
    namespace: &str,
    key: &str,
    form: Form,
) -> Result<LookupAnswer> {
    let waiting = Following {
        waitcreate: true,
        ..Following::default()
    };
    let followed = Followed::new(client, namespace, key, form, waiting);
    let (mut watches, mut at) = followed.open().await?;
    loop {
        let found = followed.look_up(&at).await?;
        if found.entry.is_some() {
            return Ok(found);
        }
        (at, _) = followed.next(&mut watches).await?;
    }
}

/// Prints the values of all keys, and each new one, until the count is reached.
pub(super) async fn watch(
    client: &Client,
    namespace: &str,
    keys: &[String],
    form: Form,
    following: Following,
    sink: &mut Sink,
) -> Result<()> {
    let mut all = Vec::new();
    for key in keys {
        let followed = Followed::new(client, namespace, key, form, following);
        // One that is waited for does not hold up the others.
        let opened = if following.waitcreate {
            None
        } else {
            Some(followed.open().await?)
        };
        all.push((followed, opened));
    }
    let (sender, mut seen) = mpsc::channel(VERSIONS_AHEAD);
    for (followed, opened) in all {
        let sender = sender.clone();
        tokio::spawn(async move {
            if let Err(error) = followed.run(opened, &sender).await {
                // Without a printer the program is about to end.
                let _ = sender.send(Err(error)).await;
            }
        });
    }
    drop(sender);
    let mut printed = 0;
    let gone = reader_gone();
    tokio::pin!(gone);
    loop {
        let next = tokio::select! {
            next = seen.recv() => next,
            error = &mut gone => return Err(error.into()),
        };
        let Some(next) = next else { return Ok(()) };
        let (key, seen) = next?;
        match seen {
            Seen::Found(found) => form.print(client, &key, &found, &At::Current, sink).await?,
            Seen::Bytes(bytes) => form.print_bytes(&key, &bytes, sink)?,
        }
        sink.flush()?;
        printed += 1;
        if printed == following.count {
            return Ok(());
        }
    }
}

/// What is appended to one key, as it comes.
pub(super) struct Appends {
    seen: mpsc::Receiver<Result<(String, Seen)>>,
}

impl Appends {
    /// Begins with the value of now; with `waitcreate` once there is one.
    pub(super) async fn open(
        client: &Client,
        namespace: &str,
        key: &str,
        waitcreate: bool,
    ) -> Result<Self> {
        let following = Following {
            waitcreate,
            append: true,
            ..Following::default()
        };
        let followed = Followed::new(client, namespace, key, Form::default(), following);
        let opened = if waitcreate {
            None
        } else {
            Some(followed.open().await?)
        };
        let (sender, seen) = mpsc::channel(VERSIONS_AHEAD);
        tokio::spawn(async move {
            if let Err(error) = followed.run(opened, &sender).await {
                // Without a reader the program is about to end.
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(Self { seen })
    }

    /// The value that is there, then what each version appends to it; `None` when that has ended.
    pub(super) async fn next(&mut self) -> Result<Option<Seen>> {
        let next = self.seen.recv().await.transpose()?;
        Ok(next.map(|(_, seen)| seen))
    }
}

/// What one version did to a followed key.
pub(super) enum Seen {
    /// It was found so.
    Found(Box<LookupAnswer>),
    /// It has this value, or this was appended to it.
    Bytes(Bytes),
}

type Sender = mpsc::Sender<Result<(String, Seen)>>;

/// A key that is followed.
struct Followed {
    client: Client,
    namespace: String,
    key: String,
    form: Form,
    following: Following,
}

impl Followed {
    fn new(client: &Client, namespace: &str, key: &str, form: Form, following: Following) -> Self {
        Self {
            client: client.clone(),
            namespace: namespace.to_owned(),
            key: key.to_owned(),
            form,
            following,
        }
    }

    /// Opens watches that begin behind the present state, and gives that state. With `--waitcreate`
    /// the namespace is waited for.
    async fn open(&self) -> Result<(WatchStream, At)> {
        let (mut pause, longest) = NAMESPACE_PAUSES;
        loop {
            match self
                .client
                .namespace(self.namespace.as_str())
                .info(At::Current)
                .await
            {
                Err(error) if error.code == ErrorCode::NoNamespace && self.following.waitcreate => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
                answer => {
                    let info = answer.about(&self.key)?;
                    let at = At::Snapshot(info.snapshot);
                    let options = WatchOptions::new().after(info.position);
                    return Ok((self.watch(options).await?, at));
                }
            }
        }
    }

    /// Opens a watch of the key, which tells of whatever changes it, links on its way included.
    async fn watch(&self, options: WatchOptions) -> Result<WatchStream> {
        // The tree object of a directory changes with everything below it.
        let options = if self.form.treeobj {
            options.directory(self.key.as_str())
        } else {
            options.key(self.key.as_str())
        };
        let namespace = self.client.namespace(self.namespace.as_str());
        namespace.watch(options).await.about(&self.key)
    }

    /// The next state that something happened in, and the changes that led to it.
    async fn next(&self, watch: &mut WatchStream) -> Result<(At, Option<Changes>)> {
        loop {
            if let Some(seen) = read_event(watch.recv().await.about(&self.key)?) {
                return Ok(seen);
            }
        }
    }

    async fn look_up(&self, at: &At) -> Result<LookupAnswer> {
        self.form
            .look_up(&self.client, &self.namespace, &self.key, at)
            .await
    }

    /// Follows the key until an error ends it; that the key is gone is one.
    async fn run(&self, opened: Option<(WatchStream, At)>, sender: &Sender) -> Result<()> {
        let (mut watches, mut at) = match opened {
            Some(opened) => opened,
            None => self.open().await?,
        };
        // What is appended is news even if it reads like what was before.
        let uniq = self.following.uniq && !self.following.append;
        let mut waiting = self.following.waitcreate;
        let mut before: Option<Bytes> = None;
        let mut changes: Option<Changes> = None;
        loop {
            let seen = if self.following.append && before.is_some() {
                Some(self.appended(changes.as_ref(), &at).await?)
            } else if let Some(bytes) = self.put_bytes(changes.as_ref()) {
                Some(Seen::Bytes(bytes))
            } else {
                let found = self.look_up(&at).await?;
                let is_awaited = found.entry.is_none() && waiting;
                (!is_awaited).then(|| Seen::Found(Box::new(found)))
            };
            if let Some(seen) = seen {
                waiting = false;
                let now = if uniq {
                    self.comparable(&seen, &at).await?
                } else {
                    Bytes::new()
                };
                if !uniq || before.as_ref() != Some(&now) {
                    before = Some(now);
                    let gone = matches!(&seen, Seen::Found(found) if found.entry.is_none());
                    if sender.send(Ok((self.key.clone(), seen))).await.is_err() || gone {
                        return Ok(());
                    }
                }
            }
            (at, changes) = self.next(&mut watches).await?;
        }
    }

    /// The new value, if the event itself carries it.
    fn put_bytes(&self, changes: Option<&Changes>) -> Option<Bytes> {
        match changes?.changes.as_slice() {
            [
                Change {
                    key,
                    kind: ChangeKind::Put,
                    value: ChangeValue::Bytes(bytes),
                    ..
                },
            ] if !self.form.treeobj && *key == normal(&self.key) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// What a version appended, or that the key is gone. If anything else happened to it, following
    /// appends ends.
    async fn appended(&self, changes: Option<&Changes>, at: &At) -> Result<Seen> {
        let version = changes.map(|changes| (changes.position.version, changes.changes.as_slice()));
        match version {
            Some((
                _,
                [
                    Change {
                        kind: ChangeKind::Append,
                        value: ChangeValue::Bytes(bytes),
                        ..
                    },
                ],
            )) => Ok(Seen::Bytes(bytes.clone())),
            Some((
                version,
                [
                    Change {
                        kind: ChangeKind::Append,
                        key,
                        ..
                    },
                ],
            )) => {
                let place = Place::new(&self.namespace, key, "", at);
                appended(&self.client, &place, version)
                    .await
                    .map(Seen::Bytes)
                    .about(&self.key)
            }
            _ => {
                let found = self.look_up(at).await?;
                if found.entry.is_some() {
                    return Err(failure(&self.key, ErrorCode::Invalid));
                }
                Ok(Seen::Found(Box::new(found)))
            }
        }
    }

    /// What tells whether a value is another one: its bytes, its blobref, or the tree object.
    async fn comparable(&self, seen: &Seen, at: &At) -> Result<Bytes> {
        let found = match seen {
            Seen::Bytes(bytes) => return Ok(bytes.clone()),
            Seen::Found(found) => found,
        };
        if let Some(treeobj) = &found.treeobj {
            return Ok(Bytes::from(treeobj.clone()));
        }
        let Some(Entry::Value(value)) = &found.entry else {
            return Ok(Bytes::new());
        };
        match &value.blobref {
            Some(blobref) if value.bytes.is_none() => Ok(Bytes::from(blobref.to_string())),
            _ => {
                let place = Place::new(&found.namespace, &found.key, &found.snapshot, at);
                whole(&self.client, &place, value).await.about(&self.key)
            }
        }
    }
}

/// The state that an event is about, and the changes that led to it. `None` for parts of one that
/// is not complete.
fn read_event(event: Event) -> Option<(At, Option<Changes>)> {
    match event {
        Event::Initial(initial) if initial.last => Some((At::Snapshot(initial.snapshot), None)),
        Event::Changes(changes) if changes.last => {
            Some((At::Snapshot(changes.snapshot.clone()), Some(changes)))
        }
        Event::Gap(gap) if gap.snapshot.is_empty() => Some((At::Current, None)),
        Event::Gap(gap) => Some((At::Snapshot(gap.snapshot), None)),
        _ => None,
    }
}
