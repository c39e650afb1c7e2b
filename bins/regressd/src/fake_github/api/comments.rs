//! Comments on pull requests and issues.

use axum::extract::{Json, Path, Query};
use axum::response::Response;
use serde_json::{Value, json};

use super::{Asker, Paging, by, checked, error_response, made, not_found, ok};
use crate::fake_github::state::Comment;

fn comment_json(comment: &Comment) -> Value {
    let (app, user) = by(comment.app);
    json!({
        "id": comment.id,
        "html_url": format!("https://github.example/pull/{}#issuecomment-{}", comment.issue, comment.id),
        "body": comment.body,
        "user": user,
        "performed_via_github_app": app,
    })
}

pub(super) async fn list_comments(
    asker: Asker,
    Path((owner, name, number)): Path<(String, String, u64)>,
    Query(paging): Query<Paging>,
) -> Response {
    asker.within(&owner, &name, |repository, _, _| {
        let of = repository
            .comments
            .values()
            .filter(|comment| comment.issue == number);
        ok(&paging.of(of.map(comment_json).collect()))
    })
}

pub(super) async fn make_comment(
    asker: Asker,
    Path((owner, name, number)): Path<(String, String, u64)>,
    Json(body): Json<Value>,
) -> Response {
    asker.within(&owner, &name, |repository, id, shared| {
        if !repository.pulls.contains_key(&number) && !repository.issues.contains_key(&number) {
            return Err(not_found());
        }
        let body = checked(&body)?.to_owned();
        let app = Some(shared.settings.app_id);
        let comment = Comment {
            id,
            issue: number,
            app,
            body,
            edits: 0,
        };
        let answer = comment_json(&comment);
        repository.comments.insert(id, comment);
        made(&answer)
    })
}

pub(super) async fn change_comment(
    asker: Asker,
    Path((owner, name, id)): Path<(String, String, u64)>,
    Json(body): Json<Value>,
) -> Response {
    asker.within(&owner, &name, |repository, _, shared| {
        let comment = repository.comments.get_mut(&id).ok_or_else(not_found)?;
        if comment.app != Some(shared.settings.app_id) {
            return Err(Box::new(error_response(
                403,
                "Resource not accessible by integration",
            )));
        }
        checked(&body)?.clone_into(&mut comment.body);
        comment.edits += 1;
        ok(&comment_json(comment))
    })
}
