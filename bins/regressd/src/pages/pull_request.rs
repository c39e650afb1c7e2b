//! One pull request: what its newest commit came to, and all of its runs.

use std::collections::HashMap;

use axum::extract::{OriginalUri, Path, State};
use axum::response::Response;
use regress_report::benchmarks::{Report, short_commit};
use regress_report::pages::{Link, RunListPage, render_run_list_page};

use super::reader::PageReader;
use super::repository::shown_name;
use super::runs::choosable_runs;
use super::{links, shell};
use crate::access::Access;
use crate::database::{pull_requests, runs, streams};
use crate::directory::ConfiguredRepository;
use crate::domain::RepoName;
use crate::judging::{build_commit_report, load_commit_parts};
use crate::problem::Problem;
use crate::state::AppState;

/// Runs that are shown, newest first.
const MAX_RUNS: u32 = 200;

pub(super) async fn show_pull_request_page(
    State(state): State<AppState>,
    access: Result<Access, Problem>,
    OriginalUri(uri): OriginalUri,
    Path((owner, repo, number)): Path<(String, String, String)>,
) -> Response {
    let reader = match PageReader::from_access(access) {
        Ok(reader) => reader,
        Err(response) => return *response,
    };
    let (Ok(name), Ok(number)) = (RepoName::new(&owner, &repo), number.parse::<u32>()) else {
        return reader.refusal_response(uri.path());
    };
    let known = match reader.find_visible_repository(&state, &name).await {
        Ok(Some(known)) => known,
        Ok(None) => return reader.refusal_response(uri.path()),
        Err(problem) => return shell::trouble_page(&problem),
    };
    match view(&state, &known, number).await {
        Ok(Some(page)) => {
            let name = &known.repository.name;
            let way = vec![
                Link::new(name.to_string(), links::repository_url(name)),
                Link::new(format!("#{number}"), ""),
            ];
            let frame = shell::page_frame(&format!("#{number} of {name}"), way);
            shell::html_response(render_run_list_page(&frame, &page))
        }
        Ok(None) => reader.refusal_response(uri.path()),
        Err(problem) => shell::trouble_page(&problem),
    }
}

/// `None` when nothing is known of the pull request.
async fn view(
    state: &AppState,
    known: &ConfiguredRepository,
    number: u32,
) -> Result<Option<RunListPage>, Problem> {
    let (id, name) = (known.repository.id, &known.repository.name);
    let github = links::on_github(&state.settings.load().github.api_url, name);
    let mut connection = state.database.acquire_reader().await?;
    let pull = pull_requests::find_pull_request(&mut connection, id, number).await?;
    let found = runs::of_pull_request(&mut connection, id, number, MAX_RUNS).await?;
    if pull.is_none() && found.is_empty() {
        return Ok(None);
    }
    let runs = choosable_runs(&mut connection, known, &found).await?;
    drop(connection);
    let mut facts = vec![Link::new("on GitHub", links::pull_request_url(&github, number))];
    if let Some(pull) = &pull {
        let state = if pull.open { "open" } else { "closed" };
        facts.push(Link::new(state, ""));
        let base = format!("into {}", pull.base_branch);
        facts.push(Link::new(base, links::branch_url(name, &pull.base_branch)));
        let head = format!("head {}", short_commit(&pull.head_sha));
        facts.push(Link::new(head, links::commit_url(&github, &pull.head_sha)));
    }
    // The newest commit of which there are results: the head's may still be on their way.
    let commits = pull.map(|pull| pull.head_sha).into_iter();
    let commits = commits.chain(found.first().map(|run| run.run.commit.clone()));
    let mut report = None;
    for commit in commits {
        report = commit_report(state, known, &commit).await?;
        if report.is_some() {
            break;
        }
    }
    let (report, links) = report.unzip();
    Ok(Some(RunListPage {
        heading: format!("Pull request #{number}"),
        facts,
        report,
        links: links.unwrap_or_default(),
        runs,
        empty: "Nothing was measured of it yet.".to_owned(),
        compare_action: "/compare".to_owned(),
        more: Vec::new(),
    }))
}

/// What a commit came to, with the page of each row's benchmark; `None` when it was not judged.
async fn commit_report(
    state: &AppState,
    known: &ConfiguredRepository,
    commit: &str,
) -> Result<Option<(Report, Vec<String>)>, Problem> {
    let parts = load_commit_parts(state, known.repository.id, commit).await?;
    let Some(first) = parts.first() else {
        return Ok(None);
    };
    let settings = state.settings.load();
    let threshold = known
        .config
        .threshold_percent
        .unwrap_or(settings.judging.threshold_percent);
    let title = format!("commit {}", short_commit(commit));
    let report = build_commit_report(&parts, &title, threshold);
    let target = first.run.run.target.clone();
    let mut places: HashMap<String, String> = HashMap::new();
    let mut connection = state.database.acquire_reader().await?;
    for part in &parts {
        let prefix = match parts.len() {
            1 => String::new(),
            _ => format!("{}: ", part.component),
        };
        for series in streams::series_of(&mut connection, part.run.run.stream).await? {
            let row = format!("{prefix}{}", shown_name(&series.name));
            places
                .entry(row)
                .or_insert_with(|| links::series_url(series.id, &target));
        }
    }
    let links = report
        .rows
        .iter()
        .map(|row| places.get(&row.name).cloned().unwrap_or_default())
        .collect();
    Ok(Some((report, links)))
}
