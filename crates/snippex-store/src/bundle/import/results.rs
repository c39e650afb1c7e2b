//! What runs found out about blocks: counts, divergences, observations. All of it belongs to a run, and is passed over with it.

use snippex_core::codec;

use super::super::records::{DivergenceRecord, ObservationRecord, ResultRecord, SightingRecord};
use super::super::{BundleError, Section};
use super::{At, Import, RunPlace};
use crate::evidence::{self, EncodedCase};
use crate::insert::{Insert, Statement};
use crate::packed::pack_bytes;

/// Records that are inserted together, with the numbers of the database.
#[derive(Debug, Default)]
pub(super) struct ImportBatch {
    results: Vec<(At, ResultRecord)>,
    pub(super) cases: Vec<EncodedCase>,
    divergences: Vec<(At, DivergenceRecord)>,
    observations: Vec<(At, ObservationRecord)>,
    sightings: Vec<(At, SightingRecord)>,
}

/// A count for a run, a block and an engine, with its reason.
type Reason = (i64, i64, i64, String, u32);

impl Import<'_> {
    pub(super) fn import_result(
        &mut self,
        at: At,
        mut record: ResultRecord,
        batch: &mut ImportBatch,
    ) -> Result<(), BundleError> {
        record.block = at.known(&self.blocks, "block", record.block)?;
        record.engine = at.known(&self.engines, "engine", record.engine)?;
        let ends = [record.matched, record.diverged, record.unsupported];
        let ended: u64 = ends
            .iter()
            .chain(record.inconclusive.values())
            .map(|count| u64::from(*count))
            .sum();
        if ended > u64::from(record.runs) {
            return Err(at.invalid(format!("{ended} of {} runs have a verdict", record.runs)));
        }
        for reason in record.inconclusive.keys() {
            at.plain(&[reason])?;
        }
        if let RunPlace::New(run) = at.known(&self.runs, "run", record.run)? {
            record.run = run;
            batch.results.push((at, record));
        }
        Ok(())
    }

    pub(super) fn import_divergence(
        &mut self,
        at: At,
        mut record: DivergenceRecord,
        batch: &mut ImportBatch,
    ) -> Result<(), BundleError> {
        at.numbered(record.id)?;
        at.plain(&[
            &record.class,
            record.culprit.as_deref().unwrap_or_default(),
            &record.differences,
        ])?;
        at.json(&record.differences)?;
        record.block = at.known(&self.blocks, "block", record.block)?;
        record.engine = at.known(&self.engines, "engine", record.engine)?;
        record.reference = at.known(&self.engines, "engine", record.reference)?;
        self.has_case(at, &record.case)?;
        check_observation(at, &record.expected.0)?;
        check_observation(at, &record.actual.0)?;
        if let RunPlace::New(run) = at.known(&self.runs, "run", record.run)? {
            record.run = run;
            batch.divergences.push((at, record));
        }
        Ok(())
    }

    pub(super) fn import_observation(
        &mut self,
        at: At,
        mut record: ObservationRecord,
        batch: &mut ImportBatch,
    ) -> Result<(), BundleError> {
        at.numbered(record.id)?;
        record.block = at.known(&self.blocks, "block", record.block)?;
        record.engine = at.known(&self.engines, "engine", record.engine)?;
        self.has_case(at, &record.case)?;
        check_observation(at, &record.observation.0)?;
        if let RunPlace::New(run) = at.known(&self.runs, "run", record.run)? {
            record.run = run;
            batch.observations.push((at, record));
        }
        Ok(())
    }

    pub(super) fn import_sighting(
        &mut self,
        at: At,
        mut record: SightingRecord,
        batch: &mut ImportBatch,
    ) -> Result<(), BundleError> {
        self.has_signature(at, &record.signature)?;
        super::evidence::check_cause(at, &record.cause)?;
        at.counts(&[record.runs, record.blocks])?;
        record.engine = at.known(&self.engines, "engine", record.engine)?;
        if let RunPlace::New(run) = at.known(&self.runs, "run", record.run)? {
            record.run = run;
            batch.sightings.push((at, record));
        }
        Ok(())
    }

    pub(super) async fn insert_batch(&mut self, batch: ImportBatch) -> Result<(), BundleError> {
        let failed = self.store.failed_to("import");
        let cases = batch.cases.iter().collect();
        evidence::add_cases(self.connection, cases)
            .await
            .map_err(failed)?;
        self.insert_results(&batch.results).await?;
        self.insert_divergences(batch.divergences).await?;
        self.insert_observations(batch.observations).await?;
        self.insert_sightings(&batch.sightings).await
    }

    async fn insert_results(&mut self, results: &[(At, ResultRecord)]) -> Result<(), BundleError> {
        let Some((first, _)) = results.first() else {
            return Ok(());
        };
        let insert = Insert {
            head: "INSERT INTO block_results (run_id, block, engine_id, runs, completed, faulted, matched, diverged,
                   unsupported)",
            columns: 9,
            tail: "",
        };
        let bind = |statement: Statement, (_, record): &(At, ResultRecord)| {
            let statement = statement.bind(record.run).bind(record.block).bind(record.engine);
            let counts = [
                record.runs,
                record.completed,
                record.faulted,
                record.matched,
                record.diverged,
                record.unsupported,
            ];
            counts
                .into_iter()
                .fold(statement, |statement, count| statement.bind(i64::from(count)))
        };
        let inserted = insert.insert_rows(self.connection, results, bind).await;
        first.inserted(self.store, inserted)?;
        let reasons: Vec<Reason> = results.iter().flat_map(|(_, record)| reasons(record)).collect();
        let insert = Insert {
            head: "INSERT INTO block_inconclusive (run_id, block, engine_id, reason, runs)",
            columns: 5,
            tail: "",
        };
        let bind = |statement: Statement, (run, block, engine, reason, runs): &Reason| {
            let statement = statement.bind(*run).bind(*block).bind(*engine);
            statement.bind(reason.clone()).bind(i64::from(*runs))
        };
        let inserted = insert.insert_rows(self.connection, &reasons, bind).await;
        first.inserted(self.store, inserted)?;
        self.added(Section::Results, results.len() as u64);
        Ok(())
    }

    async fn insert_divergences(&mut self, mut rows: Vec<(At, DivergenceRecord)>) -> Result<(), BundleError> {
        let Some(&(first, _)) = rows.first() else {
            return Ok(());
        };
        for (_, record) in &mut rows {
            record.id = self.number("divergences", record.id).await?;
        }
        let insert = Insert {
            head: "INSERT INTO divergences (id, run_id, block, engine_id, reference_id, state_index, case_id, class,
                   culprit, confirmations, differences, expected, actual)",
            columns: 13,
            tail: "",
        };
        let bind = |statement: Statement, (_, record): &(At, DivergenceRecord)| {
            statement
                .bind(record.id)
                .bind(record.run)
                .bind(record.block)
                .bind(record.engine)
                .bind(record.reference)
                .bind(i64::from(record.state_index))
                .bind(record.case.clone())
                .bind(record.class.clone())
                .bind(record.culprit.clone())
                .bind(i64::from(record.confirmations))
                .bind(record.differences.clone())
                .bind(pack_bytes(&record.expected.0, &[]))
                .bind(pack_bytes(&record.actual.0, &[]))
        };
        let inserted = insert.insert_rows(self.connection, &rows, bind).await;
        first.inserted(self.store, inserted)?;
        self.added(Section::Divergences, rows.len() as u64);
        Ok(())
    }

    async fn insert_observations(
        &mut self,
        mut rows: Vec<(At, ObservationRecord)>,
    ) -> Result<(), BundleError> {
        let Some(&(first, _)) = rows.first() else {
            return Ok(());
        };
        for (_, record) in &mut rows {
            record.id = self.number("observations", record.id).await?;
        }
        let insert = Insert {
            head: "INSERT INTO observations (id, run_id, block, engine_id, state_index, case_id, observation)",
            columns: 7,
            tail: "",
        };
        let bind = |statement: Statement, (_, record): &(At, ObservationRecord)| {
            statement
                .bind(record.id)
                .bind(record.run)
                .bind(record.block)
                .bind(record.engine)
                .bind(i64::from(record.state_index))
                .bind(record.case.clone())
                .bind(pack_bytes(&record.observation.0, &[]))
        };
        let inserted = insert.insert_rows(self.connection, &rows, bind).await;
        first.inserted(self.store, inserted)?;
        self.added(Section::Observations, rows.len() as u64);
        Ok(())
    }

    async fn insert_sightings(&mut self, sightings: &[(At, SightingRecord)]) -> Result<(), BundleError> {
        let Some((first, _)) = sightings.first() else {
            return Ok(());
        };
        let insert = Insert {
            head: "INSERT INTO bug_sightings (cause, signature, run_id, engine_id, runs, blocks)",
            columns: 6,
            tail: "",
        };
        let bind = |statement: Statement, (_, record): &(At, SightingRecord)| {
            statement
                .bind(record.cause.clone())
                .bind(record.signature.clone())
                .bind(record.run)
                .bind(record.engine)
                .bind(record.runs.cast_signed())
                .bind(record.blocks.cast_signed())
        };
        let inserted = insert.insert_rows(self.connection, sightings, bind).await;
        first.inserted(self.store, inserted)?;
        self.added(Section::Sightings, sightings.len() as u64);
        Ok(())
    }
}

fn reasons(record: &ResultRecord) -> impl Iterator<Item = Reason> {
    let reasons = record.inconclusive.iter();
    reasons.map(|(reason, runs)| (record.run, record.block, record.engine, reason.clone(), *runs))
}

pub(super) fn check_observation(at: At, bytes: &[u8]) -> Result<(), BundleError> {
    match codec::decode_observation(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(at.invalid(format!("an observation cannot be read: {error}"))),
    }
}
