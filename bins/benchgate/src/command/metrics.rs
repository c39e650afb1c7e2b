//! `benchgate metrics`: what judgements came to over time, for dashboards and alerts.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use cli_kit::style::{BAD, GOOD, HEADING};
use cli_kit::{ExitStatus, Failure, OrFail};
use jiff::Timestamp;
use regress_report::benchmarks::Report;
use report_kit::data_table::{DataTable, Figure, render_sparkline};
use report_kit::prometheus::{Exposition, MetricKind};
use report_kit::{format_count, format_number};
use serde_json::json;

use crate::app::App;
use crate::args::{Format, MetricsArgs, MetricsCommand, TableFormat};
use crate::snapshots::{Snapshot, merge_snapshots, read_snapshots};
use crate::{files, show};

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &MetricsArgs) -> Result<ExitStatus, Failure> {
    if let MetricsCommand::Record { reports } = &args.command {
        return record(app, reports);
    }
    let mut snapshots = read_snapshots(app)?.snapshots;
    snapshots.drain(..snapshots.len().saturating_sub(args.last as usize));
    match &args.command {
        MetricsCommand::Record { .. } => {}
        MetricsCommand::Show {
            alert_slower,
            alert_below,
        } => {
            let alerts = alerts(
                &snapshots,
                alert_slower.map(|limit| limit.0),
                alert_below.map(|limit| limit.0),
            );
            let is_watched = alert_slower.is_some() || alert_below.is_some();
            return dashboard(app, &snapshots, &alerts, is_watched);
        }
        MetricsCommand::Export { table } => {
            let figures = each_snapshot(&snapshots);
            match table {
                TableFormat::Json => app.printer.print_json(&figures.to_json_objects())?,
                TableFormat::Csv => app.printer.print_text(figures.render_csv())?,
            }
        }
        MetricsCommand::Prometheus { file } => {
            let text = exposition(&snapshots);
            match file {
                Some(path) => files::write_file(&app.here.join(path), &text)?,
                None => app.printer.print_text(text)?,
            }
        }
    }
    Ok(ExitStatus::NothingFound)
}

/// Takes snapshots of reports that were made elsewhere, dated by their files.
fn record(app: &App<'_>, reports: &[PathBuf]) -> Result<ExitStatus, Failure> {
    let read = |path: &PathBuf| {
        let bytes = files::read_own(path)?;
        let report = Report::from_json(&bytes).or_fail_with(|| format!("cannot use {}", path.display()))?;
        let changed = fs::metadata(path).and_then(|file| file.modified());
        let time = changed.ok().and_then(|time| Timestamp::try_from(time).ok());
        Ok(Snapshot::of(&report, time.unwrap_or_else(Timestamp::now)))
    };
    let snapshots = reports.iter().map(read).collect::<Result<Vec<_>, Failure>>()?;
    let given = snapshots.len();
    let added = merge_snapshots(app, snapshots)?;
    app.printer.print_note(format_args!(
        "{} added, {} there already",
        show::format_counted_noun(added, "snapshot", "snapshots"),
        given - added
    ));
    Ok(ExitStatus::NothingFound)
}

/// A row a snapshot.
fn each_snapshot(snapshots: &[Snapshot]) -> DataTable {
    let mut table = DataTable::new([
        "time",
        "what",
        "environment",
        "commit",
        "outcome",
        "benchmarks",
        "regressions",
        "suspected",
        "improvements",
        "unchanged",
        "not_judged",
        "worst_benchmark",
        "worst_change",
        "median_change",
    ]);
    for snapshot in snapshots {
        let counts = snapshot.verdicts;
        let change =
            |percent: Option<f64>| percent.map_or(Figure::Nothing, |percent| Figure::Share(percent / 100.0));
        table.push(vec![
            Figure::Time(snapshot.time.as_millisecond()),
            Figure::Text(snapshot.title.clone()),
            Figure::Text(snapshot.environment.clone()),
            text_or_nothing(snapshot.commit.as_deref()),
            Figure::Text(snapshot.outcome.as_str().to_owned()),
            Figure::Count(counts.all()),
            Figure::Count(counts.regressions),
            Figure::Count(counts.suspected),
            Figure::Count(counts.improvements),
            Figure::Count(counts.unchanged),
            Figure::Count(counts.not_judged),
            text_or_nothing(snapshot.worst.as_ref().map(|(name, _)| name.as_str())),
            change(snapshot.worst.as_ref().map(|(_, percent)| *percent)),
            change(snapshot.median_change),
        ]);
    }
    table
}

