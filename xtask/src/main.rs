//! `cargo xtask`: the repository's chores.
//!
//! A fresh machine compiles this first, so it depends on nothing but the standard library and only
//! starts other programs. Every command is printed before it runs. Each subcommand has a file of its
//! own; to add one, write the file and add a line to [`COMMANDS`].

mod action;
mod arm64;
mod browser;
mod debian;
mod demo;
mod deny;
mod dist;
mod dist_check;
mod docker;
mod dockerfile;
mod docs;
mod evaluate;
mod fresh;
mod guest;
mod install;
mod openapi;
mod postgres;
mod qemu;
mod shell;
mod summary;
mod test;
mod test_report;
mod toolchain;
mod tools;
mod versions;
mod workflows;

use std::process::ExitCode;

/// What went wrong, ready to be printed behind `error: `.
type Failure = String;

/// A chore: takes the arguments behind its name, answers with the exit code of the process.
struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<ExitCode, Failure>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        about: "build snippex and check a program of this machine with it",
        run: demo::run,
    },
    Command {
        name: "dist",
        about: "make what a release has: archives, packages, checksums, SBOMs (--arch A, --programs DIR, --check SUITE)",
        run: dist::run,
    },
    Command {
        name: "docker",
        about: "do in new systems of Debian what the Dockerfiles do (NAME...; --build compiles as well); needs root",
        run: docker::run,
    },
    Command {
        name: "docs",
        about: "make the documentation's site, follow its links and do its tutorials (--no-tutorials, --only-tutorials)",
        run: docs::run,
    },
    Command {
        name: "evaluate",
        about: "measure the regression detectors on recorded results (--data DIR) or artificial noise (--artificial)",
        run: evaluate::run,
    },
    Command {
        name: "fresh",
        about: "make a new Debian or Ubuntu in a folder and install there (bookworm, trixie, noble; -- COMMAND)",
        run: fresh::run,
    },
    Command {
        name: "install",
        about: "install what the tests need, and show where each program is and its version",
        run: install::run,
    },
    Command {
        name: "test",
        about: "install what the tests need and run all of them (--list, --only A,B, --skip A,B)",
        run: test::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        print_usage();
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        print_usage();
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprintln!("error: there is no chore `{name}`");
        print_usage();
        return ExitCode::from(2);
    };
    (command.run)(rest).unwrap_or_else(|failure| {
        eprintln!("error: {failure}");
        ExitCode::from(2)
    })
}

fn print_usage() {
    eprintln!("usage: cargo xtask CHORE [OPTIONS]\n");
    for command in COMMANDS {
        eprintln!("  {:<10} {}", command.name, command.about);
    }
}
