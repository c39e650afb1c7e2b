//! All runs of a repository, page by page.

use axum::extract::{OriginalUri, Path, Query, State};
use axum::response::Response;
use regress_report::pages::{ChoosableRun, Link, RunListPage, render_run_list_page};
use serde::Deserialize;
use sqlx::AnyConnection;

use super::reader::PageReader;
use super::repository::run_line;
use super::{links, shell};
use crate::access::Access;
use crate::database::runs::{self, MeasuredRun};
use crate::database::streams;
use crate::directory::ConfiguredRepository;
use crate::domain::{RepoName, RunId};
use crate::problem::Problem;
use crate::state::AppState;

/// Runs of a page.
const PAGE: u32 = 50;

#[derive(Debug, Default, Deserialize)]
pub(super) struct RunsQuery {
    /// Only runs with a lower number.
    before: Option<i64>,
    branch: Option<String>,
}

pub(super) async fn show_runs_page(
    State(state): State<AppState>,
    access: Result<Access, Problem>,
    OriginalUri(uri): OriginalUri,
    Path((owner, repo)): Path<(String, String)>,
    Query(choice): Query<RunsQuery>,
) -> Response {
    let reader = match PageReader::from_access(access) {
        Ok(reader) => reader,
        Err(response) => return *response,
    };
    let found = match RepoName::new(&owner, &repo) {
        Ok(name) => reader.find_visible_repository(&state, &name).await,
        Err(_) => Ok(None),
    };
    let known = match found {
        Ok(Some(known)) => known,
        Ok(None) => return reader.refusal_response(uri.path()),
        Err(problem) => return shell::trouble_page(&problem),
    };
    match view(&state, &known, &choice).await {
        Ok(page) => {
            let name = &known.repository.name;
            let way = vec![
                Link::new(name.to_string(), links::repository_url(name)),
                Link::new("runs", ""),
            ];
            let frame = shell::page_frame(&format!("Runs of {name}"), way);
            shell::html_response(render_run_list_page(&frame, &page))
        }
        Err(problem) => shell::trouble_page(&problem),
    }
}

async fn view(
    state: &AppState,
    known: &ConfiguredRepository,
    choice: &RunsQuery,
) -> Result<RunListPage, Problem> {
    let name = &known.repository.name;
    let branch = choice.branch.as_deref().filter(|branch| !branch.contains('\0'));
    let before = RunId(choice.before.unwrap_or(i64::MAX));
    let mut connection = state.database.acquire_reader().await?;
    let found = runs::of_repository(&mut connection, known.repository.id, branch, before, PAGE).await?;
    let older = found.last().filter(|_| found.len() >= PAGE as usize);
    let of_branch = branch.map_or_else(String::new, |branch| {
        format!("&branch={}", links::percent_encode(branch))
    });
    let mut more = Vec::new();
    if choice.before.is_some() {
        more.push(Link::new("Newest", links::runs_url(name, None)));
    }
    if let Some(older) = older {
        let href = format!("{}{of_branch}", links::runs_url(name, Some(older.id)));
        more.push(Link::new("Older", href));
    }
    let mut facts = vec![Link::new(name.to_string(), links::repository_url(name))];
    facts.extend(branch.map(|branch| Link::new(branch, links::branch_url(name, branch))));
    Ok(RunListPage {
        heading: "Runs".to_owned(),
        facts,
        runs: choosable_runs(&mut connection, known, &found).await?,
        empty: "There are no runs here; they may have been removed since.".to_owned(),
        compare_action: "/compare".to_owned(),
        more,
        ..RunListPage::default()
    })
}

/// The lines of runs, with their numbers.
pub(super) async fn choosable_runs(
    connection: &mut AnyConnection,
    known: &ConfiguredRepository,
    found: &[MeasuredRun],
) -> Result<Vec<ChoosableRun>, Problem> {
    let all = streams::of_repository(connection, known.repository.id).await?;
    let mut lines = Vec::new();
    for run in found {
        lines.push(ChoosableRun {
            number: run.id.0,
            line: run_line(connection, known, run, &all, all.len() > 1).await?,
        });
    }
    Ok(lines)
}
