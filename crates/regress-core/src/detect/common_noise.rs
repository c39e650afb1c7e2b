//! What the benchmarks of a run have in common: a noisy neighbour or a slower machine makes all of them slower at once.
//!
//! Benchmarks that were measured in the same runs share what the machine did in each of them. The common movement of a run
//! is the median, over the benchmarks of a measure, of how far each lies from its own level. As long as it stays within what
//! it was in the history it is noise, and is taken out of every value: what is left varies far less, so that a gate of the
//! same strictness alarms less and finds more. Not all take part in it alike: one that waits for memory feels a busy
//! neighbour more than one that only counts, so of each benchmark as much is taken out as its history says.
//!
//! A common movement that leaves its history by half of it, either way, is no noise: it may be the code that all of them
//! share, and then every benchmark is judged as it was measured.

use std::collections::{BTreeMap, BTreeSet};

use super::gate::{Gate, GateSettings, GateState};
use super::judge_history::PastRuns;
use super::machine_shift::MIN_SERIES;
use crate::measurement::Direction;
use crate::stats::median;

/// A common movement by less than this many percent is none, however quiet the history was.
const LEAST_PERCENT: f64 = 1.0;
/// A common movement is noise up to this many times the largest of the history: thirty runs have not seen the worst that
/// the machine does, and a movement beyond it alarms in every benchmark at once.
const MARGIN: f64 = 1.5;
/// How much counts, against what its history says of a benchmark's share, that benchmarks move alike.
const PRIOR_OF_ONE: f64 = 1.0;
/// The largest share.
const MOST: f64 = 1.5;
/// Deviations beyond this many median ones count as that many: an outlier must not make the share.
const CLIPPED: f64 = 3.0;

/// Where the values of one benchmark stand among the runs of the suite: equal numbers are the same run, larger ones later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunPlaces {
    /// Of each value of the history.
    pub history: Vec<usize>,
    /// Of each run that is judged.
    pub runs: Vec<usize>,
}

/// The values of a benchmark without what they share with the others.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OwnValues {
    pub(super) history: Vec<f64>,
    pub(super) runs: Vec<f64>,
}

/// By how much each run lies from the levels of its benchmarks, as the logarithm of a ratio of costs.
pub(super) type Movement = BTreeMap<usize, f64>;

impl RunPlaces {
    /// Whether they say of each value of a benchmark of which run it is, and it is one whose runs have something in common.
    pub(super) fn fit(&self, past: &PastRuns<'_>) -> bool {
        past.comparable
            && !past.key.measure.is_exact()
            && self.history.len() == past.history.len()
            && self.runs.len() == past.runs.len()
    }
}

/// The values of a benchmark without its part in the movement; `None` where one of its runs is not known to have one.
pub(super) fn own_values(
    past: &PastRuns<'_>,
    places: &RunPlaces,
    movement: &Movement,
    settings: &GateSettings,
) -> Option<OwnValues> {
    if !places.fit(past) || !places.runs.iter().all(|run| movement.contains_key(run)) {
        return None;
    }
    let share = share_of_movement(past, places, movement, settings);
    let without = |values, places| without(values, places, past.direction, movement, share);
    Some(OwnValues {
        history: without(past.history, &places.history),
        runs: without(past.runs, &places.runs),
    })
}

/// How much of the common movement a benchmark takes part in, in 0..=[`MOST`]: the slope of its history over the movement,
/// drawn towards one.
fn share_of_movement(
    past: &PastRuns<'_>,
    places: &RunPlaces,
    movement: &Movement,
    settings: &GateSettings,
) -> f64 {
    let recent = past.history.len().saturating_sub(settings.history);
    let values = past.history[recent..].iter().zip(&places.history[recent..]);
    let (common, costs): (Vec<f64>, Vec<f64>) = values
        .filter_map(|(value, place)| Some((*movement.get(place)?, log_cost(*value, past.direction))))
        .filter(|(_, cost)| cost.is_finite())
        .unzip();
    let (Some(middle), Some(level)) = (median(&common), median(&costs)) else {
        return 1.0;
    };
    let deviations: Vec<f64> = costs.iter().map(|cost| cost - level).collect();
    let sizes: Vec<f64> = deviations.iter().map(|deviation| deviation.abs()).collect();
    let most = CLIPPED * median(&sizes).unwrap_or(0.0);
    let (mut together, mut alone) = (0.0, 0.0);
    for (common, deviation) in common.iter().zip(&deviations) {
        together += (common - middle) * deviation.clamp(-most, most);
        alone += (common - middle).powi(2);
    }
    let share = (together + PRIOR_OF_ONE * alone) / ((1.0 + PRIOR_OF_ONE) * alone);
    if share.is_finite() {
        share.clamp(0.0, MOST)
    } else {
        1.0
    }
}

