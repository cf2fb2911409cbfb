//! Sending a value in pieces, and reading one: a few requests are under way at a time, so memory
//! holds these and no more.

use crate::client::Client;
use crate::error::ClientError;
use crate::limits::{READ_AHEAD, READ_PIECE_BYTES, UPLOAD_AHEAD};
use crate::namespace::Namespace;
use crate::pending::{Open, Pending};
use crate::transaction::Uploaded;
use bytes::Bytes;
use kvs_proto::{
    At, Empty, ErrorCode, Read, ReadAnswer, UPLOAD_CHUNK_BYTES, Upload as OpenUpload, UploadData,
};
use smol_str::SmolStr;
use std::collections::VecDeque;

/// A value on its way to the daemon. It is bound to the connection: if that is lost, the upload is,
/// too.
#[derive(Debug)]
pub struct Upload {
    client: Client,
    id: u64,
    size: u64,
    unanswered: VecDeque<Pending<Empty>>,
}

impl Namespace {
    /// Begins to send a value of any length, to be put into this namespace. Nothing of it is seen
    /// before it is committed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use kvs_client::Transaction;
    /// let primary = client.namespace("primary");
    /// let mut upload = primary.upload().await?;
    /// for _ in 0..3 {
    ///     upload.write(vec![0; 1 << 20]).await?;
    /// }
    /// let uploaded = upload.finish().await?;
    /// primary.commit(Transaction::new().put_upload("doc.upload.a", uploaded)).await?;
    /// # Ok(()) }
    /// ```
    pub async fn upload(&self) -> Result<Upload, ClientError> {
        let queue = &self.client.queue;
        let place = queue.place().await?;
        let open = OpenUpload {
            namespace: self.name.clone(),
        };
        let (id, opened) = queue.request(place, open.into());
        let opened = Pending::new(opened, Open::new());
        Ok(Upload {
            client: self.client.clone(),
            id,
            size: 0,
            unanswered: VecDeque::from([opened]),
        })
    }
}

impl Upload {
    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Sends the next bytes. Waits while a few pieces are not taken in yet. An error ends the
    /// upload.
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<(), ClientError> {
        let mut bytes: Bytes = bytes.into();
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(UPLOAD_CHUNK_BYTES));
            self.send(piece).await?;
        }
        Ok(())
    }

    /// Keeps the upload from being forgotten (after a minute) while there is nothing to send.
    pub async fn keep_alive(&mut self) -> Result<(), ClientError> {
        self.send(Bytes::new()).await
    }

    async fn send(&mut self, bytes: Bytes) -> Result<(), ClientError> {
        while self.unanswered.len() >= UPLOAD_AHEAD {
            self.answered().await?;
        }
        let (upload, offset) = (self.id, self.size);
        self.size += bytes.len() as u64;
        let data = UploadData {
            upload,
            offset,
            bytes,
        };
        let sent = self.client.submit(data, Open::new()).await?;
        self.unanswered.push_back(sent);
        Ok(())
    }

    async fn answered(&mut self) -> Result<(), ClientError> {
        match self.unanswered.pop_front() {
            Some(first) => first.await.map(drop),
            None => Ok(()),
        }
    }

    /// Waits until the daemon has all of it.
    pub async fn finish(mut self) -> Result<Uploaded, ClientError> {
        while !self.unanswered.is_empty() {
            self.answered().await?;
        }
        let (id, size) = (self.id, self.size);
        Ok(Uploaded { id, size })
    }
}

/// A value that is read piece by piece, in order.
#[derive(Debug)]
pub struct ValueReader {
    namespace: Namespace,
    key: SmolStr,
    at: At,
    /// All of it, if it is at hand.
    whole: Option<Bytes>,
    from: u64,
    asked: u64,
    given: u64,
    end: u64,
    ahead: VecDeque<Pending<ReadAnswer>>,
}

impl Namespace {
    /// Reads the bytes from `from` to `end` of a value piece by piece. `at` should be a snapshot or
    /// version, such as the answer to a lookup told: then all pieces are of one value.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use kvs_client::At;
    /// let primary = client.namespace("primary");
    /// let committed = primary.put("doc.reader.a", "0123456789").await?;
    /// let mut reader = primary.reader("doc.reader.a", At::Snapshot(committed.snapshot()), 2, 7);
    /// while let Some(piece) = reader.next().await? {
    ///     assert_eq!(piece, "23456");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn reader(&self, key: impl Into<SmolStr>, at: At, from: u64, end: u64) -> ValueReader {
        ValueReader {
            namespace: self.clone(),
            key: key.into(),
            at,
            whole: None,
            from,
            asked: from,
            given: from,
            end: end.max(from),
            ahead: VecDeque::new(),
        }
    }
}

impl ValueReader {
    /// Reads bytes that are at hand, for code that takes a value of either kind. Costs nothing.
    pub fn of_bytes(client: &Client, bytes: Bytes) -> Self {
        let end = bytes.len() as u64;
        let whole = Some(bytes);
        ValueReader {
            whole,
            ..client.namespace("").reader("", At::Current, 0, end)
        }
    }

    /// How many bytes there are in all.
    pub fn size(&self) -> u64 {
        self.end - self.from
    }

    /// A reader of the same bytes that begins anew.
    pub fn again(&self) -> ValueReader {
        let (key, at) = (self.key.clone(), self.at.clone());
        ValueReader {
            whole: self.whole.clone(),
            ..self.namespace.reader(key, at, self.from, self.end)
        }
    }

    /// The next piece; `None` at the end. A value that ends before `end` is `corrupt`.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        if let Some(whole) = &self.whole {
            let is_first = self.given < self.end;
            self.given = self.end;
            return Ok(is_first.then(|| whole.clone()));
        }
        while self.asked < self.end && self.ahead.len() < READ_AHEAD {
            let length = READ_PIECE_BYTES.min(self.end - self.asked);
            let read = Read {
                namespace: self.namespace.name().into(),
                key: self.key.clone(),
                at: self.at.clone(),
                offset: self.asked,
                length,
            };
            let sent = self.namespace.client().submit(read, Open::new());
            self.ahead.push_back(sent.await?);
            self.asked += length;
        }
        let Some(first) = self.ahead.pop_front() else {
            return Ok(None);
        };
        let piece = first.await?.bytes;
        let due = READ_PIECE_BYTES.min(self.end - self.given);
        if piece.len() as u64 != due {
            let message = format!("{}: the value ends before its length", self.key);
            return Err(ClientError::new(ErrorCode::Corrupt, message));
        }
        self.given += due;
        Ok(Some(piece))
    }
}
