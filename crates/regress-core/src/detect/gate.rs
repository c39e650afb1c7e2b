//! The gate of a single run against its history, with confirming runs.
//!
//! A value passes unless it lies above (nearly) all of the last runs and above the threshold; a suspicion is reported
//! only if another run of the same commit repeats it. If run, confirmation and 30 runs of history are exchangeable, the
//! run is among the two highest with the history and the confirmation above it all with probability
//! 3 / (31 * 32) = 0.3 %, whatever the noise looks like. The history ends at the last change point, so that an older,
//! slower level does not hide a regression, provided that 15 runs remain.

use super::change_points::{ChangePointSettings, change_points};
use super::rolling::Limit;
use crate::measurement::Direction;
use crate::stats::median;

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
    first: f64,
    confirming: f64,
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
        let finite: Vec<f64> = history
            .iter()
            .copied()
            .filter(|value| value.is_finite())
            .collect();
        let recent = &finite[finite.len().saturating_sub(settings.history)..];
        if recent.len() < least_runs.max(1) {
            return None;
        }
        let level = current_level(recent, settings.least_level);
        let centre = median(level).filter(|centre| *centre > 0.0)?;
        let ratio = 1.0 + percent / 100.0;
        let (sign, least) = match direction {
            Direction::SmallerIsBetter => (1.0, centre * ratio),
            Direction::BiggerIsBetter => (-1.0, -centre / ratio),
        };
        let costs: Vec<f64> = level.iter().map(|value| sign * value).collect();
        let full = costs.len() >= settings.history;
        let place = 1 + if full { settings.allowed_above } else { 0 };
        let limits = Limits {
            first: Limit::Highest(place).above(&costs)?.max(least),
            confirming: Limit::Highest(1).above(&costs)?.max(least),
            sign,
        };
        Some(Self {
            limits,
            needed: settings.confirmations,
            state: GateState::Waiting,
        })
    }

    /// Where the benchmark stands.
    #[must_use]
    pub fn state(&self) -> GateState {
        self.state
    }

    /// The value beyond which the next run counts against the commit, in the benchmark's unit.
    #[must_use]
    pub fn limit(&self) -> f64 {
        let first = self.state == GateState::Waiting;
        self.limits.sign
            * if first {
                self.limits.first
            } else {
                self.limits.confirming
            }
    }

    /// Takes the next run of the commit. A decided gate stays decided; a value that is not finite says nothing.
    pub fn observe(&mut self, value: f64) -> GateState {
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

/// The history since its last change point, if enough of it remains.
fn current_level(history: &[f64], least: usize) -> &[f64] {
    let points = change_points(history, &ChangePointSettings::default());
    match points.last() {
        Some(point) if history.len() - point.index >= least => &history[point.index..],
        _ => history,
    }
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
        assert_eq!(slow.observe(130.0), GateState::Suspected { needed: 1 });
        assert_eq!(slow.observe(f64::NAN), GateState::Suspected { needed: 1 });
        assert_eq!(slow.observe(129.0), GateState::Confirmed);
        assert_eq!(slow.observe(50.0), GateState::Confirmed);

        let mut unlucky = gate(&history(), Direction::SmallerIsBetter);
        unlucky.observe(130.0);
        assert_eq!(unlucky.observe(105.0), GateState::Cleared);
        assert_eq!(
            gate(&history(), Direction::SmallerIsBetter).observe(105.0),
            GateState::Cleared
        );
    }

    #[test]
    fn a_rate_fails_downward() {
        let mut gate = gate(&history(), Direction::BiggerIsBetter);
        assert!(gate.limit() < 100.0);
        assert_eq!(gate.observe(80.0), GateState::Suspected { needed: 1 });
        assert_eq!(gate.observe(79.0), GateState::Confirmed);
    }

    #[test]
    fn an_older_slower_level_hides_nothing() {
        let mut values = vec![
            150.0, 151.0, 152.0, 153.0, 151.0, 150.0, 152.0, 151.0, 150.0, 153.0,
        ];
        values.extend((0..20).map(|i| 100.0 + f64::from(i % 3)));
        let mut gate = gate(&values, Direction::SmallerIsBetter);
        assert!(gate.limit() < 110.0);
        gate.observe(120.0);
        assert_eq!(gate.observe(121.0), GateState::Confirmed);
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
