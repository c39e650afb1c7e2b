//! The Kruskal-Wallis test: do several groups share one level?

use statrs::function::gamma::checked_gamma_ur;

/// The p value, in 0..=1, by the chi-squared approximation with tie correction.
///
/// `None` with fewer than two groups that hold values, or with a value that is not finite.
/// Source: W. H. Kruskal and W. A. Wallis, JASA 47 (1952).
#[must_use]
pub fn kruskal_wallis(groups: &[Vec<f64>]) -> Option<f64> {
    let mut pooled: Vec<(f64, usize)> = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        pooled.extend(group.iter().map(|&value| (value, index)));
    }
    let filled = groups.iter().filter(|group| !group.is_empty()).count();
    if filled < 2 || !pooled.iter().all(|(value, _)| value.is_finite()) {
        return None;
    }
    pooled.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let n = pooled.len() as f64;
    let mut rank_sums = vec![0.0; groups.len()];
    let (mut below, mut ties) = (0.0, 0.0);
    for tied in pooled.chunk_by(|a, b| a.0 == b.0) {
        let count = tied.len() as f64;
        for &(_, group) in tied {
            rank_sums[group] += below + (count + 1.0) / 2.0;
        }
        below += count;
        ties += count.powi(3) - count;
    }
    let correction = 1.0 - ties / (n.powi(3) - n);
    if correction <= 0.0 {
        return Some(1.0);
    }
    let squares: f64 = rank_sums
        .iter()
        .zip(groups)
        .filter(|(_, group)| !group.is_empty())
        .map(|(sum, group)| sum * sum / group.len() as f64)
        .sum();
    let statistic = ((12.0 / (n * (n + 1.0)) * squares - 3.0 * (n + 1.0)) / correction).max(0.0);
    if statistic == 0.0 {
        return Some(1.0);
    }
    checked_gamma_ur((filled - 1) as f64 / 2.0, statistic / 2.0)
        .ok()
        .map(|p| p.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_separate_groups() {
        // H = 7.2 with two degrees of freedom: p = exp(-3.6).
        let groups = [vec![1.0, 2.0, 3.0], vec![4.0, 5.0, 6.0], vec![7.0, 8.0, 9.0]];
        assert!((kruskal_wallis(&groups).unwrap() - (-3.6_f64).exp()).abs() < 1e-9);
        assert_eq!(kruskal_wallis(&[vec![1.0], vec![1.0]]), Some(1.0));
        assert_eq!(kruskal_wallis(&[vec![1.0], vec![]]), None);
    }
}
