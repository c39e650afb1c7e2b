//! `benchgate noise`: A against A on this machine. How often would the gate cry wolf, and which change does it see?
//!
//! The processes of one commit are dealt into two sides in several ways. As they are, the judgement should find
//! nothing; made slower by a known percentage, it should find that. The smallest percentage that it finds in every
//! deal is what can be seen here.

use std::collections::BTreeMap;

use cli_kit::{ExitStatus, Failure, Table};
use regress_core::detect::{Pair, VerdictKind, judge_pairs};
use regress_core::measurement::{Direction, RunFile, SeriesKey};
use regress_core::stats;
use serde::Serialize;

use crate::app::App;
use crate::args::{Format, NoiseArgs};
use crate::benchmark_names::refuse_unknown_rules;
use crate::{files, measure};

/// Changes that are tried, in percent.
const STEPS: [f64; 14] = [
    1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.5, 15.0, 20.0, 30.0, 50.0, 100.0,
];

/// One benchmark's noise.
#[derive(Debug, Serialize)]
struct Noise {
    benchmark: String,
    median: f64,
    unit: String,
    /// Standard deviation over processes in percent of the mean.
    deviation_percent: Option<f64>,
    /// Deals of A against A in which it was called changed.
    false_alarms: usize,
    /// The smallest slowdown found in every deal.
    visible_percent: Option<f64>,
}

/// How the processes are dealt: which go to the first side.
type Deal = fn(usize, usize) -> bool;

/// Each with its opposite makes four comparisons.
const DEALS: [Deal; 4] = [
    |index, _| index % 2 == 0,
    |index, _| index % 2 == 1,
    |index, _| index % 4 == 0 || index % 4 == 3,
    |index, _| index % 4 == 1 || index % 4 == 2,
];

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &NoiseArgs) -> Result<ExitStatus, Failure> {
    let run = match &args.run {
        Some(path) => files::read_run(&app.here.join(path))?,
        None => measure::measure_here(app, app.state_file("noise.json"))?,
    };
    let series = run.collect_replicates().0;
    refuse_unknown_rules(app, series.keys().map(|key| key.benchmark.as_str()))?;
    let found = noise(app, &run)?;
    if app.format == Format::Json {
        app.printer.print_json(&found)?;
        return Ok(ExitStatus::NothingFound);
    }
    let mut table = Table::new(["benchmark", "median", "std dev", "false alarms", "sees from"])
        .align_right(1)
        .align_right(2)
        .align_right(3)
        .align_right(4);
    for (one, replicates) in found.iter().zip(series.values()) {
        table.add_row([
            one.benchmark.clone(),
            replicates.unit.format_value(one.median),
            one.deviation_percent
                .map_or_else(|| "–".to_owned(), |percent| format!("{percent:.1} %")),
            format!("{} of {}", one.false_alarms, DEALS.len()),
            one.visible_percent
                .map_or_else(|| "nothing".to_owned(), |percent| format!("+{percent} %")),
        ]);
    }
    app.printer.print_line(table.fit(app.printer.width()))?;
    let sides = run.processes.len() / 2;
    let total: usize = found.iter().map(|one| one.false_alarms).sum();
    app.printer.print_note(format_args!(
        "{sides} processes a side, threshold {}: {total} false alarms in {} comparisons; more processes (--runs) let smaller changes be seen",
        app.settings.threshold,
        found.len() * DEALS.len()
    ));
    Ok(ExitStatus::NothingFound)
}

fn noise(app: &App<'_>, run: &RunFile) -> Result<Vec<Noise>, Failure> {
    const MIN_RUNS: usize = 8;
    if run.processes.len() < MIN_RUNS {
        return Err(Failure::new(format!(
            "{} processes are too few to be split into two sides",
            run.processes.len()
        ))
        .hint(format!("measure at least {MIN_RUNS}; 16 say more: --runs 16")));
    }
    let alarms: Vec<BTreeMap<SeriesKey, VerdictKind>> = DEALS
        .iter()
        .map(|deal| verdicts(app, run, *deal, 0.0))
        .collect::<Result<_, _>>()?;
    let mut visible: BTreeMap<SeriesKey, f64> = BTreeMap::new();
    for percent in STEPS {
        let found: Vec<_> = DEALS
            .iter()
            .map(|deal| verdicts(app, run, *deal, percent))
            .collect::<Result<Vec<_>, _>>()?;
        for key in found[0].keys() {
            if found
                .iter()
                .all(|deal| deal.get(key) == Some(&VerdictKind::Regression))
            {
                visible.entry(key.clone()).or_insert(percent);
            }
        }
    }
    let changed =
        |kind: Option<&VerdictKind>| matches!(kind, Some(VerdictKind::Regression | VerdictKind::Improvement));
    let describe = |(key, replicates): (SeriesKey, regress_core::measurement::Replicates)| {
        let values = &replicates.values;
        let spread = stats::std_dev(values).zip(stats::mean(values).filter(|mean| *mean > 0.0));
        Noise {
            benchmark: key.to_string(),
            median: stats::median(values).unwrap_or(0.0),
            unit: replicates.unit.to_string(),
            deviation_percent: spread.map(|(deviation, mean)| 100.0 * deviation / mean),
            false_alarms: alarms.iter().filter(|deal| changed(deal.get(&key))).count(),
            visible_percent: visible.get(&key).copied(),
        }
    };
    Ok(run.collect_replicates().0.into_iter().map(describe).collect())
}

/// Deals every benchmark's values into two sides, makes the second one slower, and has them judged.
fn verdicts(
    app: &App<'_>,
    run: &RunFile,
    deal: Deal,
    percent: f64,
) -> Result<BTreeMap<SeriesKey, VerdictKind>, Failure> {
    let thresholds = app.thresholds()?;
    let sides: Vec<_> = run
        .collect_replicates()
        .0
        .into_iter()
        .map(|(key, replicates)| {
            let count = replicates.values.len();
            let (first, second): (Vec<_>, Vec<_>) = replicates
                .values
                .iter()
                .enumerate()
                .partition(|(index, _)| deal(*index, count));
            let slower = match replicates.direction {
                Direction::SmallerIsBetter => 1.0 + percent / 100.0,
                Direction::BiggerIsBetter => 1.0 / (1.0 + percent / 100.0),
            };
            let before: Vec<f64> = first.into_iter().map(|(_, value)| *value).collect();
            let after: Vec<f64> = second.into_iter().map(|(_, value)| value * slower).collect();
            let threshold = thresholds.for_benchmark(key.benchmark.as_str(), &replicates.unit);
            (key, replicates.direction, before, after, threshold)
        })
        .collect();
    let pairs: Vec<Pair<'_>> = sides
        .iter()
        .map(|(key, direction, before, after, threshold)| Pair {
            key: key.clone(),
            direction: *direction,
            before,
            after,
            comparable: true,
            threshold: *threshold,
        })
        .collect();
    Ok(judge_pairs(&pairs)
        .verdicts
        .into_iter()
        .map(|verdict| (verdict.key, verdict.kind))
        .collect())
}
