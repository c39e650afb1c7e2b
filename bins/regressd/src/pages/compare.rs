//! Two runs beside each other.

use std::collections::BTreeSet;

use axum::extract::{OriginalUri, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use regress_core::detect::{Pair, judge_pairs};
use regress_core::measurement::{BenchmarkId, Measure, SeriesKey, Unit};
use regress_report::benchmarks::{Outcome, REPORT_VERSION, Report, Row, Side, short_commit};
use regress_report::pages::{Link, RunPage, render_run_page};
use serde::Deserialize;

use super::reader::PageReader;
use super::run::find_run;
use super::{links, shell};
use crate::access::Access;
use crate::database::runs::MeasuredRun;
use crate::database::streams::{self, SeriesName};
use crate::directory::ConfiguredRepository;
use crate::domain::{JudgingDefaults, Results, RunId, SeriesId};
use crate::problem::Problem;
use crate::state::AppState;

#[derive(Debug, Deserialize)]
pub(super) struct ComparisonQuery {
    before: i64,
    after: i64,
}

pub(super) async fn show_comparison_page(
    State(state): State<AppState>,
    access: Result<Access, Problem>,
    OriginalUri(uri): OriginalUri,
    query: Result<Query<ComparisonQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let reader = match PageReader::from_access(access) {
        Ok(reader) => reader,
        Err(response) => return *response,
    };
    let Ok(Query(choice)) = query else {
        let detail = "choose two runs: /compare?before=NUMBER&after=NUMBER";
        return shell::trouble_page(&Problem::bad_request(detail));
    };
    let path = uri.path_and_query().map_or("/compare", |path| path.as_str());
    match view(&state, &reader, &choice).await {
        Ok(Some((known, page))) => {
            let name = &known.repository.name;
            let title = format!("Runs {} and {}", choice.before, choice.after);
            let way = vec![
                Link::new(name.to_string(), links::repository_url(name)),
                Link::new("runs", links::runs_url(name, None)),
                Link::new(title.as_str(), ""),
            ];
            shell::html_response(render_run_page(
                &shell::page_frame(&format!("{title} of {name}"), way),
                &page,
            ))
        }
        Ok(None) => reader.refusal_response(path),
        Err(problem) => shell::trouble_page(&problem),
    }
}

/// `None` when one of the two is not there, or not to be seen.
async fn view(
    state: &AppState,
    reader: &PageReader,
    choice: &ComparisonQuery,
) -> Result<Option<(ConfiguredRepository, RunPage)>, Problem> {
    let before = find_run(state, reader, RunId(choice.before)).await?;
    let after = find_run(state, reader, RunId(choice.after)).await?;
    let (Some((_, before)), Some((known, after))) = (before, after) else {
        return Ok(None);
    };
    if before.run.stream != after.run.stream {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "the two runs are of other environments, components or repositories: their values are not comparable",
        ));
    }
    let mut connection = state.database.acquire_reader().await?;
    let series = streams::series_of(&mut connection, after.run.stream).await?;
    let stream = streams::by_id(&mut connection, after.run.stream).await?;
    drop(connection);
    let name = &known.repository.name;
    let github = links::on_github(&state.settings.load().github.api_url, name);
    let commits = [&before, &after].map(|run| {
        Link::new(
            short_commit(&run.run.commit),
            links::commit_url(&github, &run.run.commit),
        )
    });
    let pages = [&before, &after].map(|run| Link::new(format!("run {}", run.id.0), links::run_url(run.id)));
    let names: Vec<(SeriesId, SeriesName)> = series.into_iter().map(|one| (one.id, one.name)).collect();
    let settings = state.settings.load_full();
    let (component, environment) = stream
        .map(|stream| (stream.component, stream.environment))
        .unwrap_or_default();
    let rules = (&settings.judging, component.as_str());
    let compared = compare(&known, &names, [&before, &after], rules, &environment)?;
    let page = RunPage {
        facts: commits.into_iter().chain(pages).collect(),
        received: shell::time_text(after.run.received),
        links: compared
            .series
            .iter()
            .map(|id| links::series_url(*id, &after.run.target))
            .collect(),
        report: Some(compared.report),
        files: Vec::new(),
    };
    Ok(Some((known, page)))
}

/// A report, and the series of each of its rows.
struct Compared {
    report: Report,
    series: Vec<SeriesId>,
}

