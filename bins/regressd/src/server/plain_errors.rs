//! Errors that the framework answers in plain text (a number in a path that is none, a query that cannot be read) as
//! problems like all others.

use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, Limited};

use crate::problem::Problem;

/// The framework's sentences are short.
const MAX_BYTES: usize = 4096;

/// Makes problems of errors in plain text; pages and problems pass.
pub(super) async fn convert_plain_errors(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_plain = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !is_plain || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let text = match Limited::new(response.into_body(), MAX_BYTES).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => String::new(),
    };
    let detail = if text.is_empty() {
        "the request cannot be answered".to_owned()
    } else {
        text
    };
    Problem::new(status, detail).into_response()
}
