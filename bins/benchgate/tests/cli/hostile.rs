//! Input that is broken, too large, or of another version; places that cannot be written to.

use std::fmt::Write as _;

use crate::project::Project;

#[test]
fn truncated_json_names_the_file() {
    let project = Project::new();
    project.run("run --runs 4 -- ./bench.sh").exits(0);
    let run = project.read("target/benchgate/run.json");
    project.write("cut.json", &run[..run.len() / 2]);
    project
        .run("check cut.json")
        .exits(2)
        .says(&["cannot use", "cut.json", "not a run file"]);
    project.run("record cut.json").exits(2).says(&["cut.json"]);
    project
        .run("compare cut.json cut.json")
        .exits(2)
        .says(&["cut.json"]);
    project
        .run("import cut.json")
        .exits(2)
        .says(&["1 of 1 files could not be used", "cut.json"]);
    project
        .run("report cut.json")
        .exits(2)
        .says(&["cut.json", "not a report"]);
    project.run("changepoints cut.json").exits(2).says(&["cut.json"]);
    project.write("benches/baselines.json", "{\"version\": 2, \"environ");
    project
        .run("check")
        .exits(2)
        .says(&["baselines.json", "not a baseline file"]);
    project
        .run("record -- ./bench.sh")
        .exits(2)
        .says(&["baselines.json"]);
    project.run("doctor").exits(2).answers(&["baseline", "bad"]);
}

#[test]
fn newer_versions_ask_for_a_newer_program() {
    let project = Project::new();
    project.run("run --runs 4 -- ./bench.sh").exits(0);
    project.write(
        "benches/baselines.json",
        "{\"format\": \"benchgate-baselines\", \"version\": 9, \"environments\": []}",
    );
    project
        .run("check")
        .exits(2)
        .says(&["version 9", "update benchgate"]);
    project.write("run9.json", "{\"format\": \"benchgate-run\", \"version\": 9}");
    project
        .run("check run9.json")
        .exits(2)
        .says(&["run9.json", "version 9"]);
    project
        .run("compare run9.json run9.json")
        .exits(2)
        .says(&["run9.json", "version 9"]);
}

#[test]
fn the_baseline_of_the_plan_is_read() {
    let project = Project::new();
    let plan = r#"{"version": "1.0", "platform": "linux-x86_64", "cpu": "x", "timestamp": "2026-01-01T00:00:00Z",
        "baselines": {"alpha": {"mean_ns": 100000.0, "std_dev_ns": 10.0, "sample_size": 100}}}"#;
    project.write("benches/baselines.json", plan);
    project
        .run("check -- ./bench.sh")
        .exits(2)
        .answers(&["could not judge", "cpu: x"]);
}

#[test]
fn a_file_of_200_megabytes_is_refused_before_it_is_read() {
    let project = Project::new();
    let file = std::fs::File::create(project.path("huge.json")).unwrap();
    file.set_len(200 << 20).unwrap();
    project
        .run("import huge.json")
        .exits(2)
        .says(&["huge.json is larger than 64.0 MiB"]);
    project
        .run("compare huge.json huge.json")
        .exits(2)
        .says(&["huge.json"]);
}

#[test]
fn a_hundred_thousand_benchmarks_are_measured_recorded_and_judged() {
    let project = Project::new();
    let mut text = String::new();
    for index in 0..100_000 {
        writeln!(
            text,
            "test group::bench_{index} ... bench: {} ns/iter (+/- 1)",
            1000 + index % 700
        )
        .unwrap();
    }
    project.write("many.txt", &text);
    project
        .run("record --runs 2 -- cat many.txt")
        .exits(0)
        .says(&["100000 added"]);
    let answer = project.run("check --runs 2 -- cat many.txt").exits(2);
    assert!(answer.out.len() < 64 << 20);
    let answer = project
        .run("check --runs 2 --format markdown -- cat many.txt")
        .exits(2);
    assert!(answer.out.len() <= 1_000_000, "{}", answer.out.len());
}

