//! Who may change a baseline: the types that keep a judged run away from it, and the two ways in.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::round_to_significant_digits;
use super::{BaselineEntry, Baselines, Epoch, Justification};
use crate::environment::Environment;
use crate::measurement::{Measurement, Problem, ProblemKind, Replicates, RunFile, SeriesKey};
use crate::stats;

/// A run on its way to judgement. There is no way from here to a [`BaselineRecording`]: the run file it gives back, and
/// every copy of it, is marked, also when it was written to disk and read again.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineCandidate(RunFile);

/// A run that may become a baseline: no judgement has been passed on it.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineRecording(RunFile);

/// A judged run was offered as a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this run was judged against the baseline and cannot become it; measure again and record that run")]
pub struct AlreadyJudged;

impl RunFile {
    /// Hands the run over to judgement.
    #[must_use]
    pub fn into_candidate(mut self) -> BaselineCandidate {
        self.mark_judged();
        BaselineCandidate(self)
    }

    /// Hands the run over to a baseline.
    ///
    /// # Errors
    /// When the run was judged.
    pub fn into_recording(self) -> Result<BaselineRecording, AlreadyJudged> {
        if self.is_judged() {
            Err(AlreadyJudged)
        } else {
            Ok(BaselineRecording(self))
        }
    }
}

impl BaselineCandidate {
    /// The run, marked as judged.
    #[must_use]
    pub fn run_file(&self) -> &RunFile {
        &self.0
    }

    /// The run, marked as judged, to be saved over the file it came from.
    #[must_use]
    pub fn into_run_file(self) -> RunFile {
        self.0
    }
}

impl BaselineRecording {
    /// The run.
    #[must_use]
    pub fn run_file(&self) -> &RunFile {
        &self.0
    }
}

/// What recording or accepting did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordedBaseline {
    /// Series that had no baseline in this environment.
    pub added: Vec<SeriesKey>,
    /// Series whose values were replaced.
    pub replaced: Vec<Replaced>,
    /// Series of the baseline that the run does not have, left as they were.
    pub untouched: Vec<SeriesKey>,
    /// Series and values that were not taken, and why.
    pub problems: Vec<Problem>,
}

/// A series whose baseline changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Replaced {
    /// The series.
    pub key: SeriesKey,
    /// Median before.
    pub before: f64,
    /// Median now.
    pub after: f64,
    /// Median at the start of the epoch the series is in now.
    pub anchor: f64,
}

impl Baselines {
    /// Takes the values of a run as the new baseline of its environment. Epochs go on: their anchors stay.
    ///
    /// A series whose unit or direction changed is not taken; that needs [`Baselines::accept_series`].
    pub fn record_values(&mut self, recording: &BaselineRecording) -> RecordedBaseline {
        self.take(recording, None, &|_| true)
    }

    /// Takes the values of a run for the series `accepted` picks, and starts a new epoch of each: their shift is
    /// meant, for the reason given. Series without a baseline are added as by [`Baselines::record_values`].
    pub fn accept_series(
        &mut self,
        recording: &BaselineRecording,
        accepted: impl Fn(&SeriesKey) -> bool,
        justification: &Justification,
    ) -> RecordedBaseline {
        self.take(recording, Some(justification), &accepted)
    }

    fn take(
        &mut self,
        BaselineRecording(run): &BaselineRecording,
        justification: Option<&Justification>,
        picked: &dyn Fn(&SeriesKey) -> bool,
    ) -> RecordedBaseline {
        let (series, problems) = run.collect_replicates();
        let mut measurements: BTreeMap<SeriesKey, Vec<&Measurement>> = BTreeMap::new();
        for measurement in run.processes.iter().flat_map(|process| &process.measurements) {
            measurements
                .entry(measurement.series_key())
                .or_default()
                .push(measurement);
        }
        let entries = self.of(&run.environment);
        let mut recorded = RecordedBaseline {
            problems,
            ..RecordedBaseline::default()
        };
        let measured: BTreeSet<SeriesKey> = series.keys().filter(|key| picked(key)).cloned().collect();
        recorded.untouched = entries
            .keys()
            .filter(|key| !measured.contains(key))
            .cloned()
            .collect();
        for (key, replicates) in series.into_iter().filter(|(key, _)| measured.contains(key)) {
            let fresh = fresh_entry(&measurements[&key], replicates, run);
            match entries.get_mut(&key) {
                None => {
                    entries.insert(key.clone(), fresh);
                    recorded.added.push(key);
                }
                Some(entry) if !same_kind(entry, &fresh) && justification.is_none() => {
                    recorded
                        .problems
                        .push(changed_kind(&key, entry, &fresh, &run.environment));
                }
                Some(entry) => {
                    let before = entry.median();
                    replace(entry, fresh, justification);
                    let (after, anchor) = (entry.median(), entry.current_epoch().anchor);
                    recorded.replaced.push(Replaced {
                        key,
                        before,
                        after,
                        anchor,
                    });
                }
            }
        }
        self.environments.retain(|one| !one.entries.is_empty());
        recorded
    }
}

/// An entry in its first epoch.
fn fresh_entry(measurements: &[&Measurement], replicates: Replicates, run: &RunFile) -> BaselineEntry {
    let deviations: Vec<f64> = measurements.iter().filter_map(|m| m.std_dev).collect();
    let mut entry = BaselineEntry {
        unit: replicates.unit,
        direction: replicates.direction,
        values: replicates
            .values
            .into_iter()
            .map(round_to_significant_digits)
            .collect(),
        samples: measurements.iter().filter_map(|m| m.samples).collect(),
        within_std_dev: stats::median(&deviations).map(round_to_significant_digits),
        commit: run.commit.clone(),
        time: run.time,
        epochs: Vec::new(),
    };
    let anchor = round_to_significant_digits(entry.median());
    entry.epochs.push(Epoch {
        anchor,
        commit: run.commit.clone(),
        time: run.time,
        justification: None,
    });
    entry
}

fn same_kind(left: &BaselineEntry, right: &BaselineEntry) -> bool {
    left.unit == right.unit && left.direction == right.direction
}

fn changed_kind(
    key: &SeriesKey,
    old: &BaselineEntry,
    new: &BaselineEntry,
    environment: &Environment,
) -> Problem {
    Problem {
        source: format!("baseline of {environment}"),
        entry: Some(key.to_string()),
        kind: ProblemKind::Mixed,
        detail: format!(
            "{} {:?} in the baseline, {} {:?} now; accept the change with a reason",
            old.unit, old.direction, new.unit, new.direction
        ),
    }
}

fn replace(entry: &mut BaselineEntry, fresh: BaselineEntry, justification: Option<&Justification>) {
    let mut epochs = std::mem::take(&mut entry.epochs);
    if let Some(justification) = justification {
        let started = fresh.epochs.into_iter().next_back();
        epochs.extend(started.map(|epoch| Epoch {
            justification: Some(justification.clone()),
            ..epoch
        }));
    }
    *entry = BaselineEntry {
        epochs,
        ..BaselineEntry {
            epochs: Vec::new(),
            ..fresh
        }
    };
}
