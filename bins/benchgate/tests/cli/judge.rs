//! `check`, `compare`, `report`: what is found, and how it is told.

use std::fs;
use std::process::Command;

use crate::project::Project;

#[test]
fn a_check_finds_what_became_slower_and_nothing_else() {
    let project = Project::new();
    project.run("record -- ./bench.sh").exits(0);
    project
        .run("check -- ./bench.sh")
        .exits(0)
        .answers(&["no change", "3 unchanged"]);
    let slow = [("SLOW", "1200")];
    let answer = project.run_with("check -- ./bench.sh", &slow).exits(1);
    let answer = answer.answers(&[
        "regression: 1 of 3 benchmarks is slower",
        "1 regression, 2 unchanged",
    ]);
    let place = |name: &str| answer.out.find(name).unwrap();
    assert!(
        place("beta") < place("alpha"),
        "the worst comes first:\n{}",
        answer.out
    );
    project
        .run_with("check --exit-zero -- ./bench.sh", &slow)
        .exits(0)
        .answers(&["regression"]);
    project
        .run_with("check --threshold 30% -- ./bench.sh", &slow)
        .exits(0);
    project
        .run_with("check --rule b*=30% -- ./bench.sh", &slow)
        .exits(0);
    project
        .run_with("check --rule b*=much -- ./bench.sh", &slow)
        .exits(2)
        .says(&["--rule b*", "\"much\""]);
    project
        .run_with("check -- ./bench.sh", &[("SLOW", "700")])
        .exits(0)
        .answers(&["improvement"]);
}

#[test]
fn a_judged_run_cannot_become_the_baseline() {
    let project = Project::new();
    project.run("record -- ./bench.sh").exits(0);
    project
        .run_with("check -- ./bench.sh", &[("SLOW", "1040")])
        .exits(0);
    project
        .run("record target/benchgate/run.json")
        .exits(2)
        .says(&["was judged", "measure again"]);
    // The way to update: the run is recorded instead of judged.
    let update = [("UPDATE_BASELINES", "1"), ("SLOW", "1200")];
    project
        .run_with("check -- ./bench.sh", &update)
        .exits(0)
        .says(&["recorded and not judged", "3 replaced"]);
    project
        .run_with("check -- ./bench.sh", &[("SLOW", "1200")])
        .exits(0);
    project
        .run_with("check -- ./bench.sh", &[("UPDATE_BASELINES", "0")])
        .exits(0)
        .answers(&["improvement"]);
}

#[test]
fn a_check_leaves_the_run_file_as_it_is_and_remembers_it() {
    let project = Project::new();
    project.run("record -- ./bench.sh").exits(0);
    project.run("run -- ./bench.sh").exits(0);
    let path = project.path("target/benchgate/run.json");
    let before = fs::read(&path).unwrap();
    project.run("check target/benchgate/run.json").exits(0);
    assert_eq!(fs::read(&path).unwrap(), before);
    project.run("check target/benchgate/run.json").exits(0);
    project
        .run("record target/benchgate/run.json")
        .exits(2)
        .says(&["was judged"]);
}

#[test]
fn an_accepted_shift_starts_an_epoch_with_its_reason() {
    let project = Project::new();
    project.run("record -- ./bench.sh").exits(0);
    let mut accept = project.program();
    accept
        .args([
            "baseline",
            "accept",
            "beta",
            "--reason",
            "Unicode is worth it",
            "--",
            "./bench.sh",
        ])
        .env("SLOW", "1300");
    assert!(accept.output().unwrap().status.success());
    let file = project.read("benches/baselines.json");
    assert_eq!(file.matches("Unicode is worth it").count(), 1);
    project
        .run_with("check -- ./bench.sh", &[("SLOW", "1300")])
        .exits(0)
        .answers(&["3 unchanged"]);
    project
        .run("baseline accept --reason - -- ./bench.sh")
        .exits(2)
        .says(&["justification is empty"]);
    project
        .run("baseline prune beta --dry-run")
        .exits(0)
        .answers(&["beta"]);
    project.run("baseline prune beta").exits(0);
    assert!(!project.read("benches/baselines.json").contains("\"beta\""));
}

