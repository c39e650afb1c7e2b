//! `ab` and `bisect`: commits that are built and measured side by side.

use crate::project::Project;

#[test]
fn two_commits_are_built_and_measured_side_by_side() {
    let project = Project::new();
    project.write("slow", "1080");
    let slow = project.commit("slower");
    let answer = project.run("ab --base HEAD~1 -- ./bench.sh").exits(1);
    let answer = answer.answers(&["beta", "regression: 1 of 3", &slow[..10]]);
    assert!(answer.err.contains("no build command is known"), "{answer:?}");
    assert_eq!(
        project.read("target/benchgate/ab/.base/.count").trim(),
        "17",
        "one to warm up, eight, and eight to confirm"
    );
    assert!(
        answer
            .err
            .contains("1 benchmark looks slower; 8 pairs more confirm it or do not"),
        "{answer:?}"
    );
    project
        .run("ab --base HEAD --head HEAD~1 --build true -- ./bench.sh")
        .exits(0)
        .answers(&["improvement"]);
    project
        .run("ab --base main --head main --build true -- ./bench.sh")
        .exits(0)
        .answers(&["3 unchanged"]);
    let answer = project
        .run("ab --base HEAD~1 --runs 50 --budget 10m --build true -- ./bench.sh")
        .exits(1);
    answer.says(&["every benchmark is decided after 5 pairs"]);
    let answer = project
        .run("ab --base HEAD~1 --build false -- ./bench.sh")
        .exits(2);
    answer.says(&["cannot build HEAD~1", "--build"]);
    project
        .run("ab --base nowhere -- ./bench.sh")
        .exits(2)
        .says(&["no commit \"nowhere\"", "fetch"]);
    project.write("slow", "1500");
    project
        .run("ab --base HEAD~1 -- ./bench.sh")
        .exits(2)
        .says(&["changes that are in no commit", "--head HEAD"]);
}

#[test]
fn what_more_pairs_do_not_confirm_is_no_regression() {
    let project = Project::new();
    // The machine is busy whenever the head runs, but only for a while.
    project.write(
        "busy.sh",
        "count=$(cat .n 2>/dev/null || echo 0); count=$((count + 1)); echo $count > .n\n\
         by=0; case $PWD in *.base*) ;; *) [ $count -le 5 ] && by=120 ;; esac\n\
         echo \"test a ... bench: $((1000 + by + count % 3)) ns/iter (+/- 1)\"\n",
    );
    project.commit("busy");
    let answer = project
        .run("ab --base HEAD --head HEAD --build true --runs 5 --format json -- sh busy.sh")
        .exits(0);
    let report: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    let row = &report["rows"][0];
    assert_eq!(row["verdict"], "unchanged", "{report}");
    assert!(
        row["reason"]
            .as_str()
            .unwrap()
            .contains("it looked slower, and 5 more pairs did not confirm it"),
        "{report}"
    );
    assert_eq!(row["after_values"].as_array().unwrap().len(), 10);
}

#[test]
fn the_first_slow_commit_is_found() {
    let project = Project::new();
    let mut commits = Vec::new();
    for index in 0..6 {
        if index == 3 {
            project.write("slow", "1100");
        }
        commits.push(project.commit(&format!("commit number {index}")));
    }
    let answer = project
        .run("bisect --good HEAD~6 --build true --runs 5 -- ./bench.sh")
        .exits(1);
    answer.answers(&[
        &format!("{} is the first slow commit: commit number 3", commits[3]),
        "beta",
    ]);
    let answer = project
        .run("bisect --good HEAD --bad HEAD -- ./bench.sh")
        .exits(2);
    answer.says(&["no commit between"]);
    let answer = project
        .run("bisect --good HEAD~6 --bad HEAD~5 --build true --runs 5 -- ./bench.sh")
        .exits(2);
    answer.says(&["is not slower than"]);
    // What is not there, or cannot be compared, is not "not slower".
    let answer = project
        .run("bisect --good HEAD~6 --build true --runs 5 --benchmark btea -- ./bench.sh")
        .exits(2);
    answer.says(&["no benchmark \"btea\"", "near it are beta"]);
    let answer = project
        .run("bisect --good HEAD~6 --build false --runs 5 -- ./bench.sh")
        .exits(2);
    answer.says(&["cannot build"]);
    let answer = project
        .run("bisect --good HEAD~6 --build true --runs 1 --benchmark beta -- ./bench.sh")
        .exits(2);
    answer.says(&["beta in HEAD cannot be compared with HEAD~6"]);
    let answer = project
        .run("bisect --good HEAD~6 --bad HEAD~2 --build true --runs 5 --benchmark be* -- ./bench.sh")
        .exits(1);
    answer.answers(&["commit number 3"]);
}

#[test]
fn each_side_of_a_python_project_imports_its_own_modules() {
    let project = Project::new();
    project.write("pyproject.toml", "[project]\nname = \"p\"\n");
    project.write("src/p/time.txt", "1000");
    // What an editable install would do: the checkout's modules, unless the side brings its own.
    project.write(
        "bench2.sh",
        "mkdir out 2>/dev/null; echo \"test a ... bench: $(cat ${PYTHONPATH%%:*}/p/time.txt) ns/iter (+/- 1)\" > target/benchgate/out.txt\n",
    );
    project.write(
        "benchgate.toml",
        "command = [\"sh\", \"bench2.sh\"]\nresults = [\"target/benchgate/out.txt\"]\n",
    );
    project.commit("python");
    project.write("src/p/time.txt", "2000");
    project.commit("twice as slow");
    project
        .run("ab --base HEAD~1 --runs 5")
        .exits(1)
        .answers(&["regression: 1 of 1"]);
    assert!(
        project.path("target/benchgate/ab/.base/src").is_dir(),
        "out of sight of test runners"
    );
}
