//! Benjamini and Hochberg's control of the false discovery rate over the benchmarks of one run.

/// The q value of every p value, in the order given: the smallest rate at which that benchmark is still reported.
///
/// A p value that is not a number counts as 1. Source: Benjamini and Hochberg, JRSS B 57 (1995).
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let p: Vec<f64> = p_values
        .iter()
        .map(|p| if p.is_nan() { 1.0 } else { p.clamp(0.0, 1.0) })
        .collect();
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut q_values = vec![1.0; p.len()];
    let mut smallest = 1.0_f64;
    for (rank, &index) in order.iter().enumerate().rev() {
        // Rounding must not put q below p.
        let adjusted = (p[index] * (p.len() as f64 / (rank + 1) as f64)).max(p[index]);
        smallest = smallest.min(adjusted);
        q_values[index] = smallest;
    }
    q_values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_r() {
        // p.adjust(c(0.01, 0.04, 0.03, 0.5), "BH")
        let q = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.5]);
        let expected = [0.04, 0.04 * 4.0 / 3.0, 0.04 * 4.0 / 3.0, 0.5];
        assert!(
            q.iter().zip(expected).all(|(q, e)| (q - e).abs() < 1e-12),
            "{q:?}"
        );
        assert_eq!(benjamini_hochberg(&[f64::NAN, 0.5]), [1.0, 1.0]);
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
