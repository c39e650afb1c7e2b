//! Results in aggregate: counts for each block, run and engine.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use database_kit::Dialect;

use crate::column;
use crate::error::StoreError;
use crate::ids::{BlockNumber, EngineId, RunId};
use crate::insert::{Insert, Statement};
use crate::open::Store;

/// Blocks of a batch with the same counts from which on they are added by one statement.
const ALIKE: usize = 8;

/// How runs ended, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultCounts {
    /// Runs on the engine.
    pub runs: u64,
    /// Runs that reached the terminator.
    pub completed: u64,
    /// Runs that ended in a signal.
    pub faulted: u64,
    /// Runs that ended as on the reference engine.
    pub matched: u64,
    /// Runs that ended otherwise.
    pub diverged: u64,
    /// Runs that the engine cannot do.
    pub unsupported: u64,
    /// Runs whose comparison decides nothing, by reason.
    pub inconclusive: BTreeMap<String, u64>,
}

impl ResultCounts {
    /// Adds the counts of `other`.
    pub fn merge_counts(&mut self, other: &Self) {
        self.runs += other.runs;
        self.completed += other.completed;
        self.faulted += other.faulted;
        self.matched += other.matched;
        self.diverged += other.diverged;
        self.unsupported += other.unsupported;
        for (reason, runs) in &other.inconclusive {
            *self.inconclusive.entry(reason.clone()).or_default() += runs;
        }
    }

    /// Inconclusive runs of every reason together.
    #[must_use]
    pub fn inconclusive_total(&self) -> u64 {
        self.inconclusive.values().sum()
    }
}

/// Results of one block on one engine in one run. Several of the same block and engine add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockResult {
    /// The block.
    pub block: BlockNumber,
    /// The engine that is compared with the run's reference, or the only one.
    pub engine: EngineId,
    /// The counts.
    pub counts: ResultCounts,
}

impl Store {
    /// Sums over all blocks of a run, for each engine in ascending order of id; with the number of blocks.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn sum_results(&self, run: RunId) -> Result<Vec<(EngineId, u64, ResultCounts)>, StoreError> {
        let sql = "SELECT engine_id, COUNT(*) AS blocks, CAST(SUM(runs) AS BIGINT) AS runs,
                       CAST(SUM(completed) AS BIGINT) AS completed, CAST(SUM(faulted) AS BIGINT) AS faulted,
                       CAST(SUM(matched) AS BIGINT) AS matched, CAST(SUM(diverged) AS BIGINT) AS diverged,
                       CAST(SUM(unsupported) AS BIGINT) AS unsupported
                   FROM block_results WHERE run_id = $1 GROUP BY engine_id ORDER BY engine_id";
        let failed = self.failed_to("sum up a run");
        let rows = sqlx::query(sql)
            .bind(run.0)
            .fetch_all(&self.pool)
            .await
            .map_err(&failed)?;
        let read = |row: &AnyRow| {
            let blocks = column::read_u64(row, "blocks")?;
            Ok((EngineId(row.try_get("engine_id")?), blocks, read_counts(row)?))
        };
        let mut totals: Vec<_> = rows
            .iter()
            .map(read)
            .collect::<sqlx::Result<_>>()
            .map_err(&failed)?;
        for (engine, reason, runs) in self.sum_inconclusive(run).await.map_err(failed)? {
            if let Some((_, _, counts)) = totals.iter_mut().find(|(id, _, _)| id.0 == engine) {
                counts.inconclusive.insert(reason, runs.cast_unsigned());
            }
        }
        Ok(totals)
    }

    /// The results of the first `limit` blocks above `after` in a run, in ascending order of block, then engine:
    /// as many rows for each block as the run has engines for it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_results(
        &self,
        run: RunId,
        after: Option<BlockNumber>,
        limit: u32,
    ) -> Result<Vec<BlockResult>, StoreError> {
        let sql = "SELECT block, engine_id, runs, completed, faulted, matched, diverged, unsupported
                   FROM block_results
                   WHERE run_id = $1 AND block IN (SELECT DISTINCT block FROM block_results
                       WHERE run_id = $1 AND block > $2 ORDER BY block LIMIT $3)
                   ORDER BY block, engine_id";
        let failed = self.failed_to("list results");
        let after = after.map_or(0, |block| block.0);
        let rows = sqlx::query(sql)
            .bind(run.0)
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await;
        let mut results: Vec<BlockResult> = rows
            .and_then(|rows| rows.iter().map(read_result).collect())
            .map_err(&failed)?;
        let (Some(first), Some(last)) = (results.first(), results.last()) else {
            return Ok(results);
        };
        let reasons = self
            .inconclusive_between(run, first.block, last.block)
            .await
            .map_err(failed)?;
        for (block, engine, reason, runs) in reasons {
            let key = (BlockNumber(block), EngineId(engine));
            if let Ok(at) = results.binary_search_by_key(&key, |result| (result.block, result.engine)) {
                results[at]
                    .counts
                    .inconclusive
                    .insert(reason, runs.cast_unsigned());
            }
        }
        Ok(results)
    }

    async fn sum_inconclusive(&self, run: RunId) -> sqlx::Result<Vec<(i64, String, i64)>> {
        let sql = "SELECT engine_id, reason, CAST(SUM(runs) AS BIGINT) FROM block_inconclusive
                   WHERE run_id = $1 GROUP BY engine_id, reason";
        sqlx::query_as(sql).bind(run.0).fetch_all(&self.pool).await
    }

    async fn inconclusive_between(
        &self,
        run: RunId,
        first: BlockNumber,
        last: BlockNumber,
    ) -> sqlx::Result<Vec<(i64, i64, String, i64)>> {
        let sql = "SELECT block, engine_id, reason, runs FROM block_inconclusive
                   WHERE run_id = $1 AND block BETWEEN $2 AND $3";
        sqlx::query_as(sql)
            .bind(run.0)
            .bind(first.0)
            .bind(last.0)
            .fetch_all(&self.pool)
            .await
    }
}

