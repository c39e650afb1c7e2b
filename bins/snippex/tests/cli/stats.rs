//! Statistics and metrics of stored runs.

use std::fs;

use serde_json::Value;

use crate::sandbox::{Sandbox, TINY, tiny_program};

/// A sandbox in which the tiny program was checked on an engine that fails, twice, and on one that does not.
fn checked() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file(TINY, &tiny_program());
    for (engine, code) in [("mock", 1), ("mock", 1), ("native", 0)] {
        let ended = sandbox.run(&["check", TINY, "-e", engine, "--states", "8", "--no-reduce"]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
    }
    sandbox
}

fn rows(sandbox: &Sandbox, arguments: &[&str]) -> Vec<Value> {
    sandbox
        .json(&[&["stats"], arguments].concat())
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn runs_are_put_together() {
    let sandbox = checked();
    let summary = rows(&sandbox, &["summary"]);
    assert_eq!(summary.len(), 2);
    let mock = &summary[0];
    assert_eq!(
        (&mock["name"], &mock["checks"], &mock["blocks"]),
        (&"mock".into(), &2.into(), &4.into())
    );
    assert_eq!(
        (&mock["failing_blocks"], &mock["success_rate"]),
        (&2.into(), &0.5.into())
    );
    assert!(mock["least"].as_f64().unwrap() < 0.5 && mock["most"].as_f64().unwrap() > 0.5);
    assert_eq!(summary[1]["success_rate"], 1.0);
    let binaries = rows(&sandbox, &["summary", "--by", "binary"]);
    assert_eq!(
        (&binaries[0]["name"], &binaries[0]["blocks"]),
        (&TINY.into(), &6.into())
    );
    assert!(!rows(&sandbox, &["summary", "--by", "kind"]).is_empty());
    let runs = rows(&sandbox, &["runs"]);
    assert_eq!(runs.len(), 3);
    assert_eq!(
        (&runs[0]["engine"], &runs[0]["complete"]),
        (&"native".into(), &"yes".into())
    );
    assert_eq!(rows(&sandbox, &["trends"])[0]["checks"], 3);
    assert!(sandbox.ok(&["stats", "trends"]).stdout.contains("success rate "));
    assert_eq!(rows(&sandbox, &["modes"])[0]["verdict"], "diverged");
    let failing = rows(&sandbox, &["blocks", "--failing"]);
    assert_eq!(failing.len(), 1);
    assert_eq!(
        (&failing[0]["failing_checks"], &failing[0]["checks"]),
        (&2.into(), &2.into())
    );
    assert!(rows(&sandbox, &["blocks", "--flaky"]).is_empty());
    assert_eq!(rows(&sandbox, &["runs", "--runs", "1"]).len(), 1);
    let csv = sandbox.ok(&["stats", "runs", "--format", "csv"]).stdout;
    assert!(
        csv.starts_with("run,started,command,engine,") && csv.ends_with("\r\n"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 4);
    sandbox
        .run(&["stats", "runs", "--database", "none.db"])
        .refused(&["there is no database"]);
}

#[test]
fn metrics_are_shown_exported_and_alerted_on() {
    let sandbox = checked();
    assert_eq!(sandbox.json(&["metrics", "record"])["run"], 3);
    let text = sandbox.ok(&["metrics", "show"]).stdout;
    assert!(
        text.contains("3 checks") && text.contains("mock") && text.contains("same"),
        "{text}"
    );
    let alerted = sandbox.run(&["metrics", "show", "--alert-below", "75"]);
    assert_eq!(alerted.code, Some(1), "{alerted:?}");
    assert!(
        alerted.stdout.contains("mock: 50.00 % is below 75 %"),
        "{alerted:?}"
    );
    sandbox.ok(&["metrics", "show", "--alert-below", "50", "--alert-worse"]);
    assert_eq!(
        sandbox.run(&["metrics", "show", "--alert-below", "101"]).code,
        Some(2)
    );
    let csv = sandbox.ok(&["metrics", "export", "--format", "csv"]).stdout;
    assert_eq!(csv.lines().count(), 4);
}

#[test]
fn prometheus_gets_families_with_help_and_type() {
    let sandbox = checked();
    let text = sandbox.ok(&["metrics", "prometheus"]).stdout;
    let mut declared = Vec::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            declared.push(help.split(' ').next().unwrap());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert_eq!(kind.split(' ').next(), declared.last().copied());
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            assert_eq!(Some(name), declared.last().copied(), "{line}");
            let (_, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert_eq!(declared.len(), 11);
    assert!(
        text.contains("snippex_run_success_ratio{engine=\"mock\","),
        "{text}"
    );
    sandbox.ok(&["metrics", "prometheus", "snippex.prom"]);
    assert_eq!(fs::read_to_string(sandbox.path("snippex.prom")).unwrap(), text);
    sandbox
        .run(&["metrics", "prometheus", "no/folder/x.prom"])
        .refused(&["cannot write"]);
}
