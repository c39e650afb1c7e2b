//! The gate of one run against the last 30, with one confirming run.
//!
//! At every point of a series that has 30 points before it and one after, the point is taken as the run and the next one
//! as its confirmation. A false alarm is a regression reported on the values as they are; detection is the share of the
//! same places reported when both values are multiplied by 1.20 or 1.50.
//!
//! "recorded" takes whole series, in which code and machine did change: alarms there may be right. "unchanged stretches"
//! takes, of every series, the stretches of at least 40 points between the change points that the kernel detector by the
//! book finds. "without confirmation" shows what the confirming run is worth.

use regress_core::detect::{Gate, GateSettings, GateState, kernel::by_the_book};
use regress_core::measurement::Direction;
use serde_json::{Value, json};

use crate::{change_points::round_to_decimals, data::Source};

const HISTORY: usize = 30;
const STRETCH: usize = 40;
const PERCENT: f64 = 5.0;

pub(crate) fn evaluate_gate(source: &Source) -> Vec<Value> {
    let recorded: Vec<&[f64]> = source.series().map(|series| series.values.as_slice()).collect();
    let stretches: Vec<&[f64]> = recorded
        .iter()
        .flat_map(|values| find_stable_stretches(values))
        .collect();
    let confirmed = GateSettings::default();
    let single = GateSettings {
        confirmations: 0,
        ..confirmed
    };
    let strict = GateSettings {
        allowed_above: 0,
        ..confirmed
    };
    let rows = [
        ("recorded", "one confirmation", &recorded, confirmed),
        ("unchanged stretches", "one confirmation", &stretches, confirmed),
        (
            "recorded",
            "one confirmation, above all of the history",
            &recorded,
            strict,
        ),
        (
            "unchanged stretches",
            "one confirmation, above all of the history",
            &stretches,
            strict,
        ),
        ("unchanged stretches", "without confirmation", &stretches, single),
    ];
    rows.iter()
        .filter_map(|(points, gate, series, settings)| row(points, gate, series, settings))
        .collect()
}

/// The stretches between change points that are long enough.
pub(crate) fn find_stable_stretches(values: &[f64]) -> Vec<&[f64]> {
    let starts = by_the_book(values);
    let ends = starts.iter().copied().chain([values.len()]);
    let ranges = std::iter::once(0).chain(starts.iter().copied()).zip(ends);
    ranges
        .filter(|(from, to)| to - from >= STRETCH)
        .map(|(from, to)| &values[from..to])
        .collect()
}

fn row(points: &str, gate: &str, series: &[&[f64]], settings: &GateSettings) -> Option<Value> {
    let (mut places, mut reported) = (0_usize, [0_usize; 3]);
    for values in series {
        for window in values.windows(HISTORY + 2) {
            let (history, runs) = window.split_at(HISTORY);
            let gate = Gate::new(history, Direction::SmallerIsBetter, PERCENT, HISTORY, settings)?;
            places += 1;
            for (count, factor) in reported.iter_mut().zip([1.0, 1.2, 1.5]) {
                let mut gate = gate.clone();
                for run in runs {
                    gate.observe_value(run * factor);
                }
                *count += usize::from(gate.state() == GateState::Confirmed);
            }
        }
    }
    let percent = |count: usize| round_to_decimals(count as f64 / places as f64 * 100.0, 2);
    (places > 0).then(|| {
        json!({
            "points": points, "gate": gate, "places": places, "false_alarms_percent": percent(reported[0]),
            "detected_percent": { "20": percent(reported[1]), "50": percent(reported[2]) },
        })
    })
}
