//! The commands, one file each: they take what was typed, call the libraries, and hand the answer to `view`.

mod agent;
mod analyze;
mod bench;
mod bugs;
mod cache;
mod check;
pub(crate) mod compare;
mod completions;
mod config;
mod conformance;
mod disasm;
mod engines;
mod export;
mod extract;
mod generate;
mod hosts;
mod import;
mod list;
mod man;
mod metrics;
mod record;
mod reduce;
mod regression;
mod remove;
mod replay;
pub(crate) mod report;
mod repro;
mod simulate;
mod sources;
mod stats;
mod validate;

use cli_kit::settings::Resolved;
use cli_kit::{ExitStatus, Failure, Format, Printer};
use snippex_exec::engine::EngineTable;
use tracing::{debug, info};
use tracing_subscriber::EnvFilter;

use crate::app::App;
use crate::args::{BaselineTestArgs, CacheCommand, Cli, Command, RegressionCommand};
use crate::settings::{self, Flags, Settings};

/// Runs the command that was typed.
pub(crate) fn run(cli: &Cli, printer: &Printer) -> Result<ExitStatus, Failure> {
    log(cli.global.verbose);
    if let Command::Agent(args) = &cli.command {
        // Settings are the other host's.
        return agent::run(args);
    }
    let settings = settings::resolve_settings(flags(cli))?;
    say_settings(&settings);
    let app = App {
        printer,
        // Without one it is JUnit XML, which conformance writes by itself.
        format: cli.global.format.to_common_format().unwrap_or(Format::Human),
        engines: EngineTable::new(settings.value.engines.clone())
            .with_hosts(settings.value.hosts.keys().cloned()),
        hosts: crate::app::hosts_from_settings(&settings.value)?,
        interrupt: std::sync::OnceLock::new(),
        settings,
    };
    match &cli.command {
        Command::Check(args) => check::run(&app, args),
        Command::Record(args) => record::run(&app, args),
        Command::Replay(args) => replay::run(&app, args),
        Command::Export { command } => export::run(&app, command),
        Command::Import(args) => import::run(&app, args),
        Command::Extract(args) => extract::run(&app, args),
        Command::Generate(args) => generate::run(&app, args),
        Command::List(args) => list::run(&app, args),
        Command::Disasm(args) => disasm::run(&app, args),
        Command::Analyze(args) => analyze::run(&app, args),
        Command::Simulate(args) => simulate::run(&app, args),
        Command::Validate(args) => validate::run(&app, args),
        Command::Compare(args) => compare::run(&app, args),
        Command::Conformance(args) => conformance::run(&app, args, args.format),
        Command::Repro(args) => repro::run(&app, args),
        Command::Bugs(args) => bugs::run(&app, args),
        Command::Reduce(args) => reduce::run(&app, args),
        Command::Bench(args) => bench::run(&app, args),
        Command::Report(args) => report::run(&app, args),
        Command::Remove(args) => remove::run(&app, args),
        Command::Stats(args) => stats::run(&app, args),
        Command::Metrics(args) => metrics::run(&app, args),
        Command::Regression { command } => regression::run(&app, command),
        Command::Cache { command } => cache::run(&app, command),
        Command::Engines { command } => engines::run(&app, command.as_ref()),
        Command::Sources { command } => sources::run(&app, command),
        Command::Hosts { command } => hosts::run(&app, command.as_ref()),
        Command::Agent(args) => agent::run(args),
        Command::Config { .. } => config::run(&app),
        Command::Completions(args) => completions::run(&app, args),
        Command::Man(args) => man::run(&app, args),
    }
}

/// The flags of the command that are settings, too.
fn flags(cli: &Cli) -> Flags<'_> {
    let flags = Flags {
        database: cli.global.database.as_deref(),
        ..Flags::default()
    };
    match &cli.command {
        Command::Check(args) => Flags {
            engine: Some(&args.engine),
            reference: Some(&args.reference),
            run: Some(&args.run),
            ..flags
        },
        Command::Validate(args) => Flags {
            engine: Some(&args.engine),
            reference: Some(&args.reference),
            run: Some(&args.run),
            ..flags
        },
        Command::Cache {
            command: CacheCommand::Explain(args),
        } => Flags {
            engine: Some(&args.engine),
            reference: Some(&args.reference),
            run: Some(&args.run),
            ..flags
        },
        Command::Cache {
            command: CacheCommand::Warm(args),
        } => Flags {
            engine: Some(&args.engine),
            reference: Some(&args.reference),
            run: Some(&args.run),
            ..flags
        },
        Command::Regression {
            command:
                RegressionCommand::Record(args)
                | RegressionCommand::Update(args)
                | RegressionCommand::Test(BaselineTestArgs { with: args, .. }),
        } => Flags {
            engine: Some(&args.engine),
            reference: Some(&args.reference),
            run: Some(&args.run),
            ..flags
        },
        Command::Reduce(args) => Flags {
            engine: Some(&args.engine),
            reference: Some(&args.reference),
            ..flags
        },
        Command::Simulate(args) => Flags {
            engine: Some(&args.engine),
            ..flags
        },
        Command::Conformance(args) => Flags {
            engine: Some(&args.engine),
            ..flags
        },
        Command::Record(args) => Flags {
            reference: Some(&args.reference),
            ..flags
        },
        Command::Replay(args) => Flags {
            engine: Some(&args.engine),
            ..flags
        },
        Command::Repro(args) => Flags {
            engine: Some(&args.engine),
            reference: Some(&args.reference),
            ..flags
        },
        Command::Bench(args) => Flags {
            engine: Some(&args.engine),
            ..flags
        },
        _ => flags,
    }
}

/// The settings in force, for those who wonder why a run does what it does. The database is left out, since its URL may
/// hold a password; `config show` hides that.
fn say_settings(settings: &Resolved<Settings>) {
    let value = &settings.value;
    info!(
        emulator = value.emulator,
        reference = value.reference,
        states = value.states,
        threads = value.threads,
        "settings"
    );
    for (key, setting) in &settings.origins {
        debug!(key, origin = %setting.origin, "setting");
    }
}

/// What the libraries note for those who look for a fault goes to standard error.
fn log(verbosity: u8) {
    let level = match verbosity {
        0 => return,
        1 => "info",
        _ => "debug",
    };
    // The beginning of the name of every crate of snippex.
    let filter = EnvFilter::new(format!("warn,snippex={level}"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