/// The logarithm of what a value costs.
fn log_cost(value: f64, way: Direction) -> f64 {
    match way {
        Direction::SmallerIsBetter => value.ln(),
        Direction::BiggerIsBetter => -value.ln(),
    }
}

fn without(values: &[f64], places: &[usize], way: Direction, movement: &Movement, share: f64) -> Vec<f64> {
    let one = |(value, place): (&f64, &usize)| {
        let factor = movement
            .get(place)
            .map_or(1.0, |logarithm| (share * logarithm).exp());
        match way {
            Direction::SmallerIsBetter => value / factor,
            Direction::BiggerIsBetter => value * factor,
        }
    };
    values.iter().zip(places).map(one).collect()
}

/// What the benchmarks of one measure say of the movement of their runs, gathered one benchmark after the other.
#[derive(Debug, Default)]
pub(super) struct CommonMovement {
    /// How far the benchmarks of each run lie from their levels.
    deviations: BTreeMap<usize, Vec<f64>>,
    history: BTreeSet<usize>,
    judged: BTreeSet<usize>,
    /// The runs of history that the most demanding benchmark wants.
    least_runs: usize,
}

impl CommonMovement {
    pub(super) fn add_series(&mut self, past: &PastRuns<'_>, places: &RunPlaces, settings: &GateSettings) {
        self.history.extend(&places.history);
        self.judged.extend(&places.runs);
        self.least_runs = self.least_runs.max(past.threshold.least_runs);
        let cost = |value: &f64| log_cost(*value, past.direction);
        let recent = past.history.len().saturating_sub(settings.history);
        let costs: Vec<f64> = past.history[recent..].iter().map(cost).collect();
        let Some(level) = median(&costs).filter(|level| level.is_finite()) else {
            return;
        };
        let values = past.history[recent..].iter().zip(&places.history[recent..]);
        for (value, place) in values.chain(past.runs.iter().zip(&places.runs)) {
            let deviation = cost(value) - level;
            if deviation.is_finite() {
                self.deviations.entry(*place).or_default().push(deviation);
            }
        }
    }

    /// The movement of each run; `None` when too few benchmarks tell of it, or when the judged runs moved by more than those
    /// of the history did.
    pub(super) fn noise(mut self, settings: &GateSettings) -> Option<Movement> {
        let deviations = std::mem::take(&mut self.deviations).into_iter();
        let movement: Movement = deviations
            .filter(|(_, all)| all.len() >= MIN_SERIES)
            .filter_map(|(place, all)| Some((place, median(&all)?)))
            .collect();
        self.is_noise(&movement, settings).then_some(movement)
    }

