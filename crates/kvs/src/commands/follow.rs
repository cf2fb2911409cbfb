//! `kvs get --watch` and `--waitcreate`: one key followed through its versions.
//!
//! Each key has a watch of its own, so that an event of a watch is about that key however it came
//! about (a parent replaced, a link on the way turned), and is shown by reading the key at the
//! event's snapshot: no value is skipped and none is read from a later state. All watches stand
//! before the first value is printed.

use std::time::Duration;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use kvs_client::{
    At, Change, ChangeKind, ChangeValue, Changes, Client, ClientError, Entry, ErrorCode, Event,
    LookupAnswer, WatchOptions, WatchStream,
};
use tokio::sync::mpsc;

use super::failure::{About as _, failure};
use super::get::{GetArgs, look_up, print, print_bytes};
use super::options::normal;
use super::value::{Place, part, whole};
use crate::output::{Sink, reader_gone};

/// Pauses between looks for a namespace that is not there yet: the first, and the longest.
const NAMESPACE_PAUSES: (Duration, Duration) =
    (Duration::from_millis(5), Duration::from_millis(100));
/// Versions of a key that may wait to be printed.
const VERSIONS_AHEAD: usize = 16;

/// What one version did to a followed key.
enum Seen {
    /// It was found so.
    Found(Box<LookupAnswer>),
    /// These bytes were appended.
    Appended(Bytes),
}

/// Waits until a key is there, and gives what was found.
pub(super) async fn wait_for(
    client: &Client,
    namespace: &str,
    key: &str,
    args: &GetArgs,
) -> Result<LookupAnswer> {
    let mut watch = open(client, namespace, key, args).await?;
    loop {
        let at = match watch.next().await.about(key)? {
            Event::Initial(initial) if initial.last => At::Snapshot(initial.snapshot),
            Event::Changes(changes) if changes.last => At::Snapshot(changes.snapshot),
            Event::Gap(_) => At::Current,
            _ => continue,
        };
        let found = look_up(client, namespace, key, &at, args).await?;
        if found.entry.is_some() {
            return Ok(found);
        }
    }
}

