//! Divergences, kept in full: the case, what was expected, what came, and how they differ.

use snippex_core::case::Case;
use snippex_core::codec::CaseId;
use snippex_core::observation::Observation;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::column;
use crate::error::StoreError;
use crate::evidence::{EncodedCase, EncodedObservation};
use crate::ids::{BlockNumber, DivergenceId, EngineId, RunId};
use crate::insert::{Insert, Statement};
use crate::open::Store;

/// A divergence that was found. The same block, state and engine found again in the same run replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDivergence {
    /// The block.
    pub block: BlockNumber,
    /// The engine that answers differently.
    pub engine: EngineId,
    /// The engine that it is compared with.
    pub reference: EngineId,
    /// Which of the block's start states, from 0.
    pub state_index: u32,
    /// What ran.
    pub case: EncodedCase,
    /// How it ended on the reference engine.
    pub expected: EncodedObservation,
    /// How it ended on the engine.
    pub actual: EncodedObservation,
    /// The differing fields, as JSON.
    pub differences: String,
    /// Kind of difference; what summaries group by.
    pub class: String,
    /// The instruction that is to blame, if it is known.
    pub culprit: Option<String>,
    /// How often it was repeated alone in a fresh process.
    pub confirmations: u32,
}

/// A stored divergence without its evidence: what lists show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DivergenceSummary {
    /// Its identity.
    pub id: DivergenceId,
    /// The run that found it.
    pub run: RunId,
    /// The block.
    pub block: BlockNumber,
    /// The engine that answers differently.
    pub engine: EngineId,
    /// The engine that it is compared with.
    pub reference: EngineId,
    /// Which of the block's start states, from 0.
    pub state_index: u32,
    /// Content address of the case.
    pub case_id: CaseId,
    /// The differing fields, as JSON.
    pub differences: String,
    /// Kind of difference.
    pub class: String,
    /// The instruction that is to blame, if it is known.
    pub culprit: Option<String>,
    /// How often it was repeated alone in a fresh process.
    pub confirmations: u32,
}

/// A stored divergence with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDivergence {
    /// What lists show.
    pub summary: DivergenceSummary,
    /// What ran.
    pub case: Case,
    /// How it ended on the reference engine.
    pub expected: Observation,
    /// How it ended on the engine.
    pub actual: Observation,
}

/// Divergences of one kind in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DivergenceGroup {
    /// The engine that answers differently.
    pub engine: EngineId,
    /// Kind of difference.
    pub class: String,
    /// The instruction that is to blame, if it is known.
    pub culprit: Option<String>,
    /// Stored divergences of the group.
    pub divergences: u64,
    /// Blocks with at least one of them.
    pub blocks: u64,
    /// The one with the lowest id, as an example.
    pub example: DivergenceId,
}

impl Store {
    /// The first `limit` divergences with an id above `after`, in ascending order; only those of a run or a
    /// block if they are given.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_divergences(
        &self,
        run: Option<RunId>,
        block: Option<BlockNumber>,
        after: Option<DivergenceId>,
        limit: u32,
    ) -> Result<Vec<DivergenceSummary>, StoreError> {
        let sql =
            "SELECT id, run_id, block, engine_id, reference_id, state_index, case_id, differences, class,
                       culprit, confirmations
                   FROM divergences
                   WHERE id > $1 AND (CAST($2 AS BIGINT) IS NULL OR run_id = $2)
                       AND (CAST($3 AS BIGINT) IS NULL OR block = $3)
                   ORDER BY id LIMIT $4";
        let query = sqlx::query(sql)
            .bind(after.map_or(0, |id| id.0))
            .bind(run.map(|run| run.0))
            .bind(block.map(|block| block.0))
            .bind(i64::from(limit));
        let rows = query
            .fetch_all(&self.pool)
            .await
            .map_err(self.failed_to("list divergences"))?;
        rows.iter().map(|row| self.read_divergence(row)).collect()
    }

    /// One divergence with its evidence.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none with this id, [`StoreError::Codec`] when its evidence is
    /// damaged.
    pub async fn load_divergence(&self, id: DivergenceId) -> Result<StoredDivergence, StoreError> {
        let sql = "SELECT divergences.id, run_id, block, engine_id, reference_id, state_index, case_id,
                       differences, class, culprit, confirmations, expected, actual, cases.bytes AS case_bytes
                   FROM divergences JOIN cases ON cases.id = case_id WHERE divergences.id = $1";
        let failed = self.failed_to("read a divergence");
        let row = sqlx::query(sql)
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        let row = row.ok_or_else(|| self.missing_row("divergence", id.0))?;
        let bytes = |column: &str| row.try_get::<Vec<u8>, _>(column).map_err(&failed);
        let (case, case_bytes) = self.decode_case(&bytes("case_bytes")?)?;
        Ok(StoredDivergence {
            summary: self.read_divergence(&row)?,
            case,
            expected: self.decode_observation(&bytes("expected")?, &case_bytes)?,
            actual: self.decode_observation(&bytes("actual")?, &case_bytes)?,
        })
    }

    /// The divergences of a run by engine, class and culprit, the largest group first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn divergence_groups(&self, run: RunId) -> Result<Vec<DivergenceGroup>, StoreError> {
        let sql =
            "SELECT engine_id, class, culprit, COUNT(*) AS divergences, COUNT(DISTINCT block) AS blocks,
                       MIN(id) AS example
                   FROM divergences WHERE run_id = $1
                   GROUP BY engine_id, class, culprit ORDER BY divergences DESC, example";
        let rows = sqlx::query(sql).bind(run.0).fetch_all(&self.pool).await;
        let groups = rows.and_then(|rows| rows.iter().map(read_group).collect());
        groups.map_err(self.failed_to("group divergences"))
    }

    fn read_divergence(&self, row: &AnyRow) -> Result<DivergenceSummary, StoreError> {
        let (mut summary, case_id) = read_summary(row).map_err(self.failed_to("read a divergence"))?;
        summary.case_id = self.read_case_id(case_id)?;
        Ok(summary)
    }
}

