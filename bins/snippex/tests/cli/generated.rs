//! Blocks from the instruction set: made, stored, checked, and counted by form.

use crate::sandbox::{Sandbox, needs};

#[test]
fn forms_are_generated_stored_and_run_again() {
    let sandbox = Sandbox::new();
    let request = ["generate", "--isa", "bmi2", "--per-form", "6"];
    let planned = sandbox.json(&[&request[..], &["--dry-run"]].concat());
    assert!(planned["stored_new"].is_null());
    let made = sandbox.json(&request);
    assert_eq!(made["blocks"], planned["blocks"]);
    assert_eq!(made["stored_new"], made["blocks"]);
    assert_eq!(made["binary"], "generated:isa=bmi2:per-form=6:seed=1");
    let total = &made["coverage"]["total"];
    assert_eq!(total["executable"], total["covered"]);
    assert_eq!(sandbox.json(&request)["stored_new"], 0);
    let again = sandbox.json(&["validate", "all", "-e", "native", "--states", "8"]);
    assert_eq!(again["summary"]["diverged"], 0);
    assert_eq!(again["summary"]["blocks"], made["blocks"]);
    assert!(sandbox.ok(&["disasm", "1-20"]).stdout.contains("bzhi"));
}

#[test]
fn this_cpu_agrees_with_itself_on_every_form() {
    let sandbox = Sandbox::new();
    let check = [
        "check",
        "--generated",
        "-e",
        "native",
        "--per-form",
        "1",
        "--states",
        "8",
    ];
    let document = sandbox.json(&check);
    let summary = &document["summary"];
    assert_eq!(summary["diverged"], 0, "{:#}", document["blocks"]);
    let total = &summary["coverage"]["total"];
    let number = |name: &str| total[name].as_u64().unwrap();
    assert!(number("covered") * 100 >= number("executable") * 98, "{total}");
    assert!(number("run") > 1000);
    let left_out = total["skipped"].as_object().unwrap();
    let names = |reason: &str| left_out[reason].as_array().unwrap();
    assert!(names("enters the kernel").contains(&"SYSCALL".into()));
    assert!(names("far control transfer").contains(&"IRETQ".into()));
    assert!(names("needs privileges").contains(&"RDMSR".into()));
}

#[test]
fn the_sweep_finds_what_real_code_seldom_shows() {
    needs("qemu-x86_64");
    let sandbox = Sandbox::new();
    let check = |instruction: &str| {
        let document = sandbox.json(&[
            "check",
            "--generated",
            "-e",
            "qemu-x86_64",
            "--instruction",
            instruction,
            "--per-form",
            "8",
        ]);
        document["summary"]["divergences"].to_string()
    };
    assert!(check("ldmxcsr").contains("missing-fault"), "reserved bits");
    assert!(check("addsd").contains("mxcsr"), "denormal operands");
    assert!(check("fcomi").contains("flag"), "OF, SF and AF");
    assert!(check("fld1").contains("x87"), "stack overflow");
}

#[test]
fn sequences_and_corners_are_counted() {
    let sandbox = Sandbox::new();
    let check = [
        "check",
        "--generated",
        "-e",
        "native",
        "--isa",
        "bmi1",
        "--states",
        "64",
    ];
    let summary = sandbox.json(&check)["summary"].clone();
    assert_eq!(summary["diverged"], 0);
    let coverage = &summary["coverage"];
    let number = |value: &serde_json::Value| value.as_u64().unwrap();
    let sequences = number(&coverage["sequences"]["sequences"]);
    assert!(sequences > 50);
    let lengths = coverage["sequences"]["lengths"].as_object().unwrap();
    assert_eq!(lengths.values().map(number).sum::<u64>(), sequences);
    let corner = &coverage["corners"]["operand ends at the end of a page"];
    assert!(number(&corner["reached"]) > 0);
    assert!(number(&corner["reached"]) <= number(&corner["of"]));
    let planned = sandbox.ok(&["generate", "--dry-run", "--isa", "bmi1", "--no-sequences"]);
    assert!(planned.stdout.contains("operand ends at the end of a page"));
    assert!(
        planned
            .stdout
            .contains("generated:isa=bmi1:sequences=none:seed=1")
    );
    assert!(!planned.stdout.contains("instructions; flags are live"));
    let both = sandbox.run(&["generate", "--sequence", "4", "--no-sequences"]);
    assert_eq!(both.code, Some(2), "{both:?}");
    assert!(both.stderr.contains("--no-sequences"), "{both:?}");
}

#[test]
fn sequences_flow_and_agree() {
    let sandbox = Sandbox::new();
    let check = [
        "check",
        "--generated",
        "-e",
        "native",
        "--isa",
        "bmi1",
        "--sequence",
        "8",
        "--states",
        "8",
    ];
    let summary = &sandbox.json(&check)["summary"];
    assert_eq!(
        (&summary["diverged"], &summary["complete"]),
        (&0.into(), &true.into())
    );
    assert!(summary["completed"].as_u64() > Some(0));
}

#[test]
fn what_cannot_be_generated_is_refused_with_what_would_do() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&["generate", "--isa", "bmi3"])
        .refused(&["bmi3", "bmi1, bmi2"]);
    sandbox
        .run(&["generate", "--instruction", "bzhx"])
        .refused(&["bzhx", "bzhi"]);
    sandbox
        .run(&["check", "/bin/true", "--isa", "bmi2"])
        .refused(&["--generated"]);
    sandbox
        .run(&["generate", "--sequence", "65"])
        .refused(&["between 1 and 64", "--sequence"]);
    sandbox
        .run(&["generate", "--isa", "x87", "--instruction", "bzhi"])
        .refused(&["--isa"]);
}
