//! Results on their way into the database: gathered for a moment, then saved together.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use snippex_exec::check::{BlockReport, Finding, Inconclusive};
use snippex_exec::reduce::Bug;
use snippex_store::{
    BlockBatch, BlockNumber, BlockResult, EngineId, NewBug, NewDivergence, NewSighting, ResultCounts, RunId,
    StoreHandle, UnixMillis,
};

use crate::SessionError;
use snippex_core::words::kebab_case;

/// Blocks in a batch. A transaction of few rows writes the same pages of the database again and again; what a check that is
/// killed may lose is bounded by time, not by this.
const BATCH: usize = 4096;

/// Saves the results of one run.
pub(super) struct RunRecorder<'s> {
    store: &'s StoreHandle,
    run: RunId,
    reference: EngineId,
    subject: EngineId,
    batch: BlockBatch,
    since: Instant,
}

impl<'s> RunRecorder<'s> {
    pub(super) fn new(store: &'s StoreHandle, run: RunId, reference: EngineId, subject: EngineId) -> Self {
        Self {
            store,
            run,
            reference,
            subject,
            batch: BlockBatch::default(),
            since: Instant::now(),
        }
    }

    /// Takes a report; saves what has gathered when it is much, or older than `age`.
    pub(super) fn add_report(
        &mut self,
        block: BlockNumber,
        report: &BlockReport,
        age: Duration,
    ) -> Result<(), SessionError> {
        self.batch.results.push(BlockResult {
            block,
            engine: self.subject,
            counts: counts(report),
        });
        for finding in &report.findings {
            self.batch.divergences.push(self.divergence(block, finding));
        }
        self.push_bugs(block, &report.bugs);
        for (attribution, runs) in &report.sightings {
            self.batch.sightings.push(NewSighting {
                attribution: attribution.clone(),
                engine: self.subject,
                runs: *runs,
                blocks: 1,
            });
        }
        if self.batch.results.len() >= BATCH || self.since.elapsed() >= age {
            self.save_batch()?;
        }
        Ok(())
    }

    /// Takes bugs of a block that was reported before.
    pub(super) fn add_bugs(&mut self, block: BlockNumber, bugs: &[Bug]) -> Result<(), SessionError> {
        self.push_bugs(block, bugs);
        self.save_batch()
    }

    fn push_bugs(&mut self, block: BlockNumber, bugs: &[Bug]) {
        for bug in bugs {
            self.batch
                .bugs
                .push(new_bug(bug, self.reference, self.subject, Some(block)));
            // A reduced case may show less than any that was met: it belongs to this run all the same.
            self.batch.sightings.push(NewSighting {
                attribution: bug.attribution(),
                engine: self.subject,
                runs: 0,
                blocks: 0,
            });
        }
    }

    /// Hands over what has gathered.
    pub(super) fn save_batch(&mut self) -> Result<(), SessionError> {
        self.since = Instant::now();
        Ok(self.store.save_batch(self.run, std::mem::take(&mut self.batch))?)
    }

    /// Saves the rest and waits until it is.
    pub(super) fn save_and_flush(mut self) -> Result<(), SessionError> {
        self.save_batch()?;
        Ok(self.store.flush()?)
    }

    fn divergence(&self, block: BlockNumber, finding: &Finding) -> NewDivergence {
        let divergence = &finding.divergence;
        NewDivergence {
            block,
            engine: self.subject,
            reference: self.reference,
            state_index: finding.start as u32,
            case: (&finding.case).into(),
            expected: (&finding.expected).into(),
            actual: (&finding.actual).into(),
            differences: serde_json::to_string(&divergence.differences).expect("plain data is JSON"),
            class: kebab_case(&divergence.class.kind),
            culprit: divergence
                .class
                .culprit
                .as_ref()
                .map(|culprit| culprit.form.clone()),
            confirmations: 1,
        }
    }
}

/// A bug as the database keeps it.
#[must_use]
pub fn new_bug(bug: &Bug, reference: EngineId, engine: EngineId, block: Option<BlockNumber>) -> NewBug {
    NewBug {
        attribution: bug.attribution(),
        engine,
        reference,
        block,
        case: (&bug.case).into(),
        expected: (&bug.expected).into(),
        actual: (&bug.actual).into(),
        differences: serde_json::to_string(&bug.divergence.differences).expect("plain data is JSON"),
        reduced: bug.complete || bug.tried > 0,
        confirmations: bug.confirmed,
        found: UnixMillis::now(),
    }
}

fn counts(report: &BlockReport) -> ResultCounts {
    let mut inconclusive = BTreeMap::new();
    for (why, runs) in &report.inconclusive {
        *inconclusive.entry(inconclusive_word(why)).or_default() += runs;
    }
    ResultCounts {
        runs: report.runs,
        completed: report.completed,
        faulted: report.faulted,
        matched: report.matched,
        diverged: report.diverged,
        unsupported: report.unsupported.as_ref().map_or(0, |(_, runs)| *runs),
        inconclusive,
    }
}

/// Why a run was inconclusive, as it is stored and shown.
#[must_use]
pub fn inconclusive_word(reason: &Inconclusive) -> String {
    match reason {
        Inconclusive::Deviation(id) => format!("documented: {id}"),
        other => kebab_case(other),
    }
}