/// Judges the process runs of both as two samples.
fn compare(
    known: &ConfiguredRepository,
    names: &[(SeriesId, SeriesName)],
    [before, after]: [&MeasuredRun; 2],
    (judging, component): (&JudgingDefaults, &str),
    environment: &str,
) -> Result<Compared, Problem> {
    let read = |run: &MeasuredRun| {
        Results::from_json(&run.run.results).map_err(|error| sqlx::Error::Decode(error.into()))
    };
    let (old, new) = (read(before)?, read(after)?);
    let thresholds = known
        .config
        .thresholds(judging, component)
        .map_err(|error| Problem::unprocessable(error.to_string()))?;
    let measured: BTreeSet<SeriesId> = old.0.keys().chain(new.0.keys()).copied().collect();
    let values = |results: &'_ Results, id: &SeriesId| results.0.get(id).cloned().unwrap_or_default();
    let mut samples = Vec::new();
    for (id, name) in names.iter().filter(|(id, _)| measured.contains(id)) {
        let (Ok(benchmark), Ok(measure)) = (BenchmarkId::new(&name.benchmark), Measure::new(&name.measure))
        else {
            continue;
        };
        let key = SeriesKey { benchmark, measure };
        let unit = Unit::from(name.unit.clone());
        let threshold = thresholds.for_benchmark(&name.benchmark, &unit);
        samples.push((
            *id,
            key,
            name,
            unit,
            values(&old, id),
            values(&new, id),
            threshold,
        ));
    }
    let pairs: Vec<Pair<'_>> = samples
        .iter()
        .map(|(_, key, name, _, before, after, threshold)| Pair {
            key: key.clone(),
            direction: name.direction,
            before,
            after,
            comparable: true,
            threshold: regress_core::detect::Threshold {
                enabled: true,
                ..*threshold
            },
        })
        .collect();
    let judged = judge_pairs(&pairs);
    let rows = judged.verdicts.iter().zip(&samples).map(|(verdict, sample)| {
        let (id, key, name, unit, before, after, _) = sample;
        let row = Row {
            name: key.to_string(),
            unit: unit.clone(),
            direction: name.direction,
            verdict: verdict.kind,
            reason: verdict.reason.clone(),
            before: verdict.before,
            after: verdict.after,
            percent: verdict.percent,
            interval: verdict.interval.map(|interval| (interval.low, interval.high)),
            p: verdict.p,
            q: verdict.q,
            effect: verdict.effect,
            confidence: Some(verdict.confidence),
            noisy: verdict.noisy,
            threshold: verdict.threshold,
            before_values: before.clone(),
            after_values: after.clone(),
            history: Vec::new(),
            commits: Vec::new(),
            shifts: Vec::new(),
            band: None,
        };
        (row, *id)
    });
    let rows: Vec<(Row, SeriesId)> = rows.collect();
    let side = |run: &MeasuredRun, results: &Results| Side {
        label: run.run.branch.clone(),
        commit: Some(run.run.commit.clone()),
        runs: results.0.values().map(Vec::len).max().unwrap_or(0),
    };
    let mut report = Report {
        version: REPORT_VERSION,
        title: "two runs, by their process runs".to_owned(),
        base: side(before, &old),
        head: side(after, &new),
        environment: environment.to_owned(),
        threshold: known
            .config
            .threshold_percent
            .unwrap_or(judging.threshold_percent),
        outcome: Outcome::of_verdicts(rows.iter().map(|(row, _)| row.verdict)),
        summary: String::new(),
        rows: rows.iter().map(|(row, _)| row.clone()).collect(),
        notes: judged.shifts.iter().map(ToString::to_string).collect(),
        problems: Vec::new(),
    };
    report.sort_rows();
    report.summary = match report.outcome {
        Outcome::NotJudged => {
            "shown side by side: with fewer than four process runs each, nothing can be judged".to_owned()
        }
        _ => "judged as two samples, without the history".to_owned(),
    };
    let of_row = |row: &Row| {
        rows.iter()
            .find(|(one, _)| one.name == row.name && one.unit == row.unit)
    };
    let series = report
        .rows
        .iter()
        .filter_map(|row| of_row(row).map(|(_, id)| *id))
        .collect();
    Ok(Compared { report, series })
}
