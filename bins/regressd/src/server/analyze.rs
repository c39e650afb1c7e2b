//! `POST /analyze`: results come in, verdicts go out.
//!
//! The run and the job to judge it are stored in one transaction before anything is answered. The run is then judged
//! at once if there is time for it; otherwise the answer says that a worker will. Either way the judgement is made by
//! the same function from what is stored.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{self, Encoding};
use super::upload::{AnalyzeRequest, Upload, read_upload};
use crate::access::Access;
use crate::auth::Principal;
use crate::correlation::Correlation;
use crate::database::identity::{self, Identity, NameConflict};
use crate::database::jobs as job_table;
use crate::database::runs::{self, MeasuredRun, NewRun};
use crate::database::{judgements, pull_requests};
use crate::directory::ConfiguredRepository;
use crate::domain::{BranchName, RepoName, Role, RunId, StreamId, UnixMillis};
use crate::free_memory::LARGE_RUN;
use crate::job_requests;
use crate::judging::{RegressionResult, RunVerdicts, judge_stored};
use crate::problem::Problem;
use crate::series_directory::Names;
use crate::state::AppState;

/// How long a worker leaves a run alone that its request is judging.
const HEAD_START: Duration = Duration::from_secs(10);
/// The setting that bounds an upload.
const LIMIT: &str = "server.upload_limit_mib";
/// Uploads with more bytes are read on a thread of their own.
const LARGE: usize = 256 << 10;

/// The answer to an upload.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AnalyzeResponse {
    /// The number of the run.
    run: i64,
    /// `judged`, or `queued` when a worker will judge it: then ask `/v1/runs/{run}`.
    state: &'static str,
    /// Whether this upload was stored before.
    already_stored: bool,
    /// `regression`, `improvement`, `mixed`, `suspected`, `unchanged` or `not-judged`; not there while queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// Whether a regression is suspected that another run of the commit would confirm or clear.
    needs_confirmation: bool,
    /// The factor by which the machine moved, where something showed that it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    machine_factor: Option<f64>,
    /// One verdict a benchmark and measure.
    results: Vec<RegressionResult>,
    /// Measures of which most benchmarks moved at once, each with what says that it was the machine, or that nothing does.
    shifts: Vec<String>,
    /// What was wrong with single entries.
    problems: Vec<String>,
}

/// Stores a run of benchmarks and judges it by the history of its target branch.
#[utoipa::path(
    post, path = "/analyze", tag = "runs", request_body = AnalyzeRequest,
    responses(
        (status = 200, description = "Stored and judged", body = AnalyzeResponse),
        (status = 202, description = "Stored; a worker will judge it", body = AnalyzeResponse),
        (status = 400, description = "Not JSON, or not of this form", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No valid token", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "The token is for another repository or role", body = Problem, content_type = "application/problem+json"),
        (status = 408, description = "The request took too long", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another upload has this run id", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "Larger than the limit", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Compressed in another way than by gzip", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "No measurement in it, or a value that cannot be", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = []))
)]
pub(super) async fn analyze_upload(
    State(state): State<AppState>,
    access: Access,
    correlation: Correlation,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<AnalyzeResponse>), Problem> {
    let limit = state
        .settings
        .load()
        .server
        .upload_limit_mib
        .saturating_mul(1 << 20);
    let encoding = Encoding::from_headers(&headers)?;
    let bytes = body::read_body(body, limit, LIMIT).await?;
    let large = bytes.len() > LARGE || encoding == Encoding::Gzip;
    let read = move || {
        let bytes = encoding.decode(bytes, limit, LIMIT)?;
        let request: AnalyzeRequest = body::read_json_object(&bytes)?;
        let upload = read_upload(&request)?;
        Ok::<_, Problem>((request, upload))
    };
    let (request, upload) = if large {
        let done = tokio::task::spawn_blocking(read).await;
        done.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the upload could not be read"))??
    } else {
        read()?
    };
    access.require_role(Role::Upload, &request.repository)?;
    check_claims(&access.0, &request)?;
    let is_large = upload.values.names.len() >= LARGE_RUN;
    let answer = accept(&state, &access.0, &correlation, &request, upload).await;
    if is_large {
        state.large_work.notify_one();
    }
    answer
}

