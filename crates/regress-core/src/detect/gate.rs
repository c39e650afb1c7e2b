//! The gate of a single run against its history, with confirming runs.
//!
//! A value passes unless it lies above (nearly) all of the last runs and above the threshold; a suspicion is reported
//! only if another run of the same commit repeats it. If run, confirmation and 30 runs of history are exchangeable, the
//! run is among the two highest with the history and the confirmation above it all with probability
//! 3 / (31 * 32) = 0.3 %, whatever the noise looks like. The history ends at the last change point, so that an older,
//! slower level does not hide a regression, provided that 15 runs remain. Of a younger level (two runs that are faster
//! than all before them, four that are slower) there are too few values for an order statistic: the older ones are moved
//! to it by the ratio of medians, and lend it their noise.
//!
//! A run needs no confirmation when it is far beyond: eight times the threshold above the median, above every value that
//! was ever seen, and above the highest of the level by more than the level's whole range.

use super::change_points::{ChangePointSettings, change_points};
use super::rolling::Limit;
use crate::measurement::Direction;
use crate::stats::median;

/// A run that lies this many thresholds beyond the median may be far beyond.
const FAR: f64 = 8.0;
/// Runs that are faster than all before them make a level of their own.
const MIN_FASTER: usize = 2;
/// Runs that are slower than all before them make a level of their own: later, for it hides regressions.
const MIN_SLOWER: usize = 4;
/// Runs that lie before a young level.
const MIN_BEFORE: usize = 4;

/// How the gate looks at the history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GateSettings {
    /// The last runs that count.
    pub history: usize,
    /// A change point is taken as the start of the history if this many runs follow it.
    pub least_level: usize,
    /// Confirming runs needed to report a regression.
    pub confirmations: usize,
    /// How many runs of a full history may lie above the first run; none may above a confirmation.
    pub allowed_above: usize,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            history: 30,
            least_level: 15,
            confirmations: 1,
            allowed_above: 1,
        }
    }
}

/// The history's limits for one benchmark, in costs: values as they are if smaller is better, else negated.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Limits {
    centre: f64,
    first: f64,
    confirming: f64,
    far: f64,
    sign: f64,
}

/// One benchmark's way through the gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    limits: Limits,
    needed: usize,
    state: GateState,
}

/// Where a benchmark stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateState {
    /// No run of the commit has been seen.
    Waiting,
    /// The first run is above its limit; this many confirmations are still to come.
    Suspected {
        /// Runs needed.
        needed: usize,
    },
    /// Every run was above its limit.
    Confirmed,
    /// A run was within its limit.
    Cleared,
}

impl Gate {
    /// A gate for a benchmark with this history, oldest run first; values that are not finite are passed over. `None`
    /// with fewer than `least_runs` runs, or without a percentage to apply (the median is not above zero).
    #[must_use]
    pub fn new(
        history: &[f64],
        direction: Direction,
        percent: f64,
        least_runs: usize,
        settings: &GateSettings,
    ) -> Option<Self> {
        Self::at_level(
            &Level::find(history, settings),
            direction,
            percent,
            least_runs,
            settings,
        )
    }

