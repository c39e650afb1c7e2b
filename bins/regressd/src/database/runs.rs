//! Runs: one row an upload, never changed after it was stored.

use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::domain::{HistoryPlace, RepositoryId, RunId, StreamId, UnixMillis};

/// A run as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// Its repository.
    pub repository: RepositoryId,
    /// What it is compared with.
    pub stream: StreamId,
    /// The branch that was measured.
    pub branch: String,
    /// The branch whose history it is judged by.
    pub target: String,
    /// The commit that was measured.
    pub commit: String,
    /// The pull request it belongs to.
    pub pull_request: Option<u32>,
    /// What tells it from other uploads of the same commit.
    pub key: String,
    /// When it arrived.
    pub received: UnixMillis,
    /// When its commit was made, where the run belongs there in a history and not where it arrived; of a stored run that arrived
    /// by a clock behind another's, or behind what it was, a time behind all that arrived before.
    pub commit_time: Option<UnixMillis>,
    /// Who sent it.
    pub uploader: String,
    /// The workflow run that sent it, if it said so: that can be asked to run again.
    pub workflow_run: Option<u64>,
    /// The values, see [`crate::domain::Results`].
    pub results: String,
    /// The values of the base commit measured beside it, in the same form.
    pub base: Option<String>,
    /// What was wrong with entries of it, as JSON.
    pub problems: Option<String>,
}

impl NewRun {
    /// Whether it becomes part of the history of its branch once it is judged. What a pull request measured never does,
    /// whatever its branch is called.
    #[must_use]
    pub fn is_of_history(&self) -> bool {
        self.pull_request.is_none() && self.branch == self.target
    }

    /// The time that it goes by in a history.
    #[must_use]
    pub fn time_in_history(&self) -> UnixMillis {
        self.commit_time.unwrap_or(self.received)
    }
}

/// A stored run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredRun {
    /// Its number.
    pub id: RunId,
    /// What was stored.
    pub run: NewRun,
}

impl MeasuredRun {
    /// Where it stands in a history.
    #[must_use]
    pub fn place(&self) -> HistoryPlace {
        HistoryPlace {
            at: self.run.time_in_history(),
            run: self.id,
        }
    }
}

const COLUMNS: &str =
    "id, repository_id, stream_id, branch, target, commit_sha, pull_request, run_key, received,
    uploader, workflow_run, results, base, problems, commit_time";

/// The columns of a run in a table that goes by `name` in a statement.
pub(super) fn columns_of(name: &str) -> String {
    let columns: Vec<String> = COLUMNS
        .split(',')
        .map(|column| format!("{name}.{}", column.trim()))
        .collect();
    columns.join(", ")
}

/// The time that the newest of what arrived before goes by in the history of a stream and branch, which are parameters: of runs
/// that wait to be judged, too. A run that arrived with the time of its commit may stand before it, so that a few are looked at,
/// and what stands last in the history.
fn newest_sql(stream: &str, branch: &str) -> String {
    format!(
        "SELECT MAX(at) AS newest FROM (
            SELECT CASE WHEN commit_time > received THEN commit_time ELSE received END AS at
                FROM (SELECT received, commit_time FROM runs WHERE stream_id = {stream} ORDER BY id DESC LIMIT 8) AS arrived
            UNION ALL SELECT at FROM (SELECT at FROM judgements WHERE stream_id = {stream} AND branch = {branch}
                AND accepted = 1 ORDER BY at DESC LIMIT 1) AS last) AS arrivals"
    )
}

/// Stores a run; `None` when the same upload is there already.
///
/// It stands behind what arrived before, also where the clock of this machine is behind that of another process on the same
/// database, or was set back; and the time of its commit is not after its arrival.
///
/// # Errors
/// The driver's.
pub async fn insert_run(connection: &mut AnyConnection, run: &NewRun) -> sqlx::Result<Option<RunId>> {
    // Without the condition SQLite would take the conflict's clause for one of a join.
    let sql = format!(
        "INSERT INTO runs (repository_id, stream_id, branch, target, commit_sha, pull_request, run_key,
             received, uploader, workflow_run, results, base, problems, commit_time)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
             CASE WHEN $14 <= CASE WHEN newest > $8 THEN newest + 1 ELSE $8 END THEN $14
                  WHEN newest > $8 THEN newest + 1
                  WHEN $14 IS NOT NULL THEN $8 END
         FROM ({}) AS arrival WHERE 1 = 1
         ON CONFLICT (stream_id, commit_sha, run_key) DO NOTHING RETURNING id",
        newest_sql("$2", "$4")
    );
    let query = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(run.repository.0)
        .bind(run.stream.0)
        .bind(run.branch.clone())
        .bind(run.target.clone())
        .bind(run.commit.clone())
        .bind(run.pull_request.map(i64::from))
        .bind(run.key.clone())
        .bind(run.received.0)
        .bind(run.uploader.clone())
        .bind(run.workflow_run.map(u64::cast_signed))
        .bind(run.results.clone())
        .bind(run.base.clone())
        .bind(run.problems.clone())
        .bind(run.commit_time.map(|time| time.0));
    Ok(query.fetch_optional(connection).await?.map(RunId))
}

