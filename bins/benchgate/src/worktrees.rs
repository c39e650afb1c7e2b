//! Two commits side by side, each in a work tree and with a target folder of its own, built before anything is measured.
//!
//! The paths of the two have the same length: where a program lies can change how fast it runs.

use std::path::Path;

use cli_kit::{Failure, units};
use regress_core::measurement::{Commit, CommitSha, RunFile};

use crate::app::App;
use crate::git::GitRepository;
use crate::measure::{self, Subject};
use crate::process::{Job, ProcessError};

/// Where a commit is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorktreePlace {
    Base,
    Head,
}

impl WorktreePlace {
    fn name(self) -> &'static str {
        match self {
            WorktreePlace::Base => "base",
            WorktreePlace::Head => "head",
        }
    }
}

/// Checks a commit out and builds it.
pub(crate) fn prepare_worktree(
    app: &App<'_>,
    repository: &GitRepository,
    place: WorktreePlace,
    commit: &CommitSha,
    label: &str,
) -> Result<Subject, Failure> {
    // Test runners search the project for tests, this folder among it, and leave out what begins with a dot.
    let tree = app.state_file(&format!("ab/.{}", place.name()));
    repository.check_out(commit, &tree)?;
    let inside = app.here.strip_prefix(repository.root()).unwrap_or(Path::new(""));
    let directory = tree.join(inside);
    if !directory.is_dir() {
        return Err(
            Failure::new(format!("{label} has no folder {}", inside.display()))
                .hint("run benchgate from the repository's root"),
        );
    }
    let command = measure::benchmark_command(app)?;
    let mut run = RunFile::new(app.detect_environment()?);
    run.commit = Some(Commit {
        sha: commit.clone(),
        dirty: false,
    });
    run.time = Some(measure::current_time());
    run.command = command.clone();
    let subject = Subject {
        name: place.name(),
        command,
        directory,
        target: Some(app.state_file(&format!("ab/target-{}", place.name()))),
        file: app.state_file(&format!("ab/{}.json", place.name())),
        run,
    };
    subject.save_run()?;
    build(app, &subject, label)?;
    Ok(subject)
}

/// Whether there is a command that builds without measuring.
pub(crate) fn knows_build(app: &App<'_>) -> bool {
    build_command(app).is_some()
}

fn build(app: &App<'_>, subject: &Subject, label: &str) -> Result<(), Failure> {
    let Some(command) = build_command(app) else {
        return Ok(());
    };
    app.print_detail(|| {
        format!(
            "building {label}: `{}` in {}",
            command.join(" "),
            app.display_path(&subject.directory)
        )
    });
    let progress = app.printer.start_progress(&format!("building {label}"), None);
    let variables = subject.environment_variables();
    let timeout = app.settings.timeout.0;
    let job = Job {
        command: &command,
        directory: &subject.directory,
        variables: &variables,
        timeout,
    };
    match job.run_to_end(&app.cancel) {
        Ok(printed) => {
            drop(progress);
            app.printer.print_note(format_args!(
                "built {label} in {}",
                units::format_duration(printed.elapsed)
            ));
            Ok(())
        }
        Err(ProcessError::Interrupted) => Err(Failure::interrupted(format!(
            "interrupted while building {label}"
        ))),
        Err(error) => Err(Failure::with_cause(
            format!("cannot build {label} with `{}`", command.join(" ")),
            &error,
        )
        .hint(format!(
            "try it in {}, or give --build",
            app.display_path(&subject.directory)
        ))),
    }
}

/// What the user said, or what follows from the benchmark command.
fn build_command(app: &App<'_>) -> Option<Vec<String>> {
    if let Some(build) = &app.settings.build {
        return Some(["sh", "-c", build].map(str::to_owned).to_vec());
    }
    without_running(&app.settings.command)
}

/// `cargo bench -p x -- --quick` is built by `cargo bench -p x --no-run`.
fn without_running(command: &[String]) -> Option<Vec<String>> {
    let [program, subcommand, ..] = command else {
        return None;
    };
    let is_cargo = Path::new(program).file_name().is_some_and(|name| name == "cargo");
    if !is_cargo || !["bench", "criterion"].contains(&subcommand.as_str()) {
        return None;
    }
    let mut build: Vec<String> = command.iter().take_while(|word| *word != "--").cloned().collect();
    build.push("--no-run".to_owned());
    Some(build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cargo_is_known_to_build_without_running() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let built = without_running(&words("cargo bench -p x -- --quick"));
        assert_eq!(built, Some(words("cargo bench -p x --no-run")));
        assert_eq!(without_running(&words("cargo run --release")), None);
        assert_eq!(without_running(&words("./bench.sh")), None);
    }
}