/// Adds results to those of the run that are there already.
pub(crate) async fn add_results(
    connection: &mut AnyConnection,
    run: RunId,
    results: &[BlockResult],
) -> sqlx::Result<()> {
    // A statement may touch a row only once, so what belongs together is added up first.
    let mut merged: BTreeMap<(i64, i64), ResultCounts> = BTreeMap::new();
    for result in results {
        merged
            .entry((result.block.0, result.engine.0))
            .or_default()
            .merge_counts(&result.counts);
    }
    let rows: Vec<_> = merged
        .iter()
        .map(|(&(block, engine), counts)| (block, engine, counts))
        .collect();
    // Most blocks of a batch end alike, all of them as on the reference.
    let mut alike: BTreeMap<(i64, [u64; 6]), Vec<i64>> = BTreeMap::new();
    for &(block, engine, counts) in &rows {
        alike.entry((engine, columns_of(counts))).or_default().push(block);
    }
    let mut single = Vec::new();
    for ((engine, counts), blocks) in &alike {
        if blocks.len() < ALIKE {
            single.extend(blocks.iter().map(|&block| (block, *engine, *counts)));
        } else {
            add_counts_to_all(connection, run, *engine, counts, blocks).await?;
        }
    }
    add_counts(connection, run, &single).await?;
    let reason = |&(block, engine, counts): &(i64, i64, &'_ ResultCounts)| -> Vec<(i64, i64, String, u64)> {
        counts
            .inconclusive
            .iter()
            .map(|(reason, &runs)| (block, engine, reason.clone(), runs))
            .collect()
    };
    let reasons: Vec<_> = rows.iter().flat_map(reason).collect();
    add_reasons(connection, run, &reasons).await
}

/// The counts in the order of their columns.
fn columns_of(counts: &ResultCounts) -> [u64; 6] {
    [
        counts.runs,
        counts.completed,
        counts.faulted,
        counts.matched,
        counts.diverged,
        counts.unsupported,
    ]
}

