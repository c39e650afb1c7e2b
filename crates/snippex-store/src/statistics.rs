//! What statistics are made of: runs with what they came to, and blocks that fail or do not end alike.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::column;
use crate::error::StoreError;
use crate::ids::{BlockNumber, RunId, UnixMillis};
use crate::names;
use crate::open::Store;
use crate::run::RunStatus;
use crate::run_summary::{self, RunSummary};

/// A run that compared an engine with a reference, and what it came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummedRun {
    /// The run.
    pub run: RunId,
    /// Its command.
    pub command: String,
    /// When it started.
    pub started: UnixMillis,
    /// Whether it did everything.
    pub finished: bool,
    /// What start states follow from.
    pub seed: u64,
    /// Start states for each block.
    pub states: u32,
    /// Name of the reference.
    pub reference: String,
    /// Name of the engine that is compared with it.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// What it came to.
    pub summary: RunSummary,
}

/// A block that diverged on an engine, over all runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingBlock {
    /// The block.
    pub block: BlockNumber,
    /// Name of its binary.
    pub binary: String,
    /// Address in the file.
    pub address: u64,
    /// Name of the engine.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// Runs of `check` and the like in which it diverged.
    pub failing: u64,
    /// Those in which it was run.
    pub all: u64,
    /// The last of those in which it diverged.
    pub last: RunId,
}

/// A block whose cases did not always end alike on the same engines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlakyBlock {
    /// The block.
    pub block: BlockNumber,
    /// Name of its binary.
    pub binary: String,
    /// Address in the file.
    pub address: u64,
    /// Name of the engine.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// What start states follow from.
    pub seed: u64,
    /// Start states.
    pub states: u32,
    /// Runs of `check` and the like with these cases on these engines.
    pub all: u64,
    /// The least and the most matches of one of them.
    pub matched: (u64, u64),
    /// The least and the most divergences of one of them.
    pub diverged: (u64, u64),
}

