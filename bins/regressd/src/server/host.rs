//! HTTP/1.1 asks every request to name its host (RFC 9112, 3.2), and a proxy may lead one without it anywhere.

use axum::extract::Request;
use axum::http::{Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::problem::Problem;

/// Refuses requests of HTTP/1.1 that name no host, or more than one.
pub(super) async fn require_host(request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || request.version() == Version::HTTP_11 && hosts == 0 {
        return Problem::bad_request("the request needs one Host header").into_response();
    }
    next.run(request).await
}
