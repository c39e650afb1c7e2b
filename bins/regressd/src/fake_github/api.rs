//! The endpoints of GitHub's REST API that an app like regressd calls.

use axum::extract::{Extension, Json, Path, Query, State as Extract};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use axum::{Router, http::StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{Caller, refuse};
use super::server::Shared;
use super::state::{Check, Comment, Issue, Pull, Repository};

/// GitHub's limit for the text of a comment.
const MOST_CHARACTERS: usize = 65_536;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/app", get(app))
        .route("/app/installations/{id}/access_tokens", post(access_token))
        .route("/repos/{owner}/{name}/installation", get(installation))
        .route("/repos/{owner}/{name}/commits/{sha}/pulls", get(commit_pulls))
        .route(
            "/repos/{owner}/{name}/commits/{sha}/check-runs",
            get(commit_checks),
        )
        .route("/repos/{owner}/{name}/actions/runs/{id}/rerun", post(rerun))
        .route("/repos/{owner}/{name}/pulls", get(pulls))
        .route("/repos/{owner}/{name}/issues", get(issues).post(make_issue))
        .route("/repos/{owner}/{name}/issues/{number}", patch(change_issue))
        .route(
            "/repos/{owner}/{name}/issues/{number}/comments",
            get(comments).post(make_comment),
        )
        .route(
            "/repos/{owner}/{name}/issues/comments/{id}",
            patch(change_comment),
        )
        .route("/repos/{owner}/{name}/check-runs", post(make_check))
        .route("/repos/{owner}/{name}/check-runs/{id}", patch(change_check))
        .route(
            "/repos/{owner}/{name}/check-runs/{id}/annotations",
            get(annotations),
        )
}

#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    page: Option<usize>,
    #[serde(default)]
    per_page: Option<usize>,
    #[serde(default)]
    labels: Option<String>,
    #[serde(default)]
    state: Option<String>,
}

impl Paging {
    fn of(&self, all: Vec<Value>) -> Value {
        let size = self.per_page.unwrap_or(30).clamp(1, 100);
        let page = self.page.unwrap_or(1).max(1);
        all.into_iter()
            .skip((page - 1).saturating_mul(size))
            .take(size)
            .collect()
    }
}

type Answer = Result<Response, Box<Response>>;

fn not_found() -> Box<Response> {
    Box::new(refuse(404, "Not Found"))
}

fn invalid(message: &str) -> Box<Response> {
    Box::new(refuse(422, message))
}

/// Does `work` on the repository, if the caller is installed there. GitHub does not say whether it exists otherwise.
fn within(
    shared: &Shared,
    caller: Caller,
    (owner, name): (&str, &str),
    work: impl FnOnce(&mut Repository, u64, &Shared) -> Answer,
) -> Response {
    let mut state = shared.lock();
    let id = state.next();
    match state.repositories.get_mut(&format!("{owner}/{name}")) {
        Some(repository) if caller == Caller::Installation(repository.installation) => {
            work(repository, id, shared).unwrap_or_else(|refused| *refused)
        }
        _ => *not_found(),
    }
}

fn text<'a>(body: &'a Value, field: &str) -> Option<&'a str> {
    body.get(field).and_then(Value::as_str)
}

fn ok(value: &Value) -> Answer {
    Ok(Json(value).into_response())
}

fn made(value: &Value) -> Answer {
    Ok((StatusCode::CREATED, Json(value)).into_response())
}

async fn app(Extract(shared): Extract<Shared>, Extension(caller): Extension<Caller>) -> Response {
    match caller {
        Caller::App => Json(json!({ "id": shared.settings.app_id, "slug": "regressd" })).into_response(),
        Caller::Installation(_) => refuse(403, "Resource not accessible by integration"),
    }
}

async fn access_token(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<u64>,
) -> Response {
    if caller != Caller::App {
        return refuse(403, "Resource not accessible by integration");
    }
    let life = shared.settings.token_life;
    let mut state = shared.lock();
    if !state
        .repositories
        .values()
        .any(|repository| repository.installation == id)
    {
        return *not_found();
    }
    let token = format!("ghs_{}", uuid::Uuid::now_v7().simple());
    state
        .tokens
        .insert(token.clone(), (id, std::time::Instant::now() + life));
    let expires_at = Timestamp::now() + jiff::SignedDuration::try_from(life).unwrap_or_default();
    (
        StatusCode::CREATED,
        Json(json!({ "token": token, "expires_at": expires_at.to_string() })),
    )
        .into_response()
}