/// The time of what arrived last, see [`insert_run`], in the history of a branch.
///
/// # Errors
/// The driver's.
pub async fn newest_arrival(
    connection: &mut AnyConnection,
    stream: StreamId,
    branch: &str,
) -> sqlx::Result<Option<UnixMillis>> {
    let query = sqlx::query_scalar(AssertSqlSafe(newest_sql("$1", "$2")))
        .bind(stream.0)
        .bind(branch.to_owned());
    let newest: Option<i64> = query.fetch_one(connection).await?;
    Ok(newest.map(UnixMillis))
}

/// The run of this number.
///
/// # Errors
/// The driver's.
pub async fn by_id(connection: &mut AnyConnection, id: RunId) -> sqlx::Result<Option<MeasuredRun>> {
    let sql = format!("SELECT {COLUMNS} FROM runs WHERE id = $1");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(id.0)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read_run_row).transpose()
}

/// The run that was stored for this upload before.
///
/// # Errors
/// The driver's.
pub async fn by_key(
    connection: &mut AnyConnection,
    stream: StreamId,
    commit: &str,
    key: &str,
) -> sqlx::Result<Option<MeasuredRun>> {
    let sql = format!("SELECT {COLUMNS} FROM runs WHERE stream_id = $1 AND commit_sha = $2 AND run_key = $3");
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(stream.0)
        .bind(commit.to_owned())
        .bind(key.to_owned());
    query
        .fetch_optional(connection)
        .await?
        .as_ref()
        .map(read_run_row)
        .transpose()
}

/// All runs of a commit in a stream, oldest first: the run to judge and its confirmations.
///
/// # Errors
/// The driver's.
pub async fn of_commit(
    connection: &mut AnyConnection,
    stream: StreamId,
    commit: &str,
) -> sqlx::Result<Vec<MeasuredRun>> {
    let sql = format!("SELECT {COLUMNS} FROM runs WHERE stream_id = $1 AND commit_sha = $2 ORDER BY id");
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(stream.0)
        .bind(commit.to_owned());
    query
        .fetch_all(connection)
        .await?
        .iter()
        .map(read_run_row)
        .collect()
}

/// The newest `limit` runs of a pull request, newest first.
///
/// # Errors
/// The driver's.
pub async fn of_pull_request(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    number: u32,
    limit: u32,
) -> sqlx::Result<Vec<MeasuredRun>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM runs WHERE repository_id = $1 AND pull_request = $2 ORDER BY id DESC LIMIT $3"
    );
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(repository.0)
        .bind(i64::from(number))
        .bind(i64::from(limit));
    query
        .fetch_all(connection)
        .await?
        .iter()
        .map(read_run_row)
        .collect()
}

/// At most `limit` runs of a repository with a number below `before`, newest first; of one branch if one is given.
///
/// # Errors
/// The driver's.
pub async fn of_repository(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    branch: Option<&str>,
    before: RunId,
    limit: u32,
) -> sqlx::Result<Vec<MeasuredRun>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM runs WHERE repository_id = $1 AND id < $2 AND branch = COALESCE($3, branch)
         ORDER BY id DESC LIMIT $4"
    );
    let query = sqlx::query(AssertSqlSafe(sql))
        .bind(repository.0)
        .bind(before.0)
        .bind(branch.map(str::to_owned))
        .bind(i64::from(limit));
    query
        .fetch_all(connection)
        .await?
        .iter()
        .map(read_run_row)
        .collect()
}

/// The newest `limit` runs in the history of a branch before a place, newest first: those that were accepted, as number,
/// commit and values.
///
/// # Errors
/// The driver's.
pub async fn list_history_runs(
    connection: &mut AnyConnection,
    stream: StreamId,
    branch: &str,
    before: HistoryPlace,
    limit: u32,
) -> sqlx::Result<Vec<(RunId, String, String)>> {
    let sql = "SELECT r.id, r.commit_sha, r.results FROM judgements j JOIN runs r ON r.id = j.run_id
               WHERE j.stream_id = $1 AND j.branch = $2 AND j.accepted = 1 AND (j.at, j.run_id) < ($3, $4)
               ORDER BY j.at DESC, j.run_id DESC LIMIT $5";
    let query = sqlx::query(sql)
        .bind(stream.0)
        .bind(branch.to_owned())
        .bind(before.at.0)
        .bind(before.run.0)
        .bind(i64::from(limit));
    let read = |row: &sqlx::any::AnyRow| {
        Ok((
            RunId(row.try_get("id")?),
            row.try_get("commit_sha")?,
            row.try_get("results")?,
        ))
    };
    query.fetch_all(connection).await?.iter().map(read).collect()
}

