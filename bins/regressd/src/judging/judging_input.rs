//! Everything that a run is judged by, and what can be asked of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use regress_core::detect::Evidence;
use regress_core::detect::machine_shift;
use regress_core::measurement::Measure;

use crate::database::streams::SeriesName;
use crate::domain::{HistoryPlace, Medians, Results, RunId, SeriesId, UnixMillis};
use crate::series_directory::Names;

/// The commit whose level a pull request is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseCommit {
    /// The newest commit of the history that counts.
    pub commit: Arc<str>,
    /// The base of the pull request, when it was not measured and the other stands in for it.
    pub instead_of: Option<String>,
}

/// Everything that a run is judged by.
#[derive(Clone, Debug, Default)]
pub struct JudgingInput {
    /// The runs of the commit, oldest first, up to the one that is judged: the number of each and its values.
    pub runs: Vec<(RunId, Results)>,
    /// Whether the judged run is itself part of the history of its target branch: it was measured there, or its commit
    /// landed there as it was.
    pub of_history: bool,
    /// The base commit's values measured beside runs of the commit, if some brought them: those of all runs together.
    pub base: Option<Results>,
    /// The values of the runs that brought those of the base.
    pub beside: Results,
    /// The commit that a pull request's run is compared with.
    pub base_commit: Option<BaseCommit>,
    /// The branch by whose history the run is judged.
    pub target: String,
    /// The commits of the history.
    pub commits: BTreeMap<RunId, Arc<str>>,
    /// What is known from elsewhere of a machine that moved.
    pub outside: BTreeMap<Measure, Evidence>,
    /// The history of the target branch, oldest first: the number of each run and its values. Without runs of the
    /// judged commit.
    pub history: Vec<(RunId, Arc<Medians>)>,
    /// Where the runs of the history stand in it; those that are not named go by their numbers.
    pub places: BTreeMap<RunId, HistoryPlace>,
    /// Values that must not count: (series, run).
    pub rejected: BTreeSet<(SeriesId, RunId)>,
    /// Where the baseline of a series begins.
    pub epochs: HashMap<SeriesId, HistoryPlace>,
    /// What the series are about.
    pub names: Arc<Names>,
    /// The values of a baseline, at most; all if nothing is said.
    pub most: Option<usize>,
}

impl JudgingInput {
    fn place_of(&self, run: RunId) -> HistoryPlace {
        let numbered = HistoryPlace {
            at: UnixMillis(0),
            run,
        };
        self.places.get(&run).copied().unwrap_or(numbered)
    }

    /// The values of a series that make its baseline, oldest first, each with the number of its run.
    #[must_use]
    pub fn baseline(&self, series: SeriesId) -> Vec<(RunId, f64)> {
        let start = self.epochs.get(&series).copied();
        let counts = |run: RunId| match start {
            // What came before an accepted shift is of the past; the shift itself is what was accepted.
            Some(start) if self.place_of(run) < start => false,
            Some(start) if run == start.run => true,
            _ => !self.rejected.contains(&(series, run)),
        };
        let value = |(run, medians): &(RunId, Arc<Medians>)| {
            let value = medians.get(series).filter(|_| counts(*run))?;
            Some((*run, value))
        };
        let newest = self.history.iter().rev().filter_map(value);
        let mut newest: Vec<(RunId, f64)> = newest.take(self.most.unwrap_or(usize::MAX)).collect();
        newest.reverse();
        newest
    }

    /// The value of a series in each run of the commit, oldest first.
    #[must_use]
    pub fn of_commit(&self, series: SeriesId) -> Vec<f64> {
        self.runs
            .iter()
            .filter_map(|(_, run)| run.median(series))
            .collect()
    }

    /// The values of the run that is judged.
    #[must_use]
    pub fn newest_results(&self) -> Option<&Results> {
        self.runs.last().map(|(_, results)| results)
    }

    /// The series that the newest commit of the history has and the judged one does not.
    pub(super) fn missing(&self) -> Vec<SeriesId> {
        let Some(newest) = self.history.last().and_then(|(run, _)| self.commits.get(run)) else {
            return Vec::new();
        };
        let of_newest = self
            .history
            .iter()
            .rev()
            .take_while(|(run, _)| self.commits.get(run) == Some(newest));
        let had: BTreeSet<SeriesId> = of_newest.flat_map(|(_, medians)| medians.series()).collect();
        let has = |series: &SeriesId| {
            self.runs
                .iter()
                .any(|(_, results)| results.0.contains_key(series))
        };
        had.into_iter().filter(|series| !has(series)).collect()
    }

