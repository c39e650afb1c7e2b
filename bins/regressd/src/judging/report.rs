//! Verdicts as the report that comments, checks and pages show.

use regress_core::detect::VerdictKind;
use regress_core::detect::{ChangePointSettings, change_points};
use regress_core::measurement::{BenchmarkId, Measure, SeriesKey, Unit};
use regress_report::benchmarks::{Outcome, REPORT_VERSION, Report, Row, Shift, Side};

use super::{JudgingInput, RunVerdicts, StoredVerdict};
use crate::database::runs::Run;
use crate::domain::Results;

/// One judged run of the report.
#[derive(Clone, Debug)]
pub struct Part {
    /// The run.
    pub run: Run,
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
pub fn report(parts: &[Part], title: &str, threshold: f64) -> Report {
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
        notes.extend(part.verdicts.machine.map(|factor| {
            let percent = 100.0 * (factor - 1.0);
            format!(
                "{prefix}most benchmarks moved by {percent:+.1} % at once, which is taken for the machine"
            )
        }));
        let suspected = part
            .verdicts
            .verdicts
            .iter()
            .filter(|verdict| verdict.suspected)
            .count();
        if suspected > 0 {
            notes.push(format!(
                "{prefix}{suspected} benchmark(s) look slower; another run of this commit would confirm or clear them"
            ));
        }
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
            commit: None,
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
    report.sort();
    report.outcome = Outcome::of_verdicts(report.rows.iter().map(|row| row.verdict));
    report.summary = summary(&report);
    report
}

fn problems(run: &Run) -> Vec<String> {
    let stored = run.run.problems.as_deref();
    stored
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn row(part: &Part, verdict: &StoredVerdict, prefix: &str) -> Option<Row> {
    let name = part.input.names.get(&verdict.series)?;
    let key = SeriesKey {
        benchmark: BenchmarkId::new(&name.benchmark).ok()?,
        measure: Measure::new(&name.measure).ok()?,
    };
    let baseline = part.input.baseline(verdict.series);
    let history: Vec<f64> = baseline.iter().map(|(_, value)| *value).collect();
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
        (values(part.input.base.as_ref()), values(part.input.newest()))
    } else {
        (Vec::new(), part.input.of_commit(verdict.series))
    };
    let low = history.iter().copied().fold(f64::INFINITY, f64::min);
    let high = history.iter().copied().fold(f64::NEG_INFINITY, f64::max);
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
        threshold: verdict.threshold,
        before_values: base,
        after_values: now,
        shifts: shifts.collect(),
        commits: Vec::new(),
        band: (low <= high).then_some((low, high)),
        history,
    })
}

fn summary(report: &Report) -> String {
    let (slower, all) = (report.count(VerdictKind::Regression), report.rows.len());
    let faster = report.count(VerdictKind::Improvement);
    match report.outcome {
        Outcome::NotJudged => match report.rows.first() {
            Some(row) => format!("nothing could be judged: {}: {}", row.name, row.reason),
            None => "there is nothing to judge".to_owned(),
        },
        Outcome::Unchanged => format!("none of {all} benchmarks changed by more than its threshold"),
        _ => format!(
            "of {all} benchmarks, {slower} got slower and {faster} got faster by more than their thresholds"
        ),
    }
}
