//! `benchgate check`: a run against the baseline of its environment, or its history.

use cli_kit::{ExitStatus, Failure};
use regress_core::measurement::RunFile;

use crate::app::App;
use crate::args::CheckArgs;
use crate::baseline_file::{self, How};
use crate::judging::ComparisonMode;
use crate::measure::{self, Subject};
use crate::{files, judged_runs, judging, show};

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &CheckArgs) -> Result<ExitStatus, Failure> {
    let measures = args.run.is_none() && !app.settings.command.is_empty();
    let file = args
        .run
        .as_ref()
        .map_or_else(|| app.state_file("run.json"), |path| app.here.join(path));
    if measures && !args.update_baselines {
        // Before hours of measuring are in vain.
        judging::refuse_without_baseline(app)?;
    }
    let run = if measures {
        measure::measure_here(app, file.clone())?
    } else {
        files::read_run(&file)?
    };
    if args.update_baselines {
        app.printer
            .print_note("UPDATE_BASELINES is set: the run is recorded and not judged");
        baseline_file::record_run(app, run, &How::Record)?;
        return Ok(ExitStatus::NothingFound);
    }
    if run.processes.is_empty() {
        return Err(
            Failure::new(format!("{} has no finished process", app.display_path(&file)))
                .hint("measure again: benchgate run"),
        );
    }
    let candidate = run.into_candidate();
    // From here on the run may not become the baseline, also not by another call.
    if let Err(failure) = judged_runs::remember_judged_run(app, candidate.run_file()) {
        app.printer
            .print_warning(format_args!("the run cannot be remembered as judged: {failure}"));
    }
    let comparison =
        judging::compare_with_baseline(app, candidate.run_file(), args.judge.across_environments)?;
    let judged = comparison.judge_benchmarks(app)?;
    let count = judged.suspects.len();
    // Against a history a single run proves nothing: what was measured here is measured once more.
    let confirm = match &app.settings.confirm {
        Some(command) => Some(["sh", "-c", command].map(str::to_owned).to_vec()),
        None if measures && comparison.mode == ComparisonMode::History => Some(app.settings.command.clone()),
        None => None,
    };
    let report = match confirm.filter(|_| count > 0) {
        Some(command) => {
            let (what, are) = if count == 1 {
                ("benchmark looks", "is")
            } else {
                ("benchmarks look", "are")
            };
            app.printer
                .print_note(format_args!("{count} {what} slower and {are} measured again"));
            let again = measure_again(app, command, candidate.run_file())?;
            judging::confirm_suspects(app, comparison, judged, &again)?
        }
        None => judged.report,
    };
    show::save_and_print_report(app, &report)?;
    Ok(show::exit_status(&report, args.judge.exit_zero))
}

/// As many processes as the first run had, by the confirming command.
fn measure_again(app: &App<'_>, command: Vec<String>, first: &RunFile) -> Result<RunFile, Failure> {
    let mut run = RunFile::new(app.detect_environment()?);
    run.commit.clone_from(&first.commit);
    run.time = Some(measure::current_time());
    run.command = command;
    let mut subject = Subject {
        name: "confirming run",
        command: run.command.clone(),
        directory: app.here.clone(),
        target: None,
        file: app.state_file("confirm.json"),
        run,
    };
    let runs = u32::try_from(first.processes.len()).unwrap_or(u32::MAX);
    measure::measure_runs(app, &mut subject, runs)?;
    let again = subject.run.into_candidate();
    files::write_file(&subject.file, again.run_file().to_json())?;
    Ok(again.into_run_file())
}
