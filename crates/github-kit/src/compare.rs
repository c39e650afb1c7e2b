//! Which commits a forced push took off a branch.

use serde::Deserialize;

use crate::{GitHubError, Repository};

#[derive(Deserialize)]
struct Comparison {
    commits: Vec<ComparedCommit>,
}

#[derive(Deserialize)]
struct ComparedCommit {
    sha: String,
}

/// Commits of a comparison that one page holds.
const PAGE: usize = 100;
/// Pages that are read: a branch that lost a thousand commits was replaced as a whole.
const MAX_PAGES: u32 = 10;

/// The commits that `old` has and `new` has not, oldest first; empty where GitHub does not have `old` any more.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn commits_left_behind(
    repository: &Repository,
    new: &str,
    old: &str,
) -> Result<Vec<String>, GitHubError> {
    let mut all = Vec::new();
    for page in 1..=MAX_PAGES {
        let route = format!("/compare/{new}...{old}?per_page={PAGE}&page={page}");
        let compared: Comparison = match repository.get(&route).await {
            Err(error) if error.is_status(&[404, 422]) => break,
            compared => compared?,
        };
        let is_last = compared.commits.len() < PAGE;
        all.extend(compared.commits.into_iter().map(|commit| commit.sha));
        if is_last {
            break;
        }
    }
    Ok(all)
}
