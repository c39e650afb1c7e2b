//! `snippex record`: how a reference ends the blocks of a program, in a file.

use std::sync::Mutex;

use cli_kit::{ExitStatus, Failure, Progress, units};
use serde::Serialize;
use snippex_report::{format_count, format_number};
use snippex_session::{BinaryFile, Generated, RecordOptions, RecordProgress, RecordedAs, record_blocks};

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
    let reference = app
        .engine_names()
        .choose_engine(&settings.reference)
        .or_user_error()?;
    let choice = choosing::build_target_choice(&args.filter, &args.select, args.seed)?;
    let file = match &args.binary {
        Some(path) => Some(BinaryFile::read_file(path).or_user_error()?),
        None => None,
    };
    let what = match &file {
        Some(file) => RecordedAs::Program(file, &choice),
        None => RecordedAs::Generated(Generated::new(generating::build_generation_request(
            &args.generate,
            args.seed,
        )?)),
    };
    let cancel = app.cancel_token()?;
    let progress: Mutex<Option<Progress<'_>>> = Mutex::new(None);
    let show = |event: RecordProgress| {
        let mut progress = progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match (event, &mut *progress) {
            (RecordProgress::Done(runs), Some(progress)) => progress.advance(runs),
            (RecordProgress::Expected(runs), progress) => {
                *progress = Some(app.printer.start_progress("recording", Some(runs)));
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
    let recorded = record_blocks(what, &reference, &options, &args.recording).or_user_error()?;
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
        app.printer.print_line(format_args!(
            "{}: {} of {} in {}, recording {}",
            report.recording,
            format_count(report.runs, "run"),
            format_count(report.blocks, "block"),
            units::format_bytes(report.bytes),
            &report.id[..12]
        ))
    })?;
    if !report.complete {
        app.printer.print_warning(format_args!(
            "stopped: the recording has {} blocks only",
            format_number(report.blocks)
        ));
        return Ok(ExitStatus::Interrupted);
    }
    Ok(ExitStatus::NothingFound)
}
