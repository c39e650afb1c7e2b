//! The endpoints of GitHub's REST API that an app like regressd calls.

mod checks;
mod comments;
mod issues;

use axum::Router;
use axum::extract::{FromRequestParts, Json, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{Caller, error_response};
use super::server::Shared;
use super::state::{FakeRepository, Pull};

/// GitHub's limit for the text of a comment.
const MAX_CHARACTERS: usize = 65_536;

pub(super) fn api_routes() -> Router<Shared> {
    Router::new()
        .route("/app", get(app))
        .route("/app/installations/{id}/access_tokens", post(access_token))
        .route("/repos/{owner}/{name}/installation", get(installation))
        .route("/repos/{owner}/{name}/commits/{sha}/pulls", get(commit_pulls))
        .route(
            "/repos/{owner}/{name}/commits/{sha}/check-runs",
            get(checks::commit_checks),
        )
        .route("/repos/{owner}/{name}/actions/runs/{id}/rerun", post(rerun))
        .route("/repos/{owner}/{name}/compare/{commits}", get(compare))
        .route("/repos/{owner}/{name}/pulls", get(pulls))
        .route(
            "/repos/{owner}/{name}/issues",
            get(issues::list_issues).post(issues::make_issue),
        )
        .route(
            "/repos/{owner}/{name}/issues/{number}",
            patch(issues::change_issue),
        )
        .route(
            "/repos/{owner}/{name}/issues/{number}/comments",
            get(comments::list_comments).post(comments::make_comment),
        )
        .route(
            "/repos/{owner}/{name}/issues/comments/{id}",
            patch(comments::change_comment),
        )
        .route("/repos/{owner}/{name}/check-runs", post(checks::make_check))
        .route(
            "/repos/{owner}/{name}/check-runs/{id}",
            patch(checks::change_check),
        )
        .route(
            "/repos/{owner}/{name}/check-runs/{id}/annotations",
            get(checks::list_annotations),
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
    Box::new(error_response(404, "Not Found"))
}

fn invalid(message: &str) -> Box<Response> {
    Box::new(error_response(422, message))
}

/// Whoever makes a request, and of whom.
struct Asker {
    shared: Shared,
    caller: Caller,
}

impl FromRequestParts<Shared> for Asker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Response> {
        let caller = parts.extensions.get().copied();
        Ok(Self {
            shared: shared.clone(),
            caller: caller.ok_or_else(|| error_response(401, "Requires authentication"))?,
        })
    }
}

impl Asker {
    /// Does `work` on a repository, if the caller is installed there. GitHub does not say whether it exists otherwise.
    fn within(
        &self,
        owner: &str,
        name: &str,
        work: impl FnOnce(&mut FakeRepository, u64, &Shared) -> Answer,
    ) -> Response {
        let mut state = self.shared.lock();
        let id = state.next();
        match state.repositories.get_mut(&format!("{owner}/{name}")) {
            Some(repository) if self.caller == Caller::Installation(repository.installation) => {
                work(repository, id, &self.shared).unwrap_or_else(|refused| *refused)
            }
            _ => *not_found(),
        }
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

async fn app(Asker { shared, caller }: Asker) -> Response {
    match caller {
        Caller::App => Json(json!({ "id": shared.settings.app_id, "slug": "regressd" })).into_response(),
        Caller::Installation(_) => error_response(403, "Resource not accessible by integration"),
    }
}

async fn access_token(Asker { shared, caller }: Asker, Path(id): Path<u64>) -> Response {
    if caller != Caller::App {
        return error_response(403, "Resource not accessible by integration");
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
    Asker { shared, caller }: Asker,
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
    asker: Asker,
    Path((owner, name, sha)): Path<(String, String, String)>,
    Query(paging): Query<Paging>,
) -> Response {
    asker.within(&owner, &name, |repository, _, _| {
        let known = repository
            .pulls
            .values()
            .filter(|pull| pull.head == sha && !pull.fork);
        ok(&paging.of(known.map(pull_json).collect()))
    })
}

async fn pulls(
    asker: Asker,
    Path((owner, name)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Response {
    asker.within(&owner, &name, |repository, _, _| {
        let state = paging.state.as_deref().unwrap_or("open");
        let wanted = repository
            .pulls
            .values()
            .filter(|pull| state == "all" || pull.state == state);
        ok(&paging.of(wanted.map(pull_json).collect()))
    })
}

async fn compare(
    asker: Asker,
    Path((owner, name, commits)): Path<(String, String, String)>,
    Query(paging): Query<Paging>,
) -> Response {
    asker.within(&owner, &name, |repository, _, _| {
        let left = repository.compared.get(&commits).ok_or_else(not_found)?;
        let left = left.iter().map(|sha| json!({ "sha": sha })).collect();
        ok(&json!({ "commits": paging.of(left) }))
    })
}

async fn rerun(asker: Asker, Path((owner, name, id)): Path<(String, String, u64)>) -> Response {
    asker.within(&owner, &name, |repository, _, _| {
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

fn checked(body: &Value) -> Result<&str, Box<Response>> {
    let text = text(body, "body").ok_or_else(|| invalid("Body is missing"))?;
    if text.is_empty() || text.chars().count() >= MAX_CHARACTERS {
        return Err(invalid("Body is too long (maximum is 65536 characters)"));
    }
    Ok(text)
}
