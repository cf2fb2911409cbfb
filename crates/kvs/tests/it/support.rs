//! A daemon for each test, and ways to run commands against it.

use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// Time limit of any step; a test that exceeds it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The program under test.
const KVS: &str = env!("CARGO_BIN_EXE_kvs");
/// Makes `env` restore the default signal handling, which tests in the background or under `nohup`
/// lack.
const DEFAULT_SIGNALS: &str = "--default-signal=INT,QUIT,HUP,TERM,PIPE";
/// The line on standard error that reports readiness.
const READY: &str = "kvs: serving on ";
/// Environment variables that affect commands.
const VARIABLES: [&str; 9] = [
    "KVS_NAMESPACE",
    "FLUX_KVS_NAMESPACE",
    "COLUMNS",
    "XDG_RUNTIME_DIR",
    "RUST_LOG",
    // Variables that affect colours.
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "CI",
];

/// A daemon on its own store; killed on drop.
pub(crate) struct Daemon {
    child: Child,
    directory: tempfile::TempDir,
    /// Standard error after readiness.
    pub(crate) log: Lines,
}

/// The result of a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Daemon {
    /// Starts a daemon and waits until it is ready.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with options.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let uri = format!("unix:{}", directory.path().join("kvs.sock").display());
        let mut child = clean(Command::new(KVS))
            .args(["--uri", &uri, "serve", "--store"])
            .arg(directory.path().join("store"))
            .args(options)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Lines::new(child.stderr.take().unwrap());
        loop {
            let line = log.next().expect("the daemon says that it is ready");
            if line.starts_with(READY) {
                break;
            }
        }
        Self {
            child,
            directory,
            log,
        }
    }

    /// The daemon's address.
    pub(crate) fn uri(&self) -> String {
        format!("unix:{}", self.directory.path().join("kvs.sock").display())
    }

    /// A `kvs` command for this daemon, not started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = clean(Command::new(KVS));
        command
            .env("KVS_URI", self.uri())
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        run(self.command(arguments), b"")
    }

    /// Runs a command that must succeed with nothing on standard error. Returns its output.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).ok()
    }

    /// Runs a command that must fail and print nothing. Returns its standard error.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        self.run(arguments).fails()
    }

    /// Runs a shell script in which `kvs` is the program under test.
    pub(crate) fn script(&self, text: &str) -> Outcome {
        run(self.shell(text), b"")
    }

    /// Such a script, not started, with default signal handling even if the tests run in the
    /// background or under `nohup`.
    pub(crate) fn shell(&self, text: &str) -> Command {
        let mut command = clean(Command::new("env"));
        command
            .env("KVS_URI", self.uri())
            .env("PATH", path())
            .args([DEFAULT_SIGNALS, "bash", "-c", text])
            .stdin(Stdio::null());
        command
    }

    /// Starts a command in the background.
    pub(crate) fn background(&self, arguments: &[&str]) -> Background {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Lines::new(child.stdout.take().unwrap());
        Background { child, lines }
    }

    /// Gives other users access to the directory of the socket.
    pub(crate) fn open_directory(&self) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(self.directory.path(), mode).unwrap();
    }

    /// The mode of the socket.
    pub(crate) fn socket_mode(&self) -> u32 {
        use std::os::unix::fs::PermissionsExt as _;
        let socket = self.directory.path().join("kvs.sock");
        std::fs::metadata(socket).unwrap().permissions().mode() & 0o777
    }

    /// The version of the namespace `primary`.
    pub(crate) fn version(&self) -> u64 {
        self.ok(&["version"]).trim().parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The daemon is killed and its store deleted on purpose; errors do not matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        String::from_utf8(self.out).unwrap()
    }

    /// Checks that the command failed with any failure status and printed nothing. Returns its
    /// standard error.
    #[track_caller]
    pub(crate) fn fails(self) -> String {
        let failed = matches!(self.code, Some(1..=7));
        assert!(failed && self.out.is_empty(), "{self:?}");
        self.err
    }
}

/// Runs a command to its end with `input` on standard input.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Outcome {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_vec();
        // The command may end without reading everything.
        thread::spawn(move || drop(std::io::Write::write_all(&mut stdin, &input)));
    }
    let out = all(child.stdout.take().unwrap());
    let err = all(child.stderr.take().unwrap());
    let mut running = Background {
        child,
        lines: Lines::new(std::io::empty()),
    };
    let out = out.recv_timeout(PATIENCE).expect("the command ends");
    let err = err.recv_timeout(PATIENCE).expect("the command ends");
    let code = running.wait().code();
    Outcome {
        code,
        out,
        err: String::from_utf8_lossy(&err).into_owned(),
    }
}

/// A command without a daemon.
pub(crate) fn without_daemon(arguments: &[&str]) -> Command {
    let mut command = clean(Command::new(KVS));
    command
        .env_remove("KVS_URI")
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// The same, with default signal handling.
pub(crate) fn with_signals(arguments: &[&str]) -> Command {
    let mut command = clean(Command::new("env"));
    command
        .env_remove("KVS_URI")
        .args([DEFAULT_SIGNALS, KVS])
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn clean(mut command: Command) -> Command {
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command
}

fn path() -> String {
    let mut directory = PathBuf::from(KVS);
    directory.pop();
    format!(
        "{}:{}",
        directory.display(),
        std::env::var("PATH").unwrap_or_default()
    )
}

fn all(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        // If the test has failed, the receiver is gone.
        let _ = sender.send(bytes);
    });
    receiver
}

/// The lines of a stream, as they arrive.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    fn new(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    // Keep reading, so that the writer does not block.
                    continue;
                }
            }
        });
        Self(receiver)
    }

    /// The next line; `None` at the end.
    #[track_caller]
    pub(crate) fn next(&self) -> Option<String> {
        match self.0.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("no line came"),
        }
    }

    /// The next line, if it arrives within `time`.
    pub(crate) fn within(&self, time: Duration) -> Option<String> {
        self.0.recv_timeout(time).ok()
    }
}

/// A running command; killed on drop.
pub(crate) struct Background {
    pub(crate) child: Child,
    pub(crate) lines: Lines,
}

impl Background {
    /// Starts a command whose standard output is piped.
    pub(crate) fn new(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = Lines::new(child.stdout.take().unwrap());
        Background { child, lines }
    }

    /// The next line of its output.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.lines.next().expect("the command prints another line")
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                std::time::Instant::now() < deadline,
                "the command does not end"
            );
            thread::yield_now();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Parses a line as a JSON object.
#[track_caller]
pub(crate) fn object(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap()
}

/// The command ends successfully and prints nothing more.
#[track_caller]
pub(crate) fn ends_well(mut command: Background) {
    assert!(command.wait().success());
    assert_eq!(command.lines.next(), None);
}
