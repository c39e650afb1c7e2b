//! `benchgate run`: N processes, one after the other, into a run file.

use std::path::PathBuf;

use cli_kit::{ExitStatus, Failure, Table};
use regress_core::measurement::RunFile;
use regress_core::stats;

use crate::app::App;
use crate::args::{Format, RunArgs};
use crate::measure::{self, Subject};
use crate::show::format_counted_noun;
use crate::{files, judged_runs};

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &RunArgs) -> Result<ExitStatus, Failure> {
    let file = run_file(app, args.run_file.as_ref());
    let mut subject = if args.resume {
        resume(app, file)?
    } else {
        Subject::from_work_tree(app, file)?
    };
    measure::measure_runs(app, &mut subject, app.settings.runs)?;
    measure::warn_of_problems(app, &subject.run);
    print_run(app, &subject.run)?;
    app.printer.print_note(format_args!(
        "{} in {}",
        format_counted_noun(subject.run.processes.len(), "run is", "runs are"),
        app.display_path(&subject.file)
    ));
    Ok(ExitStatus::NothingFound)
}

/// The file to save a run in.
pub(crate) fn run_file(app: &App<'_>, given: Option<&PathBuf>) -> PathBuf {
    given.map_or_else(|| app.state_file("run.json"), |path| app.here.join(path))
}

/// The run in the file, if it is of the same thing.
fn resume(app: &App<'_>, file: PathBuf) -> Result<Subject, Failure> {
    if !file.exists() {
        return Subject::from_work_tree(app, file);
    }
    let old = judged_runs::mark_if_judged(app, files::read_run(&file)?)?;
    let command = if app.settings.command.is_empty() {
        old.command.clone()
    } else {
        app.settings.command.clone()
    };
    let commit = measure::current_commit(app)?;
    let same =
        old.command == command && old.environment.is_like(&app.detect_environment()?) && old.commit == commit;
    if !same || old.is_judged() {
        return Err(Failure::new(format!(
            "cannot go on with {}: it is of another commit, command or environment, or was judged",
            app.display_path(&file)
        ))
        .hint("measure from the start: leave out --resume"));
    }
    Ok(Subject {
        name: "run",
        command,
        directory: app.here.clone(),
        target: None,
        file,
        run: old,
    })
}

/// What was measured.
pub(crate) fn print_run(app: &App<'_>, run: &RunFile) -> Result<(), Failure> {
    if app.format == Format::Json {
        return app.printer.print_line(run.to_json());
    }
    let mut table = Table::new(["benchmark", "median", "lowest", "highest", "runs"])
        .align_right(1)
        .align_right(2)
        .align_right(3)
        .align_right(4);
    table = table.fit(app.printer.width());
    for (key, replicates) in run.collect_replicates().0 {
        let values = &replicates.values;
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let human = |value: f64| replicates.unit.format_value(value);
        let median = stats::median(values).map_or_else(String::new, human);
        table.add_row([
            key.to_string(),
            median,
            human(low),
            human(high),
            values.len().to_string(),
        ]);
    }
    app.printer.print_line(&table)
}
