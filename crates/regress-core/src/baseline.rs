//! What a new run is compared with: a committed, reviewable file of process-level values per environment.
//!
//! A baseline changes in two ways only. [`Baselines::record_values`] replaces values within an epoch and keeps the
//! epoch's anchor, so that 5 -> 10 -> 20 ms in steps under the limit stays visible. [`Baselines::accept_series`] starts a
//! new epoch with a justification. Both take a [`BaselineRecording`], and a run that was judged cannot become one
//! ([`BaselineCandidate`]): a change must not become the measure of itself.
//!
//! No statistics beyond the summaries people read in a diff; no files: text comes in and goes out.

mod entry;
mod file;
mod recording;
mod version_1;

pub use entry::{BaselineEntry, BaselineSummary, Epoch, Justification, JustificationError};
pub use file::{BASELINE_VERSION, BaselineError, Loaded};
pub use recording::{AlreadyJudged, BaselineCandidate, BaselineRecording, RecordedBaseline, Replaced};

use std::collections::BTreeMap;

use crate::environment::{Environment, PartDifference};
use crate::measurement::SeriesKey;

/// The baselines of all environments of a project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Baselines {
    environments: Vec<EnvironmentBaseline>,
}

/// The baselines measured in one environment.
#[derive(Debug, Clone, PartialEq)]
pub struct EnvironmentBaseline {
    /// Where.
    pub environment: Environment,
    /// The entries, in the order of the file.
    pub entries: BTreeMap<SeriesKey, BaselineEntry>,
}

/// What there is to compare a run of some environment with.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup<'b> {
    /// Baselines of the same environment.
    Same(&'b EnvironmentBaseline),
    /// Only baselines of other environments, with the parts that differ, nearest first. To be compared with only
    /// when the user asks for it, and then the report says so.
    Other(Vec<(&'b EnvironmentBaseline, Vec<PartDifference>)>),
    /// No baselines at all.
    Nothing,
}

impl Baselines {
    /// No baselines.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All environments, in the order of the file.
    pub fn environments(&self) -> impl Iterator<Item = &EnvironmentBaseline> {
        self.environments.iter()
    }

    /// The baselines to compare a run in `environment` with.
    #[must_use]
    pub fn lookup_environment(&self, environment: &Environment) -> Lookup<'_> {
        if let Some(same) = self
            .environments
            .iter()
            .find(|one| one.environment.is_like(environment))
        {
            return Lookup::Same(same);
        }
        let mut others: Vec<_> = self
            .environments
            .iter()
            .map(|one| (one, one.environment.differing_parts(environment)))
            .collect();
        others.sort_by_key(|(_, differences)| {
            let unknown = differences.iter().filter(|one| one.is_unknown()).count();
            (differences.len() - unknown, unknown)
        });
        if others.is_empty() {
            Lookup::Nothing
        } else {
            Lookup::Other(others)
        }
    }

    /// Removes the entries `keep` rejects, and environments left empty.
    ///
    /// Returns what was removed.
    pub fn prune_entries(
        &mut self,
        mut keep: impl FnMut(&Environment, &SeriesKey, &BaselineEntry) -> bool,
    ) -> Vec<(Environment, SeriesKey)> {
        let mut removed = Vec::new();
        for EnvironmentBaseline { environment, entries } in &mut self.environments {
            entries.retain(|key, entry| {
                let kept = keep(environment, key, entry);
                if !kept {
                    removed.push((environment.clone(), key.clone()));
                }
                kept
            });
        }
        self.environments.retain(|one| !one.entries.is_empty());
        removed
    }

    /// The entries of `environment`, made when there are none.
    fn of(&mut self, environment: &Environment) -> &mut BTreeMap<SeriesKey, BaselineEntry> {
        let place = self
            .environments
            .iter()
            .position(|one| one.environment.is_like(environment));
        let place = place.unwrap_or_else(|| {
            let text = environment.canonical_text();
            let place = self
                .environments
                .partition_point(|one| one.environment.canonical_text() < text);
            let new = EnvironmentBaseline {
                environment: environment.clone(),
                entries: BTreeMap::new(),
            };
            self.environments.insert(place, new);
            place
        });
        &mut self.environments[place].entries
    }
}
