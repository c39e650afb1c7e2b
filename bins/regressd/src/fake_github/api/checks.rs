//! Check runs and their annotations.

use axum::extract::{Json, Path, Query};
use axum::response::Response;
use serde_json::{Value, json};

use super::{Asker, Paging, invalid, made, not_found, ok, text};
use crate::fake_github::state::Check;

fn check_json(check: &Check, app: u64) -> Value {
    json!({
        "id": check.id,
        "head_sha": check.head,
        "name": check.name,
        "status": check.status,
        "conclusion": check.conclusion,
        "app": { "id": app },
        "output": {
            "title": check.title,
            "summary": check.summary,
            "annotations_count": check.annotations.len(),
        },
    })
}

pub(super) async fn commit_checks(
    asker: Asker,
    Path((owner, name, sha)): Path<(String, String, String)>,
) -> Response {
    asker.within(&owner, &name, |repository, _, shared| {
        let of = repository.checks.values().filter(|check| check.head == sha);
        let all: Vec<Value> = of
            .map(|check| check_json(check, shared.settings.app_id))
            .collect();
        ok(&json!({ "total_count": all.len(), "check_runs": all }))
    })
}

/// Takes over what `body` says; annotations are added to those that are there, as GitHub does it.
fn apply(check: &mut Check, body: &Value) -> Result<(), Box<Response>> {
    let output = body.get("output").cloned().unwrap_or_default();
    let empty = Vec::new();
    let annotations = output
        .get("annotations")
        .and_then(Value::as_array)
        .unwrap_or(&empty);
    if annotations.len() > 50 {
        return Err(invalid("No more than 50 annotations per request"));
    }
    let whole = |annotation: &Value| {
        ["path", "annotation_level", "message"]
            .iter()
            .all(|field| text(annotation, field).is_some())
            && annotation.get("start_line").is_some_and(Value::is_u64)
            && annotation.get("end_line").is_some_and(Value::is_u64)
    };
    if !annotations.iter().all(whole) {
        return Err(invalid("An annotation lacks path, lines, level or message"));
    }
    check.annotations.extend(annotations.iter().cloned());
    for (field, place) in [("title", &mut check.title), ("summary", &mut check.summary)] {
        if let Some(new) = text(&output, field) {
            new.clone_into(place);
        }
    }
    if let Some(status) = text(body, "status") {
        status.clone_into(&mut check.status);
    }
    if let Some(conclusion) = text(body, "conclusion") {
        check.conclusion = Some(conclusion.to_owned());
        "completed".clone_into(&mut check.status);
    } else if check.status != "completed" {
        check.conclusion = None;
    } else if check.conclusion.is_none() {
        return Err(invalid("A completed check run needs a conclusion"));
    }
    Ok(())
}

pub(super) async fn make_check(
    asker: Asker,
    Path((owner, name)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Response {
    asker.within(&owner, &name, |repository, id, shared| {
        let (Some(head), Some(name)) = (text(&body, "head_sha"), text(&body, "name")) else {
            return Err(invalid("head_sha and name are needed"));
        };
        let mut check = Check {
            id,
            head: head.to_owned(),
            name: name.to_owned(),
            status: "queued".to_owned(),
            conclusion: None,
            title: String::new(),
            summary: String::new(),
            annotations: Vec::new(),
            edits: 0,
        };
        apply(&mut check, &body)?;
        let answer = check_json(&check, shared.settings.app_id);
        repository.checks.insert(id, check);
        made(&answer)
    })
}

pub(super) async fn change_check(
    asker: Asker,
    Path((owner, name, id)): Path<(String, String, u64)>,
    Json(body): Json<Value>,
) -> Response {
    asker.within(&owner, &name, |repository, _, shared| {
        let check = repository.checks.get_mut(&id).ok_or_else(not_found)?;
        apply(check, &body)?;
        check.edits += 1;
        ok(&check_json(check, shared.settings.app_id))
    })
}

pub(super) async fn list_annotations(
    asker: Asker,
    Path((owner, name, id)): Path<(String, String, u64)>,
    Query(paging): Query<Paging>,
) -> Response {
    asker.within(&owner, &name, |repository, _, _| {
        let check = repository.checks.get(&id).ok_or_else(not_found)?;
        ok(&paging.of(check.annotations.clone()))
    })
}
