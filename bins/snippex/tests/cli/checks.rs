//! Whole checks with real engines: native, mock and qemu-x86_64.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::sandbox::{BASH, Ended, PROGRAM, Sandbox, elf, needs};
use serde_json::Value;

const NUMBERS: [&str; 8] = [
    "runs",
    "elapsed_s",
    "runs_per_second",
    "completed",
    "faulted",
    "matched",
    "diverged",
    "inconclusive",
];

fn summary(document: &Value) -> &Value {
    let summary = &document["summary"];
    for name in NUMBERS.into_iter().chain(["unsupported"]) {
        assert!(summary[name].is_number(), "{name}: {summary}");
    }
    for engine in summary["engines"].as_array().unwrap() {
        assert!(engine["name"].is_string() && engine["version"].is_string() && engine["features"].is_array());
    }
    summary
}

#[test]
fn this_cpu_agrees_with_itself() {
    let sandbox = Sandbox::new();
    let ended = sandbox.ok(&[
        "check", PROGRAM, "-e", "native", "-n", "60", "--states", "16", "--format", "json",
    ]);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let summary = summary(&document);
    assert_eq!(document["blocks"], Value::Array(vec![]));
    let left_out: u64 = summary["blocks_not_run"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(summary["runs"].as_u64().unwrap(), (60 - left_out) * 16);
    assert_eq!(
        (&summary["diverged"], &summary["complete"]),
        (&0.into(), &true.into())
    );
    assert!(summary["matched"].as_u64() > Some(0));
    let verdicts = ["matched", "diverged", "inconclusive", "unsupported"];
    let sum: u64 = verdicts.iter().map(|name| summary[name].as_u64().unwrap()).sum();
    assert_eq!(Some(sum), summary["runs"].as_u64());
}

#[test]
fn what_linear_sweep_found_is_said_to_be_data_perhaps() {
    needs("qemu-x86_64");
    let sandbox = Sandbox::new();
    // mov eax, 60; syscall, and behind padding what nothing leads to: fcomi st, st(1), which qemu 7.2 gets wrong; ret.
    let mut code = vec![0xb8, 60, 0, 0, 0, 0x0f, 0x05];
    code.resize(32, 0xcc);
    code.extend([0xdb, 0xf1, 0xc3]);
    let program = sandbox.file("swept", &elf(&code));
    let program = program.to_str().unwrap();
    let check = |more: &[&str]| {
        let arguments = [&["check", program, "-e", "qemu-x86_64"][..], more].concat();
        sandbox.run(&arguments)
    };
    let ended = check(&[]);
    assert!(
        ended.stdout.contains("it may be data: found by linear sweep"),
        "{ended:?}"
    );
    let document: Value = serde_json::from_str(&check(&["--format", "json"]).stdout).unwrap();
    assert_eq!(document["summary"]["diverging_swept_blocks"], 1);
    assert_eq!(document["blocks"][0]["origin"], "sweep");
    let without = check(&["--no-sweep"]);
    assert!(without.stdout.contains("no divergence"), "{without:?}");
}

#[test]
fn a_wrong_engine_is_found_out_and_its_divergences_can_be_looked_at() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&[
        "check",
        BASH,
        "-e",
        "mock",
        "-n",
        "300",
        "--smart-select",
        "--states",
        "4",
        "--format",
        "jsonl",
    ]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, blocks) = lines.split_last().unwrap();
    assert_eq!(last["type"], "summary");
    assert!(
        !blocks.is_empty(),
        "IMUL occurs in bash, and the mock gets its flags wrong"
    );
    assert_eq!(last["diverging_blocks"].as_u64(), Some(blocks.len() as u64));
    assert!(
        blocks
            .iter()
            .all(|block| block["type"] == "block" && block["findings"][0]["differences"][0].is_object())
    );

    let stored = sandbox.json(&["list", "--divergences", "--limit", "0"]);
    let findings: usize = blocks
        .iter()
        .map(|block| block["findings"].as_array().unwrap().len())
        .sum();
    assert_eq!(stored.as_array().unwrap().len(), findings);
    let example = &last["divergences"][0]["example"];
    let id = example["divergence"].to_string();
    let shown = sandbox.run(&["compare", "--divergence", &id]);
    assert_eq!(shown.code, Some(1), "{shown:?}");
    assert!(
        shown.stdout.contains("diverged: ") && shown.stdout.contains(" ! "),
        "{shown:?}"
    );
    let compared = sandbox.json(&["compare", "--divergence", &id]);
    assert_eq!(compared["block"], example["block"]);
    assert_eq!(compared["comparison"]["outcome"], "diverged");

    let human = sandbox.run(&["validate-batch", "all", "-e", "mock", "--states", "4"]);
    assert_eq!(human.code, Some(1));
    for words in [
        "Engines",
        "Runs",
        "Divergences",
        "mock differs from native",
        "snippex compare --divergence",
    ] {
        assert!(human.stdout.contains(words), "{words}: {human:?}");
    }
    let runs = sandbox.json(&["list", "--runs"]);
    assert_eq!(
        (&runs[0]["command"], &runs[0]["status"]),
        (&"validate".into(), &"finished".into())
    );
    assert_eq!(runs[1]["diverged"], last["diverged"]);
}

