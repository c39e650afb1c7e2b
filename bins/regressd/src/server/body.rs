//! Reading bodies: bounded, and with an answer that says what is wrong.

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use crate::domain::object::Object;
use crate::problem::Problem;

/// All bytes of a body, if they are not more than `limit`; `setting` names what to change.
///
/// Of a body that is too large as much again is read and dropped: a client that is still sending when the connection
/// ends does not see the answer.
pub(super) async fn read(mut body: Body, limit: usize, setting: &str) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    let mut seen = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::bad_request("the body broke off"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen += data.len();
        if seen <= limit {
            bytes.extend_from_slice(&data);
        } else {
            bytes = Vec::new();
        }
        if seen / 2 > limit {
            break;
        }
    }
    if seen > limit {
        let detail = format!("the body is larger than {limit} bytes; see {setting}");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(bytes.into())
}

/// A body as a JSON object of a certain form.
pub(super) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let read = serde_json::from_slice(bytes).map(|Object(value)| value);
    read.map_err(|error| {
        let detail = format!("the body cannot be used: {error}");
        match error.classify() {
            serde_json::error::Category::Data => Problem::unprocessable(detail),
            _ => Problem::bad_request(detail),
        }
    })
}
