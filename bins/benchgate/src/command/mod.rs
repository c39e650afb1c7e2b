//! The commands, one file each: they take what was typed, measure or read, have it judged, and hand it to `show`.

mod ab;
mod baseline;
mod bisect;
mod changepoints;
mod check;
#[cfg(feature = "github")]
mod comment;
mod compare;
mod completions;
mod doctor;
mod history;
mod import;
mod init;
mod man;
mod metrics;
mod noise;
#[cfg(feature = "service")]
mod push;
mod record;
mod report;
mod run;
mod trends;

use cli_kit::{ExitStatus, Failure, Printer, on_interrupt};

use crate::app::App;
use crate::args::{BaselineCommand, Cli, Command};
use crate::settings::Flags;

/// Runs the command that was typed.
pub(crate) fn run(cli: &Cli, printer: &Printer) -> Result<ExitStatus, Failure> {
    let cancel = on_interrupt("stopping; finished runs are kept")?;
    let app = App::new(printer, &cli.global, flags(cli), cancel)?;
    match &cli.command {
        Command::Ab(args) => ab::run(&app, args),
        Command::Run(args) => run::run(&app, args),
        Command::Record(args) => record::run(&app, args),
        Command::Check(args) => check::run(&app, args),
        Command::Compare(args) => compare::run(&app, args),
        Command::Import(args) => import::run(&app, args),
        Command::Baseline(args) => baseline::run(&app, args),
        Command::History(args) => history::run(&app, args),
        Command::Trends(args) => trends::run(&app, args),
        Command::Metrics(args) => metrics::run(&app, args),
        Command::Report(args) => report::run(&app, args),
        #[cfg(feature = "github")]
        Command::Comment(args) => comment::run(&app, args),
        #[cfg(feature = "service")]
        Command::Push(args) => push::run(&app, args),
        Command::Noise(args) => noise::run(&app, args),
        Command::Bisect(args) => bisect::run(&app, args),
        Command::Init(args) => init::run(&app, args),
        Command::Doctor => doctor::run(&app),
        Command::Changepoints(args) => changepoints::run(&app, args),
        Command::Completions(args) => completions::run(&app, args),
        Command::Man(args) => man::run(&app, args),
    }
}

/// The flags of the command that are settings, too.
fn flags(cli: &Cli) -> Flags<'_> {
    let flags = Flags {
        files: Some(&cli.global.files),
        ..Flags::default()
    };
    match &cli.command {
        Command::Ab(args) => Flags {
            measure: Some(&args.measure),
            judge: Some(&args.judge),
            build: args.build.as_deref(),
            budget: args.budget,
            ..flags
        },
        Command::Run(args) => Flags {
            measure: Some(&args.measure),
            ..flags
        },
        Command::Record(args) => Flags {
            measure: Some(&args.measure),
            ..flags
        },
        Command::Check(args) => Flags {
            measure: Some(&args.measure),
            judge: Some(&args.judge),
            confirm: args.confirm.as_deref(),
            ..flags
        },
        Command::Compare(args) => Flags {
            judge: Some(&args.judge),
            ..flags
        },
        #[cfg(feature = "service")]
        Command::Push(args) => Flags {
            judge: Some(&args.judge),
            service: args.service.as_deref(),
            ..flags
        },
        Command::Baseline(BaselineCommand::Accept(args)) => Flags {
            measure: Some(&args.measure),
            ..flags
        },
        Command::Noise(args) => Flags {
            measure: Some(&args.measure),
            judge: Some(&args.judge),
            ..flags
        },
        Command::Bisect(args) => Flags {
            measure: Some(&args.measure),
            judge: Some(&args.judge),
            build: args.build.as_deref(),
            ..flags
        },
        _ => flags,
    }
}
