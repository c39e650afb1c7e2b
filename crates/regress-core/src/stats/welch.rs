//! Welch's t test: do two samples with their own spreads have the same mean?

use super::{
    moments::{mean, variance},
    student,
};

/// The outcome of Welch's test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Welch {
    /// Positive if the second sample's mean is larger; infinite if neither sample varies and the means differ.
    pub t: f64,
    /// Welch and Satterthwaite's degrees of freedom.
    pub degrees_of_freedom: f64,
    /// Two-sided, in 0..=1.
    pub p: f64,
}

/// Tests `after` against `before`. `None` if a sample has fewer than two values or one that is not finite.
///
/// Source: B. L. Welch, "The generalization of Student's problem", Biometrika 34 (1947).
#[must_use]
pub fn welch_t_test(before: &[f64], after: &[f64]) -> Option<Welch> {
    let difference = mean(after)? - mean(before)?;
    let (count_before, count_after) = (before.len() as f64, after.len() as f64);
    let (a, b) = (variance(before)? / count_before, variance(after)? / count_after);
    let error = (a + b).sqrt();
    if error == 0.0 {
        let degrees_of_freedom = count_before + count_after - 2.0;
        let (t, p) = if difference == 0.0 {
            (0.0, 1.0)
        } else {
            (f64::INFINITY.copysign(difference), 0.0)
        };
        return Some(Welch {
            t,
            degrees_of_freedom,
            p,
        });
    }
    // Shares of the error, not squares of it: those underflow for tiny values.
    let (share_a, share_b) = (a / (a + b), b / (a + b));
    let degrees_of_freedom =
        1.0 / (share_a * share_a / (count_before - 1.0) + share_b * share_b / (count_after - 1.0));
    let t = difference / error;
    Some(Welch {
        t,
        degrees_of_freedom,
        p: student::two_sided_p(t, degrees_of_freedom)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_formula_by_hand() {
        // Means 3 and 6.2, variances 2.5 and 12.2.
        let result = welch_t_test(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 4.0, 6.0, 8.0, 11.0]).unwrap();
        assert!((result.t - 1.866_277_9).abs() < 1e-6, "{result:?}");
        assert!((result.degrees_of_freedom - 5.573_280).abs() < 1e-5, "{result:?}");
        assert!((result.p - 0.114_990).abs() < 1e-4, "{result:?}");
    }

    #[test]
    fn samples_without_spread_have_an_answer() {
        assert_eq!(welch_t_test(&[1.0, 1.0], &[1.0, 1.0]).unwrap().p, 1.0);
        assert_eq!(
            welch_t_test(&[2.0, 2.0], &[1.0, 1.0]).unwrap().t,
            f64::NEG_INFINITY
        );
        assert_eq!(welch_t_test(&[1.0], &[1.0, 2.0]), None);
    }
}
