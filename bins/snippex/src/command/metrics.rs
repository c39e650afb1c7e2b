//! `snippex metrics`: success over time, for dashboards and alerts.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cli_kit::style::{BAD, GOOD, HEADING};
use cli_kit::{ExitStatus, Failure, Format, OrFail};
use serde_json::json;
use snippex_report::data_table::{DataTable, Figure, wilson_interval};
use snippex_report::prometheus::{Exposition, MetricKind};
use snippex_report::{format_count, format_number};
use snippex_session::{Grouping, NewestRun, Trend, group_runs, newest_runs};
use snippex_store::SummedRun;

use super::stats::{daily_trends, each_run, print_data_table, summed_runs};
use crate::app::App;
use crate::args::{MetricsArgs, MetricsCommand};

pub(crate) fn run(app: &App<'_>, args: &MetricsArgs) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    match &args.command {
        MetricsCommand::Record => record(app, &summed_runs(&store, 1)?),
        MetricsCommand::Show {
            alert_below,
            alert_worse,
        } => {
            let runs = summed_runs(&store, args.runs)?;
            let newest = newest_runs(&runs, args.threshold);
            let alerts = alerts(&newest, *alert_below, *alert_worse);
            dashboard(
                app,
                &runs,
                &newest,
                &alerts,
                alert_below.is_some() || *alert_worse,
            )
        }
        MetricsCommand::Export { format } => {
            print_data_table(app, *format, &each_run(&summed_runs(&store, args.runs)?), None)?;
            Ok(ExitStatus::NothingFound)
        }
        MetricsCommand::Prometheus { file } => {
            let text = exposition(&summed_runs(&store, args.runs)?, args.threshold);
            match file {
                Some(path) => write_at_once(path, &text)?,
                None => app.printer.print_text(text)?,
            }
            Ok(ExitStatus::NothingFound)
        }
    }
}

fn record(app: &App<'_>, runs: &[SummedRun]) -> Result<ExitStatus, Failure> {
    let table = each_run(runs);
    if table.is_empty() {
        return Err(Failure::new("no run has come to an end yet").hint("run `snippex check PROGRAM` first"));
    }
    app.print_answer(&table.to_json_objects()[0], || {
        app.printer.print_line(table.render_text(app.printer.width()))
    })?;
    Ok(ExitStatus::NothingFound)
}

/// The newest run of each engine.
fn newest_table(newest: &[NewestRun<'_>]) -> DataTable {
    let mut table = DataTable::new([
        "engine",
        "version",
        "run",
        "started",
        "blocks",
        "failing_blocks",
        "success_rate",
        "least",
        "most",
        "trend",
        "failures_change",
        "compared_runs",
    ]);
    for newest in newest {
        let run = newest.run;
        let passing = passing(run);
        let (least, most) = wilson_interval(passing, run.summary.blocks);
        table.push(vec![
            Figure::Text(run.engine.clone()),
            Figure::Text(run.version.clone()),
            Figure::Id(run.run.0),
            Figure::Time(run.started.0),
            Figure::Count(run.summary.blocks),
            Figure::Count(run.summary.diverging_blocks),
            Figure::Share(success(run)),
            Figure::Share(least),
            Figure::Share(most),
            Figure::Text(trend_word(newest.trend).to_owned()),
            newest.change_percent.map_or(Figure::Nothing, |percent| {
                Figure::Text(format!("{percent:+.1} %"))
            }),
            Figure::Count(newest.compared as u64),
        ]);
    }
    table
}

fn passing(run: &SummedRun) -> u64 {
    run.summary.blocks.saturating_sub(run.summary.diverging_blocks)
}

/// The share of blocks that pass; all of none.
fn success(run: &SummedRun) -> f64 {
    match run.summary.blocks {
        0 => 1.0,
        blocks => passing(run) as f64 / blocks as f64,
    }
}

fn trend_word(trend: Trend) -> &'static str {
    match trend {
        Trend::Better => "better",
        Trend::Worse => "worse",
        Trend::Same => "same",
        Trend::Unknown => "first",
    }
}

