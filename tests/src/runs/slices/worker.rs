//! A worker that sends random requests one after the other.

use std::time::Duration;

use anyhow::ensure;
use kvs_client::{
    At, ListOptions, LogOptions, LookupOptions, Mode, Namespace, Transaction, WatchOptions,
};
use tokio::time::timeout;

use kvs_testkit::Random;

/// Rounds of copying; each doubles the tree.
pub(super) const DOUBLINGS: u64 = 24;

/// Number of keys in a directory outside the tree.
pub(super) const FEW: u64 = 200;

/// Number of keys in a directory with longer values.
pub(super) const LONGER: u64 = 64;

/// Size of the one long value in bytes.
pub(super) const LONG_BYTES: usize = 2 * 1024 * 1024;

/// Time to wait for an event before the watch is dropped.
const SHORT_WHILE: Duration = Duration::from_millis(20);

/// Patterns over the whole tree that match nothing, some keys, or everything.
const PATTERNS: [&str; 4] = ["**.nothing", "D.*.b.**.nothing", "**.a.x", "**"];

/// Statistics of the answers.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) answered: u64,
    pub(super) cut: u64,
    pub(super) events: u64,
}

/// Sends random requests, one after the other.
pub(super) struct Worker {
    pub(super) primary: Namespace,
    pub(super) random: Random,
    /// Key of this worker's own copy of the tree.
    pub(super) copy: String,
    pub(super) tally: Tally,
}

impl Worker {
    pub(super) async fn request(&mut self, kind: u64) -> anyhow::Result<()> {
        match kind {
            10 => self.read_long_values().await,
            0 => self.list_recursively().await,
            1 => self.list().await,
            2 => {
                let key = self.deep("D");
                let found = self.primary.lookup(key, LookupOptions::new()).await?;
                ensure!(found.entry.is_some(), "a key of the tree is not there");
                Ok(())
            }
            3 | 4 => {
                let keys: Vec<String> = (0..32).map(|_| self.deep("D")).collect();
                let found = self.primary.get_many(keys, At::Current).await?;
                let all = found.values.iter().all(|one| matches!(one, Ok(Some(_))));
                ensure!(all, "keys of the tree are not there");
                Ok(())
            }
            5 => self.log().await,
            6 => {
                let options = WatchOptions::new().scope(self.pattern()).initial();
                self.watch(options).await
            }
            7 => {
                let scope = match self.random.below(2) {
                    0 => self.pattern().to_owned(),
                    _ => "few".to_owned(),
                };
                let options = WatchOptions::new().scope(scope).mode(Mode::Latest);
                let options = match self.random.below(2) {
                    0 => options,
                    _ => options.initial(),
                };
                self.watch(options).await
            }
            8 => self.unlink_under_a_watch().await,
            9 => {
                let tree = self.copy.clone();
                let key = self.deep(&tree);
                self.put(key).await
            }
            _ => {
                let key = few(self.random.below(FEW));
                self.put(key).await
            }
        }
    }

    /// Requests one page, which may end before a match is found.
    async fn list_recursively(&mut self) -> anyhow::Result<()> {
        let options = ListOptions::new()
            .recursive()
            .bounded()
            .scope(self.pattern())
            .limit(1 + self.random.below(1_000));
        let page = self.primary.list(".", options).await?;
        self.tally.cut += u64::from(page.more);
        Ok(())
    }

    async fn list(&mut self) -> anyhow::Result<()> {
        let dir = match self.random.below(3) {
            0 => ".",
            1 => "few",
            _ => "D.a.b",
        };
        let options = ListOptions::new().limit(1 + self.random.below(FEW));
        let page = self.primary.list(dir, options).await?;
        ensure!(!page.entries.is_empty(), "{dir} is empty");
        Ok(())
    }

    async fn read_long_values(&mut self) -> anyhow::Result<()> {
        match self.random.below(4) {
            0 => {
                let found = self.primary.get("long").await?;
                ensure!(found.is_some_and(|value| value.len() == LONG_BYTES));
                Ok(())
            }
            1 => {
                let keys: Vec<String> = (0..LONGER).map(longer).collect();
                let found = self.primary.get_many(keys, At::Current).await?;
                ensure!(!found.values.is_empty(), "nothing found");
                Ok(())
            }
            2 => {
                let page = self.primary.list("longer", ListOptions::new()).await?;
                ensure!(!page.entries.is_empty(), "no entries");
                Ok(())
            }
            _ => {
                let options = WatchOptions::new().scope("longer").initial();
                self.watch(options).await
            }
        }
    }

    async fn log(&mut self) -> anyhow::Result<()> {
        let scope = match self.random.below(2) {
            0 => self.pattern().to_owned(),
            _ => few(self.random.below(FEW)),
        };
        let options = LogOptions::new()
            .scope(scope)
            .limit(1 + self.random.below(20));
        let page = self.primary.log(options).await?;
        self.tally.cut += u64::from(page.next.is_some());
        Ok(())
    }

    /// Opens a watch and drops it after its first event or a short time.
    async fn watch(&mut self, options: WatchOptions) -> anyhow::Result<()> {
        let mut options = options;
        // The first part is enough.
        options.assemble_bytes = 1;
        let mut watch = self.primary.watch(options).await?;
        if let Ok(told) = timeout(SHORT_WHILE, watch.recv()).await {
            told?;
            self.tally.events += 1;
        }
        Ok(())
    }

    async fn unlink_under_a_watch(&mut self) -> anyhow::Result<()> {
        let below = match self.random.below(2) {
            0 => "**",
            _ => "**.nothing",
        };
        let mut options = WatchOptions::new().glob(format!("{}.{below}", self.copy));
        options.assemble_bytes = 1;
        let mut watch = self.primary.watch(options).await?;
        let unlink = Transaction::new().unlink(self.copy.as_str());
        self.primary.commit(unlink).await?;
        if let Ok(told) = timeout(SHORT_WHILE, watch.recv()).await {
            told?;
            self.tally.events += 1;
        }
        self.copy_again().await
    }

    pub(super) async fn copy_again(&self) -> anyhow::Result<()> {
        let copy = Transaction::new().copy("D", self.copy.as_str());
        self.primary.commit(copy).await?;
        Ok(())
    }

    async fn put(&mut self, key: String) -> anyhow::Result<()> {
        let value = self.random.bytes(64);
        self.primary.put(key, value).await?;
        Ok(())
    }

    fn pattern(&mut self) -> &'static str {
        let drawn = self.random.below(PATTERNS.len() as u64) as usize;
        PATTERNS.get(drawn).copied().unwrap_or_default()
    }

    /// Returns a random existing key of the tree.
    fn deep(&mut self, tree: &str) -> String {
        let mut key = tree.to_owned();
        for _ in 0..self.random.below(DOUBLINGS) {
            key.push_str(if self.random.below(2) == 0 {
                ".a"
            } else {
                ".b"
            });
        }
        key + ".x"
    }
}

pub(super) fn few(number: u64) -> String {
    format!("few.k{number:03}")
}

pub(super) fn longer(number: u64) -> String {
    format!("longer.k{number:03}")
}
