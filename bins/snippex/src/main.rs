//! The program `snippex`: see the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    snippex::main()
}
