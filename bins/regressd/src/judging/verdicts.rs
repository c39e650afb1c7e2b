//! Verdicts: as clients read them, and as they are stored.

use std::collections::BTreeSet;

use regress_core::detect::{Outcome, SuiteShift, VerdictKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::database::streams::SeriesName;
use crate::domain::{RunId, SeriesId};

use super::JudgingInput;

/// An interval in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PercentInterval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The verdict on one benchmark and measure.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RegressionResult {
    /// The number of its series.
    pub series: i64,
    /// The benchmark's full name.
    pub benchmark: String,
    /// What is measured about it.
    pub measure: String,
    /// The base unit of the values.
    pub unit: String,
    /// `smaller-is-better` or `bigger-is-better`.
    pub direction: String,
    /// `regression`, `suspected`, `improvement`, `unchanged`, `not-enough-data` or `environment-changed`.
    pub verdict: String,
    /// Whether the benchmark got worse by more than its threshold, and not by chance.
    pub is_regression: bool,
    /// Whether it looks so, and another run of the commit would decide.
    pub needs_confirmation: bool,
    /// Median of this run, in the base unit.
    pub current_value: Option<f64>,
    /// Median of the baseline.
    pub baseline_value: Option<f64>,
    /// Change of cost in percent: positive is worse, whichever way the unit points.
    pub percent_change: Option<f64>,
    /// How sure the verdict is, 0 to 1.
    pub confidence_score: f64,
    /// Runs that the baseline is made of.
    pub sample_size: usize,
    /// Runs of the commit that were judged.
    pub judged_runs: usize,
    /// The 95 % interval of the change in percent, where a test of two samples was made.
    pub interval: Option<PercentInterval>,
    /// The p value.
    pub p_value: Option<f64>,
    /// The p value corrected for the number of benchmarks.
    pub q_value: Option<f64>,
    /// The percentage that applied.
    pub threshold_percent: f64,
    /// Why, in words.
    pub reason: String,
}

/// The verdicts of a run, as they are stored: numbers, without the names of the series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunVerdicts {
    /// The factor by which the machine moved, where something showed that it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<f64>,
    /// Whether the base commit was measured beside the run, rather than taken from the history.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paired: bool,
    /// One a benchmark and measure.
    pub verdicts: Vec<StoredVerdict>,
    /// The measures of which most benchmarks moved at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shifts: Vec<SuiteShift>,
    /// Series that the target branch measured last, and this commit did not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<SeriesId>,
}

/// One verdict. The names are short because there are many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredVerdict {
    /// The series.
    #[serde(rename = "s")]
    pub series: SeriesId,
    /// What became of it.
    #[serde(rename = "k")]
    pub kind: VerdictKind,
    /// Whether a confirmation is needed.
    #[serde(rename = "c", default, skip_serializing_if = "std::ops::Not::not")]
    pub suspected: bool,
    /// The run since which the target branch is as slow: then this run is not what made it so.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub since: Option<RunId>,
    /// Median before.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub before: Option<f64>,
    /// Median after.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub after: Option<f64>,
    /// Runs before and after.
    #[serde(rename = "n")]
    pub runs: (usize, usize),
    /// Change of cost in percent.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// Its interval.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<(f64, f64)>,
    /// The p value.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// The corrected p value.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
    /// Effect size.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<f64>,
    /// The threshold.
    #[serde(rename = "t")]
    pub threshold: f64,
    /// How sure.
    #[serde(rename = "f")]
    pub confidence: f64,
    /// Why.
    #[serde(rename = "r")]
    pub reason: String,
}

impl RunVerdicts {
    /// Reads the stored form.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_json(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The stored form.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("verdicts are plain data")
    }

    /// Whether some benchmark has this verdict.
    #[must_use]
    pub fn has_verdict(&self, kind: VerdictKind) -> bool {
        self.verdicts.iter().any(|verdict| verdict.kind == kind)
    }

    /// Whether some benchmark needs another run of the commit.
    #[must_use]
    pub fn needs_confirmation(&self) -> bool {
        self.verdicts.iter().any(|verdict| verdict.suspected)
    }

    /// The verdicts on runs of one commit together, the newest run first: of each series the newest verdict. What one
    /// upload did not measure another may have.
    #[must_use]
    pub fn merge_runs(runs: Vec<Self>) -> Option<Self> {
        let mut runs = runs.into_iter();
        let mut all = runs.next()?;
        let mut seen: BTreeSet<SeriesId> = all.verdicts.iter().map(|verdict| verdict.series).collect();
        for older in runs {
            let unseen = older
                .verdicts
                .into_iter()
                .filter(|verdict| seen.insert(verdict.series));
            all.verdicts.extend(unseen);
        }
        all.missing.retain(|series| !seen.contains(series));
        Some(all)
    }

    /// The run as a whole.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::of_verdicts(self.verdicts.iter().map(|verdict| verdict.kind))
    }
}

impl StoredVerdict {
    /// The same where the target branch is as slow since a run: told, and no reason to fail.
    #[must_use]
    pub(super) fn known_since(self, since: RunId, input: &JudgingInput) -> Self {
        let place = match input.commits.get(&since) {
            Some(commit) => commit.chars().take(10).collect(),
            None => format!("run {}", since.0),
        };
        let branch = if input.target.is_empty() {
            "main"
        } else {
            input.target.as_str()
        };
        Self {
            kind: VerdictKind::Unchanged,
            suspected: false,
            since: Some(since),
            reason: format!("already on {branch} since {place}: {}", self.reason),
            ..self
        }
    }

    /// The verdict as clients read it.
    #[must_use]
    pub fn to_regression_result(&self, name: &SeriesName) -> RegressionResult {
        RegressionResult {
            series: self.series.0,
            benchmark: name.benchmark.clone(),
            measure: name.measure.clone(),
            unit: name.unit.clone(),
            direction: name.direction.as_str().to_owned(),
            verdict: self.kind.as_str().replace(' ', "-"),
            is_regression: self.kind == VerdictKind::Regression,
            needs_confirmation: self.suspected,
            current_value: self.after,
            baseline_value: self.before,
            percent_change: self.percent,
            confidence_score: self.confidence,
            sample_size: self.runs.0,
            judged_runs: self.runs.1,
            interval: self.interval.map(|(low, high)| PercentInterval { low, high }),
            p_value: self.p,
            q_value: self.q,
            threshold_percent: self.threshold,
            reason: self.reason.clone(),
        }
    }
}
