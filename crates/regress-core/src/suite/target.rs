//! Limits a test has to keep, whatever a baseline says.

use std::fmt;
use std::time::Duration;

use super::PerfTestResult;
use crate::measurement::Unit;

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SuiteTarget {
    /// The mean call takes at most this long.
    MeanAtMost(Duration),
    /// The median call takes at most this long.
    MedianAtMost(Duration),
    /// Every call takes at most this long.
    MaxAtMost(Duration),
    /// At least so many calls per second, by the mean.
    RateAtLeast(f64),
}

/// A target and the value that missed it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Missed {
    /// The target.
    pub target: SuiteTarget,
    /// What was measured: nanoseconds, or calls per second for a rate.
    pub measured: f64,
}

impl SuiteTarget {
    pub(super) fn missed_by(self, result: &PerfTestResult) -> Option<Missed> {
        let measured = match self {
            Self::MeanAtMost(_) => result.mean.as_nanos() as f64,
            Self::MedianAtMost(_) => result.median.as_nanos() as f64,
            Self::MaxAtMost(_) => result.max.as_nanos() as f64,
            Self::RateAtLeast(_) => 1e9 / result.mean.as_nanos() as f64,
        };
        let is_met = match self {
            Self::MeanAtMost(limit) | Self::MedianAtMost(limit) | Self::MaxAtMost(limit) => {
                measured <= limit.as_nanos() as f64
            }
            Self::RateAtLeast(rate) => measured >= rate,
        };
        (!is_met).then_some(Missed {
            target: self,
            measured,
        })
    }
}

impl fmt::Display for Missed {
    /// `mean 12.00 ms is over the target of 10.00 ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |nanoseconds: f64| Unit::Nanoseconds.format_value(nanoseconds);
        let over = |f: &mut fmt::Formatter<'_>, what: &str, limit: Duration| {
            let limit = time(limit.as_nanos() as f64);
            write!(f, "{what} {} is over the target of {limit}", time(self.measured))
        };
        match self.target {
            SuiteTarget::MeanAtMost(limit) => over(f, "mean", limit),
            SuiteTarget::MedianAtMost(limit) => over(f, "median", limit),
            SuiteTarget::MaxAtMost(limit) => over(f, "slowest call", limit),
            SuiteTarget::RateAtLeast(rate) => {
                let rate = Unit::OperationsPerSecond.format_value(rate);
                write!(
                    f,
                    "{} is under the target of {rate}",
                    Unit::OperationsPerSecond.format_value(self.measured)
                )
            }
        }
    }
}
