//! A run against the baseline of its environment, or where that cannot answer against its history.

use cli_kit::Failure;
use regress_core::baseline::{EnvironmentBaseline, Lookup};
use regress_core::detect::VerdictKind;
use regress_core::environment::PartDifference;
use regress_core::measurement::{Replicates, RunFile, SeriesKey};
use regress_core::stats;
use regress_report::benchmarks::{Report, Side};

use super::comparison::{Comparison, ComparisonMode, Judged, SeriesValues, conclude_report};
use crate::app::App;
use crate::{files, history};

/// Fewer process runs a side make no two samples.
const MIN_PROCESSES: usize = 4;

/// Puts the comparison of a run together: with the baseline where both have enough processes, else with the history.
pub(crate) fn compare_with_baseline(
    app: &App<'_>,
    run: &RunFile,
    across: bool,
) -> Result<Comparison, Failure> {
    let mut comparison = Comparison::with_head("check", run, "this run");
    let (baselines, unread) = files::read_baselines(&app.settings.baseline)?;
    let (lines, broken) = history::read_history(&app.settings.history)?;
    app.print_detail(|| {
        format!(
            "baseline: {}, {} environments; history: {}, {} runs",
            app.display_path(&app.settings.baseline),
            baselines.environments().count(),
            app.display_path(&app.settings.history),
            lines.len()
        )
    });
    comparison.problems.extend(unread.into_iter().chain(broken));
    // A run that was recorded before it was judged must not be its own history.
    let own = |line: &history::HistoryLine| line.time.is_some() && line.time == run.time;
    comparison.pasts = history::of_environment(&lines, &run.environment, own);
    let has_history = comparison
        .pasts
        .values()
        .any(|(.., past)| past.values.len() >= MIN_PROCESSES);
    match baselines.lookup_environment(&run.environment) {
        Lookup::Same(baseline) if is_made_of(run, baseline) => {
            return Err(
                Failure::new("the run is the baseline: it cannot be judged against itself")
                    .hint("measure again: benchgate check -- COMMAND, or set `command` in benchgate.toml"),
            );
        }
        Lookup::Same(baseline) if !(has_history && is_thin(run, baseline)) => {
            comparison.before = values(baseline);
            comparison.base = baseline_side(baseline);
        }
        _ if has_history => by_history(&mut comparison),
        Lookup::Same(_) | Lookup::Nothing => {
            return Err(nothing_to_compare(app));
        }
        Lookup::Other(others) => by_another(&mut comparison, &others, across),
    }
    Ok(comparison)
}

/// Refuses a check that could not end in a judgement, before anything is measured.
pub(crate) fn refuse_without_baseline(app: &App<'_>) -> Result<(), Failure> {
    let (baselines, _) = files::read_baselines(&app.settings.baseline)?;
    if baselines.environments().count() > 0 {
        return Ok(());
    }
    let (lines, _) = history::read_history(&app.settings.history)?;
    let pasts = history::of_environment(&lines, &app.detect_environment()?, |_| false);
    if pasts
        .values()
        .any(|(.., past)| past.values.len() >= MIN_PROCESSES)
    {
        return Ok(());
    }
    Err(nothing_to_compare(app))
}

fn nothing_to_compare(app: &App<'_>) -> Failure {
    Failure::new(format!(
        "there is no baseline in {} and no history to compare with",
        app.display_path(&app.settings.baseline)
    ))
    .hint("record one on this machine, at a commit that is good: benchgate record -- COMMAND; or compare two commits: benchgate ab")
}

/// Whether the two have too few processes for a test of two samples.
fn is_thin(run: &RunFile, baseline: &EnvironmentBaseline) -> bool {
    let most = baseline
        .entries
        .values()
        .map(|entry| entry.values.len())
        .max()
        .unwrap_or(0);
    run.processes.len().min(most) < MIN_PROCESSES
}

/// Whether the baseline was recorded from this very run.
fn is_made_of(run: &RunFile, baseline: &EnvironmentBaseline) -> bool {
    let (replicates, _) = run.collect_replicates();
    let same = |(key, one): (&SeriesKey, &Replicates)| {
        let entry = baseline.entries.get(key);
        entry
            .is_some_and(|entry| entry.time.is_some() && entry.time == run.time && entry.values == one.values)
    };
    !replicates.is_empty() && replicates.iter().all(same)
}

