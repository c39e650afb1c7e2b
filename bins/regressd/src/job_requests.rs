//! The work that may be asked for: what each kind of job is about, and by what key two of them are the same.
//!
//! Whoever finds that there is something to do makes a request here and enqueues it; `jobs` does the work. Nothing here
//! touches the database.

use serde::{Deserialize, Serialize};

use crate::database::jobs::NewJob;
use crate::domain::{JobKind, RepositoryId, RunId, SeriesId, StreamId};

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

/// Payload of the jobs about a persistent regression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutSeries {
    /// The series.
    pub series: SeriesId,
    /// The branch.
    pub branch: String,
    /// The first run of the regression; `None` when it is over.
    pub first_run: Option<RunId>,
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

/// Asks that a commit be measured again, since a run of it is suspected.
#[must_use]
pub fn confirm_run(run: RunId, stream: StreamId, commit: &str, correlation: &str) -> NewJob {
    let key = format!("{}:{commit}", stream.0);
    NewJob::due_now(JobKind::Confirm, &key, &AboutRun { run }, correlation)
}

/// Asks that the issue of a persistent regression be opened, updated or closed.
#[must_use]
pub fn update_issue(about: &AboutSeries, correlation: &str) -> NewJob {
    let key = format!("{}:{}", about.series.0, about.branch);
    NewJob::due_now(JobKind::Issue, &key, about, correlation)
}
