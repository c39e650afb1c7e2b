//! Runs put together: by engine, binary and kind of instruction, and day by day.

use std::collections::BTreeMap;
use std::time::Duration;

use regress_core::detect::{GateSettings, PastRuns, Threshold, VerdictKind, judge_history};
use regress_core::measurement::{BenchmarkId, Direction, Measure, SeriesKey};
use snippex_store::{GroupCounts, SummedRun, UnixMillis};

/// Milliseconds of a day.
const DAY: i64 = 24 * 3600 * 1000;

/// What runs have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// The engine with its version.
    Engine,
    /// The binary.
    Binary,
    /// The kind of instruction in a block; a block counts for each kind that it has.
    Kind,
    /// The extension of the instruction set that an instruction of a block needs; a block counts for each.
    Extension,
}

/// Runs that have something in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunGroup {
    /// Runs of `check` and the like.
    pub checks: u64,
    /// Blocks of all of them, and runs.
    pub counts: GroupCounts,
    /// Runs of them that the cache of verdicts knew, and that took no time; where times are known.
    pub cached_runs: u64,
    /// How long blocks were run for; zero where that is not known apart.
    pub elapsed: Duration,
    /// The latest.
    pub last: Option<UnixMillis>,
}

impl RunGroup {
    fn add(&mut self, run: &SummedRun, counts: &GroupCounts, elapsed: Duration) {
        self.checks += 1;
        self.counts.blocks += counts.blocks;
        self.counts.diverging_blocks += counts.diverging_blocks;
        self.counts.runs += counts.runs;
        self.counts.diverged += counts.diverged;
        self.elapsed += elapsed;
        self.last = self.last.max(Some(run.started));
    }

    /// Adds a run with all that it did.
    fn add_whole(&mut self, run: &SummedRun) {
        self.add(run, &counts_of(run), run.summary.elapsed);
        self.cached_runs += run.summary.details.cached_runs;
    }

    /// Blocks without a divergence.
    #[must_use]
    pub fn passing_blocks(&self) -> u64 {
        self.counts.blocks.saturating_sub(self.counts.diverging_blocks)
    }

    /// Runs in a second, of those that were done; `None` where the time is not known, or all came from the cache.
    #[must_use]
    pub fn runs_per_second(&self) -> Option<f64> {
        let done = self.counts.runs.saturating_sub(self.cached_runs);
        let seconds = self.elapsed.as_secs_f64();
        (seconds > 0.0 && done > 0).then(|| done as f64 / seconds)
    }
}

/// Runs by the name of what they have in common; of an engine name and version.
#[must_use]
pub fn group_runs(runs: &[SummedRun], grouping: Grouping) -> BTreeMap<(String, String), RunGroup> {
    let mut groups: BTreeMap<(String, String), RunGroup> = BTreeMap::new();
    for run in runs {
        let details = &run.summary.details;
        match grouping {
            Grouping::Engine => {
                let key = (run.engine.clone(), run.version.clone());
                let group = groups.entry(key).or_default();
                group.add_whole(run);
            }
            Grouping::Binary => add_parts(&mut groups, run, &details.binaries),
            Grouping::Kind => add_parts(&mut groups, run, &details.kinds),
            Grouping::Extension => add_parts(&mut groups, run, &details.extensions),
        }
    }
    groups
}

/// Adds the counts of the parts that a run is divided into.
fn add_parts(
    groups: &mut BTreeMap<(String, String), RunGroup>,
    run: &SummedRun,
    parts: &BTreeMap<String, GroupCounts>,
) {
    for (name, counts) in parts {
        let key = (name.clone(), String::new());
        groups.entry(key).or_default().add(run, counts, Duration::ZERO);
    }
}

/// Runs by the day (since the Unix epoch, UTC) on which they started.
#[must_use]
pub fn runs_by_day(runs: &[SummedRun]) -> BTreeMap<i64, RunGroup> {
    let mut days: BTreeMap<i64, RunGroup> = BTreeMap::new();
    for run in runs {
        let day = days.entry(run.started.0.div_euclid(DAY)).or_default();
        day.add_whole(run);
    }
    days
}

