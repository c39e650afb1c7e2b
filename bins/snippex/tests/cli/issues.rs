//! Issues on GitHub about bugs, against a GitHub that loses answers and sees its caller die.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::sandbox::{Ended, Sandbox, needs};

/// What goes wrong with a request, after it has done its work.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The connection closes without an answer.
    LostAnswer,
    /// The process that asked is killed before it gets one.
    Killed(u32),
}

#[derive(Default)]
struct GitHubState {
    issues: Vec<Value>,
    comments: Vec<(u64, String)>,
    requests: usize,
    /// By the number of the request, from 1.
    faults: BTreeMap<usize, Fault>,
}

/// As much of GitHub as opening issues takes.
#[derive(Clone, Default)]
struct GitHub(Arc<Mutex<GitHubState>>);

impl GitHub {
    /// Starts it; the address is that of its API.
    fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let github = Self::default();
        let serving = github.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(&stream));
            }
        });
        (github, url)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, GitHubState> {
        self.0.lock().expect("no test panics with it")
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some((method, path, body)) = read_request(&mut reader) {
            let (answer, fault) = {
                let mut state = self.state();
                state.requests += 1;
                let number = state.requests;
                (
                    answer(&mut state, &method, &path, &body),
                    state.faults.remove(&number),
                )
            };
            match fault {
                Some(Fault::LostAnswer) => return,
                Some(Fault::Killed(pid)) => {
                    let _ = std::process::Command::new("kill")
                        .args(["-9", &pid.to_string()])
                        .status();
                    return;
                }
                None => {}
            }
            let (status, body) = answer;
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let mut writer = stream;
            if writer.write_all(head.as_bytes()).is_err() {
                return;
            }
        }
    }

    /// Issues by their fingerprints: how often each is there.
    fn fingerprints(&self) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        for issue in &self.state().issues {
            let text = issue["body"].as_str().expect("a text").to_owned();
            let line = text.lines().find(|line| line.starts_with("Fingerprint: "));
            *found.entry(line.expect("a fingerprint").to_owned()).or_default() += 1;
        }
        found
    }
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<(String, String, Value)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = header.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

fn answer(state: &mut GitHubState, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (method, &parts[..]) {
        ("GET", ["search", "issues"]) => {
            let similar = state
                .issues
                .iter()
                .filter(|issue| issue["human"] == true && query.contains("repo"));
            (200, json!({ "items": similar.cloned().collect::<Vec<_>>() }))
        }
        ("GET", ["repos", _, _, "issues"]) => {
            let labelled = |issue: &&Value| {
                issue["labels"]
                    .as_array()
                    .is_some_and(|labels| labels.contains(&json!("snippex")))
            };
            (
                200,
                json!(state.issues.iter().filter(labelled).collect::<Vec<_>>()),
            )
        }
        ("GET", ["repos", _, _, "issues", number, "comments"]) => {
            let of = state
                .comments
                .iter()
                .filter(|(issue, _)| number.parse() == Ok(*issue));
            let comment = |(_, text): &(u64, String)| json!({"id": 1, "html_url": "c", "body": text});
            (200, json!(of.map(comment).collect::<Vec<_>>()))
        }
        ("POST", ["repos", _, _, "issues", number, "comments"]) => {
            let text = body["body"].as_str().expect("a text").to_owned();
            state.comments.push((number.parse().expect("a number"), text));
            (201, json!({"id": 1, "html_url": "c"}))
        }
        ("GET", ["repos", _, _, "issues", number]) => {
            let issue = state
                .issues
                .iter()
                .find(|issue| issue["number"].as_u64() == number.parse().ok());
            issue.map_or((404, json!({"message": "Not Found"})), |issue| {
                (200, issue.clone())
            })
        }
        ("POST", ["repos", _, _, "issues"]) => {
            let number = state.issues.len() as u64 + 1;
            let issue = json!({
                "number": number,
                "html_url": format!("https://github.test/o/r/issues/{number}"),
                "title": body["title"],
                "body": body["body"],
                "labels": body["labels"],
                "state": "open",
            });
            state.issues.push(issue.clone());
            (201, issue)
        }
        _ => (404, json!({"message": "Not Found"})),
    }
}

/// A sandbox in which qemu-user got several things wrong in hundreds of runs.
fn checked() -> Sandbox {
    needs("qemu-x86_64");
    let sandbox = Sandbox::new();
    let check = [
        "check",
        "--generated",
        "--isa",
        "x87",
        "--per-form",
        "1",
        "-e",
        "qemu-x86_64",
        "--states",
        "16",
        "--no-reduce",
    ];
    let ended = sandbox.run(&check);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    sandbox
}

