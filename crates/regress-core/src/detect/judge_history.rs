//! Judging a run against the history of each benchmark: the mode of `benchgate check`.
//!
//! Each benchmark passes its [`Gate`]; a measure that is counted (see [`Measure::is_exact`]) is compared as it is. When
//! most benchmarks of a measure move at once, that is told as a [`SuiteShift`]. It is the machine's doing only if
//! something from outside says so: control benchmarks, a commit that was measured before and again, another branch or repository in the same
//! environment. Then a benchmark is
//! judged by what is left after the machine's factor, and where that is within the threshold the verdict is "environment
//! changed". Without evidence every one of them is judged as it is.

use std::collections::BTreeMap;

use super::common_noise::{RunPlaces, own_values};
use super::gate::{Gate, GateSettings, GateState, current_level};
use super::machine_shift::{Evidence, SuiteShift, common_factor, evidence_from_controls};
use super::threshold::Threshold;
use super::verdict::{RunVerdict, Verdict, VerdictKind};
use crate::measurement::{Direction, Measure, SeriesKey};
use crate::stats::{benjamini_hochberg, cliffs_delta, mann_whitney, median, normalised_difference};

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
    let enabled: Vec<&PastRuns<'_>> = pasts.iter().filter(|past| past.threshold.enabled).collect();
    let unknown = RunPlaces::default();
    let places = pasts
        .iter()
        .enumerate()
        .filter(|(_, past)| past.threshold.enabled)
        .map(|(index, _)| places.get(index).unwrap_or(&unknown));
    let own = own_values(&enabled, &places.collect::<Vec<_>>(), settings);
    let shifts = suite_shifts(&enabled, outside);
    let p_values: Vec<Option<f64>> = enabled
        .iter()
        .map(|past| {
            if past.comparable {
                Some(mann_whitney(past.history, past.runs)?.p)
            } else {
                None
            }
        })
        .collect();
    let mut q_values =
        benjamini_hochberg(&p_values.iter().flatten().copied().collect::<Vec<_>>()).into_iter();
    let verdicts = enabled.iter().zip(&p_values).zip(&own).map(|((past, p), own)| {
        let evidence = shifts
            .iter()
            .find(|shift| shift.measure == past.key.measure && !past.key.measure.is_exact())
            .and_then(|shift| shift.evidence.as_ref());
        let ratio = cost_ratio(past);
        let own = own.as_ref().map(|own| PastRuns {
            history: &own.history,
            runs: &own.runs,
            ..(*past).clone()
        });
        let (kind, confidence, reason) = conclude(past, own.as_ref(), ratio, evidence, settings);
        Verdict {
            key: past.key.clone(),
            kind,
            before: before(past, settings),
            after: median(past.runs),
            runs: (past.history.len(), past.runs.len()),
            percent: ratio.map(|ratio| (ratio - 1.0) * 100.0),
            interval: None,
            p: *p,
            q: p.and_then(|_| q_values.next()),
            effect: cliffs_delta(past.history, past.runs),
            normalised_difference: normalised_difference(past.history, past.runs)
                .filter(|difference| difference.is_finite())
                .map(|difference| {
                    if past.direction == Direction::BiggerIsBetter {
                        -difference
                    } else {
                        difference
                    }
                }),
            threshold: past.threshold.percent,
            noisy: false,
            confidence,
            reason,
        }
    });
    let verdicts = verdicts.collect();
    RunVerdict::from_verdicts(verdicts, shifts)
}

