//! A job status client: one watch of all job states; for each event, reads the rest of the job at
//! the event's snapshot.
//!
//! Runs as the hidden subcommand `kvs demo-client`. Its record file is its only state: killed at
//! any moment, it resumes after the last version in the file.

use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use kvs_client::{Address, At, ChangeValue, Changes, Client, Event, Namespace, WatchOptions};
use smol_str::SmolStr;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::job::{STATE_SCOPE, Transition};
use super::record::{Handled, Record};
use crate::output::{complain, print};

/// Prefetch limit of the slow client, in events; it pauses after as many.
const SLOW_PREFETCH: u64 = 4;

/// Length of the pause.
const SLOW_PAUSE: Duration = Duration::from_millis(2);

/// Options of a status client.
#[derive(Clone, Debug)]
pub(crate) struct ClientOptions {
    /// Path of the record file.
    pub(crate) record: PathBuf,
    /// Fetch little ahead, and pause.
    pub(crate) slow: bool,
    /// Number of transitions after which it stops and waits to be killed.
    pub(crate) hold_at: Option<u64>,
}

/// Watches until the version given on standard input has been handled.
pub(crate) async fn run(options: &ClientOptions, address: &Address) -> anyhow::Result<()> {
    let (mut record, before) = Record::open(&options.record)?;
    let mut count: u64 = before
        .iter()
        .map(|handled| handled.transitions.len() as u64)
        .sum();
    let mut newest = before.last().map_or(0, |handled| handled.version);
    let client = Client::connect(address).await?;
    let namespace = client.namespace("primary");
    let mut wanted = WatchOptions::new()
        .scope(STATE_SCOPE)
        .from_version(newest + 1);
    if options.slow {
        wanted = wanted.prefetch(SLOW_PREFETCH);
    }
    let mut stream = namespace.watch(wanted).await?;
    let mut last = last_version();
    let mut events = 0;
    while last.borrow().is_none_or(|last| newest < last) {
        let event = tokio::select! {
            event = stream.recv() => event?,
            _ = last.changed() => continue,
        };
        let changes = match event {
            Event::Changes(changes) => changes,
            Event::Gap(gap) => {
                complain(&format!(
                    "kvs demo: versions up to {} are lost",
                    gap.to.version
                ));
                continue;
            }
            _ => continue,
        };
        let handled = handle(&namespace, &changes).await;
        record.add(&handled)?;
        newest = handled.version;
        count += handled.transitions.len() as u64;
        print(&count.to_string())?;
        if options.hold_at.is_some_and(|hold_at| count >= hold_at) {
            pending::<()>().await;
        }
        events += 1;
        if options.slow && events % SLOW_PREFETCH == 0 {
            tokio::time::sleep(SLOW_PAUSE).await;
        }
    }
    Ok(())
}

/// Extracts the transitions from an event and checks each against the rest of its job.
async fn handle(namespace: &Namespace, changes: &Changes) -> Handled {
    let found = changes
        .changes
        .iter()
        .filter_map(|change| match &change.value {
            ChangeValue::Bytes(value) => Transition::from_change(&change.key, value),
            ChangeValue::None | ChangeValue::Large { .. } | ChangeValue::Link(_) => None,
        });
    let transitions: Vec<Transition> = found.collect();
    let mut checks = JoinSet::new();
    for transition in &transitions {
        checks.spawn(fits(
            namespace.clone(),
            changes.snapshot.clone(),
            *transition,
        ));
    }
    let fitting = checks
        .join_all()
        .await
        .into_iter()
        .filter(|fits| *fits)
        .count();
    let drifted = (transitions.len() - fitting) as u64;
    Handled {
        version: changes.position.version,
        transitions,
        drifted,
    }
}

/// Whether the transition's companions, read at the event's snapshot, match its state.
async fn fits(namespace: Namespace, snapshot: SmolStr, transition: Transition) -> bool {
    let read = |companion: &'static str| {
        let (namespace, at) = (namespace.clone(), At::Snapshot(snapshot.clone()));
        async move {
            match namespace.get_at(transition.key(companion), at).await {
                Ok(value) => value.is_some_and(|value| value == transition.expected(companion)),
                Err(error) => {
                    let key = transition.key(companion);
                    complain(&format!("kvs demo: reading {key} at the event: {error}"));
                    false
                }
            }
        }
    };
    let [first, second, third] = Transition::COMPANIONS.map(read);
    let (first, second, third) = tokio::join!(first, second, third);
    first && second && third
}

/// Receives the version on standard input. It is 0 if the input ends without one, so that a client
/// does not outlive the demo.
fn last_version() -> watch::Receiver<Option<u64>> {
    let (sender, receiver) = watch::channel(None);
    tokio::spawn(async move {
        let line = BufReader::new(tokio::io::stdin()).lines().next_line().await;
        let version = line
            .ok()
            .flatten()
            .and_then(|line| line.trim().parse().ok());
        sender.send_replace(Some(version.unwrap_or(0)));
    });
    receiver
}
