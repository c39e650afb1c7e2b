//! Install the distribution's packages that are missing, and only those.
//!
//! Debian 12 and Ubuntu 22.04 or later are known; on other systems the programs to install by hand
//! are named. The list is data: to need another program, add a line to [`DEMO`] or [`TESTS`].

use std::path::PathBuf;
use std::process::Command;

use crate::Failure;
use crate::shell;

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

/// What `cargo xtask test` needs.
pub(crate) const TESTS: &[Need] = &[
    need(
        &["qemu-x86_64", "qemu-x86_64-static"],
        &["qemu-user"],
        "an engine that the tests compare with",
    ),
    need(&["valgrind"], &["valgrind"], "another engine, by its entry alone"),
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
        &["clang-16", "clang-19", "clang-18", "clang-15"],
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
        &["lld-16", "lld-19", "lld-18", "lld-15", "lld"],
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
    need(&["zsh"], &["zsh"], "a shell that completes command lines"),
    need(&["fish"], &["fish"], "another one"),
    // numpy's own program stands for the library.
    need(
        &["f2py3"],
        &["python3-numpy"],
        "what regressd's analytics program calculates with",
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

const fn need(
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
    let packages: Vec<&str> = missing.iter().map(|need| offered(need.packages)).collect();
    let options = ["install", "--yes", "--no-install-recommends"];
    shell::run(&mut apt_get(&[options.as_slice(), &packages].concat())?)?;
    match missing.iter().find(|need| need.found().is_none()) {
        None => Ok(()),
        Some(need) => Err(format!(
            "`{}` is still missing after the installation; see above",
            need.programs[0]
        )),
    }
}

/// The first of `packages` that the distribution has; the last one is taken unseen.
fn offered(packages: &'static [&'static str]) -> &'static str {
    let has = |package: &&&str| {
        shell::capture(Command::new("apt-cache").args(["show", "--quiet=0", package])).is_ok()
    };
    packages
        .iter()
        .find(has)
        .or(packages.last())
        .expect("every need names a package")
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
        for need in DEMO.iter().chain(TESTS) {
            assert!(
                !need.programs.is_empty() && !need.packages.is_empty(),
                "{}",
                need.why
            );
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
