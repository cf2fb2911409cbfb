//! Notify-control: consumers that react to an event by writing, without doing anything twice.
//!
//! Jobs come in as `N.state = pending`. Two controllers are told of each and both want to start it:
//! each commits "running, and one more started" on condition that the job is still pending *as it
//! was at the event*. One wins, the other is refused and does nothing. A commit whose answer is
//! lost is repeated by the client under its id, so the count needs no repair either. A daemon is
//! needed at `KVS_URI`; the exit status tells whether each job was started once and the count is
//! right.

use kvs_client::{
    Address, ChangeValue, Client, ClientError, ErrorCode, Event, Namespace, Snapshot, Transaction,
    WatchHandle, WatchOptions,
};
use std::ops::ControlFlow::{self, Break, Continue};

const JOBS: usize = 50;

#[tokio::main]
async fn main() -> Result<(), ClientError> {
    let address = Address::from_env()?;
    let client = Client::connect(&address).await?;
    let primary = client.namespace("primary");
    let home = format!("example.control.{:x}", u128::from_be_bytes(client.id()));

    let mut controllers = Vec::new();
    for name in ["left", "right"] {
        let own = Client::connect(&address).await?;
        controllers.push(control(own.namespace("primary"), &home, name).await?);
    }
    for job in 0..JOBS {
        primary
            .put(format!("{home}.job.{job}.state"), "pending")
            .await?;
    }
    // The last event ends a controller, and it is behind all that it has to do.
    primary.put(format!("{home}.job.end.state"), "end").await?;
    for controller in controllers {
        controller.wait().await?;
    }

    let started = number(&primary, format!("{home}.started")).await?;
    let by_left = number(&primary, format!("{home}.by.left")).await?;
    let by_right = number(&primary, format!("{home}.by.right")).await?;
    if started != JOBS || by_left + by_right != JOBS {
        let message = format!("{started} starts of {JOBS} jobs: {by_left} and {by_right}");
        return Err(failed(message));
    }
    for job in 0..JOBS {
        let state = primary.get(format!("{home}.job.{job}.state")).await?;
        if state.as_deref() != Some(b"running") {
            return Err(failed(format!("job {job} is {state:?}")));
        }
    }
    primary.commit(Transaction::new().unlink(home)).await?;
    println!("{JOBS} jobs started once: {by_left} by the one, {by_right} by the other");
    Ok(())
}

/// A controller: a callback on the states of all jobs.
async fn control(
    primary: Namespace,
    home: &str,
    name: &'static str,
) -> Result<WatchHandle, ClientError> {
    let options = WatchOptions::new().glob(format!("{home}.job.*.state"));
    let home = home.to_owned();
    primary
        .watch_with(options, move |event, snapshot| {
            let home = home.clone();
            async move { react(&event, &snapshot, &home, name).await }
        })
        .await
}

async fn react(
    event: &Event,
    snapshot: &Snapshot,
    home: &str,
    name: &str,
) -> Result<ControlFlow<()>, ClientError> {
    let Event::Changes(changes) = event else {
        return Err(failed(format!("{event:?} is no change")));
    };
    for change in &changes.changes {
        match &change.value {
            ChangeValue::Bytes(state) if state.as_ref() == b"pending" => {}
            ChangeValue::Bytes(state) if state.as_ref() == b"end" => return Ok(Break(())),
            _ => continue,
        }
        let start = Transaction::new()
            .if_unchanged(change.key.clone(), changes.position.version)
            .put(change.key.clone(), "running")
            .add(format!("{home}.started"), 1)
            .add(format!("{home}.by.{name}"), 1);
        match snapshot.namespace().commit(start).await {
            Ok(_) => {}
            // The other one was faster: there is nothing to undo.
            Err(error) if error.code == ErrorCode::ConditionFailed => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Continue(()))
}

async fn number(primary: &Namespace, key: String) -> Result<usize, ClientError> {
    let value = primary.get(key.clone()).await?.unwrap_or_default();
    let text = String::from_utf8_lossy(&value).into_owned();
    match text.as_str() {
        "" => Ok(0),
        text => text
            .parse()
            .map_err(|_| failed(format!("{key} is {text:?}, no number"))),
    }
}

fn failed(message: String) -> ClientError {
    ClientError::new(ErrorCode::NoData, message)
}
