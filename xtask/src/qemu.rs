//! The qemu-user that the tests expect, where the system has another.
//!
//! Tests name bugs of qemu-user 7.2, as Debian 12 has it. Other systems have other versions with other bugs, so there it is
//! taken from Debian 12's own archive, unpacked below the target folder and put first on the PATH of the tests. Nothing of
//! the system changes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, install, shell};

/// As `qemu-x86_64 --version` says it.
const EXPECTED: &str = "version 7.2.";
const PACKAGE: &str = "qemu-user-static";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A folder with `qemu-x86_64` of the expected version, which is to be first on the PATH; `None` when the system's is.
pub(crate) fn folder_of_expected() -> Result<Option<PathBuf>, Failure> {
    if shell::find("qemu-x86_64").is_some_and(|program| is_expected(&program)) {
        return Ok(None);
    }
    let folder = shell::target().join("xtask-tools/qemu-7.2");
    let program = folder.join("bin/qemu-x86_64");
    if !is_expected(&program) {
        if shell::find("apt-get").is_none() {
            return Err("the tests expect qemu-user 7.2: put its `qemu-x86_64` on the PATH".into());
        }
        if !Path::new(KEYRING).exists() {
            install::install_package("debian-archive-keyring")?;
        }
        fetch(&folder)?;
        if !is_expected(&program) {
            return Err(format!("`{}` is not qemu {EXPECTED}", program.display()));
        }
    }
    println!("tests use {}", program.display());
    Ok(Some(folder.join("bin")))
}

fn is_expected(program: &Path) -> bool {
    shell::capture(Command::new(program).arg("--version")).is_ok_and(|said| said.contains(EXPECTED))
}

/// Downloads Debian 12's package and unpacks the one program.
fn fetch(folder: &Path) -> Result<(), Failure> {
    for name in ["lists/partial", "cache/archives/partial", "unpacked", "bin"] {
        make_folder(&folder.join(name))?;
    }
    let sources = folder.join("sources.list");
    let line = format!("deb [arch=amd64 signed-by={KEYRING}] http://deb.debian.org/debian bookworm main\n");
    std::fs::write(&sources, line).map_err(|error| format!("cannot write {}: {error}", sources.display()))?;
    shell::run(apt_get(folder, &sources).arg("update"))?;
    shell::run(apt_get(folder, &sources).args(["download", &format!("{PACKAGE}:amd64")]))?;
    let package = std::fs::read_dir(folder)
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| format!("apt-get left no package in {}", folder.display()))?;
    let unpacked = folder.join("unpacked");
    shell::run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&unpacked))?;
    let (from, to) = (
        unpacked.join("usr/bin/qemu-x86_64-static"),
        folder.join("bin/qemu-x86_64"),
    );
    std::fs::copy(&from, &to).map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
    for rest in [package, unpacked] {
        let removed = if rest.is_dir() {
            std::fs::remove_dir_all(&rest)
        } else {
            std::fs::remove_file(&rest)
        };
        removed.map_err(|error| format!("cannot remove {}: {error}", rest.display()))?;
    }
    Ok(())
}

/// apt-get with sources, lists and cache of its own, which needs no root and leaves the system's alone.
fn apt_get(folder: &Path, sources: &Path) -> Command {
    let mut command = Command::new("apt-get");
    command.current_dir(folder);
    for (name, value) in [
        ("Dir::Etc::SourceList", sources),
        ("Dir::Etc::SourceParts", Path::new("/dev/null")),
        ("Dir::State::Lists", &folder.join("lists")),
        ("Dir::Cache", &folder.join("cache")),
    ] {
        command.arg("-o").arg(format!("{name}={}", value.display()));
    }
    // The sandbox user may not be able to write where the target folder lies.
    command.args(["-o", "APT::Sandbox::User=root"]);
    command
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|error| format!("cannot make {}: {error}", path.display()))
}
