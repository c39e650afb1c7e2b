//! One comment a pull request: found by a hidden marker, updated if it is there, else made.

use std::time::Duration;

use github_kit::{
    GitHub, GitHubError, Patience, Repository, comment_room, open_pull_requests_of, put_comment,
};

use super::CommentError;

/// Who calls, as GitHub's operators see it.
const USER_AGENT: &str = concat!("benchgate/", env!("CARGO_PKG_VERSION"));

/// Where the comment belongs.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Address of the API.
    pub(crate) api: String,
    pub(crate) token: String,
    /// `owner/name`.
    pub(crate) repository: String,
    /// The pull request, if it is known.
    pub(crate) number: Option<u64>,
    /// Else the commit that an open one has as its head.
    pub(crate) commit: Option<String>,
    /// Tells several comments apart.
    pub(crate) name: String,
    /// How long to wait for limits and failures.
    pub(crate) patience: Duration,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    Created(String),
    Updated(String),
    /// No open pull request has the commit.
    NoPullRequest,
}

/// The first line of the comment, which nobody sees. The name is the user's and must not end the HTML comment.
fn marker(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "_. /".contains(*c))
        .take(100)
        .collect();
    format!("<!-- benchgate: {name} -->")
}

/// Writes the comment: `text` gives it for the number of bytes there is room for.
///
/// # Errors
/// When GitHub refuses, or does not answer within the budget.
pub(crate) fn write_comment(
    target: &Target,
    text: impl FnOnce(usize) -> String,
) -> Result<Written, CommentError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime of this thread needs no resource that a running program lacks");
    let text = text(comment_room(&marker(&target.name)));
    Ok(runtime.block_on(write_patiently(target, &text))?)
}

/// Everything is done anew after a failure: a comment whose answer was lost is found, and not made twice.
async fn write_patiently(target: &Target, text: &str) -> Result<Written, GitHubError> {
    let github = GitHub::for_command(&target.api, &target.token, USER_AGENT)?;
    let repository = github.find_repository(&target.repository, None).await?;
    let mut patience = Patience::with_budget(target.patience);
    let mut may_be_made = false;
    loop {
        let error = match write_once(&repository, target, text).await {
            // It is there since the attempt of which no answer came.
            Ok(Written::Updated(url)) if may_be_made => return Ok(Written::Created(url)),
            Ok(written) => return Ok(written),
            Err(error) => error,
        };
        may_be_made |= may_have_made_comment(&error);
        patience.wait_after(error).await?;
    }
}

fn may_have_made_comment(error: &GitHubError) -> bool {
    match error {
        GitHubError::Network { method, .. } | GitHubError::Refused { method, .. } => {
            *method == "POST" && error.may_have_happened()
        }
        _ => false,
    }
}

async fn write_once(repository: &Repository, target: &Target, text: &str) -> Result<Written, GitHubError> {
    let Some(number) = pull_request(repository, target).await? else {
        return Ok(Written::NoPullRequest);
    };
    let written = put_comment(repository, number, &marker(&target.name), text).await?;
    Ok(match written {
        github_kit::Written::Created(url) => Written::Created(url),
        github_kit::Written::Updated(url) | github_kit::Written::Unchanged(url) => Written::Updated(url),
    })
}

/// The pull request that is named, else the open one that has the commit as its head. Its list is empty in the events of
/// forks, so it is asked for.
async fn pull_request(repository: &Repository, target: &Target) -> Result<Option<u64>, GitHubError> {
    match (target.number, &target.commit) {
        (Some(number), _) => Ok(Some(number)),
        (None, Some(commit)) => {
            let numbers = open_pull_requests_of(repository, commit).await?;
            Ok(numbers.first().copied())
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_the_marker() {
        assert_eq!(marker("x --> <b>"), "<!-- benchgate: x  b -->");
        assert!(comment_room(&marker("benchmarks")) > 65_000);
    }
}
