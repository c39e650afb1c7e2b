//! Comments, check runs and issues, each written by one worker at a time.
//!
//! None is ever made twice. Only the holder of its lease acts, and looks for what is there first. Whoever is killed, or
//! gets no answer, between sending a request and knowing what became of it leaves the lease to end by itself; by then
//! GitHub has made what was asked or never will, and the next worker finds it or makes it.

use super::lease::run_with_lease;
use super::{CheckRun, GitHubError, IssueChange, Leases, Repository, TrackingIssue, Written};
use crate::domain::PullNumber;

/// Makes `text` the comment of pull request `number` that is known by `marker`.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer, or another worker is at it.
pub async fn put_comment<L: Leases>(
    repository: &Repository,
    leases: &L,
    number: PullNumber,
    marker: &str,
    text: &str,
) -> Result<Written, GitHubError> {
    let name = format!("comment:{}:{number}", repository.name());
    let work = github_kit::put_comment(repository, number.0.into(), marker, text);
    run_with_lease(leases, &name, repository.github().lease_duration(), work).await
}

/// Makes the check run of its commit say what `check` says; gives its number.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer, or another worker is at it.
pub async fn put_check_run<L: Leases>(
    repository: &Repository,
    leases: &L,
    check: &CheckRun,
) -> Result<u64, GitHubError> {
    let name = format!("check:{}:{}:{}", repository.name(), check.head, check.name);
    let work = github_kit::put_check_run(repository, check);
    run_with_lease(leases, &name, repository.github().lease_duration(), work).await
}

/// Makes a check run that still waits say what `check` says; gives its number, or `None` where none waits.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer, or another worker is at it.
pub async fn end_check_run<L: Leases>(
    repository: &Repository,
    leases: &L,
    check: &CheckRun,
) -> Result<Option<u64>, GitHubError> {
    let name = format!("check:{}:{}:{}", repository.name(), check.head, check.name);
    let work = github_kit::end_check_run(repository, check);
    run_with_lease(leases, &name, repository.github().lease_duration(), work).await
}

/// Makes the issue known by its marker what `wanted` says.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer, or another worker is at it.
pub async fn put_tracking_issue<L: Leases>(
    repository: &Repository,
    leases: &L,
    wanted: &TrackingIssue,
) -> Result<IssueChange, GitHubError> {
    let name = format!("issue:{}:{}", repository.name(), wanted.marker);
    let work = github_kit::put_tracking_issue(repository, wanted);
    run_with_lease(leases, &name, repository.github().lease_duration(), work).await
}