fn command(sandbox: &Sandbox, url: &str, more: &[&str]) -> std::process::Command {
    let create = [
        "report",
        "github",
        "--create",
        "--repo",
        "o/r",
        "--max-issues",
        "12",
        "--settling",
        "1",
    ];
    let mut command = sandbox.command(&[&create[..], more].concat());
    command.env("GITHUB_TOKEN", "t").env("GITHUB_API_URL", url);
    command
}

fn open(sandbox: &Sandbox, url: &str, more: &[&str]) -> Ended {
    Ended::of(&command(sandbox, url, more).output().expect("it starts"))
}

#[test]
fn each_bug_is_one_issue_whatever_is_lost_and_whoever_is_killed() {
    let sandbox = checked();
    let (github, url) = GitHub::start();
    // The first pass tells how many requests there are, and is what all others must come to.
    let ended = open(&sandbox, &url, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let whole = github.fingerprints();
    let diverged: u64 = (sandbox
        .json(&["stats", "runs"])
        .as_array()
        .expect("a list")
        .iter())
    .filter_map(|run| run["diverged"].as_u64())
    .sum();
    let bugs = sandbox.json(&["bugs"]).as_array().expect("a list").len();
    assert!(diverged >= 1000 && bugs >= 12, "{diverged} runs, {bugs} bugs");
    assert_eq!(whole.len(), 12, "one a bug, as many as were asked for: {whole:?}");
    assert!(whole.values().all(|count| *count == 1), "{whole:?}");
    let requests = github.state().requests;
    let again = open(&sandbox, &url, &[]);
    assert_eq!(
        (again.code, github.fingerprints()),
        (Some(0), whole.clone()),
        "{again:?}"
    );
    assert!(again.stdout.contains("0 issues opened"), "{again:?}");
    // Every call, each lost and each the last that the process makes.
    let points: Vec<(usize, bool)> = (1..requests).flat_map(|at| [(at, false), (at, true)]).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(&(at, is_killed)) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = after_trouble(&sandbox, at, is_killed);
                    assert_eq!(found, whole, "request {at}, killed: {is_killed}");
                }
            });
        }
    });
}

/// The issues that there are when the request `at` came to nothing, and the command was called once more.
fn after_trouble(sandbox: &Sandbox, at: usize, is_killed: bool) -> BTreeMap<String, usize> {
    let sandbox = copied(sandbox);
    let (github, url) = GitHub::start();
    let mut child = command(&sandbox, &url, &[]);
    child
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    // The process is known before it can have asked anything: it reads its database first.
    let mut state = github.state();
    let mut child = child.spawn().expect("it starts");
    let fault = if is_killed {
        Fault::Killed(child.id())
    } else {
        Fault::LostAnswer
    };
    state.faults.insert(at, fault);
    drop(state);
    child.wait().expect("it ends");
    let ended = open(&sandbox, &url, &[]);
    assert_eq!(ended.code, Some(0), "request {at}: {ended:?}");
    github.fingerprints()
}

/// The same database without what was written down about issues.
fn copied(sandbox: &Sandbox) -> Sandbox {
    let copy = Sandbox::new();
    let (from, to) = (
        crate::sandbox::default_database(sandbox),
        crate::sandbox::default_database(&copy),
    );
    std::fs::create_dir_all(to.parent().expect("it lies in a folder")).expect("a folder of our own");
    let moved = format!("VACUUM INTO '{}'", to.display());
    run_sql(&from, &moved);
    run_sql(&to, "DELETE FROM reported_issues");
    copy
}

fn run_sql(database: &std::path::Path, sql: &str) {
    use sqlx::Connection;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let url = format!("sqlite://{}", database.display());
        let mut connection = sqlx::sqlite::SqliteConnection::connect(&url)
            .await
            .expect("it opens");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .expect("it runs");
    });
}

