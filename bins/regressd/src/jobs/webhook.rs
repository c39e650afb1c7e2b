//! Acts on a webhook: notes what it says about repositories and pull requests, and tells again what is known already.

use std::time::Duration;

use sqlx::AnyConnection;

use super::JobFailure;
use crate::database::deliveries::{self, DeliveryState};
use crate::database::identity::{self, Identity, NameConflict};
use crate::database::jobs::{self, QueuedJob};
use crate::database::pull_requests::{self, PullRequest};
use crate::database::repositories;
use crate::database::runs::NewRun;
use crate::database::{landed, rewritten, runs, streams};
use crate::directory::ConfiguredRepository;
use crate::domain::{BranchName, CommitSha, RepoName, RepositoryId};
use crate::job_requests::{self, AboutDelivery, AboutRewrite, WaitEnd};
use crate::state::AppState;
use crate::webhook::{
    Event, InstallationEvent, MergeGroupEvent, PullRequestAction, PullRequestEvent, PushEvent,
};

pub(super) async fn handle_delivery(state: &AppState, job: &QueuedJob) -> Result<(), JobFailure> {
    let about: AboutDelivery = serde_json::from_str(&job.payload)?;
    let mut connection = state.database.acquire_reader().await?;
    let Some(delivery) = deliveries::find_delivery(&mut connection, &about.delivery).await? else {
        return Ok(());
    };
    drop(connection);
    let event: Event = serde_json::from_str(&delivery.payload)?;
    tracing::info!(event = event.name(), delivery = %delivery.id, "acting on a webhook");
    let correlation = job.correlation.clone();
    let terms = Terms {
        app: state.github.as_ref().and_then(crate::github::GitHub::app_id),
        patience: state.settings.load().github.results_timeout(),
    };
    let touched = repository_of(&event).cloned();
    let former = match &event {
        Event::Renamed(event) => Some(event.former.clone()),
        _ => None,
    };
    state
        .database
        .run_in_transaction(move |connection| {
            let (event, id, correlation) = (event.clone(), delivery.id.clone(), correlation.clone());
            Box::pin(async move {
                apply(connection, &event, terms, &correlation).await?;
                deliveries::set_state(connection, &id, DeliveryState::Done).await
            })
        })
        .await?;
    if let Some(name) = touched {
        state.directory.forget_repository(&name);
    }
    if let Some(former) = former {
        state.directory.forget_repository(&former);
    }
    state.work.notify_one();
    state.to_judge.notify_one();
    Ok(())
}

fn repository_of(event: &Event) -> Option<&RepoName> {
    match event {
        Event::PullRequest(event) => Some(&event.repository),
        Event::Push(event) => Some(&event.repository),
        Event::Rerequested(event) => Some(&event.repository),
        Event::WorkflowRun(event) => Some(&event.repository),
        Event::Renamed(event) => Some(&event.repository),
        Event::MergeGroup(event) => Some(&event.repository),
        Event::Installation(_) | Event::Ping | Event::Ignored { .. } => None,
    }
}

/// What events are acted on by.
#[derive(Clone, Copy)]
struct Terms {
    /// The number of our App.
    app: Option<u64>,
    /// How long a check waits for results.
    patience: Duration,
}

async fn apply(
    connection: &mut AnyConnection,
    event: &Event,
    terms: Terms,
    correlation: &str,
) -> sqlx::Result<()> {
    match event {
        Event::PullRequest(event) => pull_request(connection, event, terms.patience, correlation).await,
        Event::Push(event) => push(connection, event, correlation).await,
        // Other apps' checks are theirs.
        Event::Rerequested(event) if event.app.is_some() && event.app != terms.app => Ok(()),
        Event::Rerequested(event) => {
            let id = note(
                connection,
                (&event.repository, event.repository_id),
                event.installation,
                None,
            )
            .await?;
            judge_again(connection, id, &event.head, correlation, |_| true).await?;
            notify_about_commit(connection, id, &event.head, correlation).await
        }
        Event::WorkflowRun(event) => {
            let id = note(
                connection,
                (&event.repository, event.repository_id),
                event.installation,
                None,
            )
            .await?;
            // Its results came by upload, maybe before the pull request was known here.
            notify_about_commit(connection, id, &event.head, correlation).await
        }
        Event::Installation(event) => installation(connection, event).await,
        Event::Renamed(event) => {
            identity::adopt_former_name(connection, &event.former, event.repository_id).await?;
            let named = (&event.repository, Some(event.repository_id));
            note(connection, named, event.installation, None).await.map(drop)
        }
        Event::MergeGroup(event) => merge_group(connection, event, terms.patience, correlation).await,
        Event::Ping | Event::Ignored { .. } => Ok(()),
    }
}

