//! `cargo xtask test`: set the machine up, then run every check, and say at the end how each went.
//!
//! All steps run even after one failed, so that one run shows everything there is to mend. What
//! cannot run fails and says why; only the advisory check, which needs a database from outside, may
//! be left out where that cannot be reached.

use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::postgres::{Postgres, VARIABLES};
use crate::summary::{self, Ended, Outcome};
use crate::test_report::TestReport;
use crate::{
    Failure, action, arm64, browser, deny, install, openapi, qemu, shell, toolchain, versions, workflows,
};

/// One check.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(Option<&Postgres>) -> Result<Outcome, Failure>,
    /// Whether it runs code that wants the programs of [`install::TESTS`] and the database.
    runs_tests: bool,
}

const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the code is formatted",
        run: fmt,
        runs_tests: false,
    },
    Step {
        name: "clippy",
        about: "no lint finds anything",
        run: clippy,
        runs_tests: false,
    },
    Step {
        name: "docs",
        about: "the documentation builds without warning",
        run: docs,
        runs_tests: false,
    },
    Step {
        name: "tests",
        about: "unit and integration tests",
        run: tests,
        runs_tests: true,
    },
    Step {
        name: "doctests",
        about: "the examples in the documentation",
        run: doctests,
        runs_tests: true,
    },
    Step {
        name: "examples",
        about: "the example programs build",
        run: examples,
        runs_tests: false,
    },
    Step {
        name: "browser",
        about: "reports in a real browser, and PDF files in other programs",
        run: browser,
        runs_tests: true,
    },
    Step {
        name: "arm64",
        about: "the workspace on ARM64, and box64, under qemu-user",
        run: arm64,
        runs_tests: false,
    },
    Step {
        name: "versions",
        about: "the difference between two versions of qemu-user, example by example",
        run: versions,
        runs_tests: false,
    },
    Step {
        name: "openapi",
        about: "regressd's OpenAPI document in validators, and a client generated from it",
        run: openapi,
        runs_tests: true,
    },
    Step {
        name: "workflows",
        about: "workflows, action, Dockerfiles, compose files and scripts in tools that know them",
        run: workflows,
        runs_tests: false,
    },
    Step {
        name: "action",
        about: "the action for GitHub, its bundle against the real programs",
        run: action,
        runs_tests: true,
    },
    Step {
        name: "package",
        about: "every crate can be published: nothing it needs is left behind",
        run: package,
        runs_tests: false,
    },
    Step {
        name: "site",
        about: "the documentation's site, its links, and what its tutorials do",
        run: documentation_site,
        runs_tests: true,
    },
    Step {
        name: "deny",
        about: "bans, licences and sources of dependencies",
        run: bans,
        runs_tests: false,
    },
    Step {
        name: "advisories",
        about: "known holes in dependencies",
        run: advisories,
        runs_tests: false,
    },
];

/// Runs the steps that `arguments` select.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let Some(steps) = selection(arguments)? else {
        for step in STEPS {
            println!("  {:<11} {}", step.name, step.about);
        }
        return Ok(ExitCode::SUCCESS);
    };
    toolchain::install_linters()?;
    toolchain::install_runner_target()?;
    let server = if steps.iter().any(|step| step.runs_tests) {
        prepare()?
    } else {
        None
    };
    let ended: Vec<Ended> = steps
        .into_iter()
        .map(|step| execute(step, server.as_ref()))
        .collect();
    drop(server);
    println!("\n{}", summary::table(&ended));
    Ok(summary::exit_code(&ended))
}

/// The steps to run, or nothing if they are only to be listed.
fn selection(arguments: &[String]) -> Result<Option<Vec<&'static Step>>, Failure> {
    let mut steps: Vec<&Step> = STEPS.iter().collect();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut names = || {
            let list = arguments
                .next()
                .ok_or_else(|| format!("{argument} wants a list of steps"))?;
            let names: Vec<&str> = list.split(',').collect();
            let unknown = names
                .iter()
                .find(|name| STEPS.iter().all(|step| step.name != **name));
            match unknown {
                Some(name) => Err(format!(
                    "there is no step `{name}`; `cargo xtask test --list` shows them"
                )),
                None => Ok(names),
            }
        };
        match argument.as_str() {
            "--list" => return Ok(None),
            "--only" => {
                let names = names()?;
                steps.retain(|step| names.contains(&step.name));
            }
            "--skip" => {
                let names = names()?;
                steps.retain(|step| !names.contains(&step.name));
            }
            other => {
                return Err(format!(
                    "unknown option `{other}`; known are --list, --only A,B, --skip A,B"
                ));
            }
        }
    }
    Ok(Some(steps))
}

/// Installs what the tests need and starts their database, unless the environment names one.
fn prepare() -> Result<Option<Postgres>, Failure> {
    println!("== set-up");
    install::install(install::TESTS)?;
    if let Some(folder) = qemu::folder_of_expected()? {
        shell::put_on_path(folder);
    }
    Ok(if VARIABLES.iter().all(|name| std::env::var_os(name).is_some()) {
        println!("{} are set: using that server", VARIABLES.join(" and "));
        None
    } else {
        Some(Postgres::start()?)
    })
}

