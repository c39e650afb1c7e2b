//! Judging a run against the history of each benchmark: the mode of `benchgate check`.
//!
//! Each benchmark passes its [`Gate`]; a measure that is counted (see [`Measure::is_exact`]) is compared as it is. When
//! most benchmarks of a measure move at once, that is told as a [`SuiteShift`](super::SuiteShift). It is the machine's doing only if
//! something from outside says so: control benchmarks, a commit that was measured before and again, another branch or repository in the same
//! environment. Then a benchmark is
//! judged by what is left after the machine's factor, and where that is within the threshold the verdict is "environment
//! changed". Without evidence every one of them is judged as it is.

use std::collections::BTreeMap;

use super::common_noise::RunPlaces;
use super::gate::{Gate, GateSettings, GateState, Level};
use super::machine_shift::Evidence;
use super::suite_survey::{SuiteSurvey, q_values};
use super::threshold::Threshold;
use super::verdict::{RunVerdict, Verdict, VerdictKind};
use crate::measurement::{Direction, Measure, SeriesKey};
use crate::stats::median;

/// One benchmark's history and the runs of the commit to judge.
#[derive(Debug, Clone)]
pub struct PastRuns<'a> {
    /// The benchmark and its measure.
    pub key: SeriesKey,
    /// Which way is better.
    pub direction: Direction,
    /// One value per earlier run in the same environment, oldest first; without the runs being judged.
    pub history: &'a [f64],
    /// The run to judge and then its confirmations.
    pub runs: &'a [f64],
    /// The value that words tell of, where it is not the median of `runs`.
    pub told: Option<f64>,
    /// Whether the history comes from the environment of the runs, or the user asked to compare across.
    pub comparable: bool,
    /// What applies to the benchmark; `least_runs` counts runs of history.
    pub threshold: Threshold,
}

