//! The job table: work that is promised, and kept until it is done or a dead letter.
//!
//! The statements write the words of [`JobState`] out, because the indexes are of single states and are found by them
//! alone.
//!
//! A job is `waiting` until it is due, `running` while a worker holds its lease, `dead` after its last attempt, and
//! gone when it is done. Of jobs with the same key one waits and one runs at most, so that work on one pull request is
//! never done twice at once, and asking twice for work that has not begun is asking once.

use std::time::Duration;

use serde::Serialize;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::Dialect;
use super::columns::parse_column;
use crate::domain::{JobKind, JobState, StoredJobKind, UnixMillis};

/// Work to be enqueued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Which kind of work.
    pub kind: JobKind,
    /// What two jobs share that are the same work.
    pub key: String,
    /// What the work is about, as JSON.
    pub payload: String,
    /// The id of the request that led to it.
    pub correlation: String,
    /// Not before.
    pub due: UnixMillis,
}

impl NewJob {
    /// A job that is due at once. Its key is told from those of other kinds by the kind.
    ///
    /// # Panics
    /// When the payload is not plain data.
    #[must_use]
    pub fn due_now(kind: JobKind, key: &str, payload: &impl Serialize, correlation: &str) -> Self {
        Self {
            kind,
            key: key_of_kind(kind, key),
            payload: serde_json::to_string(payload).expect("a payload is plain data"),
            correlation: correlation.to_owned(),
            due: UnixMillis::now(),
        }
    }
}

/// The key that jobs of this kind about the same thing share.
#[must_use]
pub fn key_of_kind(kind: JobKind, key: &str) -> String {
    format!("{kind}:{key}")
}

/// A job in hand or looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedJob {
    /// Its number.
    pub id: i64,
    /// Which kind of work.
    pub kind: StoredJobKind,
    /// What two jobs share that are the same work.
    pub key: String,
    /// What the work is about, as JSON.
    pub payload: String,
    /// The id of the request that led to it.
    pub correlation: String,
    /// What it is doing.
    pub state: JobState,
    /// How often it was begun.
    pub attempts: i64,
    /// Not before.
    pub due: UnixMillis,
    /// When it was enqueued.
    pub created: UnixMillis,
    /// How the last attempt failed.
    pub error: Option<String>,
}

const COLUMNS: &str = "id, kind, key, payload, correlation, state, attempts, due, created, error";

/// Enqueues work, unless a job with its key waits already. Whether it was enqueued.
///
/// # Errors
/// The driver's.
pub async fn enqueue_job(connection: &mut AnyConnection, job: &NewJob) -> sqlx::Result<bool> {
    let sql = "INSERT INTO jobs (kind, key, payload, correlation, state, due, created)
               VALUES ($1, $2, $3, $4, 'waiting', $5, $6)
               ON CONFLICT (key) WHERE state = 'waiting' DO NOTHING";
    let query = sqlx::query(sql)
        .bind(job.kind.as_str())
        .bind(job.key.clone())
        .bind(job.payload.clone())
        .bind(job.correlation.clone())
        .bind(job.due.0)
        .bind(UnixMillis::now().0);
    Ok(query.execute(connection).await?.rows_affected() > 0)
}

/// How far the clocks of machines that work together may be apart.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);
/// No lease is longer.
const LONGEST_LEASE: Duration = Duration::from_secs(24 * 3600);

/// Which jobs are looked for: each has an index of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Runs to be judged.
    Judging,
    /// Everything else.
    Rest,
}

/// Who takes jobs, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Taker<'a> {
    /// The worker's name.
    pub worker: &'a str,
    /// How long it may give no sign of life.
    pub lease: Duration,
}

/// Takes at most `limit` jobs of a queue that are due. A job is left where it is while another with its key is running.
///
/// # Errors
/// The driver's.
pub async fn take_due_jobs(
    connection: &mut AnyConnection,
    dialect: Dialect,
    queue: Queue,
    taker: Taker<'_>,
    limit: u32,
) -> sqlx::Result<Vec<QueuedJob>> {
    // The words of the indexes, so that they are used.
    let which = match queue {
        Queue::Judging => "kind = 'judge'",
        Queue::Rest => "kind <> 'judge'",
    };
    let now = UnixMillis::now();
    let sql = format!(
        "UPDATE jobs SET state = 'running', attempts = attempts + 1, leased_until = $1, worker = $2
         WHERE id IN (
             SELECT id FROM jobs WHERE state = 'waiting' AND {which} AND due <= $3
                 AND NOT EXISTS (SELECT 1 FROM jobs other WHERE other.key = jobs.key AND other.state = 'running')
             ORDER BY due, id LIMIT $4 {})
         RETURNING {COLUMNS}",
        dialect.skip_locked()
    );
    // Safe: the text is made of constants.
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(now.saturating_add(taker.lease).0)
        .bind(taker.worker.to_owned())
        .bind(now.0)
        .bind(i64::from(limit));
    query.fetch_all(connection).await?.iter().map(read).collect()
}

