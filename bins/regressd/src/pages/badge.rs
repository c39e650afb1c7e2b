//! `/badge/{owner}/{repo}.svg`: the state of the target branch, for a README.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use regress_core::detect::{Outcome, VerdictKind};
use regress_report::pages::badge::Badge;

use super::reader::PageReader;
use super::repositories::newest_state;
use crate::access::Access;
use crate::domain::RepoName;
use crate::problem::Problem;
use crate::state::AppState;

/// The badge of a repository: `passing`, `N regressions`, `suspected`, `not judged`, `no data`, or `unknown` where there is no such repository or
/// it is not for the asker to see.
#[utoipa::path(
    get, path = "/badge/{owner}/{repo}", tag = "pages",
    params(
        ("owner" = String, Path, description = "The owner"),
        ("repo" = String, Path, description = "The name, with .svg at its end"),
    ),
    responses(
        (status = 200, description = "A drawing", content_type = "image/svg+xml", body = String),
        (status = 304, description = "As it was"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = Problem, content_type = "application/problem+json"),
    ),
    security((), ("token" = []))
)]
pub(crate) async fn get_badge(
    State(state): State<AppState>,
    access: Result<Access, Problem>,
    Path((owner, repo)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let access = match access {
        Err(problem) if problem.status != StatusCode::UNAUTHORIZED.as_u16() => return Err(problem),
        other => other,
    };
    let reader = PageReader::from_access(access).map_err(|_| Problem::not_found("there is no such badge"))?;
    let (badge, for_all) = match RepoName::new(&owner, repo.strip_suffix(".svg").unwrap_or(&repo)) {
        Ok(name) => find(&state, &reader, &name).await?,
        Err(_) => (Badge::Unknown, true),
    };
    let tag = format!("\"{}\"", badge.status_text().replace(' ', "-"));
    let caching = [
        (header::CONTENT_TYPE, "image/svg+xml".to_owned()),
        // Proxies of pictures keep what they may; a minute is short enough for a badge.
        (
            header::CACHE_CONTROL,
            if for_all {
                "public, max-age=60"
            } else {
                "private, max-age=60"
            }
            .to_owned(),
        ),
        (header::ETAG, tag.clone()),
        // It is made to be shown elsewhere.
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin".to_owned(),
        ),
    ];
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| {
        known
            .split(',')
            .any(|one| one.trim().trim_start_matches("W/") == tag)
    }) {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    Ok((caching, badge.render_svg("benchmarks")).into_response())
}

/// The badge, and whether everybody may see it.
async fn find(state: &AppState, reader: &PageReader, name: &RepoName) -> Result<(Badge, bool), Problem> {
    let Some(known) = reader.find_visible_repository(state, name).await? else {
        return Ok((Badge::Unknown, true));
    };
    let for_all = known.config.public || state.settings.load().server.public_read;
    let mut connection = state.database.acquire_reader().await?;
    let newest = newest_state(&mut connection, &known).await?;
    let badge = match newest.outcome() {
        None => Badge::NoData,
        Some(Outcome::Regression | Outcome::Mixed) => {
            Badge::Regression(newest.count_verdicts(VerdictKind::Regression))
        }
        Some(Outcome::Suspected) => Badge::Suspected,
        Some(Outcome::NotJudged) => Badge::NotJudged,
        Some(Outcome::Improvement | Outcome::Unchanged) => Badge::Passing,
    };
    Ok((badge, for_all))
}
