//! The HTTP side: what is asked, who may ask, what is answered. Handlers store and read; work is left to [`crate::jobs`].

mod health;
mod listen;
pub mod problem;

pub use listen::{ServeError, serve};

use axum::Router;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;

/// The description of the interface, but for its paths, which come from the routes.
#[derive(OpenApi)]
#[openapi(info(
    title = "regressd",
    description = "Judges the benchmarks of every pull request.",
    license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
))]
struct Description;

/// The routes and the OpenAPI document that is made from them.
fn routes_and_document() -> (Router<AppState>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .split_for_parts()
}

/// The OpenAPI document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    routes_and_document().1
}

/// Everything the service answers.
pub fn router(state: AppState) -> Router {
    routes_and_document().0.with_state(state)
}
