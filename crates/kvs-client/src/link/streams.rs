//! The streams of a connection: opened, given credit, and what the daemon says of them.

use super::outstanding::Outstanding;
use crate::error::ClientError;
use crate::prefetch::Cost;
use crate::stream::StreamState;
use bytes::Bytes;
use kvs_proto::{
    Credit, Empty, ErrorBody, ErrorCode, MarkRequest, ProtocolError, Request, Status, decode_body,
    write_request,
};

impl Outstanding {
    /// Opens a stream; its id.
    pub(crate) fn stream(&mut self, state: Box<StreamState>) -> u64 {
        let id = self.take_id();
        if !self.ended {
            self.streams.insert(id, state);
            self.send_in_turn(id);
        }
        id
    }

    /// The consumer of a stream took events.
    pub(crate) fn taken(&mut self, id: u64, cost: Cost) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.taken(cost);
            self.give_credit(id);
        }
    }

    /// The consumer of a stream wants a bookmark.
    pub(crate) fn mark(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.want_mark();
        if stream.live {
            self.write(id, &Request::Mark(MarkRequest {}));
        }
    }

    pub(super) fn send_stream(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let request = stream.request();
        match write_request(&mut self.out, self.frame_limit, id, &request) {
            Ok(()) => {
                stream.live = true;
                if stream.wants_mark() {
                    self.write(id, &Request::Mark(MarkRequest {}));
                }
            }
            Err(error) => {
                if let Some(stream) = self.streams.remove(&id) {
                    stream.end(error.into());
                }
            }
        }
    }

    /// Gives a stream the credit that it lacks.
    fn give_credit(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.live) else {
            return;
        };
        let grant = stream.grant();
        if !grant.is_zero() {
            let credit = Credit {
                add: grant.events,
                bytes: grant.bytes,
            };
            self.write(id, &Request::Credit(credit));
        }
    }

    /// Takes in what the daemon says about a stream that is open here.
    pub(super) fn stream_frame(
        &mut self,
        id: u64,
        status: Status,
        body: &Bytes,
    ) -> Result<(), ProtocolError> {
        if status == Status::Item {
            let taken = self.streams.get_mut(&id).map(|stream| stream.item(body));
            let Some(Err(error)) = taken else {
                self.give_credit(id);
                return Ok(());
            };
            if let Some(stream) = self.streams.remove(&id) {
                stream.end(error);
            }
            self.write(id, &Request::Cancel(Empty {}));
            return Ok(());
        }
        let error: Option<ClientError> = match status {
            Status::Error => Some(decode_body::<ErrorBody>(body)?.into()),
            _ => None,
        };
        if error
            .as_ref()
            .is_some_and(|error| error.code == ErrorCode::Unavailable)
        {
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.disconnected();
            }
            self.leave();
            return Ok(());
        }
        match (self.streams.remove(&id), error) {
            (Some(stream), Some(error)) => stream.end(error),
            (Some(stream), None) => stream.finish(),
            (None, _) => {}
        }
        Ok(())
    }
}