/// Prints the values of all keys, and each new one, until the count is reached.
pub(super) async fn watch(
    client: &Client,
    namespace: &str,
    args: &GetArgs,
    sink: &mut Sink,
) -> Result<()> {
    let mut receivers = Vec::new();
    let (sender, mut seen) = mpsc::channel(VERSIONS_AHEAD);
    for key in &args.keys {
        if args.waitcreate {
            // The others need not wait for this one.
            receivers.push((key.clone(), None));
        } else {
            let watch = open(client, namespace, key, args).await?;
            receivers.push((key.clone(), Some(watch)));
        }
    }
    for (key, watch) in receivers {
        let (client, namespace, args, sender) = (
            client.clone(),
            namespace.to_owned(),
            args.clone(),
            sender.clone(),
        );
        tokio::spawn(async move {
            if let Err(error) = follow(&client, &namespace, &key, watch, &args, &sender).await {
                // The printer has ended: so does the program.
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
        let (key, what) = next?;
        match what {
            Seen::Found(found) => print(client, &key, &found, &At::Current, args, sink).await?,
            Seen::Appended(bytes) => print_bytes(&key, &bytes, args, sink)?,
        }
        sink.flush()?;
        printed += 1;
        if printed == args.count {
            return Ok(());
        }
    }
}

type Sender = mpsc::Sender<Result<(String, Seen)>>;

/// Follows one key until an error ends it: that it is gone is one.
async fn follow(
    client: &Client,
    namespace: &str,
    key: &str,
    watch: Option<WatchStream>,
    args: &GetArgs,
    sender: &Sender,
) -> Result<()> {
    let mut watch = match watch {
        Some(watch) => watch,
        None => open(client, namespace, key, args).await?,
    };
    let mut waiting = args.waitcreate;
    let mut shown: Option<Bytes> = None;
    loop {
        let (at, changes) = match watch.next().await.about(key)? {
            Event::Initial(initial) if initial.last => (At::Snapshot(initial.snapshot), None),
            Event::Changes(changes) if changes.last => {
                (At::Snapshot(changes.snapshot.clone()), Some(changes))
            }
            Event::Gap(_) => (At::Current, None),
            _ => continue,
        };
        if args.append && shown.is_some() {
            match appended(client, key, changes.as_ref(), &at).await? {
                Some(bytes) => {
                    shown = Some(Bytes::new());
                    if sender
                        .send(Ok((key.to_owned(), Seen::Appended(bytes))))
                        .await
                        .is_err()
                    {
                        return Ok(());
                    }
                    continue;
                }
                // What is there now did not come about by appending.
                None => {
                    let found = look_up(client, namespace, key, &at, args).await?;
                    let code = if found.entry.is_some() {
                        ErrorCode::Invalid
                    } else {
                        ErrorCode::NotFound
                    };
                    return Err(failure(key, code));
                }
            }
        }
        let found = look_up(client, namespace, key, &at, args).await?;
        if found.entry.is_none() && waiting {
            continue;
        }
        waiting = false;
        if args.uniq {
            let value = comparable(client, key, &found, &at).await?;
            if shown.as_ref() == Some(&value) {
                continue;
            }
            shown = Some(value);
        } else {
            shown = Some(Bytes::new());
        }
        let gone = found.entry.is_none();
        if sender
            .send(Ok((key.to_owned(), Seen::Found(Box::new(found)))))
            .await
            .is_err()
            || gone
        {
            return Ok(());
        }
    }
}

/// What a version appended to the key, if that is all that it did to it.
async fn appended(
    client: &Client,
    key: &str,
    changes: Option<&Changes>,
    at: &At,
) -> Result<Option<Bytes>> {
    let Some(Changes { changes, .. }) = changes else {
        return Ok(None);
    };
    let [
        Change {
            key: at_key,
            kind: ChangeKind::Append,
            value,
        },
    ] = changes.as_slice()
    else {
        return Ok(None);
    };
    match value {
        ChangeValue::Bytes(bytes) => Ok(Some(bytes.clone())),
        ChangeValue::Large { size, .. } => {
            let namespace = match at {
                At::Snapshot(reference) => {
                    reference.rsplit_once('@').map(|(namespace, _)| namespace)
                }
                _ => None,
            };
            let namespace =
                namespace.ok_or_else(|| anyhow!("{key}: the event names no snapshot"))?;
            let place = Place {
                namespace: namespace.to_owned(),
                key: at_key.to_string(),
                at: at.clone(),
            };
            tail(client, &place, *size).await.about(key).map(Some)
        }
        _ => Ok(None),
    }
}

/// The last `size` bytes of a value.
pub(super) async fn tail(client: &Client, place: &Place, size: u64) -> Result<Bytes, ClientError> {
    let namespace = client.namespace(place.namespace.as_str());
    let whole = namespace
        .read(place.key.as_str(), place.at.clone(), 0, 0)
        .await?
        .size;
    part(client, place, whole.saturating_sub(size), size, whole).await
}

/// What tells whether a value is another one: its bytes, its blobref, or the tree object.
async fn comparable(client: &Client, key: &str, found: &LookupAnswer, at: &At) -> Result<Bytes> {
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
            whole(client, &place, value).await.about(key)
        }
    }
}

/// Opens a watch of one key from its present state on; with `--waitcreate`, as soon as its
/// namespace is there.
async fn open(client: &Client, namespace: &str, key: &str, args: &GetArgs) -> Result<WatchStream> {
    let (mut pause, longest) = NAMESPACE_PAUSES;
    loop {
        let options = if args.treeobj {
            // The tree object of a directory changes with everything below it.
            WatchOptions::new().directory(normal(key))
        } else {
            WatchOptions::new().key(normal(key))
        };
        match client.namespace(namespace).watch(options.initial()).await {
            Err(error) if error.code == ErrorCode::NoNamespace && args.waitcreate => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
            answer => return answer.about(key),
        }
    }
}
