//! `init`, `doctor`, `changepoints`, completions, the manual page, `--help`.

use crate::project::Project;

#[test]
fn init_writes_what_doctor_likes() {
    let project = Project::new();
    project
        .run("init")
        .exits(2)
        .says(&["found no benchmarks", "benchgate.toml by hand"]);
    project.write(
        "Cargo.toml",
        "[package]\nname = \"x\"\n[dev-dependencies]\ncriterion = \"0.8\"\n",
    );
    let answer = project.run("init").exits(0).says(&["found criterion benches"]);
    answer.says(&["BENCHGATE_SOURCE"]).answers(&[
        "benchgate.toml",
        ".github/workflows/benchgate.yml",
        ".github/workflows/benchgate-comment.yml",
    ]);
    let comment = project.read(".github/workflows/benchgate-comment.yml");
    assert!(
        comment.contains("workflow_run:")
            && comment.contains("run: benchgate comment target/benchgate/report.json"),
        "{comment}"
    );
    assert!(
        project
            .read("benchgate.toml")
            .contains("command = [\"cargo\", \"bench\", \"--benches\"]")
    );
    let workflow = project.read(".github/workflows/benchgate.yml");
    assert!(
        workflow.contains("benchgate ab --base ${{ github.event.pull_request.base.sha }}"),
        "{workflow}"
    );
    assert!(workflow.contains("fetch-depth: 0") && !workflow.contains("pull_request_target"));
    project.run("init").exits(2).says(&["exists already", "--force"]);
    project.run("init --force").exits(0);
    project
        .run("doctor")
        .exits(0)
        .answers(&["settings", "command", "cargo bench", "baseline"]);
    let checks: serde_json::Value =
        serde_json::from_str(&project.run("doctor --format json").exits(0).out).unwrap();
    assert_eq!(checks[0]["state"], "good");
}

#[test]
fn settings_above_the_repository_are_of_another_project() {
    let project = Project::new();
    project.write("benchgate.toml", "command = [\"false\"]\n");
    project.write("inner/go.mod", "module example.org/project\n");
    let inner = project.path("inner");
    project.git(&["init", "--quiet", "inner"]);
    let ended = project
        .program()
        .current_dir(&inner)
        .arg("init")
        .output()
        .expect("benchgate starts");
    assert!(ended.status.success(), "{ended:?}");
    assert!(project.read("inner/benchgate.toml").contains("go"));
}

#[test]
fn change_points_of_any_series() {
    let project = Project::new();
    let values: Vec<String> = (0..60)
        .map(|i| (if i < 30 { 100 } else { 120 } + i * 7 % 5).to_string())
        .collect();
    project.write(
        "s.json",
        &format!("{{\"step\": [{}], \"flat\": [1, 1, 1]}}", values.join(",")),
    );
    let found: serde_json::Value =
        serde_json::from_str(&project.run("changepoints s.json --format json").exits(0).out).unwrap();
    assert_eq!(found["step"][0]["index"], 30);
    assert_eq!(found["flat"], serde_json::json!([]));
    for key in ["before", "after", "percent", "p"] {
        assert!(found["step"][0][key].is_number(), "{found}");
    }
    project.write(
        "s.csv",
        &format!(
            "commit,step\n{}\n",
            values
                .iter()
                .map(|v| format!("abc,{v}"))
                .collect::<Vec<_>>()
                .join("\n")
        ),
    );
    project
        .run("changepoints s.csv")
        .exits(0)
        .answers(&["step", "30", "+19.6"]);
    project
        .run("changepoints missing.csv")
        .exits(2)
        .says(&["missing.csv"]);
}

#[test]
fn completions_and_manual_pages() {
    let project = Project::new();
    for shell in ["elvish", "powershell"] {
        project
            .run(&format!("completions {shell}"))
            .exits(0)
            .answers(&["changepoints"]);
    }
    project.run("man").exits(0).answers(&[".TH benchgate 1"]);
    project.run("man pages").exits(0);
    assert!(project.read("pages/benchgate-ab.1").contains("interleaved"));
    assert!(project.path("pages/benchgate-baseline-accept.1").exists());
    assert!(!project.path("pages/benchgate-help.1").exists());
}

#[test]
fn verbose_says_what_is_read_and_measured() {
    let project = Project::new();
    project.write("benchgate.toml", "runs = 2\n");
    let quiet = project.run("run -- ./bench.sh").exits(0);
    assert!(!quiet.err.contains("settings:"), "{quiet:#?}");
    project.run("run -v -- ./bench.sh").exits(0).says(&[
        "settings: benchgate.toml",
        "run 1 of `./bench.sh`: starts in",
        "measurements in",
    ]);
    project
        .run("run -vv -- ./bench.sh")
        .exits(0)
        .says(&["benchgate.toml:1", "threshold", "default"]);
    project.run("run -v --quiet -- ./bench.sh").exits(2);
}

#[test]
fn help_has_examples_and_exit_codes() {
    let project = Project::new();
    project
        .run("--help")
        .exits(0)
        .answers(&["Examples:", "benchgate ab --base main", "Exit codes: 0"]);
    project
        .run("ab --help")
        .exits(0)
        .answers(&["--budget", "BENCHGATE_BUDGET", "--base"]);
    project.run("check --nonsense").exits(2);
}
