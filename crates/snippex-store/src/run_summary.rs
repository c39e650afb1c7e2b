//! What a run came to, kept with it: totals, and counts by reason.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::column;
use crate::error::StoreError;
use crate::ids::RunId;
use crate::open::Store;

/// Totals of a run. Counts are of runs (one case on both engines) where nothing else is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSummary {
    /// How long blocks were run for.
    pub elapsed: Duration,
    /// Blocks that were run.
    pub blocks: u64,
    /// Blocks with a divergence.
    pub diverging_blocks: u64,
    /// Runs in all.
    pub runs: u64,
    /// Runs that reached the terminator on the reference.
    pub completed: u64,
    /// Runs that ended in a signal there.
    pub faulted: u64,
    /// Runs in which every defined bit agrees.
    pub matched: u64,
    /// Runs in which not.
    pub diverged: u64,
    /// Runs without a verdict.
    pub inconclusive: u64,
    /// Runs that an engine does not support.
    pub unsupported: u64,
    /// Counts by reason.
    pub details: SummaryDetails,
}

/// Counts of a run by reason, each by its name in answers for programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SummaryDetails {
    /// Runs that were not done, as the cache of verdicts knew how they end; they are counted with all others.
    pub cached_runs: u64,
    /// Runs without a verdict.
    pub inconclusive: BTreeMap<String, u64>,
    /// Runs that were not done.
    pub unsupported: BTreeMap<String, u64>,
    /// Matches in which bits were passed over that the manuals leave open, by rule.
    pub excused: BTreeMap<String, u64>,
    /// Matches in which the engine differs as it documents, by the deviation.
    pub deviations: BTreeMap<String, u64>,
    /// Blocks that were not run.
    pub blocks_not_run: BTreeMap<String, u64>,
    /// Instruction forms by extension; empty unless blocks were generated.
    pub coverage: BTreeMap<String, FormCounts>,
    /// By binary.
    pub binaries: BTreeMap<String, GroupCounts>,
    /// By kind of instruction; a block counts for each kind that it has.
    pub kinds: BTreeMap<String, GroupCounts>,
    /// By extension of the instruction set; a block counts for each that it needs.
    pub extensions: BTreeMap<String, GroupCounts>,
    /// Divergences by kind.
    pub divergences: BTreeMap<String, GroupCounts>,
}

/// Counts of blocks that have something in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupCounts {
    /// Blocks that were run.
    pub blocks: u64,
    /// Those with a divergence.
    pub diverging_blocks: u64,
    /// Runs in all.
    pub runs: u64,
    /// Runs that diverge.
    pub diverged: u64,
}

/// Instruction forms of one extension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FormCounts {
    /// Forms that there are.
    pub forms: u64,
    /// Those that were run on both engines.
    pub run: u64,
    /// Those that user programs can execute on the reference.
    pub executable: u64,
    /// Blocks of them that were run.
    pub blocks: u64,
}

impl Store {
    /// Keeps what a run came to, in the place of what was kept before.
    ///
    /// # Errors
    /// When the database cannot be written, or the run is not there.
    pub async fn save_summary(&self, run: RunId, summary: &RunSummary) -> Result<(), StoreError> {
        let failed = self.failed_to("save the summary of a run");
        let mut connection = self.pool.acquire().await.map_err(&failed)?;
        insert_summary(&mut connection, run.0, summary)
            .await
            .map_err(failed)
    }

    /// What a run came to; `None` while it works, when its process died, and for runs from before this was kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn find_summary(&self, run: RunId) -> Result<Option<RunSummary>, StoreError> {
        let sql = "SELECT elapsed_us, blocks, diverging_blocks, runs, completed, faulted, matched, diverged,
                       inconclusive, unsupported, details
                   FROM run_summaries WHERE run_id = $1";
        let row = sqlx::query(sql).bind(run.0).fetch_optional(&self.pool).await;
        let summary = row.and_then(|row| row.as_ref().map(read_summary).transpose());
        summary.map_err(self.failed_to("read the summary of a run"))
    }
}

/// Keeps a summary in the place of what was kept before.
pub(crate) async fn insert_summary(
    connection: &mut AnyConnection,
    run: i64,
    summary: &RunSummary,
) -> sqlx::Result<()> {
    let sql =
        "INSERT INTO run_summaries (run_id, elapsed_us, blocks, diverging_blocks, runs, completed, faulted,
                   matched, diverged, inconclusive, unsupported, details)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
               ON CONFLICT (run_id) DO UPDATE SET elapsed_us = excluded.elapsed_us, blocks = excluded.blocks,
                   diverging_blocks = excluded.diverging_blocks, runs = excluded.runs,
                   completed = excluded.completed, faulted = excluded.faulted, matched = excluded.matched,
                   diverged = excluded.diverged, inconclusive = excluded.inconclusive,
                   unsupported = excluded.unsupported, details = excluded.details";
    let elapsed = i64::try_from(summary.elapsed.as_micros()).unwrap_or(i64::MAX);
    let details = serde_json::to_string(&summary.details).expect("plain data is JSON");
    let mut query = sqlx::query(sql).bind(run).bind(elapsed);
    for count in [
        summary.blocks,
        summary.diverging_blocks,
        summary.runs,
        summary.completed,
        summary.faulted,
        summary.matched,
        summary.diverged,
        summary.inconclusive,
        summary.unsupported,
    ] {
        query = query.bind(count.cast_signed());
    }
    query.bind(details).execute(connection).await.map(drop)
}

pub(crate) fn read_summary(row: &AnyRow) -> sqlx::Result<RunSummary> {
    let details: String = row.try_get("details")?;
    let details = serde_json::from_str(&details).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(RunSummary {
        elapsed: Duration::from_micros(column::read_u64(row, "elapsed_us")?),
        blocks: column::read_u64(row, "blocks")?,
        diverging_blocks: column::read_u64(row, "diverging_blocks")?,
        runs: column::read_u64(row, "runs")?,
        completed: column::read_u64(row, "completed")?,
        faulted: column::read_u64(row, "faulted")?,
        matched: column::read_u64(row, "matched")?,
        diverged: column::read_u64(row, "diverged")?,
        inconclusive: column::read_u64(row, "inconclusive")?,
        unsupported: column::read_u64(row, "unsupported")?,
        details,
    })
}