/// Lets jobs that were made in the future be due: the clock was set back since, by more than clocks of several machines
/// differ. Returns how many.
///
/// # Errors
/// The driver's.
pub async fn follow_clock(connection: &mut AnyConnection) -> sqlx::Result<u64> {
    let now = UnixMillis::now();
    let sql = "UPDATE jobs SET due = $1, created = $1 WHERE state = 'waiting' AND created > $2";
    let query = sqlx::query(sql)
        .bind(now.0)
        .bind(now.saturating_add(CLOCKS_DIFFER).0);
    let waiting = query.execute(&mut *connection).await?.rows_affected();
    let sql = "UPDATE jobs SET leased_until = $1 WHERE state = 'running' AND leased_until > $2";
    let query = sqlx::query(sql)
        .bind(now.0)
        .bind(now.saturating_add(LONGEST_LEASE).0);
    Ok(waiting + query.execute(connection).await?.rows_affected())
}

/// Gives jobs back whose worker let the lease run out: it died. Returns how many.
///
/// # Errors
/// The driver's.
pub async fn release_abandoned(connection: &mut AnyConnection) -> sqlx::Result<u64> {
    drop_superseded(connection, "state = 'running' AND leased_until < $1").await?;
    let sql = "UPDATE jobs SET state = 'waiting', worker = '' WHERE state = 'running' AND leased_until < $1";
    Ok(sqlx::query(sql)
        .bind(UnixMillis::now().0)
        .execute(connection)
        .await?
        .rows_affected())
}

