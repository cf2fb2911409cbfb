//! `directory-growth`: puts into a directory of 1,000 entries, and into the same directory after it
//! has grown. The figures are those of the large directory.

use std::sync::Arc;
use std::time::Instant;

use crate::load::{Bench, Measured, Work};
use crate::plan::Size;

/// Number of entries while the directory is small.
const SMALL: u64 = 1000;

/// Runs one repetition. The first one grows the directory; later ones compare with its result for
/// the small directory.
pub(crate) async fn measure(
    bench: &Bench,
    small_p50_us: &mut Option<f64>,
) -> anyhow::Result<Measured> {
    let mut extra = Vec::new();
    let small = match *small_p50_us {
        Some(small) => small,
        None => {
            let few = bench.size.keys.min(SMALL);
            bench.fill(0, few).await?;
            let small = Size {
                keys: few,
                ..bench.size
            };
            let puts = bench.drive("puts, small", Arc::new(move |i| Work::put(&small, i)));
            let small = puts.await?.samples.spread().p50_us;
            let start = Instant::now();
            bench.fill(few, bench.size.keys).await?;
            let filled = (bench.size.keys - few) as f64;
            extra.push(("fill_rate", filled / start.elapsed().as_secs_f64()));
            *small_p50_us.insert(small)
        }
    };
    let size = bench.size;
    let mut measured = bench
        .drive("puts, large", Arc::new(move |i| Work::put(&size, i)))
        .await?;
    let large = measured.samples.clone().spread().p50_us;
    extra.push(("p50_us_at_1000", small));
    extra.push(("growth", large / small.max(1e-9)));
    measured.extra = extra;
    Ok(measured)
}
