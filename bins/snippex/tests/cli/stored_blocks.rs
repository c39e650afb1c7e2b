//! Extraction and what can be done with stored blocks.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::sandbox::{Ended, PROGRAM, Sandbox, default_database, elf, tiny_program};
use serde_json::Value;

#[test]
fn blocks_are_stored_listed_shown_counted_and_removed() {
    let sandbox = Sandbox::new();
    let extracted = sandbox.json(&["extract", PROGRAM]);
    let count = extracted["blocks"].as_u64().unwrap();
    assert!(count > 100, "{extracted}");
    assert_eq!(extracted["stored_new"], count);
    assert_eq!(
        (
            extracted["first_number"].as_u64(),
            extracted["last_number"].as_u64()
        ),
        (Some(1), Some(count))
    );
    assert!(default_database(&sandbox).is_file());

    let list = sandbox.json(&["list", "--limit", "0"]);
    let blocks = list.as_array().unwrap();
    assert_eq!(blocks.len() as u64, count);
    assert!(
        blocks
            .iter()
            .all(|block| block["instructions"].as_u64() > Some(0) && block["binary"] == "true")
    );

    let shown = sandbox.ok(&["disasm", "1-3"]).stdout;
    assert_eq!(shown.matches("block ").count(), 3, "{shown}");
    assert!(shown.contains("->"), "{shown}");
    let document = sandbox.json(&["disasm", "2"]);
    let lines = document[0]["instructions"].as_array().unwrap();
    assert_eq!(lines.len() as u64, blocks[1]["instructions"].as_u64().unwrap());
    let bytes: String = lines.iter().map(|line| line["bytes"].as_str().unwrap()).collect();
    assert_eq!(blocks[1]["bytes"], bytes);

    let (stored, file) = (
        sandbox.json(&["analyze", "all"]),
        sandbox.json(&["analyze", PROGRAM]),
    );
    assert_eq!(stored, file, "the same blocks, stored or not");
    assert_eq!(stored["blocks"], count);

    let removed = sandbox.json(&["remove", "1-10"]);
    assert_eq!(removed["blocks"], 10);
    sandbox
        .run(&["disasm", "5"])
        .refused(&["there is no block 5", "snippex list"]);
    assert_eq!(sandbox.json(&["remove", "--binary", "true"])["binaries"], 1);
    sandbox
        .run(&["list"])
        .refused(&["no blocks in the database", "snippex extract"]);
}

#[test]
fn numbers_stay_when_a_program_is_extracted_again() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["extract", PROGRAM, "--count", "20", "--seed", "7"]);
    let addresses = |list: Value| -> Vec<(Value, Value)> {
        let blocks = list.as_array().unwrap().iter();
        blocks
            .map(|block| (block["number"].clone(), block["address"].clone()))
            .collect()
    };
    let before = addresses(sandbox.json(&["list"]));
    let all = sandbox.json(&["extract", PROGRAM]);
    assert_eq!(
        all["stored_new"].as_u64().unwrap() + 20,
        all["blocks"].as_u64().unwrap()
    );
    assert_eq!(addresses(sandbox.json(&["list", "1-20"])), before);
}

#[test]
fn filters_select_and_dry_runs_store_nothing() {
    let sandbox = Sandbox::new();
    let dry = sandbox.json(&[
        "extract",
        PROGRAM,
        "--dry-run",
        "--has-memory-access",
        "--min-size",
        "3",
    ]);
    assert!(!default_database(&sandbox).exists());
    assert_eq!(dry["stored_new"], Value::Null);
    assert!(dry["matching"].as_u64() < dry["blocks"].as_u64());
    let stored = sandbox.json(&["extract", PROGRAM, "--has-memory-access", "--min-size", "3"]);
    assert_eq!(stored["chosen"], dry["matching"]);
    let list = sandbox.json(&["list", "--limit", "0"]);
    let fits = |block: &Value| {
        block["memory_operands"].as_u64() > Some(0) && block["instructions"].as_u64() >= Some(3)
    };
    assert!(list.as_array().unwrap().iter().all(fits));
    let sse = sandbox.json(&["list", "--limit", "0", "--instruction-types", "sse"]);
    assert!(
        sse.as_array()
            .unwrap()
            .iter()
            .all(|block| block["kinds"].as_array().unwrap().contains(&"sse".into()))
    );
}

#[test]
fn the_same_seed_selects_the_same_blocks() {
    let chosen = |seed: &str| {
        let sandbox = Sandbox::new();
        let extra = [
            "extract",
            PROGRAM,
            "-n",
            "15",
            "--smart-select",
            "--selection-report",
            "--seed",
            seed,
        ];
        let report = sandbox.json(&extra)["selection"].clone();
        assert_eq!(report["chosen"].as_array().unwrap().len(), 15);
        report
    };
    assert_eq!(chosen("3"), chosen("3"));
}

