//! Whether a form was sent by a page of this service. A browser says so itself: in `Sec-Fetch-Site`, which no page can
//! change, or in older ones in `Origin`.

use axum::http::{HeaderMap, HeaderName, StatusCode, header};

use crate::problem::Problem;

/// Where a browser says the request comes from.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses what another site made a browser send. A request that says nothing of where it comes from is no browser's, and
/// has no cookie that it does not know.
///
/// # Errors
/// 403.
pub(crate) fn refuse_other_sites(headers: &HeaderMap, public_url: Option<&str>) -> Result<(), Problem> {
    match says_same_origin(headers, public_url) {
        Some(false) => Err(foreign()),
        Some(true) | None => Ok(()),
    }
}

/// Refuses what is not shown to come from a page of this service: for requests whose only proof is a cookie.
///
/// # Errors
/// 403.
pub(crate) fn require_same_origin(headers: &HeaderMap, public_url: Option<&str>) -> Result<(), Problem> {
    match says_same_origin(headers, public_url) {
        Some(true) => Ok(()),
        Some(false) | None => Err(foreign()),
    }
}

fn foreign() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "this form was not sent by a page of this service; open the page itself and send it from there",
    )
}

fn says_same_origin(headers: &HeaderMap, public_url: Option<&str>) -> Option<bool> {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        // "none": the user did it, by typing the address.
        return Some(site == "same-origin" || site == "none");
    }
    let origin = headers.get(header::ORIGIN)?.to_str().ok()?;
    let own = |url: &str| origin.eq_ignore_ascii_case(url.trim_end_matches('/'));
    if public_url.is_some_and(own) {
        return Some(true);
    }
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let named = origin.split_once("://").map(|(_, host)| host);
    Some(named.is_some_and(|named| named.eq_ignore_ascii_case(host)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn allows(pairs: &[(&'static str, &'static str)]) -> (bool, bool) {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let public = Some("https://bench.example.org/");
        (
            refuse_other_sites(&headers, public).is_ok(),
            require_same_origin(&headers, public).is_ok(),
        )
    }

    #[test]
    fn only_our_own_pages_send_forms() {
        assert_eq!(allows(&[("sec-fetch-site", "same-origin")]), (true, true));
        for other in ["cross-site", "same-site", "x"] {
            let ours = ("origin", "https://bench.example.org");
            assert_eq!(
                allows(&[("sec-fetch-site", other), ours]),
                (false, false),
                "{other}"
            );
        }
        assert_eq!(allows(&[("origin", "https://bench.example.org")]), (true, true));
        let host = ("host", "10.0.0.7:8780");
        assert_eq!(allows(&[("origin", "http://10.0.0.7:8780"), host]), (true, true));
        assert_eq!(
            allows(&[("origin", "https://evil.example"), host]),
            (false, false)
        );
        assert_eq!(allows(&[("origin", "null"), host]), (false, false));
        assert_eq!(allows(&[host]), (true, false));
    }
}