/// Judges all benchmarks of a run. Benchmarks whose threshold is not enabled are left out.
#[must_use]
pub fn judge_history(pasts: &[PastRuns<'_>], settings: &GateSettings) -> RunVerdict {
    judge_history_with(pasts, settings, &BTreeMap::new())
}

/// The same with what is known from outside of a machine that moved, by measure. It counts where most benchmarks of the
/// measure moved, too, and control benchmarks did not say more.
#[must_use]
pub fn judge_history_with(
    pasts: &[PastRuns<'_>],
    settings: &GateSettings,
    outside: &BTreeMap<Measure, Evidence>,
) -> RunVerdict {
    judge_history_aligned(pasts, &[], settings, outside)
}

/// The same where it is known which values are of one run: `places` has an entry for each of `pasts`, or none at all. Then what
/// the benchmarks of each run have in common is taken out as long as it is noise: see [`RunPlaces`].
#[must_use]
pub fn judge_history_aligned(
    pasts: &[PastRuns<'_>],
    places: &[RunPlaces],
    settings: &GateSettings,
    outside: &BTreeMap<Measure, Evidence>,
) -> RunVerdict {
    let unknown = RunPlaces::default();
    let enabled: Vec<(&PastRuns<'_>, &RunPlaces)> = pasts
        .iter()
        .enumerate()
        .filter(|(_, past)| past.threshold.enabled)
        .map(|(index, past)| (past, places.get(index).unwrap_or(&unknown)))
        .collect();
    let mut survey = SuiteSurvey::new(*settings);
    for (past, places) in &enabled {
        survey.add_series(past, places);
    }
    let suite = survey.conclude(outside);
    let verdicts = enabled.iter().enumerate();
    let mut verdicts: Vec<Verdict> = verdicts
        .map(|(index, (past, places))| suite.judge_series(index, past, places))
        .collect();
    let corrected = q_values(verdicts.iter().map(|verdict| verdict.p));
    for (verdict, q) in verdicts.iter_mut().zip(corrected) {
        verdict.q = q;
    }
    RunVerdict::from_verdicts(verdicts, suite.shifts().to_vec())
}

/// A benchmark with the level that its history is on.
pub(super) struct Levelled<'a> {
    past: &'a PastRuns<'a>,
    level: &'a Level,
    /// What the runs are held against.
    pub(super) before: Option<f64>,
    /// How many times that much they cost.
    pub(super) ratio: Option<f64>,
}

impl<'a> Levelled<'a> {
    pub(super) fn new(past: &'a PastRuns<'a>, level: &'a Level) -> Self {
        let values = level.values(past.direction, past.threshold.percent);
        let before = median(&values).or_else(|| median(past.history));
        let both = before.zip(median(past.runs));
        let ratio = both.filter(|(before, after)| *before > 0.0 && *after > 0.0);
        Self {
            past,
            level,
            before,
            ratio: ratio.map(|(before, after)| past.direction.cost_ratio(before, after)),
        }
    }

    /// Sends the runs, with the machine's factor taken out of their cost, through the gate.
    fn walk(&self, direction: Direction, machine: f64, settings: &GateSettings) -> Option<Walk> {
        let Threshold {
            percent, least_runs, ..
        } = self.past.threshold;
        let mut gate = Gate::at_level(self.level, direction, percent, least_runs, settings)?;
        let mut far = !self.past.runs.is_empty();
        for value in self.past.runs {
            let value = match direction {
                Direction::SmallerIsBetter => value / machine,
                Direction::BiggerIsBetter => value * machine,
            };
            far &= gate.is_far_beyond(value);
            gate.observe_value(value);
        }
        Some(Walk {
            state: gate.state(),
            far,
        })
    }

    /// The change in words: that of the value that words tell of, or else of all runs.
    fn change_told(&self, ratio: f64) -> String {
        let told = self.past.told.zip(self.before);
        let told = told.filter(|(told, before)| *told > 0.0 && *before > 0.0);
        let direction = self.past.direction;
        signed_percent(told.map_or(ratio, |(told, before)| direction.cost_ratio(before, told)))
    }
}

/// Where the runs of a benchmark come out.
struct Walk {
    state: GateState,
    /// Whether every run is so far beyond that no confirmation is needed.
    far: bool,
}

/// The verdict on a benchmark, how sure it is, and why. `own` is the benchmark without what it shares with the others.
pub(super) fn conclude(
    measured: &Levelled<'_>,
    own: Option<&Levelled<'_>>,
    evidence: Option<&Evidence>,
    settings: &GateSettings,
) -> (VerdictKind, f64, String) {
    let Levelled { past, ratio, .. } = *measured;
    let after = median(past.runs);
    if !past.comparable {
        return (
            VerdictKind::EnvironmentChanged,
            1.0,
            "the history comes from another environment".to_owned(),
        );
    }
    if past.threshold.control {
        let change = ratio.map_or_else(|| "it cannot be told by how much".to_owned(), signed_percent);
        let moved = evidence.is_some();
        let kind = if moved {
            VerdictKind::EnvironmentChanged
        } else {
            VerdictKind::Unchanged
        };
        return (
            kind,
            1.0,
            format!("a control benchmark: it shows what the machine does ({change})"),
        );
    }
    let beyond = |limit: &f64| after.is_some_and(|after| past.direction.is_worse(*limit, after));
    if let Some(limit) = past.threshold.limit.filter(beyond) {
        return (
            VerdictKind::Regression,
            1.0,
            format!("beyond the absolute limit {limit}"),
        );
    }
    if past.key.measure.is_exact()
        && let Some(exact) = by_count(measured)
    {
        return exact;
    }
    let machine = evidence.map_or(1.0, Evidence::factor);
    // Evidence says more of the machine than what the benchmarks have in common.
    let own = own.filter(|_| evidence.is_none());
    let walked = own.unwrap_or(measured);
    let walk = walked.walk(past.direction, machine, settings);
    let (Some(ratio), Some(Walk { state, far })) = (ratio, walk) else {
        let reason = format!(
            "{} and {} to judge; {} of history with values above zero are needed",
            runs_of(past.history.len(), "of history"),
            runs_of(past.runs.len(), "").trim_end(),
            past.threshold.least_runs
        );
        return (VerdictKind::NotEnoughData, 0.0, reason);
    };
    let change = measured.change_told(ratio);
    let own = own.and_then(|own| own.ratio).unwrap_or(ratio / machine);
    let count = past.history.len() as f64;
    let beyond = ratio > past.threshold.ratio();
    match (state, evidence) {
        (GateState::Confirmed, _) if beyond => {
            // The chance that exchangeable runs all come out on top of the history.
            let chance =
                (1..=past.runs.len()).fold(1.0, |product, i| product * i as f64 / (count + i as f64));
            let reason = format!("{change} against the history's median, above its limit in every run");
            (VerdictKind::Regression, 1.0 - chance, reason)
        }
        (GateState::Suspected { .. }, _) if beyond && far => {
            let reason =
                format!("{change} against the history's median, far beyond every value that was ever seen");
            (VerdictKind::Regression, 1.0 - 1.0 / (count + 1.0), reason)
        }
        (_, Some(evidence)) if own < past.threshold.ratio() && beyond => {
            let reason = format!("{change}, and so did the machine: {evidence}");
            (VerdictKind::EnvironmentChanged, 0.5, reason)
        }
        (GateState::Suspected { needed }, _) if beyond => {
            let plural = if needed == 1 { "" } else { "s" };
            let reason = format!("{change}: suspected, {needed} more run{plural} of the commit would decide");
            (VerdictKind::Suspected, 0.5, reason)
        }
        _ => improvement_or_not(measured, walked, (ratio, own, machine), settings),
    }
}

/// `+8.1 %` of a ratio of costs.
fn signed_percent(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

/// `1 run`, `2 runs of history`.
fn runs_of(count: usize, what: &str) -> String {
    let plural = if count == 1 { "run" } else { "runs" };
    format!("{count} {plural} {what}")
}

/// An exact measure needs no statistics, and no least number of runs: a value beyond all of the level, and beyond the
/// threshold or up from zero, is what the code does. `None` without a value on either side, or where the runs of the
/// commit differ so that one of them lies within.
fn by_count(measured: &Levelled<'_>) -> Option<(VerdictKind, f64, String)> {
    let Levelled { past, ratio, .. } = *measured;
    let level = measured.level.values(past.direction, past.threshold.percent);
    let (before, after) = (median(&level)?, median(past.runs)?);
    let all = |test: &dyn Fn(f64, f64) -> bool| {
        past.runs
            .iter()
            .all(|run| level.iter().all(|before| test(*before, *run)))
    };
    let limit = past.threshold.ratio();
    let change = ratio.map_or_else(|| format!("from {before} to {after}"), signed_percent);
    let told = format!("{change} against the history's median; the measure is exact");
    if all(&|before, run| past.direction.is_worse(before, run)) {
        // Without a ratio one of the two is zero: any change is larger than any percentage.
        return ratio
            .is_none_or(|ratio| ratio > limit)
            .then_some((VerdictKind::Regression, 1.0, told.clone()))
            .or_else(|| {
                Some((
                    VerdictKind::Unchanged,
                    1.0,
                    format!("{change}, within the threshold; the measure is exact"),
                ))
            });
    }
    if all(&|before, run| past.direction.is_worse(run, before))
        && ratio.is_none_or(|ratio| ratio < 1.0 / limit)
    {
        return Some((VerdictKind::Improvement, 1.0, told));
    }
    let within = all(&|before, run| before == run) || past.runs.len() == 1;
    within.then(|| {
        (
            VerdictKind::Unchanged,
            1.0,
            format!("{change}, within the history's range or the threshold; the measure is exact"),
        )
    })
}

/// The gate the other way round: a run that stays faster than the history.
fn improvement_or_not(
    measured: &Levelled<'_>,
    walked: &Levelled<'_>,
    (ratio, own, machine): (f64, f64, f64),
    settings: &GateSettings,
) -> (VerdictKind, f64, String) {
    let past = measured.past;
    let opposite = match past.direction {
        Direction::SmallerIsBetter => Direction::BiggerIsBetter,
        Direction::BiggerIsBetter => Direction::SmallerIsBetter,
    };
    let change = measured.change_told(ratio);
    // What the machine did is never the code's: both the value as it is and what is left of it have to be faster. A rate's
    // machine factor is the inverse of a time's.
    let fast_enough = own.max(ratio) < 1.0 / past.threshold.ratio();
    let confirmed = |walk: Walk| walk.state == GateState::Confirmed;
    if fast_enough
        && walked
            .walk(opposite, 1.0 / machine, settings)
            .is_some_and(confirmed)
    {
        let reason = format!("{change} against the history's median, beyond all of it in every run");
        return (VerdictKind::Improvement, 0.95, reason);
    }
    let reason = if ratio > past.threshold.ratio() && own < past.threshold.ratio() {
        let own = signed_percent(own);
        format!(
            "{change} against the history's median, {own} against the other benchmarks of the runs: within the noise that all of them share"
        )
    } else {
        format!("{change} against the history's median, within its range or threshold")
    };
    (VerdictKind::Unchanged, 0.9, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::{BenchmarkId, Measure};

    fn past<'a>(name: &str, history: &'a [f64], runs: &'a [f64]) -> PastRuns<'a> {
        PastRuns {
            key: SeriesKey {
                benchmark: BenchmarkId::new(name).unwrap(),
                measure: Measure::LATENCY,
            },
            direction: Direction::SmallerIsBetter,
            history,
            runs,
            told: None,
            comparable: true,
            threshold: Threshold::default(),
        }
    }

    fn history() -> Vec<f64> {
        (0..30).map(|i| 100.0 + f64::from(i * 7 % 10)).collect()
    }

    #[test]
    fn a_regression_is_confirmed_and_an_outlier_is_not() {
        let (history, settings) = (history(), GateSettings::default());
        let pasts = [
            past("slow", &history, &[125.0, 126.0]),
            past("unlucky", &history, &[125.0, 104.0]),
            past("once", &history, &[125.0]),
            past("fast", &history, &[80.0, 81.0]),
            past("new", &history[..2], &[100.0]),
        ];
        let run = judge_history(&pasts, &settings);
        let kinds: Vec<VerdictKind> = run.verdicts.iter().map(|verdict| verdict.kind).collect();
        use VerdictKind::{Improvement, NotEnoughData, Regression, Suspected, Unchanged};
        assert_eq!(
            kinds,
            [Regression, Unchanged, Suspected, Improvement, NotEnoughData]
        );
        assert!(run.verdicts[0].confidence > 0.99 && run.verdicts[2].reason.contains("suspected"));
        assert_eq!(run.verdicts[4].confidence, 0.0, "no data has no confidence");
    }

    fn fleet<'a>(names: &'a [String], history: &'a [f64], runs: &'a [f64]) -> Vec<PastRuns<'a>> {
        names.iter().map(|name| past(name, history, runs)).collect()
    }

    fn ten() -> Vec<String> {
        (0..10).map(|i| format!("b{i}")).collect()
    }

    fn latency_of(name: &str, factor: f64) -> BTreeMap<Measure, Evidence> {
        let name = name.to_owned();
        BTreeMap::from([(Measure::LATENCY, Evidence::OtherRepository { name, factor })])
    }

    #[test]
    fn a_suite_twice_as_slow_is_a_regression_unless_something_shows_that_it_was_the_machine() {
        let (history, names, settings) = (history(), ten(), GateSettings::default());
        let pasts = fleet(&names, &history, &[209.0, 210.0]);
        let alone = judge_history(&pasts, &settings);
        assert_eq!(alone.count_verdicts(VerdictKind::Regression), 10);
        assert!(
            alone.shifts[0].evidence.is_none() && alone.shifts[0].to_string().contains("taken for the code")
        );

        let seen = judge_history_with(&pasts, &settings, &latency_of("octo/other", 2.0));
        assert_eq!(seen.count_verdicts(VerdictKind::EnvironmentChanged), 10);
        assert!(
            seen.shifts[0]
                .to_string()
                .contains("octo/other moved by +100.0 %"),
            "{}",
            seen.shifts[0]
        );
        let less = judge_history_with(&pasts, &settings, &latency_of("octo/other", 1.2));
        assert_eq!(
            less.count_verdicts(VerdictKind::Regression),
            10,
            "the machine explains a part"
        );
    }

    #[test]
    fn control_benchmarks_show_what_the_machine_did() {
        let (history, names, settings) = (history(), ten(), GateSettings::default());
        let mut pasts = fleet(&names, &history, &[130.0, 131.0]);
        pasts.push(past("really", &history, &[190.0, 191.0]));
        pasts.push(past("same", &history, &[104.0, 105.0]));
        let mut control = past("control/spin", &history, &[130.0, 131.0]);
        control.threshold.control = true;
        pasts.push(control);
        let run = judge_history(&pasts, &settings);
        assert_eq!(run.count_verdicts(VerdictKind::EnvironmentChanged), 11);
        assert_eq!(run.verdicts[10].kind, VerdictKind::Regression);
        assert_eq!(
            run.verdicts[11].kind,
            VerdictKind::Unchanged,
            "never an improvement: {:?}",
            run.verdicts[11]
        );

        pasts[12].runs = &[104.0, 104.0];
        let calm = judge_history_with(&pasts, &settings, &latency_of("octo/other", 1.25));
        assert_eq!(
            calm.count_verdicts(VerdictKind::Regression),
            11,
            "the control did not move"
        );
    }

    #[test]
    fn counts_are_not_the_machine() {
        let (history, names) = (history(), ten());
        let seven = [7.0; 12];
        let mut pasts = fleet(&names, &history, &[104.0]);
        let mut counts: Vec<PastRuns<'_>> = fleet(&names, &seven, &[14.0]);
        counts
            .iter_mut()
            .for_each(|past| past.key.measure = Measure::ALLOCATIONS);
        pasts.append(&mut counts);
        let run = judge_history_with(&pasts, &GateSettings::default(), &latency_of("octo/other", 2.0));
        assert_eq!(
            run.count_verdicts(VerdictKind::Regression),
            10,
            "at once, and all of them"
        );
        assert_eq!(run.count_verdicts(VerdictKind::Unchanged), 10);
        assert!(run.shifts.is_empty(), "{:?}", run.shifts);
    }

    #[test]
    fn counts_from_zero_and_with_little_history_are_judged() {
        let of = |history: &[f64], runs: &[f64]| {
            let mut past = past("b", history, runs);
            past.key.measure = Measure::ALLOCATIONS;
            judge_history(&[past], &GateSettings::default())
                .verdicts
                .remove(0)
        };
        let risen = of(&[0.0; 12], &[3.0]);
        assert_eq!((risen.kind, risen.percent), (VerdictKind::Regression, None));
        assert!(risen.reason.contains("from 0 to 3"), "{}", risen.reason);
        assert_eq!(of(&[3.0; 12], &[0.0]).kind, VerdictKind::Improvement);
        assert_eq!(of(&[0.0], &[0.0]).kind, VerdictKind::Unchanged);
        assert_eq!(of(&[100.0], &[120.0]).kind, VerdictKind::Regression);
        assert_eq!(
            of(&[100.0, 100.0], &[103.0]).kind,
            VerdictKind::Unchanged,
            "below the threshold"
        );
        assert_eq!(of(&[], &[3.0]).kind, VerdictKind::NotEnoughData);
    }

    #[test]
    fn ten_times_as_slow_needs_no_second_run() {
        let history = history();
        let kind = |runs: &[f64]| {
            judge_history(&[past("b", &history, runs)], &GateSettings::default()).verdicts[0].kind
        };
        assert_eq!(kind(&[1040.0]), VerdictKind::Regression);
        assert_eq!(
            kind(&[1040.0, 104.0]),
            VerdictKind::Unchanged,
            "the second run clears it"
        );
        assert_eq!(kind(&[120.0]), VerdictKind::Suspected);
    }

    #[test]
    fn an_absolute_limit_and_another_environment() {
        let history = history();
        let limit = Threshold {
            limit: Some(103.0),
            ..Threshold::default()
        };
        let over = PastRuns {
            threshold: limit,
            ..past("over", &history, &[104.0])
        };
        let elsewhere = PastRuns {
            comparable: false,
            ..past("elsewhere", &history, &[150.0, 150.0])
        };
        let run = judge_history(&[over, elsewhere], &GateSettings::default());
        assert_eq!(run.verdicts[0].kind, VerdictKind::Regression);
        assert_eq!(run.verdicts[1].kind, VerdictKind::EnvironmentChanged);
    }
}
