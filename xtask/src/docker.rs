//! `cargo xtask docker [NAME...]`: does in a new root of Debian what the Dockerfiles of `docker/` do, since no Docker engine is
//! needed to find out whether that works: each stage's commands, its files, its user, its health check's program and its entry.
//!
//! The stage that compiles runs with `--build` only; without it the programs of `target/debug` stand for what it makes. Images of
//! another architecture are not run: the emulators in them have no packages for this one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::dockerfile::{Stage, Step, read_dockerfile};
use crate::fresh::{PACKAGES, enter as enter_root, make_root, remove_root};
use crate::{Failure, install, shell};

/// Where a stage is run.
struct Root {
    path: PathBuf,
    folder: String,
    user: String,
}

/// Runs the Dockerfiles that are named, or all.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let builds = arguments.iter().any(|argument| argument == "--build");
    let names: Vec<&String> = arguments
        .iter()
        .filter(|argument| *argument != "--build")
        .collect();
    if !shell::is_root() {
        return Err("this needs root, for debootstrap and for mounts".into());
    }
    install::install(install::FRESH)?;
    let files: Vec<PathBuf> = if names.is_empty() {
        dockerfiles()?
    } else {
        names
            .iter()
            .map(|name| shell::root().join(format!("docker/{name}.Dockerfile")))
            .collect()
    };
    for file in files {
        println!("\n== {}", file.display());
        if is_foreign(&file) {
            println!("NOT RUN: it is for another architecture than this machine's");
            continue;
        }
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        run_stages(&read_dockerfile(&text)?, builds)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// snippex has an image for each architecture, the other programs have one for all.
fn is_foreign(file: &Path) -> bool {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let other = match std::env::consts::ARCH {
        "x86_64" => "snippex-arm64.Dockerfile",
        _ => "snippex.Dockerfile",
    };
    name == other
}

fn dockerfiles() -> Result<Vec<PathBuf>, Failure> {
    let folder = shell::root().join("docker");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "Dockerfile"))
        .collect();
    files.sort();
    Ok(files)
}

/// Stages that begin with another one go on in its root, as layers do.
fn run_stages(stages: &[Stage], builds: bool) -> Result<(), Failure> {
    let mut roots: BTreeMap<&str, PathBuf> = BTreeMap::new();
    let mut made = Vec::new();
    let mut ended = Ok(());
    for stage in stages {
        let compiles = stage.base.starts_with("rust:");
        if compiles && !builds {
            println!("(the stage that compiles is not run without --build)");
            continue;
        }
        let path = match roots.get(stage.base.as_str()) {
            Some(path) => path.clone(),
            None => {
                let packages = if compiles { PACKAGES } else { "" };
                let path = make_root(suite(&stage.base)?, &format!("docker-{}", made.len()), packages)?;
                made.push(path.clone());
                path
            }
        };
        if let Some(name) = &stage.name {
            roots.insert(name, path.clone());
        }
        ended = run_stage(stage, path, &roots);
        if ended.is_err() {
            break;
        }
    }
    for path in made {
        remove_root(&path)?;
    }
    ended
}

/// The suite of `debian:bookworm-slim` and `rust:1-bookworm`.
fn suite(base: &str) -> Result<&str, Failure> {
    let tag = base.split_once(':').map_or("", |(_, tag)| tag);
    let known = ["bookworm", "trixie"];
    let found = tag.split('-').find(|part| known.contains(part));
    found.ok_or_else(|| format!("{base} is not made of a suite of Debian that is known here"))
}

fn run_stage(stage: &Stage, path: PathBuf, roots: &BTreeMap<&str, PathBuf>) -> Result<(), Failure> {
    let mut root = Root {
        path,
        folder: "/".into(),
        user: "0".into(),
    };
    for step in &stage.steps {
        match step {
            Step::Run(command, variables) => enter(&root, &["sh", "-c", command], variables)?,
            Step::Copy(from, sources, target) => copy(&root, from.as_deref(), sources, target, roots)?,
            Step::Workdir(folder) => {
                root.folder.clone_from(folder);
                enter(&root_folder(&root), &["mkdir", "-p", folder], &BTreeMap::new())?;
            }
            Step::User(user) => root.user.clone_from(user),
            // Whether it is there: whether it answers is for a service that runs.
            Step::Healthcheck(words) => enter(
                &root,
                &["sh", "-c", "command -v \"$0\"", &words[0]],
                &BTreeMap::new(),
            )?,
            Step::Entrypoint(words) if words[0].starts_with('/') => {
                enter(&root, &["test", "-x", &words[0]], &BTreeMap::new())?;
            }
            Step::Entrypoint(words) => enter(&root, &[&words[0], "--version"], &BTreeMap::new())?,
        }
    }
    Ok(())
}

fn root_folder(root: &Root) -> Root {
    Root {
        path: root.path.clone(),
        folder: "/".into(),
        user: root.user.clone(),
    }
}

fn enter(root: &Root, command: &[&str], variables: &BTreeMap<String, String>) -> Result<(), Failure> {
    let mut words: Vec<String> = ["env", "-C", &root.folder].map(String::from).into();
    words.extend(variables.iter().map(|(name, value)| format!("{name}={value}")));
    if root.user != "0" {
        let user = [
            "setpriv",
            "--reuid",
            &root.user,
            "--regid",
            &root.user,
            "--clear-groups",
        ];
        words.splice(0..0, user.map(String::from));
    }
    words.extend(command.iter().map(ToString::to_string));
    enter_root(&root.path, &words)
}

/// Copies into the root. What a stage that was not run would have made is the program of this workspace.
fn copy(
    root: &Root,
    from: Option<&str>,
    sources: &[String],
    target: &str,
    roots: &BTreeMap<&str, PathBuf>,
) -> Result<(), Failure> {
    for source in sources {
        let stage = from.and_then(|stage| roots.get(stage));
        let origin = match (from, stage) {
            (None, _) => shell::root().join(source),
            (Some(_), Some(stage)) => stage.join(source.trim_start_matches('/')),
            (Some(_), None) => shell::target()
                .join("debug")
                .join(Path::new(source).file_name().unwrap_or_default()),
        };
        if from.is_none() && source == "." {
            // The workspace is mounted where the stage wants it copied.
            continue;
        }
        let place = root.path.join(target.trim_start_matches('/'));
        shell::run(Command::new("cp").arg("-L").arg(&origin).arg(&place))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_dockerfiles_are_understood() {
        let files = dockerfiles().unwrap();
        assert_eq!(files.len(), 4, "{files:?}");
        for file in files {
            let stages = read_dockerfile(&std::fs::read_to_string(&file).unwrap()).unwrap();
            let name = file.display();
            let mut known: Vec<&str> = Vec::new();
            for stage in &stages {
                assert!(
                    known.contains(&stage.base.as_str()) || suite(&stage.base).is_ok(),
                    "{name}: {}",
                    stage.base
                );
                for step in &stage.steps {
                    if let Step::Copy(from, sources, _) = step {
                        let there = |source: &String| shell::root().join(source).exists();
                        assert!(
                            from.as_deref()
                                .map_or_else(|| sources.iter().all(there), |from| known.contains(&from)),
                            "{name}: {step:?}"
                        );
                    }
                }
                known.extend(stage.name.as_deref());
            }
            let last = stages.last().unwrap();
            let user = last
                .steps
                .iter()
                .position(|step| matches!(step, Step::User(user) if user != "0"));
            let entry = last
                .steps
                .iter()
                .position(|step| matches!(step, Step::Entrypoint(_)));
            assert!(user.is_some() && user < entry, "{name}: it starts as root");
        }
    }
}
