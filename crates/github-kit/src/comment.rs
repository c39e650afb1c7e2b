//! One comment a pull request: found by a hidden marker, updated if it is there, else made.
//!
//! It is not made twice by one who waits, after a failure that [may have
//! happened](GitHubError::may_have_happened), until GitHub has made the comment or never will, and calls again: the
//! marker is looked for first. Two who write at the same moment are kept apart by the program.

use serde::Deserialize;
use serde_json::json;

use crate::client::Repeat;
use crate::{GitHubError, Repository};

/// GitHub takes fewer than 65,536 characters; bytes are never fewer than characters.
const MAX_BYTES: usize = 65_535;
/// Pages of a hundred comments that are searched.
const MAX_PAGES: u32 = 50;

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// There was none: it was made, and stands at this address.
    Created(String),
    /// It was there and says something else now.
    Updated(String),
    /// It was there and said just that.
    Unchanged(String),
}

#[derive(Debug, Deserialize)]
pub(crate) struct Comment {
    id: u64,
    html_url: String,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    performed_via_github_app: Option<Author>,
    #[serde(default)]
    user: Option<User>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Author {
    pub(crate) id: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct User {
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
}

/// Whether something was written by our app. Anybody can copy a marker; nobody else can change our comment, nor we
/// theirs. Old enterprise servers do not say which app wrote something, only that some app did. The owner of a token does
/// not know who that is: what may not be changed shows when it is tried.
pub(crate) fn is_ours(app: Option<u64>, author: Option<&Author>, user: Option<&User>) -> bool {
    match (app, author) {
        (None, _) => true,
        (Some(app), Some(author)) => author.id == app,
        (Some(_), None) => user.is_some_and(|user| user.kind == "Bot"),
    }
}

/// The bytes that `marker` leaves for the text of a comment.
#[must_use]
pub fn comment_room(marker: &str) -> usize {
    MAX_BYTES - marker.len() - 1
}

/// Makes `text` the comment of pull request `number` that is known by `marker`.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn put_comment(
    repository: &Repository,
    number: u64,
    marker: &str,
    text: &str,
) -> Result<Written, GitHubError> {
    let body = format!("{marker}\n{}", truncate_text(text, comment_room(marker)));
    if let Some(old) = find(repository, number, marker).await? {
        // GitHub may store line feeds as it likes.
        let same = old
            .body
            .as_deref()
            .is_some_and(|old| old.replace("\r\n", "\n").trim_end() == body.trim_end());
        if same {
            return Ok(Written::Unchanged(old.html_url));
        }
        let route = format!("/issues/comments/{}", old.id);
        match repository
            .patch::<Comment>(&route, &json!({ "body": body }), Repeat::Safe)
            .await
        {
            Ok(comment) => return Ok(Written::Updated(comment.html_url)),
            // Somebody deleted it meanwhile.
            Err(error) if error.is_status(&[404, 410]) => {}
            // Somebody else copied the marker.
            Err(error) if error.is_status(&[403]) && repository.github().app_id().is_none() => {}
            Err(error) => return Err(error),
        }
    }
    let route = format!("/issues/{number}/comments");
    let comment: Comment = repository.post(&route, &json!({ "body": body })).await?;
    Ok(Written::Created(comment.html_url))
}

/// The text of the comment of issue or pull request `number` that is known by `marker`, if there is one.
///
/// # Errors
/// When GitHub refuses, asks to wait, or does not answer.
pub async fn read_marked_comment(
    repository: &Repository,
    number: u64,
    marker: &str,
) -> Result<Option<String>, GitHubError> {
    let found = find(repository, number, marker).await?;
    Ok(found.and_then(|comment| comment.body))
}

async fn find(repository: &Repository, number: u64, marker: &str) -> Result<Option<Comment>, GitHubError> {
    let app = repository.github().app_id();
    let route = format!("/issues/{number}/comments");
    let is_mine = |comment: &Comment| {
        comment
            .body
            .as_deref()
            .is_some_and(|body| body.starts_with(marker))
            && is_ours(
                app,
                comment.performed_via_github_app.as_ref(),
                comment.user.as_ref(),
            )
    };
    repository.find_in_pages(&route, MAX_PAGES, is_mine).await
}

/// The last guard: the text fits, whoever made it.
pub(crate) fn truncate_text(text: &str, room: usize) -> &str {
    let mut end = room.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(truncate_text("aé", 2), "a");
        assert_eq!(truncate_text("aé", 3), "aé");
        assert_eq!(truncate_text("aé", 30), "aé");
    }
}
