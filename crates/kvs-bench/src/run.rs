//! Controls a run: each workload on a fresh store or in a namespace of its own, with the machine
//! limits measured before each repetition.

use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::cpus::Cpus;
use crate::load::{Bench, Measured};
use crate::machine;
use crate::machine::disk::Disk;
use crate::machine::frames;
use crate::placement::Placement;
use crate::plan::{Plan, Workload};
use crate::progress::Progress;
use crate::report::{Figures, Repetition};
use crate::target::Target;
use crate::workloads::{
    append, counter, directory_growth, get, idle_watches, large_value, mixed, put, restart,
    snapshot_get, txn, watch,
};

/// Each machine limit is measured for the workload's time divided by this…
const LIMIT_SHARE: u32 = 10;

/// …but at most for this long.
const LIMIT_TIME: Duration = Duration::from_millis(500);

/// Each placement is measured for the workload's time divided by this…
const PLACEMENT_SHARE: u32 = 4;

/// …but at most for this long.
const PLACEMENT_TIME: Duration = Duration::from_secs(1);

/// Measures one workload. Returns `None` if it was stopped; everything created for it is removed in
/// any case.
pub async fn run(
    plan: &Plan,
    workload: Workload,
    cpus: &Cpus,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Figures>> {
    let progress = Progress::new(workload.name());
    progress.step("daemon");
    let mut bench = Bench {
        size: plan.size(workload),
        plan: plan.clone(),
        target: Target::open(plan, cpus, workload).await?,
        progress,
    };
    let repetitions = tokio::select! {
        repetitions = repeat(&mut bench, workload, cpus) => Some(repetitions),
        () = stop.cancelled() => None,
    };
    bench.progress.end();
    let (size, hash) = (bench.size, bench.target.hash());
    let closed = bench.target.close().await;
    let Some(repetitions) = repetitions else {
        return Ok(None);
    };
    let repetitions = repetitions.with_context(|| workload.name())?;
    closed.context("cannot clean up")?;
    Ok(Some(Figures::new(
        workload,
        plan,
        &size,
        hash,
        &repetitions,
    )))
}

async fn repeat(
    bench: &mut Bench,
    workload: Workload,
    cpus: &Cpus,
) -> anyhow::Result<Vec<Repetition>> {
    let plan = bench.plan.clone();
    let frames = frames::of(workload, &bench.size);
    let mut disk = bench.target.directory().map(Disk::new).transpose()?;
    match workload {
        Workload::LargeValue | Workload::DirectoryGrowth | Workload::Watch => {}
        _ => bench.fill(0, bench.size.keys).await?,
    }
    let time = (plan.time / LIMIT_SHARE).min(LIMIT_TIME);
    let mut repetitions = Vec::new();
    let mut small = None;
    for _ in 0..plan.repetitions {
        bench.progress.step("the machine's limits");
        let hash = bench.target.hash();
        let limit = machine::measure(&plan, cpus, disk.as_mut(), frames, hash, time).await?;
        let mut measured = measure(bench, workload, &mut small).await?;
        measured.extra.extend(placed(bench, workload, cpus).await?);
        repetitions.push(Repetition {
            rate: measured.rate(),
            rss_bytes: bench.target.rss_bytes(),
            disk_bytes_per_op: measured.disk_bytes_per_op,
            limit,
            extra: measured.extra,
            spread: measured.samples.spread(),
        });
    }
    Ok(repetitions)
}

/// Runs the workload again, briefly, with both sides on one CPU and on two CPUs.
async fn placed(
    bench: &mut Bench,
    workload: Workload,
    cpus: &Cpus,
) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let whole = bench.plan.clone();
    let mut figures = Vec::new();
    for placement in Placement::of(bench, workload, cpus) {
        placement.enter(bench, cpus)?;
        bench.plan.time = (whole.time / PLACEMENT_SHARE).min(PLACEMENT_TIME);
        bench.plan.warm_up = whole.warm_up.min(bench.plan.time);
        let measured = measure(bench, workload, &mut None).await;
        bench.plan = whole.clone();
        Placement::leave(bench, cpus)?;
        figures.extend(placement.figures(measured?));
    }
    Ok(figures)
}

/// Runs one repetition. `small` holds a result that only the first one can measure.
async fn measure(
    bench: &mut Bench,
    workload: Workload,
    small: &mut Option<f64>,
) -> anyhow::Result<Measured> {
    match workload {
        Workload::Put => put::measure(bench).await,
        Workload::Get => get::measure(bench).await,
        Workload::SnapshotGet => snapshot_get::measure(bench).await,
        Workload::Mixed => mixed::measure(bench).await,
        Workload::Watch => watch::measure(bench).await,
        Workload::IdleWatches => idle_watches::measure(bench).await,
        Workload::Txn => txn::measure(bench).await,
        Workload::Append => append::measure(bench).await,
        Workload::Counter => counter::measure(bench).await,
        Workload::LargeValue => large_value::measure(bench).await,
        Workload::DirectoryGrowth => directory_growth::measure(bench, small).await,
        Workload::Restart => restart::measure(bench).await,
    }
}
