//! Notifies people: comments, check runs, issues, and workflows that are asked to measure again.

use std::collections::BTreeSet;

use crate::database::jobs::{self, QueuedJob};
use crate::database::repositories;
use crate::database::runs;
use crate::database::streams;
use crate::database::{judgements, pull_requests};
use crate::directory::ConfiguredRepository;
use crate::domain::{CommentRule, CommitSha, PullNumber, RepositoryId, RunId};
use crate::github::{
    Again, Badge, CheckRun, CheckState, Conclusion, Extras, GitHubError, Repository, TrackingIssue,
    annotations_for_report, comment_room, comment_text, conclusion_for_outcome, end_check_run,
    pull_requests_of, put_check_run, put_comment, put_tracking_issue, regressd_marker, rerun_workflow,
};
use crate::job_requests::{
    self, AboutCommit, AboutPullRequest, AboutRegression, AboutRun, AboutWaitingCheck, WaitEnd,
};
use crate::judging::{Histories, JudgedPart, build_commit_report, load_baseline_input, load_commit_parts};
use crate::state::AppState;
use regress_report::benchmarks::Outcome;

use super::JobFailure;

/// The name of the check run on GitHub.
const CHECK_NAME: &str = "benchmarks";

impl From<GitHubError> for JobFailure {
    fn from(error: GitHubError) -> Self {
        let (again, reason) = (error.when_to_retry(), error.to_string());
        match again {
            Again::After(wait) => Self::Again {
                reason,
                wait: Some(wait),
                counts: false,
            },
            Again::Later => Self::retry_later(reason),
            Again::Never => Self::Never(reason),
        }
    }
}

/// The repository of a job here and on GitHub; `None` when nothing is sent there.
pub(super) async fn find_destination(
    state: &AppState,
    id: RepositoryId,
) -> Result<Option<(ConfiguredRepository, Repository)>, JobFailure> {
    let Some(github) = &state.github else {
        return Ok(None);
    };
    let mut connection = state.database.acquire_reader().await?;
    let Some(stored) = repositories::by_id(&mut connection, id).await? else {
        return Ok(None);
    };
    drop(connection);
    let remote = github.find_repository(&stored.name, stored.installation).await?;
    Ok(Some((ConfiguredRepository::from_row(stored), remote)))
}

/// Writes the comment of a pull request.
pub(super) async fn write_comment(state: &AppState, job: &QueuedJob) -> Result<(), JobFailure> {
    let about: AboutPullRequest = serde_json::from_str(&job.payload)?;
    let Some((known, remote)) = find_destination(state, about.repository).await? else {
        return Ok(());
    };
    let mut connection = state.database.acquire_reader().await?;
    let id = known.repository.id;
    let pull = pull_requests::find_pull_request(&mut connection, id, about.number).await?;
    let newest = runs::of_pull_request(&mut connection, id, about.number, 1).await?;
    let has_change = judgements::pull_request_has_change(&mut connection, id, about.number).await?;
    // The newest commit that there are results of: the head's may still be on their way.
    let head = pull.map(|pull| pull.head_sha);
    let newest = newest.into_iter().map(|run| run.run.commit);
    drop(connection);
    let mut parts = Vec::new();
    for commit_url in head.into_iter().chain(newest) {
        parts = parts_of(state, id, &commit_url).await?;
        if !parts.is_empty() {
            break;
        }
    }
    let Some(first) = parts.first() else {
        return Ok(());
    };
    match known.config.notifications.comment {
        CommentRule::Never => return Ok(()),
        CommentRule::OnChange if !has_change => return Ok(()),
        CommentRule::OnChange | CommentRule::Always => {}
    }
    let report = build_commit_report(&parts, "Benchmarks", threshold(state, &known));
    let mut extras = extras(state, &known, first.run.id.0);
    let settings = state.settings.load_full();
    extras.findings = state
        .analytics
        .findings_for_report(&settings.analytics, &report)
        .await;
    let marker = regressd_marker("comment", &[&known.repository.name.to_string()]);
    let text = comment_text(&report, &extras, comment_room(&marker));
    let number = PullNumber(about.number);
    let written = put_comment(&remote, &state.database, number, &marker, &text).await?;
    tracing::info!(?written, pull_request = about.number, "the comment is written");
    Ok(())
}

