//! Notify-read without drift: a callback reads other keys exactly as they were when its event
//! happened.
//!
//! A producer writes `state` and `detail` together, and then `detail` alone again and again. A
//! consumer is told of `state` only, and reads `detail` through the snapshot of the event: it sees
//! the one that belongs to it, however far the producer has got. It passes the snapshot reference
//! to "another service", a second client, which reads the same. A daemon is needed at `KVS_URI`;
//! the exit status tells whether all reads were of the state of their event.

use kvs_client::{
    Address, At, ChangeValue, Client, ClientError, ErrorCode, Event, Namespace, Snapshot,
    Transaction, WatchOptions,
};
use std::ops::ControlFlow::{self, Break, Continue};

const ROUNDS: u64 = 50;

#[tokio::main]
async fn main() -> Result<(), ClientError> {
    let address = Address::from_env()?;
    let client = Client::connect(&address).await?;
    let other = Client::connect(&address).await?.namespace("primary");
    let primary = client.namespace("primary");
    let home = format!("example.read.{:x}", u128::from_be_bytes(client.id()));

    let options = WatchOptions::new().key(format!("{home}.state"));
    let detail = format!("{home}.detail");
    let watch = primary
        .watch_with(options, move |event, snapshot| {
            let (detail, other) = (detail.clone(), other.clone());
            async move { check(&event, &snapshot, &detail, &other).await }
        })
        .await?;
    // The producer is done before the consumer has handled half of it.
    produce(&primary, &home).await?;
    watch.wait().await?;

    let now = text(primary.get(format!("{home}.detail")).await?);
    expect("the newest detail", &now, "later")?;
    primary.commit(Transaction::new().unlink(home)).await?;
    println!("{ROUNDS} events, each read at its own state");
    Ok(())
}

async fn produce(primary: &Namespace, home: &str) -> Result<(), ClientError> {
    let (state, detail) = (format!("{home}.state"), format!("{home}.detail"));
    for round in 1..=ROUNDS {
        let together = Transaction::new()
            .put(state.clone(), round.to_string())
            .put(detail.clone(), format!("of {round}"));
        primary.commit(together).await?;
        primary.put(detail.clone(), "later").await?;
    }
    Ok(())
}

async fn check(
    event: &Event,
    snapshot: &Snapshot,
    detail: &str,
    other: &Namespace,
) -> Result<ControlFlow<()>, ClientError> {
    let Event::Changes(changes) = event else {
        return Err(failed(format!("{event:?} is no change")));
    };
    let Some(ChangeValue::Bytes(state)) = changes.changes.first().map(|change| &change.value)
    else {
        return Err(failed("the event has no value".to_owned()));
    };
    let state = text(Some(state.clone()));
    let expected = format!("of {state}");
    expect("detail", &text(snapshot.get(detail).await?), &expected)?;
    let snapshot = snapshot.reference().unwrap_or_default();
    let same = other.get_at(detail, At::Snapshot(snapshot.into())).await?;
    expect("detail by reference", &text(same), &expected)?;
    let last = state == ROUNDS.to_string();
    Ok(if last { Break(()) } else { Continue(()) })
}

fn text(value: Option<bytes::Bytes>) -> String {
    let value = value.unwrap_or_default();
    String::from_utf8_lossy(&value).into_owned()
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
