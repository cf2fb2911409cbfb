//! Values too long for one frame, sent in pieces and then committed by an operation `put_upload`.

use crate::payload;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Opens an upload for a namespace, named by the id of this request from then on. It ends when a
/// commit takes it, by `cancel` under that id, with its connection, or when nothing was sent for it
/// for some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The namespace of the commit that takes it.
    pub namespace: SmolStr,
}

/// Adds bytes to an upload. Answered (empty) when they were taken in: whoever lets a few go
/// unanswered, and no more, keeps the pipe full. None may be empty of effect: without bytes it
/// keeps the upload from being forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadData {
    /// The id under which the upload was opened.
    pub upload: u64,
    /// How many bytes were sent for it before.
    pub offset: u64,
    /// The bytes, at most `UPLOAD_CHUNK_BYTES`.
    #[serde(with = "payload")]
    pub bytes: Bytes,
}
