//! `bugs diff` between two versions of qemu-user, each bug's example run on both.

use std::path::PathBuf;
use std::process::Command;

use crate::debian::DebianPackages;
use crate::{Failure, qemu, shell};

/// The suite of Debian that has the newer version, and how that says what it is.
const NEWER: (&str, &str) = ("trixie", "version 10.0.");

/// Sweeps with both versions, and holds the difference against what the examples do.
pub(crate) fn check() -> Result<(), Failure> {
    let older = match qemu::folder_of_expected()? {
        Some(folder) => folder.join("qemu-x86_64"),
        None => shell::find("qemu-x86_64").ok_or("qemu-x86_64 is not on the PATH")?,
    };
    let newer = newer_version()?;
    shell::run(&mut shell::cargo([
        "build",
        "--locked",
        "--workspace",
        "--all-features",
        "--bin",
        "snippex",
    ]))?;
    let folder = shell::target().join("xtask-tools/versions");
    shell::run(
        Command::new("python3")
            .arg(shell::root().join("xtask/versions/check_versions.py"))
            .args([shell::target().join("debug/snippex"), folder, older, newer]),
    )
}

fn newer_version() -> Result<PathBuf, Failure> {
    let (suite, version) = NEWER;
    let tools = shell::target().join("xtask-tools");
    let program = tools.join("qemu-newer/root/usr/bin/qemu-x86_64");
    if !program.exists() {
        let debian = DebianPackages::new(&tools, "qemu-newer", &[suite], &["amd64"])?;
        debian.unpack_packages(&["qemu-user:amd64".into()])?;
    }
    let said = shell::capture(Command::new(&program).arg("--version"))?;
    if said.contains(version) {
        Ok(program)
    } else {
        Err(format!("`{}` says {said}, not {version}", program.display()))
    }
}
