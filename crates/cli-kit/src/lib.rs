//! What the command lines of this workspace share.
//!
//! A command is a function that is handed a [`Printer`] and answers with an [`ExitStatus`] or a
//! [`Failure`]; [`run_command`] turns either into the exit code of the process:
//!
//! ```
//! use clap::Parser;
//! use cli_kit::{ExitStatus, Failure, OrFail, OutputArgs, Printer};
//!
//! #[derive(Parser)]
//! struct Args {
//!     /// Words to count
//!     words: Vec<String>,
//!     #[command(flatten)]
//!     output: OutputArgs,
//! }
//!
//! fn count(args: &Args, printer: &Printer) -> Result<ExitStatus, Failure> {
//!     let limit: usize = "3".parse().or_fail("the limit is not a number")?;
//!     if args.words.is_empty() {
//!         return Err(Failure::new("no words given").hint("name at least one word"));
//!     }
//!     printer.print_line(format_args!("{} words", args.words.len()))?;
//!     Ok(if args.words.len() > limit { ExitStatus::Found } else { ExitStatus::NothingFound })
//! }
//!
//! let args = Args::parse_from(["count", "--color", "never", "one", "two"]);
//! let code = cli_kit::run_command(&args.output, |printer| count(&args, printer));
//! assert_eq!(code, std::process::ExitCode::SUCCESS);
//! ```
//!
//! The rules, for every command alike: standard output is the answer and standard error everything
//! else; colour and progress are for terminals only; a reader that closes the pipe is no error; the
//! exit code is 0 (nothing found), 1 (found), 2 (could not do the job) or 130 (interrupted); an
//! expected error is one line with a hint.
//!
//! The crate knows nothing about blocks or benchmarks. Its only contact with the world are the two
//! output streams, the files that settings come from, and signals.

mod args;
mod exit;
mod failure;
mod interrupt;
mod late_file;
mod manual;
pub mod paths;
mod printer;
mod progress;
pub mod settings;
pub mod style;
mod table;
pub mod units;

pub use args::{ColorChoice, Format, OutputArgs, ProgressChoice};
pub use exit::{ExitStatus, run_command};
pub use failure::{Failure, OrFail};
pub use interrupt::{CancelToken, before_deadly_signal, on_interrupt};
pub use manual::manual_pages;
pub use printer::{Printer, Sink};
pub use progress::Progress;
pub use table::Table;
