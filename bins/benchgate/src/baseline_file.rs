//! Changing the baseline file: what `record`, `baseline accept` and UPDATE_BASELINES share.

use std::path::Path;

use cli_kit::{Failure, OrFail};
use regress_core::baseline::{BaselineRecording, Baselines, Justification, RecordedBaseline};
use regress_core::measurement::{RunFile, SeriesKey};

use crate::app::App;
use crate::{files, history, judged_runs, measure};

/// How a run enters the baseline.
pub(crate) enum How<'a> {
    /// Within the epochs that are.
    Record,
    /// As a new epoch of the benchmarks picked, for a reason.
    Accept(&'a Justification, &'a dyn Fn(&SeriesKey) -> bool),
}

/// The run to record: from a file, or measured now.
pub(crate) fn run_to_record(app: &App<'_>, file: Option<&Path>) -> Result<RunFile, Failure> {
    match file {
        Some(path) => files::read_run(path),
        None => measure::measure_here(app, app.state_file("run.json")),
    }
}

/// Takes a run into the baseline file and the history, and tells what changed.
pub(crate) fn record_run(app: &App<'_>, run: RunFile, how: &How<'_>) -> Result<RecordedBaseline, Failure> {
    if run.processes.is_empty() {
        return Err(Failure::new("the run has no finished process").hint("measure again"));
    }
    let path = &app.settings.baseline;
    let recording = judged_runs::mark_if_judged(app, run)?
        .into_recording()
        .map_err(|error| Failure::with_cause("cannot record the run", &error))?;
    // Read, change and write are one step: another process that records waits.
    let _lock = files::lock_file(path)?;
    let (mut baselines, problems) = files::read_baselines(path)?;
    if !problems.is_empty() {
        // To write the file would remove what could not be read.
        return Err(Failure::new(format!(
            "cannot update {}: {}",
            app.display_path(path),
            problems.join("; ")
        ))
        .hint("mend or remove those entries first"));
    }
    let recorded = change(&mut baselines, &recording, how);
    // The history first: a run that stands in it twice is one, so that this can be tried again when the baseline cannot be
    // written; the other way round a failure would leave a baseline behind.
    let line = history::HistoryLine::from_run(recording.run_file());
    history::append_history(&app.settings.history, &[line])?;
    files::write_file(path, baselines.to_json())?;
    for problem in &recorded.problems {
        app.printer.print_warning(problem);
    }
    for replaced in &recorded.replaced {
        app.printer.print_note(format_args!(
            "{}: {} -> {}",
            replaced.key, replaced.before, replaced.after
        ));
    }
    app.printer.print_note(format_args!(
        "{}: {} added, {} replaced, {} left as they were",
        app.display_path(path),
        recorded.added.len(),
        recorded.replaced.len(),
        recorded.untouched.len()
    ));
    Ok(recorded)
}

fn change(baselines: &mut Baselines, recording: &BaselineRecording, how: &How<'_>) -> RecordedBaseline {
    match how {
        How::Record => baselines.record_values(recording),
        How::Accept(reason, picked) => baselines.accept_series(recording, picked, reason),
    }
}

/// Why a run of a dirty work tree is not recorded.
pub(crate) fn refuse_dirty_tree() -> Failure {
    Failure::new("the work tree has changes that are in no commit, so nobody could measure this again")
        .hint("commit or stash them and measure again, or give --allow-dirty")
}

/// Reads a justification as typed.
pub(crate) fn read_justification(text: &str) -> Result<Justification, Failure> {
    Justification::new(text).or_fail("cannot take --reason")
}
