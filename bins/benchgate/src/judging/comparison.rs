//! One comparison: values before, values now, and what to show with them.

use std::collections::{BTreeMap, BTreeSet};

use cli_kit::Failure;
use regress_core::detect::judge_history::PastRuns as CorePast;
use regress_core::detect::{
    ChangePointSettings, GateSettings, Pair, RunPlaces, Verdict, VerdictKind, change_points,
    judge_history_aligned, judge_pairs,
};
use regress_core::measurement::{ProblemKind, Replicates, RunFile, SeriesKey};
use regress_report::benchmarks::{Outcome, REPORT_VERSION, Report, Row, Shift, Side};

use crate::app::App;
use crate::benchmark_names::refuse_unknown_rules;
use crate::history::Pasts;
use crate::machine;

/// The values of each benchmark.
pub(crate) type SeriesValues = BTreeMap<SeriesKey, Replicates>;

/// How to judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ComparisonMode {
    /// Two samples, one value a process.
    Samples,
    /// Medians of runs against a history of medians.
    History,
}

/// A report, and what has to be known to go on from it.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) report: Report,
    /// The rows that a second run may change: they look slower.
    pub(crate) suspects: BTreeSet<String>,
    /// The benchmarks that failed in the judged run.
    pub(crate) failed: Vec<String>,
}

/// What is compared, and what stands beside it in the report.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) title: String,
    pub(crate) mode: ComparisonMode,
    pub(crate) base: Side,
    pub(crate) head: Side,
    pub(crate) environment: String,
    /// Whether both sides come from the same environment, or the user asked to compare across.
    pub(crate) comparable: bool,
    pub(crate) before: SeriesValues,
    pub(crate) after: SeriesValues,
    pub(crate) pasts: Pasts,
    pub(crate) notes: Vec<String>,
    pub(crate) problems: BTreeSet<String>,
    /// Benchmarks that the judged run reports as failed.
    pub(crate) failed: BTreeSet<String>,
}

impl Comparison {
    /// A comparison with `head` as the judged side; its problems become the report's.
    pub(crate) fn with_head(title: &str, head: &RunFile, label: &str) -> Self {
        let (after, mixed) = head.collect_replicates();
        let failures = head
            .problems()
            .filter(|problem| problem.kind == ProblemKind::Failed);
        let problems = head.problems().chain(&mixed).map(ToString::to_string).collect();
        let dirty = head.commit.as_ref().is_some_and(|commit| commit.dirty);
        let note = "the work tree had changes that are in no commit";
        Self {
            title: title.to_owned(),
            mode: ComparisonMode::Samples,
            base: Side::default(),
            head: side_from_run(label, head),
            environment: machine::describe_environment(&head.environment),
            comparable: true,
            before: SeriesValues::new(),
            after,
            pasts: Pasts::new(),
            notes: Vec::from_iter(dirty.then(|| note.to_owned())),
            failed: failures.filter_map(|problem| problem.entry.clone()).collect(),
            problems,
        }
    }

