//! Conformance tests in files, on real engines.

use serde_json::Value;

use crate::sandbox::{Sandbox, needs};

const RIGHT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/conformance/right");
const WRONG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/conformance/wrong");

const BITS_32: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/conformance/bits32");

/// Status and reason of the test called `name`.
fn verdict<'d>(document: &'d Value, name: &str) -> (&'d str, &'d str) {
    let tests = document["tests"].as_array().unwrap();
    let test = tests.iter().find(|test| test["name"] == name).unwrap();
    (
        test["status"].as_str().unwrap(),
        test["reason"].as_str().unwrap_or(""),
    )
}

#[test]
fn right_tests_pass_on_this_cpu_and_under_qemu() {
    needs("nasm");
    needs("qemu-x86_64");
    let sandbox = Sandbox::new();
    for engine in ["native", "qemu-x86_64"] {
        let ended = sandbox.ok(&["conformance", RIGHT, "-e", engine, "--match-with", "native"]);
        assert!(ended.stdout.contains("12  passed"), "{ended:?}");
    }
}

#[test]
fn tests_of_32_bit_code_pass_on_this_cpu_and_under_qemu() {
    needs("nasm");
    needs("qemu-i386");
    let sandbox = Sandbox::new();
    for engine in ["native", "qemu-x86_64"] {
        let ended = sandbox.ok(&["conformance", BITS_32, "-e", engine, "--match-with", "native"]);
        assert!(ended.stdout.contains("17  passed"), "{ended:?}");
    }
    let ended = sandbox.run(&["conformance", BITS_32, "-e", "qemu-i386"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("name qemu-x86_64"), "{ended:?}");
}

#[test]
fn each_way_not_to_pass_is_told_apart() {
    needs("nasm");
    let sandbox = Sandbox::new();
    let arguments = ["conformance", WRONG, "-e", "native", "--timeout", "1"];
    let ended = sandbox.run(&[&arguments[..], &["--format", "json"]].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    for (name, status, reason) in [
        ("other_value.asm", "failed", "rax is 0x1, expected 0x2"),
        ("never_ends.asm", "failed", "it did not end in time and was cut"),
        ("faults.asm", "failed", "signal SIGSEGV at 0x10000 instead of hlt"),
        ("ends_the_engine.asm", "failed", "the engine ended by itself"),
        (
            "mode_32.asm",
            "broken",
            "RegData: r8 is no register of a 32-bit program; it has rax to rdi, xmm0 to 7 and mm0 to 7",
        ),
        ("feature_of_nothing.asm", "unsupported", "the engine has no AFP"),
        (
            "other_entry.asm",
            "unsupported",
            "EntryPoint 16: programs start at their first byte",
        ),
        (
            "no_json.asm",
            "broken",
            "line 2: the header is not JSON: expected value",
        ),
        (
            "no_header.asm",
            "broken",
            "the test has no header: no line says %ifdef CONFIG",
        ),
    ] {
        assert_eq!(verdict(&document, name), (status, reason), "{name}");
    }
    let (status, reason) = verdict(&document, "no_instruction.asm");
    assert!(
        status == "broken" && reason.contains("no_instruction.asm:5: error:"),
        "{reason}"
    );
    let differs = &document["tests"].as_array().unwrap()[9]["differences"][0];
    assert_eq!(differs["expected"][0], "0x2", "{document}");

    let junit = sandbox.run(&[&arguments[..], &["--format", "junit"]].concat());
    let report = quick_junit::Report::deserialize_from_str(&junit.stdout).unwrap();
    let suite = &report.test_suites[0];
    assert_eq!(
        (suite.tests, suite.failures, suite.errors),
        (10, 4, 4),
        "{}",
        junit.stdout
    );
    assert_eq!(suite.test_cases.len(), 10);
    assert_eq!(junit.stdout.matches("<skipped").count(), 2, "{}", junit.stdout);
}

#[test]
fn a_known_failure_is_no_failure_and_an_unexpected_pass_is_one() {
    needs("nasm");
    let sandbox = Sandbox::new();
    let list = sandbox.file(
        "known.txt",
        b"# ours\nTest_faults.asm  # reads address 32\nother_value.asm\nnever_ends.asm\nends_the_engine.asm\ngone.asm\n",
    );
    let list = list.to_str().unwrap();
    let wrong = [
        "conformance",
        WRONG,
        "-e",
        "native",
        "--timeout",
        "1",
        "--known-failures",
        list,
    ];
    let ended = sandbox.run(&wrong);
    assert_eq!(ended.code, Some(2), "files that are no tests remain: {ended:?}");
    assert!(
        ended.stdout.contains("reads address 32 (signal SIGSEGV"),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("no test of this run is called gone.asm"),
        "{ended:?}"
    );

    let list = sandbox.file("stale.txt", b"vectors.asm # was wrong once\n");
    let arguments = [
        "conformance",
        RIGHT,
        "-e",
        "native",
        "--known-failures",
        list.to_str().unwrap(),
    ];
    let ended = sandbox.run(&arguments);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stdout.contains("take them off it") && ended.stdout.contains("listed as: was wrong once"),
        "{ended:?}"
    );
}

#[test]
fn what_is_missing_is_named() {
    needs("nasm");
    let sandbox = Sandbox::new();
    for (arguments, words) in [
        (
            &["conformance", RIGHT, "-e", "native", "--nasm", "/no/nasm"][..],
            "--nasm PROGRAM",
        ),
        (
            &["conformance", RIGHT, "-e", "native", "--nasm", "false"],
            "it is no nasm",
        ),
        (
            &["conformance", "/no/tests", "-e", "native"],
            "cannot read /no/tests",
        ),
        (&["conformance", ".", "-e", "native"], "there is no test below ."),
        (
            &["list", "--format", "junit"],
            "[possible values: human, json, jsonl]",
        ),
    ] {
        let ended = sandbox.run(arguments);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
    let ended = sandbox.ok(&["conformance", RIGHT, "-e", "mock"]);
    assert!(ended.stdout.contains("12  unsupported"), "{ended:?}");
}

/// A PATH with nothing but stand-ins: an apt-get that brings nasm, or does not, and a sudo that asks nothing.
fn stand_ins(sandbox: &Sandbox, apt_get: &str) -> String {
    let folder = sandbox.path("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let programs = [("apt-get", apt_get), ("sudo", "exec \"$@\"")];
    for (name, text) in programs {
        let program = sandbox.file(&format!("bin/{name}"), format!("#!/bin/sh\n{text}\n").as_bytes());
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    folder.display().to_string()
}

fn real(program: &str) -> String {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program));
    found
        .into_iter()
        .find(|path| path.is_file())
        .unwrap()
        .display()
        .to_string()
}