#[test]
fn a_bug_that_is_back_after_it_was_fixed_is_a_new_issue_and_a_new_version_one_comment() {
    let sandbox = checked();
    let (github, url) = GitHub::start();
    let ended = open(&sandbox, &url, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let count = github.state().issues.len();
    {
        // As if all had been reported for an older version, and the first one was fixed since.
        let mut state = github.state();
        for issue in &mut state.issues {
            let text = issue["body"]
                .as_str()
                .expect("a text")
                .replace("version", "older");
            issue["body"] = json!(text);
        }
        state.issues[0]["state"] = json!("closed");
        state.issues[0]["state_reason"] = json!("completed");
    }
    for _ in 0..2 {
        let ended = open(&sandbox, &url, &[]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let state = github.state();
    assert_eq!(
        state.issues.len(),
        count + 1,
        "the fixed one is opened again, once"
    );
    assert!(
        state.issues[count]["body"]
            .as_str()
            .expect("a text")
            .contains("fixed in #1")
    );
    assert_eq!(
        state.comments.len(),
        count - 1,
        "one comment for each of the others"
    );
}

#[test]
fn a_reduced_case_stands_open_in_at_most_fifteen_lines() {
    needs("qemu-x86_64");
    let sandbox = Sandbox::new();
    let check = "check --generated --instruction fprem1,fsin,bsf --per-form 1 -e qemu-x86_64 --states 16";
    let ended = sandbox.run(&check.split(' ').collect::<Vec<_>>());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let drafts = sandbox.json(&["report", "github"]);
    for draft in drafts.as_array().expect("a list") {
        let text = draft["text"].as_str().expect("a text");
        let open = text.split("<details>").next().expect("a beginning");
        let code = open.split("```").nth(1).expect("a reproducer that is not folded");
        let lines = code.trim().lines().count() - 1;
        assert!((1..=15).contains(&lines), "{text}");
    }
}

#[test]
fn a_plainer_case_is_one_comment() {
    let sandbox = checked();
    let (github, url) = GitHub::start();
    let ended = open(&sandbox, &url, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // As if the first had been reported with a longer case.
    {
        let mut state = github.state();
        let text = state.issues[0]["body"].as_str().expect("a text").to_owned();
        let line = text
            .lines()
            .find(|line| line.starts_with("Lines of the case: "))
            .expect("its size");
        state.issues[0]["body"] = json!(text.replace(line, "Lines of the case: 400"));
    }
    let ended = open(&sandbox, &url, &[]);
    assert!(ended.stderr.contains("there is a plainer case"), "{ended:?}");
    for _ in 0..2 {
        let again = open(&sandbox, &url, &[]);
        assert!(!again.stderr.contains("plainer"), "{again:?}");
    }
    let state = github.state();
    assert_eq!(state.comments.len(), 1);
    let (issue, text) = &state.comments[0];
    assert!(
        *issue == 1 && text.contains("A plainer case shows it") && text.contains("snip 1"),
        "{text}"
    );
}

#[test]
fn what_somebody_else_has_reported_is_left_to_be_looked_at() {
    let sandbox = checked();
    let (github, url) = GitHub::start();
    github.state().issues.push(json!({
        "number": 1, "html_url": "https://github.test/o/r/issues/1", "title": "an instruction is wrong", "body": "It is.",
        "labels": [], "state": "open", "human": true,
    }));
    let ended = open(&sandbox, &url, &[]);
    assert!(ended.stdout.contains("0 issues opened"), "{ended:?}");
    let ended = open(&sandbox, &url, &["--ignore-similar"]);
    assert!(
        ended.code == Some(0) && github.state().issues.len() > 3,
        "{ended:?}"
    );
}

#[test]
fn issues_are_printed_unless_they_are_to_be_opened_and_nothing_is_opened_without_being_named() {
    let sandbox = checked();
    let drafts = sandbox.json(&["report", "github", "--max-issues", "2"]);
    let text = drafts[0]["text"].as_str().expect("a text");
    assert!(
        text.contains("Fingerprint: `snippex/") && text.contains("made by a program"),
        "{text}"
    );
    assert!(text.contains("Host: ") && text.contains("Engine: "), "{text}");
    assert!(text.len() < 65_536);
    let unnamed = sandbox.run(&["report", "github", "--create"]);
    assert!(
        unnamed.code == Some(2) && unnamed.stderr.contains("--repo"),
        "{unnamed:?}"
    );
    let mut without = sandbox.command(&["report", "github", "--create", "--repo", "o/r"]);
    Ended::of(&without.env_remove("GITHUB_TOKEN").output().expect("it starts")).refused(&["GITHUB_TOKEN"]);
    let wrong = sandbox.run(&["report", "github", "--create", "--repo", "nonsense"]);
    assert!(
        wrong.code == Some(2) && wrong.stderr.contains("OWNER/NAME"),
        "{wrong:?}"
    );
    sandbox
        .run(&["report", "github", "no-such-bug"])
        .refused(&["no-such-bug"]);
}