impl Store {
    /// The newest `limit` runs with a summary, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn summed_runs(&self, limit: u32) -> Result<Vec<SummedRun>, StoreError> {
        let sql = "SELECT runs.id AS id, command, started, status, seed, states_per_block, reference.name AS reference,
                       subject.name AS engine, subject.version AS version, elapsed_us, blocks, diverging_blocks, runs,
                       completed, faulted, matched, diverged, inconclusive, unsupported, details
                   FROM runs JOIN run_summaries ON run_summaries.run_id = runs.id
                       JOIN run_engines first ON first.run_id = runs.id AND first.position = 0
                       JOIN run_engines second ON second.run_id = runs.id AND second.position = 1
                       JOIN engines reference ON reference.id = first.engine_id
                       JOIN engines subject ON subject.id = second.engine_id
                   ORDER BY runs.id DESC LIMIT $1";
        let rows = sqlx::query(sql)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await;
        let runs = rows.and_then(|rows| rows.iter().map(read_run).collect());
        runs.map_err(self.failed_to("list the summaries of runs"))
    }

    /// At most `limit` blocks that diverged, those that did in the most runs first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn failing_blocks(&self, limit: u32) -> Result<Vec<FailingBlock>, StoreError> {
        let sql = "SELECT failing.block AS block, binaries.name AS binary, address, engines.name AS engine,
                       engines.version AS version, failing, last,
                       (SELECT COUNT(*) FROM block_results results
                        WHERE results.block = failing.block AND results.engine_id = failing.engine_id) AS every_run
                   FROM (SELECT block, engine_id, COUNT(*) AS failing, MAX(run_id) AS last FROM block_results
                         WHERE diverged > 0 GROUP BY block, engine_id
                         ORDER BY failing DESC, block, engine_id LIMIT $1) failing
                       JOIN blocks ON number = failing.block JOIN binaries ON binaries.id = binary_id
                       JOIN engines ON engines.id = failing.engine_id
                   ORDER BY failing DESC, failing.block, failing.engine_id";
        let read = |row: &AnyRow| {
            Ok(FailingBlock {
                block: BlockNumber(row.try_get("block")?),
                binary: row.try_get("binary")?,
                address: column::read_u64(row, "address")?,
                engine: row.try_get("engine")?,
                version: row.try_get("version")?,
                failing: column::read_u64(row, "failing")?,
                all: column::read_u64(row, "every_run")?,
                last: RunId(row.try_get("last")?),
            })
        };
        let rows = sqlx::query(sql)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await;
        let blocks = rows.and_then(|rows| rows.iter().map(read).collect());
        blocks.map_err(self.failed_to("list failing blocks"))
    }

    /// At most `limit` blocks that are flaky: in two finished runs with the same seed and number of states on the same two
    /// engines (name, version, configuration, guest, CPU) their cases came to other numbers of matches or divergences.
    ///
    /// Only blocks that diverged once, or that were inconclusive for want of a repetition or of an end, can be.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn flaky_blocks(&self, limit: u32) -> Result<Vec<FlakyBlock>, StoreError> {
        // An index orders the results of a block on an engine by matches and divergences, so that its first and its last entry say
        // whether they differ; what never does is left out by that. Failing blocks are found by skipping from one to the next.
        // CROSS JOIN keeps SQLite from reading all results instead of those of the few blocks that are left.
        let sql = "WITH RECURSIVE failing (block) AS (
                       SELECT MIN(block) FROM block_results WHERE diverged > 0
                       UNION ALL
                       SELECT (SELECT MIN(block) FROM block_results WHERE diverged > 0 AND block > failing.block)
                       FROM failing WHERE failing.block IS NOT NULL),
                   suspects (block) AS (
                       SELECT block FROM failing WHERE block IS NOT NULL UNION
                       SELECT block FROM block_inconclusive
                       WHERE reason IN ('not-repeated', 'reference-hung', 'reference-died')),
                   differing (block, engine_id) AS MATERIALIZED (
                       SELECT suspects.block, engines.id FROM suspects CROSS JOIN engines
                       WHERE (SELECT matched FROM block_results
                              WHERE block = suspects.block AND engine_id = engines.id
                              ORDER BY matched, diverged LIMIT 1)
                          <> (SELECT matched FROM block_results
                              WHERE block = suspects.block AND engine_id = engines.id
                              ORDER BY matched DESC, diverged DESC LIMIT 1)
                          OR (SELECT diverged FROM block_results
                              WHERE block = suspects.block AND engine_id = engines.id
                              ORDER BY matched, diverged LIMIT 1)
                          <> (SELECT diverged FROM block_results
                              WHERE block = suspects.block AND engine_id = engines.id
                              ORDER BY matched DESC, diverged DESC LIMIT 1)),
                   flaky AS (
                       SELECT results.block AS block, results.engine_id AS engine_id, seed, states_per_block,
                           COUNT(*) AS every_run, MIN(matched) AS least_matched, MAX(matched) AS most_matched,
                           MIN(diverged) AS least_diverged, MAX(diverged) AS most_diverged
                       FROM differing CROSS JOIN block_results results
                           JOIN runs ON runs.id = results.run_id AND runs.status = 'finished'
                           JOIN run_engines ON run_engines.run_id = runs.id AND position = 0
                       WHERE results.block = differing.block AND results.engine_id = differing.engine_id
                       GROUP BY results.block, results.engine_id, run_engines.engine_id, seed, states_per_block
                       HAVING MIN(matched) <> MAX(matched) OR MIN(diverged) <> MAX(diverged)
                       ORDER BY results.block, results.engine_id, seed, states_per_block LIMIT $1)
                   SELECT flaky.block AS block, binaries.name AS binary, address, engines.name AS engine,
                       engines.version AS version, seed, states_per_block, every_run, least_matched, most_matched,
                       least_diverged, most_diverged
                   FROM flaky JOIN engines ON engines.id = flaky.engine_id
                       JOIN blocks ON number = flaky.block JOIN binaries ON binaries.id = binary_id
                   ORDER BY flaky.block, flaky.engine_id, seed, states_per_block";
        let read = |row: &AnyRow| {
            let range = |least, most| -> sqlx::Result<(u64, u64)> {
                Ok((column::read_u64(row, least)?, column::read_u64(row, most)?))
            };
            Ok(FlakyBlock {
                block: BlockNumber(row.try_get("block")?),
                binary: row.try_get("binary")?,
                address: column::read_u64(row, "address")?,
                engine: row.try_get("engine")?,
                version: row.try_get("version")?,
                seed: column::read_u64(row, "seed")?,
                states: column::read_small_integer(row, "states_per_block")?,
                all: column::read_u64(row, "every_run")?,
                matched: range("least_matched", "most_matched")?,
                diverged: range("least_diverged", "most_diverged")?,
            })
        };
        let rows = sqlx::query(sql)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await;
        let blocks = rows.and_then(|rows| rows.iter().map(read).collect::<sqlx::Result<_>>());
        blocks.map_err(self.failed_to("list flaky blocks"))
    }
}

fn read_run(row: &AnyRow) -> sqlx::Result<SummedRun> {
    let status: String = row.try_get("status")?;
    Ok(SummedRun {
        run: RunId(row.try_get("id")?),
        command: row.try_get("command")?,
        started: UnixMillis(row.try_get("started")?),
        finished: names::variant_from_word(&status) == Some(RunStatus::Finished),
        seed: column::read_u64(row, "seed")?,
        states: column::read_small_integer(row, "states_per_block")?,
        reference: row.try_get("reference")?,
        engine: row.try_get("engine")?,
        version: row.try_get("version")?,
        summary: run_summary::read_summary(row)?,
    })
}