/// Writes the check run of a commit: judged, or awaited while there are no results.
pub(super) async fn write_check_run(state: &AppState, job: &QueuedJob) -> Result<(), JobFailure> {
    let about: AboutCommit = serde_json::from_str(&job.payload)?;
    let Some((known, remote)) = find_destination(state, about.repository).await? else {
        return Ok(());
    };
    let id = known.repository.id;
    let parts = parts_of(state, id, &about.commit).await?;
    let head = CommitSha::new(&about.commit).map_err(|error| JobFailure::Never(error.to_string()))?;
    if known.config.notifications.check_run {
        let check = match parts.first() {
            Some(first) => judged_check_run(state, &known, &head, &parts, first.run.id.0),
            None => awaited_check_run(&head),
        };
        if check.state == CheckState::InProgress && !parts.is_empty() {
            end_later(state, id, &head, &job.correlation).await?;
        }
        let number = put_check_run(&remote, &state.database, &check).await?;
        tracing::info!(number, commit = %about.commit, "the check run is written");
    }
    // The upload of a fork may have come without the number of its pull request, and before any webhook.
    let orphan = |part: &JudgedPart| part.run.run.pull_request.is_none() && !part.run.run.is_of_history();
    if known.config.notifications.comment != CommentRule::Never && parts.iter().any(orphan) {
        attach_pull_requests(state, id, &remote, &head, &job.correlation).await?;
    }
    Ok(())
}

/// Ends the check run of a commit, if it still waits for results or a confirming run.
pub(super) async fn end_waiting_check(state: &AppState, job: &QueuedJob) -> Result<(), JobFailure> {
    let about: AboutWaitingCheck = serde_json::from_str(&job.payload)?;
    let Some((known, remote)) = find_destination(state, about.repository).await? else {
        return Ok(());
    };
    let parts = parts_of(state, about.repository, &about.commit).await?;
    let head = CommitSha::new(&about.commit).map_err(|error| JobFailure::Never(error.to_string()))?;
    let check = ended_check_run(state, &known, &head, &parts, about.end);
    let number = end_check_run(&remote, &state.database, &check).await?;
    if let Some(number) = number {
        tracing::info!(number, commit = %about.commit, "a check run that waited in vain is ended");
    }
    Ok(())
}

fn awaited_check_run(head: &CommitSha) -> CheckRun {
    CheckRun {
        head: head.to_string(),
        name: CHECK_NAME.to_owned(),
        state: CheckState::InProgress,
        title: "Results are awaited".to_owned(),
        summary: "No results of this commit have come yet.".to_owned(),
        details_url: None,
        annotations: Vec::new(),
    }
}

/// Lets the check of a suspected commit end as neutral when its confirming run does not come.
async fn end_later(
    state: &AppState,
    id: RepositoryId,
    head: &CommitSha,
    correlation: &str,
) -> Result<(), JobFailure> {
    let end = (WaitEnd::Overdue, state.settings.load().github.results_timeout());
    let later = job_requests::end_check_run(id, head.as_str(), end, correlation);
    let write = state.database.run_in_transaction(move |connection| {
        let later = later.clone();
        Box::pin(async move { jobs::enqueue_job(connection, &later).await })
    });
    write.await?;
    Ok(())
}

/// What a check says that waited in vain: never a success.
fn ended_check_run(
    state: &AppState,
    known: &ConfiguredRepository,
    head: &CommitSha,
    parts: &[JudgedPart],
    end: WaitEnd,
) -> CheckRun {
    let why = match end {
        WaitEnd::Closed => "the pull request was closed".to_owned(),
        WaitEnd::Overdue => {
            let minutes = state.settings.load().github.results_within_minutes;
            format!("none came within {minutes} minutes")
        }
    };
    let mut check = match parts.first() {
        Some(first) => judged_check_run(state, known, head, parts, first.run.id.0),
        None => awaited_check_run(head),
    };
    if check.state == CheckState::InProgress {
        let (title, awaited) = match parts.is_empty() {
            true => ("No results".to_owned(), "Results of this commit were awaited"),
            false => (check.title, "A confirming run of this commit was awaited"),
        };
        check.title = title;
        check.summary = format!("{awaited}: {why}.\n\n{}", check.summary);
        check.state = CheckState::Completed(Conclusion::Neutral);
    }
    check
}

