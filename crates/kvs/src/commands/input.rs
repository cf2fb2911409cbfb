//! A value from standard input, however long: a short one in memory, a long one sent piece by piece
//! as it comes, so that memory holds a few pieces of it.

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::{Result, anyhow};
use bytes::{Bytes, BytesMut};
use kvs_client::{Client, Uploaded};
use kvs_proto::UPLOAD_CHUNK_BYTES;
use tokio::sync::mpsc;

use super::failure::About as _;
use crate::output::{Progress, reason};

/// How often the daemon hears of an upload for which nothing comes.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// What standard input held.
pub(super) enum Input {
    /// All of it.
    Short(Bytes),
    /// The daemon has it.
    Long(Uploaded),
}

/// Takes all of standard input; who reads it a second time finds it empty.
pub(super) async fn take(client: &Client, key: &str) -> Result<Input> {
    let mut pieces = pieces();
    let Some(first) = pieces.recv().await.transpose()? else {
        return Ok(Input::Short(Bytes::new()));
    };
    if first.len() < UPLOAD_CHUNK_BYTES {
        return Ok(Input::Short(first));
    }
    let progress = Progress::of_bytes(key, size());
    let mut upload = client.upload().await.about(key)?;
    progress.add(first.len() as u64);
    upload.write(first).await.about(key)?;
    loop {
        tokio::select! {
            piece = pieces.recv() => match piece.transpose()? {
                Some(piece) => {
                    progress.add(piece.len() as u64);
                    upload.write(piece).await.about(key)?;
                }
                None => break,
            },
            () = tokio::time::sleep(KEEP_ALIVE) => upload.keep_alive().await.about(key)?,
        }
    }
    Ok(Input::Long(upload.finish().await.about(key)?))
}

/// Bytes of standard input, if it is a file.
fn size() -> Option<u64> {
    let input = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
    let metadata = std::fs::File::from(input).metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}

/// Standard input in pieces of full length, the last one excepted. A thread reads it, as that
/// cannot be waited for otherwise; it ends with the input, the receiver or the process.
fn pieces() -> mpsc::Receiver<Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut piece = BytesMut::zeroed(UPLOAD_CHUNK_BYTES);
            let mut len = 0;
            while let Some(room) = piece.get_mut(len..).filter(|room| !room.is_empty()) {
                match stdin.read(room) {
                    Ok(0) => break,
                    Ok(count) => len += count,
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        let _ = sender.blocking_send(Err(anyhow!("stdin: {}", reason(&error))));
                        return;
                    }
                }
            }
            piece.truncate(len);
            let last = len < UPLOAD_CHUNK_BYTES;
            if len > 0 && sender.blocking_send(Ok(piece.freeze())).is_err() {
                return;
            }
            if last {
                return;
            }
        }
    });
    receiver
}
