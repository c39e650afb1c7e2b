//! Verdicts as the report that comments, checks and pages show.

use regress_core::detect::VerdictKind;
use regress_core::detect::{ChangePointSettings, change_points};
use regress_core::measurement::{BenchmarkId, Measure, SeriesKey, Unit};
use regress_report::benchmarks::{Outcome, REPORT_VERSION, Report, Row, Shift, Side, short_commit};

use super::{JudgingInput, RunVerdicts, StoredVerdict};
use crate::database::runs::MeasuredRun;
use crate::domain::{Results, SeriesId};

/// One judged run of the report.
#[derive(Clone, Debug)]
pub struct JudgedPart {
    /// The run.
    pub run: MeasuredRun,
    /// Its component; shown when there are several.
    pub component: String,
    /// Its environment in words.
    pub environment: String,
    /// What it was judged by.
    pub input: JudgingInput,
    /// What came out.
    pub verdicts: RunVerdicts,
}

/// The report on judged runs of one commit, one a component and environment.
#[must_use]
pub fn build_commit_report(parts: &[JudgedPart], title: &str, threshold: f64) -> Report {
    let several = parts.len() > 1;
    let first = parts.first();
    let mut rows = Vec::new();
    let mut notes = Vec::new();
    for part in parts {
        let prefix = if several {
            format!("{}: ", part.component)
        } else {
            String::new()
        };
        rows.extend(
            part.verdicts
                .verdicts
                .iter()
                .filter_map(|verdict| row(part, verdict, &prefix)),
        );
        notes.extend(
            remarks(part)
                .into_iter()
                .map(|remark| format!("{prefix}{remark}")),
        );
    }
    let mut environments: Vec<&str> = parts.iter().map(|part| part.environment.as_str()).collect();
    environments.dedup();
    let target = first.map_or("", |part| part.run.run.target.as_str());
    let sizes = parts.iter().flat_map(|part| &part.verdicts.verdicts);
    let runs = |pick: fn(&StoredVerdict) -> usize| sizes.clone().map(pick).max().unwrap_or(0);
    let mut report = Report {
        version: REPORT_VERSION,
        title: title.to_owned(),
        base: Side {
            label: target.to_owned(),
            commit: first.and_then(|part| Some(part.input.base_commit.as_ref()?.commit.to_string())),
            runs: runs(|verdict| verdict.runs.0),
        },
        head: Side {
            label: first.map_or_else(String::new, |part| part.run.run.branch.clone()),
            commit: first.map(|part| part.run.run.commit.clone()),
            runs: runs(|verdict| verdict.runs.1),
        },
        environment: environments.join(" | "),
        threshold,
        outcome: Outcome::NotJudged,
        summary: String::new(),
        rows,
        notes,
        problems: parts.iter().flat_map(|part| problems(&part.run)).collect(),
    };
    report.sort_rows();
    report.outcome = Outcome::of_verdicts(report.rows.iter().map(|row| row.verdict));
    report.summary = summary(&report);
    report
}

/// What is told of a run beside its rows.
fn remarks(part: &JudgedPart) -> Vec<String> {
    const SHOWN: usize = 10;
    let verdicts = &part.verdicts;
    let mut remarks: Vec<String> = verdicts.shifts.iter().map(ToString::to_string).collect();
    let suspected = verdicts
        .verdicts
        .iter()
        .filter(|verdict| verdict.suspected)
        .count();
    if suspected > 0 {
        let (what, them) = if suspected == 1 {
            ("benchmark looks", "it")
        } else {
            ("benchmarks look", "them")
        };
        remarks.push(format!(
            "{suspected} {what} slower; another run of this commit would confirm or clear {them}"
        ));
    }
    let target = &part.run.run.target;
    let names = |series: &mut dyn Iterator<Item = SeriesId>| {
        let names: Vec<String> = series
            .filter_map(|series| Some(part.input.names.get(&series)?.benchmark.clone()))
            .collect();
        let more = match names.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
        (!names.is_empty()).then(|| format!("{}{more}", shown.join(", ")))
    };
    let known = verdicts.verdicts.iter().filter(|verdict| verdict.since.is_some());
    remarks.extend(
        names(&mut known.map(|verdict| verdict.series))
            .map(|names| format!("slower on {target} already, and not by this commit: {names}")),
    );
    remarks.extend(
        names(&mut verdicts.missing.iter().copied())
            .map(|names| format!("measured on {target} last, and not in this commit's results: {names}")),
    );
    if let Some(base) = &part.input.base_commit
        && let Some(missing) = &base.instead_of
    {
        remarks.push(format!(
            "the base commit {} was not measured; {} of {target} stands in for it",
            short_commit(missing),
            short_commit(&base.commit)
        ));
    }
    remarks
}

