//! Any stream that the link carries.

use crate::error::ClientError;
use crate::following::FollowState;
use crate::prefetch::{Cost, Prefetch};
use crate::watching::WatchState;
use bytes::Bytes;
use kvs_proto::{ErrorCode, Request, decode_body};

/// The two kinds of streams.
#[derive(Debug)]
pub(crate) enum Kind {
    Watch(Box<WatchState>),
    Follow(Box<FollowState>),
}

/// A stream, and whether the daemon on the present connection knows it.
#[derive(Debug)]
pub(crate) struct StreamState {
    pub(crate) live: bool,
    kind: Kind,
}

impl StreamState {
    pub(crate) fn new(kind: Kind) -> Self {
        StreamState { live: false, kind }
    }

    /// The request that opens it, or goes on where it was.
    pub(crate) fn request(&mut self) -> Request {
        match &mut self.kind {
            Kind::Watch(watch) => watch.request().into(),
            Kind::Follow(follow) => follow.request().into(),
        }
    }

    /// Takes in the body of an item. An error ends the stream, but not the connection.
    pub(crate) fn item(&mut self, body: &Bytes) -> Result<(), ClientError> {
        match &mut self.kind {
            Kind::Watch(watch) => watch.item(decode_body(body)?, body.len()),
            Kind::Follow(follow) => follow.item(decode_body(body)?, body.len()),
        }
        Ok(())
    }

    /// The consumer took events.
    pub(crate) fn taken(&mut self, cost: Cost) {
        self.prefetch().taken(cost);
    }

    /// The credit to give to the daemon now.
    pub(crate) fn grant(&mut self) -> Cost {
        self.prefetch().grant()
    }

    fn prefetch(&mut self) -> &mut Prefetch {
        match &mut self.kind {
            Kind::Watch(watch) => watch.prefetch(),
            Kind::Follow(follow) => follow.prefetch(),
        }
    }

    /// The consumer asks for a bookmark.
    pub(crate) fn want_mark(&mut self) {
        if let Kind::Watch(watch) = &mut self.kind {
            watch.want_mark();
        }
    }

    /// Whether the consumer waits for a bookmark.
    pub(crate) fn wants_mark(&self) -> bool {
        matches!(&self.kind, Kind::Watch(watch) if watch.wants_mark())
    }

    /// The connection is lost.
    pub(crate) fn disconnected(&mut self) {
        self.live = false;
        match &mut self.kind {
            Kind::Watch(watch) => watch.disconnected(),
            Kind::Follow(follow) => follow.disconnected(),
        }
    }

    /// The stream has ended.
    pub(crate) fn end(self, error: ClientError) {
        match self.kind {
            Kind::Watch(watch) => watch.end(error),
            Kind::Follow(follow) => follow.end(error),
        }
    }

    /// The daemon ended the stream without an error.
    pub(crate) fn finish(self) {
        let message = "the daemon ended the stream";
        self.end(ClientError::new(ErrorCode::NoData, message));
    }
}
