//! Removal of blocks, binaries and runs with everything that belongs to them.

use std::collections::BTreeSet;

use sqlx::AnyConnection;

use crate::block;
use crate::error::StoreError;
use crate::ids::{BinaryId, RunId};
use crate::open::Store;
use crate::selection::Selection;

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Binaries.
    pub binaries: u64,
    /// Blocks.
    pub blocks: u64,
    /// Runs.
    pub runs: u64,
    /// Results of a block in a run.
    pub results: u64,
    /// Divergences.
    pub divergences: u64,
    /// Observations.
    pub observations: u64,
    /// Cases that nothing refers to any more.
    pub cases: u64,
}

impl Store {
    /// Removes the selected blocks with their results, and binaries that have no block left because of it.
    /// Runs stay, as the record of what was done. Numbers of removed blocks are not given out again.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is removed then.
    pub async fn remove_blocks(&self, selection: &Selection) -> Result<Removed, StoreError> {
        let failed = self.failed_to("remove blocks");
        let mut transaction = self.begin_transaction("remove blocks").await?;
        let removed = remove_ranges(&mut transaction, selection)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(removed)
    }

    /// Removes a binary with its blocks and their results.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none with this id; when the database cannot be written.
    pub async fn remove_binary(&self, id: BinaryId) -> Result<Removed, StoreError> {
        let failed = self.failed_to("remove a binary");
        let mut transaction = self.begin_transaction("remove a binary").await?;
        block::reserve_numbers(&mut transaction, 0)
            .await
            .map_err(&failed)?;
        let mut removed = count_of_binary(&mut transaction, id).await.map_err(&failed)?;
        removed.binaries = delete_binary(&mut transaction, id).await.map_err(&failed)?;
        if removed.binaries == 0 {
            return Err(self.missing_row("binary", id.0));
        }
        removed.cases = delete_unused_cases(&mut transaction).await.map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(removed)
    }

    /// Removes a run with its results, and bugs that no other run has met. Blocks and the list of known bugs stay.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none with this id; when the database cannot be written.
    pub async fn remove_run(&self, id: RunId) -> Result<Removed, StoreError> {
        let failed = self.failed_to("remove a run");
        let mut transaction = self.begin_transaction("remove a run").await?;
        let mut removed = count_of_run(&mut transaction, id).await.map_err(&failed)?;
        removed.runs = delete_run(&mut transaction, id).await.map_err(&failed)?;
        if removed.runs == 0 {
            return Err(self.missing_row("run", id.0));
        }
        delete_unseen_bugs(&mut transaction).await.map_err(&failed)?;
        removed.cases = delete_unused_cases(&mut transaction).await.map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(removed)
    }
}

type Range = (i64, i64);

async fn remove_ranges(connection: &mut AnyConnection, selection: &Selection) -> sqlx::Result<Removed> {
    // Takes the lock on the numbers: nobody adds blocks to a binary while it is found to be empty.
    block::reserve_numbers(connection, 0).await?;
    let mut removed = Removed::default();
    let mut touched = BTreeSet::new();
    for (first, last) in selection.ranges() {
        let range = (first.0, last.0);
        touched.extend(binaries_of(connection, range).await?);
        removed.observations += delete_observations(connection, range).await?;
        removed.divergences += delete_divergences(connection, range).await?;
        delete_inconclusive(connection, range).await?;
        removed.results += delete_results(connection, range).await?;
        removed.blocks += delete_blocks(connection, range).await?;
    }
    for binary in touched {
        removed.binaries += delete_binary_if_empty(connection, BinaryId(binary)).await?;
    }
    removed.cases = delete_unused_cases(connection).await?;
    Ok(removed)
}

async fn binaries_of(connection: &mut AnyConnection, range: Range) -> sqlx::Result<Vec<i64>> {
    let sql = "SELECT DISTINCT binary_id FROM blocks WHERE number BETWEEN $1 AND $2";
    sqlx::query_scalar(sql)
        .bind(range.0)
        .bind(range.1)
        .fetch_all(connection)
        .await
}

async fn delete_range(connection: &mut AnyConnection, sql: &'static str, range: Range) -> sqlx::Result<u64> {
    let done = sqlx::query(sql)
        .bind(range.0)
        .bind(range.1)
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}

async fn delete_observations(connection: &mut AnyConnection, range: Range) -> sqlx::Result<u64> {
    delete_range(
        connection,
        "DELETE FROM observations WHERE block BETWEEN $1 AND $2",
        range,
    )
    .await
}

