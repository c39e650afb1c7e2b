//! Observations that `simulate` keeps and `compare` shows.

use std::collections::BTreeMap;

use snippex_core::case::Case;
use snippex_core::codec::CaseId;
use snippex_core::observation::Observation;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::column;
use crate::error::StoreError;
use crate::evidence::{EncodedCase, EncodedObservation};
use crate::ids::{BlockNumber, EngineId, ObservationId, RunId};
use crate::insert::{Insert, Statement};
use crate::open::Store;

/// An observation to keep. The same block, state and engine again in the same run replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewObservation {
    /// The block.
    pub block: BlockNumber,
    /// The engine.
    pub engine: EngineId,
    /// Which of the block's start states, from 0.
    pub state_index: u32,
    /// What ran.
    pub case: EncodedCase,
    /// How it ended.
    pub observation: EncodedObservation,
}

/// A stored observation without its content: what lists show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservationSummary {
    /// Its identity.
    pub id: ObservationId,
    /// The run that made it.
    pub run: RunId,
    /// The block.
    pub block: BlockNumber,
    /// The engine.
    pub engine: EngineId,
    /// Which of the block's start states, from 0.
    pub state_index: u32,
    /// Content address of the case: only observations of the same case can be compared.
    pub case_id: CaseId,
}

/// A stored observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObservation {
    /// What lists show.
    pub summary: ObservationSummary,
    /// What ran.
    pub case: Case,
    /// How it ended.
    pub observation: Observation,
}

impl Store {
    /// The newest `limit` observations with an id below `before`, newest first; only those of a run, a block or
    /// an engine if they are given.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_observations(
        &self,
        run: Option<RunId>,
        block: Option<BlockNumber>,
        engine: Option<EngineId>,
        before: Option<ObservationId>,
        limit: u32,
    ) -> Result<Vec<ObservationSummary>, StoreError> {
        let sql = "SELECT id, run_id, block, engine_id, state_index, case_id FROM observations
                   WHERE id < $1 AND (CAST($2 AS BIGINT) IS NULL OR run_id = $2)
                       AND (CAST($3 AS BIGINT) IS NULL OR block = $3)
                       AND (CAST($4 AS BIGINT) IS NULL OR engine_id = $4)
                   ORDER BY id DESC LIMIT $5";
        let query = sqlx::query(sql)
            .bind(before.map_or(i64::MAX, |id| id.0))
            .bind(run.map(|run| run.0))
            .bind(block.map(|block| block.0))
            .bind(engine.map(|engine| engine.0))
            .bind(i64::from(limit));
        let rows = query
            .fetch_all(&self.pool)
            .await
            .map_err(self.failed_to("list observations"))?;
        rows.iter().map(|row| self.read_observation(row)).collect()
    }

    /// One observation with its case.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none with this id, [`StoreError::Codec`] when it is damaged.
    pub async fn load_observation(&self, id: ObservationId) -> Result<StoredObservation, StoreError> {
        let sql = "SELECT observations.id, run_id, block, engine_id, state_index, case_id, observation,
                       cases.bytes AS case_bytes
                   FROM observations JOIN cases ON cases.id = case_id WHERE observations.id = $1";
        let failed = self.failed_to("read an observation");
        let row = sqlx::query(sql)
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(&failed)?;
        let row = row.ok_or_else(|| self.missing_row("observation", id.0))?;
        let bytes = |column: &str| row.try_get::<Vec<u8>, _>(column).map_err(&failed);
        let (case, case_bytes) = self.decode_case(&bytes("case_bytes")?)?;
        Ok(StoredObservation {
            summary: self.read_observation(&row)?,
            case,
            observation: self.decode_observation(&bytes("observation")?, &case_bytes)?,
        })
    }

    fn read_observation(&self, row: &AnyRow) -> Result<ObservationSummary, StoreError> {
        let (mut summary, case_id) = read_summary(row).map_err(self.failed_to("read an observation"))?;
        summary.case_id = self.read_case_id(case_id)?;
        Ok(summary)
    }
}

/// Adds observations; their cases must be there.
pub(crate) async fn insert_observations(
    connection: &mut AnyConnection,
    run: RunId,
    observations: &[NewObservation],
) -> sqlx::Result<()> {
    let insert = Insert {
        head: "INSERT INTO observations (run_id, block, engine_id, state_index, case_id, observation)",
        columns: 6,
        tail: "ON CONFLICT (run_id, block, state_index, engine_id) DO UPDATE SET
               case_id = excluded.case_id, observation = excluded.observation",
    };
    let bind = |statement: Statement, observation: &&NewObservation| {
        statement
            .bind(run.0)
            .bind(observation.block.0)
            .bind(observation.engine.0)
            .bind(i64::from(observation.state_index))
            .bind(observation.case.id.to_string())
            .bind(observation.observation.pack_beside(&observation.case))
    };
    // A statement may touch a row only once: of several with the same key the last is kept.
    let mut kept = BTreeMap::new();
    for observation in observations {
        kept.insert(
            (observation.block, observation.state_index, observation.engine),
            observation,
        );
    }
    let kept: Vec<_> = kept.into_values().collect();
    insert.insert_rows(connection, &kept, bind).await
}

fn read_summary(row: &AnyRow) -> sqlx::Result<(ObservationSummary, String)> {
    let summary = ObservationSummary {
        id: ObservationId(row.try_get("id")?),
        run: RunId(row.try_get("run_id")?),
        block: BlockNumber(row.try_get("block")?),
        engine: EngineId(row.try_get("engine_id")?),
        state_index: column::read_small_integer(row, "state_index")?,
        case_id: CaseId([0; 32]),
    };
    Ok((summary, row.try_get("case_id")?))
}
