//! The tutorials, done: each in one shell and one new folder, command by command, and what it prints held against what is shown.
//!
//! In a tutorial a line that is set in and begins with `$ ` is a command, `> ` goes on with it, and what follows is what it prints: a line
//! `...` stands for any lines, `[..]` for anything within one. A command has to end with 0, unless the next one is `echo $?`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Failure, shell};

/// A document, and whether its output is that of one machine: then only exit codes count.
struct Tutorial {
    file: &'static str,
    is_of_one_machine: bool,
}

const TUTORIALS: &[Tutorial] = &[
    Tutorial {
        file: "docs/tutorial.md",
        is_of_one_machine: true,
    },
    Tutorial {
        file: "docs/tutorial-gate.md",
        is_of_one_machine: false,
    },
    Tutorial {
        file: "docs/tutorial-regressd.md",
        is_of_one_machine: false,
    },
];

/// Commands that are shown and not run, each with its reason.
const NOT_RUN: &[(&str, &str)] = &[
    ("apt-get install", "changes the machine"),
    ("cargo install", "what is tried is built already"),
    ("snippex report github fcomi-flags --create", "opens an issue"),
    ("snippex check --generated", "takes minutes"),
    ("snippex bugs diff 7.2 8.0", "wants two versions of an engine"),
    (
        "snippex conformance fixtures/cases",
        "is about an engine of the reader's",
    ),
];

/// Commands that measure what has not changed: on a noisy machine a verdict may be wrong now and then, so that they may end with 1, and
/// what the next `echo $?` prints is not looked at. What they have to find stands elsewhere: changes that no noise hides.
const MEASURED: &[&str] = &["benchgate ab --base HEAD ", "benchgate check"];

/// Parts the output of commands; no program prints them.
const MARK: char = '\u{1e}';

/// A command with what it prints.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    line: usize,
    command: String,
    output: Vec<String>,
}

/// Does all tutorials.
pub(super) fn try_all() -> Result<(), Failure> {
    let folder = shell::target().join("xtask-tools/tutorials");
    let from = shell::root().join("xtask/docs");
    shell::copy_files(&from, &folder, &["requirements.txt", "go"])?;
    let modules = shell::install_python_packages(&folder)?;
    for tutorial in TUTORIALS {
        println!("\n== {}", tutorial.file);
        let text =
            std::fs::read_to_string(shell::root().join(tutorial.file)).map_err(|error| error.to_string())?;
        let shown = read(&text);
        // Outside of this repository, whose workspace and settings would count for what is below it.
        let place = std::env::temp_dir().join(format!("snippex-tutorial-{}", std::process::id()));
        let failed = |error: std::io::Error| format!("{}: {error}", place.display());
        std::fs::create_dir_all(&place).map_err(failed)?;
        let said = run(&shown, &place, &modules, &folder);
        std::fs::remove_dir_all(&place).map_err(failed)?;
        compare(tutorial, &shown, &said?)?;
    }
    Ok(())
}

/// The commands of a document.
fn read(text: &str) -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        let Some(inner) = line.strip_prefix("    ") else {
            // An empty line may be one of the output; text ends it.
            open &= line.is_empty();
            if open && let Some(last) = found.last_mut() {
                last.output.push(String::new());
            }
            continue;
        };
        if let Some(command) = inner.strip_prefix("$ ") {
            open = true;
            found.push(Shown {
                line: number + 1,
                command: command.to_owned(),
                output: Vec::new(),
            });
        } else if let Some(last) = found.last_mut().filter(|_| open) {
            match inner.strip_prefix("> ").or_else(|| (inner == ">").then_some("")) {
                Some(more) if last.output.is_empty() => {
                    last.command.push('\n');
                    last.command.push_str(more);
                }
                _ => last.output.push(inner.to_owned()),
            }
        }
    }
    for shown in &mut found {
        while shown.output.last().is_some_and(String::is_empty) {
            shown.output.pop();
        }
    }
    found
}

fn reason_not_to_run(command: &str) -> Option<&'static str> {
    NOT_RUN
        .iter()
        .find(|(start, _)| command.starts_with(start))
        .map(|(_, reason)| *reason)
}

/// What each command printed, and what it ended with.
fn run(shown: &[Shown], place: &Path, modules: &Path, tools: &Path) -> Result<Vec<(String, i32)>, Failure> {
    let mut script = String::from("exec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n");
    for one in shown {
        let command = reason_not_to_run(&one.command).map_or(one.command.as_str(), |_| "true");
        // The status of the command is there for the next one, and is printed behind the output.
        script.push_str(&format!(
            "{command}\n__ended=$?; printf '{MARK}%s{MARK}' \"$__ended\"; (exit $__ended)\n"
        ));
    }
    let file = place.join("commands.sh");
    std::fs::write(&file, script).map_err(|error| format!("{}: {error}", file.display()))?;
    let home = |variable: &str, name: &str| {
        std::env::var_os(variable)
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(name)))
    };
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=10", "900", "bash"])
        .arg(&file)
        .current_dir(place)
        .stdin(Stdio::null())
        .env("PATH", path(modules, tools)?)
        .env("PYTHONPATH", modules)
        .env("NO_COLOR", "1")
        .env("HOME", place)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("XDG_DATA_HOME");
    for (variable, name) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        if let Some(folder) = home(variable, name).filter(|folder| folder.is_dir()) {
            command.env(variable, folder);
        }
    }
    println!("$ {}", shell::words(&command));
    let output = command
        .output()
        .map_err(|error| format!("cannot start bash: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let parts: Vec<&str> = text.split(MARK).collect();
    let said: Vec<(String, i32)> = parts
        .chunks_exact(2)
        .map(|pair| (pair[0].to_owned(), pair[1].parse().unwrap_or(-1)))
        .collect();
    if said.len() == shown.len() {
        return Ok(said);
    }
    let last = shown
        .get(said.len())
        .map_or("the end", |one| one.command.as_str());
    Err(format!(
        "the shell ended at `{last}`: {}",
        parts.last().unwrap_or(&"")
    ))
}

/// The programs of this workspace, those of Python, all others, and last what stands for some.
fn path(modules: &Path, tools: &Path) -> Result<std::ffi::OsString, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = [shell::target().join("debug"), modules.join("bin")];
    let folders = first
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain([tools.to_path_buf()]);
    std::env::join_paths(folders).map_err(|error| format!("cannot set PATH: {error}"))
}