#[test]
fn a_missing_nasm_is_installed_or_asked_for() {
    needs("nasm");
    let nasm = real("nasm");
    let run = |sandbox: &Sandbox, path: &str, more: &[&str]| {
        let arguments = [&["conformance", RIGHT, "-e", "native"], more].concat();
        let output = sandbox.command(&arguments).env("PATH", path).output().unwrap();
        crate::sandbox::Ended::of(&output)
    };
    // The list of packages is old at first.
    let sandbox = Sandbox::new();
    let brings = format!(
        "cd {0}\necho \"answer of $*\"\ncase \"$1\" in update) : > fresh;; install) [ -e fresh ] && /bin/ln -s {nasm} bin/nasm;; esac",
        sandbox.path(".").display()
    );
    let path = stand_ins(&sandbox, &brings);
    run(&sandbox, &path, &["--no-install"]).refused(&[
        "nasm is not on the PATH",
        "apt-get install nasm), or leave --no-install out",
    ]);
    let ended = run(&sandbox, &path, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("12  passed") && !ended.stdout.contains("answer of"),
        "{ended:?}"
    );
    assert!(
        ended
            .stderr
            .contains("apt-get install --yes --no-install-recommends nasm")
            && ended.stderr.contains("apt-get update"),
        "the command is said: {ended:?}"
    );
    // Once it is there, nothing is installed.
    assert!(!run(&sandbox, &path, &[]).stderr.contains("apt-get"));

    let sandbox = Sandbox::new();
    let path = stand_ins(&sandbox, "echo E: no such package >&2; exit 100");
    let ended = run(&sandbox, &path, &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("error: nasm is not on the PATH, and cannot be installed")
            && ended.stderr.contains("no such package"),
        "{ended:?}"
    );
    let sandbox = Sandbox::new();
    run(&sandbox, "/nowhere", &[]).refused(&["nasm is not on the PATH", "the system's own package manager"]);
}
