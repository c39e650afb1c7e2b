//! Recordings as files: written on one machine, compared with on another.

use serde_json::Value;

use crate::sandbox::{PROGRAM, Sandbox, TINY, tiny_program};

/// What does not depend on time and machine of a summary.
fn verdicts(document: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(document).unwrap();
    let summary = &document["summary"];
    let names = [
        "runs",
        "completed",
        "faulted",
        "matched",
        "diverged",
        "inconclusive",
        "unsupported",
    ];
    names.iter().map(|name| summary[name].clone()).collect()
}

#[test]
fn a_replay_says_what_a_check_says() {
    let sandbox = Sandbox::new();
    // A program of our own: the mock's planted bug is in it, whatever system this is.
    sandbox.file(TINY, &tiny_program());
    let record = [
        "record", TINY, "-n", "300", "--states", "16", "--to", "prog.rec", "--format", "json",
    ];
    let recorded: Value = serde_json::from_str(&sandbox.ok(&record).stdout).unwrap();
    assert_eq!(recorded["complete"], true);
    assert_eq!(recorded["id"].as_str().unwrap().len(), 64);
    let check = [
        "check",
        TINY,
        "-e",
        "mock",
        "-n",
        "300",
        "--states",
        "16",
        "--format",
        "json",
        "--no-reduce",
    ];
    let direct = sandbox.run(&check);
    assert_eq!(direct.code, Some(1));
    let replay = sandbox.run(&["replay", "prog.rec", "-e", "mock", "--format", "json"]);
    assert_eq!(replay.code, Some(1), "{replay:?}");
    assert_eq!(verdicts(&replay.stdout), verdicts(&direct.stdout));
    let reference = [&check[..], &["--reference", "prog.rec"]].concat();
    let against = sandbox.run(&reference);
    assert_eq!(verdicts(&against.stdout), verdicts(&direct.stdout), "{against:?}");
    let itself = sandbox.run(&["replay", "prog.rec", "-e", "prog.rec"]);
    assert_eq!(itself.code, Some(0), "{itself:?}");
    // Two recordings of the same are the same file.
    let again = [
        "record",
        TINY,
        "-n",
        "300",
        "--states",
        "16",
        "--to",
        "again.rec",
        "-j",
        "1",
    ];
    sandbox.ok(&again);
    assert!(
        std::fs::read(sandbox.path("prog.rec")).unwrap() == std::fs::read(sandbox.path("again.rec")).unwrap()
    );
}

#[test]
fn vectors_name_start_end_and_what_is_undefined() {
    let sandbox = Sandbox::new();
    let record = [
        "record",
        "--generated",
        "--instruction",
        "shl,imul",
        "--per-form",
        "2",
        "--states",
        "4",
    ];
    sandbox.ok(&[&record[..], &["--to", "shl.rec"]].concat());
    let vectors = sandbox.ok(&["export", "vectors", "shl.rec", "-n", "6"]).stdout;
    let lines: Vec<Value> = vectors
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 7);
    assert_eq!(lines[0]["vectors"], 1);
    assert!(!lines[0]["vector_states"].as_array().unwrap().is_empty());
    let cases: Vec<&Value> = lines[1..]
        .iter()
        .flat_map(|block| block["cases"].as_array().unwrap())
        .collect();
    assert_eq!(cases.len(), 24);
    assert!(
        cases
            .iter()
            .all(|case| case["start"]["rax"].is_string() && case["end"]["rip"].is_string())
    );
    assert!(
        cases.iter().any(|case| case["undefined"]["rflags"].is_string()),
        "{}",
        lines[1]
    );
}

#[test]
fn what_is_no_whole_recording_is_refused_with_what_to_do() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["record", PROGRAM, "-n", "40", "--states", "4", "--to", "prog.rec"]);
    let bytes = std::fs::read(sandbox.path("prog.rec")).unwrap();
    let refused = |name: &str, bytes: &[u8], message: &str| {
        sandbox.file(name, bytes);
        for arguments in [
            vec!["replay", name, "-e", "native"],
            vec![
                "check",
                PROGRAM,
                "-e",
                "native",
                "-n",
                "4",
                "--states",
                "4",
                "--reference",
                name,
            ],
        ] {
            let ended = sandbox.run(&arguments);
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(
                ended.stderr.contains(message) && ended.stderr.contains("hint"),
                "{ended:?}"
            );
        }
    };
    refused("cut.rec", &bytes[..bytes.len() / 2], "cut short");
    refused("other.rec", b"not a recording at all", "not a recording");
    let mut damaged = bytes.clone();
    let last = damaged.len() - 60;
    damaged[last] ^= 1;
    refused("damaged.rec", &damaged, "damaged");
    let missing = sandbox.run(&["replay", "missing.rec", "-e", "native"]);
    assert_eq!(missing.code, Some(2));
    let other = sandbox.run(&[
        "check",
        PROGRAM,
        "-e",
        "native",
        "-n",
        "4",
        "--reference",
        "prog.rec",
    ]);
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("--seed 1 --states 4"), "{other:?}");
}
