//! Paired runs: measures with and without a feature, alternating, so that disturbances affect both
//! equally.

use kvs_testkit::median;

/// Figures of both sides, one pair per round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    without: Vec<f64>,
    with: Vec<f64>,
}

impl Pairs {
    /// Creates pairs from a first round.
    pub(crate) fn of(without: f64, with: f64) -> Self {
        Self {
            without: vec![without],
            with: vec![with],
        }
    }

    /// Adds a round.
    pub(crate) fn push(&mut self, without: f64, with: f64) {
        self.without.push(without);
        self.with.push(with);
    }

    /// Returns whether the side without comes first in this round. The order alternates.
    pub(crate) fn without_first(round: u64) -> bool {
        round.is_multiple_of(2)
    }

    /// Returns the median of the side without.
    pub(crate) fn without(&self) -> f64 {
        median(&mut self.without.clone())
    }

    /// Returns the median of the side with.
    pub(crate) fn with(&self) -> f64 {
        median(&mut self.with.clone())
    }

    /// Returns the median ratio of with to without, over all pairs.
    pub(crate) fn ratio(&self) -> f64 {
        let pairs = self.without.iter().zip(&self.with);
        let mut ratios: Vec<f64> = pairs.map(|(without, with)| with / without).collect();
        median(&mut ratios)
    }

    /// Returns the median increase in percent, over all pairs.
    pub(crate) fn growth_percent(&self) -> f64 {
        (self.ratio() - 1.0) * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growth_is_that_of_the_median_pair() {
        let mut pairs = Pairs::default();
        for (without, with) in [(10.0, 11.0), (100.0, 500.0), (20.0, 20.0)] {
            pairs.push(without, with);
        }
        assert!((pairs.growth_percent() - 10.0).abs() < 1e-9);
        assert_eq!(pairs.ratio(), 1.1);
        assert_eq!((pairs.without(), pairs.with()), (20.0, 20.0));
    }
}
