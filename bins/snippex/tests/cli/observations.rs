//! What simulate keeps: listed, compared, and read by programs.

use crate::sandbox::{PROGRAM, Sandbox, elf, needs};
use serde_json::Value;

#[test]
fn two_observations_of_a_case_are_compared() {
    needs("qemu-x86_64");
    let sandbox = Sandbox::new();
    let extracted = sandbox.json(&["extract", PROGRAM, "-n", "3", "--runnable", "--no-memory-access"]);
    assert_eq!(extracted["last_number"], 3);
    let native = sandbox.json(&["simulate", "1", "-e", "native"]);
    let qemu = sandbox.json(&["simulate", "1", "-e", "qemu-x86_64"]);
    let other = sandbox.json(&["simulate", "2", "-e", "native", "--states", "2"]);
    assert_eq!(other["observations"], Value::from(vec![3, 4]));
    let (a, b) = (
        native["observations"][0].to_string(),
        qemu["observations"][0].to_string(),
    );
    let shown = sandbox.ok(&["compare", &a, &b]);
    for words in ["native", "qemu-x86_64", "rsp", "flags", "match"] {
        assert!(shown.stdout.contains(words), "{words}: {shown:?}");
    }
    let document = sandbox.json(&["compare", &a, &b]);
    assert_eq!(document["start"], native["first"]["start"]);
    assert_eq!(document["ends"][0], native["first"]["ends"][0]);
    assert_eq!(document["ends"][1], qemu["first"]["ends"][0]);
    let listed = sandbox.json(&["list", "--observations"]);
    let numbers = |list: &Value| {
        let rows = list.as_array().unwrap().iter();
        rows.map(|row| {
            (
                row["observation"].as_u64(),
                row["engine"].clone(),
                row["case"].clone(),
            )
        })
        .collect::<Vec<_>>()
    };
    let numbers = numbers(&listed);
    assert_eq!(numbers.len(), 4);
    assert_eq!((numbers[3].0, &numbers[3].1), (Some(1), &"native".into()));
    assert_eq!((numbers[2].0, &numbers[2].1), (Some(2), &"qemu-x86_64".into()));
    assert!(numbers[3].2 == numbers[2].2 && numbers[1].2 != numbers[2].2);
    let of_a_run = sandbox.json(&["list", "--observations", &other["run"].to_string()]);
    assert_eq!(of_a_run.as_array().unwrap().len(), 2);
    let table = sandbox.ok(&["list", "--observations"]);
    assert!(table.stdout.contains("qemu-x86_64") && table.stderr.contains("snippex compare"));
    sandbox
        .run(&["list", "--observations", "99"])
        .refused(&["no run 99", "--runs"]);
    sandbox
        .run(&["compare", &a, "3"])
        .refused(&["different cases", "--seed"]);
    let human = sandbox.ok(&["simulate", "1", "-e", "native"]);
    assert!(
        human.stdout.contains("terminator reached") && human.stdout.contains("rsp"),
        "{human:?}"
    );
}

#[test]
fn programs_read_start_and_end_in_full() {
    let sandbox = Sandbox::new();
    // push rax; fninit; fld1; pxor xmm0, xmm0; stc; jmp behind it; ret
    let code = b"\x50\xdb\xe3\xd9\xe8\x66\x0f\xef\xc0\xf9\xeb\x00\xc3";
    sandbox.file("prog", &elf(code));
    sandbox.ok(&["extract", "prog"]);
    let first = sandbox.json(&["simulate", "1", "-e", "native"])["first"].clone();
    let (start, end) = (&first["start"], &first["ends"][0]["state"]);
    assert_eq!(first["ends"][0]["engine"], "native");
    assert_eq!(first["ends"][0]["endpoint"]["kind"], "exit");
    assert!(
        first["ends"][0]["endpoint"]["target"]
            .as_str()
            .unwrap()
            .starts_with("0x")
    );
    assert_eq!(start["registers"].as_object().unwrap().len(), 16);
    assert_eq!(start["registers"]["rax"], end["registers"]["rax"]);
    assert!(end["flags"].as_array().unwrap().contains(&"CF".into()), "{end}");
    assert_eq!(end["x87"]["st"][0], "0000000000000080ff3f");
    assert_eq!(end["x87"]["st"].as_array().unwrap().len(), 8);
    assert_eq!(end["vectors"].as_array().unwrap().len(), 32);
    assert_eq!(end["vectors"][0].as_str().unwrap()[..32], "0".repeat(32));
    assert!(first["covered"].as_array().unwrap().contains(&"x87".into()));
    let lines = first["ends"][0]["memory"].as_array().unwrap();
    assert_eq!(lines.len(), 1);
    assert_ne!(lines[0]["before"], lines[0]["after"]);
    assert_eq!(lines[0]["after"].as_str().unwrap().len(), 128);
    let rax = u64::from_str_radix(&start["registers"]["rax"].as_str().unwrap()[2..], 16).unwrap();
    let pushed: String = rax
        .to_le_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert!(lines[0]["after"].as_str().unwrap().contains(&pushed));
    sandbox.ok(&["extract", PROGRAM, "-n", "3", "--runnable"]);
    assert_eq!(
        sandbox.json(&["simulate", "all", "-e", "native"])["first"],
        Value::Null
    );
}
