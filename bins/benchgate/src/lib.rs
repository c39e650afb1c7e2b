//! The command line of benchgate: measures benchmarks as separate processes, compares like with like, and says what
//! became slower.
//!
//! ```text
//! command --measure--> run file --judging--> report --show--> terminal, JSON, Markdown, HTML, JUnit, GitHub
//! ```
//!
//! Everything that touches the world is here: processes, files, git, GitHub, regressd. No statistics are: whether something
//! changed is decided by [`regress_core`], and how a report looks by [`regress_report`]. The rules of the streams and
//! exit codes are those of [`cli_kit`].

mod app;
mod args;
mod baseline_file;
mod benchmark_names;
mod command;
mod files;
mod git;
#[cfg(feature = "github")]
mod github;
mod history;
mod interleaved;
mod judged_runs;
mod judging;
mod machine;
mod measure;
mod outputs;
mod process;
#[cfg(feature = "service")]
mod service;
mod settings;
mod show;
mod snapshots;
mod worktrees;

use std::process::ExitCode;

use clap::Parser;

/// Runs the program on the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = args::Cli::parse();
    cli_kit::run_command(&cli.global.output, |printer| command::run(&cli, printer))
}
