//! `snippex record`: how a reference ends the blocks of a program, in a file.

use std::sync::Mutex;

use cli_kit::{ExitStatus, Failure, Progress, units};
use serde::Serialize;
use snippex_report::{grouped, several};
use snippex_session::{BinaryFile, Generated, RecordOptions, RecordProgress, RecordedAs, record};

use crate::app::App;
use crate::args::RecordArgs;
use crate::hints::OrUserError;
use crate::{choosing, generating};

/// The answer for programs.
#[derive(Debug, Serialize)]
struct RecordReport {
    recording: String,
    id: String,
    bytes: u64,
    blocks: u64,
    runs: u64,
    complete: bool,
}

pub(crate) fn run(app: &App<'_>, args: &RecordArgs) -> Result<ExitStatus, Failure> {
    let settings = &app.settings.value;
    let reference = app.names().choose(&settings.reference).or_user_error()?;
    let choice = choosing::choice(&args.filter, &args.select, args.seed)?;
    let file = match &args.binary {
        Some(path) => Some(BinaryFile::read(path).or_user_error()?),
        None => None,
    };
    let what = match &file {
        Some(file) => RecordedAs::Program(file, &choice),
        None => RecordedAs::Generated(Generated::new(generating::request(&args.generate, args.seed)?)),
    };
    let cancel = app.cancel_token()?;
    let progress: Mutex<Option<Progress<'_>>> = Mutex::new(None);
    let show = |event: RecordProgress| {
        let mut progress = progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match (event, &mut *progress) {
            (RecordProgress::Done(runs), Some(progress)) => progress.advance(runs),
            (RecordProgress::Expected(runs), progress) => {
                *progress = Some(app.printer.progress("recording", Some(runs)));
            }
            (RecordProgress::Done(_), None) => {}
        }
    };
    let options = RecordOptions {
        seed: args.seed,
        states: args.states.unwrap_or(settings.states),
        threads: args.threads.unwrap_or(settings.threads),
        progress: &show,
        stop: &cancel.flag(),
    };
    let recorded = record(what, &reference, &options, &args.recording).or_user_error()?;
    drop(progress);
    let report = RecordReport {
        recording: args.recording.display().to_string(),
        id: recorded.id.to_string(),
        bytes: recorded.bytes,
        blocks: recorded.blocks,
        runs: recorded.runs,
        complete: !cancel.is_cancelled(),
    };
    app.print_answer(&report, || {
        app.printer.line(format_args!(
            "{}: {} of {} in {}, recording {}",
            report.recording,
            several(report.runs, "run"),
            several(report.blocks, "block"),
            units::bytes(report.bytes),
            &report.id[..12]
        ))
    })?;
    if !report.complete {
        app.printer.warn(format_args!(
            "stopped: the recording has {} blocks only",
            grouped(report.blocks)
        ));
        return Ok(ExitStatus::Interrupted);
    }
    Ok(ExitStatus::NothingFound)
}
