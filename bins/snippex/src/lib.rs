//! The command line of snippex: differential testing of x86-64 emulators on blocks of real programs.
//!
//! Joins the crates of the workspace and decides nothing that they could decide: [`args`](self) describes what
//! can be typed, `command` holds one file for each command, `view` shows answers to people and to programs.
//! The rules of the streams and exit codes are those of [`cli_kit`].

mod app;
mod args;
mod baseline_file;
mod bug_views;
mod check_views;
mod checking;
mod choosing;
mod command;
mod completing;
mod conformance;
mod engine_table;
mod engines;
mod entry_file;
mod generating;
mod hints;
mod install;
#[cfg(feature = "github")]
mod issue_draft;
#[cfg(feature = "github")]
mod issue_reporting;
mod late_files;
mod recording;
mod reporting;
mod settings;
mod spawn;
mod stored_scope;
mod toolchain;

use std::process::ExitCode;

use clap::FromArgMatches;

/// Runs the program on the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    completing::answer_shell();
    let typed = args::build_clap_command().get_matches();
    let cli = args::Cli::from_arg_matches(&typed).unwrap_or_else(|error| error.exit());
    cli_kit::run_command(&cli.global.output, |printer| command::run(&cli, printer))
}
