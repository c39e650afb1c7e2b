//! Runs: one row for each invocation of `check`, `validate` or `simulate`.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::column;
use crate::error::StoreError;
use crate::ids::{EngineId, HostId, RunId, UnixMillis};
use crate::insert::{Insert, Statement};
use crate::names;
use crate::open::Store;
use crate::owner;

/// A run that starts now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRun {
    /// The command: `check`, `validate`, `simulate`.
    pub command: String,
    /// Its arguments as typed.
    pub arguments: String,
    /// Version of snippex.
    pub tool_version: String,
    /// Seed of states and selection.
    pub seed: u64,
    /// Start states for each block.
    pub states_per_block: u32,
    /// Which part of the work this is, if it was divided.
    pub partition: Option<Partition>,
    /// The machine.
    pub host: HostId,
    /// The reference engine, then those that are compared with it.
    pub engines: Vec<EngineId>,
    /// When it started.
    pub started: UnixMillis,
}

/// Part `index` (1..=`count`) of `count` parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Which part, from 1.
    pub index: u32,
    /// How many parts.
    pub count: u32,
}

/// How far a run got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// Its process works on it.
    Running,
    /// It did everything.
    Finished,
    /// The user stopped it, it gave up, or its process died.
    Interrupted,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// It did everything.
    Finished,
    /// The user stopped it, or it gave up.
    Interrupted,
}

/// A stored run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRun {
    /// Its identity.
    pub id: RunId,
    /// What it was asked to do.
    pub run: NewRun,
    /// How far it got. A run whose process died is [`RunStatus::Interrupted`].
    pub status: RunStatus,
    /// When it ended; `None` while it works and when its process died.
    pub finished: Option<UnixMillis>,
    /// When its process last wrote.
    pub heartbeat: UnixMillis,
}

impl Store {
    /// Starts a run of this process.
    ///
    /// # Errors
    /// When the database cannot be written, or an engine or the host is not there.
    pub async fn start_run(&self, run: &NewRun) -> Result<RunId, StoreError> {
        let failed = self.failed_to("start a run");
        let mut transaction = self.begin_transaction("start a run").await?;
        let id = insert_run(&mut transaction, run).await.map_err(&failed)?;
        insert_engines(&mut transaction, id, &run.engines)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(id)
    }

    /// Ends a run.
    ///
    /// # Errors
    /// When the database cannot be written, or the run is not there.
    pub async fn finish_run(&self, id: RunId, end: RunEnd, at: UnixMillis) -> Result<(), StoreError> {
        let status = match end {
            RunEnd::Finished => RunStatus::Finished,
            RunEnd::Interrupted => RunStatus::Interrupted,
        };
        let sql = "UPDATE runs SET status = $1, finished = $2, heartbeat = $2 WHERE id = $3";
        let query = sqlx::query(sql)
            .bind(names::word_from_variant(&status))
            .bind(at.0)
            .bind(id.0);
        let done = query
            .execute(&self.pool)
            .await
            .map_err(self.failed_to("finish a run"))?;
        if done.rows_affected() == 0 {
            Err(self.missing_row("run", id.0))
        } else {
            Ok(())
        }
    }

    /// Says that the process of the run still works. [`Store::save_batch`] says it too.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn update_heartbeat(&self, id: RunId, at: UnixMillis) -> Result<(), StoreError> {
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(self.failed_to("mark a run as alive"))?;
        update_heartbeat(&mut connection, id, at)
            .await
            .map_err(self.failed_to("mark a run as alive"))
    }

    /// One run.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is none with this id.
    pub async fn load_run(&self, id: RunId) -> Result<StoredRun, StoreError> {
        let found = self.list_runs(Some(RunId(id.0.saturating_add(1))), 1).await?;
        found
            .into_iter()
            .find(|run| run.id == id)
            .ok_or_else(|| self.missing_row("run", id.0))
    }

    /// The newest `limit` runs with an id below `before`, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn list_runs(&self, before: Option<RunId>, limit: u32) -> Result<Vec<StoredRun>, StoreError> {
        let sql = "SELECT id, command, arguments, tool_version, seed, states_per_block, partition_index,
                       partition_count, host_id, owner, status, started, heartbeat, finished
                   FROM runs WHERE id < $1 ORDER BY id DESC LIMIT $2";
        let before = before.map_or(i64::MAX, |id| id.0);
        let rows = sqlx::query(sql)
            .bind(before)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await;
        let now = UnixMillis::now();
        let mut runs = Vec::new();
        for row in &rows.map_err(self.failed_to("list runs"))? {
            let mut run = read(row, now).map_err(self.failed_to("read a run"))?;
            run.run.engines = self.engines_of(run.id).await?;
            runs.push(run);
        }
        Ok(runs)
    }

    async fn engines_of(&self, id: RunId) -> Result<Vec<EngineId>, StoreError> {
        let sql = "SELECT engine_id FROM run_engines WHERE run_id = $1 ORDER BY position";
        let engines: sqlx::Result<Vec<i64>> = sqlx::query_scalar(sql).bind(id.0).fetch_all(&self.pool).await;
        let engines = engines.map_err(self.failed_to("read the engines of a run"))?;
        Ok(engines.into_iter().map(EngineId).collect())
    }
}

