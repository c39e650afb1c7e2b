//! `benchgate import`: results that other tools wrote become a run.

use cli_kit::{ExitStatus, Failure};
use regress_core::ingest::{ResultSource, ingest_results};
use regress_core::measurement::RunFile;

use super::run::{print_run, run_file};
use crate::app::App;
use crate::args::ImportArgs;
use crate::show::format_counted_noun;
use crate::{files, measure, settings};

/// Runs the command. A file that cannot be read does not keep the others out.
pub(crate) fn run(app: &App<'_>, args: &ImportArgs) -> Result<ExitStatus, Failure> {
    let mut options = app.settings.ingest_options()?;
    if let Some(tool) = &args.tool {
        options.tool = Some(
            tool.parse()
                .map_err(|error| Failure::with_cause("cannot use --tool", &error))?,
        );
    }
    let mut environment = app.detect_environment()?;
    environment.tags.extend(settings::parse_tags(&args.tag)?);
    let mut run = RunFile::new(environment);
    run.commit = measure::current_commit(app)?;
    run.time = Some(measure::current_time());
    let progress = app
        .printer
        .start_progress("importing", Some(args.files.len() as u64));
    let mut unusable = Vec::new();
    for path in &args.files {
        let name = path.display().to_string();
        match files::read_result_file(path) {
            Ok(bytes) => {
                let read = ingest_results(
                    &[ResultSource {
                        path: &name,
                        bytes: &bytes,
                    }],
                    &options,
                );
                if read.is_empty() {
                    let why = read
                        .problems()
                        .next()
                        .map_or_else(|| format!("{name}: holds nothing"), ToString::to_string);
                    unusable.push(why);
                } else {
                    run.processes.extend(read.processes);
                }
            }
            Err(failure) => unusable.push(failure.to_string()),
        }
        progress.advance(1);
    }
    drop(progress);
    for why in &unusable {
        app.printer.print_warning(why);
    }
    let file = run_file(app, args.run_file.as_ref());
    if !run.processes.is_empty() {
        files::write_file(&file, &run.to_json())?;
        measure::warn_of_problems(app, &run);
        print_run(app, &run)?;
        app.printer.print_note(format_args!(
            "{} in {}",
            format_counted_noun(run.processes.len(), "process is", "processes are"),
            app.display_path(&file)
        ));
    }
    if unusable.is_empty() {
        return Ok(ExitStatus::NothingFound);
    }
    let (bad, all) = (unusable.len(), args.files.len());
    let first = unusable.swap_remove(0);
    Err(
        Failure::new(format!("{bad} of {all} files could not be used: {first}"))
            .hint("if you know the tool, name it with --tool"),
    )
}