/// The measures of which most benchmarks moved at once, and those of which control benchmarks say that the machine did.
fn suite_shifts(pasts: &[&PastRuns<'_>], outside: &BTreeMap<Measure, Evidence>) -> Vec<SuiteShift> {
    let mut ratios: BTreeMap<&Measure, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for past in pasts
        .iter()
        .filter(|past| past.comparable && !past.key.measure.is_exact())
    {
        let (judged, controls) = ratios.entry(&past.key.measure).or_default();
        let side = if past.threshold.control { controls } else { judged };
        side.extend(cost_ratio(past));
    }
    let shift = |(measure, (judged, controlled)): (&Measure, (Vec<f64>, Vec<f64>))| {
        let common = common_factor(&judged);
        let by_controls = evidence_from_controls(&controlled);
        let agrees = |evidence: &&Evidence| {
            common.is_some_and(|(factor, _)| (factor > 1.0) == (evidence.factor() > 1.0))
        };
        let evidence = match controlled.is_empty() {
            true => outside.get(measure).filter(agrees).cloned(),
            // Controls that stayed where they were outweigh what others saw.
            false => by_controls,
        };
        if common.is_none() && evidence.is_none() {
            return None;
        }
        let (factor, moved) = common.or_else(|| Some((median(&judged)?, 0)))?;
        Some(SuiteShift {
            measure: measure.clone(),
            factor,
            moved,
            of: judged.len(),
            evidence,
        })
    };
    ratios.into_iter().filter_map(shift).collect()
}

/// The values that stand for the level which the history is on.
fn level(past: &PastRuns<'_>, settings: &GateSettings) -> Vec<f64> {
    let finite: Vec<f64> = past
        .history
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    let recent = &finite[finite.len().saturating_sub(settings.history)..];
    current_level(
        recent,
        past.direction,
        past.threshold.percent,
        settings.least_level,
    )
}

fn before(past: &PastRuns<'_>, settings: &GateSettings) -> Option<f64> {
    median(&level(past, settings)).or_else(|| median(past.history))
}

fn cost_ratio(past: &PastRuns<'_>) -> Option<f64> {
    let (before, after) = (before(past, &GateSettings::default())?, median(past.runs)?);
    (before > 0.0 && after > 0.0).then(|| past.direction.cost_ratio(before, after))
}

/// Where the runs of a benchmark come out.
struct Walk {
    state: GateState,
    /// Whether every run is so far beyond that no confirmation is needed.
    far: bool,
}

/// Sends the runs, with the machine's factor taken out of their cost, through the gate.
fn walk(past: &PastRuns<'_>, machine: f64, settings: &GateSettings) -> Option<Walk> {
    let threshold = &past.threshold;
    let mut gate = Gate::new(
        past.history,
        past.direction,
        threshold.percent,
        threshold.least_runs,
        settings,
    )?;
    let mut far = !past.runs.is_empty();
    for value in past.runs {
        let value = match past.direction {
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

fn conclude(
    past: &PastRuns<'_>,
    own_values: Option<&PastRuns<'_>>,
    ratio: Option<f64>,
    evidence: Option<&Evidence>,
    settings: &GateSettings,
) -> (VerdictKind, f64, String) {
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
        && let Some(exact) = by_count(past, ratio, settings)
    {
        return exact;
    }
    let machine = evidence.map_or(1.0, Evidence::factor);
    // Evidence says more of the machine than what the benchmarks have in common.
    let own_values = own_values.filter(|_| evidence.is_none());
    let walked = own_values.unwrap_or(past);
    let (Some(ratio), Some(Walk { state, far })) = (ratio, walk(walked, machine, settings)) else {
        let reason = format!(
            "{} and {} to judge; {} of history with values above zero are needed",
            runs_of(past.history.len(), "of history"),
            runs_of(past.runs.len(), "").trim_end(),
            past.threshold.least_runs
        );
        return (VerdictKind::NotEnoughData, 0.0, reason);
    };
    let change = change_told(past, ratio, settings);
    let own = own_values.and_then(cost_ratio).unwrap_or(ratio / machine);
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
        _ => improvement_or_not(past, walked, (ratio, own, machine), settings),
    }
}

/// The change in words: that of the value that words tell of, or else of all runs.
fn change_told(past: &PastRuns<'_>, ratio: f64, settings: &GateSettings) -> String {
    let told = past
        .told
        .zip(before(past, settings))
        .filter(|(told, before)| *told > 0.0 && *before > 0.0);
    signed_percent(told.map_or(ratio, |(told, before)| past.direction.cost_ratio(before, told)))
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
fn by_count(
    past: &PastRuns<'_>,
    ratio: Option<f64>,
    settings: &GateSettings,
) -> Option<(VerdictKind, f64, String)> {
    let level = level(past, settings);
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
    past: &PastRuns<'_>,
    walked: &PastRuns<'_>,
    (ratio, own, machine): (f64, f64, f64),
    settings: &GateSettings,
) -> (VerdictKind, f64, String) {
    let opposite = match past.direction {
        Direction::SmallerIsBetter => Direction::BiggerIsBetter,
        Direction::BiggerIsBetter => Direction::SmallerIsBetter,
    };
    let change = change_told(past, ratio, settings);
    let mirrored = PastRuns {
        direction: opposite,
        ..walked.clone()
    };
    // What the machine did is never the code's: both the value as it is and what is left of it have to be faster. A rate's
    // machine factor is the inverse of a time's.
    let fast_enough = own.max(ratio) < 1.0 / past.threshold.ratio();
    let confirmed = |walk: Walk| walk.state == GateState::Confirmed;
    if fast_enough && walk(&mirrored, 1.0 / machine, settings).is_some_and(confirmed) {
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