#[test]
fn a_run_is_in_the_history_once_however_often_it_is_added() {
    let project = Project::new();
    project.run("run -- ./bench.sh").exits(0);
    project.run("history add").exits(0).says(&["1 run added"]);
    project
        .run("history add")
        .exits(0)
        .says(&["0 runs added", "1 there already"]);
    // As a baseline it is the same run still; measured again it is another.
    project.run("record target/benchgate/run.json").exits(0);
    project.run("run -- ./bench.sh").exits(0);
    project
        .run("history add target/benchgate/run.json target/benchgate/run.json")
        .exits(0)
        .says(&["1 run added", "1 there already"]);
    let lines = project.read("benches/history.jsonl").lines().count();
    assert_eq!(lines, 2);
}

#[test]
fn what_a_second_run_does_not_confirm_is_no_regression() {
    let project = Project::new();
    project.run("record -- ./bench.sh").exits(0);
    let mut check = project.program();
    check
        .args(["check", "--confirm", "SLOW=1000 ./bench.sh", "--", "./bench.sh"])
        .env("SLOW", "1200");
    let output = check.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.contains("3 unchanged"),
        "{output:?}"
    );
    let mut check = project.program();
    check
        .args(["check", "--confirm", "./bench.sh", "--", "./bench.sh"])
        .env("SLOW", "1200");
    let output = check.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.code() == Some(1) && text.contains("confirmed by a second run"),
        "{output:?}"
    );
}

#[test]
fn single_runs_are_judged_against_the_history() {
    let project = Project::new();
    for _ in 0..12 {
        project.run("run --runs 1 -- ./bench.sh").exits(0);
        project.run("history add").exits(0);
    }
    project
        .run("check --runs 1 -- ./bench.sh")
        .exits(0)
        .answers(&["history", "3 unchanged"]);
    let mut check = project.program();
    check
        .args([
            "check",
            "--runs",
            "1",
            "--confirm",
            "./bench.sh",
            "--",
            "./bench.sh",
        ])
        .env("SLOW", "1300");
    let output = check.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.code() == Some(1) && text.contains("confirmed"),
        "{output:?}"
    );
    // Without --confirm the command itself measures again, and ten times as slow needs no second opinion.
    let slow = [("SLOW", "1200")];
    let answer = project.run_with("check --runs 1 -- ./bench.sh", &slow).exits(1);
    answer
        .answers(&["beta", "confirmed by a second run"])
        .says(&["1 benchmark looks slower and is measured again"]);
    let slow = [("SLOW", "10000")];
    project.run_with("run --runs 1 -- ./bench.sh", &slow).exits(0);
    project
        .run("check target/benchgate/run.json")
        .exits(1)
        .answers(&["far beyond every value that was ever seen"]);
    let slow = [("SLOW", "1120")];
    project.run_with("run --runs 1 -- ./bench.sh", &slow).exits(0);
    project
        .run("check target/benchgate/run.json")
        .exits(2)
        .answers(&["suspected: 1 of 3 benchmarks may be slower", "--confirm"]);
    project
        .run("trends alpha")
        .exits(0)
        .answers(&["alpha", "│", "a run over 12 runs"]);
}

#[test]
fn trends_name_a_pattern_that_repeats() {
    let project = Project::new();
    for slow in ["1000", "1150"] {
        project
            .run_with("run --runs 1 -- ./bench.sh", &[("SLOW", slow)])
            .exits(0);
        project.run("history add").exits(0);
    }
    let history = project.read("benches/history.jsonl");
    let lines: Vec<&str> = history.lines().collect();
    let weeks: String = (0..42)
        .flat_map(|day| [lines[usize::from(day % 7 > 4)], "\n"])
        .collect();
    project.write("benches/history.jsonl", &weeks);
    project
        .run("trends --all")
        .exits(0)
        .answers(&["repeats every 7 runs"]);
}

#[test]
fn values_of_another_environment_are_not_compared_unless_asked_for() {
    let project = Project::new();
    project.run("record --tag runner=a -- ./bench.sh").exits(0);
    let answer = project.run("check --tag runner=b -- ./bench.sh").exits(2);
    answer.answers(&[
        "could not judge",
        "tag runner: a, here b",
        "--across-environments",
    ]);
    let answer = project
        .run("check --tag runner=b --across-environments -- ./bench.sh")
        .exits(0);
    answer.answers(&["compared across environments, as asked for"]);
    project.run("check --tag runner=a -- ./bench.sh").exits(0);
    project
        .run("check --ignore-part moon -- ./bench.sh")
        .exits(2)
        .says(&["moon", "kernel"]);
}

