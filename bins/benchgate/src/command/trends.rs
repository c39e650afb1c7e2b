//! `benchgate trends`: how benchmarks went over the history.

use std::collections::{BTreeMap, BTreeSet};

use cli_kit::{ExitStatus, Failure};
use regress_core::detect::creep::detect_creep;
use regress_core::detect::machine_shift::{MachineTrend, machine_trend};
use regress_core::detect::season::detect_season;
use regress_core::detect::{ChangePointSettings, VerdictKind, change_points};
use regress_core::environment::Environment;
use regress_core::measurement::{Direction, Measure, SeriesKey, Unit};
use regress_core::stats;
use regress_report::benchmarks::{Outcome, REPORT_VERSION, Report, Row, Shift, Side, terminal};

use crate::app::App;
use crate::args::{Format, Paper, TrendsArgs};
use crate::benchmark_names::refuse_unknown;
use crate::history::{self, HistoryLine, HistoryPast, Pasts};
use crate::machine;
use crate::outputs::compile_globs;
use crate::show::{self, format_counted_noun};

/// Slow creep is looked for between the first and the last so many runs.
const CREEP_WINDOW: usize = 10;
/// Patterns that runs follow where they are made daily or hourly.
const PERIODS: [usize; 4] = [5, 7, 12, 24];

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &TrendsArgs) -> Result<ExitStatus, Failure> {
    let (lines, problems) = history::read_history(&app.settings.history)?;
    problems
        .iter()
        .for_each(|problem| app.printer.print_warning(problem));
    let environment = environment(app, &lines, args.environment.as_deref())?;
    let mut pasts = history::of_environment(&lines, &environment, |_| false);
    let names = pasts.keys().map(|key| key.benchmark.as_str());
    refuse_unknown(&args.benchmarks, names, "the history of this environment")?;
    if let Some(last) = args.last {
        for (.., past) in pasts.values_mut() {
            let from = past.values.len().saturating_sub(last.max(1));
            past.values.drain(..from);
            past.commits.drain(..from);
            past.lines.drain(..from);
        }
    }
    let picked = compile_globs(&args.benchmarks)?;
    let shared = SharedTrend::by_measure(&pasts);
    let mut rows = Vec::new();
    let thresholds = app.thresholds()?;
    for (key, (unit, direction, past)) in &pasts {
        if args.benchmarks.is_empty() || picked.is_match(key.benchmark.as_str()) {
            rows.push(row(
                key,
                unit,
                *direction,
                past,
                shared.get(&key.measure),
                thresholds.for_benchmark(key.benchmark.as_str(), unit).percent,
            ));
        }
    }
    let creeping = rows
        .iter()
        .filter(|row| row.verdict == VerdictKind::Regression)
        .count();
    let longest = rows.iter().map(|row| row.history.len()).max().unwrap_or(0);
    let mut report = Report {
        version: REPORT_VERSION,
        title: "trends over the history".to_owned(),
        base: Side {
            label: "the first run".to_owned(),
            commit: None,
            runs: 1,
        },
        head: Side {
            label: "the history".to_owned(),
            commit: None,
            runs: longest,
        },
        environment: machine::describe_environment(&environment),
        threshold: app.settings.threshold.0,
        outcome: if creeping > 0 {
            Outcome::Regression
        } else {
            Outcome::Unchanged
        },
        summary: format!(
            "{creeping} of {} got slower over the history",
            format_counted_noun(rows.len(), "benchmark", "benchmarks")
        ),
        rows,
        notes: shared_shifts(&shared, &pasts),
        problems,
    };
    report.sort_rows();
    if app.format != Format::Human {
        show::print_report(app, &report, Paper::default())?;
        return Ok(ExitStatus::NothingFound);
    }
    let all = app.all || !args.benchmarks.is_empty();
    let moved = |row: &&Row| all || !row.shifts.is_empty() || row.verdict == VerdictKind::Regression;
    for row in report.rows.iter().filter(moved) {
        app.printer
            .print_line(terminal::render_trend(row, app.printer.width()))?;
    }
    let still = report.rows.iter().filter(|row| !moved(row)).count();
    report.notes.iter().for_each(|note| app.printer.print_note(note));
    if still > 0 {
        app.printer.print_note(format_args!(
            "{} did not move and {} not shown; --all shows {}",
            if still == 1 {
                "1 benchmark".to_owned()
            } else {
                format!("{still} benchmarks")
            },
            if still == 1 { "is" } else { "are" },
            if still == 1 { "it" } else { "them" },
        ));
    }
    Ok(ExitStatus::NothingFound)
}