    /// Whether the judged runs moved, together, not much further than runs of the history did: see [`MARGIN`].
    fn is_noise(&self, movement: &Movement, settings: &GateSettings) -> bool {
        // What confirms a suspicion about one benchmark may be history for the others.
        let judged: BTreeSet<usize> = &self.judged - &self.history;
        let factor = |place: &usize| movement.get(place).map(|logarithm| logarithm.exp());
        let past: Vec<f64> = movement
            .iter()
            .filter(|(place, _)| !judged.contains(place))
            .map(|(_, logarithm)| logarithm.exp())
            .collect();
        let now: Vec<f64> = judged.iter().filter_map(factor).collect();
        let stays_within = |way: Direction| {
            let Some(gate) = Gate::new(&past, way, LEAST_PERCENT, self.least_runs.max(1), settings) else {
                return false;
            };
            let mut gate = gate.widened(MARGIN);
            for value in &now {
                gate.observe_value(*value);
            }
            gate.state() == GateState::Cleared
        };
        stays_within(Direction::SmallerIsBetter) && stays_within(Direction::BiggerIsBetter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Threshold, VerdictKind, judge_history_aligned};
    use crate::measurement::{BenchmarkId, Measure, SeriesKey};
    use crate::stats::rng::Rng;

    const SERIES: usize = 8;
    const RUNS: usize = 30;

    /// Benchmarks that a machine's noise of 10 % moves together, with 1 % of their own; `change` is applied to the value of
    /// each in the last two runs, which are judged.
    fn suite(seed: u64, noise_at_end: f64, change: impl Fn(usize, f64) -> f64) -> Vec<(Vec<f64>, Vec<f64>)> {
        let mut rng = Rng::new(seed);
        let mut machine: Vec<f64> = (0..RUNS).map(|_| 0.1 * rng.next_normal()).collect();
        machine.extend([noise_at_end; 2]);
        (0..SERIES)
            .map(|series| {
                let level = 1000.0 * (series + 1) as f64;
                let values: Vec<f64> = machine
                    .iter()
                    .map(|noise| level * (noise + 0.01 * rng.next_normal()).exp())
                    .collect();
                let runs = values[RUNS..]
                    .iter()
                    .map(|value| change(series, *value))
                    .collect();
                (values[..RUNS].to_vec(), runs)
            })
            .collect()
    }

    fn judge(suite: &[(Vec<f64>, Vec<f64>)], aligned: bool) -> Vec<VerdictKind> {
        let pasts: Vec<PastRuns<'_>> = suite
            .iter()
            .enumerate()
            .map(|(index, (history, runs))| PastRuns {
                key: SeriesKey {
                    benchmark: BenchmarkId::new(&format!("b{index}")).unwrap(),
                    measure: Measure::LATENCY,
                },
                direction: Direction::SmallerIsBetter,
                history,
                runs,
                told: None,
                comparable: true,
                threshold: Threshold::default(),
            })
            .collect();
        let places = RunPlaces {
            history: (0..RUNS).collect(),
            runs: vec![RUNS, RUNS + 1],
        };
        let places = if aligned {
            vec![places; suite.len()]
        } else {
            Vec::new()
        };
        let judged = judge_history_aligned(&pasts, &places, &GateSettings::default(), &BTreeMap::new());
        judged.verdicts.iter().map(|verdict| verdict.kind).collect()
    }

    #[test]
    fn a_change_within_the_noise_of_the_machine_is_seen() {
        let (mut found, mut without) = (0, 0);
        for seed in 0..20 {
            let suite = suite(
                seed,
                0.03,
                |series, value| if series == 2 { value * 1.15 } else { value },
            );
            let kinds = judge(&suite, true);
            found += usize::from(kinds[2] == VerdictKind::Regression);
            without += usize::from(judge(&suite, false)[2] == VerdictKind::Regression);
            let others = kinds.iter().enumerate().filter(|(index, _)| *index != 2);
            assert!(
                others.clone().all(|(_, kind)| *kind == VerdictKind::Unchanged),
                "{seed}: {kinds:?}"
            );
        }
        assert!(found >= 18, "{found} of 20");
        assert!(without <= found / 2, "without the others {without}");
    }

    #[test]
    fn a_suite_that_became_slower_as_a_whole_is_judged_as_it_was_measured() {
        for seed in 0..20 {
            let slow = judge(&suite(seed, 0.0, |_, value| value * 2.0), true);
            assert!(
                slow.iter().all(|kind| *kind == VerdictKind::Regression),
                "{seed}: {slow:?}"
            );
        }
    }

    #[test]
    fn what_did_not_gain_with_the_others_is_no_regression() {
        for seed in 0..20 {
            let suite = suite(
                seed,
                0.0,
                |series, value| if series == 2 { value } else { value / 1.2 },
            );
            let kinds = judge(&suite, true);
            assert_ne!(kinds[2], VerdictKind::Regression, "{seed}: {kinds:?}");
        }
    }

    #[test]
    fn noise_of_the_machine_is_no_change() {
        for seed in 0..20 {
            for noise in [-0.1, 0.1] {
                let kinds = judge(&suite(seed, noise, |_, value| value), true);
                let calm = |kind: &VerdictKind| *kind == VerdictKind::Unchanged;
                assert!(
                    kinds.iter().filter(|kind| calm(kind)).count() >= SERIES - 1,
                    "{seed}: {kinds:?}"
                );
            }
        }
    }

    #[test]
    fn a_benchmark_that_the_machine_hardly_moves_keeps_its_values() {
        for seed in 0..20 {
            let mut rng = Rng::new(seed);
            let mut suite = suite(seed, 0.15, |_, value| value);
            // The last one has noise of its own, and of the machine's nothing.
            suite[SERIES - 1] = (
                (0..RUNS)
                    .map(|_| 1000.0 * (0.01 * rng.next_normal()).exp())
                    .collect(),
                vec![1300.0; 2],
            );
            let kinds = judge(&suite, true);
            assert_eq!(kinds[SERIES - 1], VerdictKind::Regression, "{seed}: {kinds:?}");
        }
    }

    #[test]
    fn few_benchmarks_tell_nothing_of_the_machine() {
        let all = suite(1, 0.0, |_, value| value);
        let few: Vec<_> = all.into_iter().take(MIN_SERIES - 1).collect();
        assert_eq!(judge(&few, true), judge(&few, false));
    }
}
