//! `benchgate baseline`: look at baselines and change them.

use cli_kit::{ExitStatus, Failure, Table};
use jiff::Timestamp;
use regress_core::baseline::{EnvironmentBaseline, Lookup};
use regress_core::environment::Environment;
use regress_core::measurement::SeriesKey;
use serde::Serialize;

use crate::app::App;
use crate::args::{AcceptArgs, BaselineCommand, Format, PruneArgs, ShowArgs};
use crate::baseline_file::{self, How};
use crate::benchmark_names::refuse_unknown;
use crate::outputs::compile_globs;
use crate::{files, machine};

/// Runs the command.
pub(crate) fn run(app: &App<'_>, command: &BaselineCommand) -> Result<ExitStatus, Failure> {
    match command {
        BaselineCommand::List => list(app),
        BaselineCommand::Show(args) => show(app, args),
        BaselineCommand::Prune(args) => prune(app, args),
        BaselineCommand::Accept(args) => accept(app, args),
    }?;
    Ok(ExitStatus::NothingFound)
}

fn list(app: &App<'_>) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct ListedBaseline<'a> {
        hash: String,
        environment: &'a Environment,
        benchmarks: usize,
    }
    let (baselines, problems) = files::read_baselines(&app.settings.baseline)?;
    problems
        .iter()
        .for_each(|problem| app.printer.print_warning(problem));
    if app.format == Format::Json {
        let listed = baselines.environments().map(|one| ListedBaseline {
            hash: one.environment.short_hash(),
            environment: &one.environment,
            benchmarks: one.entries.len(),
        });
        return app.printer.print_json(&listed.collect::<Vec<_>>());
    }
    let here = app.detect_environment()?;
    let mut table = Table::new(["environment", "", "benchmarks", "what"]).align_right(2);
    for one in baselines.environments() {
        let mark = if one.environment.is_like(&here) {
            "here"
        } else {
            ""
        };
        let count = one.entries.len().to_string();
        table.add_row([
            one.environment.short_hash(),
            mark.to_owned(),
            count,
            machine::describe_environment(&one.environment),
        ]);
    }
    if table.is_empty() {
        app.printer.print_note(format_args!(
            "{} has no baselines",
            app.display_path(&app.settings.baseline)
        ));
        return Ok(());
    }
    app.printer.print_line(&table)
}

fn show(app: &App<'_>, args: &ShowArgs) -> Result<(), Failure> {
    let (baselines, problems) = files::read_baselines(&app.settings.baseline)?;
    problems
        .iter()
        .for_each(|problem| app.printer.print_warning(problem));
    let here = app.detect_environment()?;
    let found: Option<&EnvironmentBaseline> = match &args.environment {
        Some(start) => baselines
            .environments()
            .find(|one| one.environment.short_hash().starts_with(start.as_str())),
        None => match baselines.lookup_environment(&here) {
            Lookup::Same(one) => Some(one),
            _ => None,
        },
    };
    let Some(one) = found else {
        let which = args.environment.as_deref().unwrap_or("this environment");
        return Err(no_environment(app, which));
    };
    app.printer
        .print_note(machine::describe_environment(&one.environment));
    let names = [
        "benchmark",
        "median",
        "std dev",
        "runs",
        "epochs",
        "drift",
        "commit",
        "last reason",
    ];
    let mut table = Table::new(names)
        .align_right(1)
        .align_right(2)
        .align_right(3)
        .align_right(4)
        .align_right(5)
        .fit(app.printer.width());
    for (key, entry) in &one.entries {
        let summary = entry.summary();
        let drift = 100.0 * (entry.drift_ratio() - 1.0);
        table.add_row([
            key.to_string(),
            entry.unit.format_value(summary.median),
            summary
                .std_dev
                .map_or_else(String::new, |deviation| entry.unit.format_value(deviation)),
            entry.values.len().to_string(),
            entry.epochs.len().to_string(),
            if drift.is_finite() {
                format!("{drift:+.1} %")
            } else {
                String::new()
            },
            entry
                .commit
                .as_ref()
                .map_or_else(String::new, |commit| commit.sha.short_hash().to_owned()),
            entry
                .current_epoch()
                .justification
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
        ]);
    }
    app.printer.print_line(&table)
}

fn no_environment(app: &App<'_>, which: &str) -> Failure {
    let file = app.display_path(&app.settings.baseline);
    Failure::new(format!("{file} has no baselines of {which}"))
        .hint("`benchgate baseline list` lists those there are")
}

fn prune(app: &App<'_>, args: &PruneArgs) -> Result<(), Failure> {
    if args.benchmarks.is_empty() && args.environment.is_none() && args.older_than.is_none() {
        return Err(Failure::new("nothing says what to remove")
            .hint("name benchmarks as globs, --environment or --older-than"));
    }
    let path = &app.settings.baseline;
    let (mut baselines, problems) = files::read_baselines(path)?;
    problems
        .iter()
        .for_each(|problem| app.printer.print_warning(problem));
    let picked = compile_globs(&args.benchmarks)?;
    let names = baselines.environments().flat_map(|one| one.entries.keys());
    let names = names.map(|key| key.benchmark.as_str());
    refuse_unknown(&args.benchmarks, names, &app.display_path(path).to_string())?;
    if let Some(start) = &args.environment {
        let mut hashes = baselines.environments().map(|one| one.environment.short_hash());
        if !hashes.any(|hash| hash.starts_with(start.as_str())) {
            return Err(no_environment(app, start));
        }
    }
    let limit = args.older_than.map(|days| {
        let seconds = Timestamp::now().as_second() - i64::from(days) * 86_400;
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MIN)
    });
    let removed = baselines.prune_entries(|environment, key, entry| {
        let of = |start: &String| environment.short_hash().starts_with(start.as_str());
        let named = args.benchmarks.is_empty() || picked.is_match(key.benchmark.as_str());
        let old = limit.is_none_or(|limit| entry.time.is_some_and(|time| time < limit));
        !(named && old && args.environment.as_ref().is_none_or(of))
    });
    for (environment, key) in &removed {
        app.printer
            .print_line(format_args!("{} {key}", environment.short_hash()))?;
    }
    if args.dry_run {
        app.printer
            .print_note(format_args!("{} would be removed", removed.len()));
    } else if !removed.is_empty() {
        files::write_file(path, baselines.to_json())?;
        app.printer.print_note(format_args!("{} removed", removed.len()));
    }
    Ok(())
}

fn accept(app: &App<'_>, args: &AcceptArgs) -> Result<(), Failure> {
    let reason = baseline_file::read_justification(&args.reason)?;
    let globs = compile_globs(&args.benchmarks)?;
    let file = args.run_file.as_ref().map(|path| app.here.join(path));
    let run = baseline_file::run_to_record(app, file.as_deref())?;
    let picked = |key: &SeriesKey| args.benchmarks.is_empty() || globs.is_match(key.benchmark.as_str());
    let (series, _) = run.collect_replicates();
    let names = series.keys().map(|key| key.benchmark.as_str());
    refuse_unknown(&args.benchmarks, names, "the run")?;
    baseline_file::record_run(app, run, &How::Accept(&reason, &picked))?;
    Ok(())
}
