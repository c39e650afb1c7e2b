//! One id from a request to its jobs and their calls of GitHub, in every log line on the way.

use std::convert::Infallible;
use std::time::Instant;

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

/// The header that carries it.
const HEADER: &str = "x-request-id";

/// The id of the request at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correlation(pub String);

impl<S: Sync> FromRequestParts<S> for Correlation {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(new))
    }
}

fn new() -> Correlation {
    Correlation(uuid::Uuid::now_v7().to_string())
}

/// The client's id, if it can be printed; else a new one.
fn of(headers: &HeaderMap) -> Correlation {
    let given = headers.get(HEADER).and_then(|value| value.to_str().ok());
    let plain = |text: &&str| {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    given
        .filter(plain)
        .map_or_else(new, |text| Correlation(text.to_owned()))
}

/// Gives a request its id, logs how it went, and counts it.
pub(crate) async fn correlate_request(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let correlation = of(request.headers());
    request.extensions_mut().insert(correlation.clone());
    // The pattern of the route, not the path: names of private repositories have no place in metrics.
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("request", correlation = %correlation.0, %method, route);
    async move {
        let mut response = next.run(request).await;
        let took = begun.elapsed();
        let status = response.status().as_u16();
        tracing::debug!(status, milliseconds = took.as_secs_f64() * 1e3, "answered");
        let labels = [("route", route), ("status", status.to_string())];
        metrics::histogram!("regressd_request_seconds", &labels).record(took.as_secs_f64());
        if let Ok(value) = HeaderValue::from_str(&correlation.0) {
            response.headers_mut().insert(HEADER, value);
        }
        response
    }
    .instrument(span)
    .await
}