#[test]
fn qemu_is_checked_and_described() {
    needs("qemu-x86_64");
    let sandbox = Sandbox::new();
    let document = sandbox.json(&[
        "check",
        PROGRAM,
        "-e",
        "qemu-x86_64",
        "-n",
        "60",
        "--states",
        "16",
    ]);
    let summary = summary(&document);
    let engines = summary["engines"].as_array().unwrap();
    assert_eq!(
        (&engines[0]["name"], &engines[1]["name"]),
        (&"native".into(), &"qemu-x86_64".into())
    );
    assert!(
        engines[1]["version"].as_str().unwrap().contains("version"),
        "{engines:?}"
    );
    assert!(
        summary["matched"].as_u64().unwrap() * 10 > summary["runs"].as_u64().unwrap() * 9,
        "{summary}"
    );
}

#[test]
fn a_command_of_ones_own_is_an_engine() {
    needs("qemu-x86_64");
    let sandbox = Sandbox::new();
    let command = "qemu-x86_64 -cpu max {runner}";
    let arguments = [
        "check",
        PROGRAM,
        "-n",
        "5",
        "--states",
        "2",
        "--engine-command",
        command,
    ];
    let of = |extra: &[&str]| {
        sandbox.json(&[&arguments[..], extra].concat())["summary"]["engines"][1]["name"].clone()
    };
    assert_eq!(of(&[]), "qemu-x86_64");
    assert_eq!(of(&["--engine-name", "mine"]), "mine");
}

#[test]
fn threads_and_repetition_change_nothing() {
    let sandbox = Sandbox::new();
    let verdicts = |threads: &str| {
        let arguments = [
            "check",
            BASH,
            "-e",
            "mock",
            "-n",
            "300",
            "--smart-select",
            "--states",
            "8",
            "--seed",
            "0xabc",
            "-j",
            threads,
        ];
        let document = sandbox.json(&arguments);
        let counts = [
            "runs",
            "completed",
            "faulted",
            "matched",
            "diverged",
            "inconclusive",
            "unsupported",
        ];
        let counts = counts.map(|name| document["summary"][name].clone());
        (document["blocks"].clone(), counts)
    };
    let one = verdicts("1");
    assert_eq!(one, verdicts("1"));
    assert_eq!(one, verdicts("3"));
}