#[test]
fn contradictions_are_refused_and_nothing_found_is_warned_of() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&["extract", PROGRAM, "--min-size", "9", "--max-size", "3"])
        .refused(&["--min-size 9 is above --max-size 3"]);
    for flags in [
        ["--has-memory-access", "--no-memory-access"],
        ["--has-control-flow", "--no-control-flow"],
        ["--address-range", "9-3"],
        ["--instruction-types", "mmx"],
    ] {
        let ended = sandbox.run(&[&["extract", PROGRAM][..], &flags].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
    let ended = sandbox.ok(&["extract", PROGRAM, "--min-size", "100000"]);
    assert!(
        ended.stderr.contains("warning") && ended.stderr.contains("relax the filters"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("nothing stored"), "{ended:?}");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    use std::io::{BufRead, BufReader};
    let sandbox = Sandbox::new();
    sandbox.ok(&["extract", "/bin/bash", "--count", "5000"]);
    let mut child = sandbox
        .command(&["disasm", "all", "--format", "jsonl"])
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with('{'));
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[test]
fn the_next_page_is_of_the_same_list() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["extract", PROGRAM]);
    sandbox.file("later", &tiny_program());
    sandbox.ok(&["extract", "later"]);
    let next = |arguments: &[&str]| {
        let told = sandbox.ok(arguments).stderr;
        let line = told.lines().find_map(|line| line.strip_prefix("next: snippex "));
        line.unwrap_or_else(|| panic!("{told}")).to_owned()
    };
    let numbers = |arguments: &[&str]| -> Vec<u64> {
        let list = sandbox.json(arguments);
        let blocks = list.as_array().unwrap().iter();
        blocks.map(|block| block["number"].as_u64().unwrap()).collect()
    };
    for list in [
        &[
            "list",
            "--binary",
            "true",
            "--min-size",
            "4",
            "--has-memory-access",
        ][..],
        &["list", "3-200", "--instruction-types", "sse,branch", "--no-sweep"],
    ] {
        let all = numbers(&[list, &["-n", "0"]].concat());
        let first = numbers(&[list, &["-n", "5"]].concat());
        let next = next(&[list, &["-n", "5"]].concat());
        let second = numbers(&next.split(' ').collect::<Vec<_>>());
        assert_eq!([first, second].concat(), all[..10], "{next}");
    }
    let told = sandbox.ok(&["list", "1-200", "-n", "5"]).stderr;
    assert!(
        told.contains("5 of 200 blocks\n"),
        "blocks of whichever binary: {told}"
    );
}

#[test]
fn what_a_list_cannot_heed_is_refused() {
    let sandbox = Sandbox::new();
    for what in ["--binaries", "--runs", "--divergences=1"] {
        for filter in [&["5"][..], &["--min-size", "3"], &["--no-sweep"]] {
            let ended = sandbox.run(&[&["list", what], filter].concat());
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.stderr.contains("cannot be used with"), "{ended:?}");
        }
    }
    let ended = sandbox.run(&["list", "--divergences=x"]);
    assert!(ended.stderr.contains("write a number from 1 upward"), "{ended:?}");
}

#[test]
fn lists_say_when_they_are_cut() {
    let sandbox = Sandbox::new();
    for (name, code) in [("one", &[0x90, 0xc3][..]), ("two", &[0xc3])] {
        sandbox.file(name, &elf(code));
        sandbox.ok(&["check", name, "-e", "native", "--states", "1"]);
    }
    for what in ["--runs", "--binaries"] {
        let cut = sandbox.ok(&["list", what, "-n", "1"]);
        assert!(cut.stderr.contains("--limit 0"), "{cut:?}");
        let whole = sandbox.ok(&["list", what, "-n", "2"]);
        assert!(!whole.stderr.contains("--limit 0"), "{whole:?}");
    }
}

#[test]
fn a_binary_without_blocks_is_not_the_most_recent() {
    let sandbox = Sandbox::new();
    for (name, code) in [("one", &[0x90, 0xc3][..]), ("two", &[0xc3])] {
        sandbox.file(name, &elf(code));
        sandbox.ok(&["extract", name]);
    }
    sandbox.ok(&["remove", "2"]);
    assert_eq!(sandbox.json(&["list"])[0]["binary"], "one");
    sandbox.ok(&["remove", "1"]);
    sandbox
        .run(&["validate", "all", "-e", "native"])
        .refused(&["there are no blocks in the database", "snippex extract"]);
}

#[test]
fn a_selection_report_names_the_stored_blocks() {
    let sandbox = Sandbox::new();
    let choice = ["--count", "9", "--smart-select", "--selection-report"];
    let address_of = |block: &Value| {
        let listed = sandbox.json(&["list", &block.to_string()]);
        listed[0]["address"].clone()
    };
    let extracted = sandbox.json(&[&["extract", PROGRAM][..], &choice].concat());
    let checked = sandbox.json(&[&["check", PROGRAM, "-e", "native"][..], &choice].concat());
    let path = std::fs::canonicalize("/bin").unwrap().join("true");
    let in_summary = checked["summary"]["selection"]
        .get(PROGRAM)
        .or_else(|| checked["summary"]["selection"].get(path.to_str().unwrap()));
    assert_eq!(extracted["selection"], *in_summary.unwrap());
    let chosen = extracted["selection"]["chosen"].as_array().unwrap();
    assert_eq!(chosen.len(), 9);
    for block in chosen {
        assert_eq!(block["address"], address_of(&block["block"]));
    }
    let rare = &extracted["selection"]["categories"]["x87"];
    assert!(rare["matching"].is_u64() && rare["chosen"].is_u64(), "{rare}");
    let dry = sandbox.json(&[&["extract", PROGRAM, "--dry-run"][..], &choice].concat());
    assert_eq!(dry["selection"]["chosen"][0]["block"], Value::Null);
}

#[test]
fn a_file_whose_name_is_not_utf_8_is_found_again() {
    let sandbox = Sandbox::new();
    let name = OsStr::from_bytes(b"a\xff%41");
    std::fs::write(sandbox.path("").join(name), tiny_program()).unwrap();
    let extracted = Ended::of(&sandbox.command(&["extract"]).arg(name).output().unwrap());
    assert_eq!(extracted.code, Some(0), "{extracted:?}");
    let stored = sandbox.json(&["list", "--binaries"]);
    let path = stored[0]["path"].as_str().unwrap();
    assert!(
        path.starts_with("file:///") && path.ends_with("/a%FF%2541"),
        "{path}"
    );
    sandbox.ok(&["simulate", "1", "-e", "native"]);
    assert_eq!(sandbox.json(&["remove", "--binary", path])["binaries"], 1);
}
