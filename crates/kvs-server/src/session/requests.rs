//! Takes requests: each begins in order of arrival, as far as there is room.

use bytes::Bytes;
use kvs_engine::Token;
use kvs_proto::{CommitHead, ErrorCode, Frame, Op, Request, namespace_of, write_error};
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::failure::Failure;
use super::super::incoming;
use super::super::ops::{self, Answer, Context};
use super::super::work::{Kind, Pending, at_once};
use super::Session;
use crate::limits::{GUEST_TURN_BYTES_A_REQUEST, JUDGED_BYTES};

/// The result of checking a request before it is decoded.
enum Judged {
    /// Decode and begin it.
    MayBegin,
    /// It is answered without being decoded.
    Settled,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Takes received requests as far as there is room; returns whether there were any.
    pub(super) fn take_requests(&mut self) -> bool {
        let mut taken = false;
        if let Some((id, bytes, request)) = self.parked.take() {
            if self.pause.is_some() || !self.admits(ops::answer_bytes(&request)) {
                self.parked = Some((id, bytes, request));
                return false;
            }
            taken = true;
            self.begin(id, bytes, request);
        }
        while self.open && self.parked.is_none() && self.has_room() && self.admits_frame() {
            if self.take_in_place() {
                self.turn -= 1;
                taken = true;
                continue;
            }
            match self.connection.next_frame() {
                Ok(Some(frame)) => {
                    self.turn -= 1;
                    self.incoming = 0;
                    self.frame_end = None;
                    self.take(frame);
                }
                Ok(None) => break,
                // It is unknown which request to answer.
                Err(error) => {
                    tracing::debug!(uid = self.context.caller.uid(), %error, "bad frame");
                    self.close();
                }
            }
            taken = true;
        }
        // All at once, so that the engine is woken once.
        self.commits.enter(&self.context.shared.engine);
        taken
    }

    /// Fast path: answers the next request in place if it is a lookup that can be answered at once,
    /// or takes it if it is a plain commit; almost all requests are one of these. Returns whether
    /// it did.
    fn take_in_place(&mut self) -> bool {
        let Some((request, out)) = self.connection.peek() else {
            return false;
        };
        let Context { shared, caller } = &self.context;
        let taken = if request.tag == Op::Commit.code() {
            let commit = incoming::plain_commit(*caller, self.client, request.body);
            commit.map(|(commit, root)| {
                let (id, bytes) = (request.id, request.body.len());
                let beside = (&shared.engine, &self.aside);
                self.commits.push(Token { id, bytes, root }, commit, beside);
                bytes
            })
        } else {
            ops::glimpse(&self.context, &request, out).map(|()| 0)
        };
        let bytes = request.bytes;
        let Some(written) = taken else { return false };
        self.connection.skip(bytes);
        if written > 0 && self.aside.needs_place() {
            self.charge(written);
        }
        true
    }

    /// Takes one request.
    fn take(&mut self, frame: Frame) {
        let id = frame.id;
        let op = match Op::from_code(frame.tag) {
            Ok(op) => op,
            Err(error) => return self.refuse(id, &Failure::from(error)),
        };
        match self.judge(id, op, &frame.body) {
            Ok(Judged::MayBegin) => {}
            Ok(Judged::Settled) => return,
            Err(failure) => return self.refuse(id, &failure),
        }
        let request = match Request::decode(op, &frame.body) {
            Ok(request) => request,
            Err(error) => return self.refuse(id, &Failure::from(error)),
        };
        let written = match &request {
            Request::Commit(_) => frame.body.len(),
            Request::UploadData(data) => data.bytes.len(),
            _ => 0,
        };
        let is_paid = written == 0 || !self.aside.needs_place() || self.charge(written);
        if is_paid && self.admits(ops::answer_bytes(&request)) {
            self.begin(id, frame.body.len(), request);
        } else {
            self.parked = Some((id, frame.body.len(), request));
        }
    }

    /// Checks a guest's rights before its request costs anything, so that a long request is not
    /// decoded for a user without rights in its namespace. A commit that already took effect still
    /// gets its first answer.
    fn judge(&mut self, id: u64, op: Op, body: &Bytes) -> Result<Judged, Failure> {
        let Context { shared, caller } = &self.context;
        if body.len() < JUDGED_BYTES || !shared.is_guest(*caller) {
            return Ok(Judged::MayBegin);
        }
        match op {
            Op::Commit => {
                let head = CommitHead::read(body)?;
                let Err(refusal) = shared.engine.may_write(*caller, head.namespace) else {
                    return Ok(Judged::MayBegin);
                };
                let request = incoming::without_content(*caller, self.client, head);
                let (bytes, root) = (0, head.root);
                let token = Token { id, bytes, root };
                self.commits.settle(token, request, refusal, &shared.engine);
                Ok(Judged::Settled)
            }
            Op::Lookup
            | Op::List
            | Op::Read
            | Op::Info
            | Op::Wait
            | Op::Log
            | Op::LookupMany
            | Op::Nodes => {
                let namespace = namespace_of(op.name(), body)?.unwrap_or_default();
                // Without one, the namespace is that of a snapshot.
                if !namespace.is_empty() {
                    shared.engine.may_read(*caller, namespace)?;
                }
                Ok(Judged::MayBegin)
            }
            _ => Ok(Judged::MayBegin),
        }
    }

