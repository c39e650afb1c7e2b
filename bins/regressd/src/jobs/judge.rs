//! Judges a run that no request had time for.

use super::Failure;
use crate::database::jobs::Job;
use crate::database::runs::RunId;
use crate::judging::{AboutRun, judge_stored};
use crate::state::AppState;

pub(super) async fn judge(state: &AppState, job: &Job) -> Result<(), Failure> {
    let about: AboutRun = serde_json::from_str(&job.payload)?;
    // A run that is gone was removed for its age: there is nothing left to do.
    if let Some(judged) = judge_stored(state, RunId(about.run), None, &job.correlation).await? {
        judged.consequences.save(state).await?;
    }
    Ok(())
}
