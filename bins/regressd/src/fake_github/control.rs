//! What only a fake has: looking at all it keeps, making it fail, and tokens of workflows for whoever asks.
//!
//! ```text
//! GET  /_fake/state                       everything, as JSON
//! POST /_fake/trouble                     {"kind": "outage", "milliseconds": 60000}; {} ends it
//! POST /_fake/pull                        {"repository": "o/r", "number": 1, "head": "<sha>", ...}
//! POST /_fake/workflow-token              claims -> a signed token
//! GET  /.well-known/openid-configuration  as token.actions.githubusercontent.com has it
//! GET  /.well-known/jwks
//! ```

use axum::Router;
use axum::extract::{Json, State as Extract};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::error_response;
use super::server::Shared;
use super::state::Pull;
use super::trouble::Trouble;
use crate::domain::RepoName;

pub(super) fn control_routes() -> Router<Shared> {
    Router::new()
        .route("/_fake/state", get(state))
        .route("/_fake/trouble", post(trouble))
        .route("/_fake/pull", post(pull))
        .route("/_fake/workflow-token", post(token))
        .route("/.well-known/openid-configuration", get(configuration))
        .route("/.well-known/jwks", get(jwks))
}

async fn state(Extract(shared): Extract<Shared>) -> Json<Value> {
    let state = shared.lock();
    Json(json!({ "repositories": state.repositories, "calls": state.calls }))
}

async fn trouble(Extract(shared): Extract<Shared>, Json(body): Json<Value>) -> Response {
    let trouble = match body.as_object().is_some_and(serde_json::Map::is_empty) {
        true => None,
        false => match serde_json::from_value::<Trouble>(body) {
            Ok(trouble) => Some(trouble),
            Err(error) => return error_response(422, &error.to_string()),
        },
    };
    shared.lock().troubles.set_trouble(trouble);
    Json(json!({ "trouble": trouble })).into_response()
}

#[derive(Deserialize)]
struct PutPull {
    repository: RepoName,
    number: u64,
    head: String,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    fork: bool,
}

async fn pull(Extract(shared): Extract<Shared>, Json(put): Json<PutPull>) -> Json<Value> {
    let mut state = shared.lock();
    let repository = state.repository_or_new(&put.repository.to_string());
    let pull = Pull {
        number: put.number,
        head: put.head,
        state: put.state.unwrap_or_else(|| "open".to_owned()),
        fork: put.fork,
    };
    repository.pulls.insert(put.number, pull);
    Json(json!({ "installation": repository.installation }))
}

async fn token(Extract(shared): Extract<Shared>, Json(claims): Json<Value>) -> Json<Value> {
    Json(json!({ "value": workflow_token(&shared, claims) }))
}

/// `claims` over the usual issuer and times, signed.
pub(super) fn workflow_token(shared: &Shared, claims: Value) -> String {
    let now = Timestamp::now().as_second();
    let mut all = json!({ "iss": &*shared.url, "iat": now, "nbf": now, "exp": now + 300 });
    if let (Some(all), Value::Object(claims)) = (all.as_object_mut(), claims) {
        all.extend(claims);
    }
    shared.workflow_key().sign_claims(&all)
}

async fn configuration(Extract(shared): Extract<Shared>) -> Json<Value> {
    let url = &*shared.url;
    Json(json!({
        "issuer": url,
        "jwks_uri": format!("{url}/.well-known/jwks"),
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

async fn jwks(Extract(shared): Extract<Shared>) -> Json<JwkSet> {
    Json(shared.workflow_key().jwks())
}
