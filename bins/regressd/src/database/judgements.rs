//! Judgements on runs, and what they do to baselines: rejected values, accepted shifts, confirmations asked for.

use std::collections::{BTreeSet, HashMap};

use regress_core::detect::Outcome;
use sqlx::{AnyConnection, Row};

use super::bulk;
use super::runs::MeasuredRun;
use crate::domain::{HistoryPlace, RepoConfig, RepositoryId, RunId, SeriesId, StreamId, UnixMillis};

/// The judgement on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The run.
    pub run: RunId,
    /// Its stream.
    pub stream: StreamId,
    /// The branch whose history it belongs to, if it is accepted; else the branch that was measured.
    pub branch: String,
    /// Whether it belongs to the history of the branch.
    pub accepted: bool,
    /// The time that the run goes by in a history.
    pub at: UnixMillis,
    /// What all verdicts come to.
    pub outcome: Outcome,
    /// When it was judged.
    pub judged: UnixMillis,
    /// The verdicts, as JSON: see [`crate::judging::RunVerdicts`].
    pub verdicts: String,
}

/// A shift that somebody accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JudgedEpoch {
    /// The series.
    pub series: SeriesId,
    /// The branch.
    pub branch: String,
    /// The first run of the new level.
    pub from_run: RunId,
    /// Why it was accepted.
    pub justification: String,
    /// Who accepted it.
    pub actor: String,
    /// When.
    pub at: UnixMillis,
}

/// Stores a judgement; a second judgement of the same run replaces the first.
///
/// # Errors
/// The driver's.
pub async fn put_judgement(connection: &mut AnyConnection, judgement: &Judgement) -> sqlx::Result<()> {
    bulk::put_judgements(connection, &[judgement]).await
}

/// The judgement on a run.
///
/// # Errors
/// The driver's.
pub async fn of_run(connection: &mut AnyConnection, run: RunId) -> sqlx::Result<Option<Judgement>> {
    let sql = "SELECT run_id, stream_id, branch, accepted, at, outcome, judged, verdicts FROM judgements WHERE run_id = $1";
    let row = sqlx::query(sql).bind(run.0).fetch_optional(connection).await?;
    row.as_ref().map(read).transpose()
}

/// The judgements on all judged runs of a commit in a stream, the newest first.
///
/// # Errors
/// The driver's.
pub async fn of_commit(
    connection: &mut AnyConnection,
    stream: StreamId,
    commit: &str,
) -> sqlx::Result<Vec<Judgement>> {
    let sql = "SELECT j.run_id, j.stream_id, j.branch, j.accepted, j.at, j.outcome, j.judged, j.verdicts
               FROM runs r JOIN judgements j ON j.run_id = r.id
               WHERE r.stream_id = $1 AND r.commit_sha = $2 ORDER BY r.id DESC LIMIT 100";
    let query = sqlx::query(sql).bind(stream.0).bind(commit.to_owned());
    query.fetch_all(connection).await?.iter().map(read).collect()
}

/// At most `limit` branches of a stream that have a history, in their order: the index is skipped through, not read.
///
/// # Errors
/// The driver's.
pub async fn list_branches(
    connection: &mut AnyConnection,
    stream: StreamId,
    limit: u32,
) -> sqlx::Result<Vec<String>> {
    let sql = "WITH RECURSIVE found(branch) AS (
                   SELECT MIN(branch) FROM judgements WHERE stream_id = $1 AND accepted = 1
                   UNION ALL
                   SELECT (SELECT MIN(j.branch) FROM judgements j
                           WHERE j.stream_id = $1 AND j.accepted = 1 AND j.branch > found.branch)
                   FROM found WHERE found.branch IS NOT NULL)
               SELECT branch FROM found WHERE branch IS NOT NULL LIMIT $2";
    let query = sqlx::query_scalar(sql).bind(stream.0).bind(i64::from(limit));
    query.fetch_all(connection).await
}

