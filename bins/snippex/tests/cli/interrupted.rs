//! A check that is killed or interrupted: nothing that was found is lost, and the database is as good as before.

use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::sandbox::{BASH, Ended, Sandbox};
use serde_json::Value;

/// Long enough to be stopped in the middle: every block of bash, many states.
const LONG: [&str; 7] = [
    "check",
    "/bin/bash",
    "-e",
    "mock",
    "--states",
    "256",
    "--format=jsonl",
];

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Starts a long check and waits until results of it are in the database.
fn started(sandbox: &Sandbox) -> Child {
    let mut command = sandbox.command(&LONG);
    command.stdout(std::fs::File::create(sandbox.path("out")).unwrap());
    let child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while saved(sandbox, "diverged") == 0 {
        assert!(Instant::now() < deadline, "nothing was saved in two minutes");
        sleep(Duration::from_millis(100));
    }
    child
}

/// Runs whose results are in the database; `what` of them.
fn saved(sandbox: &Sandbox, what: &str) -> u64 {
    let ended = sandbox.run(&["list", "--runs", "--format", "json"]);
    let runs: Value = serde_json::from_str(&ended.stdout).unwrap_or_default();
    runs[0][what].as_u64().unwrap_or(0)
}

fn status(sandbox: &Sandbox) -> Value {
    sandbox.json(&["list", "--runs"])[0]["status"].clone()
}

#[test]
fn a_killed_check_leaves_what_it_found() {
    let sandbox = Sandbox::new();
    let mut child = started(&sandbox);
    assert_eq!(status(&sandbox), "running");
    let before = saved(&sandbox, "runs");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(saved(&sandbox, "runs") >= before);
    assert_eq!(status(&sandbox), "interrupted");
    let found = sandbox.json(&["list", "--divergences", "--limit", "1"]);
    let id = found[0]["divergence"].to_string();
    assert_eq!(sandbox.run(&["compare", "--divergence", &id]).code, Some(1));
    sandbox.ok(&["validate", "1-20", "-e", "native", "--states", "2"]);
}

#[test]
fn an_interrupted_check_sums_up_what_it_found() {
    let sandbox = Sandbox::new();
    let child = started(&sandbox);
    signal(&child, "-INT");
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(
        ended.stderr.contains("interrupted") && ended.stderr.contains("kept"),
        "{ended:?}"
    );
    let answer = std::fs::read_to_string(sandbox.path("out")).unwrap();
    let last: Value = serde_json::from_str(answer.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["type"], &last["complete"]),
        (&"summary".into(), &false.into())
    );
    assert_eq!(
        last["runs"].as_u64(),
        Some(saved(&sandbox, "runs")),
        "all that was counted is saved"
    );
    assert_eq!(status(&sandbox), "interrupted");
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let sandbox = Sandbox::new();
    let mut child = started(&sandbox);
    signal(&child, "-INT");
    signal(&child, "-INT");
    let told = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(told.elapsed() < Duration::from_secs(5));
    assert_eq!(status(&sandbox), "interrupted");
}

#[test]
fn an_interrupted_simulation_says_how_far_it_got() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["extract", BASH]);
    let arguments = [
        "simulate", "all", "-e", "native", "--states", "8", "--format", "json",
    ];
    let child = sandbox.command(&arguments).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while saved(&sandbox, "runs") == 0 {
        assert!(Instant::now() < deadline, "nothing was saved in two minutes");
        sleep(Duration::from_millis(100));
    }
    signal(&child, "-INT");
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(
        ended.stderr.contains("snippex validate"),
        "what it takes: {ended:?}"
    );
    let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(answer["complete"], false);
    let (blocks, runs) = (
        answer["blocks"].as_u64().unwrap(),
        answer["runs"].as_u64().unwrap(),
    );
    assert_eq!(8 * blocks, runs);
    assert_eq!(status(&sandbox), "interrupted");
}

/// Commands that start engines and keep nothing: whoever closes the terminal finds no folder of theirs.
#[test]
fn killed_commands_leave_no_temporary_folders() {
    let sandbox = Sandbox::new();
    // An engine that never says that it is up.
    let settings = "[engines.slow]\ncommand = 'sh -c \"exec sleep 60\" {runner}'\nstart_patience = 60\n";
    sandbox.file("snippex.toml", settings.as_bytes());
    sandbox.file("case.snip", b"snip 1\nblock 0x1000\n code 90\n");
    std::fs::create_dir(sandbox.path("tmp")).unwrap();
    let left = || std::fs::read_dir(sandbox.path("tmp")).unwrap().count();
    for (name, arguments) in [
        ("-HUP", &["repro", "case.snip", "--as", "c", "-e", "slow"][..]),
        ("-TERM", &["reduce", "case.snip", "-e", "slow"]),
        ("-INT", &["engines", "test", "slow"]),
    ] {
        let mut command = sandbox.command(arguments);
        let child = command.env("TMPDIR", sandbox.path("tmp")).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while left() == 0 {
            assert!(Instant::now() < deadline, "{arguments:?} made no folder");
            sleep(Duration::from_millis(20));
        }
        signal(&child, name);
        let ended = Ended::of(&child.wait_with_output().unwrap());
        assert_eq!(ended.code, None, "{arguments:?} ends by the signal: {ended:?}");
        assert_eq!(left(), 0, "{arguments:?}");
    }
}