/// How the newest run of an engine stands to those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trend {
    /// A smaller share of its blocks fails than in any run before.
    Better,
    /// A larger share of its blocks fails than in any run before.
    Worse,
    /// Neither, or the change is within the threshold.
    Same,
    /// There is nothing to compare with.
    Unknown,
}

/// The newest run of an engine, and how it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct NewestRun<'r> {
    /// The run.
    pub run: &'r SummedRun,
    /// How it stands.
    pub trend: Trend,
    /// By how much the share of failing blocks is larger than the median of those before, in percent of it; `None` where
    /// there is none, or it is zero.
    pub change_percent: Option<f64>,
    /// Runs that it is compared with.
    pub compared: usize,
}

/// The newest run of each engine among `runs` (newest first), judged by regress-core against the runs before of the same
/// engine (whatever its version) on the same binaries with the same seed and number of states. Their cases are the same, so
/// the share of failing blocks is an exact measure: what lies beyond every run before, by more than `threshold` percent of the
/// median or up from zero, is a change.
#[must_use]
pub fn newest_runs(runs: &[SummedRun], threshold: f64) -> Vec<NewestRun<'_>> {
    let mut newest: Vec<NewestRun<'_>> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        if newest.iter().any(|other| other.run.engine == run.engine) {
            continue;
        }
        let before = runs[index + 1..].iter().rev();
        let shares: Vec<f64> = before
            .filter(|other| is_comparable(run, other))
            .filter_map(failing_share)
            .collect();
        newest.push(judge_run(run, &shares, threshold));
    }
    newest
}

/// Whether two runs are of the same cases, as far as that can be: a binary may have been rebuilt.
fn is_comparable(run: &SummedRun, other: &SummedRun) -> bool {
    let binaries = |run: &SummedRun| run.summary.details.binaries.keys().cloned().collect::<Vec<_>>();
    run.engine == other.engine
        && (run.seed, run.states) == (other.seed, other.states)
        && binaries(run) == binaries(other)
}

/// Failing blocks in a million; `None` of a run without blocks.
fn failing_share(run: &SummedRun) -> Option<f64> {
    let summary = &run.summary;
    (summary.blocks > 0).then(|| summary.diverging_blocks as f64 * 1e6 / summary.blocks as f64)
}

/// Judges a run against the shares of those before, the oldest first.
fn judge_run<'r>(run: &'r SummedRun, before: &[f64], threshold: f64) -> NewestRun<'r> {
    let now: Vec<f64> = failing_share(run).into_iter().collect();
    let verdict = failing_blocks(&run.engine).and_then(|key| {
        let past = PastRuns {
            key,
            direction: Direction::SmallerIsBetter,
            history: before,
            runs: &now,
            told: None,
            comparable: true,
            threshold: Threshold {
                percent: threshold,
                least_runs: 1,
                ..Threshold::default()
            },
        };
        judge_history(&[past], &GateSettings::default()).verdicts.pop()
    });
    let trend = match verdict.as_ref().map(|verdict| verdict.kind) {
        _ if before.is_empty() || now.is_empty() => Trend::Unknown,
        Some(VerdictKind::Regression | VerdictKind::Suspected) => Trend::Worse,
        Some(VerdictKind::Improvement) => Trend::Better,
        Some(VerdictKind::Unchanged) => Trend::Same,
        Some(VerdictKind::NotEnoughData | VerdictKind::EnvironmentChanged) | None => Trend::Unknown,
    };
    NewestRun {
        run,
        trend,
        change_percent: verdict.and_then(|verdict| verdict.percent),
        compared: before.len(),
    }
}

/// What is judged; `None` for an engine whose name is none of a benchmark.
fn failing_blocks(engine: &str) -> Option<SeriesKey> {
    Some(SeriesKey {
        benchmark: BenchmarkId::new(engine).ok()?,
        measure: Measure::new("failing-blocks").ok()?,
    })
}

