//! Everything that a key's value hangs on: the key where its links lead, each link on the way, and
//! the namespaces of all these. Whoever watches all of a route sees every change of the key, however
//! it comes about.
//!
//! Within the key's own namespace no version is missed. Behind a link into another namespace there
//! is only the newest state: versions of two namespaces have no common order.

use std::pin::pin;
use std::task::Poll;

use anyhow::Result;
use kvs_client::{
    At, Changes, Client, Entry, Event, LookupAnswer, LookupOptions, Position, WatchOptions,
    WatchStream,
};

use super::failure::About as _;
use super::key::normal;

/// Links that are followed at most; with more, reading the key is an error anyway.
const LINKS: usize = 10;

/// A key in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stop {
    namespace: String,
    key: String,
}

/// The route of a key in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// The links, and at last where they lead.
    stops: Vec<Stop>,
}

impl Route {
    /// Finds the route of a key in a state. Costs one lookup if there is no link on it.
    pub(super) async fn find(client: &Client, namespace: &str, key: &str, at: &At) -> Result<Self> {
        let mut names = normal(key);
        let whole = look_up(client, namespace, &names, at, true).await;
        // A loop of links is an error when the value is read, not here.
        let is_direct =
            whole.is_ok_and(|found| found.namespace == namespace && found.key == names.as_str());
        let mut home = namespace.to_owned();
        let mut stops = Vec::new();
        while !is_direct && stops.len() < LINKS {
            let Some((stop, target)) = first_link(client, &home, &names, at, namespace)
                .await
                .about(key)?
            else {
                break;
            };
            home = target.namespace;
            names = target.key;
            stops.push(stop);
        }
        stops.push(Stop {
            namespace: home,
            key: names,
        });
        Ok(Self { stops })
    }

    /// Whether there is no link on it.
    pub(super) fn is_direct(&self) -> bool {
        self.stops.len() == 1
    }

    /// Opens watches of all of it: in the key's own namespace with the first version after
    /// `position`, elsewhere from now on.
    pub(super) async fn watch(
        &self,
        client: &Client,
        namespace: &str,
        position: Position,
        with_contents: bool,
    ) -> Result<Watches> {
        let mut watches = Watches {
            own: namespace.to_owned(),
            streams: Vec::new(),
        };
        let mut done: Vec<&str> = Vec::new();
        for stop in &self.stops {
            if done.contains(&stop.namespace.as_str()) {
                continue;
            }
            done.push(&stop.namespace);
            let is_own = stop.namespace == namespace;
            let mut options = WatchOptions::new();
            for (index, other) in self.stops.iter().enumerate() {
                let is_last = index + 1 == self.stops.len();
                options = match other {
                    other if other.namespace != stop.namespace => options,
                    other if is_last && with_contents => options.directory(other.key.as_str()),
                    other => options.key(other.key.as_str()),
                };
            }
            let options = if is_own {
                options.after(position)
            } else {
                options
            };
            match client
                .namespace(stop.namespace.as_str())
                .watch(options)
                .await
            {
                Ok(stream) => watches.streams.push(stream),
                // Nothing is to be seen where one may not look, or where nothing is.
                Err(_) if !is_own => {}
                Err(error) => return Err(error).about(&stop.key),
            }
        }
        Ok(watches)
    }
}

/// Watches of a route.
pub(super) struct Watches {
    own: String,
    streams: Vec<WatchStream>,
}

impl Watches {
    /// The next event, and whether it is one of the key's own namespace.
    pub(super) async fn next(&mut self) -> Result<(Event, bool), kvs_client::ClientError> {
        std::future::poll_fn(|context| {
            for stream in &mut self.streams {
                let is_own = stream.namespace() == self.own;
                // Cancelling `next` loses nothing, so a new one may be asked each time.
                if let Poll::Ready(event) = pin!(stream.next()).poll(context) {
                    return Poll::Ready(event.map(|event| (event, is_own)));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The first link on the way to a key, and the key that takes its place.
async fn first_link(
    client: &Client,
    namespace: &str,
    key: &str,
    at: &At,
    own: &str,
) -> Result<Option<(Stop, Stop)>, kvs_client::ClientError> {
    let current = At::Current;
    let at = if namespace == own { at } else { &current };
    let ends = key
        .match_indices('.')
        .map(|(end, _)| end)
        .chain([key.len()]);
    for end in ends {
        let (prefix, rest) = key.split_at(end);
        let found = look_up(client, namespace, prefix, at, false).await?;
        match found.entry {
            Some(Entry::Link(link)) => {
                let into = link.namespace.as_deref().unwrap_or(namespace).to_owned();
                let target = normal(&format!("{}{rest}", link.target));
                let stop = Stop {
                    namespace: namespace.to_owned(),
                    key: prefix.to_owned(),
                };
                return Ok(Some((
                    stop,
                    Stop {
                        namespace: into,
                        key: target,
                    },
                )));
            }
            Some(Entry::Directory(_)) => {}
            Some(Entry::Value(_)) | None => return Ok(None),
        }
    }
    Ok(None)
}

async fn look_up(
    client: &Client,
    namespace: &str,
    key: &str,
    at: &At,
    follow: bool,
) -> Result<LookupAnswer, kvs_client::ClientError> {
    let options = LookupOptions {
        at: at.clone(),
        follow,
        treeobj: false,
        inline_max: Some(0),
    };
    client.namespace(namespace).lookup(key, options).await
}

/// The state that an event is about, and the changes that led to it. `None` for parts of one that
/// is not complete.
pub(super) fn read_event(event: Event) -> Option<(At, Option<Changes>)> {
    match event {
        Event::Initial(initial) if initial.last => Some((At::Snapshot(initial.snapshot), None)),
        Event::Changes(changes) if changes.last => {
            Some((At::Snapshot(changes.snapshot.clone()), Some(changes)))
        }
        Event::Gap(gap) if gap.snapshot.is_empty() => Some((At::Current, None)),
        Event::Gap(gap) => Some((At::Snapshot(gap.snapshot), None)),
        Event::Initial(_)
        | Event::Changes(_)
        | Event::Created(_)
        | Event::Mark(_)
        | Event::Restart(_) => None,
    }
}
