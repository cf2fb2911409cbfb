//! The measurements: their arguments, their short forms, and how they are started.

use std::path::PathBuf;

use clap::Subcommand;
use kvs_acceptance::{
    AppendGrowth, Boxed, BytesPerPut, CatchUp, ClientMemory, CommitToCallback, DirRecursive,
    DirectoryGrowth, ExactlyOnce, Fairness, Flood, HostileGuest, IdleWatches, KillNine, LargeValue,
    ManyNamespaces, Report, Restart, Slices, StalledWatchers, StoreGrowth, WatchChurn,
    WatchLossless,
};

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum What {
    /// kill -9 at random moments while puts are pipelined
    KillNine {
        /// Number of daemons killed
        #[arg(long, default_value_t = 50)]
        rounds: u64,
        /// Puts sent per round
        #[arg(long, default_value_t = 10_000)]
        puts: u64,
    },
    /// Adds to a counter while daemons are killed
    ExactlyOnce {
        /// Number of adds of 1
        #[arg(long, default_value_t = 100_000)]
        adds: u64,
        /// Number of daemons killed
        #[arg(long, default_value_t = 10)]
        kills: u64,
    },
    /// Cost of a put in a growing directory
    DirectoryGrowth {
        /// Number of puts of new names
        #[arg(long, default_value_t = 1_000_000)]
        puts: u64,
    },
    /// Watchers of a key that is written at full speed
    WatchLossless {
        /// Number of values written
        #[arg(long, default_value_t = 1_000_000)]
        values: u64,
        /// Number of watchers
        #[arg(long, default_value_t = 4)]
        watchers: u64,
        /// Number of daemons killed meanwhile
        #[arg(long, default_value_t = 0)]
        kills: u64,
    },
    /// Bytes written to disk per pipelined put
    BytesPerPut {
        /// Number of puts
        #[arg(long, default_value_t = 1_000_000)]
        puts: u64,
        /// Number of keys
        #[arg(long, default_value_t = 1_000)]
        keys: u64,
        /// Size of a value in bytes
        #[arg(long, default_value_t = 64)]
        value_bytes: usize,
    },
    /// Time from the start of a daemon to its first answer
    Restart {
        /// Number of keys in the store
        #[arg(long, default_value_t = 1_000_000)]
        keys: u64,
        /// Number of restarts after kill -9, and after a clean stop
        #[arg(long, default_value_t = 5)]
        rounds: u64,
        /// Maximum number of puts before each kill
        #[arg(long, default_value_t = 90_000)]
        puts: u64,
    },
    /// Streaming put and get of a long value: memory, and the rate compared with a copy through a
    /// socket
    LargeValue {
        /// Size of the value in MiB
        #[arg(long, default_value_t = 1024)]
        mib: u64,
        /// Number of rounds
        #[arg(long, default_value_t = 5)]
        rounds: u64,
    },
    /// Time of dir -R on a large tree during writes
    DirRecursive {
        /// Number of keys in the tree
        #[arg(long, default_value_t = 100_000)]
        keys: u64,
        /// Number of rounds
        #[arg(long, default_value_t = 5)]
        rounds: u64,
    },
    /// Memory of commands that print a long value, or a version with very many keys
    ClientMemory {
        /// Size of the value in MiB
        #[arg(long, default_value_t = 600)]
        mib: u64,
        /// Doublings n of the tree, for 2^(n+1) keys and as many directories
        #[arg(long, default_value_t = 19)]
        doublings: u32,
    },
    /// Cost of an append to a growing eventlog
    AppendGrowth {
        /// Number of entries appended
        #[arg(long, default_value_t = 1_000_000)]
        entries: u64,
    },
    /// Memory and bytes written per namespace
    ManyNamespaces {
        /// Number of namespaces created
        #[arg(long, default_value_t = 10_000)]
        namespaces: u64,
    },
    /// CPU time and memory of idle watches
    IdleWatches(IdleWatches),
    /// Watchers of one key, some of which never read
    StalledWatchers(StalledWatchers),
    /// Time from the call of a commit to a watcher's callback
    CommitToCallback(CommitToCallback),
    /// A watcher that missed very many versions
    CatchUp(CatchUp),
    /// A daemon after very many commits, compared with a new one
    Growth(StoreGrowth),
    /// Thousands of watches created and cancelled during writes and trims
    WatchChurn(WatchChurn),
    /// Few descriptors and threads, a hostile guest, an honest owner, occasional kill -9
    Box(Boxed),
    /// The hostile guest, in its own process
    #[command(hide = true)]
    HostileGuest(HostileGuest),
    /// Latency of the instance owner's puts while a guest floods the daemon; requires root
    Fairness(Fairness),
    /// Random requests on a tree made huge by copying: the largest slice, the longest pause of a
    /// get
    Slices(Slices),
    /// Flood a daemon in one way until killed: the guest of `fairness`
    #[command(hide = true)]
    Flood {
        how: Flood,
        socket: PathBuf,
        versions: u64,
    },
    /// All of these
    All,
}

/// Selects one of two sizes of a run.
fn choose<T>(short: bool, long: T, small: T) -> T {
    if short { small } else { long }
}

