//! A value that arrives in pieces. It is written into its own pack as it arrives, so that memory
//! holds one piece and the edge of its chunk tree, whatever its length.
//!
//! The objects join a pack when a commit of the value is accepted. An upload that is dropped before
//! that, or cut off by a crash, leaves no trace. Nodes on the right edge of the chunk tree change
//! with each piece and are written each time (under 1% of the bytes). An unfinished pack cannot be
//! read, so the nodes of the last piece stay in memory.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kvs_tree::{Blobref, Ctx, Fault, Node, NodeSource, ObjectKind, StoreParams, Value};

use crate::error::{EngineError, ErrorKind};
use crate::limits::{OWN_PACK_BYTES, RECORD_VALUE_BYTES, UPLOAD_PIECE_BYTES};
use crate::pack::{PackWriter, Staged, StoreError};
use crate::stage::set_space_aside;
use crate::store::Store;

/// The value of a finished upload.
#[derive(Clone, Debug)]
pub(crate) enum Uploaded {
    /// Short enough for a record.
    Short(Bytes),
    /// Its objects are staged.
    Stored(Value),
}

/// An upload in progress, owned by its receiver; not durable until its commit.
pub struct Upload {
    store: Arc<Store>,
    work: Option<Box<Work>>,
    len: u64,
    limit: u64,
}

/// The part that is used where the disk may block.
struct Work {
    params: StoreParams,
    pack: Box<dyn PackWriter>,
    /// Everything but `pending`, as a value whose objects are in the pack.
    value: Option<Value>,
    edge: Edge,
    /// Bytes that are less than a piece.
    pending: BytesMut,
}

/// The nodes written for the last piece; they include the right edge, which the next piece extends.
#[derive(Default)]
struct Edge(HashMap<Blobref, Arc<Node>>);

impl NodeSource for Edge {
    fn node(&self, reference: &Blobref) -> Option<Arc<Node>> {
        self.0.get(reference).cloned()
    }

    fn blob(&self, _: &Blobref) -> Option<Bytes> {
        None
    }
}

impl Upload {
    /// An upload of at most `limit` bytes. Creates no file until there is a piece to write.
    pub(crate) fn begin(store: &Arc<Store>, limit: u64) -> Result<Self, EngineError> {
        let work = Work {
            params: *store.objects.params(),
            pack: store.objects.store().begin_pack()?,
            value: None,
            edge: Edge::default(),
            pending: BytesMut::new(),
        };
        Ok(Self {
            store: store.clone(),
            work: Some(Box::new(work)),
            len: 0,
            limit,
        })
    }

    /// Bytes received so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no bytes have arrived.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends bytes. Writes to the disk when a piece (1 MiB) is complete.
    ///
    /// # Errors
    /// `TooBig` over the limit; `NoSpace` or another failure of the disk. After an error, or if the
    /// future was dropped, further calls fail.
    pub async fn append(&mut self, more: Bytes) -> Result<(), EngineError> {
        let mut work = self.work.take().ok_or_else(failed)?;
        let len = self.len + more.len() as u64;
        if len > self.limit {
            let message = format!("an upload has at most {} bytes", self.limit);
            return Err(EngineError::new(ErrorKind::TooBig, message));
        }
        let piece = UPLOAD_PIECE_BYTES;
        if work.pending.len() + more.len() < piece {
            work.pending.extend_from_slice(&more);
        } else {
            let write = move |_: &Arc<Store>| {
                work.take_in(more)?;
                Ok(work)
            };
            work = self.store.offload_write(write).await?;
        }
        self.work = Some(work);
        self.len = len;
        Ok(())
    }

    /// Writes the rest. Returns the value and the objects to be committed with it. A long value, or
    /// one that is to be `alone`, is synced as a pack that only has to be named.
    pub(crate) async fn finish(mut self, alone: bool) -> Result<(Uploaded, Staged), EngineError> {
        let mut work = self.work.take().ok_or_else(failed)?;
        let stored = self.len > RECORD_VALUE_BYTES;
        let whole = alone || self.len >= OWN_PACK_BYTES;
        let finish = move |store: &Arc<Store>| {
            if stored {
                let rest = work.pending.split().freeze();
                work.write(rest)?;
            }
            let Work {
                pack,
                value,
                pending,
                ..
            } = *work;
            let staged = set_space_aside(store, pack.set_aside(whole)?)?;
            let uploaded = match value {
                Some(value) => Uploaded::Stored(value),
                None => Uploaded::Short(pending.freeze()),
            };
            Ok((uploaded, staged))
        };
        self.store.offload_write(finish).await
    }
}

fn failed() -> EngineError {
    let message = "the upload failed earlier: start it again";
    EngineError::new(ErrorKind::Invalid, message)
}

impl Work {
    /// Writes whole pieces and keeps the rest. Pieces begin at multiples of their length, where a
    /// chunk begins, so no chunk is written twice.
    fn take_in(&mut self, more: Bytes) -> Result<(), EngineError> {
        let mut more = more;
        if !self.pending.is_empty() {
            let missing = UPLOAD_PIECE_BYTES - self.pending.len();
            self.pending.extend_from_slice(&more.split_to(missing));
            let piece = self.pending.split().freeze();
            self.write(piece)?;
        }
        while more.len() >= UPLOAD_PIECE_BYTES {
            let piece = more.split_to(UPLOAD_PIECE_BYTES);
            self.write(piece)?;
        }
        self.pending.extend_from_slice(&more);
        Ok(())
    }

    fn write(&mut self, piece: Bytes) -> Result<(), EngineError> {
        if piece.is_empty() {
            return Ok(());
        }
        let params = self.params;
        let value = match self.value.take() {
            None => Value::new(&params, piece),
            Some(mut value) => {
                let source = &self.edge;
                let ctx = Ctx {
                    source,
                    params: &params,
                };
                value.append(&ctx, &piece).map_err(unexpected)?;
                value
            }
        };
        let mut edge = Edge::default();
        let mut trouble: Option<EngineError> = None;
        value.unwritten(&params, &|_| false, &mut |reference, kind, bytes| {
            if trouble.is_some() {
                return;
            }
            let added = self.pack.add(&reference, &bytes);
            trouble = added.err().map(|e: StoreError| e.into());
            if kind == ObjectKind::Node {
                match Node::decode(params.algorithm, &bytes) {
                    Ok(node) => drop(edge.0.insert(reference, Arc::new(node))),
                    Err(error) => trouble = Some(error.into()),
                }
            }
        });
        if let Some(error) = trouble {
            return Err(error);
        }
        self.edge = edge;
        self.value = Some(value.detach(&params, &|_| true));
        Ok(())
    }
}

fn unexpected(fault: Fault) -> EngineError {
    match fault {
        Fault::Tree(error) => error.into(),
        other => EngineError::corrupt(format!("an upload's value cannot go on: {other}")),
    }
}
