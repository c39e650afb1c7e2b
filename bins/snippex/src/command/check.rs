//! `snippex check`: the whole pipeline on programs.

use cli_kit::{ExitStatus, Failure};
use snippex_report::format_count;
use snippex_session::{CheckTarget, Generated, read_programs};

use crate::app::App;
use crate::args::CheckArgs;
use crate::hints::OrUserError;
use crate::{checking, choosing, engine_table, generating};

pub(crate) fn run(app: &App<'_>, args: &CheckArgs) -> Result<ExitStatus, Failure> {
    if args.engine.emulator.len() > 1 {
        return engine_table::run(app, args);
    }
    if args.generated {
        return generated(app, args);
    }
    if args.generate.has_any_option() {
        return Err(
            Failure::new("--isa, --instruction, --per-form and --sequence say what to generate")
                .hint("add --generated, and name no binary"),
        );
    }
    let choice = choosing::build_target_choice(&args.filter, &args.select, args.run.seed)?;
    let read = read_programs(&args.binaries).or_user_error()?;
    for same in &read.same {
        app.printer.print_warning(format_args!(
            "{} is left out: it is the same as {}",
            same.path.display(),
            same.earlier.display()
        ));
    }
    let engines = checking::start_engines(app, &args.engine, &args.run)?;
    let database = app.open_store()?;
    let programs = read.programs.into_iter();
    let targets = programs.map(|program| CheckTarget::Program(program, &choice));
    let show_selection = args.select.selection_report;
    checking::check_and_print(
        app,
        &database,
        "check",
        &engines,
        &args.run,
        targets,
        show_selection,
    )
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
