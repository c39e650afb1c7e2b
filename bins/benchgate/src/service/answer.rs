//! What the service says about a run.

use regress_core::detect::VerdictKind;
use regress_core::measurement::{BenchmarkId, Direction, Measure, Replicates, RunFile, SeriesKey, Unit};
use regress_report::benchmarks::{Outcome, REPORT_VERSION, Report, Row, Side};
use serde::Deserialize;

use crate::judging::{SeriesValues, conclude_report, side_from_run};
use crate::machine;

/// Whether a run was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RunState {
    Judged,
    Queued,
}

/// The answer to an upload.
#[derive(Debug, Deserialize)]
pub(crate) struct StoredRun {
    /// The number of the run.
    pub(crate) run: i64,
    pub(crate) state: RunState,
    #[serde(default)]
    outcome: Option<Outcome>,
    #[serde(default)]
    results: Vec<ServiceVerdict>,
    #[serde(default)]
    shifts: Vec<String>,
    #[serde(default)]
    problems: Vec<String>,
}

/// The answer to the question for a run.
#[derive(Debug, Deserialize)]
pub(super) struct AskedRun {
    run: AskedItem,
    results: Vec<ServiceVerdict>,
    #[serde(default)]
    shifts: Vec<String>,
    problems: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct AskedItem {
    run: i64,
    state: RunState,
    outcome: Option<Outcome>,
}

impl From<AskedRun> for StoredRun {
    fn from(asked: AskedRun) -> Self {
        Self {
            run: asked.run.run,
            state: asked.run.state,
            outcome: asked.run.outcome,
            results: asked.results,
            shifts: asked.shifts,
            problems: asked.problems,
        }
    }
}

/// One verdict. What a newer service says beside this is passed over.
#[derive(Debug, Deserialize)]
struct ServiceVerdict {
    benchmark: String,
    measure: String,
    unit: String,
    direction: Direction,
    verdict: VerdictKind,
    current_value: Option<f64>,
    baseline_value: Option<f64>,
    percent_change: Option<f64>,
    confidence_score: f64,
    sample_size: usize,
    interval: Option<ServiceInterval>,
    p_value: Option<f64>,
    q_value: Option<f64>,
    threshold_percent: f64,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct ServiceInterval {
    low: f64,
    high: f64,
}

impl StoredRun {
    /// The verdicts as a report on `run`, which can be shown in every format. `page` is where the service shows it.
    pub(crate) fn into_report(self, run: &RunFile, label: &str, page: &str, threshold: f64) -> Report {
        let (values, _) = run.collect_replicates();
        let most = self.results.iter().map(|one| one.sample_size).max().unwrap_or(0);
        let mut notes = vec![format!("judged by regressd: {page}")];
        notes.extend(self.shifts);
        let mut report = Report {
            version: REPORT_VERSION,
            title: "check by regressd".to_owned(),
            base: Side {
                label: "the service's history".to_owned(),
                commit: None,
                runs: most,
            },
            head: side_from_run(label, run),
            environment: machine::describe_environment(&run.environment),
            threshold,
            outcome: Outcome::NotJudged,
            summary: String::new(),
            rows: self
                .results
                .into_iter()
                .filter_map(|one| one.into_row(&values))
                .collect(),
            notes,
            problems: self.problems,
        };
        conclude_report(&mut report, &[]);
        // It knows of benchmarks and uploads of the commit that this run does not have.
        report.outcome = self.outcome.unwrap_or(report.outcome);
        report
    }
}

impl ServiceVerdict {
    fn into_row(self, values: &SeriesValues) -> Option<Row> {
        let key = SeriesKey {
            benchmark: BenchmarkId::new(&self.benchmark).ok()?,
            measure: Measure::new(&self.measure).ok()?,
        };
        let own = values.get(&key).map_or(&[][..], |one: &Replicates| &one.values);
        Some(Row {
            name: key.to_string(),
            unit: Unit::from(self.unit),
            direction: self.direction,
            verdict: self.verdict,
            reason: self.reason,
            before: self.baseline_value,
            after: self.current_value,
            percent: self.percent_change,
            interval: self.interval.map(|interval| (interval.low, interval.high)),
            p: self.p_value,
            q: self.q_value,
            effect: None,
            confidence: Some(self.confidence_score),
            noisy: false,
            threshold: self.threshold_percent,
            before_values: Vec::new(),
            after_values: own.to_vec(),
            history: Vec::new(),
            commits: Vec::new(),
            shifts: Vec::new(),
            band: None,
        })
    }
}
