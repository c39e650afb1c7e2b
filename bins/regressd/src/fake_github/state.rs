//! What the fake keeps: repositories with their pull requests, comments, checks and issues, and a log of all calls.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::trouble::Troubles;

/// Calls that are remembered.
const MAX_CALLS: usize = 20_000;

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// The commit at its head.
    pub head: String,
    /// `open` or `closed`.
    pub state: String,
    /// Whether the head lies in a fork: then GitHub does not know the commit's pull requests.
    pub fork: bool,
}

/// A comment in a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its number.
    pub id: u64,
    /// The pull request.
    pub issue: u64,
    /// The app that wrote it; none for a person.
    pub app: Option<u64>,
    /// Its text.
    pub body: String,
    /// How often it was changed.
    pub edits: u32,
}

/// A check run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its number.
    pub id: u64,
    /// The commit.
    pub head: String,
    /// Its name.
    pub name: String,
    /// `queued`, `in_progress` or `completed`.
    pub status: String,
    /// How it ended.
    pub conclusion: Option<String>,
    /// The heading.
    pub title: String,
    /// The text.
    pub summary: String,
    /// Remarks, in the order they came.
    pub annotations: Vec<Value>,
    /// How often it was changed.
    pub edits: u32,
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Its number.
    pub number: u64,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// `open` or `closed`.
    pub state: String,
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedCall {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// Milliseconds since the fake was started.
    pub at_ms: u64,
}

/// One repository.
#[derive(Debug, Default, Serialize)]
pub(super) struct FakeRepository {
    pub(super) installation: u64,
    pub(super) pulls: BTreeMap<u64, Pull>,
    pub(super) comments: BTreeMap<u64, Comment>,
    pub(super) checks: BTreeMap<u64, Check>,
    pub(super) issues: BTreeMap<u64, Issue>,
    pub(super) reruns: Vec<u64>,
    /// Of two commits joined by `...`: what the second has and the first has not.
    pub(super) compared: BTreeMap<String, Vec<String>>,
}

/// How much an installation asked for.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) window: Option<Instant>,
    pub(super) requests: u32,
    pub(super) content: VecDeque<Instant>,
}

/// Everything.
#[derive(Debug)]
pub(super) struct State {
    pub(super) start: Instant,
    pub(super) repositories: BTreeMap<String, FakeRepository>,
    pub(super) tokens: HashMap<String, (u64, Instant)>,
    pub(super) usage: HashMap<u64, Usage>,
    pub(super) troubles: Troubles,
    pub(super) calls: VecDeque<LoggedCall>,
    next: u64,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            repositories: BTreeMap::new(),
            tokens: HashMap::new(),
            usage: HashMap::new(),
            troubles: Troubles::default(),
            calls: VecDeque::new(),
            next: 1000,
        }
    }

    /// A number that nothing else has.
    pub(super) fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The repository `name`, which exists from now on. All repositories of an owner share an installation.
    pub(super) fn repository_or_new(&mut self, name: &str) -> &mut FakeRepository {
        if !self.repositories.contains_key(name) {
            let owner = name.split('/').next().unwrap_or_default().to_owned();
            let prefix = format!("{owner}/");
            let same = |(other, repository): (&String, &FakeRepository)| {
                other.starts_with(&prefix).then_some(repository.installation)
            };
            let installation = self.repositories.iter().find_map(same);
            let installation = installation.unwrap_or_else(|| self.next());
            let repository = FakeRepository {
                installation,
                ..FakeRepository::default()
            };
            self.repositories.insert(name.to_owned(), repository);
        }
        self.repositories.get_mut(name).expect("it was just put there")
    }

    /// Notes a call.
    pub(super) fn log_call(&mut self, method: &str, path: &str, status: u16) {
        if self.calls.len() >= MAX_CALLS {
            self.calls.pop_front();
        }
        let at_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.calls.push_back(LoggedCall {
            method: method.to_owned(),
            path: path.to_owned(),
            status,
            at_ms,
        });
    }
}

impl Usage {
    /// Counts a request within `span`; gives how many there were, with this one.
    pub(super) fn count_request(&mut self, span: Duration) -> (u32, Duration) {
        let now = Instant::now();
        let start = match self.window {
            Some(start) if now - start < span => start,
            _ => {
                self.requests = 0;
                self.window = Some(now);
                now
            }
        };
        self.requests += 1;
        (self.requests, span.saturating_sub(now - start))
    }
}
