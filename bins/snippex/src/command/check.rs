//! `snippex check`: the whole pipeline on programs.

use std::path::Path;

use cli_kit::{ExitStatus, Failure};
use snippex_report::format_count;
use snippex_session::{BinaryFile, CheckTarget, Generated, RecordedAs, read_programs};

use crate::app::App;
use crate::args::CheckArgs;
use crate::hints::OrUserError;
use crate::late_files::require_writable;
use crate::recording::{StartStates, record_to_file};
use crate::{checking, choosing, engine_table, generating};

pub(crate) fn run(app: &App<'_>, args: &CheckArgs) -> Result<ExitStatus, Failure> {
    if args.generate.has_any_option() && !args.generated {
        return Err(Failure::new(
            "--isa, --instruction, --per-form, --sequence and --no-sequences say what to generate",
        )
        .hint("add --generated, and name no binary"));
    }
    require_writable(args.run.exports.files())?;
    if let Some(path) = &args.record
        && !record(app, args, path)?
    {
        return Ok(ExitStatus::Interrupted);
    }
    if args.engine.emulator.len() > 1 {
        return engine_table::run(app, args);
    }
    if args.generated {
        return generated(app, args);
    }
    let choice = choosing::build_target_choice(&args.filter, &args.select, args.run.seed)?;
    let read = read_programs(&args.binaries).or_user_error()?;
    choosing::warn_of_left_out(app, &read);
    let incomplete = read.is_incomplete();
    let engines = checking::start_engines(app, &args.engine, &args.run)?;
    let database = app.open_store()?;
    let programs = read.programs.into_iter();
    let targets = programs.map(|program| CheckTarget::Program(program, &choice));
    let show_selection = args.select.selection_report;
    let status = checking::check_and_print(
        app,
        &database,
        "check",
        &engines,
        &args.run,
        targets,
        show_selection,
    )?;
    Ok(choosing::status_with_left_out(status, incomplete))
}

/// Keeps in a file what the reference does, before anything is compared; false when it was stopped meanwhile.
fn record(app: &App<'_>, args: &CheckArgs, path: &Path) -> Result<bool, Failure> {
    let reference = app
        .engine_names()
        .choose_engine(&app.settings.value.reference)
        .or_user_error()?;
    if reference.recording().is_some() {
        return Err(Failure::new("--record: the reference is a recording already")
            .hint("copy the file, or name an engine with --reference"));
    }
    let choice = choosing::build_target_choice(&args.filter, &args.select, args.run.seed)?;
    let file = match &args.binaries[..] {
        [] => None,
        [path] => Some(BinaryFile::read_file(path).or_user_error()?),
        _ => {
            return Err(Failure::new("--record: a recording is of one program")
                .hint("name one binary, or record each: snippex record BINARY --to FILE"));
        }
    };
    let what = match &file {
        Some(file) => RecordedAs::Program(file, &choice),
        None => RecordedAs::Generated(Generated::new(generating::build_generation_request(
            &args.generate,
            args.run.seed,
        )?)),
    };
    let starts = StartStates {
        seed: args.run.seed,
        states: args.run.states,
        threads: args.run.threads,
    };
    let cancel = app.cancel_token()?;
    let report = record_to_file(app, what, &reference, starts, path, &cancel)?;
    app.printer.print_note(report.to_line());
    Ok(report.complete)
}

/// Blocks made from the instruction set instead of a program's.
fn generated(app: &App<'_>, args: &CheckArgs) -> Result<ExitStatus, Failure> {
    let request = generating::build_generation_request(&args.generate, args.run.seed)?;
    let engines = checking::start_engines(app, &args.engine, &args.run)?;
    let database = app.open_store()?;
    let made = Generated::new(request);
    app.printer.print_note(format_args!(
        "generated {} of {}",
        format_count(made.blocks.len() as u64, "block"),
        format_count(made.forms.len() as u64, "instruction form")
    ));
    let targets = [CheckTarget::Generated(made)];
    checking::check_and_print(app, &database, "check", &engines, &args.run, targets, false)
}