/// The places of the same runs as [`list_history_runs`]: the index alone answers.
///
/// # Errors
/// The driver's.
pub async fn list_history_places(
    connection: &mut AnyConnection,
    stream: StreamId,
    branch: &str,
    before: HistoryPlace,
    limit: u32,
) -> sqlx::Result<Vec<HistoryPlace>> {
    let sql = "SELECT at, run_id FROM judgements
               WHERE stream_id = $1 AND branch = $2 AND accepted = 1 AND (at, run_id) < ($3, $4)
               ORDER BY at DESC, run_id DESC LIMIT $5";
    let query = sqlx::query_as(sql)
        .bind(stream.0)
        .bind(branch.to_owned())
        .bind(before.at.0)
        .bind(before.run.0)
        .bind(i64::from(limit));
    let rows: Vec<(i64, i64)> = query.fetch_all(connection).await?;
    let place = |(at, run)| HistoryPlace {
        at: UnixMillis(at),
        run: RunId(run),
    };
    Ok(rows.into_iter().map(place).collect())
}

/// Whether the history of a branch went on after this commit was first measured in it: what is measured of it now is an old
/// commit measured again, which tells of the machine of today.
///
/// # Errors
/// The driver's.
pub async fn history_went_on(
    connection: &mut AnyConnection,
    stream: StreamId,
    branch: &str,
    commit: &str,
) -> sqlx::Result<bool> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM (
                   SELECT 1 FROM runs r JOIN judgements own ON own.run_id = r.id JOIN judgements j
                       ON j.stream_id = $1 AND j.branch = $2 AND j.accepted = 1
                       AND j.at > own.at AND j.run_id > own.run_id
                   WHERE r.stream_id = $1 AND r.commit_sha = $3 LIMIT 1) AS found";
    let query = sqlx::query_scalar(sql)
        .bind(stream.0)
        .bind(branch.to_owned())
        .bind(commit.to_owned());
    let found: i64 = query.fetch_one(connection).await?;
    Ok(found > 0)
}

/// Gives the runs of a commit that know no pull request to this one.
///
/// # Errors
/// The driver's.
pub async fn attach_pull_request(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    commit: &str,
    number: u32,
) -> sqlx::Result<()> {
    let sql = "UPDATE runs SET pull_request = $1
               WHERE repository_id = $2 AND commit_sha = $3 AND pull_request IS NULL AND branch <> target";
    let query = sqlx::query(sql)
        .bind(i64::from(number))
        .bind(repository.0)
        .bind(commit.to_owned());
    query.execute(connection).await?;
    Ok(())
}

/// Takes the runs of a commit that turned out to be a fork's out of the history of a branch, and gives them to the pull
/// request. Returns how many.
///
/// # Errors
/// The driver's.
pub async fn leave_history(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    commit: &str,
    branch: &str,
    number: u32,
) -> sqlx::Result<u64> {
    let sql = "UPDATE runs SET pull_request = $1
               WHERE repository_id = $2 AND commit_sha = $3 AND pull_request IS NULL AND target = $4";
    let query = sqlx::query(sql)
        .bind(i64::from(number))
        .bind(repository.0)
        .bind(commit.to_owned())
        .bind(branch.to_owned());
    Ok(query.execute(connection).await?.rows_affected())
}

pub(super) fn read_run_row(row: &sqlx::any::AnyRow) -> sqlx::Result<MeasuredRun> {
    let pull_request: Option<i64> = row.try_get("pull_request")?;
    Ok(MeasuredRun {
        id: RunId(row.try_get("id")?),
        run: NewRun {
            repository: RepositoryId(row.try_get("repository_id")?),
            stream: StreamId(row.try_get("stream_id")?),
            branch: row.try_get("branch")?,
            target: row.try_get("target")?,
            commit: row.try_get("commit_sha")?,
            pull_request: pull_request.and_then(|number| u32::try_from(number).ok()),
            key: row.try_get("run_key")?,
            received: UnixMillis(row.try_get("received")?),
            uploader: row.try_get("uploader")?,
            workflow_run: row
                .try_get::<Option<i64>, _>("workflow_run")?
                .map(i64::cast_unsigned),
            results: row.try_get("results")?,
            base: row.try_get("base")?,
            problems: row.try_get("problems")?,
            commit_time: row.try_get::<Option<i64>, _>("commit_time")?.map(UnixMillis),
        },
    })
}
