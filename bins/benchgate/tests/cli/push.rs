//! `push` to a regressd that is really there, to one that has trouble, and to none.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::project::{Answer, Project};

/// A regressd of this workspace as a process of its own.
struct Regressd {
    child: Child,
    folder: tempfile::TempDir,
    address: String,
    token: String,
}

/// The program beside this one, which cargo builds into the same folder for the tests of the workspace.
fn regressd() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_benchgate")).with_file_name("regressd");
    assert!(
        path.exists(),
        "there is no {}: cargo build -p regressd makes it",
        path.display()
    );
    path
}

impl Regressd {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", test_kit::free_port());
        let command = |words: &[&str]| {
            let mut command = Command::new(regressd());
            command.args(words).current_dir(folder.path());
            command.args([
                "--set",
                "server.metrics_listen=",
                "--set",
                &format!("server.listen={address}"),
            ]);
            command
        };
        assert!(command(&["migrate"]).output().unwrap().status.success());
        let made = command(&["token", "create", "*", "--role", "admin", "--name", "tests"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let child = command(&["serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "it does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            folder,
            address,
            token,
        }
    }
}

impl Drop for Regressd {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        assert!(self.folder.path().join("regressd.db").exists());
    }
}

/// `push`, with what a test always gives.
fn push(project: &Project, address: &str, token: &str, words: &str) -> Answer {
    let words = format!("push --service http://{address} --repo octo/hello {words}");
    project.run_with(words.trim(), &[("REGRESSD_TOKEN", token)])
}

/// Measures the next commit, with beta at so many per mille of what it takes.
fn measure(project: &Project, per_mille: u32) {
    project.write("slow", &per_mille.to_string());
    project.commit("next");
    project.run("run --runs 4 -- ./bench.sh").exits(0);
}

#[test]
fn the_verdict_of_a_service_is_the_exit_code() {
    let service = Regressd::start();
    let project = Project::new();
    let to = |words: &str| push(&project, &service.address, &service.token, words);
    for _ in 0..6 {
        measure(&project, 1000);
        to("--no-wait").exits(0).answers(&["stored: http://", "/runs/"]);
    }
    measure(&project, 1000);
    to("")
        .exits(0)
        .answers(&["beta", "unchanged", "judged by regressd: http://"]);
    // What was stored is not stored twice, and answered all the same.
    let first = to("--format json").exits(0);
    let again = to("--format json").exits(0);
    assert_eq!(first.out, again.out);

    project.git(&["checkout", "--quiet", "-b", "slower"]);
    measure(&project, 11_000);
    let report = to("--pr 7 --format json").exits(1);
    let report: Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(report["outcome"], "regression", "{report}");
    assert_eq!(report["rows"][0]["name"], "beta");
    assert_eq!(report["rows"][0]["after_values"].as_array().unwrap().len(), 4);
    to("--pr 7 --exit-zero").exits(0);
    // The report is the last one, for `report` and `comment`.
    project
        .run("report --format markdown")
        .exits(0)
        .answers(&["beta"]);
    // One that was judged may not become the baseline.
    project
        .run("record target/benchgate/run.json")
        .exits(2)
        .says(&["judged"]);

    measure(&project, 1120);
    to("--pr 8").exits(2).answers(&["suspected"]);
    push(&project, &service.address, "wrong", "")
        .exits(2)
        .says(&["401", "regressd token create"]);
    // Under another id it is a run of its own, which confirms the suspicion.
    to("--run-id a").exits(1);
    project.run("run --runs 4 -- ./bench.sh").exits(0);
    to("--run-id a").exits(2).says(&["409", "--run-id"]);
}

#[test]
fn result_files_of_other_tools_are_pushed_as_processes() {
    let service = Regressd::start();
    let project = Project::new();
    for index in 0..4 {
        let text = format!("test alpha ... bench:   {} ns/iter (+/- 30)\n", 1000 + index);
        project.write(&format!("out/{index}.txt"), &text);
    }
    let pushed = push(
        &project,
        &service.address,
        &service.token,
        "out/0.txt out/1.txt out/2.txt out/3.txt --format json --exit-zero",
    );
    let report: Value = serde_json::from_str(&pushed.exits(0).out).unwrap();
    assert_eq!(report["head"]["runs"], 4, "{report}");
    assert_eq!(report["rows"][0]["verdict"], "not-enough-data");
    push(&project, &service.address, &service.token, "out/0.txt bench.sh")
        .exits(2)
        .says(&["bench.sh", "nothing was pushed"]);
}

#[test]
fn without_the_service_the_run_is_judged_here() {
    let project = Project::new();
    let nobody = format!("127.0.0.1:{}", test_kit::free_port());
    project.run("run --runs 8 -- ./bench.sh").exits(0);
    let away = |words: &str| push(&project, &nobody, "t", &format!("--max-wait 1s {words}"));
    away("")
        .exits(2)
        .says(&["gives no verdict", "there is no baseline"]);
    away("--no-wait")
        .exits(2)
        .says(&["not stored", "push the same file again"]);
    project.run("record --runs 8 -- ./bench.sh").exits(0);
    project.write("slow", "1500");
    project.run("run --runs 8 -- ./bench.sh").exits(0);
    away("")
        .exits(1)
        .says(&["warning", "gives no verdict", "baseline"])
        .answers(&["beta", "regression"]);
    project.write("slow", "1000");
    project.run("run --runs 8 -- ./bench.sh").exits(0);
    away("").exits(0);
}

#[test]
fn what_is_missing_is_said_before_anything_is_sent() {
    let project = Project::new();
    project.run("run --runs 2 -- ./bench.sh").exits(0);
    project
        .run("push --repo octo/hello")
        .exits(2)
        .says(&["--service URL"]);
    project
        .run("push --service http://127.0.0.1:1 --repo octo/hello")
        .exits(2)
        .says(&["REGRESSD_TOKEN is not set", "id-token: write"]);
    let with_token = |words: &str| project.run_with(words, &[("REGRESSD_TOKEN", "t")]);
    with_token("push --service http://127.0.0.1:1")
        .exits(2)
        .says(&["--repo OWNER/NAME"]);
    with_token("push --service ftp://x --repo octo/hello")
        .exits(2)
        .says(&["no address of HTTP"]);
    project.git(&["checkout", "--quiet", "--detach"]);
    with_token("push --service http://127.0.0.1:1 --repo octo/hello")
        .exits(2)
        .says(&["--branch NAME"]);
}

/// A service that answers what it is told to, one answer a request, and keeps what it was asked.
struct Scripted {
    address: String,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Scripted {
    /// `answers` are status, headers and body.
    fn start(answers: Vec<(u16, &'static str, Value)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for (answer, stream) in answers.into_iter().zip(listener.incoming().flatten()) {
                kept.lock().unwrap().push(read_request(&stream));
                write_answer(&stream, &answer);
            }
        });
        Self { address, asked }
    }

