//! One repository.

use axum::extract::{OriginalUri, Path, Query, State};
use axum::response::Response;
use regress_core::measurement::Unit;
use regress_report::pages::{
    Link, MessagePage, RepositoryPage, RunLine, SeriesLine, StreamSection, render_repository_page,
};
use serde::Deserialize;
use sqlx::AnyConnection;

use super::queries::Past;
use super::reader::PageReader;
use super::repositories::usual_branch;
use super::{links, queries, shell};
use crate::access::Access;
use crate::database::judgements;
use crate::database::runs::{self, MeasuredRun};
use crate::database::streams::{self, SeriesName, StoredSeries, Stream};
use crate::directory::ConfiguredRepository;
use crate::domain::{RepoName, RunId};
use crate::judging::RunVerdicts;
use crate::problem::Problem;
use crate::state::AppState;

/// Streams shown, newest first.
const MAX_STREAMS: usize = 12;
/// Benchmarks of a stream shown; the search finds the others.
const MAX_ROWS: usize = 300;
/// Runs that a small line shows.
const SPARK_RUNS: u32 = 60;
const MAX_BRANCHES: u32 = 30;
const NEWEST_RUNS: u32 = 20;

#[derive(Debug, Default, Deserialize)]
pub(super) struct RepositoryQuery {
    branch: Option<String>,
    #[serde(default)]
    q: String,
}