fn problems(run: &MeasuredRun) -> Vec<String> {
    let stored = run.run.problems.as_deref();
    stored
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn row(part: &JudgedPart, verdict: &StoredVerdict, prefix: &str) -> Option<Row> {
    let name = part.input.names.get(&verdict.series)?;
    let key = SeriesKey {
        benchmark: BenchmarkId::new(&name.benchmark).ok()?,
        measure: Measure::new(&name.measure).ok()?,
    };
    let baseline = part.input.baseline(verdict.series);
    let counted = || baseline.iter().map(|(_, value)| *value);
    // The values that do not count are shown all the same.
    let history = part.input.whole_history(verdict.series);
    let points = change_points(&history, &ChangePointSettings::default());
    let shifts = points.iter().map(|point| Shift {
        index: point.index,
        before: point.before,
        after: point.after,
    });
    // Beside each other, process runs are compared; with the history, runs are.
    let values = |results: Option<&Results>| {
        results
            .and_then(|results| results.0.get(&verdict.series))
            .cloned()
            .unwrap_or_default()
    };
    let (base, now) = if part.verdicts.paired {
        (values(part.input.base.as_ref()), values(Some(&part.input.beside)))
    } else {
        (Vec::new(), part.input.of_commit(verdict.series))
    };
    let low = counted().fold(f64::INFINITY, f64::min);
    let high = counted().fold(f64::NEG_INFINITY, f64::max);
    Some(Row {
        name: format!("{prefix}{key}"),
        unit: Unit::from(name.unit.clone()),
        direction: name.direction,
        verdict: verdict.kind,
        reason: verdict.reason.clone(),
        before: verdict.before,
        after: verdict.after,
        percent: verdict.percent,
        interval: verdict.interval,
        p: verdict.p,
        q: verdict.q,
        effect: verdict.effect,
        confidence: Some(verdict.confidence),
        noisy: false,
        threshold: verdict.threshold,
        before_values: base,
        after_values: now,
        shifts: shifts.collect(),
        commits: Vec::new(),
        band: (low <= high).then_some((low, high)),
        history,
    })
}

/// `2 of 18 benchmarks`, `the benchmark`.
fn share_of(count: usize, all: usize) -> String {
    match (count, all) {
        (1, 1) => "the benchmark".to_owned(),
        (count, all) if count == all => format!("all {all} benchmarks"),
        (count, all) => format!("{count} of {all} benchmarks"),
    }
}

fn summary(report: &Report) -> String {
    let (slower, all) = (report.count_verdicts(VerdictKind::Regression), report.rows.len());
    let faster = report.count_verdicts(VerdictKind::Improvement);
    match report.outcome {
        Outcome::NotJudged => match report.rows.first() {
            Some(row) => format!("nothing could be judged: {}: {}", row.name, row.reason),
            None => "there is nothing to judge".to_owned(),
        },
        Outcome::Suspected => format!(
            "suspected: {} may be worse; another run of this commit would decide",
            share_of(report.count_verdicts(VerdictKind::Suspected), all)
        ),
        Outcome::Unchanged if all == 1 => {
            "the benchmark did not change by more than its threshold".to_owned()
        }
        Outcome::Unchanged => format!("none of {all} benchmarks changed by more than its threshold"),
        Outcome::Regression => format!("{} got worse by more than allowed", share_of(slower, all)),
        Outcome::Improvement => format!("{} got better by more than the threshold", share_of(faster, all)),
        Outcome::Mixed => format!(
            "{} got worse and {faster} better by more than allowed",
            share_of(slower, all)
        ),
    }
}
