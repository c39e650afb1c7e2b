//! `POST /webhook`: what GitHub says is stored before it is answered; a worker acts on it.

use axum::Json;
use axum::extract::{ConnectInfo, FromRef, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::net::SocketAddr;
use utoipa::ToSchema;

use crate::correlation::Correlation;
use crate::database::deliveries;
use crate::database::jobs as job_table;
use crate::job_requests;
use crate::problem::Problem;
use crate::state::AppState;
use crate::webhook::{Event, Rejection, SignedDelivery, WebhookKeys};

impl FromRef<AppState> for WebhookKeys {
    fn from_ref(state: &AppState) -> Self {
        WebhookKeys::clone(&state.webhook_keys.load())
    }
}

/// The answer to a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Received {
    /// The kind of event.
    event: String,
    /// Whether there is something to do: `false` for events that do not matter here and deliveries that came before.
    accepted: bool,
}

/// Takes a webhook of GitHub, signed with the webhook secret.
#[utoipa::path(
    post, path = "/webhook", tag = "service",
    request_body(content = Object, description = "An event, as GitHub sends it"),
    responses(
        (status = 200, description = "Stored, or of no interest", body = Received),
        (status = 400, description = "Not an event of GitHub", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid signature", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The body did not arrive in time", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Larger than 25 MiB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "No secret is configured, or the database does not answer", body = Problem, content_type = "application/problem+json"),
    ),
    security(("signature" = []))
)]
pub(super) async fn receive_webhook(
    State(state): State<AppState>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Correlation(correlation): Correlation,
    headers: HeaderMap,
    delivery: Result<SignedDelivery, Rejection>,
) -> Result<Json<Received>, Response> {
    let delivery = match delivery {
        Ok(delivery) => delivery,
        Err(rejection) => {
            let trusted = state.settings.load().server.trust_proxy;
            let address = crate::access::address_of(peer, &headers, trusted);
            state
                .limits
                .load()
                .check_address_limit(address)
                .map_err(IntoResponse::into_response)?;
            return Err(rejection.into_response());
        }
    };
    let event = delivery.event.name().to_owned();
    metrics::counter!("regressd_deliveries_total", "event" => event.clone()).increment(1);
    if matches!(delivery.event, Event::Ping | Event::Ignored { .. }) {
        return Ok(Json(Received {
            event,
            accepted: false,
        }));
    }
    let accepted = store(&state, delivery, correlation)
        .await
        .map_err(IntoResponse::into_response)?;
    if accepted {
        state.work.notify_one();
    }
    Ok(Json(Received { event, accepted }))
}

/// Stores the delivery and the job to act on it; whether there is something to do.
async fn store(state: &AppState, delivery: SignedDelivery, correlation: String) -> Result<bool, Problem> {
    let payload =
        serde_json::to_string(&delivery.event).map_err(|error| Problem::bad_request(error.to_string()))?;
    let stored = deliveries::StoredDelivery {
        id: delivery.id,
        event: delivery.event.name().to_owned(),
        payload,
    };
    let write = state.database.run_in_transaction(move |connection| {
        let (stored, correlation) = (stored.clone(), correlation.clone());
        Box::pin(async move {
            let accepted = deliveries::insert_delivery(connection, &stored).await?;
            if accepted {
                let job = job_requests::act_on_delivery(&stored.id, &correlation);
                job_table::enqueue_job(connection, &job).await?;
            }
            Ok(accepted)
        })
    });
    Ok(write.await?)
}
