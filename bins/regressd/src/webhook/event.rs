//! The events that regressd acts on. They are stored as jobs, so their form is a boundary: fields are only added, with
//! a default.

use serde::{Deserialize, Serialize};

use crate::domain::{BranchName, CommitSha, PullNumber, RepoName};

/// Something happened on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A pull request got a new head, or was closed.
    PullRequest(PullRequestEvent),
    /// A branch moved.
    Push(PushEvent),
    /// Somebody pressed "Re-run" on a check.
    Rerequested(RerequestedEvent),
    /// A workflow ended.
    WorkflowRun(WorkflowRunEvent),
    /// The app was installed, removed, or given other repositories.
    Installation(InstallationEvent),
    /// A repository got another name or owner.
    Renamed(RenamedEvent),
    /// A merge queue tries a commit, or is done with it.
    MergeGroup(MergeGroupEvent),
    /// GitHub tries the address.
    Ping,
    /// Nothing to do.
    Ignored {
        /// The name of the event.
        name: String,
        /// Its action, if it has one.
        action: Option<String>,
    },
}

impl Event {
    /// A word for logs and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::PullRequest(_) => "pull_request",
            Self::Push(_) => "push",
            Self::Rerequested(_) => "rerequested",
            Self::WorkflowRun(_) => "workflow_run",
            Self::Installation(_) => "installation",
            Self::Renamed(_) => "repository",
            Self::MergeGroup(_) => "merge_group",
            Self::Ping => "ping",
            Self::Ignored { .. } => "ignored",
        }
    }
}

/// What became of a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullRequestAction {
    /// It is new, or open again.
    Opened,
    /// It has another head, or another base.
    Updated,
    /// It was merged or given up.
    Closed,
}

/// A pull request that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestEvent {
    /// What happened to it.
    pub action: PullRequestAction,
    /// Where it was opened.
    pub repository: RepoName,
    /// The number by which GitHub knows it.
    #[serde(default)]
    pub repository_id: Option<u64>,
    /// The installation of the app, if the payload names it.
    pub installation: Option<u64>,
    /// Its number.
    pub number: PullNumber,
    /// The commit to judge.
    pub head: CommitSha,
    /// The branch it comes from.
    pub head_branch: BranchName,
    /// The branch it is to go into.
    pub base: BranchName,
    /// The commit of that branch it was made against.
    pub base_commit: CommitSha,
    /// Whether the head lies in another repository: then everything in it is untrusted.
    pub from_fork: bool,
}

/// A branch that moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushEvent {
    /// The repository.
    pub repository: RepoName,
    /// The number by which GitHub knows it.
    #[serde(default)]
    pub repository_id: Option<u64>,
    /// The installation of the app, if the payload names it.
    pub installation: Option<u64>,
    /// The branch.
    pub branch: BranchName,
    /// The default branch, whose runs become the baseline.
    pub default_branch: Option<BranchName>,
    /// The commit it now points at.
    pub after: CommitSha,
    /// The commit it pointed at, if the push was forced: what was only there is not on the branch any more.
    #[serde(default)]
    pub replaced: Option<CommitSha>,
}

/// A request to judge again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerequestedEvent {
    /// The repository.
    pub repository: RepoName,
    /// The number by which GitHub knows it.
    #[serde(default)]
    pub repository_id: Option<u64>,
    /// The installation of the app, if the payload names it.
    pub installation: Option<u64>,
    /// The commit.
    pub head: CommitSha,
    /// The app whose check was meant: ours or not.
    pub app: Option<u64>,
    /// Pull requests that GitHub names; none for a fork.
    pub pull_requests: Vec<PullNumber>,
}

/// A workflow that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowRunEvent {
    /// The repository.
    pub repository: RepoName,
    /// The number by which GitHub knows it.
    #[serde(default)]
    pub repository_id: Option<u64>,
    /// The installation of the app, if the payload names it.
    pub installation: Option<u64>,
    /// Its number on GitHub.
    pub run: u64,
    /// The commit it ran for.
    pub head: CommitSha,
    /// `success`, `failure` and so on.
    pub conclusion: Option<String>,
    /// Pull requests that GitHub names; none for a fork.
    pub pull_requests: Vec<PullNumber>,
}

/// An installation that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallationEvent {
    /// The installation.
    pub installation: u64,
    /// Repositories that the app may now work on.
    pub added: Vec<RepoName>,
    /// The numbers by which GitHub knows these, in their order; empty where the payload has none.
    #[serde(default)]
    pub added_ids: Vec<u64>,
    /// Repositories that it may no longer work on.
    pub removed: Vec<RepoName>,
    /// Whether the installation as a whole is gone or suspended.
    pub gone: bool,
}

/// A repository that got another name or owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenamedEvent {
    /// What it is called now.
    pub repository: RepoName,
    /// The number by which GitHub knows it.
    pub repository_id: u64,
    /// The installation of the app, if the payload names it.
    pub installation: Option<u64>,
    /// What it was called.
    pub former: RepoName,
}

/// A commit that a merge queue made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeGroupEvent {
    /// The repository.
    pub repository: RepoName,
    /// The number by which GitHub knows it.
    pub repository_id: Option<u64>,
    /// The installation of the app, if the payload names it.
    pub installation: Option<u64>,
    /// The commit that is tried.
    pub head: CommitSha,
    /// Whether checks are asked for; else the queue is done with it.
    pub waits: bool,
}