fn execute(step: &'static Step, server: Option<&Postgres>) -> Ended {
    println!("\n== {}: {}", step.name, step.about);
    let start = Instant::now();
    let outcome = (step.run)(server).unwrap_or_else(Outcome::Failed);
    if let Outcome::Failed(reason) = &outcome {
        println!("{} failed: {reason}", step.name);
    }
    Ended {
        step: step.name,
        outcome,
        elapsed: start.elapsed(),
    }
}

fn fmt(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    shell::run(&mut shell::cargo(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

fn clippy(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    let mut clippy = shell::cargo([
        "clippy",
        "--keep-going",
        "--locked",
        "--workspace",
        "--all-targets",
        "--all-features",
    ]);
    shell::run(clippy.args(["--", "-D", "warnings"]))?;
    Ok(Outcome::Passed)
}

fn docs(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    let mut doc = shell::cargo([
        "doc",
        "--keep-going",
        "--locked",
        "--workspace",
        "--no-deps",
        "--all-features",
    ]);
    shell::run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::Passed)
}

fn tests(server: Option<&Postgres>) -> Result<Outcome, Failure> {
    const TARGETS: &[&str] = &["--lib", "--bins", "--tests"];
    let mut first = TestReport::default();
    let Err(failure) = shell::run_watched(&mut cargo_test(server, TARGETS), |line| first.read_line(line))
    else {
        return Ok(Outcome::Passed);
    };
    let Some(failed) = first.few_failed() else {
        return Err(failure);
    };
    println!("\nFailed, run once more alone: {}", failed.join(", "));
    let mut again = cargo_test(server, TARGETS);
    again.args(["--", "--exact"]).args(failed);
    let mut second = TestReport::default();
    shell::run_watched(&mut again, |line| second.read_line(line))?;
    if second.passed < failed.len() {
        return Err(failure);
    }
    for test in failed {
        println!("::warning title=flaky test::{test} failed at first and passed alone");
    }
    Ok(Outcome::Flaky(failed.join(", ")))
}

fn doctests(server: Option<&Postgres>) -> Result<Outcome, Failure> {
    shell::run(&mut cargo_test(server, &["--doc"]))?;
    Ok(Outcome::Passed)
}

fn cargo_test(server: Option<&Postgres>, targets: &[&str]) -> Command {
    let mut test = shell::cargo([
        "test",
        "--locked",
        "--workspace",
        "--all-features",
        "--no-fail-fast",
    ]);
    test.args(targets);
    if let Some(server) = server {
        for name in VARIABLES {
            test.env(name, server.url());
        }
    }
    test
}

fn examples(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    shell::run(&mut shell::cargo([
        "build",
        "--locked",
        "--workspace",
        "--all-features",
        "--examples",
    ]))?;
    Ok(Outcome::Passed)
}

fn browser(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    browser::check()?;
    Ok(Outcome::Passed)
}

fn openapi(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    openapi::check()?;
    Ok(Outcome::Passed)
}

fn arm64(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    arm64::check()?;
    Ok(Outcome::Passed)
}

fn versions(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    versions::check()?;
    Ok(Outcome::Passed)
}

fn workflows(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    workflows::check()?;
    Ok(Outcome::Passed)
}

fn action(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    action::check()?;
    Ok(Outcome::Passed)
}

fn package(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    // They are not compiled once more: what is in them is what the tests were built from.
    shell::run(&mut shell::cargo([
        "package",
        "--quiet",
        "--locked",
        "--workspace",
        "--exclude",
        "xtask",
        "--exclude",
        "benches",
        "--no-verify",
        "--allow-dirty",
    ]))?;
    Ok(Outcome::Passed)
}

fn documentation_site(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    install::install(install::DOCS)?;
    crate::docs::check(true)?;
    Ok(Outcome::Passed)
}

fn bans(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    deny::check(&["bans", "licenses", "sources"])?;
    Ok(Outcome::Passed)
}

fn advisories(_: Option<&Postgres>) -> Result<Outcome, Failure> {
    if !deny::database_is_reachable() {
        let reason = "the advisory database on github.com cannot be reached from here";
        println!("{reason}: nothing was checked");
        return Ok(Outcome::NotRun(reason.into()));
    }
    deny::check(&["advisories"])?;
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Result<Vec<&'static str>, Failure> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        Ok(selection(&arguments)?
            .unwrap_or_default()
            .iter()
            .map(|step| step.name)
            .collect())
    }

    #[test]
    fn steps_are_selected_by_name() {
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        assert_eq!(names(&["--only", "tests,fmt"]).unwrap(), ["fmt", "tests"]);
        assert_eq!(
            names(&["--skip", "deny,advisories"]).unwrap().len(),
            STEPS.len() - 2
        );
        assert!(names(&["--list"]).unwrap().is_empty());
    }

    #[test]
    fn a_misspelt_step_or_option_is_refused() {
        assert!(
            names(&["--only", "clipy"])
                .unwrap_err()
                .contains("no step `clipy`")
        );
        assert!(names(&["--only"]).unwrap_err().contains("wants a list"));
        assert!(
            names(&["--fast"])
                .unwrap_err()
                .contains("unknown option `--fast`")
        );
    }
}