/// Removes running jobs of a key that waits again already: that one will do their work.
async fn drop_superseded(connection: &mut AnyConnection, which: &'static str) -> sqlx::Result<()> {
    let sql = format!(
        "DELETE FROM jobs WHERE {which}
         AND EXISTS (SELECT 1 FROM jobs other WHERE other.key = jobs.key AND other.state = 'waiting')"
    );
    // Safe: the text is made of constants.
    sqlx::query(AssertSqlSafe(sql))
        .bind(UnixMillis::now().0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Holds on to a job for longer.
///
/// # Errors
/// The driver's.
pub async fn renew_job_lease(connection: &mut AnyConnection, id: i64, taker: Taker<'_>) -> sqlx::Result<()> {
    let sql = "UPDATE jobs SET leased_until = $1 WHERE id = $2 AND worker = $3 AND state = 'running'";
    let query = sqlx::query(sql)
        .bind(UnixMillis::now().saturating_add(taker.lease).0)
        .bind(id)
        .bind(taker.worker.to_owned());
    query.execute(connection).await?;
    Ok(())
}

/// Removes a job that is done, and dead letters of the same work.
///
/// # Errors
/// The driver's.
pub async fn finish_job(connection: &mut AnyConnection, id: i64, key: &str) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM jobs WHERE id = $1 OR (state = 'dead' AND key = $2)")
        .bind(id)
        .bind(key.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

/// Removes the waiting job of this key: its work was done on the way.
///
/// # Errors
/// The driver's.
pub async fn finish_waiting(connection: &mut AnyConnection, key: &str) -> sqlx::Result<()> {
    let sql = "DELETE FROM jobs WHERE key = $1 AND state = 'waiting'";
    sqlx::query(sql).bind(key.to_owned()).execute(connection).await?;
    Ok(())
}

/// Lets a failed job wait until `due`. If a job with its key waits already, that one stands for both.
///
/// # Errors
/// The driver's.
pub async fn retry_at(
    connection: &mut AnyConnection,
    job: &QueuedJob,
    due: UnixMillis,
    error: &str,
) -> sqlx::Result<()> {
    let superseded = "DELETE FROM jobs WHERE id = $1
         AND EXISTS (SELECT 1 FROM jobs other WHERE other.key = $2 AND other.state = 'waiting')";
    sqlx::query(superseded)
        .bind(job.id)
        .bind(job.key.clone())
        .execute(&mut *connection)
        .await?;
    let sql = "UPDATE jobs SET state = 'waiting', worker = '', due = $1, error = $2 WHERE id = $3";
    let query = sqlx::query(sql).bind(due.0).bind(error.to_owned()).bind(job.id);
    query.execute(connection).await?;
    Ok(())
}

/// Takes back an attempt of a job that was none of its own: it waited for something.
///
/// # Errors
/// The driver's.
pub async fn refund_attempt(connection: &mut AnyConnection, id: i64) -> sqlx::Result<()> {
    let sql = "UPDATE jobs SET attempts = attempts - 1 WHERE id = $1 AND attempts > 0";
    sqlx::query(sql).bind(id).execute(connection).await?;
    Ok(())
}

/// Makes a dead letter of a job.
///
/// # Errors
/// The driver's.
pub async fn move_to_dead_letter(connection: &mut AnyConnection, id: i64, error: &str) -> sqlx::Result<()> {
    let sql = "UPDATE jobs SET state = 'dead', worker = '', error = $1 WHERE id = $2";
    sqlx::query(sql)
        .bind(error.to_owned())
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// The job of this number.
///
/// # Errors
/// The driver's.
pub async fn find_job(connection: &mut AnyConnection, id: i64) -> sqlx::Result<Option<QueuedJob>> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE id = $1");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// At most `limit` dead letters with a number above `after`, oldest first.
///
/// # Errors
/// The driver's.
pub async fn dead_letters(
    connection: &mut AnyConnection,
    after: i64,
    limit: u32,
) -> sqlx::Result<Vec<QueuedJob>> {
    let sql = format!("SELECT {COLUMNS} FROM jobs WHERE state = 'dead' AND id > $1 ORDER BY id LIMIT $2");
    let query = sqlx::query(AssertSqlSafe(sql)).bind(after).bind(i64::from(limit));
    query.fetch_all(connection).await?.iter().map(read).collect()
}

/// Lets a dead letter start anew, or gives it up to the job with its key that waits already. Whether there was one.
///
/// # Errors
/// The driver's.
pub async fn requeue_dead_letter(connection: &mut AnyConnection, job: &QueuedJob) -> sqlx::Result<bool> {
    let superseded = "DELETE FROM jobs WHERE id = $1 AND state = 'dead'
         AND EXISTS (SELECT 1 FROM jobs other WHERE other.key = $2 AND other.state = 'waiting')";
    let query = sqlx::query(superseded).bind(job.id).bind(job.key.clone());
    let gone = query.execute(&mut *connection).await?.rows_affected();
    let sql = "UPDATE jobs SET state = 'waiting', attempts = 0, due = $1 WHERE id = $2 AND state = 'dead'";
    let query = sqlx::query(sql).bind(UnixMillis::now().0).bind(job.id);
    Ok(gone + query.execute(connection).await?.rows_affected() > 0)
}

/// Drops a dead letter. Whether there was one.
///
/// # Errors
/// The driver's.
pub async fn drop_dead(connection: &mut AnyConnection, id: i64) -> sqlx::Result<bool> {
    let sql = "DELETE FROM jobs WHERE id = $1 AND state = 'dead'";
    Ok(sqlx::query(sql)
        .bind(id)
        .execute(connection)
        .await?
        .rows_affected()
        > 0)
}

/// How many runs wait to be judged; at most `most` are counted.
///
/// # Errors
/// The driver's.
pub async fn count_to_judge(connection: &mut AnyConnection, most: u32) -> sqlx::Result<u32> {
    let sql = "SELECT COUNT(*) FROM
               (SELECT 1 FROM jobs WHERE state = 'waiting' AND kind = 'judge' AND due <= $1 LIMIT $2) AS found";
    let query = sqlx::query_scalar(sql)
        .bind(UnixMillis::now().0)
        .bind(i64::from(most));
    let count: i64 = query.fetch_one(connection).await?;
    Ok(u32::try_from(count).unwrap_or(most))
}

/// How many jobs are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Those that wait.
    pub waiting: i64,
    /// Those that a worker has.
    pub running: i64,
    /// The dead letters.
    pub dead: i64,
}

impl JobCounts {
    /// Those in one state.
    #[must_use]
    pub fn in_state(self, state: JobState) -> i64 {
        match state {
            JobState::Waiting => self.waiting,
            JobState::Running => self.running,
            JobState::Dead => self.dead,
        }
    }
}

/// How many jobs are in each state.
///
/// # Errors
/// The driver's.
pub async fn count_by_state(connection: &mut AnyConnection) -> sqlx::Result<JobCounts> {
    // Each is counted by an index of that state alone. What is only to be looked at later is no work that waits.
    let sql = "SELECT (SELECT COUNT(*) FROM jobs WHERE state = 'waiting')
               - (SELECT COUNT(*) FROM jobs WHERE state = 'waiting' AND kind = 'end-check' AND due > $1) AS waiting,
               (SELECT COUNT(*) FROM jobs WHERE state = 'running') AS running,
               (SELECT COUNT(*) FROM jobs WHERE state = 'dead') AS dead";
    let row = sqlx::query(sql)
        .bind(UnixMillis::now().0)
        .fetch_one(connection)
        .await?;
    Ok(JobCounts {
        waiting: row.try_get("waiting")?,
        running: row.try_get("running")?,
        dead: row.try_get("dead")?,
    })
}

fn read(row: &sqlx::any::AnyRow) -> sqlx::Result<QueuedJob> {
    Ok(QueuedJob {
        id: row.try_get("id")?,
        kind: row.try_get::<String, _>("kind")?.into(),
        key: row.try_get("key")?,
        payload: row.try_get("payload")?,
        correlation: row.try_get("correlation")?,
        state: parse_column(row, "state")?,
        attempts: row.try_get("attempts")?,
        due: UnixMillis(row.try_get("due")?),
        created: UnixMillis(row.try_get("created")?),
        error: row.try_get("error")?,
    })
}
