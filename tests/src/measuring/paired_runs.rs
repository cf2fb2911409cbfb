//! Runs in pairs: the same thing measured with and without something, in turns, so that what the
//! machine does meanwhile touches both alike.

use kvs_testkit::median;

/// Figures of both sides, a pair a round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pairs {
    without: Vec<f64>,
    with: Vec<f64>,
}

impl Pairs {
    /// One round.
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

    /// Whether the side without comes first in a round: they take turns in that too.
    pub(crate) fn without_first(round: u64) -> bool {
        round.is_multiple_of(2)
    }

    /// The median of the side without.
    pub(crate) fn without(&self) -> f64 {
        median(&mut self.without.clone())
    }

    /// The median of the side with.
    pub(crate) fn with(&self) -> f64 {
        median(&mut self.with.clone())
    }

    /// The side with to its partner: the median of all pairs.
    pub(crate) fn ratio(&self) -> f64 {
        let pairs = self.without.iter().zip(&self.with);
        let mut ratios: Vec<f64> = pairs.map(|(without, with)| with / without).collect();
        median(&mut ratios)
    }

    /// By how many percent the side with is above its partner.
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