fn values(baseline: &EnvironmentBaseline) -> SeriesValues {
    let replicates = |(key, entry): (&SeriesKey, &regress_core::baseline::BaselineEntry)| {
        let (unit, direction, values) = (entry.unit.clone(), entry.direction, entry.values.clone());
        (
            key.clone(),
            Replicates {
                unit,
                direction,
                values,
            },
        )
    };
    baseline.entries.iter().map(replicates).collect()
}

fn baseline_side(baseline: &EnvironmentBaseline) -> Side {
    let newest = baseline.entries.values().max_by_key(|entry| entry.time);
    let commit = newest
        .and_then(|entry| entry.commit.as_ref())
        .map(|commit| commit.sha.as_str().to_owned());
    let runs = baseline
        .entries
        .values()
        .map(|entry| entry.values.len())
        .max()
        .unwrap_or(0);
    Side {
        label: "baseline".to_owned(),
        commit,
        runs,
    }
}

/// The medians of the run against the medians of the history.
fn by_history(comparison: &mut Comparison) {
    comparison.title = "check against the history".to_owned();
    comparison.mode = ComparisonMode::History;
    comparison.before = comparison
        .pasts
        .iter()
        .map(|(key, (unit, direction, past))| {
            (
                key.clone(),
                Replicates {
                    unit: unit.clone(),
                    direction: *direction,
                    values: past.values.clone(),
                },
            )
        })
        .collect();
    comparison.after = medians(&comparison.after);
    let runs = comparison
        .before
        .values()
        .map(|one| one.values.len())
        .max()
        .unwrap_or(0);
    comparison.base = Side {
        label: "history".to_owned(),
        commit: None,
        runs,
    };
}

fn medians(series: &SeriesValues) -> SeriesValues {
    let median = |(key, one): (&SeriesKey, &Replicates)| {
        let values = stats::median(&one.values).into_iter().collect();
        (
            key.clone(),
            Replicates {
                values,
                ..one.clone()
            },
        )
    };
    series.iter().map(median).collect()
}

/// The nearest other environment: compared with only if the user asked for it.
fn by_another(
    comparison: &mut Comparison,
    others: &[(&EnvironmentBaseline, Vec<PartDifference>)],
    across: bool,
) {
    let Some((baseline, differences)) = others.first() else {
        return;
    };
    comparison.before = values(baseline);
    comparison.base = baseline_side(baseline);
    comparison.comparable = across;
    let parts: Vec<String> = differences.iter().map(ToString::to_string).collect();
    let what = if across {
        "compared across environments, as asked for"
    } else {
        "there is no baseline of this environment; the nearest differs in"
    };
    comparison.notes.push(format!("{what}: {}", parts.join("; ")));
    if !across {
        comparison.notes.push(
            "record a baseline here, compare two commits here with `benchgate ab`, or give --across-environments".to_owned(),
        );
    }
}

/// Judges what looked slower again, by the values of a second run alone. What that run does not confirm is unchanged.
pub(crate) fn confirm_suspects(
    app: &App<'_>,
    mut comparison: Comparison,
    first: Judged,
    again: &RunFile,
) -> Result<Report, Failure> {
    let Judged {
        mut report,
        suspects,
        failed,
    } = first;
    let (fresh, _) = again.collect_replicates();
    match comparison.mode {
        ComparisonMode::Samples => {
            let picked = |key: &SeriesKey| suspects.contains(&key.to_string());
            comparison.before.retain(|key, _| picked(key));
            comparison.after = fresh.into_iter().filter(|(key, _)| picked(key)).collect();
        }
        // The gate counts confirmations itself, and the machine's trend needs all benchmarks.
        ComparisonMode::History => {
            for (key, more) in medians(&fresh) {
                if let Some(one) = comparison.after.get_mut(&key).filter(|one| one.unit == more.unit) {
                    one.values.extend(more.values);
                }
            }
        }
    }
    let second = comparison.judge_benchmarks(app)?.report;
    for row in report.rows.iter_mut().filter(|row| suspects.contains(&row.name)) {
        let Some(judged) = second.rows.iter().find(|one| one.name == row.name) else {
            row.verdict = VerdictKind::NotEnoughData;
            row.reason = "it looked slower, and the confirming run does not have it".to_owned();
            continue;
        };
        *row = judged.clone();
        let word = match judged.verdict {
            VerdictKind::Regression => "confirmed by a second run",
            _ => "not confirmed by a second run",
        };
        row.reason = format!("{word}: {}", judged.reason);
        // It was slower once and faster once: that is noise.
        if judged.verdict == VerdictKind::Improvement {
            row.verdict = VerdictKind::Unchanged;
        }
    }
    report.head.runs += again.processes.len();
    conclude_report(&mut report, &failed);
    Ok(report)
}
