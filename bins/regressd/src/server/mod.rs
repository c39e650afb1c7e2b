//! The HTTP side: what is asked, who may ask, what is answered. Handlers store and read; work is left to [`crate::jobs`].

mod analyze;
mod body;
mod config;
mod connections;
mod headers;
mod health;
mod host;
mod listen;
pub mod metrics;
mod plain_errors;
mod repo_path;
mod upload;
mod v1;
mod webhook;

pub use listen::{ServeError, serve_requests};

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::correlation;
use crate::pages;
use crate::problem::Problem;
use crate::state::AppState;

/// The description of the interface, but for its paths, which come from the routes.
#[derive(OpenApi)]
#[openapi(info(
    title = "regressd",
    description = "Judges the benchmarks of every pull request.",
    license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
), servers((url = "/", description = "The service that gives this document")), modifiers(&Schemes))]
struct Description;

/// The ways to prove who asks.
struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token of `regressd token create`, or a workflow's OpenID Connect token",
            ));
        components.add_security_scheme("token", SecurityScheme::Http(token.build()));
        let signature = ApiKeyValue::with_description(
            "X-Hub-Signature-256",
            "HMAC-SHA256 of the body with the webhook secret, as GitHub makes it",
        );
        components.add_security_scheme("signature", SecurityScheme::ApiKey(ApiKey::Header(signature)));
    }
}

/// The routes and the OpenAPI document that is made from them.
fn routes_and_document() -> (Router<AppState>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(health::get_health))
        .routes(routes!(health::get_readiness))
        .routes(routes!(analyze::analyze_upload))
        .routes(routes!(webhook::receive_webhook))
        .routes(routes!(config::get_config, config::put_config))
        .routes(routes!(pages::badge::get_badge))
        .merge(v1::v1_routes())
        .split_for_parts()
}

/// The OpenAPI document.
#[must_use]
pub fn openapi_document() -> utoipa::openapi::OpenApi {
    routes_and_document().1
}

/// Everything the service answers.
pub fn build_router(state: AppState) -> Router {
    let patience = Duration::from_secs(state.settings.load().server.request_timeout_seconds);
    routes_and_document()
        .0
        .merge(pages::page_routes())
        .merge(interface())
        .fallback(pages::not_found)
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this method is not offered here; see /openapi.json",
            )
        })
        .layer(middleware::from_fn(host::require_host))
        .layer(middleware::from_fn(plain_errors::convert_plain_errors))
        .layer(middleware::from_fn_with_state(patience, too_slow))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            headers::add_default_headers,
        ))
        .layer(middleware::from_fn(correlation::correlate_request))
        .layer(CatchPanicLayer::custom(broken))
        .with_state(state)
}

/// The page that shows the document, without the bar for choosing another one.
fn interface() -> utoipa_swagger_ui::SwaggerUi {
    let plain = utoipa_swagger_ui::Config::default().use_base_layout();
    utoipa_swagger_ui::SwaggerUi::new("/api")
        .url("/openapi.json", openapi_document())
        .config(plain)
}

/// Answers for a request that has not arrived in full, or was not answered, in time.
async fn too_slow(State(patience): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(patience, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("the request took longer than {} s", patience.as_secs());
            Problem::new(StatusCode::REQUEST_TIMEOUT, detail).into_response()
        }
    }
}

fn broken(_: Box<dyn std::any::Any + Send>) -> Response {
    let detail = "the service made a mistake; its log says more";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
}
