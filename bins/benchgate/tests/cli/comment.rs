//! `comment` against a fake GitHub over HTTP: creating, updating, limits, failures.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::project::{Answer, Project};

/// What the fake knows and what it will do wrong.
#[derive(Debug, Default)]
struct State {
    comments: Vec<(u64, String)>,
    /// Answers to give before the real ones: status, headers, body.
    trouble: Vec<(u16, &'static str, &'static str)>,
    /// Take the next request and close without an answer, after doing what it asks.
    lose_answer: bool,
    requests: Vec<String>,
}

struct GitHub {
    address: String,
    state: Arc<Mutex<State>>,
}

impl GitHub {
    fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { address, state }
    }

    fn comments(&self) -> Vec<(u64, String)> {
        self.state.lock().unwrap().comments.clone()
    }

    fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }
}

/// Answers the requests of one connection.
fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    while reader.read_line(&mut first).is_ok_and(|count| count > 0) {
        let (mut length, mut token, mut line) = (0, false, String::new());
        while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
            let lower = line.to_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            token |= lower.trim() == "authorization: bearer secret";
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut state = state.lock().unwrap();
        let request = first.trim().trim_end_matches(" HTTP/1.1").to_owned();
        state.requests.push(request.clone());
        let (status, headers, text) = if !token {
            (401, "", json!({"message": "Bad credentials"}).to_string())
        } else if state.trouble.is_empty() {
            let (status, answer) = answer(
                &mut state,
                &request,
                &serde_json::from_slice(&body).unwrap_or_default(),
            );
            (status, "", answer.to_string())
        } else {
            let (status, headers, text) = state.trouble.remove(0);
            (status, headers, text.to_owned())
        };
        if std::mem::take(&mut state.lose_answer) {
            return;
        }
        let mut stream = stream;
        let _ = write!(
            stream,
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{text}",
            text.len()
        );
        first.clear();
    }
}

fn answer(state: &mut State, request: &str, body: &Value) -> (u16, Value) {
    let shown =
        |(id, body): &(u64, String)| json!({"id": id, "html_url": format!("https://x/{id}"), "body": body});
    let text = body["body"].as_str().unwrap_or_default().to_owned();
    let (method, path) = request.split_once(' ').unwrap();
    if text.len() > 65_536 {
        return (422, json!({"message": "body is too long"}));
    }
    match method {
        "GET" if path.contains("/pulls") => {
            let pull = |number: u64, state: &str, sha: &str| json!({"number": number, "state": state, "head": {"sha": sha}});
            (
                200,
                json!([
                    pull(5, "closed", "abcdef1234"),
                    pull(7, "open", "abcdef1234"),
                    pull(8, "open", "ffff")
                ]),
            )
        }
        "GET" => {
            let page: usize = path.rsplit("page=").next().unwrap().parse().unwrap();
            let all: Vec<Value> = state.comments.iter().map(shown).collect();
            (
                200,
                all.chunks(100)
                    .nth(page - 1)
                    .map_or_else(|| json!([]), |chunk| json!(chunk)),
            )
        }
        "POST" => {
            let comment = (1000 + state.comments.len() as u64, text);
            state.comments.push(comment.clone());
            (201, shown(&comment))
        }
        "PATCH" => {
            let id: u64 = path.rsplit('/').next().unwrap().parse().unwrap();
            match state.comments.iter_mut().find(|(one, _)| *one == id) {
                Some(comment) => {
                    comment.1 = text;
                    (200, shown(comment))
                }
                None => (404, json!({"message": "Not Found"})),
            }
        }
        _ => (405, json!({})),
    }
}

/// A project with a report.
fn reported() -> Project {
    let project = Project::new();
    project.run("run --run-file a.json -- ./bench.sh").exits(0);
    project
        .run_with("run --run-file b.json -- ./bench.sh", &[("SLOW", "1150")])
        .exits(0);
    project.run("compare a.json b.json").exits(1);
    project
}

fn comment(project: &Project, github: &GitHub, more: &str) -> Answer {
    let words = format!("comment --repo o/r --api {}{more}", github.address);
    project.run_with(&words, &[("GITHUB_TOKEN", "secret")])
}

