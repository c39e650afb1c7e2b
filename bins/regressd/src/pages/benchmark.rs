//! One benchmark's history.

use std::time::Duration;

use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use regress_core::detect::machine_shift::machine_trend;
use regress_core::detect::{ChangePointSettings, change_points};
use regress_core::measurement::Unit;
use regress_report::benchmarks::short_commit;
use regress_report::pages::{
    AcceptForm, BenchmarkPage, BesideLine, BesidePart, Change, ChangeKind, Fact, HistoryPoint, Link,
    PointState, TimeRange, render_benchmark_page as draw,
};
use serde::Deserialize;
use sqlx::AnyConnection;

use super::queries::Past;
use super::reader::PageReader;
use super::repositories::usual_branch;
use super::repository::shown_name;
use super::{links, queries, shell};
use crate::access::Access;
use crate::database::judgements::{self, JudgedEpoch};
use crate::database::repositories;
use crate::database::streams::{self, StoredSeries, Stream};
use crate::directory::ConfiguredRepository;
use crate::domain::{RunId, SeriesId, UnixMillis};
use crate::judging::{Histories, RunVerdicts, StoredVerdict, load_baseline_input};
use crate::problem::Problem;
use crate::state::AppState;

/// Lengths of a history to choose from; the second is the usual one.
const SPANS: [u32; 3] = [100, 300, 1000];
/// Series that are looked at to tell a machine-wide shift.
const MAX_NEIGHBOURS: usize = 60;
/// Other benchmarks in one drawing; the style sheet has as many strokes.
const MAX_BESIDE: usize = 5;
/// Benchmarks that can be chosen to be drawn beside another.
const MAX_CHOICE: usize = 500;
/// Runs that the form to accept a shift offers.
const MAX_ACCEPTABLE: usize = 50;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How far from a machine-wide shift a change point is still its doing.
const REACH: usize = 3;

#[derive(Debug, Deserialize)]
pub(super) struct BenchmarkQuery {
    branch: Option<String>,
    runs: Option<u32>,
    /// The first day that is shown, as `2026-11-21`.
    #[serde(default)]
    since: String,
    /// The last one.
    #[serde(default)]
    until: String,
    /// Numbers of other benchmarks that are drawn beside this one, joined by commas.
    #[serde(default)]
    with: String,
    /// One more of them.
    add: Option<i64>,
}

impl BenchmarkQuery {
    /// The other benchmarks that are asked for, each once.
    fn beside(&self) -> Vec<SeriesId> {
        let given = self.with.split(',').filter_map(|text| text.parse().ok());
        let mut all: Vec<SeriesId> = Vec::new();
        for series in given.chain(self.add).map(SeriesId) {
            if !all.contains(&series) && all.len() < MAX_BESIDE {
                all.push(series);
            }
        }
        all
    }
}

/// A day and the moment it begins at, in UTC; `None` for what is no day.
fn day(text: &str) -> Option<(Date, UnixMillis)> {
    let day: Date = text.parse().ok()?;
    let begins = day.to_zoned(TimeZone::UTC).ok()?;
    Some((day, UnixMillis(begins.timestamp().as_millisecond())))
}

pub(super) async fn show_benchmark_page(
    State(state): State<AppState>,
    access: Result<Access, Problem>,
    OriginalUri(uri): OriginalUri,
    Path(number): Path<String>,
    Query(choice): Query<BenchmarkQuery>,
) -> Response {
    let reader = match PageReader::from_access(access) {
        Ok(reader) => reader,
        Err(response) => return *response,
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let found = match number.parse() {
        Ok(number) => find(&state, &reader, SeriesId(number)).await,
        Err(_) => Ok(None),
    };
    let (known, series, stream) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return reader.refusal_response(path),
        Err(problem) => return shell::trouble_page(&problem),
    };
    let may_change = reader.may_change(&known);
    match view(&state, &known, &series, &stream, &choice, may_change).await {
        Ok(page) => {
            let name = &known.repository.name;
            let way = vec![
                Link::new(name.to_string(), links::repository_url(name)),
                Link::new(page.name.as_str(), ""),
            ];
            shell::html_response(draw(
                &shell::page_frame(&format!("{} of {name}", page.name), way),
                &page,
            ))
        }
        Err(problem) => shell::trouble_page(&problem),
    }
}

