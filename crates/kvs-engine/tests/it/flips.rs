//! A flipped bit anywhere in a store: the store starts with what is intact, no value is wrong, and
//! losses are named.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kvs_engine::{At, CrashVariant, EngineConfig, EngineError, ErrorKind, SimDisk};
use kvs_tree::Entry;

use crate::support::*;

/// Flips for each kind of stop.
const TRIALS: u64 = 200;

fn small_segments() -> EngineConfig {
    let mut config = config();
    config.segment_bytes = Some(8 * 1024);
    config.retention.bytes = 4 << 20;
    config
}

/// Creates a store with values in the journal and in packs, and returns them, too.
async fn store(disk: &SimDisk) -> (Sim, BTreeMap<String, Vec<u8>>) {
    let sim = Sim::with(small_segments(), disk.clone()).await;
    let mut values = BTreeMap::new();
    for n in 0..40 {
        let key = format!("d{}.k{n}", n % 5);
        let value = vec![b'a' + (n % 26) as u8; 150 + 31 * n];
        sim.put(&key, value.clone()).await;
        values.insert(key, value);
        if n == 15 {
            sim.put("big", vec![b'v'; 200_000]).await;
            values.insert("big".into(), vec![b'v'; 200_000]);
            sim.engine.checkpoint().await.unwrap();
        }
    }
    (sim, values)
}

/// Where to flip: spread over all files of the store, as many places in small files as in large
/// ones.
fn places(disk: &SimDisk) -> Vec<(PathBuf, u64)> {
    let files = disk.files();
    let files: Vec<_> = files
        .iter()
        .filter(|file| !file.ends_with("lock"))
        .collect();
    let mut random = TRIALS;
    let mut next = |below: u64| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33) % below
    };
    let place = |trial: u64| {
        let file = files[trial as usize % files.len()];
        let bytes = disk.content(file).unwrap();
        // Half of them within the written part.
        let used = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(1, |at| at + 1);
        let below = [used, bytes.len()][trial as usize / files.len() % 2];
        (file.clone(), next(below.max(1) as u64))
    };
    (0..TRIALS).map(place).collect()
}

/// The outcome of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Nothing is lost.
    Whole,
    /// The store starts and reports some keys as damaged.
    KeysDamaged,
    /// The last version is missing.
    LastLost,
    /// The store refuses to start and names the damaged file.
    Refused,
}

async fn try_get(sim: &Sim, at: &str) -> Result<Option<Vec<u8>>, EngineError> {
    let view = sim.engine.view(OWNER, NS, At::Current).await?;
    let Some(found) = view.lookup(&key(at), true).await? else {
        return Ok(None);
    };
    let Entry::Value(value) = found.entry else {
        panic!("{at} is no value")
    };
    let bytes = view.read(&value, 0..value.len()).await?;
    Ok(Some(bytes.to_vec()))
}

async fn trial(disk: SimDisk, file: &Path, values: &BTreeMap<String, Vec<u8>>) -> Outcome {
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    let opened = Sim::try_open(small_segments(), disk).await;
    let sim = match opened {
        Ok(sim) => sim,
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
            assert!(
                error.message.contains(&name),
                "{error} does not name {name}"
            );
            return Outcome::Refused;
        }
    };
    let last = values.keys().find(|key| key.ends_with("k39")).unwrap();
    let version = sim.position().await.version;
    let lost = version == 40;
    assert!(lost || version == 41, "version {version}");
    let mut outcome = [Outcome::Whole, Outcome::LastLost][usize::from(lost)];
    for (name, value) in values {
        match try_get(&sim, name).await {
            Ok(found) => {
                let right = found.as_ref() == Some(value);
                assert!(right || (lost && name == last), "{name}");
            }
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Corrupt, "{error}");
                outcome = Outcome::KeysDamaged;
            }
        }
    }
    outcome
}

/// Runs all trials on images of a stopped store. Returns how often each outcome occurred, by
/// directory.
async fn trials(
    disk: &SimDisk,
    values: &BTreeMap<String, Vec<u8>>,
) -> BTreeMap<(String, Outcome), u64> {
    let mut outcomes = BTreeMap::new();
    for (trial_number, (file, at)) in places(disk).into_iter().enumerate() {
        let image = disk.images_after(usize::MAX, CrashVariant::Kept);
        assert!(image.flip(&file, at, 1 << (trial_number % 8)));
        let outcome = trial(image, &file, values).await;
        let part = file.parent().unwrap().file_name().unwrap();
        let part = part.to_string_lossy().into_owned();
        *outcomes.entry((part, outcome)).or_default() += 1;
    }
    outcomes
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_in_a_store_that_was_stopped_cleanly_loses_nothing_in_silence() {
    let disk = SimDisk::new();
    let (sim, values) = store(&disk).await;
    sim.engine.shutdown().await.unwrap();
    let outcomes = trials(&disk, &values).await;
    for ((part, outcome), times) in outcomes {
        // Journal, root record and FORMAT are not needed to start.
        let fine = outcome == Outcome::Whole
            || (part == "packs" && outcome != Outcome::LastLost)
            || (part == "state" && outcome == Outcome::Refused);
        assert!(fine, "{part}: {outcome:?} {times} times");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_in_a_store_after_a_kill_loses_at_most_the_last_group_in_silence() {
    let disk = SimDisk::new();
    let (sim, values) = store(&disk).await;
    let killed = disk.images_after(usize::MAX, CrashVariant::Kept);
    drop(sim);
    let outcomes = trials(&killed, &values).await;
    for ((part, outcome), times) in outcomes {
        let fine = outcome == Outcome::Whole
            || (part == "journal" && outcome != Outcome::KeysDamaged)
            || (part == "packs" && outcome != Outcome::LastLost)
            || (part == "state" && outcome == Outcome::Refused);
        assert!(fine, "{part}: {outcome:?} {times} times");
    }
}
