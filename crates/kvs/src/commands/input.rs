//! Reads a value of any length from standard input: a short one into memory, a long one uploaded in
//! pieces as it arrives. Memory holds a few pieces.

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::{Result, anyhow};
use bytes::{Bytes, BytesMut};
use kvs_client::{Namespace, Uploaded};
use kvs_proto::UPLOAD_CHUNK_BYTES;
use tokio::sync::mpsc;

use super::failure::About as _;
use crate::output::{Progress, reason};

/// Interval at which an idle upload is kept alive.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// The contents of standard input.
pub(super) enum Input {
    /// In memory.
    Short(Bytes),
    /// Uploaded to the daemon.
    Long(Uploaded),
}

/// Reads all of standard input; a second call returns an empty value.
pub(super) async fn take(namespace: &Namespace, key: &str) -> Result<Input> {
    let mut pieces = pieces();
    let Some(first) = pieces.recv().await.transpose()? else {
        return Ok(Input::Short(Bytes::new()));
    };
    if first.len() < UPLOAD_CHUNK_BYTES {
        return Ok(Input::Short(first));
    }
    let progress = Progress::of_bytes(key, size());
    let mut upload = namespace.upload().await.about(key)?;
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

/// Size of standard input in bytes, if it is a file.
fn size() -> Option<u64> {
    let input = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
    let metadata = std::fs::File::from(input).metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}

/// Reads standard input in pieces, all of full length except the last. Reading blocks, so a thread
/// does it; it ends with the input, the receiver or the process.
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
