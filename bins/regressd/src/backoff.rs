//! How long a failed job waits: twice as long after each failure, and never exactly as long as its neighbours.

use std::time::Duration;

/// The waits between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

impl Backoff {
    /// The wait after `failures` of them; `chance` in 0..=1 picks within the half that jitter takes.
    #[must_use]
    pub fn wait_after_failures(&self, failures: u32, chance: f64) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let full = doubled.min(self.longest);
        full.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }
}

/// A number in 0..=1 that nobody can foresee.
pub(crate) fn random_fraction() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let backoff = Backoff {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(60),
        };
        let waits =
            [1, 2, 3, 8, 40, u32::MAX].map(|failures| backoff.wait_after_failures(failures, 1.0).as_millis());
        assert_eq!(waits, [500, 1000, 2000, 60_000, 60_000, 60_000]);
        assert_eq!(backoff.wait_after_failures(1, 0.0).as_millis(), 250);
    }
}
