//! The cache of verdicts.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::databases::execute;
use crate::sandbox::{Ended, PROGRAM, Sandbox, in_mount_namespace};

const CHECK: [&str; 8] = ["check", PROGRAM, "-e", "native", "-n", "40", "--states", "4"];

fn hits(summary: &Value) -> (u64, u64) {
    let number = |name: &str| summary["cache"][name].as_u64().unwrap();
    (number("looked_up"), number("hits"))
}

#[test]
fn a_check_is_repeated_from_the_cache_unless_that_is_not_wanted() {
    let sandbox = Sandbox::new();
    let summary = |more: &[&str]| sandbox.json(&[&CHECK, more].concat())["summary"].clone();
    let first = summary(&[]);
    let (looked_up, none) = hits(&first);
    assert_eq!(none, 0);
    let second = summary(&[]);
    assert_eq!(hits(&second), (looked_up, looked_up));
    let same = |mut summary: Value| {
        for name in ["run", "elapsed_s", "runs_per_second", "cache"] {
            summary.as_object_mut().unwrap().remove(name);
        }
        summary
    };
    assert_eq!(same(second), same(first));
    assert_eq!(hits(&summary(&["--cache-refresh"])), (0, 0));
    assert!(summary(&["--no-cache"])["cache"].is_null());
    let text = sandbox.ok(&CHECK).stdout;
    assert!(text.contains("(100.0 %) came from the cache"), "{text}");
    // What is stored is found as well.
    let validated = sandbox.json(&["validate", "all", "-e", "native", "--states", "4"]);
    assert_eq!(hits(&validated["summary"]), (looked_up, looked_up));
}

#[test]
fn the_cache_is_looked_at_and_emptied() {
    let sandbox = Sandbox::new();
    let path = sandbox.ok(&["cache", "path"]).stdout;
    assert_eq!(
        path.trim(),
        sandbox.path(".cache/snippex/verdicts.db").to_str().unwrap()
    );
    assert_eq!(sandbox.json(&["cache", "stats"])["entries"], 0);
    assert_eq!(sandbox.ok(&["cache", "prune"]).stdout, "nothing to remove\n");
    sandbox.ok(&CHECK);
    let stats = sandbox.json(&["cache", "stats"]);
    let entries = stats["entries"].as_u64().unwrap();
    assert!(entries > 0);
    assert_eq!(stats["contexts"][0]["parts"]["states"], "4");
    assert!(sandbox.ok(&["cache", "stats"]).stdout.contains("bytes an entry"));
    let explain = ["cache", "explain", "1", "-e", "native", "--states"];
    let hit = sandbox.json(&[&explain[..], &["4"]].concat());
    assert_eq!(hit[0]["answer"], "hit");
    let miss = sandbox.ok(&[&explain[..], &["5"]].concat()).stdout;
    assert!(
        miss.contains("missing") && miss.contains("differs in states"),
        "{miss}"
    );
    let pruned = sandbox.json(&["cache", "prune", "--max-size", "0"]);
    assert_eq!(pruned["entries"], entries);
    sandbox.ok(&["cache", "warm", PROGRAM, "-e", "native", "--states", "4"]);
    assert!(sandbox.json(&["cache", "stats"])["entries"].as_u64() >= Some(entries));
    sandbox.ok(&["cache", "clear"]);
    assert_eq!(sandbox.ok(&["cache", "clear"]).stdout, "there is no cache\n");
}

#[test]
fn a_broken_cache_stops_no_check() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path(".cache/snippex")).unwrap();
    sandbox.file(
        ".cache/snippex/verdicts.db",
        "no database ".repeat(1000).as_bytes(),
    );
    let ended = sandbox.ok(&CHECK);
    assert!(ended.stderr.contains("the cache is not used"), "{ended:?}");
    assert!(ended.stderr.contains("snippex cache clear"), "{ended:?}");
    sandbox.run(&["cache", "stats"]).refused(&["snippex cache clear"]);
    sandbox.ok(&["cache", "clear"]);
    assert!(!sandbox.ok(&CHECK).stderr.contains("cache"));
}

#[test]
fn nonsense_about_the_cache_is_refused() {
    let sandbox = Sandbox::new();
    for (option, value) in [
        ("--cache-ttl", "-7d"),
        ("--cache-ttl", "7"),
        ("--cache-max-size", "2GB"),
        ("--cache-max-size", "-1"),
    ] {
        let ended = sandbox.run(&[&CHECK[..], &[&format!("{option}={value}")]].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("for example"), "{ended:?}");
    }
    sandbox.file("snippex.toml", b"cache_ttl = \"soon\"\n");
    sandbox.run(&CHECK).refused(&["cache_ttl", "snippex.toml"]);
}

/// The summary of a check without what differs from run to run.
fn verdicts(mut summary: Value) -> Value {
    for name in ["run", "elapsed_s", "runs_per_second", "cache"] {
        summary.as_object_mut().unwrap().remove(name);
    }
    summary
}

fn check(sandbox: &Sandbox, more: &[&str]) -> Value {
    sandbox.json(&[&CHECK, more].concat())["summary"].clone()
}

/// A statement on the file of the cache, by a hand that is not snippex's.
fn tamper(sandbox: &Sandbox, sql: &'static str) {
    let file = sandbox.path(".cache/snippex/verdicts.db");
    execute(&format!("sqlite:{}", file.display()), sql);
}

