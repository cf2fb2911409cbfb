//! Pure statistics: percentiles of latencies, and medians over repetitions.

use std::time::Duration;

use serde::Serialize;

/// Recorded latencies in nanoseconds. Recording is a push into reserved memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    nanos: Vec<u64>,
}

/// Latency percentiles in microseconds. All zero if there are no samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// 50th percentile.
    pub(crate) p50_us: f64,
    /// 90th percentile.
    pub(crate) p90_us: f64,
    /// 99th percentile.
    pub(crate) p99_us: f64,
    /// Maximum.
    pub(crate) max_us: f64,
}

impl Samples {
    /// Creates an empty set with room for this many samples.
    pub(crate) fn with_capacity(samples: usize) -> Self {
        Self {
            nanos: Vec::with_capacity(samples),
        }
    }

    /// Records a latency.
    pub(crate) fn push(&mut self, latency: Duration) {
        self.nanos
            .push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Returns the number of samples.
    pub(crate) fn len(&self) -> usize {
        self.nanos.len()
    }

    /// Adds the samples of another connection.
    pub(crate) fn extend(&mut self, other: Samples) {
        self.nanos.extend(other.nanos);
    }

    /// Computes the percentiles. Costs a sort.
    pub(crate) fn spread(mut self) -> Spread {
        self.nanos.sort_unstable();
        let at = |share| percentile(&self.nanos, share) as f64 / 1000.0;
        Spread {
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            max_us: at(1.0),
        }
    }
}

impl Spread {
    /// Returns the median of each percentile and the largest maximum.
    pub(crate) fn median(spreads: &[Spread]) -> Spread {
        let of = |field: fn(&Spread) -> f64| median(spreads.iter().map(field));
        Spread {
            p50_us: of(|spread| spread.p50_us),
            p90_us: of(|spread| spread.p90_us),
            p99_us: of(|spread| spread.p99_us),
            max_us: spreads
                .iter()
                .map(|spread| spread.max_us)
                .fold(0.0, f64::max),
        }
    }
}

/// Returns the smallest sample that at least this share (0 to 1) of the samples do not exceed; 0 if
/// there are none.
pub(crate) fn percentile(sorted: &[u64], share: f64) -> u64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(rank.saturating_sub(1).min(last))
        .copied()
        .unwrap_or(0)
}

/// Returns the median, for an even count the mean of the middle two; 0 if there are no numbers.
pub(crate) fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    let upper = numbers.get(middle).copied().unwrap_or(0.0);
    if numbers.len() % 2 == 1 {
        return upper;
    }
    let lower = numbers
        .get(middle.saturating_sub(1))
        .copied()
        .unwrap_or(upper);
    f64::midpoint(lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_by_nearest_rank() {
        let sorted: Vec<u64> = (1..=1000).collect();
        for (share, want) in [
            (0.0, 1),
            (0.5, 500),
            (0.9, 900),
            (0.99, 990),
            (0.9991, 1000),
            (1.0, 1000),
        ] {
            assert_eq!(percentile(&sorted, share), want, "{share}");
        }
        assert_eq!(percentile(&[7], 0.5), 7);
        assert_eq!(percentile(&[7, 9], 0.5), 7);
        assert_eq!(percentile(&[], 0.5), 0);
    }

    #[test]
    fn a_spread_is_in_microseconds_whatever_the_order() {
        let mut samples = Samples::with_capacity(4);
        for micros in [40, 10, 30] {
            samples.push(Duration::from_micros(micros));
        }
        let mut more = Samples::default();
        more.push(Duration::from_nanos(20_500));
        samples.extend(more);
        assert_eq!(samples.len(), 4);
        let spread = samples.spread();
        assert_eq!(spread.p50_us, 20.5);
        assert_eq!((spread.p99_us, spread.max_us), (40.0, 40.0));
        assert_eq!(Samples::default().spread(), Spread::default());
    }

    #[test]
    fn medians_ignore_an_outlier() {
        assert_eq!(median([3.0, 900.0, 1.0]), 3.0);
        assert_eq!(median([1.0, 2.0, 3.0, 900.0]), 2.5);
        assert_eq!(median([]), 0.0);
    }

    #[test]
    fn the_median_spread_keeps_the_largest_maximum() {
        let spread = |p50_us, max_us| Spread {
            p50_us,
            max_us,
            ..Spread::default()
        };
        let median = Spread::median(&[spread(1.0, 5.0), spread(3.0, 70.0), spread(2.0, 6.0)]);
        assert_eq!((median.p50_us, median.max_us), (2.0, 70.0));
    }
}