async fn insert_run(connection: &mut AnyConnection, run: &NewRun) -> sqlx::Result<RunId> {
    let sql = "INSERT INTO runs (command, arguments, tool_version, seed, states_per_block, partition_index,
                   partition_count, host_id, owner, status, started, heartbeat)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) RETURNING id";
    let query = sqlx::query_scalar(sql)
        .bind(&run.command)
        .bind(&run.arguments)
        .bind(&run.tool_version)
        .bind(run.seed.cast_signed())
        .bind(i64::from(run.states_per_block))
        .bind(run.partition.map(|partition| i64::from(partition.index)))
        .bind(run.partition.map(|partition| i64::from(partition.count)))
        .bind(run.host.0)
        .bind(owner::this_process())
        .bind(names::word_from_variant(&RunStatus::Running))
        .bind(run.started.0);
    query.fetch_one(connection).await.map(RunId)
}

async fn insert_engines(connection: &mut AnyConnection, id: RunId, engines: &[EngineId]) -> sqlx::Result<()> {
    let insert = Insert {
        head: "INSERT INTO run_engines (run_id, position, engine_id)",
        columns: 3,
        tail: "",
    };
    let rows: Vec<(i64, EngineId)> = (0..).zip(engines.iter().copied()).collect();
    let bind = |statement: Statement, (position, engine): &(i64, EngineId)| {
        statement.bind(id.0).bind(*position).bind(engine.0)
    };
    insert.insert_rows(connection, &rows, bind).await
}

pub(crate) async fn update_heartbeat(
    connection: &mut AnyConnection,
    id: RunId,
    at: UnixMillis,
) -> sqlx::Result<()> {
    let sql = "UPDATE runs SET heartbeat = $1 WHERE id = $2";
    sqlx::query(sql).bind(at.0).bind(id.0).execute(connection).await?;
    Ok(())
}

fn read(row: &AnyRow, now: UnixMillis) -> sqlx::Result<StoredRun> {
    let index: Option<i64> = row.try_get("partition_index")?;
    let partition = match index {
        Some(_) => Some(Partition {
            index: column::read_small_integer(row, "partition_index")?,
            count: column::read_small_integer(row, "partition_count")?,
        }),
        None => None,
    };
    let heartbeat = UnixMillis(row.try_get("heartbeat")?);
    let owner: String = row.try_get("owner")?;
    let status = match names::variant_from_word(&row.try_get::<String, _>("status")?) {
        Some(RunStatus::Running) if owner::is_alive(&owner, heartbeat, now) => RunStatus::Running,
        Some(RunStatus::Finished) => RunStatus::Finished,
        _ => RunStatus::Interrupted,
    };
    let run = NewRun {
        command: row.try_get("command")?,
        arguments: row.try_get("arguments")?,
        tool_version: row.try_get("tool_version")?,
        seed: column::read_u64(row, "seed")?,
        states_per_block: column::read_small_integer(row, "states_per_block")?,
        partition,
        host: HostId(row.try_get("host_id")?),
        engines: Vec::new(),
        started: UnixMillis(row.try_get("started")?),
    };
    let finished = row.try_get::<Option<i64>, _>("finished")?.map(UnixMillis);
    Ok(StoredRun {
        id: RunId(row.try_get("id")?),
        run,
        status,
        finished,
        heartbeat,
    })
}
