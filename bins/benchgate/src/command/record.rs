//! `benchgate record`: a run becomes the baseline of its environment.

use cli_kit::{ExitStatus, Failure};

use crate::app::App;
use crate::args::RecordArgs;
use crate::baseline_file::{self, How};

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &RecordArgs) -> Result<ExitStatus, Failure> {
    // Before hours of measuring are in vain.
    if args.run.is_none() && !args.allow_dirty {
        let commit = crate::measure::current_commit(app)?;
        if commit.is_some_and(|commit| commit.dirty) {
            return Err(baseline_file::refuse_dirty_tree());
        }
    }
    let run = baseline_file::run_to_record(app, args.run.as_deref())?;
    if !args.allow_dirty && run.commit.as_ref().is_some_and(|commit| commit.dirty) {
        return Err(baseline_file::refuse_dirty_tree());
    }
    baseline_file::record_run(app, run, &How::Record)?;
    Ok(ExitStatus::NothingFound)
}