    /// What the machine did, where the newest commit of the history is an old one that was measured again: it has an
    /// earlier run, and its code is the same.
    pub(super) fn measured_again(&self) -> BTreeMap<Measure, Evidence> {
        let commit_of = |run: &RunId| self.commits.get(run);
        let Some((newest, now)) = self.history.last() else {
            return BTreeMap::new();
        };
        let Some(commit) = commit_of(newest) else {
            return BTreeMap::new();
        };
        let earlier = self
            .history
            .iter()
            .find(|(run, _)| commit_of(run) == Some(commit));
        let Some((_, then)) = earlier.filter(|(run, _)| run != newest) else {
            return BTreeMap::new();
        };
        let mut ratios: BTreeMap<Measure, Vec<f64>> = BTreeMap::new();
        for series in now.series() {
            let values = then.get(series).zip(now.get(series));
            let measure = |name: &SeriesName| Measure::new(&name.measure).ok();
            let Some((name, (then, now))) = self.names.get(&series).zip(values) else {
                continue;
            };
            if let Some(measure) = measure(name).filter(|_| then > 0.0 && now > 0.0) {
                ratios
                    .entry(measure)
                    .or_default()
                    .push(name.direction.cost_ratio(then, now));
            }
        }
        let short: String = commit.chars().take(10).collect();
        let evidence = ratios.into_iter().filter(|(measure, _)| !measure.is_exact());
        evidence
            .filter_map(|(measure, ratios)| Some((measure, machine_shift::measured_again(&short, &ratios)?)))
            .collect()
    }

    /// All values of the history of a series, whether they count or not: for showing.
    #[must_use]
    pub fn whole_history(&self, series: SeriesId) -> Vec<f64> {
        self.history
            .iter()
            .filter_map(|(_, medians)| medians.get(series))
            .collect()
    }

    /// The runs of the history, newest first, in which a series was rejected without one between that was not.
    pub(super) fn streak(&self, series: SeriesId) -> impl Iterator<Item = (RunId, f64)> {
        let start = self.epochs.get(&series).copied().unwrap_or(HistoryPlace::FIRST);
        let measured = self.history.iter().rev();
        let values = measured.filter_map(move |(run, medians)| Some((*run, medians.get(series)?)));
        values.take_while(move |(run, _)| {
            self.place_of(*run) > start && self.rejected.contains(&(series, *run))
        })
    }

    /// The commit since which a series is slower without a break.
    #[must_use]
    pub fn slower_since_commit(&self, series: SeriesId) -> Option<&str> {
        let (first, _) = self.streak(series).last()?;
        self.commits.get(&first).map(|commit| &**commit)
    }

    /// The series that are slower without a break since one of these runs, and were fine before.
    #[must_use]
    pub fn slower_since(&self, runs: &BTreeSet<RunId>) -> Vec<SeriesId> {
        let rejected: BTreeSet<SeriesId> = self.rejected.iter().map(|(series, _)| *series).collect();
        let since = |series: &SeriesId| {
            self.streak(*series)
                .last()
                .is_some_and(|(run, _)| runs.contains(&run))
        };
        rejected.into_iter().filter(since).collect()
    }

    /// What is judged of a series: the runs of the commit; and on a branch with a history the runs just before that
    /// were slow too. They confirm a suspicion as a second run of the commit does: had nothing changed, any of them
    /// might as well have come out on top of the history.
    pub(super) fn to_judge(&self, series: SeriesId) -> Vec<(RunId, f64)> {
        let own = self
            .runs
            .iter()
            .filter_map(|(run, results)| Some((*run, results.median(series)?)));
        let before = self.of_history.then(|| self.streak(series));
        own.chain(before.into_iter().flatten()).collect()
    }

    /// Where each run stands among those of the history and of the commit.
    pub(super) fn order_of_runs(&self) -> HashMap<RunId, usize> {
        let history = self.history.iter().map(|(run, _)| *run);
        let own = self.runs.iter().map(|(run, _)| *run);
        history.chain(own).zip(0..).collect()
    }

    /// The series of which anything is told: those of the commit, and of the newest run of the history.
    pub(super) fn told(&self) -> BTreeSet<SeriesId> {
        let newest = self.history.last().into_iter();
        let newest = newest.flat_map(|(_, medians)| medians.series());
        let own = self
            .runs
            .iter()
            .flat_map(|(_, results)| results.0.keys().copied());
        own.chain(newest).collect()
    }

    /// The series that the newest run has, with their names.
    pub(super) fn judged(&self) -> impl Iterator<Item = (SeriesId, &SeriesName)> {
        let series = self
            .newest_results()
            .into_iter()
            .flat_map(|results| results.0.keys());
        series.filter_map(|series| Some((*series, &**self.names.get(series)?)))
    }
}