    /// The same with a level that was found before.
    pub(super) fn at_level(
        level: &Level,
        direction: Direction,
        percent: f64,
        least_runs: usize,
        settings: &GateSettings,
    ) -> Option<Self> {
        if level.recent().len() < least_runs.max(1) {
            return None;
        }
        let values = level.values(direction, percent);
        let centre = median(&values).filter(|centre| *centre > 0.0)?;
        let (sign, at) = match direction {
            Direction::SmallerIsBetter => (1.0, [percent, FAR * percent].map(|one| centre * ratio(one))),
            Direction::BiggerIsBetter => (-1.0, [percent, FAR * percent].map(|one| -centre / ratio(one))),
        };
        let [least, far] = at;
        let costs: Vec<f64> = values.iter().map(|value| sign * value).collect();
        let full = costs.len() >= settings.history;
        let place = 1 + if full { settings.allowed_above } else { 0 };
        let highest = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NEG_INFINITY, f64::max);
        let (top, bottom) = (
            highest(&mut costs.iter().copied()),
            -highest(&mut costs.iter().map(|cost| -cost)),
        );
        let ever = highest(&mut level.finite.iter().map(|value| sign * value));
        let limits = Limits {
            centre: sign * centre,
            far: far.max(ever).max(top + (top - bottom)),
            first: Limit::Highest(place).above_history(&costs)?.max(least),
            confirming: Limit::Highest(1).above_history(&costs)?.max(least),
            sign,
        };
        Some(Self {
            limits,
            needed: settings.confirmations,
            state: GateState::Waiting,
        })
    }

    /// Whether a value is so far beyond the history that no second run is needed to say so.
    #[must_use]
    pub fn is_far_beyond(&self, value: f64) -> bool {
        self.limits.sign * value > self.limits.far
    }

    /// The same gate with limits that lie `times` as far from the middle of the history.
    #[must_use]
    pub(super) fn widened(mut self, times: f64) -> Self {
        let Limits { centre, .. } = self.limits;
        let wider = |limit: f64| centre + times * (limit - centre);
        self.limits.first = wider(self.limits.first);
        self.limits.confirming = wider(self.limits.confirming);
        self
    }

    /// Where the benchmark stands.
    #[must_use]
    pub fn state(&self) -> GateState {
        self.state
    }

    /// The value beyond which the next run counts against the commit, in the benchmark's unit.
    #[must_use]
    pub fn next_limit(&self) -> f64 {
        let first = self.state == GateState::Waiting;
        self.limits.sign
            * if first {
                self.limits.first
            } else {
                self.limits.confirming
            }
    }

    /// Takes the next run of the commit. A decided gate stays decided; a value that is not finite says nothing.
    pub fn observe_value(&mut self, value: f64) -> GateState {
        if value.is_finite() {
            let cost = self.limits.sign * value;
            self.state = match self.state {
                GateState::Waiting if cost > self.limits.first => suspected(self.needed),
                GateState::Suspected { needed } if cost > self.limits.confirming => suspected(needed - 1),
                GateState::Waiting | GateState::Suspected { .. } => GateState::Cleared,
                decided => decided,
            };
        }
        self.state
    }
}

fn suspected(needed: usize) -> GateState {
    if needed == 0 {
        GateState::Confirmed
    } else {
        GateState::Suspected { needed }
    }
}

fn ratio(percent: f64) -> f64 {
    1.0 + percent / 100.0
}

/// The level that a history is on: where it begins is the one costly question of a judgement, and is asked once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Level {
    /// The whole history, without values that are not finite.
    finite: Vec<f64>,
    /// Where the last runs begin which count.
    recent: usize,
    /// Where among them the level begins: at the last change point, if enough of them follow it.
    since: usize,
}

impl Level {
    /// The level of this history, oldest run first.
    pub(super) fn find(history: &[f64], settings: &GateSettings) -> Self {
        let mut level = Self::beginning_at(history, 0, settings);
        let points = change_points(level.recent(), &ChangePointSettings::default());
        if let Some(point) = points.last()
            && level.recent().len() - point.index >= settings.least_level
        {
            level.since = point.index;
        }
        level
    }

    /// The level of this history where [`Self::since`] is known.
    pub(super) fn beginning_at(history: &[f64], since: usize, settings: &GateSettings) -> Self {
        let finite: Vec<f64> = history
            .iter()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        Self {
            recent: finite.len().saturating_sub(settings.history),
            finite,
            since,
        }
    }

    /// Where it begins among the last runs.
    pub(super) fn since(&self) -> usize {
        self.since
    }

    fn recent(&self) -> &[f64] {
        &self.finite[self.recent..]
    }

    /// The values that stand for the level: those since it began; and of these, when the newest are on another level by more
    /// than `percent`, all of them moved to that.
    pub(super) fn values(&self, direction: Direction, percent: f64) -> Vec<f64> {
        let recent = self.recent();
        let level = recent.get(self.since..).unwrap_or(recent);
        let Some(start) = young_level(level, direction, percent) else {
            return level.to_vec();
        };
        let (old, new) = level.split_at(start);
        let factor = match (median(old), median(new)) {
            (Some(old), Some(new)) if old > 0.0 && new > 0.0 => new / old,
            _ => return new.to_vec(),
        };
        let moved = old.iter().map(|value| value * factor);
        moved.chain(new.iter().copied()).collect()
    }
}

