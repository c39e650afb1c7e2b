//! Which runs were judged: a run that was may not become the baseline it was judged by, also not by a later call.
//!
//! The run file itself stays as it is; what is remembered stands in the state folder, a line a run.

use std::collections::VecDeque;

use cli_kit::Failure;
use regress_core::measurement::RunFile;

use crate::app::App;
use crate::files;

/// The file in the state folder.
const FILE: &str = "judged-runs.txt";
/// Runs that are remembered; the oldest are forgotten first.
const MAX_RUNS: usize = 10_000;

/// Remembers that a run was judged.
pub(crate) fn remember_judged_run(app: &App<'_>, run: &RunFile) -> Result<(), Failure> {
    let mut lines = read(app)?;
    let line = name_of(run);
    if lines.contains(&line) {
        return Ok(());
    }
    lines.push_back(line);
    while lines.len() > MAX_RUNS {
        lines.pop_front();
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    files::write_file(&app.state_file(FILE), &text)
}

/// The run, marked as judged if it is remembered to have been.
pub(crate) fn mark_if_judged(app: &App<'_>, run: RunFile) -> Result<RunFile, Failure> {
    if read(app)?.contains(&name_of(&run)) {
        return Ok(run.into_candidate().into_run_file());
    }
    Ok(run)
}

fn name_of(run: &RunFile) -> String {
    format!("{:016x}", run.fingerprint())
}

fn read(app: &App<'_>) -> Result<VecDeque<String>, Failure> {
    let bytes = files::read_if_there(&app.state_file(FILE))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::to_owned).collect())
}
