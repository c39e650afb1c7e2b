//! `cargo xtask demo`: snippex's main job on a program of this machine.
//!
//! For somebody who has just cloned the repository: installs the emulator, builds, explains in a few
//! lines what will happen, and runs it.

use std::process::ExitCode;

use crate::{Failure, install, shell, toolchain};

const TARGET: &str = "/bin/bash";
const EMULATOR: &str = "qemu-x86_64";

/// Runs the demo. Further arguments are handed to `snippex check`.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    toolchain::install_runner_target()?;
    if std::env::consts::ARCH != "x86_64" {
        return Err(format!(
            "the demo compares {EMULATOR} with an x86-64 processor, and this one is {}; find the cases on an x86-64 \
             machine and replay them here, as README.md says",
            std::env::consts::ARCH
        ));
    }
    install::install(install::DEMO)?;
    shell::run(&mut shell::cargo([
        "build",
        "--release",
        "--locked",
        "--package",
        "snippex",
    ]))?;

    println!("\n{}\n", explanation());
    let snippex = shell::target().join("release/snippex");
    let mut command = std::process::Command::new(snippex);
    command
        .args(["check", TARGET, "--emulator", EMULATOR])
        .args(arguments);
    println!("$ {}", shell::words(&command));
    let status = command
        .status()
        .map_err(|error| format!("`{}` cannot be started: {error}", shell::words(&command)))?;
    // Divergences (1) are what snippex looks for: the demo has worked then, too.
    let meaning = match status.code() {
        Some(0) => "No divergence: the emulator computed every comparable block as this processor did.",
        Some(1) => "Each divergence is a block that the emulator computes otherwise than this processor.",
        _ => return Err(format!("snippex ended with {status}")),
    };
    println!("\n{meaning}");
    println!(
        "Next: `{} --help`",
        shell::target().join("release/snippex").display()
    );
    Ok(ExitCode::SUCCESS)
}

fn explanation() -> String {
    format!(
        "snippex takes {TARGET} apart into its blocks of straight-line code, runs each of them with many\n\
         machine states on this processor and under {EMULATOR}, and compares the end states in full.\n\
         \"match\" is agreement, \"diverged\" a difference that came again when repeated alone,\n\
         \"inconclusive\" a run that cannot be judged, with the reason."
    )
}
