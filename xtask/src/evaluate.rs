//! `cargo xtask evaluate --data DIR`: measure the regression detectors on recorded benchmark results.
//!
//! The measuring is an example of regress-core, built in release; its table goes to standard output as JSON, everything
//! else to standard error.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::{Failure, shell};

const USAGE: &str = "give `--data DIR`, a folder that holds series.json files or files of processes";

/// Builds and runs the evaluation.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let [flag, folder] = arguments else {
        return Err(USAGE.to_owned());
    };
    if flag != "--data" {
        return Err(USAGE.to_owned());
    }
    // The command runs at the workspace's root, the user may not.
    let folder = PathBuf::from(folder)
        .canonicalize()
        .map_err(|error| format!("failed to open {folder}: {error}"))?;
    let mut command = shell::cargo([
        "run",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "regress-core",
        "--example",
        "evaluate",
        "--",
        "--data",
    ]);
    command.arg(folder);
    eprintln!("$ {}", shell::words(&command));
    let status = command
        .status()
        .map_err(|error| format!("`{}` cannot be started: {error}", shell::words(&command)))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}