/// A workflow may speak for what it runs for, and for nothing else: else the workflow of a fork's pull request could
/// write the history of the main branch.
fn check_claims(principal: &Principal, request: &AnalyzeRequest) -> Result<(), Problem> {
    let Some(claims) = &principal.claims else {
        return Ok(());
    };
    // A workflow that follows another runs what lies on the default branch, for the results of a fork's pull request.
    let follows = claims.event.as_deref() == Some("workflow_run");
    let fits = match (claims.pull_request(), claims.branch()) {
        _ if follows && request.pull_request.is_some() => true,
        (Some(number), _) => request.pull_request == Some(number),
        (None, Some(branch)) => {
            let named = BranchName::of_reference(request.branch.as_str());
            request.pull_request.is_none() && named.is_ok_and(|named| named.as_str() == branch)
        }
        // A tag's workflow, or one that says nothing of what it runs for, speaks for no pull request.
        (None, None) => false,
    };
    if fits {
        return Ok(());
    }
    let reference = claims.reference.as_deref().unwrap_or("nothing");
    let detail =
        format!("this workflow runs for {reference}; it may upload for that branch or pull request only");
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

async fn accept(
    state: &AppState,
    principal: &Principal,
    Correlation(correlation): &Correlation,
    request: &AnalyzeRequest,
    upload: Upload,
) -> Result<(StatusCode, Json<AnalyzeResponse>), Problem> {
    let database = &state.database;
    let branch = of_reference(&request.branch)?;
    if let Some(number) = principal.claims.as_ref().and_then(|claims| claims.repository_id) {
        check_identity(state, &request.repository, number).await?;
    }
    let known = state
        .directory
        .repository_or_new(database, &request.repository)
        .await?;
    if known.config.archived {
        let detail = format!(
            "{} is archived: set \"archived\": false in its configuration to send results again",
            known.repository.name
        );
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let repository = known.repository.id;
    let stream = state
        .directory
        .find_or_insert_stream(database, repository, &upload.environment, &upload.component)
        .await?;
    let series = &state.directory.series;
    let numbers = series
        .find_or_insert(database, stream, &upload.values.names)
        .await?;
    let base = match &upload.base {
        Some(base) => {
            let numbers = series.find_or_insert(database, stream, &base.names).await?;
            Some(base.results_by_series(&numbers).to_json())
        }
        None => None,
    };
    let purpose = purpose(state, &known, request, &branch).await?;
    let received = UnixMillis::now();
    let commit_time = match request.commit_time {
        Some(time) => time_in_history(state, stream, &purpose, time, received).await?,
        None => None,
    };
    let problems = (!upload.problems.is_empty()).then(|| serde_json::json!(upload.problems).to_string());
    let run = NewRun {
        repository,
        stream,
        branch: branch.as_str().to_owned(),
        target: purpose.target,
        commit: purpose.commit,
        pull_request: purpose.pull_request,
        key: upload.key.as_str().to_owned(),
        received,
        commit_time,
        uploader: principal.name.clone(),
        workflow_run: request.workflow_run,
        results: upload.values.results_by_series(&numbers).to_json(),
        base,
        problems,
    };
    // Whoever finds no place leaves the run to the workers.
    let place = Arc::clone(&state.judging).try_acquire_owned().ok();
    let head_start = if place.is_some() {
        HEAD_START
    } else {
        Duration::ZERO
    };
    let (id, already_stored) = store(state, run, head_start, correlation).await?;
    let names = upload.values.names_by_series(&numbers);
    let response =
        |verdicts: Option<&RunVerdicts>| answer(id, already_stored, verdicts, &names, &upload.problems);
    if already_stored {
        let mut connection = database.acquire_reader().await?;
        let judgement = judgements::of_run(&mut connection, id).await?;
        let verdicts = judgement.and_then(|judgement| RunVerdicts::from_json(&judgement.verdicts).ok());
        return Ok(response(verdicts.as_ref()));
    }
    if place.is_none() {
        state.to_judge.notify_one();
        tokio::time::sleep(state.load_shedding.delay()).await;
        return Ok(response(None));
    }
    let Some(judged) = judge_stored(state, id, correlation).await? else {
        return Ok(response(None));
    };
    let answer = response(Some(&judged.verdicts));
    // The run is safe and its job waits: if this is lost, a worker judges again and comes to the same.
    let saving = state.clone();
    let is_large = upload.values.names.len() >= LARGE_RUN;
    state.background.spawn(async move {
        if let Err(error) = judged.consequences.save_judgement(&saving).await {
            tracing::error!(%error, "a judgement was not saved; a worker will make it again");
        }
        if is_large {
            saving.large_work.notify_one();
        }
        drop(place);
    });
    Ok(answer)
}

/// Holds what GitHub says of the workflow's repository against what is known: a repository that was renamed keeps its
/// history, and one that was made under the name of another does not get that one's.
async fn check_identity(state: &AppState, name: &RepoName, number: u64) -> Result<(), Problem> {
    let known = state.directory.find_repository(&state.database, name).await?;
    let is_it = |known: &ConfiguredRepository| {
        known.repository.github_id == Some(number) && known.repository.name == *name
    };
    if known.is_some_and(|known| is_it(&known)) {
        return Ok(());
    }
    let wanted = name.clone();
    let identified = state.database.run_in_transaction(move |connection| {
        let name = wanted.clone();
        Box::pin(async move {
            identity::identify_repository(connection, &name, number, NameConflict::Refuse).await
        })
    });
    let identified = identified.await?;
    state.directory.forget_repository(name);
    match identified {
        Identity::Known(_) => Ok(()),
        Identity::Renamed(_, former) => {
            tracing::info!(%former, %name, "the repository was renamed; its history goes with it");
            state.directory.forget_repository(&former);
            Ok(())
        }
        Identity::Taken => {
            let detail = format!(
                "{name} is another repository here than the one that GitHub calls so now; whoever runs regressd has to remove the old one"
            );
            Err(Problem::new(StatusCode::FORBIDDEN, detail))
        }
    }
}

/// How far a clock may be ahead of this one.
const MAX_AHEAD: Duration = Duration::from_secs(24 * 3600);

/// The time of a run's commit, where the run goes by it: not that of an old commit that is measured again, which tells of the
/// machine of today.
async fn time_in_history(
    state: &AppState,
    stream: StreamId,
    purpose: &Purpose,
    time: jiff::Timestamp,
    received: UnixMillis,
) -> Result<Option<UnixMillis>, Problem> {
    let time = UnixMillis(time.as_millisecond());
    let mut connection = state.database.acquire_reader().await?;
    let newest = runs::newest_arrival(&mut connection, stream, &purpose.target).await?;
    let now = newest.map_or(received, |newest| newest.max(received));
    if time > now.saturating_add(MAX_AHEAD) {
        let detail = format!("the commit time {time} is in the future");
        return Err(Problem::unprocessable(detail));
    }
    let again = runs::history_went_on(&mut connection, stream, &purpose.target, &purpose.commit).await?;
    Ok((!again).then_some(time))
}

/// What a run is for.
struct Purpose {
    /// The pull request that it belongs to.
    pull_request: Option<u32>,
    /// The branch by whose history it is judged.
    target: String,
    /// The commit that its verdicts are about.
    commit: String,
}

fn of_reference(branch: &BranchName) -> Result<BranchName, Problem> {
    BranchName::of_reference(branch.as_str()).map_err(|error| Problem::unprocessable(error.to_string()))
}

async fn purpose(
    state: &AppState,
    known: &ConfiguredRepository,
    request: &AnalyzeRequest,
    branch: &BranchName,
) -> Result<Purpose, Problem> {
    let default = known.repository.default_branch.as_deref();
    // What a merge queue tries is judged by the branch it is to go into, and becomes its history when it lands there.
    let queued_for = branch.merge_queue_target();
    let has_baseline = queued_for.is_none() && known.config.has_baseline(branch.as_str(), default);
    let mut target = match &request.target_branch {
        Some(target) => Some(of_reference(target)?.as_str().to_owned()),
        None => None,
    };
    let measured = request.head_commit.as_ref().unwrap_or(&request.commit);
    let mut commit = measured.as_str().to_owned();
    let merged = branch.merged_pull_request();
    let mut connection = state.database.acquire_reader().await?;
    let repository = known.repository.id;
    let pull = match request.pull_request.or(merged) {
        Some(number) => pull_requests::find_pull_request(&mut connection, repository, number).await?,
        None => pull_requests::by_head(&mut connection, repository, &commit).await?,
    };
    drop(connection);
    // What main measured of itself is its history, though its head may be that of a pull request as well; but a fork may
    // call its branch main.
    let given = request.pull_request.or(merged).is_some();
    let pull = pull.filter(|pull| given || !has_baseline || pull.from_fork != Some(false));
    let pull_request = request
        .pull_request
        .or(merged)
        .or(pull.as_ref().map(|pull| pull.number));
    if let Some(pull) = pull {
        // A workflow for a pull request measures a commit of GitHub's own, which nobody looks at.
        if merged.is_some() && request.head_commit.is_none() {
            commit = pull.head_sha;
        }
        target = target.or(Some(pull.base_branch));
    }
    target = target.or(queued_for.map(str::to_owned));
    let own = (has_baseline && pull_request.is_none()).then(|| branch.as_str().to_owned());
    let target = target.or(own).or(known.repository.default_branch.clone());
    Ok(Purpose {
        pull_request,
        target: target.unwrap_or_else(|| "main".to_owned()),
        commit,
    })
}

/// Stores the run and the job to judge it; or finds that they were stored before.
async fn store(
    state: &AppState,
    run: NewRun,
    head_start: Duration,
    correlation: &str,
) -> Result<(RunId, bool), Problem> {
    let run = Arc::new(run);
    let (storing, correlation) = (Arc::clone(&run), correlation.to_owned());
    let stored = state.database.run_in_transaction(move |connection| {
        let (run, correlation) = (Arc::clone(&storing), correlation.clone());
        Box::pin(async move {
            let Some(id) = runs::insert_run(connection, &run).await? else {
                return Ok(None);
            };
            let mut job = job_requests::judge_run(id, &correlation);
            job.due = job.due.saturating_add(head_start);
            job_table::enqueue_job(connection, &job).await?;
            Ok(Some(id))
        })
    });
    if let Some(id) = stored.await? {
        metrics::counter!("regressd_runs_total").increment(1);
        return Ok((id, false));
    }
    let mut connection = state.database.acquire_reader().await?;
    match runs::by_key(&mut connection, run.stream, &run.commit, &run.key).await? {
        Some(MeasuredRun { id, run: stored }) if stored.results == run.results && stored.base == run.base => {
            Ok((id, true))
        }
        Some(MeasuredRun { id, .. }) => {
            let detail = format!(
                "run {} was stored under this run id with other results; choose another",
                id.0
            );
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
        None => Err(Problem::new(
            StatusCode::CONFLICT,
            "the run was removed meanwhile; send it again",
        )),
    }
}

fn answer(
    RunId(run): RunId,
    already_stored: bool,
    verdicts: Option<&RunVerdicts>,
    names: &Names,
    problems: &[String],
) -> (StatusCode, Json<AnalyzeResponse>) {
    let stored = verdicts.into_iter().flat_map(|verdicts| &verdicts.verdicts);
    let results =
        stored.filter_map(|verdict| Some(verdict.to_regression_result(names.get(&verdict.series)?)));
    let response = AnalyzeResponse {
        run,
        state: if verdicts.is_some() { "judged" } else { "queued" },
        already_stored,
        outcome: verdicts.map(|verdicts| verdicts.outcome().as_str()),
        needs_confirmation: verdicts.is_some_and(RunVerdicts::needs_confirmation),
        machine_factor: verdicts.and_then(|verdicts| verdicts.machine),
        results: results.collect(),
        shifts: verdicts.map_or_else(Vec::new, |all| {
            all.shifts.iter().map(ToString::to_string).collect()
        }),
        problems: problems.to_vec(),
    };
    let status = if verdicts.is_some() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    (status, Json(response))
}
