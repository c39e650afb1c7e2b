//! Baselines: recorded, tested, accepted.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::sandbox::{Sandbox, TINY, elf, tiny_program};

const BASELINE: &str = "snippex-baseline.txt";

fn args<'a>(command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [
        &["regression", command, TINY, "-e", "mock", "--states", "8"],
        more,
    ]
    .concat()
}

/// A sandbox with a baseline of the tiny program, one of whose blocks the mock gets wrong.
fn recorded() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file(TINY, &tiny_program());
    sandbox.ok(&args("record", &[]));
    let text = read(&sandbox);
    assert!(text.starts_with("snippex baseline 1\nengine mock reference native seed 1 states 8\n"));
    assert_eq!(text.matches("\nfail ").count(), 1, "{text}");
    sandbox
}

fn read(sandbox: &Sandbox) -> String {
    fs::read_to_string(sandbox.path(BASELINE)).unwrap()
}

/// The line of the block that fails, and its key.
fn failing(sandbox: &Sandbox) -> (String, String) {
    let text = read(sandbox);
    let line = text.lines().find(|line| line.starts_with("fail ")).unwrap();
    (line.to_owned(), line.split(' ').nth(1).unwrap().to_owned())
}

/// Puts another verdict in the place of the failure.
fn expect_pass(sandbox: &Sandbox) -> String {
    let (line, key) = failing(sandbox);
    sandbox.file(
        BASELINE,
        read(sandbox).replace(&line, &format!("pass {key}")).as_bytes(),
    );
    key
}