#[test]
fn parts_cover_everything_once() {
    let sandbox = Sandbox::new();
    let runs = |extra: &[&str]| {
        let arguments = ["check", PROGRAM, "-e", "native", "-n", "50", "--states", "2"];
        sandbox.json(&[&arguments[..], extra].concat())["summary"]["runs"]
            .as_u64()
            .unwrap()
    };
    let parts: u64 = (1..=3)
        .map(|part| runs(&["--partition", &format!("{part}/3")]))
        .sum();
    assert_eq!(parts, runs(&[]));
    let ended = sandbox.run(&["check", PROGRAM, "--partition", "4/3"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[test]
fn several_programs_are_one_run() {
    let sandbox = Sandbox::new();
    sandbox.file("one", &elf(&[0x31, 0xc0, 0xc3]));
    sandbox.file("two", &elf(&[0x48, 0x01, 0xd8, 0xc3]));
    let document = sandbox.json(&["check", "one", "two", "-e", "native", "--states", "32"]);
    let summary = summary(&document);
    assert_eq!((&summary["blocks"], &summary["runs"]), (&2.into(), &64.into()));
    assert_eq!(summary["binaries"].as_array().unwrap().len(), 2);
    assert_eq!(sandbox.json(&["list", "--runs"]).as_array().unwrap().len(), 1);
    assert_eq!(
        sandbox.json(&["list", "1-2"]).as_array().unwrap().len(),
        2,
        "numbers are unique in a database"
    );
    assert_eq!(
        sandbox.json(&["list"]).as_array().unwrap().len(),
        1,
        "the most recent binary"
    );
    assert_eq!(sandbox.json(&["list", "--binary", "one"])[0]["number"], 1);
}

#[test]
fn a_program_that_is_named_twice_is_run_once() {
    let sandbox = Sandbox::new();
    for name in ["one", "copy"] {
        sandbox.file(name, &elf(&[0x31, 0xc0, 0xc3]));
    }
    let ended = sandbox.ok(&["check", "one", "copy", "one", "-e", "native", "--format", "json"]);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(summary(&document)["blocks"], 1);
    for words in ["copy is left out: it is the same as one", "one is left out"] {
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
}

#[test]
fn names_of_files_need_not_be_text() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("").join(OsStr::from_bytes(b"not \xff text"));
    std::fs::write(&path, elf(&[0x31, 0xc0, 0xc3])).unwrap();
    let check = |command: &str| {
        let mut command = sandbox.command(&[command, "-e", "native"]);
        Ended::of(&command.arg(&path).output().unwrap())
    };
    let ended = check("check");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let runs = sandbox.json(&["list", "--runs"]);
    assert!(runs[0]["arguments"].as_str().unwrap().contains("text"), "{runs}");
    let ended = check("bench");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// A comparison of the ends alone takes this for a wrong store: memory was written before the rest.
#[test]
fn a_stored_divergence_is_told_alike_by_every_command() {
    const CODE: &[u8] = &[
        0xdc, 0xe2, // fsubr st(2), st
        0xd9, 0xca, // fxch st(2)
        0xdf, 0x7c, 0x24, 0x20, // fistp qword [rsp + 0x20]
        0x48, 0x8b, 0x44, 0x24, 0x20, // mov rax, [rsp + 0x20]
        0xc3, // ret
    ];
    needs("qemu-x86_64");
    let sandbox = Sandbox::new();
    sandbox.file("x87", &elf(CODE));
    let checked = sandbox.json(&["check", "x87", "-e", "qemu-x86_64"]);
    for names in ["bugs", "signatures"] {
        let finding = &checked["blocks"][0]["findings"][0][names];
        let names: Vec<String> = serde_json::from_value(finding.clone()).unwrap();
        let different: BTreeSet<&String> = names.iter().collect();
        assert_eq!(names.len(), different.len(), "{names:?}");
    }
    let list = sandbox.json(&["list", "--divergences"]);
    for listed in list.as_array().unwrap() {
        let number = listed["divergence"].to_string();
        let shown = sandbox.json(&["compare", "--divergence", &number]);
        let class = &shown["comparison"]["detail"]["class"];
        assert_eq!(class["kind"], listed["class"]);
        assert_eq!(class["culprit"]["form"], listed["culprit"]);
        let human = sandbox.run(&["compare", "--divergence", &number]).stdout;
        let kind = listed["class"].as_str().unwrap();
        assert!(
            human.contains(&format!("diverged: {kind}, beginning at")),
            "{human}"
        );
    }
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .any(|listed| listed["class"] == "x87")
    );
}

#[test]
fn speed_is_measured() {
    needs("qemu-x86_64");
    let sandbox = Sandbox::new();
    let measured = sandbox.json(&[
        "bench",
        PROGRAM,
        "-e",
        "qemu-x86_64",
        "-n",
        "40",
        "--states",
        "8",
        "--spawns",
        "2",
    ]);
    assert_eq!(measured["runs"], 320);
    let names: Vec<_> = measured["measurements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["what"])
        .collect();
    assert_eq!(
        names[..3],
        ["native", "native, all state in every run", "qemu-x86_64"]
    );
    assert!(
        measured["measurements"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["ns_per_run"].as_f64() > Some(0.0))
    );
    assert!(
        measured["times_spawn_per_block"].as_f64() > Some(10.0),
        "{measured}"
    );
}
