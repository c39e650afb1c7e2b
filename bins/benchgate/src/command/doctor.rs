//! `benchgate doctor`: is everything there, and is this machine fit to measure on?

use std::path::Path;
use std::process::Command;

use cli_kit::style::{BAD, GOOD, UNSURE};
use cli_kit::{ExitStatus, Failure, Table};
use regress_core::baseline::Lookup;
use serde::Serialize;

use crate::app::App;
use crate::args::Format;
use crate::git::GitRepository;
use crate::{files, history, machine};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Good,
    /// Works, but the results will be worse than they could be.
    Doubtful,
    /// Keeps benchgate from doing its job.
    Bad,
}

/// One check.
#[derive(Debug, Serialize)]
struct DoctorCheck {
    name: &'static str,
    state: State,
    what: String,
}

/// Runs the command.
pub(crate) fn run(app: &App<'_>) -> Result<ExitStatus, Failure> {
    let checks = [
        settings(app),
        command(app),
        git(app),
        state_folder(app),
        baseline(app),
        history(app),
        governor(),
        load(),
        cores(),
    ];
    if app.format == Format::Json {
        app.printer.print_json(&checks)?;
    } else {
        let mut table = Table::new(["check", "", ""]).fit(app.printer.width());
        for check in &checks {
            let (style, word) = match check.state {
                State::Good => (GOOD, "good"),
                State::Doubtful => (UNSURE, "doubtful"),
                State::Bad => (BAD, "bad"),
            };
            table.add_row([
                check.name.to_owned(),
                format!("{style}{word}{style:#}"),
                check.what.clone(),
            ]);
        }
        app.printer.print_line(&table)?;
    }
    let bad = checks.iter().any(|check| check.state == State::Bad);
    Ok(if bad {
        ExitStatus::CouldNot
    } else {
        ExitStatus::NothingFound
    })
}

fn check(name: &'static str, state: State, what: impl Into<String>) -> DoctorCheck {
    DoctorCheck {
        name,
        state,
        what: what.into(),
    }
}

fn settings(app: &App<'_>) -> DoctorCheck {
    match &app.project {
        Some(path) => check("settings", State::Good, app.display_path(path).to_string()),
        None => check(
            "settings",
            State::Doubtful,
            "no benchgate.toml is found upward from here; `benchgate init` writes one",
        ),
    }
}

fn command(app: &App<'_>) -> DoctorCheck {
    let Some(program) = app.settings.command.first() else {
        return check(
            "command",
            State::Doubtful,
            "benchgate.toml names no benchmark command; it has to be given after --",
        );
    };
    let in_path = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    let found = if program.contains('/') {
        app.here.join(program).is_file()
    } else {
        in_path()
    };
    if found {
        check("command", State::Good, app.settings.command.join(" "))
    } else {
        check("command", State::Bad, format!("{program} is not found"))
    }
}

fn git(app: &App<'_>) -> DoctorCheck {
    if Command::new("git").arg("--version").output().is_err() {
        return check(
            "git",
            State::Doubtful,
            "git is not installed: `ab` and `bisect` need it",
        );
    }
    let Some(repository) = GitRepository::find_containing(&app.here) else {
        return check(
            "git",
            State::Doubtful,
            "no repository here: `ab` and `bisect` need one",
        );
    };
    if repository.root().join(".git/shallow").exists() {
        return check(
            "git",
            State::Doubtful,
            "the clone is shallow: `ab` may lack the base; fetch with depth 0",
        );
    }
    check("git", State::Good, repository.root().display().to_string())
}

fn state_folder(app: &App<'_>) -> DoctorCheck {
    let probe = app.state_file("doctor");
    let written = files::write_file(&probe, "");
    // What was only a probe should not stay; if it cannot be removed, no harm is done.
    let _ = std::fs::remove_file(&probe);
    match written {
        Ok(()) => check(
            "state folder",
            State::Good,
            app.display_path(&app.settings.state).to_string(),
        ),
        Err(failure) => check(
            "state folder",
            State::Bad,
            format!("{failure}; name another with --state"),
        ),
    }
}

fn baseline(app: &App<'_>) -> DoctorCheck {
    let path = app.display_path(&app.settings.baseline).to_string();
    let (baselines, problems) = match files::read_baselines(&app.settings.baseline) {
        Ok(read) => read,
        Err(failure) => return check("baseline", State::Bad, failure.to_string()),
    };
    if let Some(problem) = problems.first() {
        return check(
            "baseline",
            State::Bad,
            format!("{} entries cannot be used: {problem}", problems.len()),
        );
    }
    let here = match app.detect_environment() {
        Ok(here) => here,
        Err(failure) => return check("baseline", State::Bad, failure.to_string()),
    };
    match baselines.lookup_environment(&here) {
        Lookup::Same(one) => check(
            "baseline",
            State::Good,
            format!("{path}: {} benchmarks for this machine", one.entries.len()),
        ),
        Lookup::Other(others) => {
            let (nearest, differences) = &others[0];
            let parts: Vec<String> = differences.iter().map(ToString::to_string).collect();
            let what = machine::describe_environment(&nearest.environment);
            check(
                "baseline",
                State::Doubtful,
                format!(
                    "{path} has none for this machine; the nearest, {what}, differs in {}",
                    parts.join("; ")
                ),
            )
        }
        Lookup::Nothing => check(
            "baseline",
            State::Doubtful,
            format!("{path} has none; `benchgate record` makes one, `benchgate ab` needs none"),
        ),
    }
}

fn history(app: &App<'_>) -> DoctorCheck {
    let path = app.display_path(&app.settings.history).to_string();
    match history::read_history(&app.settings.history) {
        Ok((lines, problems)) if problems.is_empty() => {
            check("history", State::Good, format!("{path}: {} runs", lines.len()))
        }
        Ok((_, problems)) => check("history", State::Doubtful, problems.join("; ")),
        Err(failure) => check("history", State::Bad, failure.to_string()),
    }
}

fn governor() -> DoctorCheck {
    let path = Path::new("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    match std::fs::read_to_string(path).as_deref().map(str::trim) {
        Ok("performance") => check("frequency", State::Good, "the governor is performance"),
        Ok(other) => check(
            "frequency",
            State::Doubtful,
            format!("the governor is {other}; `cpupower frequency-set -g performance` makes runs steadier"),
        ),
        Err(_) => check(
            "frequency",
            State::Good,
            "the system does not say how the frequency is chosen (a virtual machine)",
        ),
    }
}

fn load() -> DoctorCheck {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    match text
        .split_whitespace()
        .next()
        .and_then(|load| load.parse::<f64>().ok())
    {
        Some(load) if load > 0.5 => check(
            "load",
            State::Doubtful,
            format!("{load} processes want to run; stop what else is going on"),
        ),
        Some(load) => check("load", State::Good, format!("{load}")),
        None => check("load", State::Doubtful, "the system does not tell its load"),
    }
}

fn cores() -> DoctorCheck {
    match std::thread::available_parallelism() {
        Ok(count) if count.get() == 1 => check(
            "cores",
            State::Doubtful,
            "one core: everything else on the machine disturbs the benchmark",
        ),
        Ok(count) => check("cores", State::Good, count.to_string()),
        Err(_) => check("cores", State::Doubtful, "the system does not tell its cores"),
    }
}