#[test]
fn a_failed_or_missing_benchmark_does_not_pass_in_silence() {
    let project = Project::new();
    project.run("record -- ./bench.sh").exits(0);
    project.write("short.sh", "./bench.sh | grep -v gamma\n");
    project
        .run("check -- sh short.sh")
        .exits(0)
        .answers(&["gamma: the judged run does not have it"]);
    project.write(
        "failing.sh",
        "./bench.sh | sed 's/^test gamma .*/test gamma ... FAILED/'\n",
    );
    let answer = project.run("check -- sh failing.sh").exits(2);
    answer.answers(&[
        "could not judge: gamma failed in this run",
        "gamma: the benchmark failed",
    ]);
}

#[test]
fn a_report_is_shown_again_in_every_format() {
    let project = Project::new();
    project.write("slow", "1100");
    project.commit("slower");
    project
        .run("ab --base HEAD~1 --build true -- ./bench.sh")
        .exits(1);
    let report: serde_json::Value =
        serde_json::from_str(&project.run("report --format json").exits(0).out).unwrap();
    assert_eq!(report["outcome"], "regression");
    assert_eq!(report["rows"][0]["name"], "beta");
    project
        .run("report --format markdown")
        .exits(0)
        .answers(&["| beta |", "<details>"]);
    project
        .run("report --format html")
        .exits(0)
        .answers(&["<!doctype html>", "<svg", "beta"]);
    project.run("report --format junit").exits(0).answers(&[
        "<failure message=",
        "type=\"regression\"",
        "failures=\"1\"",
    ]);
    let summary = project.path("summary.md").display().to_string();
    let answer = project
        .run_with("report --format github", &[("GITHUB_STEP_SUMMARY", &summary)])
        .exits(0);
    answer.answers(&["::error title=beta +"]);
    assert!(project.read("summary.md").contains("| beta |"));
    project.run("report --output page.html --format html").exits(0);
    assert!(project.read("page.html").starts_with("<!doctype html>"));
    let csv = project.run("report --format csv").exits(0).out;
    assert!(csv.starts_with("benchmark,unit,direction,verdict,"), "{csv}");
    assert!(csv.contains("\r\nbeta,"), "{csv}");
    project
        .run("report --format pdf --paper letter --output report.pdf")
        .exits(0);
    let pdf = fs::read(project.path("report.pdf")).unwrap();
    assert!(pdf.starts_with(b"%PDF-") && pdf.len() > 5000);
    // The programs that others read it with: `cargo xtask install` brings them.
    let said_by = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(project.path(""))
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    said_by("qpdf", &["--check", "report.pdf"]);
    let text = said_by("pdftotext", &["report.pdf", "-"]);
    assert!(
        text.contains("Benchmarks: regression") && text.contains("beta"),
        "{text}"
    );
}

#[test]
fn a_report_is_written_by_a_template() {
    let project = Project::new();
    project.run("run --run-file a.json -- ./bench.sh").exits(0);
    project
        .run_with("run --run-file b.json -- ./bench.sh", &[("SLOW", "1150")])
        .exits(0);
    project.run("compare a.json b.json").exits(1);
    let example = project.run("report --example-template").exits(0).out;
    project.write("mine.md", &example);
    project
        .run("report --template mine.md")
        .exits(0)
        .answers(&["### Benchmarks: regression", "| beta |"]);
    project.write(
        "short.txt",
        "{% for row in report.rows %}{{ row.name }} {% endfor %}",
    );
    project
        .run("report --template short.txt --output short.out")
        .exits(0);
    assert!(project.read("short.out").starts_with("beta "));
    project.write("wrong.txt", "\n{{ report.outcom }}");
    project.run("report --template wrong.txt").exits(2).says(&[
        "wrong.txt",
        "2:",
        "outcome",
        "--example-template",
    ]);
    project
        .run("report --template none.md")
        .exits(2)
        .says(&["none.md", "cannot be read"]);
}

#[test]
fn run_files_are_compared() {
    let project = Project::new();
    project.run("run --run-file a.json -- ./bench.sh").exits(0);
    project
        .run_with("run --run-file b.json -- ./bench.sh", &[("SLOW", "1150")])
        .exits(0);
    project.run("compare a.json b.json").exits(1).answers(&["beta"]);
    project
        .run("compare b.json a.json")
        .exits(0)
        .answers(&["improvement"]);
}

#[test]
fn noise_says_which_change_can_be_seen() {
    let project = Project::new();
    let answer = project.run("noise --runs 16 -- ./bench.sh").exits(0);
    answer
        .answers(&["sees from", "0 of 4", "+6 %"])
        .says(&["0 false alarms in 12 comparisons"]);
    project
        .run("noise --runs 3 -- ./bench.sh")
        .exits(2)
        .says(&["too few", "--runs 16"]);
}