#[test]
fn odd_numbers_are_named_and_the_others_kept() {
    let project = Project::new();
    let odd = r#"[
        {"name": "good", "unit": "ns", "value": 100},
        {"name": "negative", "unit": "ns", "value": -5},
        {"name": "text", "unit": "ns", "value": "NaN"},
        {"name": "huge", "unit": "ns", "value": 1e999},
        {"name": "good", "unit": "ns", "value": 100}
    ]"#;
    project.write("odd.json", odd);
    let answer = project.run("run --runs 2 -- cat odd.json");
    let answer = answer.says(&["negative"]);
    // A number that JSON cannot hold may cost its file or its entry, but never the program.
    assert!([0, 2].contains(&answer.code), "{answer:?}");
    project.write("odd2.json", &odd.replace("1e999", "7"));
    let answer = project
        .run("run --runs 2 -- cat odd2.json")
        .exits(0)
        .answers(&["good", "huge"]);
    answer.says(&["negative: is negative", "text", "good: appears twice"]);
}

#[test]
fn changed_units_are_not_compared() {
    let project = Project::new();
    let with = |unit: &str| format!(r#"[{{"name": "size", "unit": "{unit}", "value": 100}}]"#);
    project.write("size.json", &with("ns"));
    project.run("record --runs 4 -- cat size.json").exits(0);
    project.write("size.json", &with("us"));
    project
        .run("check --runs 4 -- cat size.json")
        .exits(1)
        .answers(&["+99900 %"]);
    project.write("size.json", &with("B"));
    let answer = project.run("check --runs 4 -- cat size.json").exits(2);
    answer.answers(&["the judged run does not have it", "nothing to be compared with"]);
}

#[test]
fn output_that_is_no_result_says_what_to_do() {
    let project = Project::new();
    project
        .run("run -- echo hello")
        .exits(2)
        .says(&["gave no benchmark results", "--results", "--tool"]);
    project.run("run -- true").exits(2).says(&["it printed nothing"]);
    project
        .run("run -- ./missing.sh")
        .exits(2)
        .says(&["cannot start \"./missing.sh\"", "benchgate.toml"]);
    project
        .run("run --tool unheard -- true")
        .exits(2)
        .says(&["unknown tool \"unheard\"", "criterion"]);
}

#[test]
fn nothing_to_compare_with_is_an_error_with_a_way_out() {
    let project = Project::new();
    project.run("check").exits(2).says(&["run.json", "benchgate run"]);
    project
        .run("check -- ./bench.sh")
        .exits(2)
        .says(&["no baseline", "benchgate record", "benchgate ab"]);
    project.run("report").exits(2).says(&["report.json", "save one"]);
}

#[test]
fn a_place_that_cannot_be_written_to_is_found_before_measuring() {
    let project = Project::new();
    // A file where a folder has to be: fails for every user, also for root.
    project.write("blocked", "");
    let answer = project.run("run --state blocked -- ./bench.sh").exits(2);
    answer.says(&["cannot write", "blocked"]);
    assert!(!project.path(".count").exists(), "nothing was measured in vain");
    project
        .run("doctor --state blocked")
        .exits(2)
        .answers(&["state folder", "--state"]);
    project.run("run --runs 1 -- ./bench.sh").exits(0);
    project
        .run("record --allow-dirty target/benchgate/run.json --baseline blocked/b.json")
        .exits(2)
        .says(&["blocked/b.json"]);
}

#[test]
fn a_broken_history_line_is_passed_over_and_named() {
    let project = Project::new();
    project.run("record -- ./bench.sh").exits(0);
    let mut history = project.read("benches/history.jsonl");
    history.push_str("{\"version\": 1, \"envir");
    project.write("benches/history.jsonl", &history);
    project.run("record -- ./bench.sh").exits(0);
    let answer = project
        .run("history")
        .exits(0)
        .says(&["history.jsonl:2: passed over"]);
    assert_eq!(answer.out.lines().count(), 3, "a header and two runs");
}