fn text_or_nothing(text: Option<&str>) -> Figure {
    text.map_or(Figure::Nothing, |text| Figure::Text(text.to_owned()))
}

/// The newest snapshot of each kind of judgement in each environment.
fn newest_of_each(snapshots: &[Snapshot]) -> Vec<&Snapshot> {
    let mut newest: BTreeMap<(&str, &str), &Snapshot> = BTreeMap::new();
    for snapshot in snapshots {
        newest.insert((&snapshot.environment, &snapshot.title), snapshot);
    }
    newest.into_values().collect()
}

/// What is to be told: a benchmark of the newest judgements that costs so many percent more, or fewer judgements that pass.
fn alerts(snapshots: &[Snapshot], slower: Option<f64>, below: Option<f64>) -> Vec<String> {
    let mut alerts = Vec::new();
    for snapshot in newest_of_each(snapshots) {
        if let (Some((name, percent)), Some(limit)) = (&snapshot.worst, slower)
            && *percent > limit
        {
            alerts.push(format!(
                "{}: {name} costs {percent:+.1} %, more than {limit} %",
                snapshot.title
            ));
        }
    }
    if let (Some(rate), Some(limit)) = (pass_rate(snapshots), below)
        && rate * 100.0 < limit
    {
        alerts.push(format!(
            "{:.2} % of the judgements pass, fewer than {limit} %",
            rate * 100.0
        ));
    }
    alerts
}

/// The share of judgements with nothing slower, certain or suspected; none of none.
fn pass_rate(snapshots: &[Snapshot]) -> Option<f64> {
    let passing = snapshots.iter().filter(|snapshot| snapshot.passes()).count();
    (!snapshots.is_empty()).then(|| passing as f64 / snapshots.len() as f64)
}

/// A row a day, UTC.
fn each_day(snapshots: &[Snapshot]) -> DataTable {
    let mut days: BTreeMap<String, Vec<&Snapshot>> = BTreeMap::new();
    for snapshot in snapshots {
        let day = snapshot.time.to_string();
        let day = day.get(..10).unwrap_or(&day).to_owned();
        days.entry(day).or_default().push(snapshot);
    }
    let mut table = DataTable::new([
        "day",
        "judgements",
        "passing",
        "regression_rate",
        "improvement_rate",
        "worst_change",
    ]);
    for (day, snapshots) in days {
        let sum = |count: fn(&Snapshot) -> u64| snapshots.iter().map(|snapshot| count(snapshot)).sum::<u64>();
        let judged = sum(|snapshot| snapshot.verdicts.judged()).max(1) as f64;
        let rate = |count: u64| Figure::Share(count as f64 / judged);
        let worst = snapshots.iter().filter_map(|snapshot| snapshot.worst.as_ref());
        let worst = worst.map(|(_, percent)| *percent).max_by(f64::total_cmp);
        table.push(vec![
            Figure::Text(day),
            Figure::Count(snapshots.len() as u64),
            Figure::Count(sum(|snapshot| u64::from(snapshot.passes()))),
            rate(sum(|snapshot| snapshot.verdicts.regressions)),
            rate(sum(|snapshot| snapshot.verdicts.improvements)),
            worst.map_or(Figure::Nothing, |percent| Figure::Share(percent / 100.0)),
        ]);
    }
    table
}