const COUNTS: Insert = Insert {
    head: "INSERT INTO block_results (run_id, block, engine_id, runs, completed, faulted, matched, diverged,
           unsupported)",
    columns: 9,
    tail: "ON CONFLICT (run_id, block, engine_id) DO UPDATE SET
           runs = block_results.runs + excluded.runs,
           completed = block_results.completed + excluded.completed,
           faulted = block_results.faulted + excluded.faulted,
           matched = block_results.matched + excluded.matched,
           diverged = block_results.diverged + excluded.diverged,
           unsupported = block_results.unsupported + excluded.unsupported",
};

async fn add_counts(
    connection: &mut AnyConnection,
    run: RunId,
    rows: &[(i64, i64, [u64; 6])],
) -> sqlx::Result<()> {
    let bind = |statement: Statement, (block, engine, counts): &(i64, i64, [u64; 6])| {
        let statement = statement.bind(run.0).bind(*block).bind(*engine);
        let counts = counts.iter();
        counts.fold(statement, |statement, count| statement.bind(count.cast_signed()))
    };
    COUNTS.insert_rows(connection, rows, bind).await
}

/// Adds the same counts to each of `blocks`, whose numbers go out as one JSON list: a parameter for each would cost more
/// than adding the row.
async fn add_counts_to_all(
    connection: &mut AnyConnection,
    run: RunId,
    engine: i64,
    counts: &[u64; 6],
    blocks: &[i64],
) -> sqlx::Result<()> {
    let numbers = match Dialect::of_connection(connection) {
        Dialect::Sqlite => "json_each($9) AS number",
        Dialect::Postgres => "json_array_elements_text(CAST($9 AS JSON)) AS number (value)",
    };
    // Safe: made of constants only. Without WHERE, SQLite takes ON for the word of a join.
    let sql = format!(
        "{} SELECT $1, CAST(number.value AS BIGINT), $2, $3, $4, $5, $6, $7, $8 FROM {numbers} WHERE true {}",
        COUNTS.head, COUNTS.tail
    );
    let statement = sqlx::query(AssertSqlSafe(sql)).bind(run.0).bind(engine);
    let counts = counts.iter();
    let statement = counts.fold(statement, |statement, count| statement.bind(count.cast_signed()));
    let list = serde_json::to_string(blocks).expect("numbers are JSON");
    statement.bind(list).execute(connection).await?;
    Ok(())
}

async fn add_reasons(
    connection: &mut AnyConnection,
    run: RunId,
    rows: &[(i64, i64, String, u64)],
) -> sqlx::Result<()> {
    let insert = Insert {
        head: "INSERT INTO block_inconclusive (run_id, block, engine_id, reason, runs)",
        columns: 5,
        tail: "ON CONFLICT (run_id, block, engine_id, reason) DO UPDATE SET
               runs = block_inconclusive.runs + excluded.runs",
    };
    let bind = |statement: Statement, (block, engine, reason, runs): &(i64, i64, String, u64)| {
        statement
            .bind(run.0)
            .bind(*block)
            .bind(*engine)
            .bind(reason.clone())
            .bind(runs.cast_signed())
    };
    insert.insert_rows(connection, rows, bind).await
}

fn read_result(row: &AnyRow) -> sqlx::Result<BlockResult> {
    Ok(BlockResult {
        block: BlockNumber(row.try_get("block")?),
        engine: EngineId(row.try_get("engine_id")?),
        counts: read_counts(row)?,
    })
}

fn read_counts(row: &AnyRow) -> sqlx::Result<ResultCounts> {
    Ok(ResultCounts {
        runs: column::read_u64(row, "runs")?,
        completed: column::read_u64(row, "completed")?,
        faulted: column::read_u64(row, "faulted")?,
        matched: column::read_u64(row, "matched")?,
        diverged: column::read_u64(row, "diverged")?,
        unsupported: column::read_u64(row, "unsupported")?,
        inconclusive: BTreeMap::new(),
    })
}
