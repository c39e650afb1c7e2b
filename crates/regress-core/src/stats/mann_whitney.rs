//! The Mann-Whitney U test, exact with ties for small samples.
//!
//! Exact means the permutation distribution of the rank sum given the ties that are there, as benchstat computes it;
//! tables that ignore ties give wrong p values on timings rounded to whole nanoseconds.

use super::normal;

/// Together at most this many values are tested exactly; beyond it the normal approximation errs by less than 1e-3.
pub const EXACT_LIMIT: usize = 50;

/// The outcome of the test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MannWhitney {
    /// Pairs in which the second sample's value is larger, ties counting half.
    pub u: f64,
    /// Two-sided, in 0..=1.
    pub p: f64,
    /// Whether `p` comes from the permutation distribution and not from the normal approximation.
    pub exact: bool,
}

/// Tests `after` against `before`. `None` if a sample is empty or holds a value that is not finite.
///
/// Exact up to [`EXACT_LIMIT`] values, beyond with tie and continuity correction.
/// Source: H. B. Mann and D. R. Whitney, Annals of Mathematical Statistics 18 (1947).
#[must_use]
pub fn mann_whitney(before: &[f64], after: &[f64]) -> Option<MannWhitney> {
    let ranks = Ranks::of(before, after)?;
    let pairs_within = after.len() * (after.len() + 1) / 2;
    let u = ranks.doubled_sum_after as f64 / 2.0 - pairs_within as f64;
    let exact = before.len() + after.len() <= EXACT_LIMIT;
    let p = if exact {
        ranks.exact_p(after.len())
    } else {
        ranks.normal_p(before.len(), after.len(), u)
    };
    Some(MannWhitney { u, p, exact })
}

/// U alone: the pairs in which `after` is larger, ties counting half. `None` as for [`mann_whitney`].
#[must_use]
pub fn pairs_won(before: &[f64], after: &[f64]) -> Option<f64> {
    let pairs_within = after.len() * (after.len() + 1) / 2;
    Some(Ranks::of(before, after)?.doubled_sum_after as f64 / 2.0 - pairs_within as f64)
}

/// The pooled values as groups of ties.
struct Ranks {
    /// Of every group in ascending order: twice its mid-rank, and how many values share it.
    groups: Vec<(usize, usize)>,
    doubled_sum_after: usize,
}

impl Ranks {
    fn of(before: &[f64], after: &[f64]) -> Option<Self> {
        if before.is_empty() || after.is_empty() {
            return None;
        }
        let tagged = before
            .iter()
            .map(|&value| (value, 0))
            .chain(after.iter().map(|&value| (value, 1)));
        let mut pooled: Vec<(f64, usize)> = tagged.collect();
        if !pooled.iter().all(|(value, _)| value.is_finite()) {
            return None;
        }
        pooled.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let (mut groups, mut doubled_sum_after, mut below) = (Vec::new(), 0, 0);
        // `==`, so that 0.0 and -0.0 tie.
        for group in pooled.chunk_by(|a, b| a.0 == b.0) {
            let doubled_rank = 2 * below + group.len() + 1;
            doubled_sum_after += doubled_rank * group.iter().map(|(_, of_after)| of_after).sum::<usize>();
            groups.push((doubled_rank, group.len()));
            below += group.len();
        }
        Some(Self {
            groups,
            doubled_sum_after,
        })
    }

    /// The share of all ways to pick `picked` of the values whose rank sum is as far out, doubled.
    fn exact_p(&self, picked: usize) -> f64 {
        let total: usize = self.groups.iter().map(|(rank, count)| rank * count).sum();
        let sums = total + 1;
        // ways[k * sums + s]: how many ways to pick k values with doubled rank sum s.
        let mut ways = vec![0.0_f64; (picked + 1) * sums];
        ways[0] = 1.0;
        let (mut seen, mut reach) = (0, 0);
        for &(rank, count) in &self.groups {
            for _ in 0..count {
                seen += 1;
                reach += rank;
                for k in (1..=picked.min(seen)).rev() {
                    let (fewer, these) = ways.split_at_mut(k * sums);
                    let fewer = &fewer[(k - 1) * sums..];
                    for (to, from) in these[rank..=reach].iter_mut().zip(&fewer[..=reach - rank]) {
                        *to += from;
                    }
                }
            }
        }
        let law = &ways[picked * sums..];
        let all: f64 = law.iter().sum();
        let at_most: f64 = law[..=self.doubled_sum_after].iter().sum();
        let at_least: f64 = law[self.doubled_sum_after..].iter().sum();
        (2.0 * at_most.min(at_least) / all).min(1.0)
    }

    fn normal_p(&self, before: usize, after: usize, u: f64) -> f64 {
        let (m, n) = (before as f64, after as f64);
        let all = m + n;
        let ties: f64 = self
            .groups
            .iter()
            .map(|&(_, count)| (count as f64).powi(3) - count as f64)
            .sum();
        let variance = m * n / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
        if variance <= 0.0 {
            return 1.0;
        }
        let distance = ((u - m * n / 2.0).abs() - 0.5).max(0.0);
        normal::two_sided_p(distance / variance.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_separation_of_five_and_five_is_one_in_126() {
        let result = mann_whitney(&[1.0, 2.0, 3.0, 4.0, 5.0], &[6.0, 7.0, 8.0, 9.0, 10.0]).unwrap();
        assert!(result.exact);
        assert_eq!(result.u, 25.0);
        assert!((result.p - 2.0 / 252.0).abs() < 1e-12);
    }

    #[test]
    fn all_tied_says_nothing() {
        assert_eq!(mann_whitney(&[3.0; 6], &[3.0; 6]).unwrap().p, 1.0);
        assert_eq!(mann_whitney(&[3.0; 60], &[3.0; 60]).unwrap().p, 1.0);
        assert_eq!(mann_whitney(&[0.0, 0.0], &[-0.0, -0.0]).unwrap().p, 1.0);
    }

    #[test]
    fn large_samples_are_quick_and_close() {
        let before: Vec<f64> = (0..40).map(f64::from).collect();
        let after: Vec<f64> = (0..40).map(|value| f64::from(value) + 9.5).collect();
        let result = mann_whitney(&before, &after).unwrap();
        assert!(!result.exact && result.p > 0.0 && result.p < 0.02, "{result:?}");
        assert_eq!(mann_whitney(&[], &[1.0]), None);
        assert_eq!(mann_whitney(&[f64::NAN], &[1.0]), None);
    }
}
