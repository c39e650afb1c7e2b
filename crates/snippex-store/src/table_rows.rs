//! Blocks and results as rows that name what they belong to, for tables outside: streamed, since there may be millions.

use futures_util::TryStreamExt as _;
use snippex_core::block::Block;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::column;
use crate::error::StoreError;
use crate::ids::{BlockNumber, RunId, UnixMillis};
use crate::open::Store;

/// A stored block with its binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRow {
    /// The number by which users name it.
    pub number: BlockNumber,
    /// Name of the binary.
    pub binary: String,
    /// SHA-256 of the binary, in hexadecimal digits.
    pub sha256: String,
    /// The block.
    pub block: Block,
}

/// What a run came to on a block and an engine, with names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultRow {
    /// The run.
    pub run: RunId,
    /// When it started.
    pub started: UnixMillis,
    /// Its command.
    pub command: String,
    /// The block.
    pub block: BlockNumber,
    /// Name of its binary.
    pub binary: String,
    /// Address in the file.
    pub address: u64,
    /// Name of the run's first engine: the reference where there are several.
    pub reference: String,
    /// Name of the engine.
    pub engine: String,
    /// Its version.
    pub version: String,
    /// Runs of cases on it.
    pub runs: u64,
    /// Those that reached the terminator.
    pub completed: u64,
    /// Those that ended in a signal.
    pub faulted: u64,
    /// Those that ended as on the reference.
    pub matched: u64,
    /// Those that ended otherwise.
    pub diverged: u64,
    /// Those whose comparison decides nothing.
    pub inconclusive: u64,
    /// Those that the engine cannot do.
    pub unsupported: u64,
}

/// Which results are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// Of runs that compare an engine with a reference.
    Validations,
    /// Of runs on one engine alone.
    Simulations,
}

/// Which runs are meant: from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRange {
    /// The first.
    pub first: RunId,
    /// The last.
    pub last: RunId,
}

impl RunRange {
    /// Every run.
    pub const ALL: Self = Self {
        first: RunId(0),
        last: RunId(i64::MAX),
    };

    /// Whether the run is one of them.
    #[must_use]
    pub fn contains(&self, run: RunId) -> bool {
        (self.first..=self.last).contains(&run)
    }
}

impl Store {
    /// Gives all blocks to `take` in the order of their numbers, until that wants no more (`false`).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn each_block_row(
        &self,
        mut take: impl FnMut(BlockRow) -> bool + Send,
    ) -> Result<(), StoreError> {
        let failed = self.failed_to("read blocks");
        let sql =
            "SELECT number, binary_id, address, bytes, instruction_count, terminator, successors, origin,
                       unrunnable, name, sha256
                   FROM blocks JOIN binaries ON binaries.id = binary_id ORDER BY number";
        let mut rows = sqlx::query(sql).fetch(&self.pool);
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            let stored = self.read_block(&row)?;
            let row = BlockRow {
                number: stored.number,
                binary: row.try_get("name").map_err(&failed)?,
                sha256: row.try_get("sha256").map_err(&failed)?,
                block: stored.block,
            };
            if !take(row) {
                break;
            }
        }
        Ok(())
    }

    /// Gives the results of `runs` to `take` in the order of runs, then blocks, until that wants no more (`false`).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn each_result_row(
        &self,
        kind: ResultKind,
        runs: RunRange,
        mut take: impl FnMut(ResultRow) -> bool + Send,
    ) -> Result<(), StoreError> {
        let failed = self.failed_to("read results");
        let sql = "SELECT results.run_id AS run, started, command, results.block AS block, binaries.name AS binary,
                       address, reference.name AS reference, engines.name AS engine, engines.version AS version,
                       results.runs AS runs, completed, faulted, matched, diverged, unsupported,
                       (SELECT CAST(COALESCE(SUM(reasons.runs), 0) AS BIGINT) FROM block_inconclusive reasons
                        WHERE reasons.run_id = results.run_id AND reasons.block = results.block
                            AND reasons.engine_id = results.engine_id) AS inconclusive
                   FROM block_results results
                       JOIN runs ON runs.id = results.run_id
                       JOIN blocks ON number = results.block JOIN binaries ON binaries.id = binary_id
                       JOIN engines ON engines.id = results.engine_id
                       JOIN run_engines first ON first.run_id = results.run_id AND first.position = 0
                       JOIN engines reference ON reference.id = first.engine_id
                   WHERE results.run_id BETWEEN $1 AND $2
                       AND (SELECT COUNT(*) FROM run_engines every WHERE every.run_id = results.run_id)
                           BETWEEN $3 AND $4
                   ORDER BY results.run_id, results.block, results.engine_id";
        let (least, most) = match kind {
            ResultKind::Validations => (2, i64::MAX),
            ResultKind::Simulations => (1, 1),
        };
        let query = sqlx::query(sql).bind(runs.first.0).bind(runs.last.0);
        let mut rows = query.bind(least).bind(most).fetch(&self.pool);
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            if !take(read(&row).map_err(&failed)?) {
                break;
            }
        }
        Ok(())
    }
}

fn read(row: &AnyRow) -> sqlx::Result<ResultRow> {
    Ok(ResultRow {
        run: RunId(row.try_get("run")?),
        started: UnixMillis(row.try_get("started")?),
        command: row.try_get("command")?,
        block: BlockNumber(row.try_get("block")?),
        binary: row.try_get("binary")?,
        address: column::read_u64(row, "address")?,
        reference: row.try_get("reference")?,
        engine: row.try_get("engine")?,
        version: row.try_get("version")?,
        runs: column::read_u64(row, "runs")?,
        completed: column::read_u64(row, "completed")?,
        faulted: column::read_u64(row, "faulted")?,
        matched: column::read_u64(row, "matched")?,
        diverged: column::read_u64(row, "diverged")?,
        inconclusive: column::read_u64(row, "inconclusive")?,
        unsupported: column::read_u64(row, "unsupported")?,
    })
}
