//! `benchgate history`: runs in an append-only file.

use cli_kit::{ExitStatus, Failure, Table};

use crate::app::App;
use crate::args::{Format, HistoryArgs, HistoryCommand};
use crate::show::counted;
use crate::{files, history, machine};

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &HistoryArgs) -> Result<ExitStatus, Failure> {
    match &args.command {
        None | Some(HistoryCommand::List) => list(app),
        Some(HistoryCommand::Add { runs }) => {
            let files = if runs.is_empty() {
                vec![app.state("run.json")]
            } else {
                runs.clone()
            };
            let runs = files
                .iter()
                .map(|path| files::read_run(path))
                .collect::<Result<Vec<_>, _>>()?;
            let lines: Vec<history::HistoryLine> = runs.iter().map(history::HistoryLine::of).collect();
            history::append(&app.settings.history, &lines)?;
            app.printer.note(format_args!(
                "{} added to {}",
                counted(lines.len(), "run", "runs"),
                app.short(&app.settings.history)
            ));
            Ok(())
        }
    }?;
    Ok(ExitStatus::NothingFound)
}

fn list(app: &App<'_>) -> Result<(), Failure> {
    let (lines, problems) = history::read(&app.settings.history)?;
    problems.iter().for_each(|problem| app.printer.warn(problem));
    if app.format == Format::Json {
        return app.printer.json(&lines);
    }
    let mut table = Table::new(["time", "commit", "benchmarks", "environment", ""]).right(2);
    for line in &lines {
        table.row([
            line.time.map_or_else(String::new, |time| time.to_string()),
            line.commit
                .as_ref()
                .map_or_else(String::new, |commit| commit.sha.short().to_owned()),
            line.series.len().to_string(),
            line.environment.short_hash(),
            machine::describe(&line.environment),
        ]);
    }
    if table.is_empty() {
        app.printer
            .note(format_args!("{} has no runs", app.short(&app.settings.history)));
        return Ok(());
    }
    app.printer.line(&table)
}
