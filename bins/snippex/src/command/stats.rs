//! `snippex stats`: what all stored runs came to.

use cli_kit::{ExitStatus, Failure};
use snippex_report::data_table::{DataTable, Figure, render_sparkline, wilson_interval};
use snippex_session::{Grouping, RunGroup, day_start, failure_modes, group_runs, runs_by_day};
use snippex_store::{StoreHandle, SummedRun};

use crate::app::App;
use crate::args::{FormatArg, GroupingArg, StatsArgs, StatsCommand};
use crate::hints::OrUserError;

pub(crate) fn run(app: &App<'_>, args: &StatsArgs) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let runs = || summed_runs(&store, args.runs);
    let (table, chart) = match args.command {
        StatsCommand::Summary { by } => (summary(&runs()?, by), None),
        StatsCommand::Trends => daily_trends(&runs()?),
        StatsCommand::Runs => (each_run(&runs()?), None),
        StatsCommand::Modes => (modes(&runs()?), None),
        StatsCommand::Blocks {
            flaky: true, limit, ..
        } => (flaky(&store, limit)?, None),
        StatsCommand::Blocks { limit, .. } => (failing(&store, limit)?, None),
    };
    print_data_table(app, args.format, &table, chart)?;
    Ok(ExitStatus::NothingFound)
}

/// The newest runs that came to an end.
pub(super) fn summed_runs(store: &StoreHandle, limit: u32) -> Result<Vec<SummedRun>, Failure> {
    store
        .call_and_wait(async move |store| store.summed_runs(limit).await)
        .or_user_error()
}

/// Prints a table in the form that is asked for; people see a chart below it.
pub(super) fn print_data_table(
    app: &App<'_>,
    format: FormatArg,
    table: &DataTable,
    chart: Option<String>,
) -> Result<(), Failure> {
    match format {
        FormatArg::Csv => app.printer.print_text(table.render_csv())?,
        FormatArg::Json => app.printer.print_json(&table.to_json_objects())?,
        FormatArg::Jsonl => table
            .to_json_objects()
            .iter()
            .try_for_each(|row| app.printer.print_json_line(row))?,
        FormatArg::Human | FormatArg::Junit if table.is_empty() => {
            app.printer
                .print_line("nothing was run yet, or nothing of this kind")?;
        }
        FormatArg::Human | FormatArg::Junit => {
            app.printer.print_line(table.render_text(app.printer.width()))?;
            if let Some(chart) = chart {
                app.printer.print_line(chart)?;
            }
        }
    }
    Ok(())
}

/// The share of blocks that pass, and Wilson's interval of it.
pub(super) fn success_rate(group: &RunGroup) -> [Figure; 3] {
    let (part, whole) = (group.passing_blocks(), group.counts.blocks);
    if whole == 0 {
        return [Figure::Nothing, Figure::Nothing, Figure::Nothing];
    }
    let (least, most) = wilson_interval(part, whole);
    [part as f64 / whole as f64, least, most].map(Figure::Share)
}

fn speed(group: &RunGroup) -> Figure {
    group.runs_per_second().map_or(Figure::Nothing, Figure::Rate)
}

fn summary(runs: &[SummedRun], by: GroupingArg) -> DataTable {
    let grouping = match by {
        GroupingArg::Engine => Grouping::Engine,
        GroupingArg::Binary => Grouping::Binary,
        GroupingArg::Kind => Grouping::Kind,
        GroupingArg::Extension => Grouping::Extension,
    };
    let mut table = DataTable::new([
        "name",
        "version",
        "checks",
        "blocks",
        "failing_blocks",
        "success_rate",
        "least",
        "most",
        "runs",
        "diverged_runs",
        "runs_per_second",
        "last",
    ]);
    for ((name, version), group) in group_runs(runs, grouping) {
        let [rate, least, most] = success_rate(&group);
        table.push(vec![
            Figure::Text(name),
            Figure::Text(version),
            Figure::Count(group.checks),
            Figure::Count(group.counts.blocks),
            Figure::Count(group.counts.diverging_blocks),
            rate,
            least,
            most,
            Figure::Count(group.counts.runs),
            Figure::Count(group.counts.diverged),
            speed(&group),
            group.last.map_or(Figure::Nothing, |last| Figure::Time(last.0)),
        ]);
    }
    table
}

