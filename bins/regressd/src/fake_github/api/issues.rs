//! Issues.

use axum::extract::{Json, Path, Query};
use axum::response::Response;
use serde_json::{Value, json};

use super::{Asker, Paging, by, checked, invalid, made, not_found, ok, text};
use crate::fake_github::state::Issue;

fn issue_json(issue: &Issue, app: u64) -> Value {
    let (app, user) = by(Some(app));
    json!({
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "state": issue.state,
        "labels": issue.labels.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
        "user": user,
        "performed_via_github_app": app,
    })
}

pub(super) async fn list_issues(
    asker: Asker,
    Path((owner, name)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Response {
    asker.within(&owner, &name, |repository, _, shared| {
        let state = paging.state.as_deref().unwrap_or("open");
        let wanted = repository.issues.values().filter(|issue| {
            let labelled = |label: &String| issue.labels.contains(label);
            (state == "all" || issue.state == state) && paging.labels.as_ref().is_none_or(labelled)
        });
        ok(&paging.of(wanted
            .map(|issue| issue_json(issue, shared.settings.app_id))
            .collect()))
    })
}

pub(super) async fn make_issue(
    asker: Asker,
    Path((owner, name)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Response {
    asker.within(&owner, &name, |repository, id, shared| {
        let title = text(&body, "title")
            .ok_or_else(|| invalid("title is missing"))?
            .to_owned();
        let labels = body.get("labels").and_then(Value::as_array).into_iter().flatten();
        let issue = Issue {
            number: id,
            title,
            body: checked(&body)?.to_owned(),
            labels: labels.filter_map(Value::as_str).map(str::to_owned).collect(),
            state: "open".to_owned(),
        };
        let answer = issue_json(&issue, shared.settings.app_id);
        repository.issues.insert(id, issue);
        made(&answer)
    })
}

pub(super) async fn change_issue(
    asker: Asker,
    Path((owner, name, number)): Path<(String, String, u64)>,
    Json(body): Json<Value>,
) -> Response {
    asker.within(&owner, &name, |repository, _, shared| {
        let issue = repository.issues.get_mut(&number).ok_or_else(not_found)?;
        for (field, place) in [
            ("title", &mut issue.title),
            ("body", &mut issue.body),
            ("state", &mut issue.state),
        ] {
            if let Some(new) = text(&body, field) {
                new.clone_into(place);
            }
        }
        ok(&issue_json(issue, shared.settings.app_id))
    })
}
