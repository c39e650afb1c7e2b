//! Judges a stored run and saves what came out, together with the jobs that tell people.

use std::collections::HashMap;
use std::sync::Arc;

use regress_core::detect::VerdictKind;
use serde::{Deserialize, Serialize};

use super::{CaseFile, RunVerdicts, judge_case, load_case, persistent, recovered};
use crate::database::DatabaseError;
use crate::database::jobs::{self as job_table, NewJob};
use crate::database::judgements::{self, Judgement};
use crate::database::repositories::{self, RepositoryId};
use crate::database::runs::{self, Run, RunId};
use crate::database::streams::{self, SeriesId, SeriesName};
use crate::directory::Known;
use crate::domain::{CommentRule, Moment};
use crate::jobs::{Kind, job};
use crate::state::AppState;

/// A judged run.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The run.
    pub run: Run,
    /// The verdicts.
    pub verdicts: RunVerdicts,
    /// What their series are about.
    pub names: HashMap<i64, SeriesName>,
    /// What is to be stored, in one transaction.
    pub consequences: Consequences,
}

/// What a judgement changes.
#[derive(Clone, Debug)]
pub struct Consequences {
    judgement: Judgement,
    rejected: Vec<SeriesId>,
    /// Values of earlier runs of the commit that were suspected and are cleared now.
    cleared: Vec<(SeriesId, RunId)>,
    jobs: Vec<NewJob>,
}

/// Payload of the jobs about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutRun {
    /// The run.
    pub run: i64,
}

/// Payload of the jobs about a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutPull {
    /// The repository.
    pub repository: i64,
    /// The pull request.
    pub number: u32,
}

/// Payload of the jobs about a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutCommit {
    /// The repository.
    pub repository: i64,
    /// The commit.
    pub commit: String,
}

/// Payload of the jobs about a persistent regression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutSeries {
    /// The series.
    pub series: i64,
    /// The branch.
    pub branch: String,
    /// The first run of the regression; `None` when it is over.
    pub first_run: Option<i64>,
}

/// Judges a run that is in the database. Nothing is changed; see `Consequences::save`. `None` when there is no such
/// run.
///
/// # Errors
/// When the database does not answer.
pub async fn judge_stored(
    state: &AppState,
    id: RunId,
    names: Option<HashMap<i64, SeriesName>>,
    correlation: &str,
) -> Result<Option<Judged>, DatabaseError> {
    let settings = state.settings.load_full();
    let mut connection = state.database.read().await?;
    let Some(run) = runs::by_id(&mut connection, id).await? else {
        return Ok(None);
    };
    let Some(repository) = repositories::by_id(&mut connection, run.run.repository).await? else {
        return Ok(None);
    };
    let known = Known::of(repository);
    let names = match names {
        Some(names) => names,
        None => names_of(&mut connection, &run).await?,
    };
    let stream = streams::by_id(&mut connection, run.run.stream).await?;
    let component = stream.map(|stream| stream.component).unwrap_or_default();
    let case = load_case(
        &mut connection,
        &run,
        names.clone(),
        settings.judging.baseline_runs,
    )
    .await?;
    drop(connection);
    let case = Arc::new(case);
    let verdicts = match known.config.thresholds(&settings.judging, &component) {
        Ok(thresholds) if known.config.judges(&component) => {
            let case = Arc::clone(&case);
            // Many benchmarks take many milliseconds; others must not wait for them.
            if case.newest().is_some_and(|results| results.0.len() > 64) {
                tokio::task::spawn_blocking(move || judge_case(&case, &thresholds))
                    .await
                    .map_err(|_| DatabaseError::Closed)?
            } else {
                judge_case(&case, &thresholds)
            }
        }
        _ => RunVerdicts {
            machine: None,
            paired: false,
            verdicts: Vec::new(),
        },
    };
    let least = settings.judging.persistent_runs as usize;
    let tells = settings.github.app_id.is_some();
    let consequences = consequences(&known, &run, &case, &verdicts, (least, tells), correlation);
    Ok(Some(Judged {
        run,
        verdicts,
        names,
        consequences,
    }))
}

