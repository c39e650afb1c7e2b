//! What cannot work is told before anything runs, and what is not there is not taken for good news.

use std::fs;
use std::io::{BufRead as _, BufReader};

use crate::sandbox::{Ended, Sandbox, TINY, elf, tiny_program};

#[test]
fn a_run_or_an_engine_without_results_is_no_empty_answer() {
    let sandbox = Sandbox::after_a_check();
    for command in [
        &["report", "json"][..],
        &["report", "markdown"],
        &["bugs"],
        &["bugs", "--signatures"],
        &["export", "csv", "validations"],
        &["export", "csv", "history"],
    ] {
        sandbox
            .run(&[command, &["--run", "999"]].concat())
            .refused(&["no run 999", "snippex list --runs"]);
        if command[0] != "export" {
            sandbox
                .run(&[command, &["-e", "nosuch"]].concat())
                .refused(&["nosuch", "there are: mock; native"]);
            sandbox.ok(&[command, &["-e", "mock"]].concat());
        }
        sandbox.ok(&[command, &["--run", "1"]].concat());
    }
    sandbox
        .run(&["bugs", "show", "imul.flags", "-e", "nosuch"])
        .refused(&["nosuch"]);
    sandbox.ok(&["extract", TINY, "--database", "fresh.db"]);
    sandbox
        .run(&["bugs", "-e", "mock", "--database", "fresh.db"])
        .refused(&["no run yet"]);
}

#[test]
fn reports_that_cannot_be_written_are_refused_before_the_check() {
    let sandbox = Sandbox::after_a_check();
    let record = ["record", TINY, "--states", "8", "--to", "tiny.rec"];
    sandbox.ok(&record);
    let check = ["check", TINY, "-e", "mock", "--states", "8"];
    for form in ["html", "markdown", "pdf", "csv", "json"] {
        let export = [&format!("--export-{form}")[..], "missing/x"];
        for command in [
            &check[..],
            &["validate", "all", "-e", "mock"],
            &["replay", "tiny.rec", "-e", "mock"],
        ] {
            sandbox.run(&[command, &export].concat()).refused(&[
                "cannot write missing/x",
                "No such file",
                "folder",
            ]);
        }
    }
    sandbox
        .run(&[&check[..], &["--export-html", "."]].concat())
        .refused(&["cannot write ."]);
    let runs = sandbox.json(&["list", "--runs"]);
    assert_eq!(runs.as_array().unwrap().len(), 1, "nothing was run");
}

#[test]
fn a_baseline_without_the_engine_is_refused_before_the_check() {
    let sandbox = Sandbox::after_a_check();
    let run = |command: &str, engine: &str, more: &[&str]| {
        sandbox.run(
            &[
                &["regression", command, TINY, "--states", "8", "-e", engine],
                more,
            ]
            .concat(),
        )
    };
    assert_eq!(run("record", "mock", &[]).code, Some(0));
    run("test", "native", &[]).refused(&["nothing about native", "mock against native"]);
    run("test", "mock", &["--junit", "missing/x.xml"]).refused(&["cannot write missing/x.xml"]);
    assert_eq!(
        sandbox.json(&["list", "--runs"]).as_array().unwrap().len(),
        2,
        "nothing was run"
    );
}

#[test]
fn names_of_no_bug_and_empty_issues_are_refused() {
    let sandbox = Sandbox::after_a_check();
    assert_eq!(
        sandbox
            .run(&["regression", "record", TINY, "--states", "8", "-e", "mock"])
            .code,
        Some(0)
    );
    let baseline = fs::read(sandbox.path("snippex-baseline.txt")).unwrap();
    for name in ["no.such-bug", "nonsense", "", "two words"] {
        sandbox
            .run(&["regression", "approve", name, "--reason", "x"])
            .refused(&["is no block and no bug", "snippex bugs"]);
    }
    for name in ["no.such-bug", "nonsense", "two words"] {
        sandbox
            .run(&["bugs", "known", "add", name, "--issue", "x"])
            .refused(&["there is no bug"]);
    }
    let bug = sandbox.json(&["bugs"])[0]["id"].as_str().unwrap().to_owned();
    for issue in ["", " "] {
        for command in [
            &["bugs", "known", "add", &bug][..],
            &["regression", "approve", &bug, "--reason", "x"],
        ] {
            let ended = sandbox.run(&[command, &["--issue", issue]].concat());
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.stderr.contains("one word, such as a URL"), "{ended:?}");
        }
    }
    let ended = sandbox.run(&["regression", "approve", &bug, "--reason", " "]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(fs::read(sandbox.path("snippex-baseline.txt")).unwrap(), baseline);
    // A sentence of the manual has the same name everywhere, whatever was met here.
    sandbox.ok(&["regression", "approve", "mxcsr-de", &bug, "--reason", "x"]);
}

