//! `.snip` files as conformance tests, on real engines.

use serde_json::Value;

use crate::sandbox::{Sandbox, needs};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/cases");

#[test]
fn all_of_ours_pass_on_this_cpu() {
    let sandbox = Sandbox::new();
    // Cases need no assembler.
    let arguments = ["conformance", CASES, "-e", "native"];
    let ended = sandbox
        .command(&arguments)
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    let ended = crate::sandbox::Ended::of(&ended);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(" 0  failed"), "{ended:?}");
}

#[test]
fn under_qemu_just_those_fail_that_are_on_the_list() {
    needs("qemu-x86_64");
    let sandbox = Sandbox::new();
    let lists = ["known", "sweep.known"].map(|name| format!("{CASES}/qemu-x86_64.{name}-failures"));
    let known = ["--known-failures", &lists[0], "--known-failures", &lists[1]];
    let ended = sandbox.run(&[&["conformance", CASES, "-e", "qemu-x86_64"], &known[..]].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(" 0  failed"), "{ended:?}");
    // On a CPU that gets them right, each is an error of the list.
    let document = sandbox.json(&[&["conformance", CASES, "-e", "native"], &known[..]].concat());
    let text: String = lists
        .iter()
        .map(|list| std::fs::read_to_string(list).unwrap())
        .collect();
    let listed = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(document["counts"]["unexpected-pass"], listed);
}

#[test]
fn each_way_not_to_pass_is_told() {
    let sandbox = Sandbox::new();
    let head = "snip 1\nblock 0x1000\n code 48 01 d8\nstart\n rax = 40\n rbx = 2\n";
    let end = format!("{head}end exit 0x21d601003\n");
    let files = [
        ("right.snip", format!("{end} rax = 42\n"), "passed", ""),
        (
            "wrong.snip",
            format!("{end} rax = 41\n"),
            "failed",
            "rax is 0x2a, not 0x29",
        ),
        (
            "elsewhere.snip",
            format!("{head}end signal 4 at 0x21d601000\n"),
            "failed",
            "goes to 0x21d601003, not SIGILL",
        ),
        (
            "open.snip",
            head.to_owned(),
            "broken",
            "it does not say how the case ends",
        ),
        (
            "broken.snip",
            "snip 1\nblock 0x1000\n code zz\n".to_owned(),
            "broken",
            "line 3: `zz` is not a byte",
        ),
        (
            "old.snip",
            end.replace("block", "needs d3now\nblock"),
            "unsupported",
            "the engine has no d3now",
        ),
        (
            "what.snip",
            end.replace("block", "needs magic\nblock"),
            "broken",
            "it needs magic",
        ),
        (
            "syscall.snip",
            "snip 1\nblock 0\n code 0f 05\nend hung\n".to_owned(),
            "unsupported",
            "depends on more",
        ),
    ];
    for (name, text, ..) in &files {
        sandbox.file(name, text.as_bytes());
    }
    let ended = sandbox.run(&["conformance", ".", "-e", "native", "--format", "json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    for (name, _, status, reason) in &files {
        let tests = document["tests"].as_array().unwrap();
        let test = tests.iter().find(|test| test["name"] == *name).unwrap();
        assert_eq!(test["status"], *status, "{test}");
        assert!(test["reason"].as_str().unwrap_or("").contains(reason), "{test}");
    }
}

/// Bytes that are no instruction are run: the processor says so by a signal.
#[test]
fn what_processors_refuse_is_judged_by_the_cpu() {
    let sandbox = Sandbox::new();
    let snip = |title: &str, code: &str, signal: u8| {
        format!(
            "snip 1\ntitle {title}\nblock 0x1000\n  code {code}\nstart\n  rdi = 0x310000000\n\
             page 0x310000000 read-write\nend signal {signal} at 0x2_1d60_1000\n"
        )
    };
    let long = format!("{}90", "2e ".repeat(15));
    for (name, code, signal) in [
        ("lock-mov", "f0 89 07", 4),
        ("mov-cs", "8e c8", 4),
        ("vmovd-l", "c5 fd 6e c0", 4),
        ("sixteen-bytes", &long, 11),
    ] {
        let file = format!("{name}.snip");
        sandbox.file(&file, snip(name, code, signal).as_bytes());
        let answer = sandbox.json(&["conformance", &file, "-e", "native"]);
        assert_eq!(answer["counts"]["passed"], 1, "{name}: {answer:#}");
    }
}