async fn names_of(connection: &mut sqlx::AnyConnection, run: &Run) -> sqlx::Result<HashMap<i64, SeriesName>> {
    let series = streams::series_of(connection, run.run.stream).await?;
    Ok(series
        .into_iter()
        .map(|series| (series.id.0, series.name))
        .collect())
}

fn consequences(
    known: &Known,
    run: &Run,
    case: &CaseFile,
    verdicts: &RunVerdicts,
    (least, tells): (usize, bool),
    correlation: &str,
) -> Consequences {
    let history = run.run.is_of_history();
    let slower =
        |verdict: &super::StoredVerdict| verdict.kind == VerdictKind::Regression || verdict.suspected;
    let rejected = verdicts.verdicts.iter().filter(|verdict| slower(verdict));
    let rejected = rejected.map(|verdict| SeriesId(verdict.series)).collect();
    let fine = verdicts.verdicts.iter().filter(|verdict| !slower(verdict));
    let earlier = || case.runs.iter().filter(|(id, _)| *id != run.id.0);
    let cleared = fine.flat_map(|verdict| earlier().map(|(id, _)| (SeriesId(verdict.series), RunId(*id))));
    let cleared = cleared.collect();
    let judgement = Judgement {
        run: run.id,
        stream: run.run.stream,
        branch: run.run.branch.clone(),
        accepted: history,
        outcome: verdicts.outcome().to_owned(),
        judged: Moment::now(),
        verdicts: verdicts.write(),
    };
    let mut jobs = Vec::new();
    let RepositoryId(repository) = run.run.repository;
    let rules = &known.config.notifications;
    if tells && !verdicts.verdicts.is_empty() {
        if let Some(number) = run
            .run
            .pull_request
            .filter(|_| rules.comment != CommentRule::Never)
        {
            let about = AboutPull { repository, number };
            jobs.push(job(
                Kind::Comment,
                &format!("{repository}:{number}"),
                &about,
                correlation,
            ));
        }
        let commit = run.run.commit.clone();
        if rules.check_run {
            let key = format!("{repository}:{commit}");
            let about = AboutCommit { repository, commit };
            jobs.push(job(Kind::Check, &key, &about, correlation));
        }
        if rules.confirm && verdicts.needs_confirmation() {
            let about = AboutRun { run: run.id.0 };
            let key = format!("{}:{}", run.run.stream.0, run.run.commit);
            jobs.push(job(Kind::Confirm, &key, &about, correlation));
        }
        if rules.tracking_issue && history {
            let lasting = persistent(case, verdicts, least)
                .into_iter()
                .map(|(series, first)| (series, Some(first)));
            let over = recovered(case, verdicts, least)
                .into_iter()
                .map(|series| (series, None));
            for (series, first_run) in lasting.chain(over) {
                let about = AboutSeries {
                    series,
                    branch: run.run.target.clone(),
                    first_run,
                };
                jobs.push(job(
                    Kind::Issue,
                    &format!("{series}:{}", about.branch),
                    &about,
                    correlation,
                ));
            }
        }
    }
    Consequences {
        judgement,
        rejected,
        cleared,
        jobs,
    }
}

impl Consequences {
    /// Saves the judgement, and takes the job to judge the run from the table.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn save(self, state: &AppState) -> Result<(), DatabaseError> {
        let wakes = !self.jobs.is_empty();
        let consequences = Arc::new(self);
        let save = state.database.write(move |connection| {
            let consequences = Arc::clone(&consequences);
            Box::pin(async move {
                let judgement = &consequences.judgement;
                judgements::put(connection, judgement).await?;
                for (series, run) in &consequences.cleared {
                    judgements::unreject(connection, *series, *run).await?;
                }
                for series in consequences.rejected.iter().filter(|_| judgement.accepted) {
                    judgements::reject(connection, *series, judgement.run).await?;
                }
                for job in &consequences.jobs {
                    job_table::enqueue(connection, job).await?;
                }
                let RunId(run) = judgement.run;
                job_table::finish_waiting(connection, &format!("{}:{run}", Kind::Judge)).await
            })
        });
        save.await?;
        if wakes {
            state.work.notify_one();
        }
        Ok(())
    }
}
