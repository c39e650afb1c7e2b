//! One comment a pull request: found by a hidden marker, updated if it is there, else made.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::client::{Client, GitHubError, Request};

/// GitHub's limit for the body of a comment, in characters; bytes are never fewer.
const MOST_BYTES: usize = 65_536;
/// Pages of a hundred comments that are searched.
const MOST_PAGES: u32 = 50;

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

#[derive(Debug, Deserialize)]
struct Comment {
    id: u64,
    html_url: String,
    #[serde(default)]
    body: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PullRequest {
    number: u64,
    state: String,
    head: Head,
}

#[derive(Debug, Deserialize)]
struct Head {
    sha: String,
}

#[derive(Debug, Serialize)]
struct Body {
    body: String,
}

/// The room that the marker leaves for the text.
pub(crate) fn room(name: &str) -> usize {
    MOST_BYTES - marker(name).len() - 1
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
pub(crate) fn write(target: &Target, text: impl FnOnce(usize) -> String) -> Result<Written, GitHubError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime of this thread needs no resource that a running program lacks");
    let body = Body {
        body: format!("{}\n{}", marker(&target.name), text(room(&target.name))),
    };
    runtime.block_on(write_now(target, &body))
}

async fn write_now(target: &Target, body: &Body) -> Result<Written, GitHubError> {
    let client = Client::new(&target.api, &target.token, target.patience)?;
    let number = match (target.number, &target.commit) {
        (Some(number), _) => number,
        (None, Some(commit)) => match pull_request(&client, &target.repository, commit).await? {
            Some(number) => number,
            None => return Ok(Written::NoPullRequest),
        },
        (None, None) => return Ok(Written::NoPullRequest),
    };
    let marker = marker(&target.name);
    if let Some(old) = find(&client, &target.repository, number, &marker).await? {
        match update(&client, &target.repository, old.id, body).await {
            Ok(comment) => return Ok(Written::Updated(comment.html_url)),
            // Somebody deleted it meanwhile, or somebody else copied our marker.
            Err(GitHubError::Refused {
                status: 403 | 404, ..
            }) => {}
            Err(error) => return Err(error),
        }
    }
    let route = format!("/repos/{}/issues/{number}/comments", target.repository);
    match client.call::<_, Comment>(Request::Post(&route, body)).await {
        Ok(comment) => Ok(Written::Created(comment.html_url)),
        Err(GitHubError::Network(error)) => match find(&client, &target.repository, number, &marker).await? {
            // The answer was lost, the comment was not.
            Some(comment) => Ok(Written::Created(comment.html_url)),
            None => Err(GitHubError::Network(error)),
        },
        Err(error) => Err(error),
    }
}

/// The open pull request that has `commit` as its head. Its list is empty in the events of forks, so it is asked for.
async fn pull_request(client: &Client, repository: &str, commit: &str) -> Result<Option<u64>, GitHubError> {
    let route = format!("/repos/{repository}/commits/{commit}/pulls?per_page=100");
    let found: Vec<PullRequest> = client.call::<(), _>(Request::Get(&route)).await?;
    let mine = |request: &&PullRequest| request.state == "open" && request.head.sha == commit;
    Ok(found.iter().find(mine).map(|request| request.number))
}

async fn find(
    client: &Client,
    repository: &str,
    number: u64,
    marker: &str,
) -> Result<Option<Comment>, GitHubError> {
    for page in 1..=MOST_PAGES {
        let route = format!("/repos/{repository}/issues/{number}/comments?per_page=100&page={page}");
        let comments: Vec<Comment> = client.call::<(), _>(Request::Get(&route)).await?;
        let last = comments.len() < 100;
        let mine = |comment: &Comment| {
            comment
                .body
                .as_deref()
                .is_some_and(|body| body.starts_with(marker))
        };
        if let Some(comment) = comments.into_iter().find(mine) {
            return Ok(Some(comment));
        }
        if last {
            break;
        }
    }
    Ok(None)
}

async fn update(client: &Client, repository: &str, id: u64, body: &Body) -> Result<Comment, GitHubError> {
    let route = format!("/repos/{repository}/issues/comments/{id}");
    client.call(Request::Patch(&route, body)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_the_marker() {
        assert_eq!(marker("x --> <b>"), "<!-- benchgate: x  b -->");
        assert!(room("benchmarks") > 65_000);
    }
}
