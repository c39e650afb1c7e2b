//! What follows from a judgement: what is stored, and the jobs that tell people.

use std::collections::BTreeSet;
use std::sync::Arc;

use regress_core::detect::VerdictKind;
use sqlx::AnyConnection;

use super::{
    JudgingBatch, JudgingInput, RunVerdicts, StoredVerdict, find_persistent_regressions,
    find_recovered_regressions,
};
use crate::database::DatabaseError;
use crate::database::bulk;
use crate::database::jobs::{self as job_table, NewJob, QueuedJob};
use crate::database::judgements::{self, Judgement};
use crate::database::runs::{MeasuredRun, NewRun};
use crate::directory::ConfiguredRepository;
use crate::domain::{CommentRule, HistoryPlace, JobKind, RunId, SeriesId, UnixMillis};
use crate::job_requests::{self, AboutRegression};
use crate::state::AppState;

/// What a judgement changes.
#[derive(Clone, Debug)]
pub struct Consequences {
    judgement: Judgement,
    rejected: Vec<SeriesId>,
    /// Series that are fine, and the earlier runs of the commit in which they may have been suspected.
    fine: BTreeSet<SeriesId>,
    earlier: Vec<RunId>,
    jobs: Vec<NewJob>,
}

/// What follows from these verdicts.
pub(super) fn determine_consequences(
    known: &ConfiguredRepository,
    run: &MeasuredRun,
    input: &JudgingInput,
    verdicts: &RunVerdicts,
    (least, tells): (usize, bool),
    correlation: &str,
) -> Consequences {
    let history = input.of_history;
    let slower = |verdict: &&StoredVerdict| {
        verdict.kind == VerdictKind::Regression || verdict.suspected || verdict.since.is_some()
    };
    let (slow, fine): (Vec<&StoredVerdict>, Vec<&StoredVerdict>) = verdicts.verdicts.iter().partition(slower);
    let branch = if history { &run.run.target } else { &run.run.branch };
    let judgement = Judgement {
        run: run.id,
        stream: run.run.stream,
        branch: branch.clone(),
        accepted: history,
        at: run.run.time_in_history(),
        outcome: verdicts.outcome(),
        judged: UnixMillis::now(),
        verdicts: verdicts.to_json(),
    };
    let told = tells && !verdicts.verdicts.is_empty();
    let jobs = told.then(|| jobs_that_tell(known, run, input, verdicts, least, correlation));
    Consequences {
        judgement,
        rejected: slow.iter().map(|verdict| verdict.series).collect(),
        fine: fine.iter().map(|verdict| verdict.series).collect(),
        earlier: input
            .runs
            .iter()
            .map(|(id, _)| *id)
            .filter(|id| *id != run.id)
            .collect(),
        jobs: jobs.unwrap_or_default(),
    }
}

/// The jobs that let people know, as far as the repository wants that.
fn jobs_that_tell(
    known: &ConfiguredRepository,
    run: &MeasuredRun,
    input: &JudgingInput,
    verdicts: &RunVerdicts,
    least: usize,
    correlation: &str,
) -> Vec<NewJob> {
    let NewRun {
        repository, commit, ..
    } = &run.run;
    let rules = &known.config.notifications;
    let mut jobs = Vec::new();
    let pull_request = run.run.pull_request;
    if let Some(number) = pull_request.filter(|_| rules.comment != CommentRule::Never) {
        jobs.push(job_requests::write_comment(*repository, number, correlation));
    }
    if rules.check_run {
        jobs.push(job_requests::write_check_run(*repository, commit, correlation));
    }
    if rules.confirm && verdicts.needs_confirmation() {
        let confirm = job_requests::confirm_run(run.id, run.run.stream, commit, correlation);
        jobs.push(confirm);
    }
    if rules.tracking_issue && input.of_history {
        let issues = issues_to_update(&run.run, input, verdicts, least);
        let issues = issues
            .iter()
            .map(|about| job_requests::update_issue(about, correlation));
        jobs.extend(issues);
    }
    jobs
}

/// The commits that made something slower which lasts, and those of which something is over.
fn issues_to_update(
    run: &NewRun,
    input: &JudgingInput,
    verdicts: &RunVerdicts,
    least: usize,
) -> BTreeSet<AboutRegression> {
    let lasting = find_persistent_regressions(input, verdicts, least).into_values();
    let over = find_recovered_regressions(input, verdicts, least).into_values();
    let about = |first: RunId| {
        Some(AboutRegression {
            repository: run.repository,
            branch: run.target.clone(),
            commit: input.commits.get(&first)?.to_string(),
        })
    };
    lasting.chain(over).filter_map(about).collect()
}

impl Consequences {
    /// Saves the judgement of a run that its request judged, and takes the job to judge it from the table.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn save_judgement(self, state: &AppState) -> Result<(), DatabaseError> {
        let wakes = !self.jobs.is_empty();
        let consequences = Arc::new(self);
        let save = state.database.run_in_transaction(move |connection| {
            let consequences = Arc::clone(&consequences);
            Box::pin(async move {
                judgements::put_judgement(connection, &consequences.judgement).await?;
                consequences.store_rest(connection).await?;
                let run = consequences.judgement.run.0.to_string();
                let key = job_table::key_of_kind(JobKind::Judge, &run);
                job_table::finish_waiting(connection, &key).await
            })
        });
        save.await?;
        if wakes {
            state.work.notify_one();
        }
        Ok(())
    }

    /// Lets other runs be judged again when this judgement is saved.
    pub(super) fn judge_again(&mut self, runs: &BTreeSet<RunId>, correlation: &str) {
        let jobs = runs.iter().map(|run| job_requests::judge_run(*run, correlation));
        self.jobs.extend(jobs);
    }

    /// Whether people are told of it.
    pub(crate) fn has_jobs(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Saves what follows from several judgements, and the end of the jobs that made them, within a transaction.
    pub(crate) async fn store_all(
        connection: &mut AnyConnection,
        done: &[(QueuedJob, Option<Self>)],
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
        let jobs: Vec<&QueuedJob> = done.iter().map(|(job, _)| job).collect();
        bulk::finish_jobs(connection, &jobs).await
    }

    /// Stores everything that follows beside the judgement.
    async fn store_rest(&self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        for run in &self.earlier {
            for series in judgements::rejected_in(connection, *run).await? {
                if self.fine.contains(&series) {
                    judgements::remove_rejection(connection, series, *run).await?;
                }
            }
        }
        for series in self.rejected.iter().filter(|_| self.judgement.accepted) {
            judgements::insert_rejection(connection, *series, self.judgement.run).await?;
        }
        for job in &self.jobs {
            job_table::enqueue_job(connection, job).await?;
        }
        Ok(())
    }

    /// Lets the runs that are judged next see this one, before it is saved.
    pub(crate) fn add_to_batch(&self, batch: &mut JudgingBatch) {
        if self.judgement.accepted {
            let rejected = self.rejected.iter().copied();
            let place = HistoryPlace {
                at: self.judgement.at,
                run: self.judgement.run,
            };
            batch.accept_run(place, &self.judgement.branch, rejected);
        }
        for earlier in &self.earlier {
            for series in &self.fine {
                batch.clear_rejection(*series, *earlier);
            }
        }
    }
}