fn judged_check_run(
    state: &AppState,
    known: &ConfiguredRepository,
    head: &CommitSha,
    parts: &[JudgedPart],
    run: i64,
) -> CheckRun {
    let report = build_commit_report(parts, "Benchmarks", threshold(state, known));
    let extras = extras(state, known, run);
    let concluded = match conclusion_for_outcome(report.outcome) {
        Conclusion::Failure if !known.config.notifications.fail_check => Conclusion::Neutral,
        other => other,
    };
    // A confirming run was asked for: until it is judged, nothing is decided.
    let awaits =
        |part: &JudgedPart| part.run.run.workflow_run.is_some() && part.verdicts.needs_confirmation();
    let awaited = report.outcome == Outcome::Suspected
        && known.config.notifications.confirm
        && parts.iter().any(awaits);
    CheckRun {
        head: head.to_string(),
        name: CHECK_NAME.to_owned(),
        state: match awaited {
            true => CheckState::InProgress,
            false => CheckState::Completed(concluded),
        },
        title: report.summary.clone(),
        summary: comment_text(&report, &extras, comment_room("")),
        details_url: extras.page.clone(),
        annotations: annotations_for_report(&report, "README.md"),
    }
}

/// Finds the pull requests of a commit that was measured without one, and lets each have its comment.
async fn attach_pull_requests(
    state: &AppState,
    id: RepositoryId,
    remote: &Repository,
    head: &CommitSha,
    correlation: &str,
) -> Result<(), JobFailure> {
    let mut connection = state.database.acquire_reader().await?;
    let known = pull_requests::by_head(&mut connection, id, head.as_str()).await?;
    drop(connection);
    let numbers = match known {
        Some(known) => vec![known.number],
        None => pull_requests_of(remote, head)
            .await?
            .into_iter()
            .map(|PullNumber(number)| number)
            .collect(),
    };
    for number in numbers {
        let comment = job_requests::write_comment(id, number, correlation);
        let head = head.as_str().to_owned();
        let write = state.database.run_in_transaction(move |connection| {
            let (comment, head) = (comment.clone(), head.clone());
            Box::pin(async move {
                runs::attach_pull_request(connection, id, &head, number).await?;
                jobs::enqueue_job(connection, &comment).await
            })
        });
        write.await?;
    }
    state.work.notify_one();
    Ok(())
}

/// Asks the workflow that measured a suspected run to measure again, once a commit.
pub(super) async fn request_confirmation(state: &AppState, job: &QueuedJob) -> Result<(), JobFailure> {
    let about: AboutRun = serde_json::from_str(&job.payload)?;
    let mut connection = state.database.acquire_reader().await?;
    let Some(run) = runs::by_id(&mut connection, about.run).await? else {
        return Ok(());
    };
    let asked = judgements::was_asked(&mut connection, run.run.stream, &run.run.commit).await?;
    drop(connection);
    let Some(workflow) = run.run.workflow_run.filter(|_| !asked) else {
        return Ok(());
    };
    let Some((_, remote)) = find_destination(state, run.run.repository).await? else {
        return Ok(());
    };
    rerun_workflow(&remote, workflow).await?;
    tracing::info!(workflow, commit = %run.run.commit, "a confirming run was asked for");
    let write = state.database.run_in_transaction(move |connection| {
        let run = run.run.clone();
        Box::pin(async move { judgements::ask_confirmation(connection, run.stream, &run.commit).await })
    });
    write.await?;
    Ok(())
}

/// Benchmarks that an issue names.
const MAX_NAMED: usize = 50;

/// Opens, updates or closes the issue of what a commit made slower: one for all of its benchmarks.
pub(super) async fn update_issue(state: &AppState, job: &QueuedJob) -> Result<(), JobFailure> {
    let about: AboutRegression = serde_json::from_str(&job.payload)?;
    let slower = slower_benchmarks(state, &about).await?;
    let Some((_, remote)) = find_destination(state, about.repository).await? else {
        return Ok(());
    };
    let (branch, commit) = (plain(&about.branch), about.commit.as_str());
    let short: String = commit.chars().take(10).collect();
    let (title, text) = match slower.as_slice() {
        [] => (
            format!("Benchmarks got slower on {branch} at {short}"),
            format!("All that got slower at {commit} is back within its limits on `{branch}`.\n"),
        ),
        [one] => (
            format!("Benchmark {} got slower on {branch}", one.name),
            issue_text(&branch, commit, &slower),
        ),
        [one, others @ ..] => (
            format!(
                "Benchmark {} and {} more got slower on {branch}",
                one.name,
                others.len()
            ),
            issue_text(&branch, commit, &slower),
        ),
    };
    let wanted = TrackingIssue {
        marker: regressd_marker("issue", &[&about.branch, &about.commit]),
        title: title.chars().take(250).collect(),
        text,
        open: !slower.is_empty(),
    };
    let change = put_tracking_issue(&remote, &state.database, &wanted).await?;
    tracing::info!(
        ?change,
        commit,
        benchmarks = slower.len(),
        "the issue is up to date"
    );
    Ok(())
}

