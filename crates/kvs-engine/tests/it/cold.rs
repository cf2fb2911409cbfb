//! Transactions whose keys are on a slow disk: which others wait for them, and which do not. Reads
//! stop at a gate, so nothing here depends on speed.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use kvs_engine::{
    Answers, At, CommitRequest, Committed, Disk, DiskFault, DiskFile, Engine, EngineError,
    Environment, ErrorKind, FaultPoint, LockGuard, Principal, SimDisk, Submitted, Token,
};
use kvs_tree::{Condition, Operation};

use crate::support::{NS, OWNER, Sim, config, key, put, read, take, unlink};

/// A gate at which reads stop while it is closed.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// It is closed for files whose paths contain this.
    closed: Option<&'static str>,
    /// The number of reads waiting at it.
    reads: usize,
    /// The number of reads of packs that have arrived so far.
    of_packs: usize,
}

impl Gate {
    fn close(&self, part: &'static str) {
        self.state.lock().unwrap().closed = Some(part);
    }

    fn open(&self) {
        self.state.lock().unwrap().closed = None;
        self.changed.notify_all();
    }

    fn pass(&self, path: &str) {
        let stops = |state: &mut State| state.closed.is_some_and(|part| path.contains(part));
        let mut state = self.state.lock().unwrap();
        state.of_packs += usize::from(path.contains("pack"));
        if !stops(&mut state) {
            return;
        }
        state.reads += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, stops).unwrap();
        state.reads -= 1;
    }

    /// Returns once this many reads wait at it.
    fn wait_for(&self, reads: usize) {
        let state = self.state.lock().unwrap();
        let few = |state: &mut State| state.reads < reads;
        drop(self.changed.wait_while(state, few).unwrap());
    }
}

#[derive(Debug)]
struct Gated(SimDisk, Arc<Gate>);

#[derive(Debug)]
struct GatedFile {
    file: Arc<dyn DiskFile>,
    path: String,
    gate: Arc<Gate>,
}

impl Gated {
    fn file(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(GatedFile {
            file,
            path: path.to_string_lossy().into_owned(),
            gate: self.1.clone(),
        })
    }
}

