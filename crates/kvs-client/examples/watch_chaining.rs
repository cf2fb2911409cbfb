//! Watch chaining without a blackout: a key tells that something new is there, and only then its
//! own watch is opened.
//!
//! The consumer watches `next-id`. For each id it opens a watch on `N.state` that begins *at the
//! version of the event*, not now: whatever the job has done meanwhile is told. To make it as hard
//! as can be, all jobs have come and gone before the consumer takes its first event. A daemon is
//! needed at `KVS_URI`; the exit status tells whether every state was seen.

use kvs_client::{
    Address, ChangeValue, Changes, Client, ClientError, ErrorCode, Event, Namespace, Transaction,
    WatchOptions, WatchStream,
};

const JOBS: usize = 20;
const STATES: [&str; 4] = ["submitted", "scheduled", "running", "done"];

#[tokio::main]
async fn main() -> Result<(), ClientError> {
    let client = Client::connect(&Address::from_env()?).await?;
    let primary = client.namespace("primary");
    let home = format!("example.chaining.{:x}", u128::from_be_bytes(client.id()));

    let next_id = format!("{home}.next-id");
    let mut ids = primary
        .watch(WatchOptions::new().key(next_id.clone()))
        .await?;
    for job in 0..JOBS {
        run(&primary, &home, job).await?;
    }

    for job in 0..JOBS {
        let event = changes(&mut ids).await?;
        expect("the id", &value(&event), &job.to_string())?;
        // Jobs are over by now. What matters is where the watch begins.
        let options = WatchOptions::new()
            .key(format!("{home}.{job}.state"))
            .from_version(event.position.version);
        let mut states = primary.watch(options).await?;
        for state in STATES {
            let seen = changes(&mut states).await?;
            expect(&format!("the state of job {job}"), &value(&seen), state)?;
        }
    }
    primary.commit(Transaction::new().unlink(home)).await?;
    println!("{JOBS} jobs, each with all of its {} states", STATES.len());
    Ok(())
}

/// The producer: announces a job, then lets it run as fast as it can.
async fn run(primary: &Namespace, home: &str, job: usize) -> Result<(), ClientError> {
    let next_id = format!("{home}.next-id");
    primary.put(next_id, job.to_string()).await?;
    for state in STATES {
        primary.put(format!("{home}.{job}.state"), state).await?;
    }
    Ok(())
}

async fn changes(stream: &mut WatchStream) -> Result<Changes, ClientError> {
    match stream.recv().await? {
        Event::Changes(changes) => Ok(changes),
        other => Err(failed(format!("{other:?} is no change"))),
    }
}

fn value(changes: &Changes) -> String {
    match changes.changes.first().map(|change| &change.value) {
        Some(ChangeValue::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    }
}

fn expect(what: &str, seen: &str, expected: &str) -> Result<(), ClientError> {
    if seen == expected {
        return Ok(());
    }
    Err(failed(format!("{what} is {seen:?}, not {expected:?}")))
}

fn failed(message: String) -> ClientError {
    ClientError::new(ErrorCode::NoData, message)
}
