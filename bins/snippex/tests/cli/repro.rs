//! Reproducers, built with real tools and run on this CPU and under an emulator that is wrong.

use std::fs;
use std::path::PathBuf;

use crate::sandbox::{Sandbox, needs};

/// The cases of docs/known-divergences.md.
fn known() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/cases/known");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "snip"))
        .collect();
    files.sort();
    assert!(files.len() >= 18, "{files:?}");
    files
}

#[test]
fn c_and_assembler_programs_pass_on_this_cpu_and_fail_under_qemu() {
    for program in ["gcc", "nasm", "ld", "qemu-x86_64"] {
        needs(program);
    }
    let sandbox = Sandbox::new();
    // As short as what people write by hand.
    let mut short = 0;
    for path in known() {
        for form in ["c", "nasm"] {
            let file = path.to_str().unwrap();
            let ended = sandbox.run(&[
                "repro",
                file,
                "--as",
                form,
                "-e",
                "qemu-x86_64",
                "--try",
                "-o",
                "out",
            ]);
            assert_eq!(ended.code, Some(1), "{file}: {ended:?}");
            assert!(
                ended.stderr.contains("on native it passes\n"),
                "{file}: {ended:?}"
            );
            // A short one does not catch signals that nobody expects.
            let said = [
                "on qemu-x86_64 it fails\n",
                "on qemu-x86_64 it is killed by a signal\n",
            ];
            assert!(
                said.iter().any(|said| ended.stderr.contains(said)),
                "{file}: {ended:?}"
            );
            let lines = fs::read_to_string(sandbox.path("out")).unwrap().lines().count();
            if form == "c" && lines <= 40 {
                short += 1;
            }
        }
    }
    assert!(short >= 11, "{short} C programs have at most 40 lines");
}

#[test]
fn tests_in_the_form_of_fex_pass_on_this_cpu_and_fail_under_qemu() {
    for program in ["nasm", "qemu-x86_64"] {
        needs(program);
    }
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("tests")).unwrap();
    let (mut written, mut impossible) = (0, 0);
    for path in known() {
        let name = format!("tests/{}.asm", path.file_stem().unwrap().to_str().unwrap());
        let ended = sandbox.run(&[
            "repro",
            path.to_str().unwrap(),
            "--as",
            "fex-asm",
            "-e",
            "qemu-x86_64",
        ]);
        if ended.code == Some(0) {
            sandbox.file(&name, ended.stdout.as_bytes());
            written += 1;
        } else {
            ended.refused(&["cannot expect a signal", "hint: --as c"]);
            impossible += 1;
        }
    }
    assert_eq!((written, impossible), (12, 6));
    let ended = sandbox.ok(&["conformance", "tests", "-e", "native"]);
    assert!(ended.stdout.contains(" 12  passed"), "{ended:?}");
    let document = sandbox.json(&["conformance", "tests", "-e", "qemu-x86_64"]);
    for test in document["tests"].as_array().unwrap() {
        assert_eq!(test["status"], "failed", "{test}");
    }
}

#[test]
fn a_case_gets_its_end_and_stays_as_it_is() {
    let sandbox = Sandbox::new();
    let file = sandbox.file(
        "add.snip",
        b"snip 1\ntitle sum\nblock 0x1000\n code 48 01 d8\nstart\n rax = 0x28\n rbx = 2\n",
    );
    let file = file.to_str().unwrap();
    let first = sandbox.ok(&["repro", file, "--as", "case"]).stdout;
    // Only a CPU that has every component need not say which of them its end covers.
    let covers = if std::arch::is_x86_feature_detected!("avx512f") {
        ""
    } else {
        "  covers general segment-bases x87 sse avx\n"
    };
    assert!(
        first.ends_with(&format!("end exit 0x2_1d60_1003\n{covers}  rax = 0x2a\n")),
        "{first}"
    );
    // In place: the file is read before it is written.
    sandbox.ok(&["repro", file, "--as", "case", "-o", file]);
    sandbox.ok(&["repro", file, "--as", "case", "-o", file]);
    assert_eq!(fs::read_to_string(file).unwrap(), first);
    // Without an emulator everything is compared, and nothing is wrong.
    needs("gcc");
    sandbox.ok(&["repro", file, "--as", "c", "--try"]);
    sandbox
        .run(&["repro", file, "--as", "c", "-e", "native"])
        .refused(&["there is no bug to reproduce", "hint: leave --emulator out"]);
}

