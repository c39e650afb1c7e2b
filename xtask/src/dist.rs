//! `cargo xtask dist`: what a release has, made without the network but for the tools and packages that are missing.
//!
//! For each program `NAME-VERSION-TARGET.tar.gz` with its checksum, a Debian package and an SBOM, in `target/xtask-dist`. Programs are
//! linked statically, so that they run on any Linux. `--arch aarch64` builds for ARM64 with what the step `arm64` has; `--programs DIR`
//! packs programs that are there instead of building; `--check SUITE` unpacks and installs all of it in a new root of Debian, and has
//! each program do its work there ([`crate::dist_check`]).

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::{Failure, arm64, dist_check, install, shell, tools};

pub(crate) const PROGRAMS: [&str; 3] = ["snippex", "benchgate", "regressd"];
const USAGE: &str = "known options are --arch x86_64|aarch64, --programs DIR, --check bookworm|trixie";
/// Files of the repository that go with every program.
const ALONG: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// What is made.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    arch: String,
    programs: Option<PathBuf>,
    check: Option<String>,
}

/// A build of the programs.
pub(crate) struct Build {
    pub(crate) version: String,
    pub(crate) target: String,
    /// Where the programs are.
    pub(crate) folder: PathBuf,
    /// What runs them here, where that is another machine's.
    emulator: Vec<String>,
}

/// Makes everything.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let options = options(arguments)?;
    install::install(NEEDS)?;
    let build = build(&options)?;
    let out = out_folder();
    std::fs::create_dir_all(&out).map_err(|error| format!("cannot make {}: {error}", out.display()))?;
    for name in PROGRAMS {
        let archive = pack(&build, name, &out)?;
        write_checksum(&archive)?;
        let package = make_package(&build, name, &out)?;
        write_checksum(&package)?;
        write_checksum(&make_sbom(&build, name, &out)?)?;
    }
    if let Some(suite) = &options.check {
        dist_check::check(&build, &out, suite)?;
    }
    println!("\n{}:", out.display());
    shell::run(Command::new("ls").args(["-l", "--human-readable"]).arg(&out))?;
    Ok(ExitCode::SUCCESS)
}

fn options(arguments: &[String]) -> Result<Options, Failure> {
    let mut options = Options {
        arch: std::env::consts::ARCH.into(),
        programs: None,
        check: None,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} wants a value; {USAGE}"))
        };
        match argument.as_str() {
            "--arch" => options.arch.clone_from(value()?),
            "--programs" => options.programs = Some(PathBuf::from(value()?)),
            "--check" => options.check = Some(value()?.clone()),
            other => return Err(format!("unknown option `{other}`; {USAGE}")),
        }
    }
    match options.arch.as_str() {
        "x86_64" | "aarch64" => Ok(options),
        other => Err(format!("there are no releases for `{other}`; {USAGE}")),
    }
}

pub(crate) fn out_folder() -> PathBuf {
    shell::target().join("xtask-dist")
}

fn build(options: &Options) -> Result<Build, Failure> {
    let target = format!("{}-unknown-linux-gnu", options.arch);
    let foreign = options.arch != std::env::consts::ARCH;
    let mut made = Build {
        version: version()?,
        folder: PathBuf::new(),
        emulator: Vec::new(),
        target: target.clone(),
    };
    if foreign {
        made.emulator = arm64::EMULATOR.split(' ').map(String::from).collect();
    }
    if let Some(folder) = &options.programs {
        made.folder.clone_from(folder);
        return Ok(made);
    }
    let mut cargo = if foreign {
        made.folder = shell::target().join("arm64/build").join(&target).join("dist");
        arm64::release_cargo()?
    } else {
        made.folder = shell::target().join(&target).join("dist");
        let mut cargo = shell::cargo(["build", "--locked", "--target", &target]);
        // The C library is linked in as well; its resolver needs no other files since 2.34.
        let variable = format!(
            "CARGO_TARGET_{}_RUSTFLAGS",
            target.to_uppercase().replace('-', "_")
        );
        cargo.env(variable, "-C target-feature=+crt-static");
        cargo
    };
    cargo.args(["--profile", "dist"]);
    for name in PROGRAMS {
        cargo.args(["--package", name]);
    }
    shell::run(&mut cargo)?;
    Ok(made)
}

