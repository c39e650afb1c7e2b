//! Statistics and metrics of stored runs.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

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
    assert_eq!(declared.len(), 12);
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

/// What promtool says of a command of its own, with `input` as its standard input.
fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring");
    let child = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.expect("promtool is there: `cargo xtask install` brings it");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

#[test]
fn prometheus_takes_the_metrics_and_the_alert_rules() {
    let sandbox = checked();
    let metrics = sandbox.ok(&["metrics", "prometheus"]).stdout;
    assert_eq!(promtool(&["check", "metrics"], &metrics), (true, String::new()));
    let (passes, said) = promtool(&["test", "rules", "alerts_test.yml"], "");
    assert!(passes, "{said}");
    let (passes, said) = promtool(&["check", "rules", "alerts.yml"], "");
    assert!(passes, "{said}");
}

#[test]
fn the_dashboard_shows_metrics_that_there_are() {
    let sandbox = checked();
    let metrics = sandbox.ok(&["metrics", "prometheus"]).stdout;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring");
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("grafana-dashboard.json")).unwrap()).unwrap();
    let alerts = fs::read_to_string(folder.join("alerts.yml")).unwrap();
    let mut texts: Vec<String> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("expr: ").map(str::to_owned))
        .collect();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            texts.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let names = texts
        .iter()
        .flat_map(|text| text.split(|character| !is_of_name(character)));
    let names: Vec<&str> = names.filter(|name| name.starts_with("snippex_")).collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        assert!(metrics.contains(&format!("\n{name}{{")), "there is no {name}");
    }
}