/// The newest judgements on the histories of other repositories of the same owner in the same environment, since a
/// moment: the name of each that may be told, and its verdicts.
///
/// # Errors
/// The driver's.
pub async fn of_neighbours(
    connection: &mut AnyConnection,
    stream: StreamId,
    since: UnixMillis,
    limit: u32,
) -> sqlx::Result<Vec<(String, String)>> {
    let sql = "SELECT o.owner AS owner, o.name AS name, o.config AS config, j.verdicts AS verdicts
               FROM streams mine JOIN repositories me ON me.id = mine.repository_id
               JOIN repositories o ON o.owner = me.owner AND o.id <> me.id
               JOIN streams t ON t.repository_id = o.id AND t.environment_id = mine.environment_id
               JOIN judgements j ON j.stream_id = t.id
               WHERE mine.id = $1 AND j.accepted = 1 AND j.judged >= $2
               ORDER BY j.run_id DESC LIMIT $3";
    let query = sqlx::query(sql)
        .bind(stream.0)
        .bind(since.0)
        .bind(i64::from(limit));
    let read = |row: &sqlx::any::AnyRow| {
        let (owner, name): (String, String) = (row.try_get("owner")?, row.try_get("name")?);
        let config: RepoConfig =
            serde_json::from_str(&row.try_get::<String, _>("config")?).unwrap_or_default();
        let told = if config.public {
            format!("{owner}/{name}")
        } else {
            "another repository".to_owned()
        };
        Ok((told, row.try_get("verdicts")?))
    };
    query.fetch_all(connection).await?.iter().map(read).collect()
}

/// A judged run of another commit in the same stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherRun {
    /// Its number.
    pub run: RunId,
    /// The branch that was measured.
    pub branch: String,
    /// Whether it belongs to the history of its target branch.
    pub of_history: bool,
    /// Its pull request.
    pub pull_request: Option<u32>,
    /// The commit that the pull request is based on, if a webhook told.
    pub base: Option<String>,
    /// Whether the pull request is open.
    pub open: bool,
    /// The verdicts, as JSON.
    pub verdicts: String,
}

/// The newest judgements on other commits that are judged by the same history, since a moment.
///
/// # Errors
/// The driver's.
pub async fn of_other_commits(
    connection: &mut AnyConnection,
    run: &MeasuredRun,
    since: UnixMillis,
    limit: u32,
) -> sqlx::Result<Vec<OtherRun>> {
    let sql = "SELECT r.id AS id, r.branch AS branch, r.pull_request AS pull_request, j.accepted AS accepted,
                   j.verdicts AS verdicts, p.base_sha AS base_sha, COALESCE(p.open, 0) AS open
               FROM judgements j JOIN runs r ON r.id = j.run_id
               LEFT JOIN pull_requests p ON p.repository_id = r.repository_id AND p.number = r.pull_request
               WHERE j.stream_id = $1 AND r.target = $2 AND r.commit_sha <> $3 AND j.judged >= $4
                   AND COALESCE(p.head_sha, r.commit_sha) = r.commit_sha
               ORDER BY j.run_id DESC LIMIT $5";
    let query = sqlx::query(sql)
        .bind(run.run.stream.0)
        .bind(run.run.target.clone())
        .bind(run.run.commit.clone())
        .bind(since.0)
        .bind(i64::from(limit));
    let read = |row: &sqlx::any::AnyRow| {
        let number: Option<i64> = row.try_get("pull_request")?;
        Ok(OtherRun {
            run: RunId(row.try_get("id")?),
            branch: row.try_get("branch")?,
            of_history: row.try_get::<i64, _>("accepted")? != 0,
            pull_request: number.and_then(|number| u32::try_from(number).ok()),
            base: row.try_get("base_sha")?,
            open: row.try_get::<i64, _>("open")? != 0,
            verdicts: row.try_get("verdicts")?,
        })
    };
    query.fetch_all(connection).await?.iter().map(read).collect()
}