/// The first moment of a day.
#[must_use]
pub fn day_start(day: i64) -> UnixMillis {
    UnixMillis(day * DAY)
}

/// Ways to fail, each with its blocks (0 where only runs are known) and runs: divergences by kind, and what was not judged by
/// reason.
#[must_use]
pub fn failure_modes(runs: &[SummedRun]) -> BTreeMap<(&'static str, String), (u64, u64)> {
    let mut modes: BTreeMap<(&'static str, String), (u64, u64)> = BTreeMap::new();
    let mut add = |what, name: &String, blocks, runs| {
        let mode = modes.entry((what, name.clone())).or_default();
        *mode = (mode.0 + blocks, mode.1 + runs);
    };
    for run in runs {
        let details = &run.summary.details;
        for (kind, counts) in &details.divergences {
            add("diverged", kind, counts.diverging_blocks, counts.diverged);
        }
        for (reason, runs) in &details.inconclusive {
            add("inconclusive", reason, 0, *runs);
        }
        for (reason, runs) in &details.unsupported {
            add("unsupported", reason, 0, *runs);
        }
        for (reason, blocks) in &details.blocks_not_run {
            add("not run", reason, *blocks, 0);
        }
    }
    modes
}

fn counts_of(run: &SummedRun) -> GroupCounts {
    GroupCounts {
        blocks: run.summary.blocks,
        diverging_blocks: run.summary.diverging_blocks,
        runs: run.summary.runs,
        diverged: run.summary.diverged,
    }
}

#[cfg(test)]
mod tests {
    use snippex_store::{RunId, RunSummary};

    use super::*;

    /// Runs of one engine with so many failing blocks of a thousand each, the newest first.
    fn runs(failing: &[u64]) -> Vec<SummedRun> {
        let run = |(index, &diverging_blocks): (usize, &u64)| SummedRun {
            run: RunId(100 - index as i64),
            command: "check".to_owned(),
            started: UnixMillis(0),
            finished: true,
            seed: 1,
            states: 64,
            reference: "native".to_owned(),
            engine: "fex-emu/jit 2".to_owned(),
            version: index.to_string(),
            summary: RunSummary {
                blocks: 1000,
                diverging_blocks,
                ..RunSummary::default()
            },
        };
        failing.iter().enumerate().map(run).collect()
    }

    fn trend(failing: &[u64]) -> (Trend, Option<f64>) {
        let runs = runs(failing);
        let [newest] = &newest_runs(&runs, 5.0)[..] else {
            panic!("one engine has one newest run")
        };
        (newest.trend, newest.change_percent)
    }

    #[test]
    fn a_trend_lies_beyond_all_runs_before() {
        assert_eq!(trend(&[5]), (Trend::Unknown, None));
        assert_eq!(trend(&[5, 5, 5]), (Trend::Same, Some(0.0)));
        assert_eq!(trend(&[10, 5]), (Trend::Worse, Some(100.0)));
        assert_eq!(trend(&[5, 10]), (Trend::Better, Some(-50.0)));
        // Within what there was, within the threshold, and up from nothing.
        assert_eq!(trend(&[10, 5, 11]).0, Trend::Same);
        assert_eq!(trend(&[102, 100, 100]).0, Trend::Same);
        assert_eq!(trend(&[1, 0, 0]).0, Trend::Worse);
        assert_eq!(trend(&[0, 0, 0]).0, Trend::Same);
    }

    #[test]
    fn only_runs_of_the_same_cases_are_compared() {
        let mut all = runs(&[10, 5, 5]);
        all[1].seed = 2;
        all[2]
            .summary
            .details
            .binaries
            .insert("other".to_owned(), GroupCounts::default());
        assert_eq!(newest_runs(&all, 5.0)[0].trend, Trend::Unknown);
        all[2].summary.details.binaries.clear();
        assert_eq!(
            (
                newest_runs(&all, 5.0)[0].trend,
                newest_runs(&all, 5.0)[0].compared
            ),
            (Trend::Worse, 1)
        );
    }
}
