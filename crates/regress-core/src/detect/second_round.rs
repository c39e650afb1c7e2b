//! A regression of two samples, confirmed by a second round of process runs: what makes `benchgate ab` safe to fail a build.
//!
//! A regression that the first runs show counts when all runs together show it, too, and those of the second round alone
//! lie beyond the threshold. That asks less of the second round than a test of its own would, which finds half as much on
//! a noisy machine; and the size alone is what chance seldom gives twice.

use super::verdict::VerdictKind;

/// What two rounds say of one benchmark.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SecondRound {
    /// The verdict on the first runs.
    pub first: VerdictKind,
    /// The change of cost in the runs of the second round alone, in percent; `None` without a percentage.
    pub percent_again: Option<f64>,
    /// The verdict on all runs together.
    pub all: VerdictKind,
    /// The threshold in percent.
    pub threshold: f64,
}

impl SecondRound {
    /// Whether the regression is confirmed.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        let both = [self.first, self.all];
        both.iter().all(|kind| *kind == VerdictKind::Regression)
            && self.percent_again.is_some_and(|percent| percent > self.threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_have_to_say_so() {
        let confirmed = SecondRound {
            first: VerdictKind::Regression,
            percent_again: Some(7.0),
            all: VerdictKind::Regression,
            threshold: 5.0,
        };
        assert!(confirmed.is_confirmed());
        let others = [
            SecondRound {
                first: VerdictKind::Unchanged,
                ..confirmed
            },
            SecondRound {
                percent_again: Some(4.0),
                ..confirmed
            },
            SecondRound {
                percent_again: None,
                ..confirmed
            },
            SecondRound {
                all: VerdictKind::Unchanged,
                ..confirmed
            },
        ];
        assert!(others.iter().all(|round| !round.is_confirmed()));
    }
}
