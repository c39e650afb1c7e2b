//! `/metrics` for Prometheus, on an address of its own: it is not for everybody who may reach the service.

use std::net::SocketAddr;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::ServeError;
use crate::database::jobs;
use crate::domain::JobState;
use crate::state::AppState;

/// Seconds that answers and jobs are sorted by.
const SECONDS: [f64; 12] = [
    0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
/// Operations of a commit.
const BATCHES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// Starts counting; `None` when this process counts already, or the buckets are refused.
#[must_use]
pub fn start() -> Option<PrometheusHandle> {
    let buckets = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("_batch".to_owned()), &BATCHES));
    let handle = buckets.ok()?.install_recorder().ok()?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            upkeep.run_upkeep();
        }
    });
    Some(handle)
}

/// Answers Prometheus until the service is to end.
///
/// # Errors
/// When the address cannot be used.
pub async fn serve(state: AppState, handle: PrometheusHandle, address: SocketAddr) -> Result<(), ServeError> {
    let failed = |source| ServeError::Listen { address, source };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
    let ending = state.ending.clone();
    let router = Router::new().route(
        "/metrics",
        get(move || {
            let (state, handle) = (state.clone(), handle.clone());
            async move {
                observe(&state).await;
                let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
                (kind, handle.render()).into_response()
            }
        }),
    );
    let serving = axum::serve(listener, router);
    serving
        .with_graceful_shutdown(async move { ending.cancelled().await })
        .await
        .map_err(failed)
}

/// What is looked up when it is asked for.
async fn observe(state: &AppState) {
    let counts = match state.database.read().await {
        Ok(mut connection) => jobs::count_by_state(&mut connection).await.map_err(Into::into),
        Err(error) => Err(error),
    };
    metrics::gauge!("regressd_database_up").set(if counts.is_ok() { 1.0 } else { 0.0 });
    let counts = counts.unwrap_or_default();
    for state in JobState::ALL {
        metrics::gauge!("regressd_jobs", "state" => state.as_str()).set(counts.in_state(state) as f64);
    }
    if let Some(github) = &state.github {
        let open = github.breaker().state() != crate::github::BreakerState::Closed;
        metrics::gauge!("regressd_github_breaker_open").set(if open { 1.0 } else { 0.0 });
    }
}
