//! `benchgate import`: results that other tools wrote become a run.

use std::path::{Path, PathBuf};

use cli_kit::{ExitStatus, Failure};
use regress_core::ingest::{IngestOptions, ResultSource, ingest_results};
use regress_core::measurement::{ProcessRun, RunFile};

use super::run::{print_run, run_file};
use crate::app::App;
use crate::args::ImportArgs;
use crate::benchmark_names::refuse_unknown_directions;
use crate::show::format_counted_noun;
use crate::{files, measure, settings};

/// Runs the command. A file that cannot be read does not keep the others out.
pub(crate) fn run(app: &App<'_>, args: &ImportArgs) -> Result<ExitStatus, Failure> {
    let ImportedRun { run, mut unusable } =
        import_result_files(app, &args.files, args.tool.as_deref(), &args.tag)?;
    let file = run_file(app, args.run_file.as_ref());
    if !run.processes.is_empty() {
        files::write_file(&file, run.to_json())?;
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

/// What result files hold together.
#[derive(Debug)]
pub(super) struct ImportedRun {
    pub(super) run: RunFile,
    /// Why each of the other files could not be used.
    pub(super) unusable: Vec<String>,
}

/// Reads result files as a run of this environment and commit, and warns of those that cannot be used.
pub(super) fn import_result_files(
    app: &App<'_>,
    paths: &[PathBuf],
    tool: Option<&str>,
    tags: &[String],
) -> Result<ImportedRun, Failure> {
    let mut options = app.settings.ingest_options()?;
    if let Some(tool) = tool {
        options.tool = Some(
            tool.parse()
                .map_err(|error| Failure::with_cause("cannot use --tool", &error))?,
        );
    }
    let mut environment = app.detect_environment()?;
    environment.tags.extend(settings::parse_tags(tags)?);
    let mut run = RunFile::new(environment);
    run.commit = measure::current_commit(app)?;
    run.time = Some(measure::current_time());
    let progress = app.printer.start_progress("importing", Some(paths.len() as u64));
    let mut unusable = Vec::new();
    for path in paths {
        match import_result_file(path, &options) {
            Ok(processes) => run.processes.extend(processes),
            Err(why) => unusable.push(why),
        }
        progress.advance(1);
    }
    drop(progress);
    for why in &unusable {
        app.printer.print_warning(why);
    }
    if unusable.is_empty() {
        refuse_unknown_directions(app, run.processes.iter())?;
    }
    Ok(ImportedRun { run, unusable })
}

/// The process runs of one file, or why there are none.
fn import_result_file(path: &Path, options: &IngestOptions) -> Result<Vec<ProcessRun>, String> {
    let name = path.display().to_string();
    let bytes = files::read_result_file(path).map_err(|failure| failure.to_string())?;
    let source = ResultSource {
        path: &name,
        bytes: &bytes,
    };
    let read = ingest_results(&[source], options);
    if read.is_empty() {
        return Err(read
            .problems()
            .next()
            .map_or_else(|| format!("{name}: holds nothing"), ToString::to_string));
    }
    Ok(read.processes)
}