    /// The request lines and tokens.
    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

fn read_request(stream: &TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let (mut first, mut line, mut token, mut length) = (String::new(), String::new(), String::new(), 0);
    reader.read_line(&mut first).unwrap();
    while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
        if let Some((name, value)) = line.trim().split_once(": ") {
            match name.to_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "authorization" => token = value.to_owned(),
                _ => {}
            }
        }
        line.clear();
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    (first.trim().trim_end_matches(" HTTP/1.1").to_owned(), token)
}

fn write_answer(mut stream: &TcpStream, (status, headers, body): &(u16, &'static str, Value)) {
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
}

fn queued() -> Value {
    json!({"run": 3, "state": "queued", "already_stored": false, "needs_confirmation": false, "results": [],
        "shifts": [], "problems": []})
}

fn asked_run(state: &str) -> Value {
    let verdict = json!({"series": 1, "benchmark": "beta", "measure": "latency", "unit": "ns",
        "direction": "smaller-is-better", "verdict": "unchanged", "is_regression": false,
        "needs_confirmation": false, "current_value": 5.0, "baseline_value": 5.0, "percent_change": 0.0,
        "confidence_score": 0.9, "sample_size": 9, "judged_runs": 1, "interval": null, "p_value": null,
        "q_value": null, "threshold_percent": 5.0, "reason": "as before"});
    let results = if state == "judged" {
        json!([verdict])
    } else {
        json!([])
    };
    let outcome = if state == "judged" {
        json!("unchanged")
    } else {
        json!(null)
    };
    json!({"run": {"run": 3, "state": state, "outcome": outcome}, "results": results, "shifts": [], "problems": []})
}

#[test]
fn trouble_is_waited_out_as_the_service_asks() {
    let busy = json!({"detail": "the database does not answer"});
    let service = Scripted::start(vec![
        (503, "retry-after: 1\r\n", busy.clone()),
        (429, "", busy.clone()),
        (202, "", queued()),
        (502, "", json!("a proxy")),
        (200, "", asked_run("queued")),
        (200, "", asked_run("judged")),
    ]);
    let project = Project::new();
    project.run("run --runs 2 -- ./bench.sh").exits(0);
    let started = Instant::now();
    push(&project, &service.address, "t", "")
        .exits(0)
        .answers(&["5.000 ns", "unchanged"]);
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "it asked for a second"
    );
    let lines: Vec<String> = service.asked().into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines[..3], vec!["POST /analyze"; 3]);
    assert_eq!(lines[3..], vec!["GET /v1/runs/3"; 3]);

    // It asks for more time than there is; it never judges.
    let service = Scripted::start(vec![(503, "retry-after: 3600\r\n", busy)]);
    push(&project, &service.address, "t", "--max-wait 5s")
        .exits(2)
        .says(&["does not answer"]);
    let service = Scripted::start(vec![(202, "", queued()), (200, "", asked_run("queued"))]);
    push(&project, &service.address, "t", "--wait 250ms")
        .exits(2)
        .says(&["no verdict on run 3 yet"]);
    // What is no regressd is not tried again.
    let service = Scripted::start(vec![(200, "", json!({"hello": "world"}))]);
    push(&project, &service.address, "t", "")
        .exits(2)
        .says(&["not that of a regressd"]);
}

#[test]
fn a_workflow_proves_who_it_is() {
    let project = Project::new();
    project.run("run --runs 2 -- ./bench.sh").exits(0);
    let github = Scripted::start(vec![(500, "", json!({})), (200, "", json!({"value": "ey.a.b"}))]);
    let service = Scripted::start(vec![(202, "", queued())]);
    let url = format!("http://{}/token?v=1", github.address);
    let variables = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job"),
        ("GITHUB_REPOSITORY", "octo/hello"),
        ("GITHUB_REF", "refs/heads/main"),
    ];
    let words = format!("push --no-wait --service http://{}", service.address);
    project.run_with(&words, &variables).exits(0);
    let asked = (
        "GET /token?v=1&audience=regressd".to_owned(),
        "Bearer of-the-job".to_owned(),
    );
    assert_eq!(github.asked(), vec![asked; 2]);
    assert_eq!(service.asked()[0].1, "Bearer ey.a.b");

    let github = Scripted::start(vec![(403, "", json!({}))]);
    let url = format!("http://{}/token", github.address);
    let variables = [
        ("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()),
        variables[1],
        variables[2],
        variables[3],
    ];
    project
        .run_with(&words, &variables)
        .exits(2)
        .says(&["id-token: write"]);
}
