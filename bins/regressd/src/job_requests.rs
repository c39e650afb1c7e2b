//! The work that may be asked for: what each kind of job is about, and by what key two of them are the same.
//!
//! Whoever finds that there is something to do makes a request here and enqueues it; `jobs` does the work. Nothing here
//! touches the database.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::database::jobs::NewJob;
use crate::domain::{JobKind, RepositoryId, RunId, StreamId};

/// Payload of a job about a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutDelivery {
    /// The delivery's id.
    pub delivery: String,
}

/// Payload of the jobs about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutRun {
    /// The run.
    pub run: RunId,
}

/// Payload of the jobs about a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutPullRequest {
    /// The repository.
    pub repository: RepositoryId,
    /// The pull request.
    pub number: u32,
}

/// Payload of the jobs about a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutCommit {
    /// The repository.
    pub repository: RepositoryId,
    /// The commit.
    pub commit: String,
}

/// Payload of a job about a check that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutWaitingCheck {
    /// The repository.
    pub repository: RepositoryId,
    /// The commit.
    pub commit: String,
    /// Why it is not to wait any longer.
    pub end: WaitEnd,
}

/// Why a check does not wait any longer for results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitEnd {
    /// They did not come in time.
    Overdue,
    /// The pull request was closed.
    Closed,
}

/// Payload of the jobs about the regressions that came with a commit and stay.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AboutRegression {
    /// The repository.
    pub repository: RepositoryId,
    /// The branch.
    pub branch: String,
    /// The first commit that was slower.
    pub commit: String,
}

/// Payload of a job about a forced push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutRewrite {
    /// The repository.
    pub repository: RepositoryId,
    /// The branch.
    pub branch: String,
    /// The commit that was its head before.
    pub before: String,
    /// The commit that is.
    pub after: String,
}

/// Asks that a webhook be acted on.
#[must_use]
pub fn act_on_delivery(delivery: &str, correlation: &str) -> NewJob {
    let about = AboutDelivery {
        delivery: delivery.to_owned(),
    };
    NewJob::due_now(JobKind::Webhook, delivery, &about, correlation)
}

/// Asks that a run be judged.
#[must_use]
pub fn judge_run(run: RunId, correlation: &str) -> NewJob {
    NewJob::due_now(JobKind::Judge, &run.0.to_string(), &AboutRun { run }, correlation)
}

/// Asks for the comment of a pull request.
#[must_use]
pub fn write_comment(repository: RepositoryId, number: u32, correlation: &str) -> NewJob {
    let key = format!("{}:{number}", repository.0);
    let about = AboutPullRequest { repository, number };
    NewJob::due_now(JobKind::Comment, &key, &about, correlation)
}

/// Asks for the check run of a commit.
#[must_use]
pub fn write_check_run(repository: RepositoryId, commit: &str, correlation: &str) -> NewJob {
    let key = format!("{}:{commit}", repository.0);
    let commit = commit.to_owned();
    let about = AboutCommit { repository, commit };
    NewJob::due_now(JobKind::Check, &key, &about, correlation)
}

/// Asks that the check run of a commit wait no longer, after a while, if it still does then. Meanwhile
/// it may be written by other jobs.
#[must_use]
pub fn end_check_run(
    repository: RepositoryId,
    commit: &str,
    (end, after): (WaitEnd, Duration),
    correlation: &str,
) -> NewJob {
    let reason = match end {
        WaitEnd::Overdue => "overdue",
        WaitEnd::Closed => "closed",
    };
    let key = format!("{}:{commit}:{reason}", repository.0);
    let about = AboutWaitingCheck {
        repository,
        commit: commit.to_owned(),
        end,
    };
    let mut job = NewJob::due_now(JobKind::EndCheck, &key, &about, correlation);
    job.due = job.due.saturating_add(after);
    job
}

/// Asks that a commit be measured again, since a run of it is suspected.
#[must_use]
pub fn confirm_run(run: RunId, stream: StreamId, commit: &str, correlation: &str) -> NewJob {
    let key = format!("{}:{commit}", stream.0);
    NewJob::due_now(JobKind::Confirm, &key, &AboutRun { run }, correlation)
}

/// Asks that the issue of what a commit made slower be opened, updated or closed.
#[must_use]
pub fn update_issue(about: &AboutRegression, correlation: &str) -> NewJob {
    let key = format!("{}:{}:{}", about.repository.0, about.branch, about.commit);
    NewJob::due_now(JobKind::Issue, &key, about, correlation)
}

/// Asks that what a forced push left behind leave the history.
#[must_use]
pub fn forget_rewritten(about: &AboutRewrite, correlation: &str) -> NewJob {
    let key = format!(
        "{}:{}:{}:{}",
        about.repository.0, about.branch, about.before, about.after
    );
    NewJob::due_now(JobKind::Rewrite, &key, about, correlation)
}
