//! A panic of any thread or task of a daemon ends the process with status 70 and a message, and
//! everything acknowledged is there afterwards.
//!
//! The daemon runs in a child process: this test program, started to run one test that does nothing
//! otherwise. Its environment is real, except for a disk and a clock that panic on the thread with
//! a given name once a file requests it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use kvs_client::{Address, Client, ClientError, Namespace, Options, Transaction, UnixConnector};
use kvs_engine::{At, Clock, Disk, DiskFile, Engine, Environment, LockGuard, Principal, RealClock};
use kvs_engine::{EngineConfig, RealDisk};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::super::{Daemon, READY};

/// Environment variable of the child: the thread that is to panic.
const THREAD: &str = "KVS_TEST_THREAD";
/// Environment variable of the child: the directory of its store and socket.
const DIRECTORY: &str = "KVS_TEST_DIRECTORY";
/// A name that no thread of the engine has; the daemon's tasks run on this thread.
const SERVING: &str = "test-serving";
/// Number of puts after which the daemon must have panicked.
const PUTS: u64 = 50_000;
const PATIENCE: Duration = Duration::from_secs(120);

/// When and where to panic.
#[derive(Clone, Debug)]
struct Fault {
    thread: String,
    armed: PathBuf,
}

impl Fault {
    fn strike(&self) {
        let current = std::thread::current();
        let is_meant = current.name() == Some(&*self.thread);
        assert!(!is_meant || !self.armed.exists(), "injected");
    }
}

#[derive(Debug)]
struct FaultyDisk(RealDisk, Fault);

#[derive(Debug)]
struct FaultyFile(Arc<dyn DiskFile>, Fault);

impl FaultyDisk {
    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile(file, self.1.clone()))
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.1.strike();
        Ok(self.file(self.0.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.1.strike();
        Ok(self.file(self.0.open(path)?))
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

impl DiskFile for FaultyFile {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<usize> {
        self.1.strike();
        self.0.write_at(data, offset)
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.strike();
        self.0.read_at(out, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.1.strike();
        self.0.sync_data()
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.1.strike();
        self.0.allocate(len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

struct FaultyClock(RealClock, Fault);

impl Clock for FaultyClock {
    fn now_ms(&self) -> u64 {
        self.1.strike();
        self.0.now_ms()
    }

    fn uptime_ms(&self) -> u64 {
        self.0.uptime_ms()
    }

    fn thread_ns(&self) -> u64 {
        0
    }
}

fn config(directory: &Path) -> EngineConfig {
    let owner = rustix::process::geteuid().as_raw();
    let mut config = EngineConfig::new(directory.join("store"), owner);
    // Gives every thread something to do soon.
    config.segment_bytes = Some(64 * 1024);
    config.checkpoint_bytes = 64 * 1024;
    config
}

/// Runs the daemon if this is the child process; otherwise does nothing.
#[test]
fn a_daemon_that_is_to_panic() {
    let (Ok(thread), Some(directory)) = (std::env::var(THREAD), std::env::var_os(DIRECTORY)) else {
        return;
    };
    crate::end_process_on_panic(|message| eprintln!("{message}"));
    let directory = PathBuf::from(directory);
    let armed = directory.join("armed");
    let fault = Fault {
        thread: thread.clone(),
        armed: armed.clone(),
    };
    let environment = Environment {
        disk: Arc::new(FaultyDisk(RealDisk::default(), fault.clone())),
        clock: Arc::new(FaultyClock(RealClock::default(), fault)),
        ..Environment::real()
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).thread_name(SERVING).enable_all();
    runtime.build().unwrap().block_on(async move {
        let socket = directory.join("kvs.sock");
        let mut options = crate::Options::new(directory.join("store"));
        options.socket = Some(socket);
        options.engine = config(&directory);
        let daemon = Daemon::open_in(options, environment).await.unwrap();
        eprintln!("{READY}");
        let struck = async move {
            while !armed.exists() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let strikes = async move {
            struck.await;
            panic!("injected");
        };
        let served = daemon.run();
        match thread.as_str() {
            "a task" => {
                tokio::spawn(strikes);
                served.await.unwrap();
            }
            "the main task" => drop(tokio::join!(strikes, served)),
            _ => served.await.unwrap(),
        }
    });
}

/// A transaction that puts a value uploaded in pieces.
async fn upload(primary: &Namespace, key: String) -> Result<Transaction, ClientError> {
    let mut upload = primary.upload().await?;
    for _ in 0..3 {
        upload.write(vec![b'v'; 500_000]).await?;
    }
    Ok(Transaction::new().put_upload(key, upload.finish().await?))
}

/// Puts until the daemon is gone; returns the numbers of the acknowledged puts.
async fn work(primary: Namespace, armed: &Path) -> Vec<u64> {
    let mut acknowledged = Vec::new();
    for number in 0..PUTS {
        let key = format!("d.k{number}");
        // Values uploaded in pieces take another path, and are read from the disk.
        let put = if number % 100 == 0 {
            upload(&primary, key).await
        } else {
            Ok(Transaction::new().put(key, vec![b'v'; 200]))
        };
        let Ok(put) = put else {
            return acknowledged;
        };
        if primary.commit(put).await.is_err() {
            return acknowledged;
        }
        acknowledged.push(number);
        if number == 300 {
            std::fs::write(armed, "").unwrap();
        }
        let read = format!("d.k{}", number / 100 * 100);
        if primary.get(read).await.is_err() {
            return acknowledged;
        }
    }
    panic!("the daemon does not end");
}

async fn connect(socket: PathBuf) -> Result<Client, ClientError> {
    let options = Options::new().reconnect_time(Duration::ZERO);
    Client::connect_with(UnixConnector::new(Address::Unix(socket)), options).await
}

async fn dies(thread: &str) {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let test = "tests::dying::a_daemon_that_is_to_panic";
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(THREAD, thread)
        .env(DIRECTORY, place)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap();
        if line.expect("the daemon starts").starts_with(READY) {
            break;
        }
    }
    let client = connect(place.join("kvs.sock")).await.unwrap();
    let acknowledged = work(client.namespace("primary"), &place.join("armed")).await;
    let status = child.wait().await.unwrap();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        said += &line;
    }
    assert_eq!(status.code(), Some(70), "{thread}: {status}: {said}");
    assert!(
        said.contains("internal error: injected (thread"),
        "{thread}: {said}"
    );
    if thread.starts_with("kvs-") {
        assert!(said.contains(thread), "{said}");
    }
    // After a restart everything acknowledged is there.
    let config = config(place);
    let caller = Principal::Uid(config.instance_owner);
    let engine = Engine::open(config, Environment::real()).await.unwrap();
    let view = engine.view(caller, "primary", At::Current).await.unwrap();
    assert!(acknowledged.len() > 300);
    for number in acknowledged {
        let key = kvs_tree::Key::parse(&format!("d.k{number}")).unwrap();
        let found = view.lookup(&key, true).await.unwrap();
        assert!(found.is_some(), "{thread}: {key} is lost");
    }
    engine.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_any_thread_or_task_ends_the_process_and_loses_nothing() {
    for thread in [
        "kvs-journal",
        "kvs-prepare",
        "kvs-background",
        "kvs-write",
        "kvs-read",
        // The commit task reads its clock.
        SERVING,
        "a task",
        "the main task",
    ] {
        let died = tokio::time::timeout(PATIENCE, dies(thread)).await;
        died.unwrap_or_else(|_| panic!("{thread}: the daemon does not end"));
    }
}
