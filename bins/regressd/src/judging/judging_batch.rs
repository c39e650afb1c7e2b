//! Runs of one stream that are judged one after the other, and saved together at the end.
//!
//! Their history is read once. What was found of the first of them is not in the database yet when the others are
//! judged, and counts all the same.

use std::collections::{BTreeSet, HashMap};

use sqlx::AnyConnection;

use crate::database::judgements::{self, Marks};
use crate::database::runs;
use crate::domain::{HistoryPlace, RunId, SeriesId, StreamId};

/// What the runs of a batch have in common.
#[derive(Clone, Debug, Default)]
pub struct JudgingBatch {
    read: HashMap<String, History>,
    /// Runs that are part of a history now: place and branch.
    accepted: Vec<(HistoryPlace, String)>,
    rejected: BTreeSet<(SeriesId, RunId)>,
    cleared: BTreeSet<(SeriesId, RunId)>,
}

/// The newest runs of a branch, and what makes their values count or not.
#[derive(Clone, Debug)]
struct History {
    /// Newest first.
    runs: Vec<HistoryPlace>,
    /// Whether there are no older ones.
    whole: bool,
    /// Runs before this were looked at.
    before: HistoryPlace,
    marks: Marks,
}

impl JudgingBatch {
    /// Reads the history of a branch that runs before `before` are judged by, `limit` runs of it.
    ///
    /// # Errors
    /// The driver's.
    pub async fn load_history(
        &mut self,
        connection: &mut AnyConnection,
        (stream, branch): (StreamId, &str),
        before: HistoryPlace,
        limit: u32,
    ) -> sqlx::Result<()> {
        let found = runs::list_history_places(connection, stream, branch, before, limit).await?;
        let oldest = found.last().copied().unwrap_or(before);
        let history = History {
            whole: found.len() < limit as usize,
            marks: judgements::list_epochs_and_rejections(connection, stream, branch, oldest, before).await?,
            runs: found,
            before,
        };
        self.read.insert(branch.to_owned(), history);
        Ok(())
    }

    /// The newest `most` runs before a run, newest first; `None` when they were not all read.
    pub(super) fn newest_runs(
        &self,
        branch: &str,
        before: HistoryPlace,
        most: usize,
    ) -> Option<Vec<HistoryPlace>> {
        let history = self.read.get(branch).filter(|history| before <= history.before)?;
        let stored = history.runs.iter().copied().filter(|run| *run < before);
        let stored: Vec<HistoryPlace> = stored.take(most).collect();
        let all = stored.len() == most || history.whole;
        all.then(|| self.with_unsaved(stored, branch, before, most))
    }

    /// The newest `most` of these runs and of those that are not saved yet.
    pub(super) fn with_unsaved(
        &self,
        mut stored: Vec<HistoryPlace>,
        branch: &str,
        before: HistoryPlace,
        most: usize,
    ) -> Vec<HistoryPlace> {
        let made = self.accepted.iter();
        let made = made.filter(|(run, of)| of == branch && *run < before);
        stored.extend(made.map(|(run, _)| *run));
        stored.sort_unstable_by(|one, other| other.cmp(one));
        stored.dedup();
        stored.truncate(most);
        stored
    }

    /// What counts between two runs; `None` when that was not read.
    pub(super) fn epochs_and_rejections(
        &self,
        branch: &str,
        oldest: HistoryPlace,
        before: HistoryPlace,
    ) -> Option<Marks> {
        let history = self.read.get(branch).filter(|history| before <= history.before)?;
        let from = history.runs.last().copied().unwrap_or(history.before);
        if oldest < from {
            return None;
        }
        let runs = history
            .runs
            .iter()
            .filter(|place| (oldest..before).contains(*place));
        let runs: BTreeSet<RunId> = runs.map(|place| place.run).collect();
        let within = |(_, run): &&(SeriesId, RunId)| runs.contains(run);
        Some(Marks {
            epochs: history.marks.epochs.clone(),
            rejected: history.marks.rejected.iter().filter(within).copied().collect(),
        })
    }

    /// Adds what is not saved yet to what must not count.
    pub(super) fn apply_unsaved_rejections(&self, rejected: &mut BTreeSet<(SeriesId, RunId)>) {
        rejected.extend(&self.rejected);
        rejected.retain(|value| !self.cleared.contains(value));
    }

    /// Notes a run that is part of the history of `branch` now, and its values that must not count.
    pub(super) fn accept_run(
        &mut self,
        place: HistoryPlace,
        branch: &str,
        rejected: impl Iterator<Item = SeriesId>,
    ) {
        self.accepted.push((place, branch.to_owned()));
        self.rejected.extend(rejected.map(|series| (series, place.run)));
    }

    /// Notes that a value counts after all.
    pub(super) fn clear_rejection(&mut self, series: SeriesId, run: RunId) {
        self.rejected.remove(&(series, run));
        self.cleared.insert((series, run));
    }
}