/// Adds divergences; their cases must be there.
pub(crate) async fn insert_divergences(
    connection: &mut AnyConnection,
    run: RunId,
    divergences: &[NewDivergence],
) -> sqlx::Result<()> {
    let insert = Insert {
        head: "INSERT INTO divergences (run_id, block, engine_id, reference_id, state_index, case_id, class,
               culprit, confirmations, differences, expected, actual)",
        columns: 12,
        tail: "ON CONFLICT (run_id, block, state_index, engine_id) DO UPDATE SET
               reference_id = excluded.reference_id, case_id = excluded.case_id, class = excluded.class,
               culprit = excluded.culprit, confirmations = excluded.confirmations,
               differences = excluded.differences, expected = excluded.expected, actual = excluded.actual",
    };
    let bind = |statement: Statement, divergence: &&NewDivergence| {
        statement
            .bind(run.0)
            .bind(divergence.block.0)
            .bind(divergence.engine.0)
            .bind(divergence.reference.0)
            .bind(i64::from(divergence.state_index))
            .bind(divergence.case.id.to_string())
            .bind(divergence.class.clone())
            .bind(divergence.culprit.clone())
            .bind(i64::from(divergence.confirmations))
            .bind(divergence.differences.clone())
            .bind(divergence.expected.pack_beside(&divergence.case))
            .bind(divergence.actual.pack_beside(&divergence.case))
    };
    insert
        .insert_rows(connection, &last_of_each(divergences), bind)
        .await
}

/// A statement may touch a row only once: of several with the same key the last is kept.
fn last_of_each(divergences: &[NewDivergence]) -> Vec<&NewDivergence> {
    let mut kept = std::collections::BTreeMap::new();
    for divergence in divergences {
        kept.insert(
            (divergence.block, divergence.state_index, divergence.engine),
            divergence,
        );
    }
    kept.into_values().collect()
}

fn read_summary(row: &AnyRow) -> sqlx::Result<(DivergenceSummary, String)> {
    let summary = DivergenceSummary {
        id: DivergenceId(row.try_get("id")?),
        run: RunId(row.try_get("run_id")?),
        block: BlockNumber(row.try_get("block")?),
        engine: EngineId(row.try_get("engine_id")?),
        reference: EngineId(row.try_get("reference_id")?),
        state_index: column::read_small_integer(row, "state_index")?,
        case_id: CaseId([0; 32]),
        differences: row.try_get("differences")?,
        class: row.try_get("class")?,
        culprit: row.try_get("culprit")?,
        confirmations: column::read_small_integer(row, "confirmations")?,
    };
    Ok((summary, row.try_get("case_id")?))
}

fn read_group(row: &AnyRow) -> sqlx::Result<DivergenceGroup> {
    Ok(DivergenceGroup {
        engine: EngineId(row.try_get("engine_id")?),
        class: row.try_get("class")?,
        culprit: row.try_get("culprit")?,
        divergences: column::read_u64(row, "divergences")?,
        blocks: column::read_u64(row, "blocks")?,
        example: DivergenceId(row.try_get("example")?),
    })
}
