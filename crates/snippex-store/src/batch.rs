//! Batches: what arrives together is saved together, all of it or nothing.

use crate::divergence::{self, NewDivergence};
use crate::error::StoreError;
use crate::evidence;
use crate::ids::{RunId, Timestamp};
use crate::observation::{self, NewObservation};
use crate::open::Store;
use crate::result::{self, BlockResult};
use crate::run;

/// Results that arrived together. When [`Store::save`] has returned they survive the death of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Counts; they are added to those of the run.
    pub results: Vec<BlockResult>,
    /// Divergences in full.
    pub divergences: Vec<NewDivergence>,
    /// Observations to keep.
    pub observations: Vec<NewObservation>,
}

impl Batch {
    /// Whether there is nothing to save.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.results.is_empty() && self.divergences.is_empty() && self.observations.is_empty()
    }
}

impl Store {
    /// Saves a batch of a run in one transaction, and says that the run's process works.
    ///
    /// # Errors
    /// When the database cannot be written; nothing of the batch is saved then.
    pub async fn save(&self, run: RunId, batch: &Batch) -> Result<(), StoreError> {
        let failed = self.failed("save results");
        let mut transaction = self.begin("save results").await?;
        let of_divergences = batch.divergences.iter().map(|divergence| &divergence.case);
        let of_observations = batch.observations.iter().map(|observation| &observation.case);
        let cases = of_divergences.chain(of_observations).collect();
        evidence::add_cases(&mut transaction, cases)
            .await
            .map_err(&failed)?;
        result::add(&mut transaction, run, &batch.results)
            .await
            .map_err(&failed)?;
        divergence::add(&mut transaction, run, &batch.divergences)
            .await
            .map_err(&failed)?;
        observation::add(&mut transaction, run, &batch.observations)
            .await
            .map_err(&failed)?;
        run::beat(&mut transaction, run, Timestamp::now())
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(failed)
    }
}