async fn installation(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name)): Path<(String, String)>,
) -> Response {
    let state = shared.lock();
    match state.repositories.get(&format!("{owner}/{name}")) {
        Some(repository) if caller == Caller::App => {
            Json(json!({ "id": repository.installation, "app_id": shared.settings.app_id })).into_response()
        }
        _ => *not_found(),
    }
}

fn pull_json(pull: &Pull) -> Value {
    json!({ "number": pull.number, "state": pull.state, "head": { "sha": pull.head } })
}

async fn commit_pulls(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, sha)): Path<(String, String, String)>,
    Query(paging): Query<Paging>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, _, _| {
        let known = repository
            .pulls
            .values()
            .filter(|pull| pull.head == sha && !pull.fork);
        ok(&paging.of(known.map(pull_json).collect()))
    })
}

async fn pulls(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, _, _| {
        let state = paging.state.as_deref().unwrap_or("open");
        let wanted = repository
            .pulls
            .values()
            .filter(|pull| state == "all" || pull.state == state);
        ok(&paging.of(wanted.map(pull_json).collect()))
    })
}

async fn rerun(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, id)): Path<(String, String, u64)>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, _, _| {
        repository.reruns.push(id);
        made(&json!({}))
    })
}

fn by(app: Option<u64>) -> (Value, Value) {
    match app {
        Some(id) => (
            json!({ "id": id }),
            json!({ "login": "regressd[bot]", "type": "Bot" }),
        ),
        None => (Value::Null, json!({ "login": "octocat", "type": "User" })),
    }
}

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

async fn comments(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, number)): Path<(String, String, u64)>,
    Query(paging): Query<Paging>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, _, _| {
        let of = repository
            .comments
            .values()
            .filter(|comment| comment.issue == number);
        ok(&paging.of(of.map(comment_json).collect()))
    })
}

fn checked(body: &Value) -> Result<&str, Box<Response>> {
    let text = text(body, "body").ok_or_else(|| invalid("Body is missing"))?;
    if text.is_empty() || text.chars().count() >= MOST_CHARACTERS {
        return Err(invalid("Body is too long (maximum is 65536 characters)"));
    }
    Ok(text)
}

async fn make_comment(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, number)): Path<(String, String, u64)>,
    Json(body): Json<Value>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, id, shared| {
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

async fn change_comment(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    Json(body): Json<Value>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, _, shared| {
        let comment = repository.comments.get_mut(&id).ok_or_else(not_found)?;
        if comment.app != Some(shared.settings.app_id) {
            return Err(Box::new(refuse(403, "Resource not accessible by integration")));
        }
        checked(&body)?.clone_into(&mut comment.body);
        comment.edits += 1;
        ok(&comment_json(comment))
    })
}

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

async fn commit_checks(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, sha)): Path<(String, String, String)>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, _, shared| {
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

async fn make_check(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, id, shared| {
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

async fn change_check(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    Json(body): Json<Value>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, _, shared| {
        let check = repository.checks.get_mut(&id).ok_or_else(not_found)?;
        apply(check, &body)?;
        check.edits += 1;
        ok(&check_json(check, shared.settings.app_id))
    })
}

async fn annotations(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    Query(paging): Query<Paging>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, _, _| {
        let check = repository.checks.get(&id).ok_or_else(not_found)?;
        ok(&paging.of(check.annotations.clone()))
    })
}

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

async fn issues(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, _, shared| {
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

async fn make_issue(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, id, shared| {
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

async fn change_issue(
    Extract(shared): Extract<Shared>,
    Extension(caller): Extension<Caller>,
    Path((owner, name, number)): Path<(String, String, u64)>,
    Json(body): Json<Value>,
) -> Response {
    within(&shared, caller, (&owner, &name), |repository, _, shared| {
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