    /// Judges every benchmark.
    pub(crate) fn judge_benchmarks(&self, app: &App<'_>) -> Result<Judged, Failure> {
        let thresholds = app.thresholds()?;
        let keys: BTreeSet<&SeriesKey> = self.before.keys().chain(self.after.keys()).collect();
        refuse_unknown_rules(app, keys.iter().map(|key| key.benchmark.as_str()))?;
        let samples: Vec<Sample<'_>> = keys.into_iter().map(|key| self.sample(key)).collect();
        let mut left_out = 0;
        let enabled: Vec<(&Sample<'_>, _)> = samples
            .iter()
            .map(|sample| {
                let threshold = thresholds.for_benchmark(sample.key.benchmark.as_str(), &sample.shown.unit);
                (sample, threshold)
            })
            .filter(|(_, threshold)| {
                left_out += usize::from(!threshold.enabled);
                threshold.enabled
            })
            .collect();
        let verdict = match self.mode {
            ComparisonMode::Samples => {
                let pairs = enabled.iter().map(|(sample, threshold)| Pair {
                    key: sample.key.clone(),
                    direction: sample.shown.direction,
                    before: sample.before,
                    after: sample.after,
                    comparable: self.comparable,
                    threshold: *threshold,
                });
                judge_pairs(&pairs.collect::<Vec<_>>())
            }
            ComparisonMode::History => {
                let pasts = enabled.iter().map(|(sample, threshold)| CorePast {
                    key: sample.key.clone(),
                    direction: sample.shown.direction,
                    history: sample.before,
                    runs: sample.after,
                    told: None,
                    comparable: self.comparable,
                    threshold: *threshold,
                });
                let pasts: Vec<CorePast<'_>> = pasts.collect();
                let places = enabled.iter().map(|(sample, _)| self.places(sample));
                let places: Vec<RunPlaces> = places.collect();
                judge_history_aligned(&pasts, &places, &GateSettings::default(), &BTreeMap::new())
            }
        };
        let rows: Vec<Row> = verdict
            .verdicts
            .iter()
            .zip(&enabled)
            .map(|(verdict, (sample, _))| self.row(verdict, sample))
            .collect();
        let mut notes = self.notes.clone();
        notes.extend(verdict.shifts.iter().map(ToString::to_string));
        notes.extend((left_out > 0).then(|| format!("{left_out} benchmarks are left out by rules")));
        let mut report = Report {
            version: REPORT_VERSION,
            title: self.title.clone(),
            base: self.base.clone(),
            head: self.head.clone(),
            environment: self.environment.clone(),
            threshold: app.settings.threshold.0,
            outcome: Outcome::NotJudged,
            summary: String::new(),
            rows,
            notes,
            problems: self.problems.iter().cloned().collect(),
        };
        let slower =
            |verdict: &&Verdict| matches!(verdict.kind, VerdictKind::Regression | VerdictKind::Suspected);
        let slower = verdict.verdicts.iter().filter(slower);
        let suspects = slower.map(|verdict| verdict.key.to_string()).collect();
        let failed = samples
            .iter()
            .filter(|sample| sample.failed)
            .map(|sample| sample.key.to_string());
        let failed: Vec<String> = failed.collect();
        conclude_report(&mut report, &failed);
        Ok(Judged {
            report,
            suspects,
            failed,
        })
    }

    /// Which runs the values of a benchmark are of: lines of the history, and after them the runs that are judged.
    fn places(&self, sample: &Sample<'_>) -> RunPlaces {
        let lines = self
            .pasts
            .get(sample.key)
            .map_or(&[][..], |(.., past)| &past.lines);
        let last = self
            .pasts
            .values()
            .filter_map(|(.., past)| past.lines.last())
            .max();
        let first = last.map_or(0, |last| last + 1);
        RunPlaces {
            history: lines.to_vec(),
            runs: (first..first + sample.after.len()).collect(),
        }
    }

    /// The two sides of one benchmark; the first one is empty if its values are of another kind.
    fn sample<'a>(&'a self, key: &'a SeriesKey) -> Sample<'a> {
        let (before, after) = (self.before.get(key), self.after.get(key));
        let same =
            |one: &Replicates, other: &Replicates| one.unit == other.unit && one.direction == other.direction;
        let values = |side: Option<&'a Replicates>| side.map_or(&[][..], |side| &side.values);
        let changed = before.zip(after).filter(|(before, after)| !same(before, after));
        let failed = after.is_none() && self.failed.contains(key.benchmark.as_str());
        let unusable = match (before, after) {
            (None, _) => Some("it has nothing to be compared with yet".to_owned()),
            (_, None) if failed => Some("the benchmark failed in this run".to_owned()),
            (_, None) => Some("the judged run does not have it".to_owned()),
            _ => changed.map(|(before, after)| {
                format!(
                    "its unit or direction changed: {} before, {} now",
                    before.unit, after.unit
                )
            }),
        };
        Sample {
            key,
            shown: after.or(before).expect("the key is of one of the sides"),
            before: if changed.is_some() { &[] } else { values(before) },
            after: values(after),
            unusable,
            failed,
        }
    }

    fn row(&self, verdict: &Verdict, sample: &Sample<'_>) -> Row {
        let past = self
            .pasts
            .get(sample.key)
            .filter(|(unit, ..)| *unit == sample.shown.unit)
            .map(|(.., past)| past);
        let history = past.map_or_else(Vec::new, |past| past.values.clone());
        let median = regress_core::stats::median;
        Row {
            name: sample.key.to_string(),
            unit: sample.shown.unit.clone(),
            direction: sample.shown.direction,
            verdict: verdict.kind,
            reason: sample.unusable.clone().unwrap_or_else(|| verdict.reason.clone()),
            before: verdict.before.or_else(|| median(sample.before)),
            after: verdict.after.or_else(|| median(sample.after)),
            percent: verdict.percent,
            interval: verdict.interval.map(|interval| (interval.low, interval.high)),
            p: verdict.p,
            q: verdict.q,
            effect: verdict.effect,
            confidence: Some(verdict.confidence),
            noisy: verdict.noisy,
            threshold: verdict.threshold,
            before_values: sample.before.to_vec(),
            after_values: sample.after.to_vec(),
            shifts: find_shifts(&history),
            commits: past.map_or_else(Vec::new, |past| past.commits.clone()),
            history,
            band: band(sample.before),
        }
    }
}

/// One benchmark's values.
#[derive(Debug)]
struct Sample<'a> {
    key: &'a SeriesKey,
    /// The side that unit and direction are shown of.
    shown: &'a Replicates,
    before: &'a [f64],
    after: &'a [f64],
    /// Why the two cannot be compared.
    unusable: Option<String>,
    /// Whether that is because the benchmark failed.
    failed: bool,
}

