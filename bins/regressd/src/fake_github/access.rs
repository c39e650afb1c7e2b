//! Who may: troubles first, then tokens, then limits, then the request; all of it is logged.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Validation};
use serde::Deserialize;
use serde_json::json;

use super::server::Shared;
use super::trouble::TroubleKind;

/// Who makes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    App,
    Installation(u64),
}

#[derive(Deserialize)]
struct AppClaims {
    iss: String,
    iat: i64,
    exp: i64,
}

/// An error as GitHub words it.
pub(super) fn error_response(status: u16, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        axum::Json(json!({ "message": message, "documentation_url": "https://docs.github.com/rest" })),
    )
        .into_response()
}

fn limited(headers: &[(&'static str, i64)], message: &str) -> Response {
    let mut response = error_response(403, message);
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), HeaderValue::from(*value));
    }
    response
}

/// The middleware around the API.
pub(super) async fn guard_api_calls(
    Extract(shared): Extract<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let writes = method != Method::GET;
    let trouble = shared.lock().troubles.next(writes);
    if trouble == Some(TroubleKind::Slow) {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let response = match before(trouble) {
        Some(response) => response,
        None => match admit(&shared, &method, request.headers()) {
            Err(response) => *response,
            Ok((caller, headers)) => {
                request.extensions_mut().insert(caller);
                let mut response = next.run(request).await;
                response.headers_mut().extend(headers);
                response
            }
        },
    };
    let response = match trouble {
        Some(TroubleKind::LostAnswers) => error_response(502, "Bad Gateway"),
        _ => response,
    };
    shared
        .lock()
        .log_call(method.as_str(), &path, response.status().as_u16());
    response
}

/// The answer to a request that a trouble stops.
fn before(trouble: Option<TroubleKind>) -> Option<Response> {
    let secondary =
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    Some(match trouble? {
        TroubleKind::Outage => error_response(503, "Service Unavailable"),
        TroubleKind::ServerErrors => error_response(500, "Server Error"),
        TroubleKind::PrimaryLimit => limited(
            &[
                ("x-ratelimit-remaining", 0),
                ("x-ratelimit-reset", Timestamp::now().as_second() + 2),
            ],
            "API rate limit exceeded for installation.",
        ),
        TroubleKind::SecondaryLimit => limited(&[("retry-after", 1)], secondary),
        TroubleKind::SecondaryLimitUnsaid => limited(&[], secondary),
        TroubleKind::Unauthorized => error_response(401, "Bad credentials"),
        TroubleKind::Slow | TroubleKind::LostAnswers => return None,
    })
}

/// Checks the token and counts the request.
fn admit(
    shared: &Shared,
    method: &Method,
    headers: &HeaderMap,
) -> Result<(Caller, HeaderMap), Box<Response>> {
    let no = |status, message: &str| Box::new(error_response(status, message));
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| no(401, "Requires authentication"))?;
    if !headers.contains_key(header::USER_AGENT) {
        return Err(no(
            403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header",
        ));
    }
    if token.contains('.') {
        app(shared, token).map_err(|message| no(401, message))?;
        return Ok((Caller::App, HeaderMap::new()));
    }
    let settings = &shared.settings;
    let mut state = shared.lock();
    let installation = match state.tokens.get(token) {
        Some((installation, until)) if *until > Instant::now() => *installation,
        _ => return Err(no(401, "Bad credentials")),
    };
    let usage = state.usage.entry(installation).or_default();
    let (requests, left) = usage.count_request(Duration::from_secs(3600));
    let reset = Timestamp::now().as_second() + i64::try_from(left.as_secs()).unwrap_or(0);
    let remaining = i64::from(settings.requests_an_hour) - i64::from(requests);
    let known = [
        ("x-ratelimit-limit", i64::from(settings.requests_an_hour)),
        ("x-ratelimit-remaining", remaining.max(0)),
        ("x-ratelimit-reset", reset),
    ];
    if remaining < 0 {
        return Err(Box::new(limited(
            &known,
            "API rate limit exceeded for installation.",
        )));
    }
    if *method != Method::GET {
        let now = Instant::now();
        while usage
            .content
            .front()
            .is_some_and(|at| now - *at >= Duration::from_secs(60))
        {
            usage.content.pop_front();
        }
        if usage.content.len() >= settings.content_a_minute {
            return Err(Box::new(limited(
                &[("retry-after", 60)],
                "You have exceeded a secondary rate limit.",
            )));
        }
        usage.content.push_back(now);
    }
    let values: HashMap<_, _> = known.into_iter().collect();
    let headers = values
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(value)));
    Ok((Caller::Installation(installation), headers.collect()))
}

/// Whether `token` is the app's own, as GitHub demands it: RS256, at most ten minutes, not of the future.
fn app(shared: &Shared, token: &str) -> Result<(), &'static str> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = 0;
    let claims = jsonwebtoken::decode::<AppClaims>(token, &shared.app_key, &validation)
        .map_err(|_| "A JSON web token could not be decoded")?
        .claims;
    let now = Timestamp::now().as_second();
    if claims.iss != shared.settings.app_id.to_string() {
        Err("Integration not found")
    } else if claims.iat > now {
        Err(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        )
    } else if claims.exp - now > 600 {
        Err("'Expiration time' claim ('exp') is too far in the future")
    } else {
        Ok(())
    }
}