async fn delete_divergences(connection: &mut AnyConnection, range: Range) -> sqlx::Result<u64> {
    delete_range(
        connection,
        "DELETE FROM divergences WHERE block BETWEEN $1 AND $2",
        range,
    )
    .await
}

async fn delete_inconclusive(connection: &mut AnyConnection, range: Range) -> sqlx::Result<u64> {
    delete_range(
        connection,
        "DELETE FROM block_inconclusive WHERE block BETWEEN $1 AND $2",
        range,
    )
    .await
}

async fn delete_results(connection: &mut AnyConnection, range: Range) -> sqlx::Result<u64> {
    delete_range(
        connection,
        "DELETE FROM block_results WHERE block BETWEEN $1 AND $2",
        range,
    )
    .await
}

async fn delete_blocks(connection: &mut AnyConnection, range: Range) -> sqlx::Result<u64> {
    delete_range(
        connection,
        "DELETE FROM blocks WHERE number BETWEEN $1 AND $2",
        range,
    )
    .await
}

async fn delete_binary_if_empty(connection: &mut AnyConnection, id: BinaryId) -> sqlx::Result<u64> {
    let sql = "DELETE FROM binaries
               WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM blocks WHERE blocks.binary_id = binaries.id)";
    Ok(sqlx::query(sql)
        .bind(id.0)
        .execute(connection)
        .await?
        .rows_affected())
}

async fn delete_unseen_bugs(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let statements = [
        "DELETE FROM bugs
         WHERE NOT EXISTS (SELECT 1 FROM bug_sightings WHERE bug_sightings.signature = bugs.signature)",
        "DELETE FROM bug_examples
         WHERE NOT EXISTS (SELECT 1 FROM bug_sightings WHERE bug_sightings.signature = bug_examples.signature
             AND bug_sightings.cause = bug_examples.cause)",
    ];
    for sql in statements {
        sqlx::query(sql).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(crate) async fn delete_unused_cases(connection: &mut AnyConnection) -> sqlx::Result<u64> {
    let sql = "DELETE FROM cases
               WHERE NOT EXISTS (SELECT 1 FROM divergences WHERE divergences.case_id = cases.id)
                   AND NOT EXISTS (SELECT 1 FROM observations WHERE observations.case_id = cases.id)
                   AND NOT EXISTS (SELECT 1 FROM bug_examples WHERE bug_examples.case_id = cases.id)";
    Ok(sqlx::query(sql).execute(connection).await?.rows_affected())
}

async fn count_of_binary(connection: &mut AnyConnection, id: BinaryId) -> sqlx::Result<Removed> {
    let sql = "SELECT (SELECT COUNT(*) FROM blocks WHERE binary_id = $1),
                   (SELECT COUNT(*) FROM block_results JOIN blocks ON number = block WHERE binary_id = $1),
                   (SELECT COUNT(*) FROM divergences JOIN blocks ON number = block WHERE binary_id = $1),
                   (SELECT COUNT(*) FROM observations JOIN blocks ON number = block WHERE binary_id = $1)";
    let (blocks, results, divergences, observations): (i64, i64, i64, i64) =
        sqlx::query_as(sql).bind(id.0).fetch_one(connection).await?;
    Ok(Removed {
        blocks: blocks.cast_unsigned(),
        results: results.cast_unsigned(),
        divergences: divergences.cast_unsigned(),
        observations: observations.cast_unsigned(),
        ..Removed::default()
    })
}

async fn count_of_run(connection: &mut AnyConnection, id: RunId) -> sqlx::Result<Removed> {
    let sql = "SELECT (SELECT COUNT(*) FROM block_results WHERE run_id = $1),
                   (SELECT COUNT(*) FROM divergences WHERE run_id = $1),
                   (SELECT COUNT(*) FROM observations WHERE run_id = $1)";
    let (results, divergences, observations): (i64, i64, i64) =
        sqlx::query_as(sql).bind(id.0).fetch_one(connection).await?;
    Ok(Removed {
        results: results.cast_unsigned(),
        divergences: divergences.cast_unsigned(),
        observations: observations.cast_unsigned(),
        ..Removed::default()
    })
}

async fn delete_binary(connection: &mut AnyConnection, id: BinaryId) -> sqlx::Result<u64> {
    let sql = "DELETE FROM binaries WHERE id = $1";
    Ok(sqlx::query(sql)
        .bind(id.0)
        .execute(connection)
        .await?
        .rows_affected())
}

async fn delete_run(connection: &mut AnyConnection, id: RunId) -> sqlx::Result<u64> {
    let sql = "DELETE FROM runs WHERE id = $1";
    Ok(sqlx::query(sql)
        .bind(id.0)
        .execute(connection)
        .await?
        .rows_affected())
}