/// Day by day, the oldest first, with a chart.
pub(super) fn daily_trends(runs: &[SummedRun]) -> (DataTable, Option<String>) {
    let mut table = DataTable::new([
        "day",
        "checks",
        "blocks",
        "failing_blocks",
        "success_rate",
        "least",
        "most",
        "runs",
        "runs_per_second",
    ]);
    let mut rates = Vec::new();
    let mut speeds = Vec::new();
    for (&day, group) in &runs_by_day(runs) {
        let [rate, least, most] = success_rate(group);
        if let Figure::Share(rate) = rate {
            rates.push(rate);
        }
        speeds.extend(group.runs_per_second());
        table.push(vec![
            Figure::Day(day_start(day).0),
            Figure::Count(group.checks),
            Figure::Count(group.counts.blocks),
            Figure::Count(group.counts.diverging_blocks),
            rate,
            least,
            most,
            Figure::Count(group.counts.runs),
            speed(group),
        ]);
    }
    let chart = format!(
        "success rate    {}\nruns per second {}",
        render_sparkline(&rates),
        render_sparkline(&speeds)
    );
    (table, Some(chart))
}

/// Each run, the newest first.
pub(super) fn each_run(runs: &[SummedRun]) -> DataTable {
    let mut table = DataTable::new([
        "run",
        "started",
        "command",
        "engine",
        "version",
        "reference",
        "seed",
        "states",
        "blocks",
        "failing_blocks",
        "runs",
        "matched",
        "diverged",
        "inconclusive",
        "unsupported",
        "cached_runs",
        "seconds",
        "complete",
    ]);
    for run in runs {
        let summary = &run.summary;
        let mut row = vec![
            Figure::Id(run.run.0),
            Figure::Time(run.started.0),
            Figure::Text(run.command.clone()),
            Figure::Text(run.engine.clone()),
            Figure::Text(run.version.clone()),
            Figure::Text(run.reference.clone()),
            Figure::Text(run.seed.to_string()),
        ];
        let counts = [
            u64::from(run.states),
            summary.blocks,
            summary.diverging_blocks,
            summary.runs,
            summary.matched,
            summary.diverged,
            summary.inconclusive,
            summary.unsupported,
            summary.details.cached_runs,
        ];
        row.extend(counts.map(Figure::Count));
        row.push(Figure::Seconds(summary.elapsed.as_secs_f64()));
        let complete = if run.finished { "yes" } else { "no" };
        row.push(Figure::Text(complete.to_owned()));
        table.push(row);
    }
    table
}

fn modes(runs: &[SummedRun]) -> DataTable {
    let mut table = DataTable::new(["verdict", "why", "blocks", "runs"]);
    let mut modes: Vec<_> = failure_modes(runs).into_iter().collect();
    modes.sort_by_key(|((what, _), (blocks, runs))| (*what, std::cmp::Reverse((*runs, *blocks))));
    for ((what, name), (blocks, runs)) in modes {
        let some = |count| match count {
            0 => Figure::Nothing,
            count => Figure::Count(count),
        };
        table.push(vec![
            Figure::Text(what.to_owned()),
            Figure::Text(name),
            some(blocks),
            some(runs),
        ]);
    }
    table
}

fn failing(store: &StoreHandle, limit: u32) -> Result<DataTable, Failure> {
    let blocks = store
        .call_and_wait(async move |store| store.failing_blocks(limit).await)
        .or_user_error()?;
    let mut table = DataTable::new([
        "block",
        "binary",
        "address",
        "engine",
        "version",
        "failing_checks",
        "checks",
        "failure_rate",
        "least",
        "most",
        "last_run",
    ]);
    for block in blocks {
        let (least, most) = wilson_interval(block.failing, block.all);
        let rate = block.failing as f64 / block.all.max(1) as f64;
        table.push(vec![
            Figure::Id(block.block.0),
            Figure::Text(block.binary),
            Figure::Text(format!("{:#x}", block.address)),
            Figure::Text(block.engine),
            Figure::Text(block.version),
            Figure::Count(block.failing),
            Figure::Count(block.all),
            Figure::Share(rate),
            Figure::Share(least),
            Figure::Share(most),
            Figure::Id(block.last.0),
        ]);
    }
    Ok(table)
}

fn flaky(store: &StoreHandle, limit: u32) -> Result<DataTable, Failure> {
    let blocks = store
        .call_and_wait(async move |store| store.flaky_blocks(limit).await)
        .or_user_error()?;
    let mut table = DataTable::new([
        "block",
        "binary",
        "address",
        "engine",
        "version",
        "seed",
        "states",
        "checks",
        "least_matched",
        "most_matched",
        "least_diverged",
        "most_diverged",
    ]);
    for block in blocks {
        let mut row = vec![
            Figure::Id(block.block.0),
            Figure::Text(block.binary),
            Figure::Text(format!("{:#x}", block.address)),
            Figure::Text(block.engine),
            Figure::Text(block.version),
            Figure::Text(block.seed.to_string()),
        ];
        let counts = [
            u64::from(block.states),
            block.all,
            block.matched.0,
            block.matched.1,
            block.diverged.0,
            block.diverged.1,
        ];
        row.extend(counts.map(Figure::Count));
        table.push(row);
    }
    Ok(table)
}
