//! Export and import, as a user does it.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::sandbox::{Ended, Sandbox, TINY, tiny_program};

/// A sandbox with runs of every kind: checks that find something, and a simulation.
fn filled() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file(TINY, &tiny_program());
    let ended = sandbox.run(&["check", TINY, "-e", "mock", "--states", "8"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    sandbox.ok(&["simulate", "1", "-e", "mock", "--states", "2"]);
    sandbox
}

fn lines(text: &str) -> Vec<&str> {
    text.split_terminator("\r\n").collect()
}

#[test]
fn a_bundle_goes_into_another_database() {
    let sandbox = filled();
    sandbox.ok(&["export", "json", "-o", "all.json"]);
    let dry = sandbox.ok(&["import", "all.json", "--dry-run", "--database", "other.db"]);
    assert!(
        dry.stdout.contains("blocks") && dry.stderr.contains("dry run"),
        "{dry:?}"
    );
    assert!(!sandbox.path("other.db").exists());
    let report = sandbox.json(&["import", "all.json", "--database", "other.db"]);
    let blocks = &report["sections"]["blocks"];
    assert!(
        blocks["added"].as_u64() > Some(0) && blocks["added"] == blocks["records"],
        "{report}"
    );
    let again = sandbox.json(&["import", "all.json", "--database", "other.db"]);
    assert_eq!(again["sections"]["blocks"]["added"], 0);
    let out = sandbox.ok(&["export", "json", "--database", "other.db", "-o", "-"]);
    assert_eq!(out.stdout, fs::read_to_string(sandbox.path("all.json")).unwrap());
    // What is shown is the same.
    for command in [
        &["bugs"][..],
        &["stats", "runs"],
        &["list"],
        &["list", "--divergences", "1"],
    ] {
        let other = [command, &["--database", "other.db"]].concat();
        assert_eq!(
            sandbox.run(command).stdout,
            sandbox.run(&other).stdout,
            "{command:?}"
        );
    }
}

#[test]
fn a_bundle_comes_through_a_pipe() {
    let sandbox = filled();
    let bundle = sandbox.ok(&["export", "json"]).stdout;
    let mut command = sandbox.command(&["import", "-", "--database", "other.db", "--format", "json"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bundle.as_bytes()).unwrap();
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_bundle_that_is_none_is_an_error_that_helps() {
    let sandbox = filled();
    sandbox.ok(&["export", "json", "-o", "all.json"]);
    let whole = fs::read(sandbox.path("all.json")).unwrap();
    sandbox.file("cut.json", &whole[..whole.len() / 2]);
    sandbox
        .run(&["import", "cut.json", "--database", "other.db"])
        .refused(&["copy it again"]);
    sandbox
        .run(&["import", TINY, "--database", "other.db"])
        .refused(&["snippex export json"]);
    sandbox.run(&["import", "missing.json"]).refused(&["name a file"]);
    sandbox.run(&["import", "."]).refused(&["check the path"]);
    assert!(!sandbox.path("other.db").exists(), "nothing is left behind");
}

#[test]
fn tables_are_csv_with_the_columns_that_are_asked_for() {
    let sandbox = filled();
    let blocks = sandbox.ok(&["export", "csv", "blocks"]).stdout;
    assert!(blocks.starts_with("block,binary,sha256,address,"), "{blocks}");
    assert!(blocks.ends_with("\r\n") && lines(&blocks).len() > 3);
    let some = sandbox
        .ok(&[
            "export",
            "csv",
            "validations",
            "--columns",
            "verdict,block",
            "--run",
            "1",
        ])
        .stdout;
    assert_eq!(lines(&some)[0], "verdict,block");
    assert!(
        lines(&some).contains(&"diverged,1") || some.contains("diverged,"),
        "{some}"
    );
    let simulations = sandbox
        .ok(&["export", "csv", "simulations", "--columns", "block,engine,cases"])
        .stdout;
    assert_eq!(lines(&simulations), ["block,engine,cases", "1,mock,2"]);
    assert_eq!(lines(&sandbox.ok(&["export", "csv", "history"]).stdout).len(), 2);
    let none = sandbox
        .ok(&["export", "csv", "validations", "--after-run", "1"])
        .stdout;
    assert_eq!(lines(&none).len(), 1);
    sandbox
        .run(&["export", "csv", "blocks", "--columns", "colour"])
        .refused(&["there are block, binary"]);
    sandbox
        .run(&["export", "csv", "blocks", "--columns", "block,block"])
        .refused(&["name it once"]);
    sandbox
        .run(&["export", "csv", "blocks", "--run", "1"])
        .refused(&["leave out --run"]);
}

#[test]
fn rows_are_appended_to_a_table_with_the_same_header() {
    let sandbox = filled();
    let append = [
        "export",
        "csv",
        "history",
        "--columns",
        "run,engine,blocks",
        "--append",
        "history.csv",
    ];
    sandbox.ok(&append);
    let ended = sandbox.run(&["check", TINY, "-e", "mock", "--states", "8"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    sandbox.ok(&[&append[..], &["--after-run", "1"]].concat());
    let text = fs::read_to_string(sandbox.path("history.csv")).unwrap();
    assert_eq!(lines(&text)[0], "run,engine,blocks");
    assert_eq!(lines(&text).len(), 3, "{text}");
    let other = [
        "export",
        "csv",
        "history",
        "--columns",
        "run",
        "--append",
        "history.csv",
    ];
    sandbox.run(&other).refused(&["choose the same columns"]);
    sandbox.file("cut.csv", b"run,engine,blocks\r\n1,mo");
    let cut = [
        "export",
        "csv",
        "history",
        "--columns",
        "run,engine,blocks",
        "--append",
        "cut.csv",
    ];
    sandbox.run(&cut).refused(&["name another file"]);
    assert_eq!(
        fs::read(sandbox.path("cut.csv")).unwrap(),
        b"run,engine,blocks\r\n1,mo"
    );
    sandbox.file("binary.csv", &[0xff; 64]);
    let binary = ["export", "csv", "history", "--append", "binary.csv"];
    sandbox.run(&binary).refused(&["name another file"]);
    assert_eq!(fs::read_to_string(sandbox.path("history.csv")).unwrap(), text);
}
