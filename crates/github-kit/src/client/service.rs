//! The innermost part: sends a request of octocrab's, and says of one that failed whether it may have reached GitHub.
//!
//! Underneath is reqwest, for what octocrab's own connector does not have: proxies of the environment, one time limit
//! over a request and its answer, and redirects of requests with a body (GitHub sends those of a renamed repository
//! elsewhere).

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use octocrab::{AuthState, OctoBody, Octocrab, OctocrabBuilder};
use tower_service::Service;

/// A request that was not answered.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub(super) struct Unanswered {
    /// Whether GitHub may have seen it. It has not when no connection came about: the name is not known, nobody
    /// listens, the certificate is wrong.
    pub(super) sent: bool,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Unanswered {
    fn of_client(error: reqwest::Error) -> Self {
        Self {
            sent: !(error.is_connect() || error.is_builder()),
            // Errors of reqwest carry the address, which in some routes has a name of the user's in it.
            source: error.without_url().into(),
        }
    }

    /// What octocrab hands out for an error of the service. Of any other error it is not known, so it may be sent.
    pub(super) fn of_octocrab(error: octocrab::Error) -> Self {
        let source = match error {
            octocrab::Error::Service { source, .. } => source,
            other => other.into(),
        };
        match source.downcast::<Self>() {
            Ok(unanswered) => *unanswered,
            Err(source) => Self { sent: true, source },
        }
    }
}

/// Sends over reqwest.
#[derive(Clone, Debug)]
struct SendingService(reqwest::Client);

impl Service<Request<OctoBody>> for SendingService {
    type Response = Response<reqwest::Body>;
    type Error = Unanswered;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<OctoBody>) -> Self::Future {
        let client = self.0.clone();
        Box::pin(async move {
            let request = in_memory(request).await?;
            let response = client.execute(request).await.map_err(Unanswered::of_client)?;
            Ok(response.into())
        })
    }
}

/// The request with its body as bytes: a stream could not be sent again after a redirect.
async fn in_memory(request: Request<OctoBody>) -> Result<reqwest::Request, Unanswered> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|source| Unanswered {
        sent: false,
        source: source.into(),
    })?;
    let request = Request::from_parts(parts, body.to_bytes());
    reqwest::Request::try_from(request).map_err(Unanswered::of_client)
}

/// An octocrab that sends over `client`, and adds nothing of its own. Needs a Tokio runtime.
pub(super) fn octocrab_over(client: reqwest::Client) -> Octocrab {
    let built = OctocrabBuilder::new_empty()
        .with_service(SendingService(client))
        .with_auth(AuthState::None)
        .build();
    built.unwrap_or_else(|never: Infallible| match never {})
}