/// What is to be told of the newest runs.
fn alerts(newest: &[NewestRun<'_>], below: Option<f64>, if_worse: bool) -> Vec<String> {
    let mut alerts = Vec::new();
    for newest in newest {
        let run = newest.run;
        let percent = success(run) * 100.0;
        if let Some(limit) = below.filter(|limit| percent < *limit) {
            alerts.push(format!("{}: {percent:.2} % is below {limit} %", run.engine));
        }
        if if_worse && newest.trend == Trend::Worse {
            alerts.push(format!(
                "{}: run {} is worse than those before",
                run.engine, run.run
            ));
        }
    }
    alerts
}

fn dashboard(
    app: &App<'_>,
    runs: &[SummedRun],
    newest: &[NewestRun<'_>],
    alerts: &[String],
    is_watched: bool,
) -> Result<ExitStatus, Failure> {
    let table = newest_table(newest);
    let (days, chart) = daily_trends(runs);
    match app.format {
        Format::Human if runs.is_empty() => app.printer.print_line("no run has come to an end yet")?,
        Format::Human => {
            let blocks: u64 = runs.iter().map(|run| run.summary.blocks).sum();
            let cases: u64 = runs.iter().map(|run| run.summary.runs).sum();
            app.printer.print_line(format_args!(
                "{HEADING}Totals{HEADING:#}\n {} of {} in {} cases\n\n{HEADING}Newest run of each engine{HEADING:#}",
                format_count(runs.len() as u64, "check"),
                format_count(blocks, "block"),
                format_number(cases)
            ))?;
            app.printer.print_line(table.render_text(app.printer.width()))?;
            app.printer
                .print_line(format_args!("\n{HEADING}Days{HEADING:#}"))?;
            app.printer.print_line(days.render_text(app.printer.width()))?;
            app.printer.print_line(chart.unwrap_or_default())?;
            for alert in alerts {
                app.printer
                    .print_line(format_args!("{BAD}alert{BAD:#}: {alert}"))?;
            }
            if alerts.is_empty() && is_watched {
                app.printer.print_line(format_args!("{GOOD}no alert{GOOD:#}"))?;
            }
        }
        Format::Json | Format::Jsonl => {
            let document =
                json!({"newest": table.to_json_objects(), "days": days.to_json_objects(), "alerts": alerts});
            if app.format == Format::Json {
                app.printer.print_json(&document)?;
            } else {
                app.printer.print_json_line(&document)?;
            }
        }
    }
    Ok(ExitStatus::from_found(!alerts.is_empty()))
}

/// A figure of a run.
type Measured = fn(&SummedRun) -> f64;

/// What the newest run of each engine came to, and sums over all runs that are counted.
fn exposition(runs: &[SummedRun], threshold: f64) -> String {
    let mut text = Exposition::default();
    let newest = newest_runs(runs, threshold);
    let gauge = |value: Measured| {
        let samples = newest.iter().map(move |newest| {
            let run = newest.run;
            let labels = vec![("engine", run.engine.as_str()), ("version", run.version.as_str())];
            (labels, value(run))
        });
        samples.collect::<Vec<_>>()
    };
    let gauges: [(&str, &str, Measured); 10] = [
        (
            "snippex_run_success_ratio",
            "Share of blocks of the newest run that have no divergence, from 0 to 1.",
            success,
        ),
        ("snippex_run_blocks", "Blocks of the newest run.", |run| {
            run.summary.blocks as f64
        }),
        (
            "snippex_run_diverging_blocks",
            "Blocks of the newest run with a divergence.",
            |run| run.summary.diverging_blocks as f64,
        ),
        ("snippex_run_cases", "Cases of the newest run.", |run| {
            run.summary.runs as f64
        }),
        (
            "snippex_run_diverged_cases",
            "Cases of the newest run that diverged.",
            |run| run.summary.diverged as f64,
        ),
        (
            "snippex_run_inconclusive_cases",
            "Cases of the newest run without a verdict.",
            |run| run.summary.inconclusive as f64,
        ),
        (
            "snippex_run_unsupported_cases",
            "Cases of the newest run that an engine does not support.",
            |run| run.summary.unsupported as f64,
        ),
        (
            "snippex_run_cached_cases",
            "Cases of the newest run that the cache of verdicts knew, and that took no time.",
            |run| run.summary.details.cached_runs as f64,
        ),
        (
            "snippex_run_duration_seconds",
            "Time for which the blocks of the newest run were run, in seconds.",
            |run| run.summary.elapsed.as_secs_f64(),
        ),
        (
            "snippex_run_start_time_seconds",
            "When the newest run started, in seconds since the Unix epoch.",
            |run| run.started.0 as f64 / 1000.0,
        ),
    ];
    for (name, help, value) in gauges {
        text.add_metric_family(name, help, MetricKind::Gauge, gauge(value));
    }
    let worse = newest.iter().map(|newest| {
        let run = newest.run;
        let labels = vec![("engine", run.engine.as_str()), ("version", run.version.as_str())];
        (labels, f64::from(u8::from(newest.trend == Trend::Worse)))
    });
    text.add_metric_family(
        "snippex_run_worse",
        "1 when the newest run is worse than those before of the same engine, else 0.",
        MetricKind::Gauge,
        worse.collect::<Vec<_>>(),
    );
    let groups = group_runs(runs, Grouping::Engine);
    let stored = groups.iter().map(|((engine, version), group)| {
        let labels = vec![("engine", engine.as_str()), ("version", version.as_str())];
        (labels, group.checks as f64)
    });
    text.add_metric_family(
        "snippex_stored_runs",
        "Runs in the database that came to an end.",
        MetricKind::Gauge,
        stored.collect::<Vec<_>>(),
    );
    text.as_str().to_owned()
}

/// Writes beside the file and renames: the collector never reads half of it.
fn write_at_once(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = || format!("cannot write {}", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write()
        .or_fail_with(failed)
        .map_err(|failure| failure.hint("name a file in a folder that may be written"))
}
