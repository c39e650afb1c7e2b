//! The service's entry point.

use std::process::ExitCode;

fn main() -> ExitCode {
    regressd::command::main()
}
