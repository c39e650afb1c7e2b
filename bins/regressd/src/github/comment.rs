//! One comment a pull request: found by a hidden marker, updated if it is there, else made.
//!
//! It is never made twice. Only the holder of the pull request's lease acts, and looks for the marker first. Whoever
//! is killed, or gets no answer, between sending the comment and knowing that it is there leaves the lease to end by
//! itself; by then GitHub has made the comment or never will, and the next worker finds it or makes it.

use serde::Deserialize;
use serde_json::json;

use super::Repository;
use super::client::Repeat;
use super::lease::holding;
use super::{GitHubError, Leases};
use crate::domain::PullNumber;

/// GitHub takes fewer than 65,536 characters; bytes are never fewer than characters.
const MOST_BYTES: usize = 65_535;
/// Pages of a hundred comments that are searched.
const MOST_PAGES: u32 = 50;

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
pub(super) struct Comment {
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
pub(super) struct Author {
    pub(super) id: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
}

/// Whether something was written by our app. Anybody can copy a marker; nobody else can change our comment, nor we
/// theirs. Old enterprise servers do not say which app wrote something, only that some app did.
pub(super) fn is_ours(app: u64, author: Option<&Author>, user: Option<&User>) -> bool {
    match author {
        Some(author) => author.id == app,
        None => user.is_some_and(|user| user.kind == "Bot"),
    }
}

/// The bytes that `marker` leaves for the text of a comment.
#[must_use]
pub fn comment_room(marker: &str) -> usize {
    MOST_BYTES - marker.len() - 1
}

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
    let body = format!("{marker}\n{}", cut(text, comment_room(marker)));
    let name = format!("comment:{}:{number}", repository.name());
    let life = repository.github().lease();
    holding(leases, &name, life, put(repository, number, marker, &body)).await
}

async fn put(
    repository: &Repository,
    number: PullNumber,
    marker: &str,
    body: &str,
) -> Result<Written, GitHubError> {
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
            Err(error) => return Err(error),
        }
    }
    let route = format!("/issues/{number}/comments");
    let comment: Comment = repository.post(&route, &json!({ "body": body })).await?;
    Ok(Written::Created(comment.html_url))
}

async fn find(
    repository: &Repository,
    number: PullNumber,
    marker: &str,
) -> Result<Option<Comment>, GitHubError> {
    let app = repository.github().app_id();
    for page in 1..=MOST_PAGES {
        let route = format!("/issues/{number}/comments?per_page=100&page={page}");
        let comments: Vec<Comment> = repository.get(&route).await?;
        let last = comments.len() < 100;
        let mine = comments.into_iter().find(|comment| {
            let marked = comment
                .body
                .as_deref()
                .is_some_and(|body| body.starts_with(marker));
            marked
                && is_ours(
                    app,
                    comment.performed_via_github_app.as_ref(),
                    comment.user.as_ref(),
                )
        });
        if mine.is_some() || last {
            return Ok(mine);
        }
    }
    Ok(None)
}

/// The last guard: the text fits, whoever made it.
pub(super) fn cut(text: &str, room: usize) -> &str {
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
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("aé", 30), "aé");
    }
}
