//! Judges a run that is in the database.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::load::{Histories, JudgingCandidate, read_judging_input};
use super::save::{Consequences, determine_consequences};
use super::{JudgingBatch, JudgingInput, RunVerdicts, evidence, judge_input};
use crate::database::DatabaseError;
use crate::database::runs::MeasuredRun;
use crate::directory::ConfiguredRepository;
use crate::domain::RunId;
use crate::series_directory::Names;
use crate::state::AppState;

/// A run with more benchmarks is judged on a thread of its own: others must not wait for it.
const LARGE: usize = 64;

/// A judged run.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The run.
    pub run: MeasuredRun,
    /// The verdicts.
    pub verdicts: RunVerdicts,
    /// What their series are about.
    pub names: Arc<Names>,
    /// What is to be stored, in one transaction.
    pub consequences: Consequences,
}

/// Judges a run that is in the database. Nothing is changed; see `Consequences::save_judgement`. `None` when there is no such
/// run.
///
/// # Errors
/// When the database does not answer.
pub async fn judge_stored(
    state: &AppState,
    id: RunId,
    correlation: &str,
) -> Result<Option<Judged>, DatabaseError> {
    let mut connection = state.database.acquire_reader().await?;
    let candidate = JudgingCandidate::load_by_id(&mut connection, id).await?;
    drop(connection);
    match candidate {
        Some(candidate) => judge_candidate(state, &candidate, &JudgingBatch::default(), correlation).await,
        None => Ok(None),
    }
}

/// The same for a run that was read already, in a batch with others of its stream.
///
/// # Errors
/// When the database does not answer.
pub async fn judge_candidate(
    state: &AppState,
    candidate: &JudgingCandidate,
    batch: &JudgingBatch,
    correlation: &str,
) -> Result<Option<Judged>, DatabaseError> {
    let settings = state.settings.load_full();
    let run = &candidate.run;
    let (database, directory) = (&state.database, &state.directory);
    let Some(known) = directory.repository_by_id(database, run.run.repository).await? else {
        return Ok(None);
    };
    let component = directory.component_of(database, run.run.stream).await?;
    let mut input = Arc::new(read_input(state, candidate, batch).await?);
    let mut verdicts = judge_with(state, &known, &component, &input).await?;
    let mut judge_again = BTreeSet::new();
    // Only what has no evidence yet needs a look at what others measured.
    if verdicts.shifts.iter().any(|shift| shift.evidence.is_none()) {
        let mut connection = database.acquire_reader().await?;
        let found = evidence::from_outside(&mut connection, run, &input, &verdicts.shifts).await?;
        drop(connection);
        if !found.evidence.is_empty() {
            Arc::make_mut(&mut input).outside.extend(found.evidence);
            verdicts = judge_with(state, &known, &component, &input).await?;
            judge_again = found.judge_again;
        }
    }
    let least = settings.judging.persistent_runs as usize;
    let tells = settings.github.app_id.is_some();
    let mut consequences =
        determine_consequences(&known, run, &input, &verdicts, (least, tells), correlation);
    // Each of them is evidence for the other, and was judged when there was none.
    consequences.judge_again(&judge_again, correlation);
    Ok(Some(Judged {
        run: run.clone(),
        verdicts,
        names: Arc::clone(&input.names),
        consequences,
    }))
}

/// Judges what was read; large runs on a thread of their own.
async fn judge_with(
    state: &AppState,
    known: &ConfiguredRepository,
    component: &str,
    input: &Arc<JudgingInput>,
) -> Result<RunVerdicts, DatabaseError> {
    let settings = state.settings.load_full();
    Ok(match known.config.thresholds(&settings.judging, component) {
        Ok(thresholds) if known.config.judges(component) => {
            if input
                .newest_results()
                .is_some_and(|results| results.0.len() > LARGE)
            {
                let input = Arc::clone(input);
                tokio::task::spawn_blocking(move || judge_input(&input, &thresholds))
                    .await
                    .map_err(|_| DatabaseError::Closed)?
            } else {
                judge_input(input, &thresholds)
            }
        }
        _ => RunVerdicts {
            machine: None,
            paired: false,
            verdicts: Vec::new(),
            shifts: Vec::new(),
            missing: Vec::new(),
        },
    })
}

/// What a stored run is judged by, for showing it.
///
/// # Errors
/// When the database does not answer.
pub async fn load_judging_input(
    state: &AppState,
    candidate: &JudgingCandidate,
) -> Result<JudgingInput, DatabaseError> {
    read_input(state, candidate, &JudgingBatch::default()).await
}

async fn read_input(
    state: &AppState,
    candidate: &JudgingCandidate,
    batch: &JudgingBatch,
) -> Result<JudgingInput, DatabaseError> {
    let histories = Histories {
        run_cache: &state.run_cache,
        baseline_runs: state.settings.load().judging.baseline_runs,
    };
    let mut connection = state.database.acquire_reader().await?;
    let mut input = read_judging_input(&mut connection, histories, candidate, batch).await?;
    drop(connection);
    let series = state
        .directory
        .series
        .names_of(&state.database, input.told().into_iter());
    input.names = Arc::new(series.await?);
    Ok(input)
}
