//! `kvs get --watch` and `--waitcreate`: follows keys through their versions. Without
//! `--waitcreate`, all watches are open before the first value is printed.

use anyhow::Result;
use kvs_client::{At, Client, LookupAnswer};
use tokio::sync::mpsc;

use super::appending::Appending;
use super::events::snapshot;
use super::failure::About as _;
use super::followed::{Followed, Following, Opened, Seen, Sender, To};
use super::show::Form;
use crate::output::{Sink, reader_gone};

/// Versions that may be queued for printing.
const VERSIONS_AHEAD: usize = 16;

/// Waits until a key exists and returns its lookup.
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
    let Opened {
        mut watch,
        mut found,
    } = followed.open().await?;
    loop {
        if let Some(found) = found.filter(|found| found.entry.is_some()) {
            return Ok(found);
        }
        let event = watch.recv().await.about(key)?;
        found = match snapshot(&event) {
            Some(at) => followed.look_up(&at).await?,
            None => None,
        };
    }
}

/// Prints the current and each new value of all keys, until the count is reached.
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
        // A key that does not exist yet must not delay the others.
        let opened = if following.waitcreate {
            None
        } else {
            Some(followed.open().await?)
        };
        all.push((followed, opened));
    }
    let mut appending: Vec<Appending> = keys.iter().map(|_| Appending::default()).collect();
    let (sender, mut seen) = mpsc::channel(VERSIONS_AHEAD);
    for (index, (followed, opened)) in all.into_iter().enumerate() {
        spawn(followed, opened, index, sender.clone());
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
        let (index, seen) = next?;
        let (Some(key), Some(appending)) = (keys.get(index), appending.get_mut(index)) else {
            continue;
        };
        let counts = match seen {
            Seen::Found(found) => {
                form.print(client, key, &found, &At::Current, sink).await?;
                true
            }
            Seen::Bytes(bytes, at) => {
                form.print_bytes(key, &bytes, &at, sink)?;
                true
            }
            Seen::Grown { grown, at, .. } => appending.print(form, key, grown, &at, sink).await?,
        };
        sink.flush()?;
        printed += u64::from(counts);
        if counts && printed == following.count {
            return Ok(());
        }
    }
}

/// The appends to one key, as they arrive.
pub(super) struct Appends {
    seen: mpsc::Receiver<Result<(usize, Seen)>>,
}

impl Appends {
    /// Starts with the current value; with `waitcreate`, once there is one.
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
        spawn(followed, opened, 0, sender);
        Ok(Self { seen })
    }

    /// The current value, then each append; `None` after the end.
    pub(super) async fn next(&mut self) -> Result<Option<Seen>> {
        let next = self.seen.recv().await.transpose()?;
        Ok(next.map(|(_, seen)| seen))
    }
}

fn spawn(followed: Followed, opened: Option<Opened>, index: usize, sender: Sender) {
    tokio::spawn(async move {
        let to = To { index, sender };
        if let Err(error) = followed.run(opened, &to).await {
            // Without a receiver the program is about to end.
            let _ = to.sender.send(Err(error)).await;
        }
    });
}
