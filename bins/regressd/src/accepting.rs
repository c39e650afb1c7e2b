//! Accepting a shift: the baseline of a series begins anew with a run, and who wanted that and why is kept. Programs ask
//! for it by the interface, people by a page.

use axum::http::StatusCode;
use regress_core::baseline::Justification;
use sqlx::AnyConnection;

use crate::access::Access;
use crate::database::judgements::{self, JudgedEpoch};
use crate::database::repositories::{self, StoredRepository};
use crate::database::streams::{self, StoredSeries};
use crate::database::{DatabaseError, audit, jobs as job_table};
use crate::domain::{BranchName, Role, RunId, SeriesId, UnixMillis};
use crate::job_requests::{self, AboutRegression};
use crate::judging::{Histories, load_baseline_input};
use crate::problem::Problem;
use crate::state::AppState;

/// Which shift somebody wants to accept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WantedEpoch<'a> {
    /// The number of the series.
    pub(crate) series: i64,
    /// The branch whose baseline begins anew.
    pub(crate) branch: &'a BranchName,
    /// The first run of the new level.
    pub(crate) from_run: i64,
    /// Why the change is meant.
    pub(crate) justification: &'a str,
}

/// Lets the baseline of a series begin anew with a run, and keeps in the audit log who wanted that and why.
///
/// # Errors
/// When the series is not there, `access` is no admin of its repository, or the run is not of the history.
pub(crate) async fn accept_shift(
    state: &AppState,
    access: &Access,
    wanted: WantedEpoch<'_>,
    correlation: &str,
) -> Result<JudgedEpoch, Problem> {
    let mut connection = state.database.acquire_reader().await?;
    let (series, repository) =
        find_accessible_series(&mut connection, access, Role::Read, wanted.series).await?;
    access.require_role(Role::Admin, &repository.name)?;
    let justification = Justification::new(wanted.justification)
        .map_err(|error| Problem::unprocessable(error.to_string()))?;
    let run = RunId(wanted.from_run);
    let judgement = judgements::of_run(&mut connection, run).await?;
    drop(connection);
    let of_history = judgement.is_some_and(|judgement| {
        judgement.accepted && judgement.stream == series.stream && judgement.branch == wanted.branch.as_str()
    });
    if !of_history {
        let detail = format!(
            "run {} is not in the history of this series on {}",
            wanted.from_run, wanted.branch
        );
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let epoch = JudgedEpoch {
        series: series.id,
        branch: wanted.branch.as_str().to_owned(),
        from_run: run,
        justification: justification.as_str().to_owned(),
        actor: access.0.name.clone(),
        at: UnixMillis::now(),
    };
    save(state, &epoch, &repository, correlation).await?;
    Ok(epoch)
}

/// The commit that made the series slower, as far as that is not accepted yet.
async fn slower_since(state: &AppState, epoch: &JudgedEpoch) -> Result<Option<String>, DatabaseError> {
    let mut connection = state.database.acquire_reader().await?;
    let Some(series) = streams::find_series(&mut connection, epoch.series).await? else {
        return Ok(None);
    };
    let histories = Histories {
        run_cache: &state.run_cache,
        baseline_runs: state.settings.load().judging.baseline_runs,
    };
    let input = load_baseline_input(&mut connection, histories, series.stream, &epoch.branch).await?;
    Ok(input.slower_since_commit(epoch.series).map(str::to_owned))
}

async fn save(
    state: &AppState,
    epoch: &JudgedEpoch,
    repository: &StoredRepository,
    correlation: &str,
) -> Result<(), Problem> {
    let subject = format!(
        "{} series {} on {}",
        repository.name, epoch.series.0, epoch.branch
    );
    let detail = serde_json::json!({ "from_run": epoch.from_run.0, "justification": epoch.justification });
    // An issue that was opened for this is done with.
    let commit = slower_since(state, epoch).await?;
    let settings = state.settings.load_full();
    let close = commit.filter(|_| settings.github.app_id.is_some()).map(|commit| {
        let about = AboutRegression {
            repository: repository.id,
            branch: epoch.branch.clone(),
            commit,
        };
        job_requests::update_issue(&about, correlation)
    });
    let (epoch, detail) = (epoch.clone(), detail.to_string());
    let write = state.database.run_in_transaction(move |connection| {
        let (epoch, subject, detail, close) = (epoch.clone(), subject.clone(), detail.clone(), close.clone());
        Box::pin(async move {
            judgements::insert_epoch(connection, &epoch).await?;
            judgements::unreject_from(connection, epoch.series, epoch.from_run).await?;
            audit::insert_audit_entry(connection, &epoch.actor, "baseline.accept", &subject, &detail).await?;
            if let Some(close) = &close {
                job_table::enqueue_job(connection, close).await?;
            }
            Ok(())
        })
    });
    write.await?;
    state.work.notify_one();
    Ok(())
}

/// The series and its repository, if the token may know of it.
pub(crate) async fn find_accessible_series(
    connection: &mut AnyConnection,
    access: &Access,
    role: Role,
    number: i64,
) -> Result<(StoredSeries, StoredRepository), Problem> {
    let missing = || Problem::not_found(format!("there is no series {number}"));
    let series = streams::find_series(connection, SeriesId(number))
        .await?
        .ok_or_else(missing)?;
    let stream = streams::by_id(connection, series.stream)
        .await?
        .ok_or_else(missing)?;
    let repository = repositories::by_id(connection, stream.repository)
        .await?
        .ok_or_else(missing)?;
    if access.0.has_role_in(role, &repository.name) {
        Ok((series, repository))
    } else {
        Err(missing())
    }
}