#[test]
fn what_is_as_recorded_passes_and_what_is_worse_fails() {
    let sandbox = recorded();
    let same = sandbox.json(&args("test", &[]));
    assert_eq!(
        (&same["passed"], &same["stable"]),
        (&true.into(), &2.into()),
        "{same}"
    );
    let key = expect_pass(&sandbox);
    let ended = sandbox.run(&args("test", &["--junit", "out.xml", "--annotations"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stdout.contains("::error title=mock against native"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("regressed") && ended.stdout.contains(&key));
    let junit = fs::read_to_string(sandbox.path("out.xml")).unwrap();
    assert!(
        junit.contains("<failure") && junit.contains("passed before and fails now"),
        "{junit}"
    );
    // What is written down is expected from then on.
    sandbox.ok(&args("update", &[]));
    sandbox.ok(&args("test", &[]));
    let history = sandbox.json(&["regression", "history"]);
    let commands: Vec<&str> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["command"].as_str().unwrap())
        .collect();
    assert_eq!(commands, ["test", "update", "test", "test", "record"]);
}

#[test]
fn what_is_better_is_told_and_may_be_allowed() {
    let sandbox = recorded();
    let text = read(&sandbox);
    let pass = text.lines().find(|line| line.starts_with("pass ")).unwrap();
    sandbox.file(
        BASELINE,
        text.replace(pass, &format!("{} x.flags", pass.replace("pass", "fail")))
            .as_bytes(),
    );
    let ended = sandbox.run(&args("test", &[]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("fixed"), "{ended:?}");
    sandbox.ok(&args("test", &["--allow-fixed"]));
}

#[test]
fn failures_are_accepted_by_block_and_by_bug() {
    let sandbox = recorded();
    let key = expect_pass(&sandbox);
    let before = read(&sandbox);
    let approve = |name: &str, more: &[&str]| {
        sandbox.ok(&[
            &["regression", "approve", name, "--reason", "known for long"],
            more,
        ]
        .concat())
    };
    approve(
        &key,
        &["--issue", "https://example.org/1", "--until", "2999-01-01"],
    );
    assert!(read(&sandbox).contains("until 2999-01-01 issue https://example.org/1 reason known for long"));
    sandbox.ok(&args("test", &[]));
    sandbox.file(BASELINE, read(&sandbox).replace("2999", "1999").as_bytes());
    let over = sandbox.run(&args("test", &[]));
    assert_eq!(over.code, Some(1), "{over:?}");
    // By what is behind it.
    sandbox.file(BASELINE, before.as_bytes());
    let told = sandbox.json(&args("test", &[]));
    let causes = told["changes"][0]["now"].as_array().unwrap().clone();
    for cause in &causes {
        approve(cause.as_str().unwrap(), &[]);
    }
    let accepted = sandbox.json(&args("test", &[]));
    assert_eq!(accepted["changes"][0]["change"], "accepted");
    let past = sandbox.run(&[
        "regression",
        "approve",
        &key,
        "--reason",
        "x",
        "--until",
        "2001-01-01",
    ]);
    past.refused(&["over already"]);
    sandbox
        .run(&[
            "regression",
            "approve",
            &key,
            "--reason",
            "x",
            "--engine",
            "other",
        ])
        .refused(&["engines in it: mock"]);
}

#[test]
fn a_rebuilt_program_is_compared_by_the_bytes_of_blocks() {
    let sandbox = recorded();
    // The same blocks, behind one that was not there.
    let tiny = tiny_program();
    let mut code = vec![0x31, 0xdb, 0x74, 0x00];
    code.extend_from_slice(&tiny[0x1000..]);
    sandbox.file(TINY, &elf(&code));
    let view = sandbox.json(&args("test", &[]));
    assert_eq!(
        (&view["stable"], &view["new"], &view["gone"]),
        (&2.into(), &1.into(), &0.into()),
        "{view}"
    );
}

#[test]
fn a_baseline_goes_through_json_and_what_is_no_baseline_is_refused() {
    let sandbox = recorded();
    sandbox.ok(&["regression", "approve", "mxcsr-de", "--reason", "x"]);
    let text = read(&sandbox);
    let json = sandbox.ok(&["regression", "export"]).stdout;
    sandbox.file("baseline.json", json.as_bytes());
    sandbox.ok(&["regression", "import", "baseline.json", "--baseline", "other.txt"]);
    assert_eq!(fs::read_to_string(sandbox.path("other.txt")).unwrap(), text);
    for (content, words) in [
        ("{", "no baseline in JSON"),
        ("{\"version\": 2, \"sections\": []}", "version 2"),
        (&json.replace("\"mock\"", "\"mo ck\""), "spaces"),
    ] {
        sandbox.file("bad.json", content.as_bytes());
        sandbox
            .run(&["regression", "import", "bad.json"])
            .refused(&[words]);
    }
    assert_eq!(read(&sandbox), text, "nothing was lost");
    sandbox.file(BASELINE, text.replace("engine mock", "engine other").as_bytes());
    sandbox
        .run(&args("test", &[]))
        .refused(&["has nothing about mock", "other against native"]);
    sandbox.file(BASELINE, format!("{text}<<<<<<< mine\n").as_bytes());
    sandbox
        .run(&args("test", &[]))
        .refused(&["line ", "20 hexadecimal digits"]);
    fs::remove_file(sandbox.path(BASELINE)).unwrap();
    sandbox.run(&args("test", &[])).refused(&["regression record"]);
}

/// What the workflow `regression.yml` does.
#[test]
fn the_baseline_of_the_fixtures_holds() {
    let sandbox = Sandbox::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/regression");
    let make = format!(
        "nasm -f elf64 {} -o blocks.o && ld -Ttext 0x401000 -Tdata 0x402000 blocks.o -o blocks",
        folder.join("blocks.asm").display()
    );
    let made = Command::new("sh")
        .args(["-c", &make])
        .current_dir(sandbox.path(""))
        .status()
        .unwrap();
    assert!(
        made.success(),
        "nasm and ld are there: `cargo xtask install` brings them"
    );
    let baseline = folder.join("snippex-baseline.txt");
    let test = [
        "regression",
        "test",
        "blocks",
        "-e",
        "qemu-x86_64",
        "--baseline",
        baseline.to_str().unwrap(),
    ];
    let compared = sandbox.json(&test);
    assert_eq!(
        (&compared["passed"], &compared["stable"]),
        (&true.into(), &20.into()),
        "{compared}"
    );
}

#[test]
fn known_bugs_go_into_a_baseline_and_come_out_of_it() {
    let sandbox = recorded();
    let bugs = sandbox.json(&["bugs"]);
    let name = bugs[0]["id"].as_str().unwrap().to_owned();
    sandbox
        .run(&["bugs", "known", "write", "--baseline", "none.txt"])
        .refused(&["snippex regression record"]);
    let add = [
        "bugs",
        "known",
        "add",
        &name,
        "--issue",
        "https://example.org/7",
        "--note",
        "fixed in 9.2",
    ];
    sandbox.ok(&add);
    let said = sandbox.ok(&["bugs", "known", "write"]).stdout;
    assert_eq!(said, format!("wrote 1 known bug into {BASELINE}\n"));
    let line = format!("accept bug {name} issue https://example.org/7 reason fixed in 9.2");
    assert!(
        read(&sandbox).lines().any(|found| found == line),
        "{}",
        read(&sandbox)
    );
    // An approval keeps its own reason and last day.
    let day = read(&sandbox).replace(" issue https", " until 2999-01-31 issue https");
    sandbox.file(BASELINE, day.replace("fixed in 9.2", "another reason").as_bytes());
    sandbox.ok(&["bugs", "known", "write"]);
    assert!(read(&sandbox).contains("until 2999-01-31 issue https://example.org/7 reason another reason"));
    // And back, into another database.
    let read_it = ["bugs", "known", "read", "--database", "other.db"];
    sandbox.run(&[
        "check",
        TINY,
        "-e",
        "mock",
        "--states",
        "8",
        "--database",
        "other.db",
    ]);
    assert_eq!(
        sandbox.ok(&read_it).stdout,
        format!("read 1 known bug of {BASELINE}\n")
    );
    let known = sandbox.json(&["bugs", "known", "--database", "other.db"]);
    assert_eq!(
        (&known[0]["engine"], &known[0]["issue"], &known[0]["note"]),
        (
            &"mock".into(),
            &"https://example.org/7".into(),
            &"another reason".into()
        )
    );
    // What is over, or says no issue, is none.
    sandbox.file(
        BASELINE,
        read(&sandbox).replace("2999-01-31", "2020-01-31").as_bytes(),
    );
    let over = sandbox.ok(&["bugs", "known", "read"]);
    assert!(
        over.stderr.contains("is over") && over.stdout.contains("read 0"),
        "{over:?}"
    );
}
