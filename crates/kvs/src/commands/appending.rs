//! `kvs get --watch --append`: prints the value, then each append separately.

use std::ops::ControlFlow;

use anyhow::Result;

use super::growth::{Grown, Growth};
use super::show::Form;
use crate::limits::APPEND_JSON_BYTES;
use crate::output::{Pieces, Sink};

/// State of printing a value that grows.
#[derive(Default)]
pub(super) struct Appending {
    growth: Growth,
    begun: bool,
    /// The append that has been printed in part.
    open: Option<Open>,
    /// With JSON: the bytes of the current append so far.
    object: Vec<u8>,
}

struct Open {
    pieces: Pieces,
    size: u64,
}

impl Appending {
    /// Prints what is new in the state that the snapshot reference `at` names. Returns whether this
    /// completes an item that counts: the initial value, or one append.
    pub(super) async fn print(
        &mut self,
        form: Form,
        key: &str,
        grown: Grown,
        at: &str,
        sink: &mut Sink,
    ) -> Result<bool> {
        let known = self.growth.size();
        let first = !std::mem::replace(&mut self.begun, true);
        let (is_new, more) = match &grown {
            Grown::Whole(value) => (first || value.size() > known, false),
            Grown::Appended {
                offset,
                bytes,
                more,
            } => (*offset + bytes.size() > known || bytes.size() == 0, *more),
        };
        match grown {
            Grown::Whole(value) if first && form.is_json() => {
                let nothing = async |_: &[u8]| Ok(ControlFlow::Continue(()));
                let whole = Grown::Whole(value.again());
                let _ = self.growth.take(key, whole, nothing).await?;
                form.print_long(key, value, at, sink).await?;
                Ok(true)
            }
            grown if form.is_json() => {
                self.object(form, key, grown, at, (is_new, more), sink)
                    .await
            }
            grown => self.bytes(form, key, grown, (is_new, more), sink).await,
        }
    }

    async fn object(
        &mut self,
        form: Form,
        key: &str,
        grown: Grown,
        at: &str,
        (is_new, more): (bool, bool),
        sink: &mut Sink,
    ) -> Result<bool> {
        let object = &mut self.object;
        let collect = async |new: &[u8]| {
            if object.len() > APPEND_JSON_BYTES {
                form.print_bytes(key, object, at, sink)?;
                object.clear();
            }
            object.extend_from_slice(new);
            Ok(ControlFlow::Continue(()))
        };
        let _ = self.growth.take(key, grown, collect).await?;
        if more || !is_new {
            return Ok(false);
        }
        let object = std::mem::take(&mut self.object);
        form.print_bytes(key, &object, at, sink)?;
        Ok(true)
    }

    async fn bytes(
        &mut self,
        form: Form,
        key: &str,
        grown: Grown,
        (is_new, more): (bool, bool),
        sink: &mut Sink,
    ) -> Result<bool> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                if is_new {
                    form.begin(key, sink)?;
                }
                Open {
                    pieces: Pieces::new(form.encoding(sink)),
                    size: 0,
                }
            }
        };
        let mut out = Vec::new();
        let print = async |new: &[u8]| {
            open.size += new.len() as u64;
            open.pieces.feed(new, &mut out);
            sink.raw(&out)?;
            out.clear();
            Ok(ControlFlow::Continue(()))
        };
        let _ = self.growth.take(key, grown, print).await?;
        if !is_new {
            return Ok(false);
        }
        if more {
            self.open = Some(open);
            return Ok(false);
        }
        open.pieces.finish(&mut out);
        sink.raw(&out)?;
        form.end(open.size, sink)?;
        Ok(true)
    }
}
