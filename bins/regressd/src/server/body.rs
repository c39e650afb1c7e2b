//! Reading bodies: bounded, and with an answer that says what is wrong.

use std::io::Read as _;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use crate::domain::object::Object;
use crate::problem::Problem;

/// All bytes of a body, if they are not more than `limit`; `setting` names what to change.
///
/// Of a body that is too large as much again is read and dropped: a client that is still sending when the connection
/// ends does not see the answer.
pub(super) async fn read_body(mut body: Body, limit: usize, setting: &str) -> Result<Bytes, Problem> {
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
        return Err(too_large(limit, setting));
    }
    Ok(bytes.into())
}

/// What a body is, beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// The bytes themselves.
    Plain,
    /// Compressed by gzip.
    Gzip,
}

impl Encoding {
    /// What the header says.
    ///
    /// # Errors
    /// 415 for anything but gzip.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let (first, more) = (values.next(), values.next());
        match (first.map(HeaderValue::as_bytes), more) {
            (None, _) => Ok(Self::Plain),
            (Some(name), None) if name.eq_ignore_ascii_case(b"identity") => Ok(Self::Plain),
            (Some(name), None)
                if [&b"gzip"[..], b"x-gzip"]
                    .iter()
                    .any(|one| name.eq_ignore_ascii_case(one)) =>
            {
                Ok(Self::Gzip)
            }
            _ => {
                let detail = "the body may be compressed by gzip, and in no other way (Content-Encoding)";
                Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
            }
        }
    }

    /// The bytes themselves, if they are not more than `limit`.
    pub(super) fn decode(self, bytes: Bytes, limit: usize, setting: &str) -> Result<Bytes, Problem> {
        if self == Self::Plain {
            return Ok(bytes);
        }
        let mut plain = Vec::new();
        // One byte more than there may be shows that there are more, however many.
        let mut decoder = MultiGzDecoder::new(&*bytes).take(limit as u64 + 1);
        decoder
            .read_to_end(&mut plain)
            .map_err(|error| Problem::bad_request(format!("the body is not gzip: {error}")))?;
        if plain.len() > limit {
            return Err(too_large(limit, setting));
        }
        Ok(plain.into())
    }
}

fn too_large(limit: usize, setting: &str) -> Problem {
    let detail = format!("the body is larger than {limit} bytes; see {setting}");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

/// A body as a JSON object of a certain form.
pub(super) fn read_json_object<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let read = serde_json::from_slice(bytes).map(|Object(value)| value);
    read.map_err(|error| {
        let detail = format!("the body cannot be used: {error}");
        match error.classify() {
            serde_json::error::Category::Data => Problem::unprocessable(detail),
            _ => Problem::bad_request(detail),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    fn encoding(value: &'static str) -> Result<Encoding, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(value));
        Encoding::from_headers(&headers)
    }

    #[test]
    fn gzip_is_taken_as_long_as_what_is_in_it_is_not_too_large() {
        assert_eq!(encoding("GZIP").unwrap(), Encoding::Gzip);
        assert_eq!(
            Encoding::from_headers(&HeaderMap::new()).unwrap(),
            Encoding::Plain
        );
        assert!(encoding("br").is_err() && encoding("gzip, gzip").is_err());
        let decode = |bytes, limit| Encoding::Gzip.decode(bytes, limit, "x");
        assert_eq!(&*decode(gzip(b"abc"), 3).unwrap(), b"abc");
        assert!(decode(gzip(b"abcd"), 3).is_err());
        // 100 MiB of zeros in 100 KiB.
        assert!(decode(gzip(&vec![0; 100 << 20]), 1 << 20).is_err());
        assert!(decode(Bytes::from_static(b"no gzip"), 100).is_err());
    }
}
