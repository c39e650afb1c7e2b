//! `benchgate history`: runs in an append-only file.

use cli_kit::{ExitStatus, Failure, Table};

use crate::app::App;
use crate::args::{Format, HistoryArgs, HistoryCommand};
use crate::show::format_counted_noun;
use crate::{files, history, machine};

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &HistoryArgs) -> Result<ExitStatus, Failure> {
    match &args.command {
        None | Some(HistoryCommand::List) => list(app),
        Some(HistoryCommand::Add { runs }) => {
            let files = if runs.is_empty() {
                vec![app.state_file("run.json")]
            } else {
                runs.clone()
            };
            let runs = files
                .iter()
                .map(|path| files::read_run(path))
                .collect::<Result<Vec<_>, _>>()?;
            let lines: Vec<history::HistoryLine> = runs.iter().map(history::HistoryLine::from_run).collect();
            let added = history::append_history(&app.settings.history, &lines)?;
            let known = match lines.len() - added {
                0 => String::new(),
                known => format!(", {known} there already"),
            };
            app.printer.print_note(format_args!(
                "{} added to {}{known}",
                format_counted_noun(added, "run", "runs"),
                app.display_path(&app.settings.history)
            ));
            Ok(())
        }
    }?;
    Ok(ExitStatus::NothingFound)
}

fn list(app: &App<'_>) -> Result<(), Failure> {
    let (lines, problems) = history::read_history(&app.settings.history)?;
    problems
        .iter()
        .for_each(|problem| app.printer.print_warning(problem));
    if app.format == Format::Json {
        return app.printer.print_json(&lines);
    }
    let mut table = Table::new(["time", "commit", "benchmarks", "environment", ""]).align_right(2);
    for line in &lines {
        table.add_row([
            line.time.map_or_else(String::new, |time| time.to_string()),
            line.commit
                .as_ref()
                .map_or_else(String::new, |commit| commit.sha.short_hash().to_owned()),
            line.series.len().to_string(),
            line.environment.short_hash(),
            machine::describe_environment(&line.environment),
        ]);
    }
    if table.is_empty() {
        app.printer.print_note(format_args!(
            "{} has no runs",
            app.display_path(&app.settings.history)
        ));
        return Ok(());
    }
    app.printer.print_line(&table)
}