async fn find(
    state: &AppState,
    reader: &PageReader,
    id: SeriesId,
) -> Result<Option<(ConfiguredRepository, StoredSeries, Stream)>, Problem> {
    let mut connection = state.database.acquire_reader().await?;
    let Some(series) = streams::find_series(&mut connection, id).await? else {
        return Ok(None);
    };
    let Some(stream) = streams::by_id(&mut connection, series.stream).await? else {
        return Ok(None);
    };
    let row = repositories::by_id(&mut connection, stream.repository).await?;
    let known = row.and_then(|row| reader.visible_repository(row));
    Ok(known.map(|known| (known, series, stream)))
}

async fn view(
    state: &AppState,
    known: &ConfiguredRepository,
    series: &StoredSeries,
    stream: &Stream,
    choice: &BenchmarkQuery,
    may_change: bool,
) -> Result<BenchmarkPage, Problem> {
    let settings = state.settings.load_full();
    let github = links::on_github(&settings.github.api_url, &known.repository.name);
    let mut connection = state.database.acquire_reader().await?;
    let list_branches = judgements::list_branches(&mut connection, stream.id, 30).await?;
    let chosen = choice.branch.clone().filter(|branch| !branch.contains('\0'));
    let branch = chosen
        .or_else(|| usual_branch(known, &list_branches))
        .unwrap_or_default();
    let span = choice
        .runs
        .filter(|runs| SPANS.contains(runs))
        .unwrap_or(SPANS[1]);
    let (since, until) = (day(&choice.since), day(&choice.until));
    let from = since.map_or(UnixMillis(0), |(_, begins)| begins);
    let to = until.map_or(UnixMillis(i64::MAX), |(_, begins)| begins.saturating_add(DAY));
    let all = queries::list_past_runs_between(&mut connection, stream.id, &branch, span, (from, to)).await?;
    let first = all.iter().map(|past| past.id).min().unwrap_or(RunId(0));
    let rejected = judgements::list_rejections(&mut connection, stream.id, first, RunId(i64::MAX)).await?;
    let epochs = judgements::list_epochs(&mut connection, stream.id, &branch).await?;
    let histories = Histories {
        run_cache: &state.run_cache,
        baseline_runs: settings.judging.baseline_runs,
    };
    let baseline = load_baseline_input(&mut connection, histories, stream.id, &branch).await?;
    let verdict = newest_verdict(&mut connection, stream, &branch, series.id).await?;
    let others = elsewhere(&mut connection, known, series, &branch).await?;
    let of_stream = streams::series_of(&mut connection, stream.id).await?;
    drop(connection);

    let number = series.id;
    let (past, values): (Vec<Past>, Vec<f64>) = all
        .iter()
        .filter_map(|past| past.results.median(number).map(|value| (past.clone(), value)))
        .unzip();
    let beside = beside(series, &of_stream, &past, choice, &branch);
    let band = band(&baseline.baseline(number), &past);
    let epochs: Vec<JudgedEpoch> = epochs
        .into_iter()
        .filter(|epoch| epoch.series == series.id)
        .collect();
    let counting = tokio::task::spawn_blocking({
        let (past, values) = (past.clone(), values.clone());
        move || changes(&all, number, &past, &values, &epochs)
    });
    let changes = counting.await.map_err(|error| {
        tracing::error!(%error, "change points could not be found");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the service made a mistake; its log says more",
        )
    })?;
    let point = |(past, value): (&Past, &f64)| HistoryPoint {
        value: *value,
        commit: past.commit.clone(),
        commit_href: links::commit_url(&github, &past.commit),
        run_href: links::run_url(past.id),
        when: shell::time_text(past.at),
        state: if rejected.contains(&(series.id, past.id)) {
            PointState::Rejected
        } else {
            PointState::Accepted
        },
    };
    let unit = Unit::from(series.name.unit.clone());
    Ok(BenchmarkPage {
        name: shown_name(&series.name),
        direction: series.name.direction,
        places: places(known, stream, &branch),
        verdict: verdict.as_ref().map(|verdict| verdict.kind),
        reason: verdict
            .as_ref()
            .map(|verdict| verdict.reason.clone())
            .unwrap_or_default(),
        facts: verdict
            .as_ref()
            .map(|verdict| facts(verdict, &unit))
            .unwrap_or_default(),
        points: past.iter().zip(&values).map(point).collect(),
        band,
        changes,
        spans: spans(series.id, &branch, span),
        others,
        range: Some(TimeRange {
            action: format!("/series/{}", series.id.0),
            since: since.map(|(day, _)| day.to_string()).unwrap_or_default(),
            until: until.map(|(day, _)| day.to_string()).unwrap_or_default(),
            branch: branch.clone(),
        }),
        beside,
        accept: may_change.then(|| accept_form(series.id, &branch, &past, &values, &unit)),
        unit,
    })
}

