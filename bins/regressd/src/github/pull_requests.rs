//! Which pull requests have a commit as their head. Events of forks do not say, so GitHub is asked.

use serde::Deserialize;

use super::GitHubError;
use super::Repository;
use crate::domain::{CommitSha, PullNumber};

/// Pages of a hundred open pull requests that are searched.
const MOST_PAGES: u32 = 10;

#[derive(Deserialize)]
struct PullRequest {
    number: PullNumber,
    state: String,
    head: Head,
}

#[derive(Deserialize)]
struct Head {
    sha: String,
}

/// The numbers of the open pull requests whose head is `commit`.
///
/// GitHub knows the commit's pull requests unless the commit lies in a fork only; then the open ones are looked
/// through. A commit that is in a pull request but not its head is an old one, and nobody waits for its result.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn pull_requests_of(
    repository: &Repository,
    commit: &CommitSha,
) -> Result<Vec<PullNumber>, GitHubError> {
    let route = format!("/commits/{commit}/pulls?per_page=100");
    let of_commit = match repository.get::<Vec<PullRequest>>(&route).await {
        Ok(found) => found,
        // A commit that the repository itself does not have.
        Err(error) if error.is_status(&[404, 422]) => Vec::new(),
        Err(error) => return Err(error),
    };
    let found = heads(&of_commit, commit);
    if !found.is_empty() {
        return Ok(found);
    }
    for page in 1..=MOST_PAGES {
        let route = format!("/pulls?state=open&per_page=100&page={page}");
        let open: Vec<PullRequest> = repository.get(&route).await?;
        let found = heads(&open, commit);
        if !found.is_empty() || open.len() < 100 {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

fn heads(requests: &[PullRequest], commit: &CommitSha) -> Vec<PullNumber> {
    let mine = |request: &&PullRequest| request.state == "open" && request.head.sha == commit.as_str();
    requests
        .iter()
        .filter(mine)
        .map(|request| request.number)
        .collect()
}
