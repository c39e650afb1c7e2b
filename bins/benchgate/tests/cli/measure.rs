//! `run`, `record`, `import`, `history`: what is measured and what is kept of it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::project::Project;

#[test]
fn every_process_is_one_number_and_one_entry_of_the_run_file() {
    let project = Project::new();
    let answer = project.run("run --runs 3 -- ./bench.sh").exits(0);
    answer
        .answers(&["alpha", "beta", "gamma", "µs"])
        .says(&["3 runs are in target/benchgate/run.json"]);
    let run: serde_json::Value = serde_json::from_str(&project.read("target/benchgate/run.json")).unwrap();
    assert_eq!(run["processes"].as_array().unwrap().len(), 3);
    assert_eq!(run["commit"]["sha"], project.git(&["rev-parse", "HEAD"]));
    assert_eq!(run["command"][0], "./bench.sh");
    assert_eq!(run["environment"]["os"], std::env::consts::OS);
}

#[test]
fn a_failure_keeps_what_was_finished_and_resume_goes_on() {
    let project = Project::new();
    project.write("fail-at", "3");
    let answer = project.run("run -- ./bench.sh").exits(2);
    answer.says(&[
        "run 3 of `./bench.sh` failed",
        "exit status: 101",
        "no luck",
        "2 finished before it",
        "run.json",
        "hint",
    ]);
    std::fs::remove_file(project.path("fail-at")).unwrap();
    project
        .run("run --resume --runs 8")
        .exits(0)
        .says(&["8 runs are in"]);
    assert_eq!(
        project.read(".count").trim(),
        "9",
        "two were kept, one failed, six were added"
    );
    project
        .run("run --resume -- ./other.sh")
        .exits(2)
        .says(&["cannot go on", "--resume"]);
}

#[test]
fn a_hanging_command_is_stopped_and_the_rest_kept() {
    let project = Project::new();
    project.write("hang-at", "2");
    let started = Instant::now();
    let answer = project.run("run --timeout 500ms -- ./bench.sh").exits(2);
    answer.says(&[
        "did not end within 500 ms",
        "1 finished before it",
        "raise --timeout",
    ]);
    assert!(started.elapsed() < Duration::from_secs(60));
    let run: serde_json::Value = serde_json::from_str(&project.read("target/benchgate/run.json")).unwrap();
    assert_eq!(run["processes"].as_array().unwrap().len(), 1);
}

#[test]
fn ctrl_c_keeps_what_was_finished() {
    let project = Project::new();
    project.write("hang-at", "3");
    let mut command = project.program();
    let child = command
        .args(["run", "--", "./bench.sh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::fs::read_to_string(project.path(".count"))
        .unwrap_or_default()
        .trim()
        != "3"
    {
        assert!(Instant::now() < deadline, "the third run never started");
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(
        said.contains("interrupted in run 3") && said.contains("2 finished before it"),
        "{said}"
    );
    let run: serde_json::Value = serde_json::from_str(&project.read("target/benchgate/run.json")).unwrap();
    assert_eq!(run["processes"].as_array().unwrap().len(), 2);
}

#[test]
fn a_record_is_a_reviewable_file_and_a_line_of_history() {
    let project = Project::new();
    project
        .run("record -- ./bench.sh")
        .exits(0)
        .says(&["benches/baselines.json: 3 added"]);
    let first = project.read("benches/baselines.json");
    assert!(first.contains("\"format\": \"benchgate-baselines\"") && first.lines().count() > 30);
    project.run("record -- ./bench.sh").exits(0).says(&["3 replaced"]);
    assert_eq!(project.read("benches/history.jsonl").lines().count(), 2);
    project
        .run("history")
        .exits(0)
        .answers(&[&project.git(&["rev-parse", "HEAD"])[..10]]);
    project.run("baseline list").exits(0).answers(&["here", "3"]);
    project
        .run("baseline show")
        .exits(0)
        .answers(&["alpha", "beta", "gamma", "µs"]);
}

#[test]
fn a_dirty_tree_is_not_recorded_unless_asked_for() {
    let project = Project::new();
    project.write(".gitignore", "target\n.count\n# changed\n");
    project
        .run("record -- ./bench.sh")
        .exits(2)
        .says(&["changes that are in no commit", "--allow-dirty"]);
    assert!(!project.path(".count").exists(), "nothing was measured in vain");
    project
        .run("record --allow-dirty -- ./bench.sh")
        .exits(0)
        .says(&["marked as dirty"]);
    assert!(project.read("benches/baselines.json").contains("\"dirty\": true"));
}

#[test]
fn without_git_runs_are_measured_and_compared() {
    let project = Project::bare();
    project.run("record -- ./bench.sh").exits(0);
    project.run("check -- ./bench.sh").exits(0);
    project
        .run("ab --base main -- ./bench.sh")
        .exits(2)
        .says(&["in no git repository", "hint"]);
}

#[test]
fn imported_files_are_processes() {
    let project = Project::new();
    for (file, value) in [("a", 1000), ("b", 1010)] {
        project.write(file, &format!("test x ... bench: {value} ns/iter (+/- 3)\n"));
    }
    project
        .run("import a b")
        .exits(0)
        .answers(&["x", "1.0"])
        .says(&["2 processes are in"]);
    project.run("history add").exits(0).says(&["1 run added"]);
}

#[test]
fn settings_come_from_file_environment_and_flags() {
    let project = Project::new();
    project.write("benchgate.toml", "command = [\"./bench.sh\"]\nruns = 2\n");
    project.run("run").exits(0).says(&["2 runs"]);
    project
        .run_with("run", &[("BENCHGATE_RUNS", "3")])
        .exits(0)
        .says(&["3 runs"]);
    project
        .run_with("run --runs 1", &[("BENCHGATE_RUNS", "3")])
        .exits(0)
        .says(&["1 run is"]);
    project.write("benchgate.toml", "command = [\"./bench.sh\"]\n\nrnus = 2\n");
    project
        .run("run")
        .exits(2)
        .says(&["benchgate.toml:3: unknown field `rnus`"]);
    project
        .run("run --config none.toml")
        .exits(2)
        .says(&["no settings file none.toml"]);
    std::fs::remove_file(project.path("benchgate.toml")).unwrap();
    project
        .run("run")
        .exits(2)
        .says(&["no benchmark command", "after --"]);
}

#[test]
fn the_processor_time_of_any_program_is_a_measure() {
    let project = Project::new();
    let script =
        |rounds: u32| format!("i=0\nwhile [ $i -lt {rounds} ]; do i=$((i + 1)); done\necho some words\n");
    project.write("work.sh", &script(20_000));
    project
        .run("run --runs 2 -- sh work.sh")
        .exits(2)
        .says(&["gave no benchmark results", "--cpu-time"]);
    let first = project.commit("fast");
    project.write("work.sh", &script(100_000));
    project.commit("slow");
    let judged = project.run(&format!(
        "ab --base {first} --runs 6 --cpu-time --build true --format json -- sh work.sh"
    ));
    let report: serde_json::Value = serde_json::from_str(&judged.exits(1).out).unwrap();
    assert_eq!(report["rows"][0]["name"], "process [cpu-time]", "{report}");
    assert_eq!(report["rows"].as_array().unwrap().len(), 1);
    assert_eq!(report["problems"], serde_json::json!([]));
    assert!(report["rows"][0]["percent"].as_f64().unwrap() > 100.0, "{report}");
    // Beside a tool's own benchmarks it is one row more.
    let both = project.run("run --runs 2 --cpu-time -- ./bench.sh").exits(0);
    both.answers(&["alpha", "beta", "gamma", "process [cpu-time]"]);
}
