//! Why a delivery is not taken, as a status and as RFC 9457's problem+json.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{MAX_BYTES, PayloadError, SignatureError};
use crate::problem::Problem;

/// A delivery that was refused.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// No secret is configured, so nobody can be believed.
    #[error(
        "this service has no webhook secret; set github.webhook_secret_file or REGRESSD_GITHUB_WEBHOOK_SECRET"
    )]
    NoSecret,
    /// The signature is missing or wrong.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A header that every delivery has is not there.
    #[error("the {0} header is missing or not plain text")]
    Header(&'static str),
    /// The webhook is set to send forms.
    #[error("the body is not application/json; choose that content type in the webhook's settings on GitHub")]
    NotJson,
    /// More than GitHub sends.
    #[error("the body is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// The client stopped sending.
    #[error("the body did not arrive in time")]
    Slow,
    /// The connection broke while the body was read.
    #[error("the body could not be read to its end")]
    Broken,
    /// The payload is not what GitHub documents.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl Rejection {
    /// The status to answer with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoSecret => StatusCode::SERVICE_UNAVAILABLE,
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::Header(_) | Self::Broken | Self::Payload(_) => StatusCode::BAD_REQUEST,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        tracing::warn!(reason = %self, "a delivery was refused");
        Problem::new(self.status(), self.to_string()).into_response()
    }
}
