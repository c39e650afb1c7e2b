//! Which pull requests have a commit as their head. Events of forks do not say, so GitHub is asked.

use serde::Deserialize;

use crate::{GitHubError, Repository};

/// Pages of a hundred open pull requests that are searched.
const MAX_PAGES: u32 = 10;

#[derive(Deserialize)]
struct PullRequest {
    number: u64,
    state: String,
    head: PullRequestHead,
}

#[derive(Deserialize)]
struct PullRequestHead {
    sha: String,
}

/// The numbers of the open pull requests whose head is `commit`, a full hash.
///
/// GitHub knows the commit's pull requests unless the commit lies in a fork only; then the open ones are looked
/// through. A commit that is in a pull request but not its head is an old one, and nobody waits for its result.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn open_pull_requests_of(repository: &Repository, commit: &str) -> Result<Vec<u64>, GitHubError> {
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
    for page in 1..=MAX_PAGES {
        let route = format!("/pulls?state=open&per_page=100&page={page}");
        let open: Vec<PullRequest> = repository.get(&route).await?;
        let found = heads(&open, commit);
        if !found.is_empty() || open.len() < 100 {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

fn heads(requests: &[PullRequest], commit: &str) -> Vec<u64> {
    let mine = |request: &&PullRequest| request.state == "open" && request.head.sha == commit;
    requests
        .iter()
        .filter(mine)
        .map(|request| request.number)
        .collect()
}
