//! The exact law of a resampled median.
//!
//! Resampling n values with replacement makes the median one of the values (n odd) or the mean of two (n even), with
//! probabilities that follow from the binomial distribution (J. S. Maritz and R. G. Jarrett, JASA 73, 1978). For small
//! samples that is faster than drawing, and needs no seed. [`super::bootstrap`] uses it.

/// A discrete law: values in ascending order with the probability of being at most each.
#[derive(Debug, Clone)]
pub struct MedianLaw {
    values: Vec<f64>,
    cumulative: Vec<f64>,
}

impl MedianLaw {
    /// The law of the median of a resample of `sorted`, which is ascending and not empty.
    #[must_use]
    pub(crate) fn of_sorted(sorted: &[f64]) -> Self {
        let atoms = if sorted.len() % 2 == 1 {
            odd(sorted)
        } else {
            even(sorted)
        };
        let (mut values, mut cumulative, mut sum) = (Vec::new(), Vec::new(), 0.0);
        for (value, probability) in atoms {
            sum += probability;
            values.push(value);
            cumulative.push(sum);
        }
        Self { values, cumulative }
    }

    /// The probability of a median of at most `limit`.
    #[must_use]
    pub fn at_most(&self, limit: f64) -> f64 {
        match self.values.partition_point(|&value| value <= limit) {
            0 => 0.0,
            count => self.cumulative[count - 1].min(1.0),
        }
    }

    /// Every value with its probability, ascending.
    pub fn atoms(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let before = std::iter::once(0.0).chain(self.cumulative.iter().copied());
        self.values
            .iter()
            .zip(self.cumulative.iter().zip(before))
            .map(|(&value, (&sum, less))| (value, sum - less))
    }
}

/// n odd: the median is at most the k-th value if more than half of the draws are.
fn odd(sorted: &[f64]) -> Vec<(f64, f64)> {
    let n = sorted.len();
    let mut below = 0.0;
    let mut atoms = Vec::with_capacity(n);
    for (index, &value) in sorted.iter().enumerate() {
        let share = (index + 1) as f64 / n as f64;
        let at_most = binomial(n, share).skip(n / 2 + 1).sum::<f64>();
        atoms.push((value, at_most - below));
        below = at_most;
    }
    atoms
}

/// n even: the joint law of the two middle draws, h = n / 2 of the draws on each side.
///
/// With F(i) = (i + 1) / n, the lower one is i and the upper one j > i with probability
/// C(n, h) (F(i)^h - F(i-1)^h) ((1 - F(j-1))^h - (1 - F(j))^h); what is left of "the lower one is i" is "both are i".
fn even(sorted: &[f64]) -> Vec<(f64, f64)> {
    let n = sorted.len();
    let half = n / 2;
    let power = |draws: usize| (draws as f64 / n as f64).powi(i32::try_from(half).unwrap_or(i32::MAX));
    let choose = binomial_coefficient(n, half);
    let lower_at_most = |count: usize| binomial(n, count as f64 / n as f64).skip(half).sum::<f64>();
    let mut atoms = Vec::with_capacity(n * (n + 1) / 2);
    let mut below = 0.0;
    for low in 0..n {
        let at_most = lower_at_most(low + 1);
        let ends_here = choose * (power(low + 1) - power(low));
        let both = (at_most - below) - ends_here * power(n - low - 1);
        below = at_most;
        atoms.push((sorted[low], both.max(0.0)));
        for high in low + 1..n {
            let starts_here = power(n - high) - power(n - high - 1);
            atoms.push((sorted[low].midpoint(sorted[high]), ends_here * starts_here));
        }
    }
    atoms.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    atoms
}

fn binomial_coefficient(n: usize, k: usize) -> f64 {
    (0..k).fold(1.0, |product, i| product * (n - i) as f64 / (i + 1) as f64)
}

/// The probabilities of 0..=n successes, each with probability `share`.
fn binomial(n: usize, share: f64) -> impl Iterator<Item = f64> {
    let size = i32::try_from(n).unwrap_or(i32::MAX);
    let mut coefficient = 1.0;
    (0..=size).map(move |k| {
        let term = coefficient * share.powi(k) * (1.0 - share).powi(size - k);
        coefficient *= f64::from(size - k) / f64::from(k + 1);
        term
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{quantile::median, rng::Rng};

    #[test]
    fn three_values_have_the_law_of_27_resamples() {
        let atoms: Vec<(f64, f64)> = MedianLaw::of_sorted(&[1.0, 2.0, 3.0]).atoms().collect();
        let expected = [(1.0, 7.0 / 27.0), (2.0, 13.0 / 27.0), (3.0, 7.0 / 27.0)];
        assert!(
            atoms
                .iter()
                .zip(expected)
                .all(|(a, e)| a.0 == e.0 && (a.1 - e.1).abs() < 1e-12),
            "{atoms:?}"
        );
    }

    #[test]
    fn drawing_agrees() {
        for sorted in [
            vec![1.0, 2.0, 4.0, 8.0],
            vec![1.0, 2.0, 4.0, 8.0, 16.0],
            (0..10).map(f64::from).collect(),
        ] {
            let law = MedianLaw::of_sorted(&sorted);
            assert!((law.at_most(f64::MAX) - 1.0).abs() < 1e-9);
            assert_eq!(law.at_most(-1.0), 0.0);
            let mut rng = Rng::new(3);
            let draws: Vec<f64> = (0..20_000)
                .map(|_| {
                    let drawn: Vec<f64> = sorted
                        .iter()
                        .map(|_| sorted[rng.next_below(sorted.len())])
                        .collect();
                    median(&drawn).unwrap()
                })
                .collect();
            for limit in [2.0, 3.0, 4.0, 6.0] {
                let share = draws.iter().filter(|&&draw| draw <= limit).count() as f64 / 20_000.0;
                assert!(
                    (share - law.at_most(limit)).abs() < 0.015,
                    "{sorted:?} {limit} {share} {}",
                    law.at_most(limit)
                );
            }
        }
    }
}
