//! Commands that follow keys ride out restarts: what a link into another namespace leads to is told
//! again by the daemon, and printed once.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use kvs_client::{NamespaceCreate, Transaction};
use kvs_testkit::{Daemon, Home, PATIENCE, program};

/// A command that runs. Killed when it is dropped.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        let mut command = Command::new(program().unwrap());
        command.args(["--uri", &home.uri()]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines() {
                // Nobody waits any more if the test has failed.
                let _ = sender.send(line.unwrap());
            }
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("another line")
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Adds bytes to a value and an event to a log of the namespace that the link leads into.
async fn append(daemon: &Daemon, number: u64) {
    let client = daemon.connect().await.unwrap();
    let event = format!("{{\"timestamp\":{number}.0,\"name\":\"e\"}}\n");
    let append = Transaction::new()
        .append("a", number.to_string())
        .append("log", event);
    client.namespace("job").commit(append).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_followed_into_another_namespace_is_printed_once_over_restarts() {
    let home = Home::new().unwrap();
    let mut daemon = home.start().unwrap();
    let client = daemon.connect().await.unwrap();
    let job = NamespaceCreate::named("job");
    client.create_namespace(job).await.unwrap();
    let link = Transaction::new().link_into("l", "job", ".");
    client.namespace("primary").commit(link).await.unwrap();
    drop(client);
    append(&daemon, 1).await;
    let whole = Following::start(&home, &["get", "-w", "l.a"]);
    let grown = Following::start(&home, &["get", "-w", "-A", "l.a"]);
    let log = Following::start(&home, &["eventlog", "get", "-w", "l.log"]);
    let mut value = String::new();
    for number in 1..5 {
        value.push_str(&number.to_string());
        assert_eq!(whole.line(), value);
        assert_eq!(grown.line(), number.to_string());
        assert_eq!(log.line(), format!("{number}.000000 e"));
        match number {
            1 | 4 => {}
            2 => {
                daemon.stop_cleanly().unwrap();
                daemon = home.start().unwrap();
            }
            _ => {
                daemon.kill().unwrap();
                daemon = home.start().unwrap();
            }
        }
        append(&daemon, number + 1).await;
    }
}
