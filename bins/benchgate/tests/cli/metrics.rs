//! `metrics`: snapshots of judgements, dashboards, alerts, Prometheus.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::project::Project;

/// A project with a baseline, one check without a change and one with a regression of 20 %.
fn judged() -> Project {
    let project = Project::new();
    project.run("record -- ./bench.sh").exits(0);
    project.run("check -- ./bench.sh").exits(0);
    project
        .run_with("check -- ./bench.sh", &[("SLOW", "1200")])
        .exits(1);
    project
}

#[test]
fn each_judgement_leaves_a_snapshot() {
    let project = Project::new();
    project
        .run("metrics show")
        .exits(0)
        .says(&["nothing was judged yet"]);
    let project = judged();
    project.run("metrics show").exits(0).answers(&[
        "2 judgements, 6 of benchmarks, 50.00 % with nothing slower",
        "regression",
        "beta",
    ]);
    let csv = project.run("metrics export --table csv").exits(0).out;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 3, "{csv}");
    assert!(lines[0].starts_with("time,what,environment,commit,outcome,benchmarks,regressions"));
    let json: serde_json::Value = serde_json::from_str(&project.run("metrics export").exits(0).out).unwrap();
    assert_eq!(
        (&json[0]["regressions"], &json[1]["regressions"]),
        (&0.into(), &1.into())
    );
    assert_eq!(json[1]["worst_benchmark"], "beta");
    let newest = project.run("metrics export --table csv --last 1").exits(0).out;
    assert_eq!(newest.lines().collect::<Vec<_>>(), [lines[0], lines[2]]);
    project
        .run("metrics show --format html")
        .exits(2)
        .says(&["--table csv"]);
}

#[test]
fn limits_alert_with_exit_code_1() {
    let project = judged();
    project
        .run("metrics show --alert-slower 50% --alert-below 40%")
        .exits(0)
        .answers(&["no alert"]);
    project
        .run("metrics show --alert-slower 10%")
        .exits(1)
        .answers(&["alert: ", "beta costs +"]);
    project
        .run("metrics show --alert-below 60")
        .exits(1)
        .answers(&["50.00 % of the judgements pass, fewer than 60 %"]);
    project
        .run("metrics show --alert-below=-1")
        .exits(2)
        .says(&["for example 5%"]);
}

#[test]
fn prometheus_takes_the_gauges() {
    let project = judged();
    let text = project.run("metrics prometheus").exits(0).out;
    assert!(text.contains("benchgate_regressions{environment="), "{text}");
    assert_eq!(text.matches("# HELP ").count(), 10, "{text}");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is there: `cargo xtask install` brings it");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    project.run("metrics prometheus out/benchgate.prom").exits(0);
    assert_eq!(project.read("out/benchgate.prom"), text);
}

#[test]
fn reports_made_elsewhere_are_taken_once() {
    let project = judged();
    let report = project.read("target/benchgate/report.json");
    project.write("theirs.json", &report.replace("beta", "gamma"));
    project
        .run("metrics record theirs.json target/benchgate/report.json")
        .exits(0)
        .says(&["1 snapshot added, 1 there already"]);
    assert!(project.run("metrics show").exits(0).out.contains("3 judgements"));
    project.write("broken.json", "{\"version\": 1");
    project
        .run("metrics record theirs.json broken.json")
        .exits(2)
        .says(&["cannot use broken.json"]);
}

#[test]
fn damaged_lines_are_passed_over_and_newer_ones_refused() {
    let project = judged();
    let path = "target/benchgate/metrics.jsonl";
    let text = project.read(path);
    project.write(path, &format!("{{\"version\": 1, \"ti\n{text}"));
    project
        .run("metrics show")
        .exits(0)
        .answers(&["2 judgements"])
        .says(&["metrics.jsonl:1: passed over"]);
    // They stay, before all else, when the next judgement is kept.
    project.run("check -- ./bench.sh").exits(0);
    assert!(project.read(path).starts_with("{\"version\": 1, \"ti\n{"));
    assert_eq!(project.read(path).lines().count(), 4);
    project.write(path, &format!("{text}{{\"version\": 9}}\n"));
    project
        .run("metrics show")
        .exits(2)
        .says(&["metrics.jsonl:3 has version 9"]);
    // A check goes on without.
    project
        .run("check -- ./bench.sh")
        .exits(0)
        .says(&["no snapshot is kept", "version 9"]);
    assert_eq!(project.read(path).lines().count(), 3);
}

#[test]
fn dashboard_and_alerts_use_metrics_that_there_are() {
    let exposition = judged().run("metrics prometheus").exits(0).out;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/monitoring");
    for file in ["grafana-dashboard.json", "alerts.yml"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        let names: Vec<&str> = words.filter(|word| word.starts_with("benchgate_")).collect();
        assert!(names.len() >= 4, "{file}: {names:?}");
        for name in names {
            assert!(
                exposition.contains(&format!("\n{name}{{")),
                "{file}: there is no {name}"
            );
        }
    }
}
