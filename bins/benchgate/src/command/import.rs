//! `benchgate import`: results that other tools wrote become a run.

use cli_kit::{ExitStatus, Failure};
use regress_core::ingest::{ResultSource, ingest};
use regress_core::measurement::RunFile;

use super::run::{run_file, show};
use crate::app::App;
use crate::args::ImportArgs;
use crate::show::counted;
use crate::{files, measure, settings};

/// Runs the command. A file that cannot be read does not keep the others out.
pub(crate) fn run(app: &App<'_>, args: &ImportArgs) -> Result<ExitStatus, Failure> {
    let mut options = app.settings.ingest_options()?;
    if let Some(tool) = &args.tool {
        options.tool = Some(
            tool.parse()
                .map_err(|error| Failure::because("cannot use --tool", &error))?,
        );
    }
    let mut environment = app.environment()?;
    environment.tags.extend(settings::tags(&args.tag)?);
    let mut run = RunFile::new(environment);
    run.commit = measure::current_commit(app)?;
    run.time = Some(measure::now());
    let progress = app.printer.progress("importing", Some(args.files.len() as u64));
    let mut unusable = Vec::new();
    for path in &args.files {
        let name = path.display().to_string();
        match files::read(path) {
            Ok(bytes) => {
                let read = ingest(
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
        app.printer.warn(why);
    }
    let file = run_file(app, args.run_file.as_ref());
    if !run.processes.is_empty() {
        files::write(&file, &run.to_json())?;
        measure::warn_of_problems(app, &run);
        show(app, &run)?;
        app.printer.note(format_args!(
            "{} in {}",
            counted(run.processes.len(), "process is", "processes are"),
            app.short(&file)
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