#[test]
fn one_comment_is_made_and_then_updated() {
    let project = reported();
    // The marker stands behind more comments than fit on a page, and some try to look like it.
    let others = (0..150).map(|id| (id, format!("comment {id} <!-- benchgate: benchmarks -->")));
    let state = State {
        comments: others.collect(),
        ..State::default()
    };
    let github = GitHub::start(state);
    comment(&project, &github, " --pr 7")
        .exits(0)
        .answers(&["created https://x/1150"]);
    comment(&project, &github, " --pr 7")
        .exits(0)
        .answers(&["updated https://x/1150"]);
    let comments = github.comments();
    assert_eq!(comments.len(), 151);
    assert!(
        comments[150].1.starts_with("<!-- benchgate: benchmarks -->\n")
            && comments[150].1.contains("| beta |")
    );
    comment(&project, &github, " --pr 7 --name other")
        .exits(0)
        .answers(&["created"]);
    assert!(github.requests().iter().any(|request| request.contains("page=2")));
}

#[test]
fn limits_are_waited_for() {
    let project = reported();
    let limit = "{\"message\": \"API rate limit exceeded\"}";
    let github = GitHub::start(State {
        trouble: vec![
            (403, "retry-after: 1\r\n", limit),
            (429, "x-ratelimit-remaining: 0\r\nx-ratelimit-reset: 1\r\n", limit),
            (502, "", "bad gateway"),
        ],
        ..State::default()
    });
    let started = Instant::now();
    comment(&project, &github, " --pr 7")
        .exits(0)
        .answers(&["created"]);
    assert!(
        started.elapsed() >= Duration::from_secs(2),
        "a second for the limit, one for the gateway"
    );
    assert_eq!(github.comments().len(), 1);
}

#[test]
fn a_limit_beyond_patience_and_a_server_that_stays_down_are_errors() {
    let project = reported();
    let trouble = vec![(403, "retry-after: 3000\r\n", "{}")];
    let github = GitHub::start(State {
        trouble,
        ..State::default()
    });
    comment(&project, &github, " --pr 7")
        .exits(2)
        .says(&["rate limit asks to wait 3000 s", "--max-wait"]);
    let github = GitHub::start(State {
        trouble: vec![(500, "", "{\"message\": \"down\"}"); 50],
        ..State::default()
    });
    comment(&project, &github, " --pr 7 --max-wait 2s")
        .exits(2)
        .says(&["GitHub answered 500: down"]);
}

#[test]
fn an_answer_that_is_lost_makes_no_second_comment() {
    let project = reported();
    let github = GitHub::start(State::default());
    github
        .state
        .lock()
        .unwrap()
        .comments
        .push((1, "hello".to_owned()));
    // The list is asked for first, so the answer to lose is that of the request after it.
    let state = Arc::clone(&github.state);
    let loser = std::thread::spawn(move || {
        let deadline = Instant::now() + Duration::from_secs(30);
        while state.lock().unwrap().requests.is_empty() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        state.lock().unwrap().lose_answer = true;
    });
    let answer = comment(&project, &github, " --pr 7");
    loser.join().unwrap();
    assert_eq!(
        github
            .comments()
            .iter()
            .filter(|(_, body)| body.contains("benchgate:"))
            .count(),
        1,
        "{answer:?}"
    );
}

#[test]
fn a_refusal_says_which_permission_is_missing() {
    let project = reported();
    let refusal = "{\"message\": \"Resource not accessible by integration\"}";
    let github = GitHub::start(State {
        trouble: vec![(403, "", refusal)],
        ..State::default()
    });
    let answer = comment(&project, &github, " --pr 7").exits(2);
    answer.says(&[
        "403: Resource not accessible by integration",
        "pull-requests: write",
        "forks",
    ]);
    let words = format!("comment --repo o/r --pr 7 --api {}", github.address);
    project
        .run_with(&words, &[("GITHUB_TOKEN", "wrong")])
        .exits(2)
        .says(&["401: Bad credentials"]);
    project.run(&words).exits(2).says(&["GITHUB_TOKEN is not set"]);
    project
        .run_with("comment --repo o/../r --pr 7", &[("GITHUB_TOKEN", "x")])
        .exits(2)
        .says(&["owner/name"]);
}

#[test]
fn the_pull_request_of_a_fork_is_found_by_its_commit() {
    let project = reported();
    let github = GitHub::start(State::default());
    comment(&project, &github, " --commit abcdef1234")
        .exits(0)
        .answers(&["created"]);
    assert!(
        github
            .requests()
            .iter()
            .any(|request| request.starts_with("POST /repos/o/r/issues/7/comments"))
    );
    comment(&project, &github, " --commit 99999999")
        .exits(0)
        .says(&["no open pull request"]);
    comment(&project, &github, "").exits(2).says(&["--pr NUMBER"]);
}