/// Where the newest values began to differ from all before them by more than `percent`; the longest such level.
fn young_level(history: &[f64], direction: Direction, percent: f64) -> Option<usize> {
    let starts = MIN_BEFORE..(history.len() + 1).saturating_sub(MIN_FASTER);
    starts.into_iter().find(|&start| {
        let (old, new) = history.split_at(start);
        let all =
            |test: &dyn Fn(f64, f64) -> bool| new.iter().all(|new| old.iter().all(|old| test(*old, *new)));
        let slower = all(&|old, new| direction.is_worse(old, new));
        if !(slower && new.len() >= MIN_SLOWER || all(&|old, new| direction.is_worse(new, old))) {
            return false;
        }
        match (median(old), median(new)) {
            (Some(old), Some(new)) if old > 0.0 && new > 0.0 => {
                let change = direction.cost_ratio(old, new);
                change > ratio(percent) || change < 1.0 / ratio(percent)
            }
            (old, new) => old != new,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> Vec<f64> {
        (0..30).map(|i| 100.0 + f64::from(i * 7 % 10)).collect()
    }

    fn gate(history: &[f64], direction: Direction) -> Gate {
        Gate::new(history, direction, 5.0, 5, &GateSettings::default()).unwrap()
    }

    #[test]
    fn a_suspicion_needs_a_confirmation() {
        let mut slow = gate(&history(), Direction::SmallerIsBetter);
        assert_eq!(slow.observe_value(130.0), GateState::Suspected { needed: 1 });
        assert_eq!(slow.observe_value(f64::NAN), GateState::Suspected { needed: 1 });
        assert_eq!(slow.observe_value(129.0), GateState::Confirmed);
        assert_eq!(slow.observe_value(50.0), GateState::Confirmed);

        let mut unlucky = gate(&history(), Direction::SmallerIsBetter);
        unlucky.observe_value(130.0);
        assert_eq!(unlucky.observe_value(105.0), GateState::Cleared);
        assert_eq!(
            gate(&history(), Direction::SmallerIsBetter).observe_value(105.0),
            GateState::Cleared
        );
    }

    #[test]
    fn a_rate_fails_downward() {
        let mut gate = gate(&history(), Direction::BiggerIsBetter);
        assert!(gate.next_limit() < 100.0);
        assert_eq!(gate.observe_value(80.0), GateState::Suspected { needed: 1 });
        assert_eq!(gate.observe_value(79.0), GateState::Confirmed);
    }

    #[test]
    fn an_older_slower_level_hides_nothing() {
        let mut values = vec![
            150.0, 151.0, 152.0, 153.0, 151.0, 150.0, 152.0, 151.0, 150.0, 153.0,
        ];
        values.extend((0..20).map(|i| 100.0 + f64::from(i % 3)));
        let mut gate = gate(&values, Direction::SmallerIsBetter);
        assert!(gate.next_limit() < 110.0);
        gate.observe_value(120.0);
        assert_eq!(gate.observe_value(121.0), GateState::Confirmed);
    }

    #[test]
    fn what_became_faster_is_held_from_the_second_run_on() {
        for runs in 2..15_i32 {
            let mut values: Vec<f64> = (0..30).map(|i| 1000.0 + f64::from(i * 7 % 10)).collect();
            values.extend((0..runs).map(|i| 700.0 + f64::from(i * 5 % 8)));
            let mut gate = gate(&values, Direction::SmallerIsBetter);
            assert!(gate.next_limit() < 740.0, "{runs}: {}", gate.next_limit());
            gate.observe_value(1000.0);
            assert_eq!(gate.observe_value(1003.0), GateState::Confirmed, "{runs}");
            assert!(!gate.is_far_beyond(1000.0), "it was seen before");
        }
    }

    #[test]
    fn only_what_lies_far_beyond_needs_no_second_run() {
        let gate = gate(&history(), Direction::SmallerIsBetter);
        assert!(gate.is_far_beyond(1000.0) && !gate.is_far_beyond(125.0) && !gate.is_far_beyond(100.0));
        let noisy: Vec<f64> = (0..30).map(|i| 100.0 + f64::from(i * 7 % 10) * 20.0).collect();
        let wide = Gate::new(
            &noisy,
            Direction::SmallerIsBetter,
            5.0,
            5,
            &GateSettings::default(),
        )
        .unwrap();
        assert!(!wide.is_far_beyond(400.0), "the history varies by as much");
    }

    #[test]
    fn too_little_history_gives_no_gate() {
        let settings = GateSettings::default();
        assert_eq!(
            Gate::new(&[1.0; 3], Direction::SmallerIsBetter, 5.0, 5, &settings),
            None
        );
        assert_eq!(
            Gate::new(&[0.0; 9], Direction::SmallerIsBetter, 5.0, 5, &settings),
            None
        );
        assert_eq!(
            Gate::new(&[f64::NAN; 9], Direction::SmallerIsBetter, 5.0, 5, &settings),
            None
        );
    }
}