#[test]
fn a_wrong_expectation_is_found_on_this_cpu() {
    needs("gcc");
    let sandbox = Sandbox::new();
    let text =
        "snip 1\nblock 0x1000\n code 48 01 d8\nstart\n rax = 40\n rbx = 2\nend exit 0x21d601003\n rax = 41\n";
    let file = sandbox.file("add.snip", text.as_bytes());
    let ended = sandbox.run(&["repro", file.to_str().unwrap(), "--as", "c", "--try"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.stderr.contains("WRONG rax: expected 0x29 - result 0x2a"),
        "{ended:?}"
    );
}

#[test]
fn what_cannot_be_read_or_built_is_said() {
    let sandbox = Sandbox::new();
    let broken = sandbox.file("broken.snip", b"snip 1\nblock 0x1000\n  code 9z\n");
    let broken = broken.to_str().unwrap();
    sandbox
        .run(&["repro", broken, "--as", "c"])
        .refused(&["line 3: `9z` is not a byte", "hint: correct that line"]);
    sandbox
        .run(&["repro", "none.snip", "--as", "c"])
        .refused(&["cannot read none.snip", "hint: name a .snip file"]);
    let binary = sandbox.file("binary", &[0xff; 100]);
    sandbox
        .run(&["repro", binary.to_str().unwrap(), "--as", "c"])
        .refused(&["cannot read"]);
    let fine = sandbox.file("fine.snip", b"snip 1\nblock 0x1000\n code 90\n");
    let fine = fine.to_str().unwrap();
    sandbox
        .run(&["repro", fine, "--as", "case", "--try"])
        .refused(&["--try builds and runs programs"]);
    let ended = sandbox
        .command(&["repro", fine, "--as", "c", "--try"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    crate::sandbox::Ended::of(&ended)
        .refused(&["gcc is not on the PATH", "hint: install it (apt-get install gcc)"]);
    sandbox
        .run(&["repro", "0123456789abcdef", "--as", "c"])
        .refused(&["no database"]);
    let ended = sandbox
        .command(&["repro", fine, "--as", "nasm", "--try"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    crate::sandbox::Ended::of(&ended).refused(&["nasm and ld are not on the PATH"]);
    let syscall = sandbox.file("syscall.snip", b"snip 1\nblock 0x1000\n code 0f 05\n");
    sandbox
        .run(&["repro", syscall.to_str().unwrap(), "--as", "c"])
        .refused(&["native cannot run the case"]);
}

#[test]
fn a_stored_case_is_found_by_its_bug_its_number_and_its_sha256() {
    let sandbox = Sandbox::new();
    let checked = sandbox.run(&[
        "check",
        "--generated",
        "--instruction",
        "imul",
        "--per-form",
        "2",
        "-e",
        "mock",
    ]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let bugs = sandbox.json(&["bugs"]);
    let example = &bugs[0]["example"];
    let (id, case) = (
        example["signature"].as_str().unwrap(),
        example["case"].as_str().unwrap(),
    );
    assert_eq!(case.len(), 64);
    let by_bug = sandbox.ok(&["repro", id, "--as", "case"]).stdout;
    // The whole of it, its beginning, and six digits, which are no bug's.
    for named in [case, &case[..20], &case[..6]] {
        let by_case = sandbox.ok(&["repro", named, "--as", "case"]).stdout;
        assert_eq!(by_case, by_bug, "{named}");
    }
    for note in [
        "note Bug ",
        "note Met first in: Block at 0x",
        "generated:instruction=imul:per-form=2:seed=1",
        ", Linux ",
        "pages of 4096 bytes",
        "note Engine: mock (",
    ] {
        assert!(by_bug.contains(note), "{note}: {by_bug}");
    }
    let by_number = sandbox.ok(&["repro", "1", "--as", "c"]).stdout;
    assert!(
        by_number.contains("// Start state ") && by_number.contains("; case "),
        "{by_number}"
    );
    sandbox.run(&["repro", &"f".repeat(64), "--as", "c"]).refused(&[
        "there is no case with the SHA-256 fff",
        "hint: write at least six digits",
    ]);
    // Too few digits for a case, and, with a letter among them, no number.
    sandbox
        .run(&["repro", "fff0", "--as", "c"])
        .refused(&["there is no bug"]);
    let help = sandbox.ok(&["repro", "--help"]).stdout;
    assert!(
        ["DIVERGENCE  ", "BUG  ", "CASE  ", "FILE.snip  "]
            .iter()
            .all(|word| help.contains(word)),
        "{help}"
    );
}

#[test]
fn what_is_stored_is_tried_on_the_engine_that_showed_it() {
    for program in ["gcc", "qemu-x86_64"] {
        needs(program);
    }
    let sandbox = Sandbox::new();
    let check = [
        "check",
        "--generated",
        "--no-sequences",
        "--instruction",
        "ldmxcsr",
    ];
    let checked = sandbox.run(&[&check[..], &["--per-form", "4", "-e", "qemu-x86_64"]].concat());
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let tried = sandbox.run(&["repro", "1", "--as", "c", "--try"]);
    assert_eq!(tried.code, Some(1), "it fails there: {tried:?}");
    // Nothing but the number is named: engines and code are those of what is stored, and what does not count is left out.
    let compared = sandbox.run(&["compare", "--divergence", "1"]);
    assert_eq!(compared.code, Some(1), "{compared:?}");
    for shown in ["0fae", "ldmxcsr", "qemu-x86_64"] {
        assert!(compared.stdout.contains(shown), "{shown}: {}", compared.stdout);
    }
    let masked = sandbox.run(&["compare", "--divergence", "1", "--masked"]).stdout;
    assert!(masked.len() > compared.stdout.len(), "{masked}");
}

#[test]
fn the_function_of_a_program_is_named() {
    let sandbox = Sandbox::new();
    // Some of its blocks lie in functions that the library exports: the mock engine gets the flags of IMUL wrong.
    let library = "/usr/lib/x86_64-linux-gnu/libm.so.6";
    let checked = sandbox.run(&["check", library, "-e", "mock", "--no-reduce"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let named = (1..=24).any(|divergence| {
        let ended = sandbox.run(&["repro", &divergence.to_string(), "--as", "c"]);
        ended.stdout.contains("libm.so.6 (SHA-256 ") && ended.stdout.contains("), in ")
    });
    assert!(named);
}
