//! `cargo xtask evaluate --data DIR`: measure the regression detectors on recorded benchmark results; `--artificial`
//! instead measures them on artificial noise.
//!
//! The measuring is an example of regress-core, built in release; its table goes to standard output as JSON, everything
//! else to standard error.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::{Failure, shell};

const USAGE: &str =
    "give `--data DIR`, a folder that holds series.json files or files of processes, or `--artificial`";

/// Builds and runs the evaluation.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let folder = match arguments {
        [flag] if flag == "--artificial" => None,
        // The command runs at the workspace's root, the user may not.
        [flag, folder] if flag == "--data" => Some(
            PathBuf::from(folder)
                .canonicalize()
                .map_err(|error| format!("failed to open {folder}: {error}"))?,
        ),
        _ => return Err(USAGE.to_owned()),
    };
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
    ]);
    match folder {
        Some(folder) => command.arg("--data").arg(folder),
        None => command.arg("--artificial"),
    };
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