/// The version of the workspace, from its manifest.
fn version() -> Result<String, Failure> {
    let file = shell::root().join("Cargo.toml");
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("version = \""));
    let version = line.and_then(|rest| rest.strip_suffix('"'));
    version
        .map(str::to_owned)
        .ok_or_else(|| format!("{} names no version", file.display()))
}

/// An archive of one folder, the same to the bit for the same contents.
fn pack(build: &Build, name: &str, out: &Path) -> Result<PathBuf, Failure> {
    let title = format!("{name}-{}-{}", build.version, build.target);
    let work = shell::target().join("xtask-tools/dist");
    let folder = work.join(&title);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .map_err(|error| format!("cannot empty {}: {error}", folder.display()))?;
    }
    shell::copy_files(&build.folder, &folder, &[name])?;
    shell::copy_files(&shell::root(), &folder, &ALONG)?;
    write_extras(build, name, &folder)?;
    let archive = out.join(format!("{title}.tar.gz"));
    let date =
        shell::capture(
            Command::new("git")
                .current_dir(shell::root())
                .args(["log", "-1", "--format=@%ct"]),
        )?;
    let mut tar = Command::new("tar");
    tar.current_dir(&work)
        // `-n`: gzip puts the time into its header otherwise.
        .args(["--create", "--use-compress-program", "gzip -n -9", "--sort=name"])
        .args(["--owner=0", "--group=0", "--numeric-owner"])
        .arg(format!("--mtime={}", date.trim()))
        .arg("--file")
        .arg(&archive)
        .arg(&title);
    shell::run(&mut tar)?;
    Ok(archive)
}

