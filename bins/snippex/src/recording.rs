//! Recording as the command line does it: `record`, and `check --record`.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use cli_kit::{CancelToken, Failure, Progress, units};
use serde::Serialize;
use snippex_exec::recording::Recording;
use snippex_report::{format_count, format_number};
use snippex_session::{EngineChoice, RecordOptions, RecordProgress, RecordedAs, record_blocks};

use crate::app::App;
use crate::hints::OrUserError;

/// What decides the bytes of a recording, apart from blocks and engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartStates {
    /// Decides start states, memory and every random choice.
    pub(crate) seed: u64,
    /// Start states for each block; those of the settings without it.
    pub(crate) states: Option<u32>,
    /// Threads; those of the settings without it.
    pub(crate) threads: Option<u32>,
}

/// What became of a recording, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct RecordReport {
    recording: String,
    id: String,
    bytes: u64,
    blocks: u64,
    runs: u64,
    /// Whether nobody stopped it.
    pub(crate) complete: bool,
}

/// Writes how `reference` ends the blocks to the file at `path`, and shows how it goes on.
pub(crate) fn record_to_file(
    app: &App<'_>,
    what: RecordedAs<'_>,
    reference: &EngineChoice,
    starts: StartStates,
    path: &Path,
    cancel: &CancelToken,
) -> Result<RecordReport, Failure> {
    let settings = &app.settings.value;
    let progress: Mutex<Option<Progress<'_>>> = Mutex::new(None);
    let show = |event: RecordProgress| {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        match (event, &mut *progress) {
            (RecordProgress::Done(runs), Some(progress)) => progress.advance(runs),
            (RecordProgress::Expected(runs), progress) => {
                *progress = Some(app.printer.start_progress("recording", Some(runs)));
            }
            (RecordProgress::Done(_), None) => {}
        }
    };
    let options = RecordOptions {
        seed: starts.seed,
        states: starts.states.unwrap_or(settings.states),
        threads: starts.threads.unwrap_or(settings.threads),
        progress: &show,
        stop: &cancel.flag(),
    };
    let replaced = Recording::is_at(path);
    let recorded = record_blocks(what, reference, &options, path).or_user_error()?;
    drop(progress);
    if replaced {
        app.printer.print_note(format_args!(
            "the recording that was {} is replaced",
            path.display()
        ));
    }
    let report = RecordReport {
        recording: path.display().to_string(),
        id: recorded.id.to_string(),
        bytes: recorded.bytes,
        blocks: recorded.blocks,
        runs: recorded.runs,
        complete: !cancel.is_cancelled(),
    };
    if !report.complete {
        app.printer.print_warning(format_args!(
            "stopped: the recording has {} blocks only",
            format_number(report.blocks)
        ));
    }
    Ok(report)
}

impl RecordReport {
    /// On one line.
    pub(crate) fn to_line(&self) -> String {
        format!(
            "{}: {} of {} in {}, recording {}",
            self.recording,
            format_count(self.runs, "run"),
            format_count(self.blocks, "block"),
            units::format_bytes(self.bytes),
            &self.id[..12]
        )
    }
}