fn measures_noise(command: &str) -> bool {
    MEASURED.iter().any(|start| command.starts_with(start))
}

fn compare(tutorial: &Tutorial, shown: &[Shown], said: &[(String, i32)]) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for (index, (one, (output, ended))) in shown.iter().zip(said).enumerate() {
        if let Some(reason) = reason_not_to_run(&one.command) {
            println!("  not run: {} ({reason})", one.command);
            continue;
        }
        let before = index
            .checked_sub(1)
            .map_or("", |before| shown[before].command.as_str());
        let tells_noise = measures_noise(before) && one.command == "echo $?";
        let is_asked = shown.get(index + 1).is_some_and(|next| next.command == "echo $?");
        let most = i32::from(tutorial.is_of_one_machine || measures_noise(&one.command));
        let place = format!(
            "{}:{}: `{}`",
            tutorial.file,
            one.line,
            one.command.lines().next().unwrap_or("")
        );
        if !is_asked && !(0..=most).contains(ended) {
            wrong.push(format!("{place} ended with {ended}:\n{output}"));
        } else if !tutorial.is_of_one_machine && !tells_noise && !one.output.is_empty() {
            let lines: Vec<&str> = output.trim_end().lines().map(str::trim_end).collect();
            let expected: Vec<&str> = one.output.iter().map(|line| line.trim_end()).collect();
            if !matches(&expected, &lines) {
                wrong.push(format!(
                    "{place} printed\n{output}\nand not\n{}",
                    one.output.join("\n")
                ));
            }
        }
    }
    if wrong.is_empty() {
        println!("  {} commands did what is shown", shown.len());
        Ok(())
    } else {
        Err(wrong.join("\n\n"))
    }
}

/// Whether lines are as expected, `...` being any lines.
fn matches(expected: &[&str], lines: &[&str]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((&"...", rest)) => (0..=lines.len()).any(|skipped| matches(rest, &lines[skipped..])),
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, lines)| line_matches(first, line) && matches(rest, lines)),
    }
}

/// Whether a line is as expected, `[..]` being anything.
fn line_matches(expected: &str, line: &str) -> bool {
    let mut parts = expected.split("[..]");
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = line.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
        last = Some(part);
    }
    match last {
        None => rest.is_empty(),
        Some(part) => part.is_empty() || rest.is_empty() || line.ends_with(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_their_output_are_read() {
        let text = "Text\n\n    $ cat > x <<'EOF'\n    > a\n    >\n    > EOF\n    $ y\n    one\n\n    two\n\nmore\n\n    no command\n";
        let found = read(text);
        let shown = |line, command: &str, output: &[&str]| Shown {
            line,
            command: command.into(),
            output: output.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(
            found,
            [
                shown(3, "cat > x <<'EOF'\na\n\nEOF", &[]),
                shown(7, "y", &["one", "", "two"])
            ]
        );
    }

    #[test]
    fn output_is_held_against_what_is_shown() {
        assert!(matches(&["a", "...", "z [..] 3"], &["a", "b", "c", "z 1 2 3"]));
        assert!(matches(&["..."], &[]));
        assert!(!matches(&["a"], &["a", "b"]));
        assert!(!matches(&["...", "z"], &["a"]));
        assert!(line_matches("[..]x", "axbx"));
        assert!(!line_matches("a[..]b", "a c"));
        assert!(!line_matches("a", "ab"));
    }

    #[test]
    fn what_is_not_run_is_in_a_tutorial() {
        let texts: String = TUTORIALS
            .iter()
            .map(|tutorial| std::fs::read_to_string(shell::root().join(tutorial.file)).unwrap())
            .collect();
        for start in NOT_RUN.iter().map(|(start, _)| start).chain(MEASURED) {
            assert!(texts.contains(&format!("    $ {start}")), "{start}");
        }
    }

    #[test]
    fn noise_may_end_what_measures_and_nothing_else() {
        let tutorial = Tutorial {
            file: "t",
            is_of_one_machine: false,
        };
        let try_one = |text: &str, said: &[(&str, i32)]| {
            let said: Vec<(String, i32)> = said
                .iter()
                .map(|(text, code)| ((*text).to_owned(), *code))
                .collect();
            compare(&tutorial, &read(text), &said)
        };
        let same = "    $ benchgate ab --base HEAD -- x\n    ...\n    $ echo $?\n    0\n";
        assert_eq!(try_one(same, &[("regression\n", 1), ("1\n", 0)]), Ok(()));
        assert!(try_one(same, &[("regression\n", 101), ("101\n", 101)]).is_err());
        let other = "    $ benchgate ab --base HEAD~1 -- x\n    ...\n    $ echo $?\n    1\n";
        assert!(try_one(other, &[("unchanged\n", 0), ("0\n", 0)]).is_err());
    }
}
