//! Looking a key up and printing it, as `kvs get` does once or again and again.

use anyhow::Result;
use clap::Args;
use kvs_client::{At, Client, Entry, ErrorCode, LookupAnswer, LookupOptions};
use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::{About as _, failure};
use super::value::{Place, stream, whole};
use crate::output::{EntryJson, OutputError, Progress, Sink};

/// In which form values are printed.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Form {
    /// Print exactly the value, without a newline
    #[arg(short, long)]
    pub(super) raw: bool,
    /// Print the tree object (JSON)
    #[arg(short, long, conflicts_with = "raw")]
    pub(super) treeobj: bool,
    /// Print the key and = before each value
    #[arg(short, long)]
    label: bool,
    /// Print one JSON object a value: key, and value, value_base64 or treeobj
    #[arg(long, conflicts_with_all = ["raw", "label"])]
    json: bool,
}

/// A tree object, as `--json` prints it.
#[derive(Serialize)]
struct TreeobjJson<'o> {
    key: &'o str,
    treeobj: &'o RawValue,
}

impl Form {
    /// Looks a key up as this form needs it: a link at the key itself is a tree object, too.
    pub(super) async fn look_up(
        self,
        client: &Client,
        namespace: &str,
        key: &str,
        at: &At,
    ) -> Result<LookupAnswer> {
        let mut options = LookupOptions::new().at(at.clone());
        if self.treeobj {
            options = options.no_follow().treeobj().inline_max(0);
        }
        client
            .namespace(namespace)
            .lookup(key, options)
            .await
            .about(key)
    }

    /// Prints what was found, or says why it is no value.
    pub(super) async fn print(
        self,
        client: &Client,
        key: &str,
        found: &LookupAnswer,
        at: &At,
        sink: &mut Sink,
    ) -> Result<()> {
        let value = match found.entry.as_ref() {
            None => return Err(failure(key, ErrorCode::NotFound)),
            Some(_) if self.treeobj && self.json => {
                let object: Box<RawValue> =
                    serde_json::from_str(found.treeobj.as_deref().unwrap_or_default())?;
                let line = serde_json::to_string(&TreeobjJson {
                    key,
                    treeobj: &object,
                })?;
                return Ok(sink.line(&line)?);
            }
            Some(_) if self.treeobj => {
                self.label(key, sink)?;
                return Ok(sink.line(found.treeobj.as_deref().unwrap_or_default())?);
            }
            Some(Entry::Value(value)) => value,
            Some(Entry::Directory(_)) => return Err(failure(key, ErrorCode::IsDirectory)),
            Some(Entry::Link(_)) => return Err(failure(key, ErrorCode::Invalid)),
        };
        let place = Place::new(&found.namespace, &found.key, &found.snapshot, at);
        if self.json {
            let bytes = whole(client, &place, value).await.about(key)?;
            return self.print_bytes(key, &bytes, sink);
        }
        self.label(key, sink)?;
        let progress = match (&value.bytes, sink.is_terminal()) {
            (None, false) => Some(Progress::of_bytes(key, Some(value.size))),
            _ => None,
        };
        stream(client, &place, value, key, |piece| {
            self.piece(piece, sink)?;
            if let Some(progress) = &progress {
                progress.add(piece.len() as u64);
            }
            Ok(())
        })
        .await?;
        self.end(value.size, sink)
    }

    /// Prints a value that is at hand.
    pub(super) fn print_bytes(self, key: &str, value: &[u8], sink: &mut Sink) -> Result<()> {
        if self.json {
            return Ok(sink.line(&EntryJson::value(key, value).line()?)?);
        }
        self.label(key, sink)?;
        self.piece(value, sink)?;
        self.end(value.len() as u64, sink)
    }

    fn label(self, key: &str, sink: &mut Sink) -> Result<()> {
        if self.label {
            let label = format!("{}=", sink.clean(key));
            sink.text(&label)?;
        }
        Ok(())
    }

    fn piece(self, piece: &[u8], sink: &mut Sink) -> Result<(), OutputError> {
        if self.raw {
            sink.raw(piece)
        } else {
            sink.value(piece)
        }
    }

    /// A value of no length prints nothing, not even its newline.
    fn end(self, size: u64, sink: &mut Sink) -> Result<()> {
        if size > 0 && !self.raw {
            sink.text("\n")?;
        }
        Ok(())
    }
}
