//! `snippex export`: what snippex knows, for other programs.

use std::sync::Arc;

use cli_kit::{ExitStatus, Failure};
use snippex_session::{Vectors, open_recording};

use crate::app::App;
use crate::args::{ExportCommand, VectorsArgs};
use crate::hints::OrUserError;

pub(crate) fn run(app: &App<'_>, command: &ExportCommand) -> Result<ExitStatus, Failure> {
    match command {
        ExportCommand::Vectors(args) => vectors(app, args),
    }
}

fn vectors(app: &App<'_>, args: &VectorsArgs) -> Result<ExitStatus, Failure> {
    let recording = Arc::new(open_recording(&args.recording).or_user_error()?);
    let vectors = Vectors::new(&recording);
    app.printer.json_line(&vectors.header())?;
    let mut failure = None;
    let limit = args.count.unwrap_or(usize::MAX);
    vectors
        .each_block(limit, &mut |block| match app.printer.json_line(&block) {
            Ok(()) => !app.printer.reader_is_gone(),
            Err(error) => {
                failure = Some(error);
                false
            }
        })
        .or_user_error()?;
    failure.map_or(Ok(ExitStatus::NothingFound), Err)
}