#[test]
fn the_answer_is_a_table_and_a_sentence() {
    let project = Project::new();
    project.run("record -- ./bench.sh").exits(0);
    let answer = project
        .run_with("check -- ./bench.sh", &[("SLOW", "1200")])
        .exits(1);
    snapbox::assert_data_eq!(
        answer.out,
        snapbox::str![[r#"
 benchmark  trend               before       now   change     95 % interval  verdict
 beta       ▁▁▁▁▁▁▁▁████████  100.7 µs  120.0 µs  +19.2 %  [+18.8, +19.5] %  regression
 alpha      ▁███▇▇▇▆▆▆▅▅▅▄▄▄  100.6 µs  100.0 µs   -0.6 %    [-0.9, -0.3] %  unchanged
 gamma      ▁███▇▇▇▆▆▆▅▅▅▄▄▄  100.6 µs  100.0 µs   -0.6 %    [-0.9, -0.3] %  unchanged

beta: 19.2 % slower (95 % interval +18.8 % to +19.5 %), beyond the threshold of 5 %, q = 2.8e-24
this run ([..]), 8 runs against baseline ([..]), 8 runs
regression: 1 of 3 benchmarks is slower by more than its threshold (1 regression, 2 unchanged)

"#]]
    );
}

#[test]
fn a_check_measures_and_never_judges_the_baseline_by_itself() {
    let project = Project::new();
    project.write("benchgate.toml", "command = [\"./bench.sh\"]\n");
    project.commit("settings");
    project.run("record").exits(0);
    project
        .run("check target/benchgate/run.json")
        .exits(2)
        .says(&["the run is the baseline", "measure again"]);
    project.write("slow", "3000");
    project.commit("three times slower");
    project.run("check --runs 8").exits(1).answers(&["beta"]);
}

#[test]
fn a_check_without_a_baseline_is_refused_before_anything_is_measured() {
    let project = Project::new();
    project
        .run("check -- ./bench.sh")
        .exits(2)
        .says(&["there is no baseline", "benchgate record"]);
    assert!(!project.path(".count").exists(), "nothing was run");
}

#[test]
fn baselines_that_are_recorded_at_once_are_all_kept() {
    let project = Project::new();
    project.write("bench2.sh", "echo 'test a ... bench: 10 ns/iter (+/- 1)'\n");
    project.commit("bench");
    let recording: Vec<_> = (0..20)
        .map(|number| {
            let (state, tag) = (
                format!("../state-{}-{number}", std::process::id()),
                format!("t={number}"),
            );
            let mut record = project.program();
            record.args([
                "--state",
                &state,
                "record",
                "--allow-dirty",
                "-n",
                "4",
                "-q",
                "--tag",
                &tag,
            ]);
            let child = record.args(["--", "sh", "bench2.sh"]).spawn().unwrap();
            (project.path(&state), child)
        })
        .collect();
    for (state, mut child) in recording {
        assert!(child.wait().unwrap().success());
        fs::remove_dir_all(state).unwrap();
    }
    let kept = project.read("benches/baselines.json");
    assert_eq!(kept.matches("\"environment\": {").count(), 20);
}

#[test]
fn a_limit_applies_to_measures_of_its_unit() {
    let project = Project::new();
    project.write(
        "go.sh",
        "echo 'pkg: m'; echo 'BenchmarkParse-8 1000 100100 ns/op 3000000 B/op 12 allocs/op'\n",
    );
    project.write(
        "benchgate.toml",
        "[[rules]]\nbenchmark = \"*Parse*\"\nlimit = \"2 ms\"\n",
    );
    project.run("run -n 5 --run-file r.json -- sh go.sh").exits(0);
    project.run("compare r.json r.json").exits(0);
    project.write(
        "benchgate.toml",
        "[[rules]]\nbenchmark = \"*Parse*\"\nlimit = \"50 us\"\n",
    );
    let answer = project.run("compare r.json r.json").exits(1);
    assert!(
        answer
            .answers(&["regression: 1 of 3"])
            .out
            .contains("absolute limit")
    );
}

#[test]
fn a_toolchain_that_does_not_answer_holds_nothing_up() {
    let project = Project::new();
    project.write("bin/rustc", "#!/bin/sh\nsleep 600\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(project.path("bin/rustc"), mode).unwrap();
    let path = format!(
        "{}:{}",
        project.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let begun = std::time::Instant::now();
    project
        .run_with("run -n 1 -- ./bench.sh", &[("PATH", &path)])
        .exits(0);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}
