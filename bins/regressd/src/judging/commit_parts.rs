//! All judged runs of a commit together: what comments, checks and pages tell of it.

use super::{JudgedPart, JudgingCandidate, RunVerdicts, load_judging_input};
use crate::database::{DatabaseError, judgements, streams};
use crate::domain::RepositoryId;
use crate::state::AppState;

/// The newest judged run of a commit in each stream, with the verdicts on all runs of the commit together.
///
/// # Errors
/// When the database does not answer, or stored verdicts cannot be read.
pub async fn load_commit_parts(
    state: &AppState,
    repository: RepositoryId,
    commit: &str,
) -> Result<Vec<JudgedPart>, DatabaseError> {
    let mut connection = state.database.acquire_reader().await?;
    let mut newest = Vec::new();
    for stream in streams::of_repository(&mut connection, repository).await? {
        let judged = judgements::of_commit(&mut connection, stream.id, commit).await?;
        let Some(run) = judged.first().map(|judgement| judgement.run) else {
            continue;
        };
        let all: Result<Vec<_>, _> = judged
            .iter()
            .map(|run| RunVerdicts::from_json(&run.verdicts))
            .collect();
        let all = all.map_err(|error| sqlx::Error::Decode(error.into()))?;
        let verdicts = RunVerdicts::merge_runs(all);
        let candidate = JudgingCandidate::load_by_id(&mut connection, run).await?;
        let found = candidate.zip(verdicts);
        newest.extend(found.map(|(candidate, verdicts)| (stream, candidate, verdicts)));
    }
    drop(connection);
    let mut parts = Vec::new();
    for (stream, candidate, verdicts) in newest {
        parts.push(JudgedPart {
            input: load_judging_input(state, &candidate).await?,
            run: candidate.run,
            component: stream.component,
            environment: stream.environment,
            verdicts,
        });
    }
    Ok(parts)
}
