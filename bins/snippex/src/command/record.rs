//! `snippex record`: how a reference ends the blocks of a program, in a file.

use cli_kit::{ExitStatus, Failure};
use snippex_session::{BinaryFile, Generated, RecordedAs};

use crate::app::App;
use crate::args::RecordArgs;
use crate::hints::OrUserError;
use crate::recording::{StartStates, record_to_file};
use crate::{choosing, generating};

pub(crate) fn run(app: &App<'_>, args: &RecordArgs) -> Result<ExitStatus, Failure> {
    let reference = app
        .engine_names()
        .choose_engine(&app.settings.value.reference)
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
    let starts = StartStates {
        seed: args.seed,
        states: args.states,
        threads: args.threads,
    };
    let cancel = app.cancel_token()?;
    let report = record_to_file(app, what, &reference, starts, &args.recording, &cancel)?;
    app.print_answer(&report, || app.printer.print_line(report.to_line()))?;
    Ok(match report.complete {
        true => ExitStatus::NothingFound,
        false => ExitStatus::Interrupted,
    })
}