/// A benchmark that an issue names; all of it fit to stand in a code span.
struct SlowerBenchmark {
    series: i64,
    name: String,
    measure: String,
    place: String,
}

/// Names of benchmarks are the text of strangers; code spans show them as they are.
fn plain(text: &str) -> String {
    text.replace(['`', '\n'], "'")
}

/// What is slower on the branch since a commit, in all components and environments.
async fn slower_benchmarks(
    state: &AppState,
    about: &AboutRegression,
) -> Result<Vec<SlowerBenchmark>, JobFailure> {
    let mut slower = Vec::new();
    let mut connection = state.database.acquire_reader().await?;
    let histories = Histories {
        run_cache: &state.run_cache,
        baseline_runs: state.settings.load().judging.baseline_runs,
    };
    for stream in streams::of_repository(&mut connection, about.repository).await? {
        let runs = runs::of_commit(&mut connection, stream.id, &about.commit).await?;
        let runs: BTreeSet<RunId> = runs.into_iter().map(|run| run.id).collect();
        if runs.is_empty() {
            continue;
        }
        let input = load_baseline_input(&mut connection, histories, stream.id, &about.branch).await?;
        for id in input.slower_since(&runs) {
            let Some(series) = streams::find_series(&mut connection, id).await? else {
                continue;
            };
            slower.push(SlowerBenchmark {
                series: id.0,
                name: plain(&series.name.benchmark),
                measure: plain(&series.name.measure),
                place: format!(
                    "component `{}`, environment `{}`",
                    plain(&stream.component),
                    plain(&stream.environment)
                ),
            });
        }
    }
    Ok(slower)
}

fn issue_text(branch: &str, commit: &str, slower: &[SlowerBenchmark]) -> String {
    let mut text = format!("Slower on `{branch}` since commit {commit}:\n\n");
    for one in slower.iter().take(MAX_NAMED) {
        text.push_str(&format!(
            "- `{}` ({}, {}; series {})\n",
            one.name, one.measure, one.place, one.series
        ));
    }
    if slower.len() > MAX_NAMED {
        text.push_str(&format!("- and {} more\n", slower.len() - MAX_NAMED));
    }
    text.push_str(
        "\nSlow values stay out of the baselines. If a change is meant, accept it: \
         `POST /v1/series/{series}/accept` with a justification.\n",
    );
    text
}

fn threshold(state: &AppState, known: &ConfiguredRepository) -> f64 {
    let default = state.settings.load().judging.threshold_percent;
    known.config.threshold_percent.unwrap_or(default)
}

fn extras(state: &AppState, known: &ConfiguredRepository, run: i64) -> Extras {
    let settings = state.settings.load();
    let Some(url) = settings.server.public_url.as_deref() else {
        return Extras::default();
    };
    let (url, name) = (url.trim_end_matches('/'), &known.repository.name);
    // GitHub fetches pictures as nobody: it would be shown that there is nothing to see.
    let is_public = known.config.public || settings.server.public_read;
    let badge = is_public.then(|| Badge {
        picture: format!("{url}/badge/{name}.svg"),
        page: format!("{url}/repositories/{name}"),
    });
    Extras {
        page: Some(format!("{url}/runs/{run}")),
        badge,
        findings: Vec::new(),
    }
}

/// The newest judged run of a commit in each stream.
async fn parts_of(
    state: &AppState,
    repository: RepositoryId,
    commit: &str,
) -> Result<Vec<JudgedPart>, JobFailure> {
    Ok(load_commit_parts(state, repository, commit).await?)
}