#[test]
fn engines_that_are_not_there_and_names_of_presets_are_told() {
    let sandbox = Sandbox::new();
    let added = sandbox.ok(&[
        "engines",
        "add",
        "gone",
        "--command",
        "/no/such/emulator {runner}",
    ]);
    assert!(!added.stderr.contains("preset"), "{added:?}");
    let listed = sandbox.ok(&["engines", "list"]);
    assert!(
        listed
            .stderr
            .contains("engine gone needs /no/such/emulator, which is not there"),
        "{listed:?}"
    );
    let listed = sandbox.json(&["engines", "list"]);
    let engine = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|engine| engine["name"] == "gone");
    assert_eq!(engine.unwrap()["available"], false);
    let over = sandbox.ok(&["engines", "add", "box64", "--command", "env {runner}"]);
    for words in [
        "warning: box64 is a preset",
        "`env {runner}`",
        "snippex engines remove box64",
    ] {
        assert!(over.stderr.contains(words), "{words}: {over:?}");
    }
    let mut command = sandbox.command(&["engines", "test", "valgrind"]);
    let ended = command.env("PATH", "/nowhere").output().unwrap();
    let ended = Ended::of(&ended);
    ended.refused(&["snippex engines list"]);
    assert!(!ended.stderr.contains("--e"), "it has no such options: {ended:?}");
}

#[test]
fn a_reader_that_goes_away_ends_a_check_like_a_closed_pipe() {
    let sandbox = Sandbox::new();
    // The mock gets each of these blocks wrong: far more lines than a pipe holds.
    const IMUL_JO: [u8; 6] = [0x48, 0x0f, 0xaf, 0xc6, 0x70, 0x00];
    sandbox.file(TINY, &elf(&IMUL_JO.repeat(3000)));
    let check = [
        "check",
        TINY,
        "-e",
        "mock",
        "--states",
        "64",
        "--format=jsonl",
        "--no-reduce",
    ];
    let mut command = sandbox.command(&check);
    let mut child = command.spawn().unwrap();
    let mut first = String::new();
    let mut answer = BufReader::new(child.stdout.take().unwrap());
    answer.read_line(&mut first).unwrap();
    drop(answer);
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(141), "{ended:?}");
    assert!(
        !ended.stderr.contains("error") && !ended.stderr.contains("interrupted"),
        "{ended:?}"
    );
    // It is an early end all the same.
    assert_eq!(sandbox.json(&["list", "--runs"])[0]["status"], "interrupted");
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let sandbox = Sandbox::after_a_check();
    sandbox.file("bad.json", b"{\"snippex\": 1");
    sandbox
        .run(&["import", "bad.json", "--database", "new.db"])
        .refused(&["hint"]);
    for file in ["new.db", "new.db-wal", "new.db-shm"] {
        assert!(!sandbox.path(file).exists(), "{file}");
    }
    let before = sandbox.json(&["list", "--runs"]);
    sandbox.run(&["import", "bad.json"]).refused(&["hint"]);
    assert_eq!(sandbox.json(&["list", "--runs"]), before);
}

#[test]
fn a_recording_replaces_nothing_but_a_recording() {
    let sandbox = Sandbox::after_a_check();
    let record = |to: &str| sandbox.run(&["record", TINY, "--states", "8", "--to", to]);
    sandbox.file("notes.txt", b"not to be lost");
    record("notes.txt").refused(&["notes.txt", "not a recording", "new file"]);
    assert_eq!(fs::read(sandbox.path("notes.txt")).unwrap(), b"not to be lost");
    record("/dev/null").refused(&["/dev/null", "not a recording"]);
    let missing = record("missing/x.rec");
    missing.refused(&["missing/x.rec", "No such file"]);
    assert!(!missing.stderr.contains(".snippex-recording-"), "{missing:?}");
    sandbox.file("new.rec", b"");
    assert_eq!(record("new.rec").code, Some(0));
    let bytes = fs::read(sandbox.path("new.rec")).unwrap();
    let again = record("new.rec");
    assert!(again.stderr.contains("new.rec is replaced"), "{again:?}");
    assert_eq!(fs::read(sandbox.path("new.rec")).unwrap(), bytes);
}

#[test]
fn a_name_controls_no_terminal_and_begins_no_line() {
    let sandbox = Sandbox::new();
    let name = "ti\u{1b}[2Jny\n=cmd\u{7}";
    sandbox.file(name, &tiny_program());
    let shown = "ti\\u{1b}[2Jny\\n=cmd\\u{7}";
    let check = [
        "check",
        name,
        "-e",
        "mock",
        "--states",
        "8",
        "--no-reduce",
        "--color",
        "always",
    ];
    let ended = sandbox.run(&check);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for command in [
        &["list"][..],
        &["list", "--binaries"],
        &["disasm", "1"],
        &["stats", "summary", "--by", "binary"],
        &["stats", "blocks"],
        &["export", "csv", "blocks"],
        &["export", "csv", "validations"],
        &["report", "markdown"],
        &["report", "html"],
        &["extract", name],
        &["analyze", name],
        &["metrics", "show"],
    ] {
        let told = sandbox.ok(&[command, &["--color", "always"]].concat());
        for text in [&told.stdout, &told.stderr, &ended.stdout, &ended.stderr] {
            assert!(
                !text.contains("\u{1b}[2J") && !text.contains('\u{7}'),
                "{command:?}: {text}"
            );
            assert!(
                !text.lines().any(|line| line.starts_with("=cmd")),
                "{command:?}: {text}"
            );
        }
        if command == ["list", "--binaries"] {
            assert!(told.stdout.contains(shown), "{command:?}: {told:?}");
        }
    }
    // The file itself is found again by what is stored of it.
    sandbox.ok(&["validate", "all", "-e", "native", "--binary", shown]);
}
