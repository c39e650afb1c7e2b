//! Runs put together: by engine, binary and kind of instruction, and day by day.

use std::collections::BTreeMap;
use std::time::Duration;

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
}

/// Runs that have something in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunGroup {
    /// Runs of `check` and the like.
    pub checks: u64,
    /// Blocks of all of them, and runs.
    pub counts: GroupCounts,
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

    /// Blocks without a divergence.
    #[must_use]
    pub fn passing(&self) -> u64 {
        self.counts.blocks.saturating_sub(self.counts.diverging_blocks)
    }

    /// Runs in a second; `None` where the time is not known.
    #[must_use]
    pub fn runs_per_second(&self) -> Option<f64> {
        let seconds = self.elapsed.as_secs_f64();
        (seconds > 0.0).then(|| self.counts.runs as f64 / seconds)
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
                group.add(run, &counts_of(run), run.summary.elapsed);
            }
            Grouping::Binary | Grouping::Kind => {
                let parts = if grouping == Grouping::Binary {
                    &details.binaries
                } else {
                    &details.kinds
                };
                for (name, counts) in parts {
                    let key = (name.clone(), String::new());
                    groups.entry(key).or_default().add(run, counts, Duration::ZERO);
                }
            }
        }
    }
    groups
}

/// Runs by the day (since the Unix epoch, UTC) on which they started.
#[must_use]
pub fn runs_by_day(runs: &[SummedRun]) -> BTreeMap<i64, RunGroup> {
    let mut days: BTreeMap<i64, RunGroup> = BTreeMap::new();
    for run in runs {
        let day = days.entry(run.started.0.div_euclid(DAY)).or_default();
        day.add(run, &counts_of(run), run.summary.elapsed);
    }
    days
}

/// How the newest run of an engine stands to those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trend {
    /// More of its blocks pass.
    Better,
    /// Fewer of its blocks pass.
    Worse,
    /// No difference that could not be chance.
    Same,
    /// There is nothing to compare with.
    Unknown,
}

/// The newest run of each engine and version among `runs` (newest first), and how the share of its blocks that pass stands to
/// that of the runs before of the same engine, seed and number of states, whatever the version: the difference has to be larger
/// than chance would make it once in a hundred times (two proportions, pooled).
#[must_use]
pub fn newest_runs(runs: &[SummedRun]) -> Vec<(&SummedRun, Trend)> {
    let mut newest: Vec<(&SummedRun, Trend)> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let is_same = |other: &SummedRun| other.engine == run.engine;
        if newest.iter().any(|(other, _)| is_same(other)) {
            continue;
        }
        let mut before = RunGroup::default();
        let earlier = runs[index + 1..].iter().filter(|other| is_same(other));
        for other in earlier.filter(|other| other.seed == run.seed && other.states == run.states) {
            before.add(other, &counts_of(other), Duration::ZERO);
        }
        newest.push((run, trend(&counts_of(run), &before.counts)));
    }
    newest
}

fn trend(now: &GroupCounts, before: &GroupCounts) -> Trend {
    /// Of the normal distribution: 1 % in both tails.
    const Z: f64 = 2.575_829_303_548_901;
    if now.blocks == 0 || before.blocks == 0 {
        return Trend::Unknown;
    }
    let share = |counts: &GroupCounts| counts.diverging_blocks as f64 / counts.blocks as f64;
    let pooled =
        (now.diverging_blocks + before.diverging_blocks) as f64 / (now.blocks + before.blocks) as f64;
    let error = pooled * (1.0 - pooled) * (1.0 / now.blocks as f64 + 1.0 / before.blocks as f64);
    let difference = share(now) - share(before);
    if difference > Z * error.sqrt() {
        Trend::Worse
    } else if -difference > Z * error.sqrt() {
        Trend::Better
    } else {
        Trend::Same
    }
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
    use super::*;

    fn counts(blocks: u64, diverging_blocks: u64) -> GroupCounts {
        GroupCounts {
            blocks,
            diverging_blocks,
            ..GroupCounts::default()
        }
    }

    #[test]
    fn a_trend_is_more_than_chance() {
        assert_eq!(trend(&counts(1000, 5), &counts(1000, 5)), Trend::Same);
        assert_eq!(trend(&counts(1000, 7), &counts(1000, 5)), Trend::Same);
        assert_eq!(trend(&counts(1000, 50), &counts(1000, 5)), Trend::Worse);
        assert_eq!(trend(&counts(1000, 5), &counts(1000, 50)), Trend::Better);
        assert_eq!(trend(&counts(1000, 0), &counts(1000, 0)), Trend::Same);
        assert_eq!(trend(&counts(1000, 5), &counts(0, 0)), Trend::Unknown);
    }
}
