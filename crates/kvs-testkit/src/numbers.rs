//! Medians and percentiles of small sets of figures.

/// Returns the median, for an even count the mean of the middle two; 0 if there are no values.
/// Sorts the values.
pub fn median(values: &mut [f64]) -> f64 {
    let lower = percentile(values, 50);
    let upper = values.get(values.len() / 2).copied().unwrap_or(0.0);
    f64::midpoint(lower, upper)
}

/// Returns the value that `percent` percent of the values do not exceed; 0 if there are no values.
/// Sorts the values.
pub fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = values.len().saturating_sub(1) * percent / 100;
    values.get(index).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles() {
        assert_eq!(median(&mut []), 0.0);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        let mut hundred: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut hundred, 99), 99.0);
    }
}
