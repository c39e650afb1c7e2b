//! `snippex export`: what snippex knows, for other programs.

mod csv;

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use cli_kit::{ExitStatus, Failure};
use snippex_report::format_count;
use snippex_session::{Vectors, open_recording};
use snippex_store::StoreError;

use crate::app::App;
use crate::args::{ExportCommand, VectorsArgs};
use crate::hints::OrUserError;

/// Pieces of the answer that wait to be written.
const WAITING: usize = 64;

pub(crate) fn run(app: &App<'_>, command: &ExportCommand) -> Result<ExitStatus, Failure> {
    match command {
        ExportCommand::Json => bundle(app),
        ExportCommand::Csv(args) => csv::run(app, args),
        ExportCommand::Vectors(args) => vectors(app, args),
    }
}

fn bundle(app: &App<'_>) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let exported = stream(
        |pieces| {
            store.call_and_wait(async move |store| {
                store.export_bundle(|piece| pieces.send(piece).is_ok()).await
            })
        },
        |piece: String| {
            app.printer.print_text(piece)?;
            Ok(!app.printer.reader_is_gone())
        },
    )?;
    if exported.running > 0 {
        app.printer.print_warning(format_args!(
            "{} left out: under way, not over yet; export again when it has come to its end",
            format_count(exported.running, "run")
        ));
    }
    Ok(ExitStatus::NothingFound)
}

/// Reads the database on a thread of its own and takes what it gives here, where the answer is written, until that wants no
/// more (`false`).
fn stream<T: Send, R: Send>(
    read: impl FnOnce(SyncSender<T>) -> Result<R, StoreError> + Send,
    mut take: impl FnMut(T) -> Result<bool, Failure>,
) -> Result<R, Failure> {
    thread::scope(|scope| {
        let (sender, items) = sync_channel(WAITING);
        let reader = scope.spawn(move || read(sender));
        let mut taken = Ok(true);
        for item in &items {
            taken = take(item);
            if !matches!(taken, Ok(true)) {
                break;
            }
        }
        // Without a receiver the reader ends by itself.
        drop(items);
        let read = match reader.join() {
            Ok(read) => read.or_user_error(),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        taken.and(read)
    })
}

fn vectors(app: &App<'_>, args: &VectorsArgs) -> Result<ExitStatus, Failure> {
    let recording = Arc::new(open_recording(&args.recording).or_user_error()?);
    let vectors = Vectors::new(&recording);
    app.printer.print_json_line(&vectors.header())?;
    let mut failure = None;
    let limit = args.count.unwrap_or(usize::MAX);
    vectors
        .each_block(limit, &mut |block| match app.printer.print_json_line(&block) {
            Ok(()) => !app.printer.reader_is_gone(),
            Err(error) => {
                failure = Some(error);
                false
            }
        })
        .or_user_error()?;
    failure.map_or(Ok(ExitStatus::NothingFound), Err)
}