impl What {
    /// Returns all measurements, in full or small size.
    pub(crate) fn all(short: bool) -> Vec<What> {
        let pick = |long: u64, small: u64| if short { small } else { long };
        vec![
            What::KillNine {
                rounds: pick(50, 5),
                puts: pick(10_000, 5_000),
            },
            What::ExactlyOnce {
                adds: pick(100_000, 10_000),
                kills: pick(10, 3),
            },
            What::DirectoryGrowth {
                puts: pick(1_000_000, 60_000),
            },
            What::WatchLossless {
                values: pick(1_000_000, 20_000),
                watchers: 4,
                kills: 0,
            },
            What::BytesPerPut {
                puts: pick(1_000_000, 100_000),
                keys: 1_000,
                value_bytes: 64,
            },
            What::Restart {
                keys: pick(1_000_000, 50_000),
                rounds: pick(5, 2),
                puts: pick(90_000, 10_000),
            },
            What::LargeValue {
                mib: pick(1024, 128),
                rounds: pick(5, 1),
            },
            What::DirRecursive {
                keys: pick(100_000, 20_000),
                rounds: pick(5, 2),
            },
            What::ClientMemory {
                mib: pick(600, 100),
                doublings: choose(short, 19, 16),
            },
            What::AppendGrowth {
                entries: pick(1_000_000, 60_000),
            },
            What::ManyNamespaces {
                namespaces: pick(10_000, 1_000),
            },
            What::IdleWatches(choose(short, IdleWatches::LONG, IdleWatches::SHORT)),
            What::StalledWatchers(choose(short, StalledWatchers::LONG, StalledWatchers::SHORT)),
            What::CommitToCallback(choose(
                short,
                CommitToCallback::LONG,
                CommitToCallback::SHORT,
            )),
            What::CatchUp(choose(short, CatchUp::LONG, CatchUp::SHORT)),
            What::Growth(choose(short, StoreGrowth::LONG, StoreGrowth::SHORT)),
            What::WatchChurn(choose(short, WatchChurn::LONG, WatchChurn::SHORT)),
            What::Box(choose(short, Boxed::LONG, Boxed::SHORT)),
            What::Fairness(choose(short, Fairness::LONG, Fairness::SHORT)),
            What::Slices(choose(short, Slices::LONG, Slices::SHORT)),
        ]
    }

    pub(crate) async fn run(self, directory: PathBuf, seed: u64) -> anyhow::Result<Report> {
        match self {
            What::KillNine { rounds, puts } => {
                let run = KillNine {
                    rounds,
                    puts,
                    seed,
                    directory,
                };
                run.run().await
            }
            What::ExactlyOnce { adds, kills } => {
                let run = ExactlyOnce {
                    adds,
                    kills,
                    directory,
                };
                run.run().await
            }
            What::DirectoryGrowth { puts } => {
                let run = DirectoryGrowth {
                    puts,
                    warm_up: 1_000,
                    window: 5_000,
                    directory,
                };
                run.run().await
            }
            What::WatchLossless {
                values,
                watchers,
                kills,
            } => {
                let run = WatchLossless {
                    values,
                    watchers,
                    kills,
                    directory,
                };
                run.run().await
            }
            What::BytesPerPut {
                puts,
                keys,
                value_bytes,
            } => {
                let run = BytesPerPut {
                    puts,
                    keys,
                    value_bytes,
                    directory,
                };
                run.run().await
            }
            What::Restart { keys, rounds, puts } => {
                let run = Restart {
                    keys,
                    rounds,
                    puts,
                    seed,
                    directory,
                };
                run.run().await
            }
            What::LargeValue { mib, rounds } => {
                let run = LargeValue {
                    mib,
                    rounds,
                    directory,
                };
                run.run().await
            }
            What::DirRecursive { keys, rounds } => {
                let run = DirRecursive {
                    keys,
                    rounds,
                    directory,
                };
                run.run().await
            }
            What::ClientMemory { mib, doublings } => {
                let run = ClientMemory {
                    mib,
                    doublings,
                    directory,
                };
                run.run().await
            }
            What::AppendGrowth { entries } => {
                let run = AppendGrowth {
                    entries,
                    warm_up: 1_000,
                    window: 5_000,
                    directory,
                };
                run.run().await
            }
            What::ManyNamespaces { namespaces } => {
                let run = ManyNamespaces {
                    namespaces,
                    directory,
                };
                run.run().await
            }
            What::IdleWatches(run) => run.run(&directory).await,
            What::StalledWatchers(run) => run.run(&directory).await,
            What::CommitToCallback(run) => run.run(&directory).await,
            What::CatchUp(run) => run.run(&directory).await,
            What::Growth(run) => run.run(&directory).await,
            What::WatchChurn(run) => run.run(&directory).await,
            What::Box(run) => run.run(&directory, seed).await,
            What::HostileGuest(_) | What::Flood { .. } | What::All => {
                anyhow::bail!("that is not one measurement")
            }
            What::Fairness(run) => run.run(&directory).await,
            What::Slices(run) => run.run(&directory, seed).await,
        }
    }
}
