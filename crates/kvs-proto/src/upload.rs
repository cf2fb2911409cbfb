//! Values too long for one frame, sent in pieces and then committed by a `put_upload` operation.

use crate::payload;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Opens an upload for a namespace; the id of this request identifies it from then on. It ends when
/// a commit takes it, by `cancel` under its id, with its connection, or after some time without
/// data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The namespace of the commit that will take it.
    pub namespace: SmolStr,
}

/// Adds bytes to an upload. The empty answer confirms that they were accepted; keep a small number
/// of pieces unanswered to fill the pipe. A piece without bytes keeps the upload from expiring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadData {
    /// The id under which the upload was opened.
    pub upload: u64,
    /// The number of bytes sent for it before.
    pub offset: u64,
    /// The bytes, at most `UPLOAD_CHUNK_BYTES`.
    #[serde(with = "payload")]
    pub bytes: Bytes,
}