impl Disk for Gated {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(path, self.0.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(path, self.0.open(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.0.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }

    fn lock(&self, path: &Path, content: &str) -> io::Result<LockGuard> {
        self.0.lock(path, content)
    }
}

impl DiskFile for GatedFile {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(data, offset)
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.gate.pass(&self.path);
        self.file.read_at(out, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

/// The user of the namespace `guests`.
const GUEST: Principal = Principal::Uid(5);

/// A store with directories `c0` to `c39` on the disk, none of them in memory, and the key `hot` in
/// memory; the same in the namespaces `other` and `guests`. The gate is closed.
struct Cold {
    sim: Sim,
    gate: Arc<Gate>,
}

impl Cold {
    async fn new() -> Self {
        let sim = Sim::with(config(), SimDisk::unrecorded()).await;
        let engine = &sim.engine;
        engine.create_namespace(OWNER, "other", None).await.unwrap();
        let guest = Some(GUEST);
        engine
            .create_namespace(OWNER, "guests", guest)
            .await
            .unwrap();
        for namespace in [NS, "other", "guests"] {
            for directory in 0..40 {
                let mut request = sim.request(vec![
                    put(&format!("c{directory}.a"), vec![b'a'; 2_000]),
                    put(&format!("c{directory}.b"), "1"),
                ]);
                request.namespace = namespace.into();
                engine.commit(request).await.unwrap();
            }
        }
        engine.shutdown().await.unwrap();
        let gate = Arc::new(Gate::default());
        let env = Environment {
            disk: Arc::new(Gated(sim.disk.clone(), gate.clone())),
            inline: false,
            ..sim.env.clone()
        };
        let engine = Engine::open(sim.config.clone(), env).await.unwrap();
        let mut cold = Self { sim, gate };
        cold.sim.engine = engine;
        for namespace in [NS, "other", "guests"] {
            let mut request = cold.request(9, &["hot"]);
            request.namespace = namespace.into();
            cold.sim.engine.commit(request).await.unwrap();
        }
        cold.gate.close("pack");
        cold
    }

    /// A request with puts of one client.
    fn request(&self, client: u8, keys: &[&str]) -> CommitRequest {
        let operations = keys.iter().map(|at| put(at, format!("by {client}")));
        self.of(client, operations.collect())
    }

    fn of(&self, client: u8, operations: Vec<Operation>) -> CommitRequest {
        let mut request = self.sim.request(operations);
        request.id.client = [client; 16];
        request
    }

    fn put(&self, client: u8, at: &str) -> Submitted {
        self.sim.engine.submit(self.request(client, &[at]))
    }

    fn submit_in(&self, namespace: &str, mut request: CommitRequest) -> Submitted {
        request.namespace = namespace.into();
        self.sim.engine.submit(request)
    }

    async fn get(&self, at: &str) -> Option<Bytes> {
        let view = self.sim.engine.view(OWNER, NS, At::Current).await.unwrap();
        read(&view, at).await
    }
}

/// The answer, if it is there already.
fn answer_now(submitted: &mut Submitted) -> Option<Result<Committed, EngineError>> {
    let mut cx = Context::from_waker(Waker::noop());
    match Pin::new(submitted).poll(&mut cx) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

fn is_answered(submitted: &mut Submitted) -> bool {
    answer_now(submitted).is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_waits_for_the_disk_holds_up_its_connection_in_that_namespace_alone() {
    let cold = Cold::new().await;
    let first = cold.put(1, "c7.new");
    cold.gate.wait_for(1);
    let mut later = cold.put(1, "hot");
    assert_eq!(cold.get("hot").await.unwrap(), "by 9");
    cold.put(2, "hot").await.unwrap();
    assert_eq!(cold.get("hot").await.unwrap(), "by 2");
    let elsewhere = cold.request(1, &["hot"]);
    cold.submit_in("other", elsewhere).await.unwrap();
    cold.put(3, "new").await.unwrap();
    assert!(!is_answered(&mut later), "it overtook");
    cold.gate.open();
    let (first, later) = (first.await.unwrap(), later.await.unwrap());
    assert!(first.position.version <= later.position.version);
    assert_eq!(cold.get("hot").await.unwrap(), "by 1");
    assert_eq!(cold.get("c7.new").await.unwrap(), "by 1");
    assert_eq!(cold.get("c7.b").await.unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_waits_for_the_disk_holds_back_no_answer_to_later_ones_elsewhere() {
    let cold = Cold::new().await;
    let mut answers = Answers::default();
    let engine = cold.sim.engine.clone();
    let submit = |answers: &Answers, id, (namespace, at): (&str, &str)| {
        let mut request = cold.request(1, &[at]);
        request.namespace = namespace.into();
        let token = Token {
            id,
            ..Token::default()
        };
        engine.submit_all(OWNER, answers, [(token, request)]);
    };
    submit(&answers, 1, (NS, "c7.new"));
    cold.gate.wait_for(1);
    submit(&answers, 2, (NS, "hot"));
    submit(&answers, 3, ("other", "hot"));
    submit(&answers, 4, ("none", "hot"));
    let mut order = Vec::new();
    while order.len() < 2 {
        order.extend(take(&mut answers).await);
    }
    cold.gate.open();
    while order.len() < 4 {
        order.extend(take(&mut answers).await);
    }
    let ids: Vec<_> = order.iter().map(|(token, _)| token.id).collect();
    assert_eq!(ids[2..], [1, 2]);
    for (token, answer) in order {
        assert_eq!(answer.is_ok(), token.id != 4, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_checkpoint_wrote_is_changed_again_without_a_read() {
    let cold = Cold::new().await;
    cold.gate.open();
    let (engine, large) = (&cold.sim.engine, Bytes::from(vec![b'l'; 300_000]));
    let append = |at: &str| Operation::Append {
        key: key(at),
        value: "more".into(),
    };
    for directory in 0..40 {
        cold.put(1, &format!("c{directory}.b")).await.unwrap();
        cold.put(1, &format!("d{directory}.deep.er")).await.unwrap();
    }
    for number in 0..2_000 {
        let at = format!("wide.k{number}");
        drop(engine.submit(cold.request(1, &[&at])));
    }
    let grown = (0..40).map(|_| append("log")).chain([append("c3.a")]);
    let grown = engine.submit(cold.of(1, grown.collect()));
    grown.await.unwrap();
    let staged = cold.of(1, vec![put("large", large.clone())]);
    engine.commit(staged).await.unwrap();
    engine
        .commit(cold.of(1, vec![append("large")]))
        .await
        .unwrap();
    for round in 0..2 {
        engine.checkpoint().await.unwrap();
        let before = cold.gate.state.lock().unwrap().of_packs;
        for directory in 0..40 {
            for at in [format!("c{directory}.b"), format!("d{directory}.deep.er")] {
                cold.put(2 + round, &at).await.unwrap();
            }
        }
        for number in 0..2_000 {
            let at = format!("wide.k{number}");
            let answer = engine.submit(cold.request(2 + round, &[&at]));
            if number % 500 == 0 {
                answer.await.unwrap();
            }
        }
        for at in ["log", "c3.a", "large"] {
            engine.submit(cold.of(1, vec![append(at)])).await.unwrap();
        }
        let after = cold.gate.state.lock().unwrap().of_packs;
        assert_eq!(after - before, 0, "{round}");
    }
    assert_eq!(cold.get("log").await.unwrap(), "more".repeat(42));
    assert_eq!(cold.get("large").await.unwrap().len(), 300_012);
    assert_eq!(cold.get("wide.k7").await.unwrap(), "by 3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_takes_nothing_back() {
    let cold = Cold::new().await;
    let answers = Answers::default();
    let requests = ["c7.new", "hot"].map(|at| (Token::default(), cold.request(1, &[at])));
    cold.sim.engine.submit_all(OWNER, &answers, requests);
    cold.gate.wait_for(1);
    drop(answers);
    let later = cold.put(1, "later");
    cold.gate.open();
    later.await.unwrap();
    assert_eq!(cold.get("c7.new").await.unwrap(), "by 1");
    assert_eq!(cold.get("hot").await.unwrap(), "by 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_lacks_something_waits_at_its_place() {
    let cold = Cold::new().await;
    let mut conditional = cold.request(1, &["c1.b"]);
    conditional.transaction.conditions = vec![Condition::Equals {
        key: key("c1.b"),
        value: "1".into(),
    }];
    let failing = conditional.clone();
    let copy = Operation::Copy {
        from: key("c2"),
        to: key("copied"),
    };
    let of_copy = put("copied.b", "2");
    let append = Operation::Append {
        key: key("c3.a"),
        value: "more".into(),
    };
    let mut requests = vec![conditional];
    for operations in [
        vec![copy],
        vec![of_copy],
        vec![append],
        vec![unlink("c4.b")],
        vec![put("c4.b", "again"), unlink("c5")],
        vec![put("hot", "last")],
    ] {
        requests.push(cold.of(1, operations));
    }
    let mut failing = failing;
    failing.id.number += 1_000;
    requests.insert(1, failing);
    let mut answers = cold.sim.submit_each(requests);
    cold.gate.wait_for(1);
    cold.put(2, "hot").await.unwrap();
    assert!(answers.iter_mut().all(|answer| !is_answered(answer)));
    cold.gate.open();
    let mut last = 0;
    for (at, answer) in answers.into_iter().enumerate() {
        match answer.await {
            Ok(committed) => {
                assert!(at != 1 && committed.position.version >= last);
                last = committed.position.version;
            }
            Err(error) => assert_eq!((at, error.kind), (1, ErrorKind::ConditionFailed)),
        }
    }
    for (at, value) in [
        ("c1.b", Some("by 1")),
        ("copied.b", Some("2")),
        ("c2.b", Some("1")),
        ("c4.b", Some("again")),
        ("c5.b", None),
        ("hot", Some("last")),
    ] {
        assert_eq!(
            cold.get(at).await.as_deref(),
            value.map(str::as_bytes),
            "{at}"
        );
    }
    assert_eq!(cold.get("c3.a").await.unwrap().len(), 2_004);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_of_what_waits_is_answered_as_the_first() {
    let cold = Cold::new().await;
    let request = cold.request(1, &["c7.new"]);
    let first = cold.sim.engine.submit(request.clone());
    cold.gate.wait_for(1);
    let again = cold.sim.engine.submit(request.clone());
    let refusal = EngineError::new(ErrorKind::Invalid, "its upload is gone");
    let (mut settled, cx) = (Answers::default(), Context::from_waker(Waker::noop()));
    let engine = &cold.sim.engine;
    engine.settle(request, refusal, &settled, Token::default());
    cold.put(2, "hot").await.unwrap();
    let answered = settled.poll_take(&cx, &mut VecDeque::new());
    assert!(answered.is_pending());
    cold.gate.open();
    let first = first.await.unwrap();
    assert_eq!(again.await.unwrap(), first);
    let (_, settled) = take(&mut settled).await.pop_front().unwrap();
    assert_eq!(settled.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_removed_meanwhile_is_not_there_for_who_waited() {
    let cold = Cold::new().await;
    let request = cold.request(1, &["c7.new"]);
    let waits = cold.submit_in("other", request);
    cold.gate.wait_for(1);
    let request = cold.request(1, &["hot"]);
    let behind = cold.submit_in("other", request);
    let engine = &cold.sim.engine;
    engine.remove_namespace(OWNER, "other").await.unwrap();
    cold.gate.open();
    for answer in [waits, behind] {
        assert_eq!(answer.await.unwrap_err().kind, ErrorKind::NoNamespace);
    }
    cold.put(1, "hot").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_anew_meanwhile_is_another_tree() {
    let cold = Cold::new().await;
    let request = cold.request(1, &["c7.new"]);
    let waits = cold.submit_in("other", request);
    cold.gate.wait_for(1);
    let engine = &cold.sim.engine;
    engine.remove_namespace(OWNER, "other").await.unwrap();
    engine.create_namespace(OWNER, "other", None).await.unwrap();
    cold.gate.open();
    assert_eq!(waits.await.unwrap().position.version, 1);
    let view = engine.view(OWNER, "other", At::Current).await.unwrap();
    assert_eq!(read(&view, "c7.new").await.unwrap(), "by 1");
    assert_eq!(read(&view, "c7.b").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_stops_finishes_what_waits() {
    let cold = Cold::new().await;
    let waits = cold.put(1, "c7.new");
    cold.gate.wait_for(1);
    let behind = cold.put(1, "hot");
    let engine = cold.sim.engine.clone();
    let stopping = tokio::spawn(async move { engine.shutdown().await });
    let refused = loop {
        if let Err(refused) = cold.put(2, "hot").await {
            break refused;
        }
    };
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    assert!(!stopping.is_finished());
    cold.gate.open();
    stopping.await.unwrap().unwrap();
    assert!(waits.await.is_ok() && behind.await.is_ok());
    let again = Sim::with(config(), cold.sim.disk.clone()).await;
    assert_eq!(again.get("c7.new").await.unwrap(), "by 1");
    assert_eq!(again.get("hot").await.unwrap(), "by 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_answers_who_waits_at_once() {
    let cold = Cold::new().await;
    let waits = cold.put(1, "c7.new");
    cold.gate.wait_for(1);
    let behind = cold.put(1, "hot");
    cold.sim
        .disk
        .fail_on(FaultPoint::SyncData, "journal", 0, 1, DiskFault::Io);
    let failed = cold.put(2, "hot").await.unwrap_err();
    assert_eq!(failed.kind, ErrorKind::OutcomeUnknown);
    // The gate is still closed.
    for answer in [waits, behind] {
        assert_eq!(answer.await.unwrap_err().kind, ErrorKind::Unavailable);
    }
    cold.gate.open();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_is_refused_meanwhile_takes_nothing_from_who_waits() {
    let cold = Cold::new().await;
    let waits = cold.put(1, "c7.new");
    cold.gate.wait_for(1);
    cold.sim
        .disk
        .fail_on(FaultPoint::Write, "journal", 0, 1, DiskFault::NoSpace);
    let refused = cold.put(2, "hot").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::NoSpace);
    cold.sim.disk.clear_faults();
    cold.gate.open();
    waits.await.unwrap();
    assert_eq!(cold.get("c7.new").await.unwrap(), "by 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_cannot_have_more_wait_than_its_limit_and_takes_nobody_elses_place() {
    let cold = Cold::new().await;
    let guest = |at: &str| {
        let mut request = cold.request(1, &[at]);
        request.caller = GUEST;
        request
    };
    let first = cold.submit_in("guests", guest("c7.new"));
    cold.gate.wait_for(1);
    // `GUEST_WAITING` in total, with the first.
    let mut waiting = Vec::new();
    for number in 1..4_096 {
        waiting.push(cold.submit_in("guests", guest("hot")));
        if number % 50 == 0 {
            cold.put(2, "hot").await.unwrap();
        }
    }
    let refused = cold.submit_in("guests", guest("hot")).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Busy);
    let owners = cold.put(3, "c8.new");
    cold.gate.open();
    first.await.unwrap();
    owners.await.unwrap();
    for answer in waiting {
        answer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_root_that_is_rebuilt_holds_up_its_line_alone() {
    let cold = Cold::new().await;
    cold.gate.close("journal");
    let unchanged = |at: &str, then: &str| {
        let mut request = cold.request(1, &[then]);
        request.transaction.conditions = vec![Condition::Unchanged {
            key: key(at),
            // From before the restart.
            since: 1,
        }];
        request
    };
    let engine = &cold.sim.engine;
    let holds = engine.submit(unchanged("c0.b", "seen"));
    cold.gate.wait_for(1);
    let fails = engine.submit(unchanged("hot", "never"));
    let mut later = cold.put(1, "hot");
    cold.put(2, "new").await.unwrap();
    assert!(!is_answered(&mut later));
    cold.gate.open();
    let holds = holds.await.unwrap();
    assert_eq!(fails.await.unwrap_err().kind, ErrorKind::ConditionFailed);
    assert!(holds.position.version <= later.await.unwrap().position.version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_cannot_be_read_fails_the_transaction_that_needs_it_and_no_other() {
    let cold = Cold::new().await;
    let waits = cold.put(1, "c7.new");
    cold.gate.wait_for(1);
    let behind = cold.put(1, "hot");
    cold.sim
        .disk
        .fail_on(FaultPoint::Read, "pack", 0, 1_000, DiskFault::Io);
    cold.gate.open();
    assert!(waits.await.is_err());
    behind.await.unwrap();
    cold.sim.disk.clear_faults();
    cold.put(1, "c7.new").await.unwrap();
}