/// The environment asked for, else this machine's, else the one of the newest run.
fn environment(app: &App<'_>, lines: &[HistoryLine], start: Option<&str>) -> Result<Environment, Failure> {
    let newest = |wanted: &dyn Fn(&Environment) -> bool| {
        lines
            .iter()
            .rev()
            .map(|line| &line.environment)
            .find(|environment| wanted(environment))
            .cloned()
    };
    if let Some(start) = start {
        return newest(&|environment| environment.short_hash().starts_with(start)).ok_or_else(|| {
            Failure::new(format!("the history has no environment {start}"))
                .hint("`benchgate history` lists them")
        });
    }
    let here = app.detect_environment()?;
    if let Some(found) = newest(&|environment| environment.is_like(&here)) {
        return Ok(found);
    }
    let other = newest(&|_| true).ok_or_else(|| {
        Failure::new(format!("{} has no runs", app.display_path(&app.settings.history)))
            .hint("`benchgate record` and `benchgate history add` append runs")
    })?;
    app.printer.print_note(format_args!(
        "the history has no run of this machine; shown is {}",
        machine::describe_environment(&other)
    ));
    Ok(other)
}

fn row(
    key: &SeriesKey,
    unit: &Unit,
    direction: Direction,
    past: &HistoryPast,
    shared: Option<&SharedTrend>,
    percent: f64,
) -> Row {
    let values = &past.values;
    // What all benchmarks did at once is told once, below.
    let own = shared
        .filter(|_| direction == Direction::SmallerIsBetter)
        .map_or_else(|| values.clone(), |shared| shared.remove_from(past));
    let found = detect_creep(values, direction, percent, CREEP_WINDOW);
    let trend = stats::theil_sen(values)
        .zip(stats::median(values))
        .filter(|(_, centre)| *centre > 0.0);
    let slope = trend.map(|(trend, centre)| (100.0 * trend.slope / centre, trend.p));
    let mut reason = match (&found, slope) {
        (Some(creep), _) => {
            let total = creep.change.cost_ratio.map_or(0.0, |ratio| 100.0 * (ratio - 1.0));
            // One step is told as what it is; what has none, or many small ones, creeps.
            let word = match change_points(&own, &ChangePointSettings::default()).as_slice() {
                [step] => format!("a step at run {}", step.index + 1),
                _ => "slower bit by bit".to_owned(),
            };
            format!(
                "{word}: the last {CREEP_WINDOW} runs cost {total:+.1} % against the first {CREEP_WINDOW}"
            )
        }
        (None, Some((slope, p))) => format!("{slope:+.2} % a run over {} runs (p = {p:.2})", values.len()),
        (None, None) => format!("{} runs", values.len()),
    };
    if let Some((period, parts)) = detect_season(values, &PERIODS) {
        reason.push_str(&format!("; repeats every {period} runs (p = {:.1e})", parts.p));
    }
    Row {
        name: key.to_string(),
        unit: unit.clone(),
        direction,
        verdict: if found.is_some() {
            VerdictKind::Regression
        } else {
            VerdictKind::Unchanged
        },
        reason,
        before: values.first().copied(),
        after: None,
        percent: found
            .and_then(|creep| creep.change.cost_ratio)
            .map(|ratio| 100.0 * (ratio - 1.0)),
        interval: None,
        p: slope.map(|(_, p)| p),
        q: None,
        effect: None,
        confidence: None,
        threshold: percent,
        before_values: Vec::new(),
        after_values: Vec::new(),
        shifts: own_shifts(values, &own),
        history: values.clone(),
        commits: past.commits.clone(),
        noisy: false,
        band: None,
    }
}