/// The chosen benchmarks in the runs that are shown, and those that can still be chosen.
fn beside(
    own: &StoredSeries,
    all: &[StoredSeries],
    past: &[Past],
    choice: &BenchmarkQuery,
    branch: &str,
) -> BesidePart {
    let chosen: Vec<&StoredSeries> = choice
        .beside()
        .into_iter()
        .filter_map(|id| all.iter().find(|one| one.id == id && one.id != own.id))
        .collect();
    let values = |id: SeriesId| past.iter().map(|past| past.results.median(id)).collect();
    let joined = |left_out: Option<SeriesId>| {
        let kept = chosen.iter().map(|one| one.id).filter(|id| Some(*id) != left_out);
        let kept: Vec<String> = kept.map(|id| id.0.to_string()).collect();
        kept.join(",")
    };
    let address = links::series_url(own.id, branch);
    let line = |one: &&StoredSeries| BesideLine {
        name: Link::new(shown_name(&one.name), links::series_url(one.id, branch)),
        without: format!("{address}&with={}", joined(Some(one.id))),
        values: values(one.id),
    };
    let first = BesideLine {
        name: Link::new(shown_name(&own.name), ""),
        without: String::new(),
        values: values(own.id),
    };
    let can_be_chosen =
        |one: &&StoredSeries| one.id != own.id && !chosen.iter().any(|other| other.id == one.id);
    let others = all.iter().filter(can_be_chosen).take(MAX_CHOICE);
    let others = others.map(|one| (one.id.0, shown_name(&one.name)));
    BesidePart {
        lines: std::iter::once(first).chain(chosen.iter().map(line)).collect(),
        action: format!("/series/{}", own.id.0),
        kept: vec![
            ("branch".to_owned(), branch.to_owned()),
            ("with".to_owned(), joined(None)),
        ],
        others: if chosen.len() < MAX_BESIDE {
            others.collect()
        } else {
            Vec::new()
        },
    }
}

/// The runs from which on a level may be accepted, newest first.
fn accept_form(series: SeriesId, branch: &str, past: &[Past], values: &[f64], unit: &Unit) -> AcceptForm {
    let newest = past.iter().zip(values).rev().take(MAX_ACCEPTABLE);
    AcceptForm {
        action: format!("/series/{}/accept", series.0),
        branch: branch.to_owned(),
        runs: newest
            .map(|(past, value)| {
                let commit = short_commit(&past.commit);
                (
                    past.id.0,
                    format!("run {}, {commit}: {}", past.id.0, unit.format_value(*value)),
                )
            })
            .collect(),
    }
}

async fn newest_verdict(
    connection: &mut AnyConnection,
    stream: &Stream,
    branch: &str,
    series: SeriesId,
) -> Result<Option<StoredVerdict>, Problem> {
    let runs = judgements::newest_of_branch(connection, stream.id, branch).await?;
    let runs = runs
        .iter()
        .filter_map(|run| RunVerdicts::from_json(&run.verdicts).ok());
    let verdicts = RunVerdicts::merge_runs(runs.collect());
    Ok(verdicts.and_then(|all| all.verdicts.into_iter().find(|one| one.series == series)))
}

fn places(known: &ConfiguredRepository, stream: &Stream, branch: &str) -> Vec<Link> {
    let mut places = vec![Link::new(
        branch,
        links::branch_url(&known.repository.name, branch),
    )];
    if stream.component != "default" {
        places.push(Link::new(stream.component.as_str(), ""));
    }
    places.push(Link::new(stream.environment.as_str(), ""));
    places
}

