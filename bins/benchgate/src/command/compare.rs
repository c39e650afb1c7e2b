//! `benchgate compare`: two run files, or result files of other tools.

use std::path::Path;

use cli_kit::{ExitStatus, Failure, OrFail};
use regress_core::ingest::{ResultSource, ingest_results};
use regress_core::measurement::{RunFile, RunFileError};

use crate::app::App;
use crate::args::CompareArgs;
use crate::judging::{Comparison, side_from_run};
use crate::{files, show};

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &CompareArgs) -> Result<ExitStatus, Failure> {
    let base = read(app, &args.base)?;
    let head = read(app, &args.head)?;
    let (base_label, head_label) = (args.base.display().to_string(), args.head.display().to_string());
    let mut comparison = Comparison::with_head("comparison of two runs", &head, &head_label);
    let (before, mixed) = base.collect_replicates();
    comparison.before = before;
    comparison.base = side_from_run(&base_label, &base);
    comparison
        .problems
        .extend(base.problems().chain(&mixed).map(ToString::to_string));
    let differences = base.environment.differing_parts(&head.environment);
    if !differences.is_empty() {
        comparison.comparable = args.judge.across_environments;
        let parts: Vec<String> = differences.iter().map(ToString::to_string).collect();
        comparison.notes.push(format!(
            "the two come from different environments: {}",
            parts.join("; ")
        ));
        if !comparison.comparable {
            comparison
                .notes
                .push("--across-environments compares them all the same".to_owned());
        }
    }
    let report = comparison.judge_benchmarks(app)?.report;
    show::save_and_print_report(app, &report)?;
    Ok(show::exit_status(&report, args.judge.exit_zero))
}

/// A run file, or the results of another tool taken as measured here.
fn read(app: &App<'_>, path: &Path) -> Result<RunFile, Failure> {
    let bytes = files::read_own(path)?;
    match RunFile::from_json(&bytes) {
        Ok(run) => Ok(run),
        Err(error @ RunFileError::Newer { .. }) => {
            Err(error).or_fail_with(|| format!("cannot use {}", path.display()))
        }
        Err(RunFileError::Malformed(_)) => {
            let name = path.display().to_string();
            let read = ingest_results(
                &[ResultSource {
                    path: &name,
                    bytes: &bytes,
                }],
                &app.settings.ingest_options()?,
            );
            if read.is_empty() {
                let why = read
                    .problems()
                    .next()
                    .map_or_else(String::new, ToString::to_string);
                return Err(Failure::new(format!("cannot use {name}: {why}"))
                    .hint("give run files of `benchgate run`, or results of a tool benchgate knows"));
            }
            let mut run = RunFile::new(app.detect_environment()?);
            run.processes = read.processes;
            Ok(run)
        }
    }
}
