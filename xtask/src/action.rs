//! The action for GitHub and the scripts of our workflows: the action's types, its tests, and whether the bundle that is committed
//! is what its sources give; the tests run the bundle by the Node that GitHub has, against the programs of this workspace.

use std::path::PathBuf;
use std::process::Command;

use crate::{Failure, shell};

/// What is copied to where npm installs.
const FILES: [&str; 5] = [
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "vitest.config.ts",
    "action.yml",
];
const FOLDERS: [&str; 4] = ["src", "test", "scripts", "dist"];

/// Checks the action.
pub(crate) fn check() -> Result<(), Failure> {
    shell::run(&mut shell::cargo([
        "build",
        "--locked",
        "--workspace",
        "--all-features",
        "--bins",
        // With them the features are those that tests are built with, and little is built anew.
        "--examples",
    ]))?;
    // What workflows call beside programs.
    shell::run(
        Command::new(shell::root().join("xtask/workflows/check_scripts.sh"))
            .arg(shell::root())
            .arg(shell::target().join("debug/benchgate")),
    )?;
    let folder = prepare()?;
    shell::install_node_packages(&folder)?;
    for script in ["typecheck", "check-dist", "test"] {
        shell::run(&mut npm(&folder, script)?)?;
    }
    Ok(())
}

fn prepare() -> Result<PathBuf, Failure> {
    let from = shell::root().join("action");
    let folder = shell::target().join("xtask-tools/action");
    shell::copy_files(&from, &folder, &FILES)?;
    for name in FOLDERS {
        let (from, to) = (from.join(name), folder.join(name));
        // What was removed from the sources must not be tested still.
        if to.exists() {
            std::fs::remove_dir_all(&to)
                .map_err(|error| format!("cannot empty {}: {error}", to.display()))?;
        }
        let entries =
            std::fs::read_dir(&from).map_err(|error| format!("cannot list {}: {error}", from.display()))?;
        let names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        shell::copy_files(&from, &to, &names)?;
    }
    Ok(folder)
}

/// A script of package.json, run by the Node that the action is for: the system's may be older.
fn npm(folder: &std::path::Path, script: &str) -> Result<Command, Failure> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => return Err(format!("npm has no Node for {other}; skip the step `action`")),
    };
    let node = folder
        .join("node_modules")
        .join(format!("node-linux-{machine}"))
        .join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(node).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders).map_err(|error| format!("cannot set PATH: {error}"))?;
    let program = |name: &str| shell::target().join("debug").join(name);
    let mut npm = Command::new("npm");
    npm.current_dir(folder)
        .args(["run", script])
        .env("PATH", path)
        .env("WORKSPACE", shell::root())
        .env("REGRESSD", program("regressd"))
        .env("BENCHGATE", program("benchgate"))
        .env("SNIPPEX", program("snippex"));
    Ok(npm)
}
