//! Benchmarks, measures and environments that are asked for and not there: errors that name near ones.

use std::fs;

use crate::project::Project;

#[test]
fn what_is_asked_for_and_not_there_is_an_error_and_changes_nothing() {
    let project = Project::new();
    project.run("record -- ./bench.sh").exits(0);
    project.run("run -- ./bench.sh").exits(0);
    let files = ["benches/baselines.json", "benches/history.jsonl"];
    let before = files.map(|file| project.read(file));
    project
        .run("baseline accept betta --reason because --run-file target/benchgate/run.json")
        .exits(2)
        .says(&["the run has no benchmark \"betta\"", "near it are beta"]);
    assert_eq!(files.map(|file| project.read(file)), before);
    // What cannot be put into the history does not become the baseline either.
    fs::remove_file(project.path(files[1])).unwrap();
    fs::create_dir(project.path(files[1])).unwrap();
    project
        .run("baseline accept beta --reason because --run-file target/benchgate/run.json")
        .exits(2)
        .says(&["cannot append to"]);
    assert_eq!(project.read(files[0]), before[0]);
    fs::remove_dir(project.path(files[1])).unwrap();
    project.run("history add").exits(0).says(&["1 run added"]);
    project
        .run("trends nosuch")
        .exits(2)
        .says(&["no benchmark \"nosuch\"", "alpha, beta, gamma"]);
    project
        .run("trends alph")
        .exits(2)
        .says(&["near it are alpha", "\"*alph*\""]);
    project
        .run("baseline prune bet")
        .exits(2)
        .says(&["baselines.json has no benchmark \"bet\"", "near it are beta"]);
}

#[test]
fn an_option_for_what_is_not_measured_is_an_error() {
    let project = Project::new();
    project.run("record -- ./bench.sh").exits(0);
    project.run("check --rule btea=50 -- ./bench.sh").exits(2).says(&[
        "--rule",
        "no benchmark \"btea\"",
        "near it are beta",
    ]);
    project.run("check --rule beta=50,alph*=9 -- ./bench.sh").exits(0);
    project.run("run -- ./bench.sh").exits(0);
    let file = "target/benchgate/run.json";
    project
        .run(&format!("compare {file} {file} --rule nosuch=50"))
        .exits(2)
        .says(&["no benchmark \"nosuch\"", "alpha, beta, gamma"]);
    // The second pair is not measured for it.
    project.commit("another");
    project
        .run("ab --base HEAD~1 --head HEAD --build true --runs 5 --rule btea=50 -- ./bench.sh")
        .exits(2)
        .says(&["near it are beta"]);
    let base = project.read("target/benchgate/ab/base.json");
    let base: serde_json::Value = serde_json::from_str(&base).unwrap();
    assert_eq!(base["processes"].as_array().unwrap().len(), 1);
    // Rules of the project are for all of its benchmarks, of which a run may be a part.
    project.write(
        "benchgate.toml",
        "[[rules]]\nbenchmark = 'elsewhere'\nthreshold = 50\n",
    );
    project.run("check -- ./bench.sh").exits(0);
    project
        .run("run --direction latncy=bigger-is-better -- ./bench.sh")
        .exits(2)
        .says(&["no result has the measure \"latncy\"", "near it are latency"]);
    project
        .run("run --direction latency=smaller-is-better -- ./bench.sh")
        .exits(0);
    project
        .run("baseline prune --environment nosuch")
        .exits(2)
        .says(&["no baselines of nosuch", "baseline list"]);
}
