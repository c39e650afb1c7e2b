//! Takes what a forced push left behind out of the history of a branch.

use super::JobFailure;
use super::notify::find_destination;
use crate::database::jobs::QueuedJob;
use crate::database::rewritten;
use crate::github::commits_left_behind;
use crate::job_requests::AboutRewrite;
use crate::state::AppState;

/// Asks GitHub which commits the branch does not have any more; without an App only its former head is known.
pub(super) async fn forget_rewritten(state: &AppState, job: &QueuedJob) -> Result<(), JobFailure> {
    let about: AboutRewrite = serde_json::from_str(&job.payload)?;
    let mut commits = match find_destination(state, about.repository).await? {
        Some((_, remote)) => commits_left_behind(&remote, &about.after, &about.before).await?,
        None => Vec::new(),
    };
    commits.push(about.before.clone());
    commits.retain(|commit| *commit != about.after);
    let branch = about.branch.clone();
    let remove = state.database.run_in_transaction(move |connection| {
        let (branch, commits) = (about.branch.clone(), commits.clone());
        Box::pin(async move {
            rewritten::remove_from_branch(connection, about.repository, &branch, &commits).await
        })
    });
    let left = remove.await?;
    tracing::info!(%branch, runs = left, "a forced push took commits out of the history");
    Ok(())
}