/// The repository that an event is about, with what the event says of it. Its number finds it under whatever name.
async fn note(
    connection: &mut AnyConnection,
    (name, number): (&RepoName, Option<u64>),
    installation: Option<u64>,
    default_branch: Option<&str>,
) -> sqlx::Result<RepositoryId> {
    let id = match number {
        Some(number) => {
            let found = identity::identify_repository(connection, name, number, NameConflict::SetAside);
            match found.await? {
                Identity::Known(id) | Identity::Renamed(id, _) => Some(id),
                Identity::Taken => None,
            }
        }
        None => None,
    };
    let id = match id {
        Some(id) => id,
        None => repositories::insert_repository(connection, name).await?,
    };
    repositories::set_github(connection, id, installation, default_branch).await?;
    Ok(id)
}

/// A push makes its commit the head of a branch. If pull requests are judged by that branch, what was measured of the
/// commit before it landed counts for it from now on, and so does what is measured of it yet.
async fn push(connection: &mut AnyConnection, event: &PushEvent, correlation: &str) -> sqlx::Result<()> {
    let default = event.default_branch.as_ref().map(BranchName::as_str);
    let id = note(
        connection,
        (&event.repository, event.repository_id),
        event.installation,
        default,
    )
    .await?;
    let Some(repository) = repositories::by_id(connection, id).await? else {
        return Ok(());
    };
    let known = ConfiguredRepository::from_row(repository);
    let (branch, commit) = (event.branch.as_str(), event.after.as_str());
    if !known
        .config
        .has_baseline(branch, known.repository.default_branch.as_deref())
    {
        return Ok(());
    }
    if let Some(before) = &event.replaced {
        let about = AboutRewrite {
            repository: id,
            branch: branch.to_owned(),
            before: before.as_str().to_owned(),
            after: commit.to_owned(),
        };
        jobs::enqueue_job(connection, &job_requests::forget_rewritten(&about, correlation)).await?;
    }
    landed::insert_landed_commit(connection, id, branch, commit).await?;
    if rewritten::restore_to_branch(connection, id, branch, commit).await? {
        let returns = |run: &NewRun| run.target == branch;
        return judge_again(connection, id, &event.after, correlation, returns).await;
    }
    let lands = |run: &NewRun| run.target == branch && !run.is_of_history();
    judge_again(connection, id, &event.after, correlation, lands).await
}

/// A merge queue waits for the check of a commit that no pull request has, or does not wait any longer.
async fn merge_group(
    connection: &mut AnyConnection,
    event: &MergeGroupEvent,
    patience: Duration,
    correlation: &str,
) -> sqlx::Result<()> {
    let named = (&event.repository, event.repository_id);
    let id = note(connection, named, event.installation, None).await?;
    // Where nothing was ever measured no results are awaited.
    if streams::of_repository(connection, id).await?.is_empty() {
        return Ok(());
    }
    let head = event.head.as_str();
    if event.waits {
        request_check_run(connection, id, &event.head, correlation).await?;
        return end_check_run(connection, id, head, (WaitEnd::Overdue, patience), correlation).await;
    }
    end_check_run(
        connection,
        id,
        head,
        (WaitEnd::Closed, Duration::ZERO),
        correlation,
    )
    .await
}

