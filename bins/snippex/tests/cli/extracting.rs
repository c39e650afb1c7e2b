//! Blocks of several programs, and of what comes through a pipe.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use crate::sandbox::{Ended, PROGRAM, Sandbox, TINY, tiny_program};

/// Gives `bytes` to a command as its standard input.
fn with_input(sandbox: &Sandbox, arguments: &[&str], bytes: &[u8]) -> Ended {
    let mut child = sandbox.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // What is no program is not read to its end.
    drop(input.write_all(bytes));
    drop(input);
    Ended::of(&child.wait_with_output().unwrap())
}

#[test]
fn several_programs_keep_their_order_and_one_that_is_none_is_a_line() {
    let sandbox = Sandbox::new();
    sandbox.file(TINY, &tiny_program());
    sandbox.file("text", b"no program");
    let ended = sandbox.run(&["extract", PROGRAM, "text", "missing", TINY]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let heads: Vec<&str> = (ended.stdout.lines())
        .filter(|line| line.contains("found in") || line.contains("left out"))
        .collect();
    assert_eq!(heads.len(), 4, "{ended:?}");
    for (head, words) in heads.iter().zip([
        "/true: ",
        "text: left out: ",
        "missing: left out: ",
        "/tiny: 3 blocks",
    ]) {
        assert!(head.contains(words), "{words}: {heads:?}");
    }
    let binaries = sandbox.json(&["list", "--binaries"]);
    assert_eq!(binaries.as_array().unwrap().len(), 2);
    // The same for programs, as one document and line by line.
    let ended = sandbox.run(&["extract", "text", TINY, "--format", "json"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&document[0]["path"], &document[1]["binary"]),
        (&"text".into(), &TINY.into())
    );
    assert!(
        document[0]["problem"]
            .as_str()
            .unwrap()
            .contains("not an ELF or PE file")
    );
    let lines = sandbox
        .run(&["extract", "text", TINY, "--format", "jsonl"])
        .stdout;
    let lines: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 5, "a problem, three blocks, a report");
    sandbox.ok(&["extract", PROGRAM, TINY]);
    // One that is named alone is refused as before.
    sandbox
        .run(&["extract", "text"])
        .refused(&["not an ELF or PE file"]);
}

#[test]
fn patterns_name_programs_of_an_image_and_of_a_folder() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("programs")).unwrap();
    for name in ["one", "two"] {
        sandbox.file(&format!("programs/{name}"), &tiny_program());
    }
    sandbox.file("programs/script", b"#!/bin/sh\n");
    let found = sandbox.json(&["extract", "programs:*", "--dry-run"]);
    let names: Vec<&Value> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["binary"])
        .collect();
    assert_eq!(names, ["one", "two"], "what is no program is passed over");
    let one = sandbox.json(&["extract", "programs:one"]);
    assert_eq!(one["binary"], "one");
    sandbox
        .run(&["extract", "programs:none"])
        .refused(&["there is no none in programs"]);
    let ended = sandbox.run(&["extract", "programs:none*", "programs:one"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stdout.starts_with("programs:none*: left out: "),
        "{ended:?}"
    );
}

#[test]
fn a_program_comes_through_standard_input_and_pipes() {
    let sandbox = Sandbox::new();
    let extract = ["extract", "-", "--format", "json"];
    let ended = with_input(&sandbox, &extract, &tiny_program());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&document["binary"], &document["blocks"]),
        (&"standard-input".into(), &3.into())
    );
    with_input(&sandbox, &["extract", "-"], &[b'x'; 1 << 20])
        .refused(&["standard-input", "not an ELF or PE file"]);
    with_input(&sandbox, &["extract", "-"], b"").refused(&["not an ELF or PE file"]);
    let script = "mkfifo pipe; cat tiny > pipe & exec \"$0\" extract pipe --dry-run --format json";
    sandbox.file(TINY, &tiny_program());
    let mut shell = sandbox.command_of("sh", &["-c", script, env!("CARGO_BIN_EXE_snippex")]);
    let ended = Ended::of(&shell.output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&document["binary"], &document["blocks"]),
        (&"pipe".into(), &3.into())
    );
}
