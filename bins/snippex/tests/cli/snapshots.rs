//! What users see, word for word. `SNAPSHOTS=overwrite cargo test -p snippex` takes the answers as they are now.

use snapbox::Assert;
use snapbox::data::Data;

use crate::sandbox::{Sandbox, TINY, tiny_program};

fn assert(actual: &str, expected: Data) {
    Assert::new()
        .action_env("SNAPSHOTS")
        .eq(actual.to_owned(), expected);
}

#[test]
fn help() {
    let sandbox = Sandbox::new();
    let mut all = sandbox.ok(&["--help"]).stdout;
    let commands = [
        "check",
        "record",
        "replay",
        "extract",
        "generate",
        "list",
        "disasm",
        "analyze",
        "simulate",
        "validate",
        "compare",
        "conformance",
        "engines",
        "hosts",
        "sources",
        "repro",
        "bugs",
        "reduce",
        "bench",
        "export",
        "import",
        "report",
        "remove",
        "stats",
        "metrics",
        "regression",
        "cache",
        "config",
        "completions",
        "man",
    ];
    for command in commands {
        all += &format!(
            "\n===== snippex {command} -h\n\n{}",
            sandbox.ok(&[command, "-h"]).stdout
        );
    }
    assert(&all, snapbox::file!["snapshots/help.txt"]);
}

#[test]
fn the_way_of_a_tiny_program() {
    let sandbox = Sandbox::new();
    sandbox.file(TINY, &tiny_program());
    let steps: [&[&str]; 12] = [
        &["extract", TINY, "--selection-report"],
        &["list"],
        &["disasm", "all"],
        &["disasm", "1", "--syntax", "att", "--format", "json"],
        &["analyze", TINY, "--top", "3"],
        &["check", TINY, "-e", "mock", "-j", "1"],
        &["list", "--divergences"],
        &["compare", "--divergence", "1"],
        &["bugs"],
        &["reduce", "1"],
        &["simulate", "1", "-e", "native"],
        &["remove", "all"],
    ];
    let mut all = String::new();
    for step in steps {
        let ended = sandbox.run(step);
        all += &format!("$ snippex {}\n{}", step.join(" "), ended.stdout);
        all += &ended
            .stderr
            .lines()
            .map(|line| format!("! {line}\n"))
            .collect::<String>();
        all += &format!("=> {}\n\n", ended.code.unwrap());
    }
    let folder = sandbox.path("").display().to_string();
    let all: String = all
        .replace(&folder, "[FOLDER]/")
        .lines()
        .map(|line| redacted(line) + "\n")
        .collect();
    assert(&all, snapbox::file!["snapshots/tiny.txt"]);
}

/// A line without what depends on time and machine.
fn redacted(line: &str) -> String {
    let (head, tail) = match line {
        _ if line.starts_with(" in ") => (" in [TIME]", line.split_once(';').map(|(_, rest)| rest)),
        _ if line.starts_with(" compared:") => (" compared: [STATE]", None),
        _ if line.contains("(reference)") || line.contains("(subject)") => {
            return line.split(')').next().unwrap().to_owned() + ") [CPU]";
        }
        _ if line.contains(", found in ") => {
            return line.split(", found in ").next().unwrap().to_owned() + ", found in [TIME]";
        }
        // Which flags IMUL leaves as they were is up to the CPU.
        _ if line.get(3..).is_some_and(|rest| rest.starts_with("flags  ")) => {
            return line.chars().take(27).collect::<String>() + " [FLAGS]";
        }
        _ if line.contains(" on native (") => {
            return line.split(" on native (").next().unwrap().to_owned() + " on native [CPU]";
        }
        _ => return line.to_owned(),
    };
    tail.map_or_else(|| head.to_owned(), |tail| format!("{head};{tail}"))
}
