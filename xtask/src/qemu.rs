//! The qemu-user that the tests expect, where the system has another.
//!
//! Tests name bugs of qemu-user 7.2, as Debian 12 has it. Other systems have other versions with other bugs, so there it is
//! taken from Debian 12's own archive and put first on the PATH of the tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::DebianPackages;
use crate::{Failure, shell};

/// As `qemu-x86_64 --version` says it.
const EXPECTED: &str = "version 7.2.";
/// The programs for 64-bit and for 32-bit code, which are taken from one folder.
const PROGRAMS: [&str; 2] = ["qemu-x86_64", "qemu-i386"];

/// A folder with [`PROGRAMS`] of the expected version, which is to be first on the PATH; `None` when the system's is.
pub(crate) fn folder_of_expected() -> Result<Option<PathBuf>, Failure> {
    if shell::find("qemu-x86_64").is_some_and(|program| is_expected(&program)) {
        return Ok(None);
    }
    let tools = shell::target().join("xtask-tools");
    let programs = tools.join("qemu-7.2/bin");
    let program = programs.join(PROGRAMS[0]);
    if !PROGRAMS.iter().all(|name| is_expected(&programs.join(name))) {
        let debian = DebianPackages::new(&tools, "qemu-7.2", &["bookworm"], &["amd64"])?;
        let root = debian.unpack_packages(&["qemu-user-static:amd64".into()])?;
        for name in PROGRAMS {
            let from = root.join("usr/bin").join(format!("{name}-static"));
            let program = programs.join(name);
            std::fs::create_dir_all(&programs)
                .and_then(|()| std::fs::copy(&from, &program))
                .map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
            if !is_expected(&program) {
                return Err(format!("`{}` is not qemu {EXPECTED}", program.display()));
            }
        }
    }
    println!("tests use {}", program.display());
    Ok(Some(programs))
}

fn is_expected(program: &Path) -> bool {
    shell::capture(Command::new(program).arg("--version")).is_ok_and(|said| said.contains(EXPECTED))
}