async fn pull_request(
    connection: &mut AnyConnection,
    event: &PullRequestEvent,
    patience: Duration,
    correlation: &str,
) -> sqlx::Result<()> {
    let id = note(
        connection,
        (&event.repository, event.repository_id),
        event.installation,
        None,
    )
    .await?;
    let before = pull_requests::find_pull_request(connection, id, event.number.0).await?;
    let stored = PullRequest {
        number: event.number.0,
        head_sha: event.head.as_str().to_owned(),
        base_branch: event.base.to_string(),
        base_sha: Some(event.base_commit.as_str().to_owned()),
        open: event.action != PullRequestAction::Closed,
        from_fork: Some(event.from_fork),
    };
    pull_requests::put_pull_request(connection, id, &stored).await?;
    // A fork may call its branch main, and its results may have come before this was known to be a fork's commit.
    if event.from_fork && !landed::is_on(connection, id, &stored.base_branch, &stored.head_sha).await? {
        let head = &stored.head_sha;
        if runs::leave_history(connection, id, head, &stored.base_branch, stored.number).await? > 0 {
            judge_again(connection, id, &event.head, correlation, |_| true).await?;
        }
    }
    // The push that merged it may have come first, when it was not known yet that no fork had brought it.
    let number = Some(stored.number);
    if landed::counts_as_history(connection, id, &stored.base_branch, &stored.head_sha, number).await? {
        let lands = |run: &NewRun| run.target == stored.base_branch && !run.is_of_history();
        judge_again(connection, id, &event.head, correlation, lands).await?;
    }
    if stored.open {
        notify_about_commit(connection, id, &event.head, correlation).await?;
        // Until there are results, the check says that they are awaited; where nothing was ever measured none are.
        if !streams::of_repository(connection, id).await?.is_empty() {
            request_check_run(connection, id, &event.head, correlation).await?;
            end_check_run(
                connection,
                id,
                stored.head_sha.as_str(),
                (WaitEnd::Overdue, patience),
                correlation,
            )
            .await?;
        }
    } else if let Some(before) = before.filter(|before| before.open) {
        let end = (WaitEnd::Closed, Duration::ZERO);
        end_check_run(connection, id, &before.head_sha, end, correlation).await?;
    }
    Ok(())
}

async fn installation(connection: &mut AnyConnection, event: &InstallationEvent) -> sqlx::Result<()> {
    if event.gone {
        return repositories::forget_installation(connection, event.installation).await;
    }
    for (index, name) in event.added.iter().enumerate() {
        let number = event.added_ids.get(index).copied();
        note(connection, (name, number), Some(event.installation), None).await?;
    }
    for name in &event.removed {
        repositories::forget_installation_of(connection, name).await?;
    }
    Ok(())
}

/// Lets comment and check say what is known about a commit, if anything is.
async fn notify_about_commit(
    connection: &mut AnyConnection,
    id: RepositoryId,
    commit: &CommitSha,
    correlation: &str,
) -> sqlx::Result<()> {
    let mut known = false;
    for stream in streams::of_repository(connection, id).await? {
        known = known
            || !runs::of_commit(connection, stream.id, commit.as_str())
                .await?
                .is_empty();
    }
    if !known {
        return Ok(());
    }
    if let Some(pull) = pull_requests::by_head(connection, id, commit.as_str()).await? {
        let comment = job_requests::write_comment(id, pull.number, correlation);
        jobs::enqueue_job(connection, &comment).await?;
    }
    request_check_run(connection, id, commit, correlation).await
}

async fn end_check_run(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    commit: &str,
    end: (WaitEnd, Duration),
    correlation: &str,
) -> sqlx::Result<()> {
    let check = job_requests::end_check_run(repository, commit, end, correlation);
    jobs::enqueue_job(connection, &check).await.map(drop)
}

async fn request_check_run(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    commit: &CommitSha,
    correlation: &str,
) -> sqlx::Result<()> {
    let check = job_requests::write_check_run(repository, commit.as_str(), correlation);
    jobs::enqueue_job(connection, &check).await.map(drop)
}

/// Judges these runs of a commit anew: rules or baselines may have changed since.
async fn judge_again(
    connection: &mut AnyConnection,
    id: RepositoryId,
    commit: &CommitSha,
    correlation: &str,
    which: impl Fn(&NewRun) -> bool,
) -> sqlx::Result<()> {
    for stream in streams::of_repository(connection, id).await? {
        let runs = runs::of_commit(connection, stream.id, commit.as_str()).await?;
        for run in runs.into_iter().filter(|run| which(&run.run)) {
            jobs::enqueue_job(connection, &job_requests::judge_run(run.id, correlation)).await?;
        }
    }
    Ok(())
}