pub(super) async fn show_repository_page(
    State(state): State<AppState>,
    access: Result<Access, Problem>,
    OriginalUri(uri): OriginalUri,
    Path((owner, repo)): Path<(String, String)>,
    Query(choice): Query<RepositoryQuery>,
) -> Response {
    let reader = match PageReader::from_access(access) {
        Ok(reader) => reader,
        Err(response) => return *response,
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let found = match RepoName::new(&owner, &repo) {
        Ok(name) => reader.find_visible_repository(&state, &name).await,
        Err(_) => Ok(None),
    };
    match found {
        Ok(Some(known)) => match view(&state, &known, &choice, reader.may_change(&known)).await {
            Ok(page) => {
                let way = vec![Link::new(page.name.as_str(), "")];
                shell::html_response(render_repository_page(&shell::page_frame(&page.name, way), &page))
            }
            Err(problem) => shell::trouble_page(&problem),
        },
        Ok(None) => reader.refusal_response(path),
        Err(problem) => shell::trouble_page(&problem),
    }
}

async fn view(
    state: &AppState,
    known: &ConfiguredRepository,
    choice: &RepositoryQuery,
    may_change: bool,
) -> Result<RepositoryPage, Problem> {
    let name = &known.repository.name;
    let github = links::on_github(&state.settings.load().github.api_url, name);
    let mut connection = state.database.acquire_reader().await?;
    let mut all = streams::of_repository(&mut connection, known.repository.id).await?;
    all.reverse();
    let mut branches: Vec<String> = Vec::new();
    for stream in all.iter().take(MAX_STREAMS) {
        branches.extend(judgements::list_branches(&mut connection, stream.id, MAX_BRANCHES).await?);
    }
    branches.sort();
    branches.dedup();
    // No branch has a zero byte, and PostgreSQL has no such text.
    let chosen = choice.branch.clone().filter(|branch| !branch.contains('\0'));
    let branch = chosen
        .or_else(|| usual_branch(known, &branches))
        .unwrap_or_default();
    let mut sections = Vec::new();
    let several = all.len() > 1;
    for stream in all.iter().take(MAX_STREAMS) {
        sections.push(section(&mut connection, stream, &branch, &choice.q, several).await?);
    }
    let newest = newest_runs(&mut connection, known, &all, several).await?;
    Ok(RepositoryPage {
        name: name.to_string(),
        links: vec![
            Link::new("GitHub", github),
            Link::new("Badge", format!("/badge/{name}.svg")),
            Link::new("All runs", links::runs_url(name, None)),
        ],
        branches: branches
            .iter()
            .map(|one| match one == &branch {
                true => Link::new(one.as_str(), ""),
                false => Link::new(one.as_str(), links::branch_url(name, one)),
            })
            .collect(),
        search: choice.q.clone(),
        search_action: links::repository_url(name),
        branch,
        streams: sections,
        runs: newest,
        archived: known.config.archived,
        administered_at: may_change.then(|| links::repository_url(name)),
        empty: MessagePage {
            heading: "No runs yet".to_owned(),
            paragraphs: vec![
                "Nothing has been sent for this repository, or all of it has been removed.".to_owned(),
            ],
            ..MessagePage::default()
        },
    })
}

async fn section(
    connection: &mut AnyConnection,
    stream: &Stream,
    branch: &str,
    search: &str,
    several: bool,
) -> Result<StreamSection, Problem> {
    let history = queries::list_past_runs(connection, stream.id, branch, SPARK_RUNS).await?;
    let runs = judgements::newest_of_branch(connection, stream.id, branch).await?;
    let verdicts = runs
        .iter()
        .filter_map(|run| RunVerdicts::from_json(&run.verdicts).ok());
    let verdicts = RunVerdicts::merge_runs(verdicts.collect());
    let search = search.to_lowercase();
    let series = streams::series_of(connection, stream.id).await?;
    let mut rows: Vec<SeriesLine> = series
        .iter()
        .filter(|series| series.name.benchmark.to_lowercase().contains(&search))
        .map(|series| line(series, branch, &history, verdicts.as_ref()))
        // What the branch never measured, or not lately, is not part of its present.
        .filter(|line| !line.history.is_empty())
        .collect();
    let mut section = StreamSection {
        component: if several || stream.component != "default" {
            stream.component.clone()
        } else {
            String::new()
        },
        environment: stream.environment.clone(),
        outcome: verdicts.as_ref().map(RunVerdicts::outcome),
        judged: runs.first().map(|judgement| shell::time_text(judgement.judged)),
        more: 0,
        rows: std::mem::take(&mut rows),
    };
    section.sort_rows();
    section.more = section.rows.len().saturating_sub(MAX_ROWS);
    section.rows.truncate(MAX_ROWS);
    Ok(section)
}

fn line(series: &StoredSeries, branch: &str, history: &[Past], verdicts: Option<&RunVerdicts>) -> SeriesLine {
    let verdict = verdicts.and_then(|all| all.verdicts.iter().find(|one| one.series == series.id));
    SeriesLine {
        name: shown_name(&series.name),
        href: links::series_url(series.id, branch),
        unit: Unit::from(series.name.unit.clone()),
        direction: series.name.direction,
        history: history
            .iter()
            .filter_map(|past| past.results.median(series.id))
            .collect(),
        percent: verdict.and_then(|verdict| verdict.percent),
        verdict: verdict.map(|verdict| verdict.kind),
    }
}

/// A benchmark's name, with the measure where that is not latency.
pub(super) fn shown_name(name: &SeriesName) -> String {
    if name.measure == "latency" {
        name.benchmark.clone()
    } else {
        format!("{} [{}]", name.benchmark, name.measure)
    }
}

async fn newest_runs(
    connection: &mut AnyConnection,
    known: &ConfiguredRepository,
    all: &[Stream],
    several: bool,
) -> Result<Vec<RunLine>, Problem> {
    let id = known.repository.id;
    let newest = runs::of_repository(connection, id, None, RunId(i64::MAX), NEWEST_RUNS).await?;
    let mut lines = Vec::new();
    for run in &newest {
        lines.push(run_line(connection, known, run, all, several).await?);
    }
    Ok(lines)
}

/// What a list shows of a run.
pub(super) async fn run_line(
    connection: &mut AnyConnection,
    known: &ConfiguredRepository,
    run: &MeasuredRun,
    all: &[Stream],
    several: bool,
) -> Result<RunLine, Problem> {
    let judgement = judgements::of_run(connection, run.id).await?;
    let stream = all.iter().find(|stream| stream.id == run.run.stream);
    let place = stream.map(|stream| format!("{} · {}", stream.component, stream.environment));
    let name = &known.repository.name;
    Ok(RunLine {
        href: links::run_url(run.id),
        commit: run.run.commit.clone(),
        of: match run.run.pull_request {
            Some(number) => Link::new(format!("#{number}"), links::pull_url(name, number)),
            None => Link::new(run.run.branch.as_str(), ""),
        },
        place: place.filter(|_| several).unwrap_or_default(),
        received: shell::time_text(run.run.received),
        outcome: judgement.map(|judgement| judgement.outcome),
    })
}
