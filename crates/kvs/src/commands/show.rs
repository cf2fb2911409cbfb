//! Looks up a key and prints it, as `kvs get` does once or repeatedly.

use anyhow::Result;
use clap::Args;
use kvs_client::{At, Client, Entry, ErrorCode, LookupAnswer, LookupOptions, ValueReader};
use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::{About as _, failure, is_directory, is_link};
use super::value::{Place, encoded, is_text};
use crate::output::{Encoding, EntryJson, Halves, Progress, Sink, version_of};

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
    /// Print one JSON object a value: key, value, value_base64 or treeobj, version and snapshot
    #[arg(long, conflicts_with_all = ["raw", "label"])]
    json: bool,
}

/// The JSON object of a tree object.
#[derive(Serialize)]
struct TreeobjJson<'o> {
    key: &'o str,
    treeobj: &'o RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    snapshot: &'o str,
}

impl Form {
    /// Looks up a key. For a tree object, a link at the key itself is not followed.
    pub(super) async fn look_up(
        self,
        client: &Client,
        namespace: &str,
        key: &str,
        at: &At,
    ) -> Result<LookupAnswer> {
        let mut options = LookupOptions::new().at(at.clone()).root();
        if self.treeobj {
            options = options.no_follow().treeobj().inline_max(0);
        }
        client
            .namespace(namespace)
            .lookup(key, options)
            .await
            .about(key)
    }

    /// Prints the result of a lookup. It is an error if it is not a value.
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
                    version: version_of(&found.snapshot),
                    snapshot: &found.snapshot,
                })?;
                return Ok(sink.line(&line)?);
            }
            Some(_) if self.treeobj => {
                self.begin(key, sink)?;
                return Ok(sink.line(found.treeobj.as_deref().unwrap_or_default())?);
            }
            Some(Entry::Value(value)) => value,
            Some(Entry::Directory(_)) => return Err(is_directory(key)),
            Some(Entry::Link(_)) => return Err(is_link(key)),
        };
        let place = Place::new(&found.namespace, &found.key, &found.snapshot, at);
        match &value.bytes {
            Some(bytes) => self.print_bytes(key, bytes, &found.snapshot, sink),
            None => {
                let reader = place.reader(client, 0, value.size);
                self.print_long(key, reader, &found.snapshot, sink).await
            }
        }
    }

    /// Prints a value of any length in pieces.
    pub(super) async fn print_long(
        self,
        key: &str,
        reader: ValueReader,
        snapshot: &str,
        sink: &mut Sink,
    ) -> Result<()> {
        if self.json {
            return long_json(key, reader, snapshot, sink).await;
        }
        self.begin(key, sink)?;
        let size = reader.size();
        let progress = (!sink.is_terminal()).then(|| Progress::of_bytes(key, Some(size)));
        encoded(reader, self.encoding(sink), key, async |bytes| {
            sink.raw(bytes)?;
            if let Some(progress) = &progress {
                progress.add(bytes.len() as u64);
            }
            Ok(())
        })
        .await?;
        self.end(size, sink)
    }

    /// Whether each value is one JSON object, which needs the whole value.
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// Encoding of the bytes of a value outside JSON.
    pub(super) fn encoding(self, sink: &Sink) -> Encoding {
        if self.raw || !sink.is_terminal() {
            Encoding::Exact
        } else {
            Encoding::Terminal
        }
    }

    /// Prints a value in memory, read at a snapshot.
    pub(super) fn print_bytes(
        self,
        key: &str,
        value: &[u8],
        snapshot: &str,
        sink: &mut Sink,
    ) -> Result<()> {
        if self.json {
            let line = EntryJson::value(key, value).at(snapshot).line()?;
            return Ok(sink.line(&line)?);
        }
        self.begin(key, sink)?;
        if self.raw {
            sink.raw(value)?;
        } else {
            sink.value(value)?;
        }
        self.end(value.len() as u64, sink)
    }

    /// Prints the label of a value, if requested.
    pub(super) fn begin(self, key: &str, sink: &mut Sink) -> Result<()> {
        if self.label {
            let label = format!("{}=", sink.clean(key));
            sink.text(&label)?;
        }
        Ok(())
    }

    /// Ends a value with a newline. An empty value prints nothing, not even that.
    pub(super) fn end(self, size: u64, sink: &mut Sink) -> Result<()> {
        if size > 0 && !self.raw {
            sink.text("\n")?;
        }
        Ok(())
    }
}

/// Prints a value of any length as one JSON object, in pieces. Reads it twice: first to check
/// whether it is UTF-8.
pub(super) async fn long_json(
    key: &str,
    reader: ValueReader,
    snapshot: &str,
    sink: &mut Sink,
) -> Result<()> {
    let text = is_text(reader.again(), key).await?;
    let encoding = match text {
        true => Encoding::Json,
        false => Encoding::Base64,
    };
    let Halves { before, after } = EntryJson::value_halves(key, text, snapshot)?;
    sink.text(&before)?;
    sink.text("\"")?;
    encoded(reader, encoding, key, async |bytes| Ok(sink.raw(bytes)?)).await?;
    sink.text("\"")?;
    Ok(sink.line(&after)?)
}
