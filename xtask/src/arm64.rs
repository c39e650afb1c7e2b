//! ARM64 without an ARM64 machine: the workspace built for it, its tests that need no x86-64 processor, and box64, all under
//! qemu-user, and box64 once more in a whole ARM64 machine ([`crate::guest`]) that is driven over SSH.
//!
//! Compiler, core library and box64 come from Debian, unpacked into `target/arm64`: apt-get keeps its lists and its idea of
//! what is installed there, too, so that nothing on the machine changes. Only the cross linker is installed by [`install`].

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian::DebianPackages;
use crate::guest::Guest;
use crate::install::{self, Need, need};
use crate::{Failure, shell};

const TARGET: &str = "aarch64-unknown-linux-gnu";
/// What runs ARM64 programs here, with everything that ARM processors can have.
pub(crate) const EMULATOR: &str = "qemu-aarch64 -cpu max";

/// Crates whose tests need no x86-64 processor and whose dependencies build in a minute or two. The rest of the workspace either
/// runs blocks, or is the same code on every machine with a database, a browser or a network around it.
const TESTED: [&str; 4] = [
    "snippex-core",
    "snippex-blocks",
    "snippex-triage",
    "snippex-formats",
];

const NEEDS: &[Need] = &[
    need(&["qemu-aarch64"], &["qemu-user"], "runs ARM64 programs"),
    need(
        &["aarch64-linux-gnu-gcc"],
        &["gcc-aarch64-linux-gnu"],
        "links ARM64 programs",
    ),
    need(
        &["aarch64-linux-gnu-g++"],
        &["g++-aarch64-linux-gnu"],
        "compiles C++ parts of them",
    ),
];

/// Builds snippex for ARM64 as users are given it, tests the crates of [`TESTED`] there, and has it and the box64 of Debian 13 do
/// what a developer with an ARM64 machine does.
pub(crate) fn check() -> Result<(), Failure> {
    install::install(NEEDS)?;
    let folder = shell::target().join("arm64");
    let compiler = compiler(&folder)?;
    let mut tests = cargo(&folder, &compiler, "test");
    for name in TESTED {
        tests.args(["--package", name]);
    }
    shell::run(tests.arg("--lib"))?;
    shell::run(cargo(&folder, &compiler, "build").args(["--package", "snippex"]))?;
    let program = folder.join("build").join(TARGET).join("debug/snippex");
    let box64 = box64(&folder, "trixie")?;
    let stripped = folder.join("snippex-stripped");
    shell::run(
        Command::new("aarch64-linux-gnu-strip")
            .arg("-o")
            .arg(&stripped)
            .arg(&program),
    )?;
    let guest = Guest::start(&folder)?;
    // Other tests of the command line are ignored for other reasons.
    for (suite, chosen) in [("box64", None), ("cli", Some("arm64::"))] {
        let mut test = shell::cargo(["test", "--locked", "--workspace", "--all-features", "--test"]);
        test.args([suite, "--", "--ignored"])
            .args(chosen)
            .env("SNIPPEX_TEST_BOX64", &box64)
            .env("SNIPPEX_TEST_ARM64", &program)
            .env("SNIPPEX_TEST_ARM64_STRIPPED", &stripped)
            .env("SNIPPEX_TEST_GUEST", &guest.ssh_config);
        shell::run(&mut test)?;
    }
    Ok(())
}

/// A cargo that builds what is handed out for ARM64, into `target/arm64/build`.
pub(crate) fn release_cargo() -> Result<Command, Failure> {
    install::install(NEEDS)?;
    let folder = shell::target().join("arm64");
    Ok(cargo(&folder, &compiler(&folder)?, "build"))
}

/// A cargo that builds for ARM64 and runs what it has built.
fn cargo(folder: &Path, compiler: &Path, subcommand: &str) -> Command {
    let mut command = shell::cargo([subcommand, "--locked", "--target", TARGET]);
    command
        .arg("--target-dir")
        .arg(folder.join("build"))
        .env("RUSTC", compiler)
        .env(
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
            "aarch64-linux-gnu-gcc",
        )
        .env(
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            "-C target-feature=+crt-static",
        )
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", EMULATOR)
        .env("CC_aarch64_unknown_linux_gnu", "aarch64-linux-gnu-gcc");
    command
}

/// Debian's compiler with the core libraries of both architectures: rustup has the other one only where its servers can be
/// reached, and it has to be of the compiler's own build.
fn compiler(folder: &Path) -> Result<PathBuf, Failure> {
    let start = folder.join("rustc");
    if start.is_file() {
        return Ok(start);
    }
    let debian = DebianPackages::new(
        folder,
        "rust",
        &["bookworm", "bookworm-security"],
        &["amd64", "arm64"],
    )?;
    let needed = ["rustc-web", "libstd-rust-web", "libllvm"];
    let mut packages = debian.list_dependencies("rustc-web", &needed)?;
    packages.push("libstd-rust-web-dev:arm64".into());
    let root = debian.unpack_packages(&packages)?.join("usr");
    let (root, lib) = (root.display(), root.join("lib"));
    let libraries = format!("{0}/x86_64-linux-gnu:{0}", lib.display());
    let text = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{libraries}' exec '{root}/bin/rustc' --sysroot '{root}' \"$@\"\n"
    );
    write_script(&start, &text)?;
    Ok(start)
}

/// A program that runs box64 of Debian's `suite` under qemu-user.
fn box64(folder: &Path, suite: &str) -> Result<PathBuf, Failure> {
    let name = format!("box64-{suite}");
    let start = folder.join(format!("run-{name}"));
    if start.is_file() {
        return Ok(start);
    }
    let debian = DebianPackages::new(folder, &name, &[suite], &["arm64"])?;
    let packages = ["box64:arm64", "libc6:arm64", "libgcc-s1:arm64"].map(String::from);
    let root = debian.unpack_packages(&packages)?;
    // Of both places one is a link to the other on a system that dpkg has set up.
    let lib = root.join("lib");
    if !lib.exists() {
        symlink("usr/lib", &lib).map_err(|error| format!("cannot make {}: {error}", lib.display()))?;
    }
    let root = root.display();
    let text = format!("#!/bin/sh\nQEMU_LD_PREFIX='{root}' exec {EMULATOR} '{root}/usr/bin/box64' \"$@\"\n");
    write_script(&start, &text)?;
    Ok(start)
}

fn write_script(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crates_of_the_workspace_are_tested() {
        for name in TESTED {
            let manifest = shell::root().join("crates").join(name).join("Cargo.toml");
            assert!(manifest.is_file(), "{name}");
        }
    }
}
