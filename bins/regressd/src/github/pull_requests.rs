//! Which pull requests have a commit as their head. Events of forks do not say, so GitHub is asked.

use super::{GitHubError, Repository};
use crate::domain::{CommitSha, PullNumber};

/// The numbers of the open pull requests whose head is `commit`.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn pull_requests_of(
    repository: &Repository,
    commit: &CommitSha,
) -> Result<Vec<PullNumber>, GitHubError> {
    let numbers = github_kit::open_pull_requests_of(repository, commit.as_str()).await?;
    // GitHub's numbers are far from the end of 32 bits.
    let small = numbers
        .into_iter()
        .filter_map(|number| u32::try_from(number).ok());
    Ok(small.map(PullNumber).collect())
}
