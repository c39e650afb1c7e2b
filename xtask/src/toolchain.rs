//! The parts of the Rust toolchain that a minimal installation leaves out.

use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::shell;

/// The runner is an x86-64 program on every host.
const RUNNER_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Installs rustfmt and clippy where they are missing.
pub(crate) fn install_linters() -> Result<(), Failure> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if shell::capture(&mut shell::cargo([subcommand, "--version"])).is_err() {
            rustup(&["component", "add", component])?;
        }
    }
    Ok(())
}

/// Installs the core library that the runner is built with; an x86-64 host has it.
pub(crate) fn install_runner_target() -> Result<(), Failure> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", RUNNER_TARGET]);
    let folder = shell::capture(&mut rustc)?;
    if Path::new(folder.trim()).is_dir() {
        Ok(())
    } else {
        rustup(&["target", "add", RUNNER_TARGET])
    }
}

fn rustup(arguments: &[&str]) -> Result<(), Failure> {
    if shell::find("rustup").is_none() {
        return Err(format!(
            "this Rust did not come by rustup; install what `rustup {}` would, or get rustup from https://rustup.rs",
            arguments.join(" ")
        ));
    }
    shell::run(Command::new("rustup").args(arguments).current_dir(shell::root()))
}
