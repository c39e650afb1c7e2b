//! Batches: what arrives together is saved together, all of it or nothing.

use crate::bug::{self, NewBug, NewSighting};
use crate::divergence::{self, NewDivergence};
use crate::error::StoreError;
use crate::evidence;
use crate::ids::{RunId, UnixMillis};
use crate::observation::{self, NewObservation};
use crate::open::Store;
use crate::result::{self, BlockResult};
use crate::run;

/// Results that arrived together. When [`Store::save_batch`] has returned they survive the death of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockBatch {
    /// Counts; they are added to those of the run.
    pub results: Vec<BlockResult>,
    /// Divergences in full.
    pub divergences: Vec<NewDivergence>,
    /// Observations to keep.
    pub observations: Vec<NewObservation>,
    /// Bugs with their cases.
    pub bugs: Vec<NewBug>,
    /// How often bugs were met; added to the counts of the run.
    pub sightings: Vec<NewSighting>,
}

impl BlockBatch {
    /// Whether there is nothing to save.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
            && self.divergences.is_empty()
            && self.observations.is_empty()
            && self.bugs.is_empty()
            && self.sightings.is_empty()
    }
}

impl Store {
    /// Saves a batch of a run in one transaction, and says that the run's process works.
    ///
    /// # Errors
    /// When the database cannot be written; nothing of the batch is saved then.
    pub async fn save_batch(&self, run: RunId, batch: &BlockBatch) -> Result<(), StoreError> {
        let failed = self.failed_to("save results");
        let mut transaction = self.begin_transaction("save results").await?;
        let of_divergences = batch.divergences.iter().map(|divergence| &divergence.case);
        let of_observations = batch.observations.iter().map(|observation| &observation.case);
        let of_bugs = batch.bugs.iter().map(|bug| &bug.case);
        let cases = of_divergences.chain(of_observations).chain(of_bugs).collect();
        evidence::add_cases(&mut transaction, cases)
            .await
            .map_err(&failed)?;
        result::add_results(&mut transaction, run, &batch.results)
            .await
            .map_err(&failed)?;
        divergence::insert_divergences(&mut transaction, run, &batch.divergences)
            .await
            .map_err(&failed)?;
        observation::insert_observations(&mut transaction, run, &batch.observations)
            .await
            .map_err(&failed)?;
        let now = UnixMillis::now();
        bug::add_bugs(&mut transaction, &batch.bugs)
            .await
            .map_err(&failed)?;
        bug::add_sightings(&mut transaction, run, &batch.sightings, now)
            .await
            .map_err(&failed)?;
        run::update_heartbeat(&mut transaction, run, now)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use snippex_core::block::{Block, Origin, Terminator};
    use snippex_core::state::Components;

    use super::*;
    use crate::engine::{Guest, Host, StoredEngine};
    use crate::ids::{BlockNumber, EngineId};
    use crate::result::ResultCounts;
    use crate::run::NewRun;
    use crate::{NewBinary, StoreError};
    use database_kit::Location;

    /// Tells SQLite that the disk ends after so many pages; on every connection of the pool.
    async fn limit_pages(store: &Store, pragma: &'static str) {
        let mut connections = Vec::new();
        for _ in 0..crate::open::CONNECTIONS {
            let mut connection = store.pool.acquire().await.unwrap();
            sqlx::raw_sql(pragma).execute(&mut *connection).await.unwrap();
            connections.push(connection);
        }
    }

    async fn prepare(store: &Store) -> (RunId, EngineId, Vec<BlockNumber>) {
        let binary = NewBinary {
            sha256: "0".repeat(64),
            name: String::new(),
            path: String::new(),
            size: 0,
            format: "elf".to_owned(),
        };
        let block = |address| Block {
            address,
            bytes: vec![0xc3],
            instruction_count: 1,
            terminator: Terminator::Ret,
            successors: vec![],
            origin: Origin::Entry,
            unrunnable: None,
        };
        let engine = StoredEngine {
            name: "mock".to_owned(),
            version: String::new(),
            configuration: String::new(),
            components: Components::ALL,
            guest: Guest::default(),
            host_cpu: String::new(),
        };
        let host = Host {
            name: String::new(),
            architecture: String::new(),
            cpu_model: String::new(),
            cpu_count: 1,
            kernel: String::new(),
            page_size: 4096,
        };
        let binary = store.add_binary(&binary).await.unwrap();
        let blocks: Vec<Block> = (0..100).map(block).collect();
        let numbers = store.add_blocks(binary, &blocks).await.unwrap().numbers;
        let engine = store.add_engine(&engine).await.unwrap();
        let run = NewRun {
            command: String::new(),
            arguments: String::new(),
            tool_version: String::new(),
            seed: 0,
            states_per_block: 1,
            partition: None,
            host: store.add_host(&host).await.unwrap(),
            engines: vec![engine],
            started: UnixMillis::now(),
        };
        (store.start_run(&run).await.unwrap(), engine, numbers)
    }

    /// A result for each block; the reason takes the space that fills the disk.
    fn batch(engine: EngineId, numbers: &[BlockNumber], index: usize) -> BlockBatch {
        let reason = format!("{index} {}", "reason ".repeat(20));
        let counts = ResultCounts {
            runs: 1,
            inconclusive: BTreeMap::from([(reason, 1)]),
            ..ResultCounts::default()
        };
        let result = |&block| BlockResult {
            block,
            engine,
            counts: counts.clone(),
        };
        BlockBatch {
            results: numbers.iter().map(result).collect(),
            ..BlockBatch::default()
        }
    }

    #[test]
    fn a_full_disk_is_told_and_takes_nothing_back() {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::from(directory.path().join("snippex.db").as_path());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let store = Store::open(&location).await.unwrap();
            let (run, engine, numbers) = prepare(&store).await;
            limit_pages(&store, "PRAGMA max_page_count = 200").await;
            let mut saved = 0;
            let error = loop {
                match store.save_batch(run, &batch(engine, &numbers, saved)).await {
                    Ok(()) => saved += 1,
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
            assert!(error.hint().unwrap().contains("free some space"));
            assert!(saved > 3, "{saved}");
            let runs = async || store.sum_results(run).await.unwrap()[0].2.runs;
            assert_eq!(runs().await, saved as u64 * 100);
            // As soon as there is space again, work goes on.
            limit_pages(&store, "PRAGMA max_page_count = 1000000").await;
            store
                .save_batch(run, &batch(engine, &numbers, saved))
                .await
                .unwrap();
            assert_eq!(runs().await, (saved as u64 + 1) * 100);
        });
    }
}
