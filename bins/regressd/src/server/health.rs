//! Whether the service lives, and whether it can work.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::database::jobs::{self, JobCounts};
use crate::github::GitHub;
use crate::state::AppState;

/// The answer of `/health`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`.
    status: &'static str,
    /// The version of the service.
    version: &'static str,
}

/// The process lives.
#[utoipa::path(
    get,
    path = "/health",
    tag = "service",
    responses((status = 200, description = "The process lives", body = Health)),
    security(())
)]
pub(super) async fn get_health() -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// The answer of `/ready`: each part by itself.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether requests can be served.
    ready: bool,
    /// Whether the database answers.
    database: bool,
    /// Whether it takes writes: not while its disk is full.
    writes: bool,
    /// Jobs that wait or run.
    queue: i64,
    /// Jobs that were given up.
    dead_letters: i64,
    /// Whether GitHub takes the app's key: `ok`, `refused`, `unknown` before the first call, `off` without an app.
    github: &'static str,
    /// Whether calls of GitHub are held back because it does not answer.
    github_breaker: &'static str,
    /// How often that happened since this process started.
    github_breaker_opened: u64,
    /// The analytics process; its failures do not make the service unready.
    analytics: crate::analytics::Status,
}

/// The service can work: its database answers.
#[utoipa::path(
    get, path = "/ready", tag = "service",
    responses(
        (status = 200, description = "It can take uploads", body = Readiness),
        (status = 503, description = "It cannot, and says why", body = Readiness),
    ),
    security(())
)]
pub(super) async fn get_readiness(State(state): State<AppState>) -> (StatusCode, Json<Readiness>) {
    let counts = count(&state).await;
    let database = counts.is_some();
    let counts = counts.unwrap_or_default();
    let writes = !state.database.is_failing_to_write();
    let ready = database && writes && !state.ending.is_cancelled();
    let readiness = Readiness {
        ready,
        database,
        writes,
        queue: counts.waiting + counts.running,
        dead_letters: counts.dead,
        github: match state.github.as_ref().map(GitHub::authenticated) {
            None => "off",
            Some(None) => "unknown",
            Some(Some(true)) => "ok",
            Some(Some(false)) => "refused",
        },
        github_breaker: state
            .github
            .as_ref()
            .map_or("off", |github| github.breaker().state().as_str()),
        github_breaker_opened: state
            .github
            .as_ref()
            .map_or(0, |github| github.breaker().times_opened()),
        analytics: state.analytics.status(&state.settings.load().analytics),
    };
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness))
}

async fn count(state: &AppState) -> Option<JobCounts> {
    let mut connection = state.database.acquire_reader().await.ok()?;
    jobs::count_by_state(&mut connection).await.ok()
}