fn dashboard(
    app: &App<'_>,
    snapshots: &[Snapshot],
    alerts: &[String],
    is_watched: bool,
) -> Result<ExitStatus, Failure> {
    let newest: Vec<Snapshot> = newest_of_each(snapshots).into_iter().cloned().collect();
    let (newest, days) = (each_snapshot(&newest), each_day(snapshots));
    match app.format {
        Format::Json => app.printer.print_json(&json!({
            "judgements": snapshots.len(),
            "pass_rate": pass_rate(snapshots),
            "newest": newest.to_json_objects(),
            "days": days.to_json_objects(),
            "alerts": alerts,
        }))?,
        Format::Human if snapshots.is_empty() => app.printer.print_note(
            "nothing was judged yet: `benchgate check`, `ab` and `compare` each leave a snapshot",
        ),
        Format::Human => {
            let judged: u64 = snapshots.iter().map(|snapshot| snapshot.verdicts.judged()).sum();
            app.printer.print_line(format_args!(
                "{HEADING}Totals{HEADING:#}\n {}, {} of benchmarks, {:.2} % with nothing slower\n\n\
                 {HEADING}Newest{HEADING:#}",
                format_count(snapshots.len() as u64, "judgement"),
                format_number(judged),
                pass_rate(snapshots).unwrap_or(1.0) * 100.0
            ))?;
            app.printer.print_line(newest.render_text(app.printer.width()))?;
            app.printer
                .print_line(format_args!("\n{HEADING}Days{HEADING:#}"))?;
            app.printer.print_line(days.render_text(app.printer.width()))?;
            let changes = snapshots.iter().filter_map(|snapshot| snapshot.median_change);
            let changes: Vec<f64> = changes.collect();
            app.printer
                .print_line(format_args!("\nmiddle change {}", render_sparkline(&changes)))?;
            for alert in alerts {
                app.printer
                    .print_line(format_args!("{BAD}alert{BAD:#}: {alert}"))?;
            }
            if alerts.is_empty() && is_watched {
                app.printer.print_line(format_args!("{GOOD}no alert{GOOD:#}"))?;
            }
        }
        _ => {
            return Err(Failure::new("metrics are shown for people or as JSON")
                .hint("`benchgate metrics export --table csv` writes CSV, `metrics prometheus` the format of Prometheus"));
        }
    }
    Ok(ExitStatus::from_found(!alerts.is_empty()))
}

/// A figure of a snapshot; none where nothing was compared.
type Measured = fn(&Snapshot) -> Option<f64>;

/// What the newest judgement of each kind and environment came to.
fn exposition(snapshots: &[Snapshot]) -> String {
    let newest = newest_of_each(snapshots);
    let gauges: [(&str, &str, Measured); 10] = [
        (
            "benchgate_benchmarks",
            "Benchmarks of the newest judgement.",
            |snapshot| Some(snapshot.verdicts.all() as f64),
        ),
        (
            "benchgate_regressions",
            "Benchmarks of the newest judgement that are slower.",
            |snapshot| Some(snapshot.verdicts.regressions as f64),
        ),
        (
            "benchgate_suspected",
            "Benchmarks of the newest judgement that another run would decide.",
            |snapshot| Some(snapshot.verdicts.suspected as f64),
        ),
        (
            "benchgate_improvements",
            "Benchmarks of the newest judgement that are faster.",
            |snapshot| Some(snapshot.verdicts.improvements as f64),
        ),
        (
            "benchgate_unchanged",
            "Benchmarks of the newest judgement that did not change.",
            |snapshot| Some(snapshot.verdicts.unchanged as f64),
        ),
        (
            "benchgate_not_judged",
            "Benchmarks of the newest judgement with too few values or of another environment.",
            |snapshot| Some(snapshot.verdicts.not_judged as f64),
        ),
        (
            "benchgate_passes",
            "1 when nothing of the newest judgement is slower, certain or suspected, else 0.",
            |snapshot| Some(f64::from(u8::from(snapshot.passes()))),
        ),
        (
            "benchgate_worst_change_ratio",
            "Largest change of cost in the newest judgement: 0.05 is five percent more.",
            |snapshot| snapshot.worst.as_ref().map(|(_, percent)| percent / 100.0),
        ),
        (
            "benchgate_median_change_ratio",
            "Middle change of cost over the benchmarks of the newest judgement: 0.05 is five percent more.",
            |snapshot| snapshot.median_change.map(|percent| percent / 100.0),
        ),
        (
            "benchgate_judgement_time_seconds",
            "When the newest judgement was made, in seconds since the Unix epoch.",
            |snapshot| Some(snapshot.time.as_millisecond() as f64 / 1000.0),
        ),
    ];
    let mut text = Exposition::default();
    for (name, help, value) in gauges {
        let samples = newest.iter().filter_map(|snapshot| {
            let labels = vec![
                ("environment", snapshot.environment.as_str()),
                ("judgement", snapshot.title.as_str()),
            ];
            Some((labels, value(snapshot)?))
        });
        text.add_metric_family(name, help, MetricKind::Gauge, samples.collect::<Vec<_>>());
    }
    text.as_str().to_owned()
}
