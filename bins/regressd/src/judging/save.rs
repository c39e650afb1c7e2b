//! What follows from a judgement: what is stored, and the jobs that tell people.

use std::collections::BTreeSet;
use std::sync::Arc;

use regress_core::detect::VerdictKind;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use super::{CaseFile, RunVerdicts, Sitting, StoredVerdict, persistent, recovered};
use crate::database::DatabaseError;
use crate::database::bulk;
use crate::database::jobs::{self as job_table, Job, NewJob};
use crate::database::judgements::{self, Judgement};
use crate::database::repositories::RepositoryId;
use crate::database::runs::{Run, RunId};
use crate::database::streams::SeriesId;
use crate::directory::Known;
use crate::domain::{CommentRule, Moment};
use crate::jobs::{Kind, job};
use crate::state::AppState;

/// What a judgement changes.
#[derive(Clone, Debug)]
pub struct Consequences {
    judgement: Judgement,
    rejected: Vec<SeriesId>,
    /// Series that are fine, and the earlier runs of the commit in which they may have been suspected.
    fine: BTreeSet<i64>,
    earlier: Vec<RunId>,
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

/// What follows from these verdicts.
pub(super) fn consequences(
    known: &Known,
    run: &Run,
    case: &CaseFile,
    verdicts: &RunVerdicts,
    (least, tells): (usize, bool),
    correlation: &str,
) -> Consequences {
    let history = case.of_history;
    let slower = |verdict: &&StoredVerdict| verdict.kind == VerdictKind::Regression || verdict.suspected;
    let (slow, fine): (Vec<&StoredVerdict>, Vec<&StoredVerdict>) = verdicts.verdicts.iter().partition(slower);
    let branch = if history { &run.run.target } else { &run.run.branch };
    let judgement = Judgement {
        run: run.id,
        stream: run.run.stream,
        branch: branch.clone(),
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
        rejected: slow.iter().map(|verdict| SeriesId(verdict.series)).collect(),
        fine: fine.iter().map(|verdict| verdict.series).collect(),
        earlier: case
            .runs
            .iter()
            .map(|(id, _)| RunId(*id))
            .filter(|id| *id != run.id)
            .collect(),
        jobs,
    }
}

impl Consequences {
    /// Saves the judgement of a run that its request judged, and takes the job to judge it from the table.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn save(self, state: &AppState) -> Result<(), DatabaseError> {
        let wakes = !self.jobs.is_empty();
        let consequences = Arc::new(self);
        let save = state.database.write(move |connection| {
            let consequences = Arc::clone(&consequences);
            Box::pin(async move {
                judgements::put(connection, &consequences.judgement).await?;
                consequences.store_rest(connection).await?;
                let RunId(run) = consequences.judgement.run;
                job_table::finish_waiting(connection, &format!("{}:{run}", Kind::Judge)).await
            })
        });
        save.await?;
        if wakes {
            state.work.notify_one();
        }
        Ok(())
    }

    /// Whether people are told of it.
    pub(crate) fn has_jobs(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Saves what follows from several judgements, and the end of the jobs that made them, within a transaction.
    pub(crate) async fn store_all(
        connection: &mut AnyConnection,
        done: &[(Job, Option<Self>)],
    ) -> sqlx::Result<()> {
        let all: Vec<&Self> = done
            .iter()
            .filter_map(|(_, consequences)| consequences.as_ref())
            .collect();
        let judgements: Vec<&Judgement> = all.iter().map(|one| &one.judgement).collect();
        bulk::put_judgements(connection, &judgements).await?;
        for one in all {
            one.store_rest(connection).await?;
        }
        let jobs: Vec<&Job> = done.iter().map(|(job, _)| job).collect();
        bulk::finish(connection, &jobs).await
    }

    /// Stores everything that follows beside the judgement.
    async fn store_rest(&self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        for run in &self.earlier {
            for series in judgements::rejected_in(connection, *run).await? {
                if self.fine.contains(&series.0) {
                    judgements::unreject(connection, series, *run).await?;
                }
            }
        }
        for series in self.rejected.iter().filter(|_| self.judgement.accepted) {
            judgements::reject(connection, *series, self.judgement.run).await?;
        }
        for job in &self.jobs {
            job_table::enqueue(connection, job).await?;
        }
        Ok(())
    }

    /// Lets the runs that are judged next see this one, before it is saved.
    pub(crate) fn note(&self, sitting: &mut Sitting) {
        if self.judgement.accepted {
            let rejected = self.rejected.iter().map(|series| series.0);
            sitting.accept(self.judgement.run, &self.judgement.branch, rejected);
        }
        for earlier in &self.earlier {
            for series in &self.fine {
                sitting.clear(*series, *earlier);
            }
        }
    }
}
