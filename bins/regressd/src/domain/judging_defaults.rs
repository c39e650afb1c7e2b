//! What applies where a repository's configuration says nothing.

use serde::{Deserialize, Serialize};

/// `[judging]`: defaults of a repository's configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgingDefaults {
    /// Changes below this percentage do not matter.
    pub threshold_percent: f64,
    /// Runs of history needed for a judgement.
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
