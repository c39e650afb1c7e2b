//! What pages change: forms of those who are signed in as an admin. The cookie counts only where the browser says that the
//! form comes from a page of this service; who did what is in the audit log.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::{links, shell};
use crate::accepting::{WantedEpoch, accept_shift};
use crate::access::{Access, form_sender};
use crate::administering;
use crate::correlation::Correlation;
use crate::directory::ConfiguredRepository;
use crate::domain::{BranchName, RepoName, Role, SeriesId};
use crate::problem::Problem;
use crate::state::AppState;

#[derive(Debug, Deserialize)]
pub(super) struct AcceptEntry {
    branch: String,
    from_run: i64,
    justification: String,
}

/// Accepts a shift, and shows the benchmark's page again.
pub(super) async fn accept_shift_by_form(
    State(state): State<AppState>,
    Path(number): Path<i64>,
    Correlation(correlation): Correlation,
    parts: Parts,
    Form(entry): Form<AcceptEntry>,
) -> Response {
    let done = accept(&state, number, &parts, &entry, &correlation).await;
    redirect_or_explain(done.map(|()| links::series_url(SeriesId(number), &entry.branch)))
}

async fn accept(
    state: &AppState,
    number: i64,
    parts: &Parts,
    entry: &AcceptEntry,
    correlation: &str,
) -> Result<(), Problem> {
    let access = form_sender(state, parts).await?;
    let branch = BranchName::new(&entry.branch).map_err(|error| Problem::unprocessable(error.to_string()))?;
    let wanted = WantedEpoch {
        series: number,
        branch: &branch,
        from_run: entry.from_run,
        justification: &entry.justification,
    };
    accept_shift(state, &access, wanted, correlation).await.map(drop)
}

#[derive(Debug, Deserialize)]
pub(super) struct ArchiveEntry {
    /// Whether the repository is to take no more results, or to take them again.
    archived: bool,
}

/// Archives a repository or takes that back, and shows its page again.
pub(super) async fn archive_by_form(
    State(state): State<AppState>,
    Path((owner, repo)): Path<(String, String)>,
    parts: Parts,
    Form(entry): Form<ArchiveEntry>,
) -> Response {
    let done = async {
        let (access, known) = administered(&state, &parts, &owner, &repo).await?;
        administering::set_archived(&state, &access, &known, entry.archived).await?;
        Ok(links::repository_url(&known.repository.name))
    };
    redirect_or_explain(done.await)
}

#[derive(Debug, Deserialize)]
pub(super) struct DeleteEntry {
    /// The repository's name, typed: a click alone must not remove years of results.
    name: String,
}

/// Removes a repository with all that was measured of it, if its name was typed, and shows the others.
pub(super) async fn delete_by_form(
    State(state): State<AppState>,
    Path((owner, repo)): Path<(String, String)>,
    parts: Parts,
    Form(entry): Form<DeleteEntry>,
) -> Response {
    let done = async {
        let (access, known) = administered(&state, &parts, &owner, &repo).await?;
        let name = known.repository.name.to_string();
        if entry.name.trim() != name {
            let detail = format!("nothing was removed: type {name} to confirm");
            return Err(Problem::unprocessable(detail));
        }
        administering::remove_repository(&state, &access, &known).await?;
        Ok("/".to_owned())
    };
    redirect_or_explain(done.await)
}

/// Who sent a form about a repository, and the repository, of which they are an admin.
async fn administered(
    state: &AppState,
    parts: &Parts,
    owner: &str,
    repo: &str,
) -> Result<(Access, ConfiguredRepository), Problem> {
    let access = form_sender(state, parts).await?;
    let missing = || Problem::not_found(format!("there is no repository {owner}/{repo}"));
    let name = RepoName::new(owner, repo).map_err(|_| missing())?;
    let known = state.directory.find_repository(&state.database, &name).await?;
    let readable =
        known.filter(|known| access.0.has_role_in(Role::Read, &known.repository.name) || known.config.public);
    let known = readable.ok_or_else(missing)?;
    access.require_role(Role::Admin, &known.repository.name)?;
    Ok((access, ConfiguredRepository::clone(&known)))
}

fn redirect_or_explain(done: Result<String, Problem>) -> Response {
    match done {
        Ok(place) => (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response(),
        Err(problem) => shell::trouble_page(&problem),
    }
}