    /// Begins a request of `bytes` bytes, or answers with an error.
    fn begin(&mut self, id: u64, bytes: usize, request: Request) {
        if let Err(failure) = self.start(id, bytes, request) {
            self.refuse(id, &failure);
        }
    }

    fn refuse(&mut self, id: u64, failure: &Failure) {
        let out = self.connection.out.frames();
        write_error(out, id, failure.code, &failure.message);
    }

    /// Starts a request of `bytes` bytes. An error becomes its answer.
    fn start(&mut self, id: u64, bytes: usize, request: Request) -> Result<(), Failure> {
        let Context { shared, caller } = &self.context;
        match request {
            Request::Commit(commit) => {
                let root = commit.root;
                let (engine, token) = (&shared.engine, Token { id, bytes, root });
                let taken = self.uploads.take(&commit);
                let mut commit = incoming::commit(*caller, self.client, commit)?;
                match taken {
                    Ok(none) if none.is_empty() => {
                        self.commits.push(token, commit, (engine, &self.aside));
                    }
                    Ok(taken) => {
                        let (stager, aside) = (engine.clone(), self.aside.clone());
                        let staged = Box::pin(async move {
                            let _place = aside.place().await;
                            taken.fill(&stager, &mut commit).await;
                            stager.stage(commit).await
                        });
                        self.commits.push_staged(token, staged);
                    }
                    // It may be a repeat of a commit that took effect.
                    Err(lost) => self.commits.settle(token, commit, lost, engine),
                }
            }
            Request::Credit(credit) => self.streams.credit(id, credit),
            Request::Mark(_) => self.streams.mark(id, &mut self.connection.out),
            Request::Cancel(_) => {
                let out = &mut self.connection.out;
                if !self.streams.cancel(id, out)
                    && !self.uploads.cancel(id)
                    && self.running.cancel(id)
                {
                    write_error(out.frames(), id, ErrorCode::Cancelled, "cancelled");
                }
            }
            Request::Watch(watch) => {
                self.check_stream(id)?;
                let out = &mut self.connection.out;
                self.streams
                    .open_watch(&shared.engine, *caller, id, watch, out)?;
            }
            Request::SetRoot(roots) => {
                self.check_stream(id)?;
                let out = &mut self.connection.out;
                self.streams
                    .open_roots(&shared.engine, *caller, id, &roots, out)?;
            }
            Request::Upload(upload) => {
                self.uploads.open(shared, *caller, id, upload.namespace)?;
                ops::write(&mut self.connection.out, id, &Ok(Answer::Done));
            }
            Request::UploadData(data) => {
                let work = self.uploads.data((&shared.engine, *caller), data)?;
                let work = self.in_turn(work);
                self.advance(id, (Kind::Slow, 0), work);
            }
            Request::Wait(_) => {
                self.check_stream(id)?;
                self.perform(id, Kind::Wait, request);
            }
            Request::List(_) | Request::Log(_) => self.perform(id, Kind::Walk, request),
            request if ops::only_reads(&request) => self.perform(id, Kind::Read, request),
            request => self.perform(id, Kind::Slow, request),
        }
        Ok(())
    }

    /// Checks that one more stream or wait may be opened under `id`.
    fn check_stream(&self, id: u64) -> Result<(), Failure> {
        if self.streams.contains(id) || self.running.contains(id) {
            let message = format!("id {id} is in use by a request that is not answered yet");
            return Err(Failure::new(ErrorCode::BadRequest, message));
        }
        let open = self.streams.len() + self.running.waits();
        if let Err(most) = self.account.has_stream(self.held, open) {
            let caller = self.context.caller;
            let message =
                format!("{caller} has {most} streams and waits open on all its connections");
            return Err(Failure::new(ErrorCode::Limit, message));
        }
        if open >= self.room.streams {
            let most = self.room.streams;
            let message = format!("{most} streams are open on this connection");
            return Err(Failure::new(ErrorCode::Limit, message));
        }
        Ok(())
    }

    /// Performs an operation, at once if it need not wait.
    fn perform(&mut self, id: u64, kind: Kind, request: Request) {
        let (context, bytes) = (self.context.clone(), ops::answer_bytes(&request));
        let work: Pending<_> = if kind != Kind::Wait && self.aside.needs_place() {
            let aside = self.aside.clone();
            Box::pin(async move { aside.in_places(ops::perform(&context, request)).await })
        } else {
            Box::pin(async move { ops::perform(&context, request).await })
        };
        self.advance(id, (kind, bytes), work);
    }

    /// Wraps work that writes to the disk: a guest's first waits for a permit.
    fn in_turn<T>(&self, work: impl Future<Output = T> + Send + 'static) -> Pending<T> {
        if !self.aside.needs_place() {
            return Box::pin(work);
        }
        let aside = self.aside.clone();
        Box::pin(async move {
            let _place = aside.place().await;
            work.await
        })
    }

    /// Answers at once if possible, else spawns a task for the work.
    fn advance(
        &mut self,
        id: u64,
        kind: (Kind, usize),
        mut work: Pending<Result<Answer, Failure>>,
    ) {
        match at_once(&mut work) {
            Some(answer) => {
                let before = self.connection.out.len();
                ops::write(&mut self.connection.out, id, &answer);
                if self.aside.needs_place() {
                    let bytes = self.connection.out.len().saturating_sub(before);
                    self.turn = self.turn.saturating_sub(bytes / GUEST_TURN_BYTES_A_REQUEST);
                }
            }
            None => self.running.spawn(&self.aside, id, kind, work),
        }
    }
}