/// Whether any run of a pull request was judged slower or faster.
///
/// # Errors
/// The driver's.
pub async fn pull_request_has_change(
    connection: &mut AnyConnection,
    repository: RepositoryId,
    number: u32,
) -> sqlx::Result<bool> {
    let sql = "SELECT CAST(COUNT(*) AS BIGINT) FROM (
                   SELECT 1 FROM runs r JOIN judgements j ON j.run_id = r.id
                   WHERE r.repository_id = $1 AND r.pull_request = $2
                       AND j.outcome NOT IN ('unchanged', 'suspected', 'not-judged') LIMIT 1) AS found";
    let query = sqlx::query_scalar(sql).bind(repository.0).bind(i64::from(number));
    let found: i64 = query.fetch_one(connection).await?;
    Ok(found > 0)
}

/// The judgements on the accepted runs of the newest commit of a stream on this branch, the newest first.
///
/// # Errors
/// The driver's.
pub async fn newest_of_branch(
    connection: &mut AnyConnection,
    stream: StreamId,
    branch: &str,
) -> sqlx::Result<Vec<Judgement>> {
    let sql = "SELECT r.commit_sha FROM judgements j JOIN runs r ON r.id = j.run_id
               WHERE j.stream_id = $1 AND j.branch = $2 AND j.accepted = 1
               ORDER BY j.at DESC, j.run_id DESC LIMIT 1";
    let query = sqlx::query_scalar(sql).bind(stream.0).bind(branch.to_owned());
    let commit: Option<String> = query.fetch_optional(&mut *connection).await?;
    let Some(commit) = commit else {
        return Ok(Vec::new());
    };
    let mut all = of_commit(connection, stream, &commit).await?;
    all.retain(|judgement| judgement.accepted && judgement.branch == branch);
    Ok(all)
}

