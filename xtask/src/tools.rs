//! Programs in Rust that Debian has no package of, compiled once below the target folder. Unoptimised builds are ready in half the time,
//! and what is asked of them takes seconds.

use std::path::PathBuf;
use std::process::Command;

use crate::{Failure, shell};

/// cargo-deb, which makes Debian packages.
pub(crate) fn cargo_deb() -> Result<PathBuf, Failure> {
    install("cargo-deb", "3.8.0", &["--version"])
}

/// cargo-cyclonedx, which lists what a program is made of.
pub(crate) fn cargo_cyclonedx() -> Result<PathBuf, Failure> {
    install("cargo-cyclonedx", "0.5.9", &["cyclonedx", "--version"])
}

/// mdbook, which makes the documentation's site.
pub(crate) fn mdbook() -> Result<PathBuf, Failure> {
    install("mdbook", "0.5.4", &["--version"])
}

/// The path of `name` of that version, compiled first when it is missing.
fn install(name: &str, version: &str, ask: &[&str]) -> Result<PathBuf, Failure> {
    let folder = shell::target()
        .join("xtask-tools")
        .join(format!("{name}-{version}"));
    let program = folder.join("bin").join(name);
    let is_wanted =
        || shell::capture(Command::new(&program).args(ask)).is_ok_and(|said| said.contains(version));
    if is_wanted() {
        return Ok(program);
    }
    println!("{name} {version} is compiled, which takes some minutes");
    shell::run(
        shell::cargo([
            "install",
            "--locked",
            "--debug",
            "--force",
            name,
            "--version",
            version,
        ])
        // Line tables of hundreds of crates are gigabytes that nobody reads.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .arg("--root")
        .arg(&folder),
    )?;
    if is_wanted() {
        Ok(program)
    } else {
        Err(format!("{} is not {name} {version}", program.display()))
    }
}
