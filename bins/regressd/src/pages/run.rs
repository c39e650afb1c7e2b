//! One run with its verdicts.

use std::collections::HashMap;

use axum::extract::{OriginalUri, Path, State};
use axum::response::Response;
use regress_report::benchmarks::{Report, short_commit};
use regress_report::pages::{Link, RunPage, render_run_page};

use super::reader::PageReader;
use super::repository::shown_name;
use super::{links, run_files, shell};
use crate::access::Access;
use crate::database::runs::{self, MeasuredRun};
use crate::database::streams;
use crate::database::{judgements, repositories};
use crate::directory::ConfiguredRepository;
use crate::domain::{RunId, SeriesId};
use crate::judging::{JudgedPart, JudgingCandidate, RunVerdicts, build_commit_report, load_judging_input};
use crate::problem::Problem;
use crate::state::AppState;

pub(super) async fn show_run_page(
    State(state): State<AppState>,
    access: Result<Access, Problem>,
    OriginalUri(uri): OriginalUri,
    Path(number): Path<String>,
) -> Response {
    let reader = match PageReader::from_access(access) {
        Ok(reader) => reader,
        Err(response) => return *response,
    };
    let (known, run) = match find_requested_run(&state, &reader, &number, uri.path()).await {
        Ok(found) => found,
        Err(response) => return *response,
    };
    match view(&state, &known, run).await {
        Ok(page) => {
            let name = &known.repository.name;
            let way = vec![
                Link::new(name.to_string(), links::repository_url(name)),
                Link::new(format!("run {number}"), ""),
            ];
            shell::html_response(render_run_page(
                &shell::page_frame(&format!("Run {number} of {name}"), way),
                &page,
            ))
        }
        Err(problem) => shell::trouble_page(&problem),
    }
}

/// The run whose number stands in an address, and its repository.
///
/// # Errors
/// The page to answer with, when there is no such run, `reader` may not see it, or the database does not answer.
pub(super) async fn find_requested_run(
    state: &AppState,
    reader: &PageReader,
    number: &str,
    path: &str,
) -> Result<(ConfiguredRepository, MeasuredRun), Box<Response>> {
    let found = match number.parse() {
        Ok(number) => find_run(state, reader, RunId(number)).await,
        Err(_) => Ok(None),
    };
    match found {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(Box::new(reader.refusal_response(path))),
        Err(problem) => Err(Box::new(shell::trouble_page(&problem))),
    }
}

/// A run and its repository, if `reader` may see them.
pub(super) async fn find_run(
    state: &AppState,
    reader: &PageReader,
    id: RunId,
) -> Result<Option<(ConfiguredRepository, MeasuredRun)>, Problem> {
    let mut connection = state.database.acquire_reader().await?;
    let Some(run) = runs::by_id(&mut connection, id).await? else {
        return Ok(None);
    };
    let row = repositories::by_id(&mut connection, run.run.repository).await?;
    Ok(row
        .and_then(|row| reader.visible_repository(row))
        .map(|known| (known, run)))
}

async fn view(state: &AppState, known: &ConfiguredRepository, run: MeasuredRun) -> Result<RunPage, Problem> {
    let settings = state.settings.load_full();
    let github = links::on_github(&settings.github.api_url, &known.repository.name);
    let of = match run.run.pull_request {
        Some(number) => Link::new(format!("#{number}"), links::pull_request_url(&github, number)),
        None => Link::new(
            run.run.branch.as_str(),
            links::branch_url(&known.repository.name, &run.run.branch),
        ),
    };
    let mut page = RunPage {
        facts: vec![
            Link::new(
                short_commit(&run.run.commit),
                links::commit_url(&github, &run.run.commit),
            ),
            of,
        ],
        received: shell::time_text(run.run.received),
        report: None,
        links: Vec::new(),
        files: Vec::new(),
    };
    let id = run.id;
    if let Some((report, places)) = load_report(state, known, run).await? {
        page.links = report
            .rows
            .iter()
            .map(|row| places.get(&row.name).cloned().unwrap_or_default())
            .collect();
        page.report = Some(report);
        page.files = run_files::links_of_run(&settings.reports, id);
    }
    Ok(page)
}

/// The page of each benchmark by its name in a report.
type BenchmarkPages = HashMap<String, String>;

/// The verdicts on a run, with the pages of its benchmarks; `None` while it waits to be judged.
pub(super) async fn load_report(
    state: &AppState,
    known: &ConfiguredRepository,
    run: MeasuredRun,
) -> Result<Option<(Report, BenchmarkPages)>, Problem> {
    let mut connection = state.database.acquire_reader().await?;
    let stream = streams::by_id(&mut connection, run.run.stream).await?;
    let judgement = judgements::of_run(&mut connection, run.id).await?;
    let (Some(stream), Some(judgement)) = (stream, judgement) else {
        return Ok(None);
    };
    let series = streams::series_of(&mut connection, stream.id).await?;
    let places = series
        .iter()
        .map(|one| {
            (
                shown_name(&one.name),
                links::series_url(SeriesId(one.id.0), &run.run.target),
            )
        })
        .collect();
    let Some(candidate) = JudgingCandidate::load_by_id(&mut connection, run.id).await? else {
        return Ok(None);
    };
    drop(connection);
    let part = JudgedPart {
        input: load_judging_input(state, &candidate).await?,
        verdicts: RunVerdicts::from_json(&judgement.verdicts)
            .map_err(|error| sqlx::Error::Decode(error.into()))?,
        component: stream.component,
        environment: stream.environment,
        run,
    };
    let defaults = state.settings.load();
    let threshold = known
        .config
        .threshold_percent
        .unwrap_or(defaults.judging.threshold_percent);
    let title = format!("component {}", part.component);
    let report = build_commit_report(std::slice::from_ref(&part), &title, threshold);
    Ok(Some((report, places)))
}
