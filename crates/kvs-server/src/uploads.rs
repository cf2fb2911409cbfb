//! The uploads of one connection: values that arrive in pieces, to be used by a later commit.
//!
//! The pieces of an upload are processed in order of arrival, each by a request that is answered
//! when the engine has accepted it. So requests in flight bound the memory, and the engine keeps
//! only the edge of the value. An upload that no commit has taken is dropped with the connection,
//! or after some time without data.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use kvs_engine::{CommitRequest, Engine, EngineError, ErrorKind, Principal, Upload};
use kvs_proto as wire;
use kvs_proto::{ErrorCode, UPLOAD_CHUNK_BYTES};
use smol_str::SmolStr;
use tokio::sync::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

use super::failure::Failure;
use super::ops::Answer;
use super::shared::{Shared, UploadPlace};
use super::work::Pending;
use crate::limits::{
    CONNECTION_UPLOADS, GUEST_CONNECTION_UPLOADS, GUEST_UPLOAD_BYTES, UPLOAD_BYTES, UPLOAD_TIMEOUT,
};

/// An upload; empty once a commit has taken it.
type Slot = Arc<Mutex<Option<Upload>>>;

struct Open {
    namespace: SmolStr,
    slot: Slot,
    used: Instant,
    _place: UploadPlace,
}

/// The open uploads of one connection.
#[derive(Default)]
pub(crate) struct Uploads {
    open: HashMap<u64, Open>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes of pieces in flight.
    bytes: Arc<AtomicUsize>,
}

/// Releases the room of a piece on drop.
struct InWork(Arc<AtomicUsize>, usize);

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// The uploads that a commit has taken.
#[derive(Default)]
pub(crate) struct Taken(Vec<(usize, Open, u64)>);

impl Uploads {
    /// Bytes of pieces in flight.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Opens an upload under the id of a request.
    pub(crate) fn open(
        &mut self,
        shared: &Arc<Shared>,
        caller: Principal,
        id: u64,
        namespace: SmolStr,
    ) -> Result<(), Failure> {
        let guest = shared.is_guest(caller);
        let (most, limit) = if guest {
            (GUEST_CONNECTION_UPLOADS, GUEST_UPLOAD_BYTES)
        } else {
            (CONNECTION_UPLOADS, UPLOAD_BYTES)
        };
        if self.open.contains_key(&id) {
            let message = format!("upload {id} is open already");
            return Err(Failure::new(ErrorCode::BadRequest, message));
        }
        if self.open.len() >= most {
            let message = format!("{most} uploads are open on this connection");
            return Err(Failure::new(ErrorCode::Limit, message));
        }
        let Some(place) = shared.enter_upload(caller) else {
            let message = "too many uploads are open on this daemon";
            return Err(Failure::new(ErrorCode::Limit, message));
        };
        let upload = shared.engine.upload(caller, &namespace, limit)?;
        let slot = Arc::new(Mutex::new(Some(upload)));
        let used = Instant::now();
        let _place = place;
        let open = Open {
            namespace,
            slot,
            used,
            _place,
        };
        self.open.insert(id, open);
        self.timer
            .get_or_insert_with(|| Box::pin(sleep_until(used + UPLOAD_TIMEOUT)));
        Ok(())
    }

    /// Drops an upload; false if there is none.
    pub(crate) fn cancel(&mut self, id: u64) -> bool {
        self.open.remove(&id).is_some()
    }

    /// Drops all uploads.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
    }

    /// Processes a piece. The upload ends if a piece is too long or out of order, or if the caller
    /// loses the right to write to its namespace.
    pub(crate) fn data(
        &mut self,
        (engine, caller): (&Engine, Principal),
        data: wire::UploadData,
    ) -> Result<Pending<Result<Answer, Failure>>, Failure> {
        if data.bytes.len() > UPLOAD_CHUNK_BYTES {
            self.open.remove(&data.upload);
            let message = format!("a piece of an upload has at most {UPLOAD_CHUNK_BYTES} bytes");
            return Err(Failure::new(ErrorCode::TooBig, message));
        }
        let open = self.open.get_mut(&data.upload);
        let open = open.ok_or_else(|| Failure::from(lost(data.upload)))?;
        if let Err(refusal) = engine.may_write(caller, &open.namespace) {
            self.open.remove(&data.upload);
            return Err(refusal.into());
        }
        open.used = Instant::now();
        let len = data.bytes.len();
        self.bytes.fetch_add(len, Ordering::Relaxed);
        let in_work = InWork(self.bytes.clone(), len);
        let slot = open.slot.clone();
        Ok(Box::pin(async move {
            let _in_work = in_work;
            let mut slot = slot.lock().await;
            let upload = slot.as_mut().ok_or_else(|| lost(data.upload))?;
            if data.offset != upload.len() {
                let message = format!(
                    "a piece for offset {} of an upload that has {} bytes",
                    data.offset,
                    upload.len()
                );
                *slot = None;
                return Err(Failure::new(ErrorCode::Invalid, message));
            }
            upload.append(data.bytes).await?;
            Ok(Answer::Done)
        }))
    }

    /// Takes the uploads that a commit refers to. Each can be taken once.
    pub(crate) fn take(&mut self, commit: &wire::Commit) -> Result<Taken, EngineError> {
        let mut taken = Taken::default();
        for (index, operation) in commit.operations.iter().enumerate() {
            if let wire::Operation::PutUpload { upload, size, .. } = operation {
                let open = self.open.remove(upload).ok_or_else(|| lost(*upload))?;
                if open.namespace != commit.namespace {
                    let message = format!("upload {upload} is for namespace {}", open.namespace);
                    return Err(EngineError::new(ErrorKind::Invalid, message));
                }
                taken.0.push((index, open, *size));
            }
        }
        Ok(taken)
    }

    /// Drops uploads without data for too long.
    pub(crate) fn poll_expire(&mut self, cx: &mut Context<'_>) {
        while let Some(timer) = &mut self.timer {
            if timer.as_mut().poll(cx) == Poll::Pending {
                return;
            }
            let now = Instant::now();
            self.open.retain(|_, open| open.used + UPLOAD_TIMEOUT > now);
            let next = self.open.values().map(|open| open.used).min();
            match next {
                Some(used) => timer.as_mut().reset(used + UPLOAD_TIMEOUT),
                None => self.timer = None,
            }
        }
    }
}

impl Taken {
    /// Whether the commit took no uploads.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Inserts the uploaded values into the operations that refer to them. If that fails, the
    /// request is refused.
    pub(crate) async fn fill(self, engine: &Engine, request: &mut CommitRequest) {
        for (index, open, size) in self.0 {
            // Waits for pieces that arrived before the commit.
            let Some(upload) = open.slot.lock().await.take() else {
                return request.refuse(EngineError::new(ErrorKind::Invalid, "no upload"));
            };
            if upload.len() != size {
                let message = format!("an upload of {} bytes, not {size}", upload.len());
                return request.refuse(EngineError::new(ErrorKind::Invalid, message));
            }
            engine.take_upload(upload, request, index).await;
        }
    }
}

fn lost(id: u64) -> EngineError {
    let message = format!(
        "upload {id} is not open: it ends with its connection, when a commit takes it, and after {} seconds without news",
        UPLOAD_TIMEOUT.as_secs()
    );
    EngineError::new(ErrorKind::Invalid, message)
}