/// Manual pages and completions, by the program itself.
pub(crate) fn write_extras(build: &Build, name: &str, folder: &Path) -> Result<(), Failure> {
    let program = || {
        let mut words = build.emulator.iter();
        let path = build.folder.join(name);
        let mut command = match words.next() {
            None => Command::new(&path),
            Some(emulator) => {
                let mut command = Command::new(emulator);
                command.args(words).arg(&path);
                command
            }
        };
        command.current_dir(folder);
        command
    };
    shell::run(program().args(["man", "man"]))?;
    let completions = folder.join("completions");
    std::fs::create_dir_all(&completions).map_err(|error| format!("{}: {error}", completions.display()))?;
    for (language, file) in [
        ("bash", format!("{name}.bash")),
        ("zsh", format!("_{name}")),
        ("fish", format!("{name}.fish")),
    ] {
        let script = shell::capture(program().args(["completions", language]))?;
        let path = completions.join(file);
        std::fs::write(&path, script).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// `FILE.sha256`, as `sha256sum --check` reads it.
fn write_checksum(file: &Path) -> Result<(), Failure> {
    let (folder, name) = (file.parent(), file.file_name());
    let (Some(folder), Some(name)) = (folder, name) else {
        return Err(format!("{} is no file", file.display()));
    };
    let sum = shell::capture(Command::new("sha256sum").current_dir(folder).arg("--").arg(name))?;
    let path = folder.join(format!("{}.sha256", name.to_string_lossy()));
    std::fs::write(&path, sum).map_err(|error| format!("{}: {error}", path.display()))
}

/// A Debian package by cargo-deb, whose settings stand in the program's Cargo.toml: it wants the program, its pages and its completions
/// below the target folder.
fn make_package(build: &Build, name: &str, out: &Path) -> Result<PathBuf, Failure> {
    let cargo_deb = tools::cargo_deb()?;
    let title = format!("{name}-{}-{}", build.version, build.target);
    // Where the manifests look, whatever the target folder is.
    let staged = shell::root().join("target/xtask-tools/dist/package");
    let link = staged.join(name);
    if link.exists() {
        std::fs::remove_dir_all(&link)
            .map_err(|error| format!("cannot empty {}: {error}", link.display()))?;
    }
    std::fs::create_dir_all(&staged).map_err(|error| format!("{}: {error}", staged.display()))?;
    shell::run(
        Command::new("cp")
            .arg("--recursive")
            .arg(shell::target().join("xtask-tools/dist").join(&title))
            .arg(&link),
    )?;
    let architecture = if build.target.starts_with("x86_64") {
        "amd64"
    } else {
        "arm64"
    };
    let package = out.join(format!("{name}_{}_{architecture}.deb", build.version));
    let mut command = Command::new(cargo_deb);
    command
        .current_dir(shell::root())
        .args(["--no-build", "--no-strip", "--locked", "--package", name])
        .args(["--target", &build.target, "--output"])
        .arg(&package);
    shell::run(&mut command)?;
    Ok(package)
}

/// What the program is made of, in CycloneDX's form.
fn make_sbom(build: &Build, name: &str, out: &Path) -> Result<PathBuf, Failure> {
    let cyclonedx = tools::cargo_cyclonedx()?;
    let file = format!("{name}-{}-{}.cdx", build.version, build.target);
    let mut command = Command::new(cyclonedx);
    command
        .current_dir(shell::root())
        .args(["cyclonedx", "--format", "json", "--target", &build.target])
        .args(["--override-filename", &file, "--manifest-path"])
        .arg(format!("bins/{name}/Cargo.toml"));
    shell::run(&mut command)?;
    // It writes beside each manifest of the workspace.
    let written = shell::root().join("bins").join(name).join(format!("{file}.json"));
    let kept = out.join(format!("{file}.json"));
    std::fs::copy(&written, &kept).map_err(|error| format!("{}: {error}", written.display()))?;
    remove_written(&format!("{file}.json"))?;
    Ok(kept)
}

fn remove_written(name: &str) -> Result<(), Failure> {
    for folder in ["bins", "crates", "."] {
        let folder = shell::root().join(folder);
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries.filter_map(Result::ok) {
            let file = entry.path().join(name);
            if file.is_file() {
                std::fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            }
        }
    }
    Ok(())
}

/// What makes packages.
const NEEDS: &[install::Need] = &[install::need(
    &["dpkg-deb"],
    &["dpkg"],
    "packs and reads Debian packages",
)];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, Failure> {
        options(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_read_and_others_refused() {
        let found = read(&["--arch", "aarch64", "--programs", "x", "--check", "trixie"]).unwrap();
        assert_eq!(found.programs.as_deref(), Some(Path::new("x")));
        assert_eq!(
            (found.arch.as_str(), found.check.as_deref()),
            ("aarch64", Some("trixie"))
        );
        assert!(
            read(&["--arch", "riscv64"])
                .unwrap_err()
                .contains("no releases for `riscv64`")
        );
        assert!(read(&["--arch"]).unwrap_err().contains("wants a value"));
        assert!(read(&["--fast"]).unwrap_err().contains("unknown option"));
    }

    #[test]
    fn the_version_is_that_of_the_workspace() {
        assert_eq!(version().unwrap(), env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn installers_look_for_what_is_made() {
        for name in PROGRAMS {
            let file = shell::root().join("bins").join(name).join("Cargo.toml");
            let text = std::fs::read_to_string(file).unwrap();
            assert!(
                text.contains("/releases/download/v{ version }/{ name }-{ version }-{ target }.tar.gz"),
                "{name}"
            );
            assert!(
                text.contains("bin-dir = \"{ name }-{ version }-{ target }/{ bin }{ binary-ext }\""),
                "{name}"
            );
        }
        let action = shell::root().join("action/src/program.ts");
        let text = std::fs::read_to_string(action).unwrap();
        for arch in ["x86_64", "aarch64"] {
            assert!(text.contains(&format!("'{arch}-unknown-linux-gnu'")), "{arch}");
        }
    }
}
