//! What applies where a repository's configuration says nothing.

use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::config::{PERCENTAGES, SAMPLES};

/// `[judging]`: defaults of a repository's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgingDefaults {
    /// Changes below this percentage do not matter.
    #[serde(deserialize_with = "deserialize_percentage")]
    pub threshold_percent: f64,
    /// Runs of history needed for a judgement.
    #[serde(deserialize_with = "deserialize_sample_count")]
    pub min_samples: usize,
    /// Runs of the target branch that make a baseline.
    pub baseline_runs: u32,
    /// Runs in a row on a target branch that must be slower before an issue is opened.
    pub persistent_runs: u32,
}

impl Default for JudgingDefaults {
    fn default() -> Self {
        Self {
            threshold_percent: 5.0,
            min_samples: 4,
            baseline_runs: 30,
            persistent_runs: 3,
        }
    }
}

/// As for the configuration of a repository: an operator's slip must not make every run a regression, or none.
fn deserialize_percentage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    within(f64::deserialize(deserializer)?, &PERCENTAGES).map_err(D::Error::custom)
}

fn deserialize_sample_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    within(usize::deserialize(deserializer)?, &SAMPLES).map_err(D::Error::custom)
}

fn within<T: PartialOrd + Display>(value: T, range: &RangeInclusive<T>) -> Result<T, String> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(format!(
            "{value} is out of range; give a number from {} to {}",
            range.start(),
            range.end()
        ))
    }
}