#[test]
fn two_processes_fill_a_cache_at_once() {
    let sandbox = Sandbox::new();
    let start = |database: &str| {
        let arguments = [&CHECK[..], &["--database", database, "--format", "json"]].concat();
        sandbox.command(&arguments).spawn().unwrap()
    };
    let children = [start("a.db"), start("b.db")];
    let ended = children.map(|child| Ended::of(&child.wait_with_output().unwrap()));
    let summaries = ended.map(|ended| {
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.stderr.contains("warning"), "{ended:?}");
        let document: Value = serde_json::from_str(&ended.stdout).unwrap();
        verdicts(document["summary"].clone())
    });
    assert_eq!(summaries[0], summaries[1]);
    let third = check(&sandbox, &[]);
    let (looked_up, hits) = hits(&third);
    assert_eq!(looked_up, hits);
    assert_eq!(verdicts(third), summaries[0]);
}

#[test]
fn a_check_that_is_killed_leaves_no_wrong_verdict() {
    let sandbox = Sandbox::new();
    let right = verdicts(check(&sandbox, &["--no-cache"]));
    for round in 0..24 {
        let mut child = sandbox.command(&CHECK).spawn().unwrap();
        thread::sleep(Duration::from_millis(20 + round * 37));
        child.kill().unwrap();
        child.wait().unwrap();
        if round % 6 == 5 {
            assert_eq!(verdicts(check(&sandbox, &["--database", "other.db"])), right);
            sandbox.ok(&["cache", "clear"]);
        }
    }
    sandbox.ok(&["cache", "stats"]);
    assert_eq!(verdicts(check(&sandbox, &[])), right);
}

/// On a file system that has room for an empty cache, in a mount namespace of its own.
#[test]
fn a_full_disk_costs_the_cache_and_no_verdict() {
    let sandbox = Sandbox::new();
    let right = verdicts(check(&sandbox, &["--no-cache", "--database", "other.db"]));
    let snippex = env!("CARGO_BIN_EXE_snippex");
    let check = format!("{snippex} {} --format json", CHECK.join(" "));
    let script = format!(
        "mkdir small && mount -t tmpfs -o size=120k none small && export HOME=$PWD \
         && export SNIPPEX_CACHE_FILE=$PWD/small/verdicts.db && {check} >first 2>first.err; \
         cat /dev/zero >small/filler 2>/dev/null; {check} --cache-refresh >second 2>second.err; \
         {check} >third 2>third.err; echo $? >code"
    );
    let output = in_mount_namespace(&script)
        .current_dir(sandbox.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{:?}", Ended::of(&output));
    let read = |name: &str| fs::read_to_string(sandbox.path(name)).unwrap();
    assert_eq!(read("code").trim(), "0", "{}", read("third.err"));
    for name in ["first", "second", "third"] {
        let document: Value = serde_json::from_str(&read(name)).unwrap();
        assert_eq!(verdicts(document["summary"].clone()), right, "{name}");
    }
    let told = read("first.err") + &read("second.err");
    assert!(told.contains("warning") && told.contains("cache"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
}

#[test]
fn a_cache_of_another_version_is_left_alone() {
    let sandbox = Sandbox::new();
    let right = verdicts(check(&sandbox, &[]));
    tamper(
        &sandbox,
        "UPDATE snippex_cache_schema SET version = 999; PRAGMA wal_checkpoint(TRUNCATE)",
    );
    let file = sandbox.path(".cache/snippex/verdicts.db");
    let before = fs::read(&file).unwrap();
    let ended = sandbox.ok(&CHECK);
    assert!(
        ended.stderr.contains("the cache is not used") && ended.stderr.contains("999"),
        "{ended:?}"
    );
    assert_eq!(verdicts(check(&sandbox, &["--database", "other.db"])), right);
    assert!(fs::read(&file).unwrap() == before);
}

#[test]
fn a_clock_that_was_set_back_costs_nothing() {
    let sandbox = Sandbox::new();
    let first = check(&sandbox, &[]);
    // What is there was made, and used, in a year to come.
    tamper(
        &sandbox,
        "UPDATE segments SET created = created + 31536000000, used = used + 31536000000",
    );
    let second = check(&sandbox, &["--cache-ttl", "1h"]);
    let (looked_up, found) = hits(&second);
    assert_eq!((looked_up, verdicts(second)), (found, verdicts(first.clone())));
    // What was made two hours ago is too old for that.
    tamper(
        &sandbox,
        "UPDATE segments SET created = created - 31536000000 - 7200000",
    );
    let third = check(&sandbox, &["--cache-ttl", "1h"]);
    assert_eq!((hits(&third).1, verdicts(third)), (0, verdicts(first)));
}

#[test]
fn an_entry_that_is_damaged_is_run_again() {
    let sandbox = Sandbox::new();
    let right = verdicts(check(&sandbox, &[]));
    for sql in [
        "UPDATE segments SET bytes = substr(bytes, 1, length(bytes) - 1)",
        "UPDATE segments SET bytes = zeroblob(length(bytes))",
        "UPDATE segments SET bytes = substr(bytes, 1, 60) || x'ff' || substr(bytes, 62)",
        "UPDATE segments SET bucket = bucket + 1, entries = -5, cost_us = -1",
    ] {
        tamper(&sandbox, sql);
        assert_eq!(verdicts(check(&sandbox, &[])), right, "{sql}");
    }
}
