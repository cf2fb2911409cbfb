//! `kvs get --watch` and `--waitcreate`: keys followed through their versions. All watches stand
//! before the first value is printed.

use anyhow::Result;
use kvs_client::{At, Client, LookupAnswer};
use tokio::sync::mpsc;

use super::appending::Appending;
use super::events::snapshot;
use super::failure::About as _;
use super::followed::{Followed, Following, Opened, Seen, Sender, To};
use super::show::Form;
use crate::output::{Sink, reader_gone};

/// Versions that may wait to be printed.
const VERSIONS_AHEAD: usize = 16;

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

/// What is appended to one key, as it comes.
pub(super) struct Appends {
    seen: mpsc::Receiver<Result<(usize, Seen)>>,
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
        spawn(followed, opened, 0, sender);
        Ok(Self { seen })
    }

    /// The value that is there, then what is appended to it; `None` when that has ended.
    pub(super) async fn next(&mut self) -> Result<Option<Seen>> {
        let next = self.seen.recv().await.transpose()?;
        Ok(next.map(|(_, seen)| seen))
    }
}

fn spawn(followed: Followed, opened: Option<Opened>, index: usize, sender: Sender) {
    tokio::spawn(async move {
        let to = To { index, sender };
        if let Err(error) = followed.run(opened, &to).await {
            // Without a reader the program is about to end.
            let _ = to.sender.send(Err(error)).await;
        }
    });
}