/// The change points of a benchmark's own values, with the medians of what was measured around each.
fn own_shifts(values: &[f64], own: &[f64]) -> Vec<Shift> {
    let points = change_points(own, &ChangePointSettings::default());
    let mut bounds: Vec<usize> = points.iter().map(|point| point.index).collect();
    bounds.insert(0, 0);
    bounds.push(values.len());
    let around = bounds.windows(3).filter_map(|bounds| {
        let &[from, at, to] = bounds else { return None };
        Some(Shift {
            index: at,
            before: stats::median(&values[from..at])?,
            after: stats::median(&values[at..to])?,
        })
    });
    around.collect()
}

/// What the benchmarks of a measure that takes time had in common, over the lines of the history.
struct SharedTrend {
    lines: Vec<usize>,
    trend: MachineTrend,
}

impl SharedTrend {
    /// The trend of each measure of which enough benchmarks tell.
    fn by_measure(pasts: &Pasts) -> BTreeMap<Measure, Self> {
        let of_times = |(key, (_, direction, _)): &(&SeriesKey, &(Unit, Direction, HistoryPast))| {
            *direction == Direction::SmallerIsBetter && !key.measure.is_exact()
        };
        let mut measures: BTreeMap<&Measure, Vec<&HistoryPast>> = BTreeMap::new();
        for (key, (.., past)) in pasts.iter().filter(of_times) {
            measures.entry(&key.measure).or_default().push(past);
        }
        let trend = |(measure, pasts): (&Measure, Vec<&HistoryPast>)| {
            let lines: BTreeSet<usize> = pasts.iter().flat_map(|past| past.lines.iter().copied()).collect();
            let lines: Vec<usize> = lines.into_iter().collect();
            let aligned = pasts.iter().map(|past| {
                let values: BTreeMap<&usize, f64> =
                    past.lines.iter().zip(past.values.iter().copied()).collect();
                let value = |line| values.get(line).copied().unwrap_or(f64::NAN);
                lines.iter().map(value).collect()
            });
            let aligned: Vec<Vec<f64>> = aligned.collect();
            let trend = machine_trend(&aligned, &ChangePointSettings::default())?;
            Some((measure.clone(), Self { lines, trend }))
        };
        measures.into_iter().filter_map(trend).collect()
    }

    /// The values of a benchmark without what all had in common.
    fn remove_from(&self, past: &HistoryPast) -> Vec<f64> {
        let own = |(value, line): (&f64, &usize)| {
            let place = self.lines.binary_search(line);
            let factor = place.ok().and_then(|place| self.trend.factors.get(place));
            value / factor.copied().unwrap_or(1.0)
        };
        past.values.iter().zip(&past.lines).map(own).collect()
    }
}

/// Points at which most benchmarks of a measure moved at once. That may be the machine, or code that all of them share.
fn shared_shifts(shared: &BTreeMap<Measure, SharedTrend>, pasts: &Pasts) -> Vec<String> {
    let commit_of = |line: usize| {
        pasts.values().find_map(|(.., past)| {
            let place = past.lines.binary_search(&line).ok()?;
            past.commits.get(place).filter(|commit| !commit.is_empty())
        })
    };
    let told = shared.iter().flat_map(|(measure, shared)| {
        shared.trend.shifts.iter().map(move |shift| {
            let commit = shared.lines.get(shift.index).and_then(|line| commit_of(*line));
            let commit = commit.map_or_else(String::new, |commit| {
                format!(" ({})", commit.get(..10).unwrap_or(commit))
            });
            let percent = shift.percent.unwrap_or(0.0);
            format!(
                "at run {}{commit} most benchmarks moved by {percent:+.1} % at once ({measure}): the machine, or code that all of them share",
                shift.index + 1
            )
        })
    });
    told.collect()
}