/// Keeps the values of `series` in `run` out of the baseline.
///
/// # Errors
/// The driver's.
pub async fn insert_rejection(
    connection: &mut AnyConnection,
    series: SeriesId,
    run: RunId,
) -> sqlx::Result<()> {
    let sql = "INSERT INTO rejections (series_id, run_id) VALUES ($1, $2) ON CONFLICT (series_id, run_id) DO NOTHING";
    sqlx::query(sql)
        .bind(series.0)
        .bind(run.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Lets the values of `series` in `run` into the baseline after all.
///
/// # Errors
/// The driver's.
pub async fn remove_rejection(
    connection: &mut AnyConnection,
    series: SeriesId,
    run: RunId,
) -> sqlx::Result<()> {
    let sql = "DELETE FROM rejections WHERE series_id = $1 AND run_id = $2";
    sqlx::query(sql)
        .bind(series.0)
        .bind(run.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Lets all values of `series` from a run on into the baseline: somebody accepted them.
///
/// # Errors
/// The driver's.
pub async fn unreject_from(
    connection: &mut AnyConnection,
    series: SeriesId,
    from: RunId,
) -> sqlx::Result<()> {
    let sql = "DELETE FROM rejections WHERE series_id = $1 AND EXISTS (
                   SELECT 1 FROM judgements j JOIN judgements f ON f.run_id = $2
                   WHERE j.run_id = rejections.run_id AND (j.at, j.run_id) >= (f.at, f.run_id))";
    sqlx::query(sql)
        .bind(series.0)
        .bind(from.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// The series whose values in `run` are kept out of the baseline.
///
/// # Errors
/// The driver's.
pub async fn rejected_in(connection: &mut AnyConnection, run: RunId) -> sqlx::Result<Vec<SeriesId>> {
    let sql = "SELECT series_id FROM rejections WHERE run_id = $1";
    let series: Vec<i64> = sqlx::query_scalar(sql).bind(run.0).fetch_all(connection).await?;
    Ok(series.into_iter().map(SeriesId).collect())
}

/// What makes values of a history count or not.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// Where the baseline of a series begins.
    pub epochs: HashMap<SeriesId, HistoryPlace>,
    /// Values that must not count: (series, run).
    pub rejected: BTreeSet<(SeriesId, RunId)>,
}

/// The epochs of a stream on a branch, and its rejected values from `from` on, before `before`.
///
/// # Errors
/// The driver's.
pub async fn list_epochs_and_rejections(
    connection: &mut AnyConnection,
    stream: StreamId,
    branch: &str,
    from: HistoryPlace,
    before: HistoryPlace,
) -> sqlx::Result<Marks> {
    // The first run of an epoch may have been removed for its age: then all that is left comes after it.
    let sql = "SELECT CAST(1 AS BIGINT) AS epoch, e.series_id AS series_id, e.from_run AS run_id,
                   COALESCE(f.at, 0) AS at
               FROM epochs e JOIN series s ON s.id = e.series_id LEFT JOIN judgements f ON f.run_id = e.from_run
               WHERE s.stream_id = $1 AND e.branch = $2
               UNION ALL
               SELECT CAST(0 AS BIGINT), x.series_id, x.run_id, j.at
               FROM judgements j JOIN rejections x ON x.run_id = j.run_id
               WHERE j.stream_id = $1 AND j.branch = $2 AND j.accepted = 1
                   AND (j.at, j.run_id) >= ($3, $4) AND (j.at, j.run_id) < ($5, $6)";
    let query = sqlx::query(sql)
        .bind(stream.0)
        .bind(branch.to_owned())
        .bind(from.at.0)
        .bind(from.run.0)
        .bind(before.at.0)
        .bind(before.run.0);
    let mut marks = Marks::default();
    for row in query.fetch_all(connection).await? {
        let series = SeriesId(row.try_get("series_id")?);
        let place = read_place(&row)?;
        if row.try_get::<i64, _>("epoch")? == 0 {
            marks.rejected.insert((series, place.run));
        } else {
            let start = marks.epochs.entry(series).or_insert(place);
            *start = place.max(*start);
        }
    }
    Ok(marks)
}

/// The rejected values of a stream from `from` on, before `before`.
///
/// # Errors
/// The driver's.
pub async fn list_rejections(
    connection: &mut AnyConnection,
    stream: StreamId,
    from: RunId,
    before: RunId,
) -> sqlx::Result<Vec<(SeriesId, RunId)>> {
    let sql = "SELECT x.series_id, x.run_id FROM rejections x JOIN series s ON s.id = x.series_id
               WHERE s.stream_id = $1 AND x.run_id >= $2 AND x.run_id < $3 ORDER BY x.run_id";
    let query = sqlx::query(sql).bind(stream.0).bind(from.0).bind(before.0);
    let read =
        |row: &sqlx::any::AnyRow| Ok((SeriesId(row.try_get("series_id")?), RunId(row.try_get("run_id")?)));
    query.fetch_all(connection).await?.iter().map(read).collect()
}

/// The oldest place before `before` from which on a series of the stream was rejected without a gap that was accepted:
/// the first rejection since the last epoch of its series.
///
/// # Errors
/// The driver's.
pub async fn first_rejection(
    connection: &mut AnyConnection,
    stream: StreamId,
    before: HistoryPlace,
) -> sqlx::Result<Option<HistoryPlace>> {
    let sql = "SELECT j.at AS at, j.run_id AS run_id
               FROM rejections x JOIN series s ON s.id = x.series_id JOIN judgements j ON j.run_id = x.run_id
               WHERE s.stream_id = $1 AND (j.at, j.run_id) < ($2, $3)
                   AND NOT EXISTS (SELECT 1 FROM epochs e JOIN judgements f ON f.run_id = e.from_run
                       WHERE e.series_id = s.id AND (f.at, f.run_id) >= (j.at, j.run_id))
               ORDER BY j.at, j.run_id LIMIT 1";
    let query = sqlx::query(sql)
        .bind(stream.0)
        .bind(before.at.0)
        .bind(before.run.0);
    let row = query.fetch_optional(connection).await?;
    row.as_ref().map(read_place).transpose()
}

fn read_place(row: &sqlx::any::AnyRow) -> sqlx::Result<HistoryPlace> {
    Ok(HistoryPlace {
        at: UnixMillis(row.try_get("at")?),
        run: RunId(row.try_get("run_id")?),
    })
}

/// Starts an epoch.
///
/// # Errors
/// The driver's.
pub async fn insert_epoch(connection: &mut AnyConnection, epoch: &JudgedEpoch) -> sqlx::Result<()> {
    let sql = "INSERT INTO epochs (series_id, branch, from_run, justification, actor, at)
               VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (series_id, branch, from_run) DO UPDATE SET justification = excluded.justification,
                   actor = excluded.actor, at = excluded.at";
    let query = sqlx::query(sql)
        .bind(epoch.series.0)
        .bind(epoch.branch.clone())
        .bind(epoch.from_run.0)
        .bind(epoch.justification.clone())
        .bind(epoch.actor.clone())
        .bind(epoch.at.0);
    query.execute(connection).await?;
    Ok(())
}

/// All epochs of a stream on a branch, oldest first.
///
/// # Errors
/// The driver's.
pub async fn list_epochs(
    connection: &mut AnyConnection,
    stream: StreamId,
    branch: &str,
) -> sqlx::Result<Vec<JudgedEpoch>> {
    let sql = "SELECT e.series_id, e.branch, e.from_run, e.justification, e.actor, e.at
               FROM epochs e JOIN series s ON s.id = e.series_id
               LEFT JOIN judgements f ON f.run_id = e.from_run
               WHERE s.stream_id = $1 AND e.branch = $2 ORDER BY COALESCE(f.at, 0), e.from_run";
    let query = sqlx::query(sql).bind(stream.0).bind(branch.to_owned());
    let read = |row: &sqlx::any::AnyRow| {
        Ok(JudgedEpoch {
            series: SeriesId(row.try_get("series_id")?),
            branch: row.try_get("branch")?,
            from_run: RunId(row.try_get("from_run")?),
            justification: row.try_get("justification")?,
            actor: row.try_get("actor")?,
            at: UnixMillis(row.try_get("at")?),
        })
    };
    query.fetch_all(connection).await?.iter().map(read).collect()
}

/// Whether a confirming run of a commit was asked for.
///
/// # Errors
/// The driver's.
pub async fn was_asked(connection: &mut AnyConnection, stream: StreamId, commit: &str) -> sqlx::Result<bool> {
    let sql = "SELECT COUNT(*) FROM confirmations WHERE stream_id = $1 AND commit_sha = $2";
    let query = sqlx::query_scalar(sql).bind(stream.0).bind(commit.to_owned());
    let count: i64 = query.fetch_one(connection).await?;
    Ok(count > 0)
}

/// Notes that a confirming run was asked for. Whether it was not asked for before.
///
/// # Errors
/// The driver's.
pub async fn ask_confirmation(
    connection: &mut AnyConnection,
    stream: StreamId,
    commit: &str,
) -> sqlx::Result<bool> {
    let sql = "INSERT INTO confirmations (stream_id, commit_sha, asked) VALUES ($1, $2, $3)
               ON CONFLICT (stream_id, commit_sha) DO NOTHING";
    let query = sqlx::query(sql)
        .bind(stream.0)
        .bind(commit.to_owned())
        .bind(UnixMillis::now().0);
    Ok(query.execute(connection).await?.rows_affected() > 0)
}

fn read_outcome(row: &sqlx::any::AnyRow) -> sqlx::Result<Outcome> {
    let stored: String = row.try_get("outcome")?;
    stored
        .parse()
        .map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn read(row: &sqlx::any::AnyRow) -> sqlx::Result<Judgement> {
    Ok(Judgement {
        run: RunId(row.try_get("run_id")?),
        stream: StreamId(row.try_get("stream_id")?),
        branch: row.try_get("branch")?,
        accepted: row.try_get::<i64, _>("accepted")? != 0,
        at: UnixMillis(row.try_get("at")?),
        outcome: read_outcome(row)?,
        judged: UnixMillis(row.try_get("judged")?),
        verdicts: row.try_get("verdicts")?,
    })
}