/// The lowest and the highest value of the baseline, and where among the shown values it begins.
fn band(baseline: &[(RunId, f64)], past: &[Past]) -> Option<(f64, f64, usize)> {
    let shown = |(run, _): &(RunId, f64)| past.iter().position(|past| past.id == *run);
    let from = baseline.iter().find_map(shown)?;
    let values = baseline.iter().map(|(_, value)| *value);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    Some((low, high, from))
}

/// Change points, told apart from machine-wide shifts by the other benchmarks of the same runs, and accepted shifts.
fn changes(
    all: &[Past],
    series: SeriesId,
    past: &[Past],
    values: &[f64],
    epochs: &[JudgedEpoch],
) -> Vec<Change> {
    let settings = ChangePointSettings::default();
    let points = change_points(values, &settings);
    let machine = if points.is_empty() {
        None
    } else {
        machine_trend(&neighbours(all, past, series), &settings)
    };
    let own = points.into_iter().map(|point| Change {
        index: point.index,
        before: point.before,
        after: point.after,
        kind: match &machine {
            Some(machine) if machine.shifts_near(point.index, REACH) => ChangeKind::Machine,
            _ => ChangeKind::Own,
        },
    });
    let accepted = epochs.iter().filter_map(|epoch| {
        let index = past.iter().position(|past| past.id == epoch.from_run)?;
        Some(Change {
            index,
            before: *values.get(index.checked_sub(1)?)?,
            after: *values.get(index)?,
            kind: ChangeKind::Accepted(format!("{} ({})", epoch.justification, epoch.actor)),
        })
    });
    let mut changes: Vec<Change> = own.chain(accepted).collect();
    changes.sort_by_key(|change| change.index);
    changes
}

/// The values of the stream's benchmarks in the runs that have the series, NaN where one was not measured.
fn neighbours(all: &[Past], past: &[Past], series: SeriesId) -> Vec<Vec<f64>> {
    let Some(newest) = all.last() else {
        return Vec::new();
    };
    let others = newest.results.0.keys().copied().filter(|other| *other != series);
    std::iter::once(series)
        .chain(others.take(MAX_NEIGHBOURS))
        .map(|one| {
            let value = |past: &Past| past.results.median(one).unwrap_or(f64::NAN);
            past.iter().map(value).collect()
        })
        .collect()
}

fn facts(verdict: &StoredVerdict, unit: &Unit) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            facts.push(Fact {
                name: name.to_owned(),
                value,
            });
        }
    };
    fact("newest", verdict.after.map(|value| unit.format_value(value)));
    fact("baseline", verdict.before.map(|value| unit.format_value(value)));
    fact(
        "change of cost",
        verdict.percent.map(|percent| format!("{percent:+.1} %")),
    );
    fact(
        "95 % interval",
        verdict
            .interval
            .map(|(low, high)| format!("[{low:+.1}, {high:+.1}] %")),
    );
    fact("threshold", Some(format!("{} %", verdict.threshold)));
    fact("confidence", Some(format!("{:.0} %", 100.0 * verdict.confidence)));
    fact("runs in the baseline", Some(verdict.runs.0.to_string()));
    facts
}

fn spans(series: SeriesId, branch: &str, shown: u32) -> Vec<Link> {
    let one = |runs: u32| {
        let text = format!("{runs} runs");
        if runs == shown {
            Link::new(text, "")
        } else {
            Link::new(text, format!("{}&runs={runs}", links::series_url(series, branch)))
        }
    };
    SPANS.into_iter().map(one).collect()
}

/// The same benchmark in other environments and components.
async fn elsewhere(
    connection: &mut AnyConnection,
    known: &ConfiguredRepository,
    series: &StoredSeries,
    branch: &str,
) -> Result<Vec<Link>, Problem> {
    let same = queries::same_benchmark(connection, known.repository.id, series, 20).await?;
    let link = |(id, component, environment): (SeriesId, String, String)| {
        Link::new(
            format!("{component} · {environment}"),
            links::series_url(id, branch),
        )
    };
    Ok(same.into_iter().map(link).collect())
}