/// The change points of a history, for the drawing.
fn find_shifts(history: &[f64]) -> Vec<Shift> {
    let points = change_points(history, &ChangePointSettings::default());
    points
        .iter()
        .map(|point| Shift {
            index: point.index,
            before: point.before,
            after: point.after,
        })
        .collect()
}

fn band(values: &[f64]) -> Option<(f64, f64)> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (low <= high).then_some((low, high))
}

/// A run as a side of the report.
pub(crate) fn side_from_run(label: &str, run: &RunFile) -> Side {
    Side {
        label: label.to_owned(),
        commit: run.commit.as_ref().map(|commit| commit.sha.as_str().to_owned()),
        runs: run.processes.len(),
    }
}

/// Sorts the rows and draws the outcome from them. A benchmark that failed must not pass: without it the run as a whole
/// is not judged, unless something else is slower anyway.
pub(crate) fn conclude_report(report: &mut Report, failed: &[String]) {
    report.sort_rows();
    report.outcome = Outcome::of_verdicts(report.rows.iter().map(|row| row.verdict));
    let passes = matches!(report.outcome, Outcome::Improvement | Outcome::Unchanged);
    if let Some(first) = failed.first().filter(|_| passes) {
        report.outcome = Outcome::NotJudged;
        let more = if failed.len() > 1 {
            format!(" and {} more", failed.len() - 1)
        } else {
            String::new()
        };
        report.summary = format!("{first}{more} failed in this run");
    } else {
        report.summary = summary(report);
    }
}

/// The outcome in a sentence.
fn summary(report: &Report) -> String {
    let count = report.count_verdicts(VerdictKind::Regression);
    let total = report.rows.len();
    let plural = if total == 1 { "benchmark" } else { "benchmarks" };
    let suspected = report.count_verdicts(VerdictKind::Suspected);
    let noisy = report.count_noisy();
    let vary = if noisy == 1 { "varies" } else { "vary" };
    match (count, report.outcome) {
        (_, Outcome::Suspected) => format!(
            "{suspected} of {total} {plural} may be slower by more than the threshold; another run of the commit would decide: give --confirm, or measure again"
        ),
        (0, Outcome::Unchanged) if noisy > 0 => format!(
            "none of {total} {plural} was shown to be slower, but {noisy} {vary} too much to tell a change of the threshold's size; more processes (--runs) would tell"
        ),
        (_, Outcome::NotJudged) => match report.rows.first() {
            Some(row) => format!("nothing could be judged: {}: {}", row.name, row.reason),
            None => "there is nothing to judge".to_owned(),
        },
        (0, _) => format!("none of {total} {plural} is slower by more than its threshold"),
        (1, _) => format!("1 of {total} {plural} is slower by more than its threshold"),
        _ => format!("{count} of {total} {plural} are slower by more than their thresholds"),
    }
}
