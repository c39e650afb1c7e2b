//! Change points in windows of real series with a step put in.
//!
//! For every seed, and of every series of at least 100 points, four windows of 100 consecutive points are drawn (start
//! uniform). The step is at a uniform place in 30..=70: that point and all after it are multiplied by 1.05, 1.10, 1.20 or
//! 1.50. In "shuffled" order the window was shuffled before the step went in, so that the noise is real and nothing else
//! changes; in "real" order the machine's own shifts are left in.
//!
//! A reported point within five of the step is a hit, at most one per window; every other reported point, a second one
//! near the step too, is false. A window without a hit is a miss. F1 = 2 hits / (2 hits + false + misses), pooled over the
//! windows of a seed; the table has the mean over the seeds. False alarms are counted in the same windows without a step,
//! per 100 points.
//!
//! "two steps" tells what F1 rewards but a user would not: a detector that goes blind next to a large step reports fewer
//! of the machine's shifts there. In shuffled windows +10 % goes in at 35, and in the second count +50 % at 65 too; the
//! percentage is that of windows in which a point within five of 35 is reported.
//!
//! "doubling" tells how soon and how exactly a large step is placed, in shuffled windows again: of 16 points with the
//! last 8 doubled, the share in which just that index is reported; and of 50 points followed by doubled ones, after how
//! many of those a point within one of 50 is reported, as the median and the 95th percentile over the windows.
//!
//! "machine removed" takes the machine's trend, estimated over all series of the file at the window's commits, out of
//! the window first. The other detectors are there to compare with.

use std::collections::HashMap;

use regress_core::detect::{
    ChangePointSettings, change_points,
    divisive::{DivisiveSettings, divisive_change_points},
    kernel::by_the_book,
    machine_shift::machine_trend,
};
use regress_core::stats::rng::Rng;
use serde_json::{Value, json};

use crate::{
    SEEDS,
    data::{Series, Source},
};

const WINDOW: usize = 100;
const WINDOWS: usize = 4;
const STEPS: [f64; 4] = [1.05, 1.10, 1.20, 1.50];
const REACH: usize = 5;

#[derive(Clone, Copy, PartialEq)]
enum Order {
    Shuffled,
    Real,
    MachineRemoved,
}

type Detector = fn(&[f64]) -> Vec<usize>;

fn ours(values: &[f64]) -> Vec<usize> {
    change_points(values, &ChangePointSettings::default())
        .iter()
        .map(|point| point.index)
        .collect()
}

fn e_divisive(values: &[f64]) -> Vec<usize> {
    divisive_change_points(values, &DivisiveSettings::default())
        .iter()
        .map(|point| point.index)
        .collect()
}

const ROWS: [(&str, Detector, &str, Order); 7] = [
    ("change_points", ours, "shuffled", Order::Shuffled),
    ("change_points", ours, "real", Order::Real),
    (
        "change_points",
        ours,
        "real, machine removed",
        Order::MachineRemoved,
    ),
    ("kernel by the book", by_the_book, "shuffled", Order::Shuffled),
    ("kernel by the book", by_the_book, "real", Order::Real),
    ("e-divisive, t test", e_divisive, "shuffled", Order::Shuffled),
    ("e-divisive, t test", e_divisive, "real", Order::Real),
];

pub(crate) fn evaluate_change_points(source: &Source) -> Vec<Value> {
    if source.series().all(|series| series.values.len() < WINDOW) {
        return Vec::new();
    }
    // Without commits nothing says which points of two series belong together.
    let aligned = source
        .series()
        .any(|series| series.commits.iter().any(|commit| !commit.is_empty()));
    ROWS.iter()
        .filter(|row| aligned || row.3 != Order::MachineRemoved)
        .map(|&(detector, detect, order_name, order)| row(source, detector, detect, order_name, order))
        .collect()
}

fn row(source: &Source, detector: &str, detect: Detector, order_name: &str, order: Order) -> Value {
    let (mut f1, mut alarms, mut windows) = ([0.0; STEPS.len()], 0, 0);
    for seed in SEEDS {
        let mut rng = Rng::new(seed);
        let mut scores = [Score::default(); STEPS.len()];
        for family in &source.families {
            for series in family.iter().filter(|series| series.values.len() >= WINDOW) {
                for _ in 0..WINDOWS {
                    let window = Window::draw(series, order, &mut rng);
                    windows += 1;
                    alarms += detect(&window.prepared(1.0, family)).len();
                    for (score, step) in scores.iter_mut().zip(STEPS) {
                        score.add(&detect(&window.prepared(step, family)), window.step_at);
                    }
                }
            }
        }
        for (sum, score) in f1.iter_mut().zip(scores) {
            *sum += score.f1() / SEEDS.count() as f64;
        }
    }
    let f1: serde_json::Map<String, Value> = STEPS
        .iter()
        .zip(f1)
        .map(|(step, f1)| {
            (
                format!("{:.0}", (step - 1.0) * 100.0),
                json!(round_to_decimals(f1, 3)),
            )
        })
        .collect();
    let per_100 = alarms as f64 / windows as f64 * 100.0 / WINDOW as f64;
    json!({ "detector": detector, "order": order_name, "windows": windows, "f1": f1, "false_alarms_per_100_points": round_to_decimals(per_100, 3) })
}

/// How often a step of 10 % is found, alone and with one of 50 % after it.
pub(crate) fn two_steps(source: &Source) -> Vec<Value> {
    const SMALL_AT: usize = 35;
    const LARGE_AT: usize = 65;
    let detectors: [(&str, Detector); 2] = [("change_points", ours), ("kernel by the book", by_the_book)];
    let count = |(detector, detect): (&str, Detector)| {
        let (mut windows, mut found) = (0_usize, [0_usize; 2]);
        for seed in SEEDS {
            let mut rng = Rng::new(seed);
            for series in source.series().filter(|series| series.values.len() >= WINDOW) {
                let mut values = Window::draw(series, Order::Shuffled, &mut rng).values;
                windows += 1;
                values[SMALL_AT..].iter_mut().for_each(|value| *value *= 1.1);
                for (found, large) in found.iter_mut().zip([1.0, 1.5]) {
                    values[LARGE_AT..].iter_mut().for_each(|value| *value *= large);
                    let hit = detect(&values)
                        .iter()
                        .any(|index| index.abs_diff(SMALL_AT) <= REACH);
                    *found += usize::from(hit);
                }
            }
        }
        let percent = |found: usize| round_to_decimals(found as f64 / windows as f64 * 100.0, 1);
        (windows > 0).then(|| {
            json!({
                "detector": detector, "windows": windows, "found_alone_percent": percent(found[0]),
                "found_beside_50_percent": percent(found[1]),
            })
        })
    };
    detectors.into_iter().filter_map(count).collect()
}

/// How exactly a doubling is placed, and how soon it is seen.
pub(crate) fn evaluate_doubling(source: &Source) -> Vec<Value> {
    let detectors: [(&str, Detector); 2] = [("change_points", ours), ("kernel by the book", by_the_book)];
    let measure = |(detector, detect): (&str, Detector)| {
        let (mut exact, mut delays) = (0_usize, Vec::new());
        for seed in SEEDS {
            let mut rng = Rng::new(seed);
            for series in source.series().filter(|series| series.values.len() >= WINDOW) {
                let values = Window::draw(series, Order::Shuffled, &mut rng).values;
                exact += usize::from(detect(&doubled(&values[..16], 8)) == [8]);
                delays.push(delay(&values, detect));
            }
        }
        delays.sort_unstable();
        let windows = delays.len();
        let at = |share: f64| delays.get((windows as f64 * share) as usize);
        Some(json!({
            "detector": detector, "windows": windows,
            "exact_of_16_percent": round_to_decimals(exact as f64 / windows as f64 * 100.0, 1),
            "seen_after_median": at(0.5)?, "seen_after_95th_percentile": at(0.95)?,
        }))
    };
    detectors.into_iter().filter_map(measure).collect()
}

fn doubled(values: &[f64], from: usize) -> Vec<f64> {
    let factor = |index: usize| if index < from { 1.0 } else { 2.0 };
    let values = values.iter().enumerate();
    values.map(|(index, value)| value * factor(index)).collect()
}

/// After how many doubled points the step is reported; one more than there are if it is not.
fn delay(values: &[f64], detect: Detector) -> usize {
    const AT: usize = 50;
    let seen = |count: &usize| {
        let found = detect(&doubled(&values[..AT + count], AT));
        found.iter().any(|index| index.abs_diff(AT) <= 1)
    };
    (1..=values.len() - AT)
        .find(seen)
        .unwrap_or(values.len() - AT + 1)
}

pub(crate) fn round_to_decimals(value: f64, digits: i32) -> f64 {
    (value * 10_f64.powi(digits)).round() / 10_f64.powi(digits)
}

struct Window<'a> {
    values: Vec<f64>,
    commits: &'a [String],
    step_at: usize,
    order: Order,
}

impl<'a> Window<'a> {
    fn draw(series: &'a Series, order: Order, rng: &mut Rng) -> Self {
        let start = rng.next_below(series.values.len() - WINDOW + 1);
        let mut values = series.values[start..start + WINDOW].to_vec();
        if order == Order::Shuffled {
            rng.shuffle(&mut values);
        }
        Self {
            values,
            commits: &series.commits[start..start + WINDOW],
            step_at: 30 + rng.next_below(41),
            order,
        }
    }

    /// The values with the step, and without the machine if the order says so.
    fn prepared(&self, step: f64, family: &[Series]) -> Vec<f64> {
        let mut values = self.values.clone();
        values[self.step_at..].iter_mut().for_each(|value| *value *= step);
        if self.order != Order::MachineRemoved {
            return values;
        }
        // The stepped series itself is one of the family; its plain self stands in for it there.
        let aligned: Vec<Vec<f64>> = family
            .iter()
            .filter_map(|series| at_commits(series, self.commits))
            .collect();
        match machine_trend(&aligned, &ChangePointSettings::default()) {
            Some(trend) => trend.remove_from(&values),
            None => values,
        }
    }
}

/// The series' values at these commits, NaN where it has none; `None` if it lacks more than a tenth of them.
fn at_commits(series: &Series, commits: &[String]) -> Option<Vec<f64>> {
    let by_commit: HashMap<&str, f64> = series
        .commits
        .iter()
        .map(String::as_str)
        .zip(series.values.iter().copied())
        .filter(|(commit, _)| !commit.is_empty())
        .collect();
    let values: Vec<f64> = commits
        .iter()
        .map(|commit| by_commit.get(commit.as_str()).copied().unwrap_or(f64::NAN))
        .collect();
    (values.iter().filter(|value| value.is_nan()).count() * 10 <= commits.len()).then_some(values)
}

#[derive(Debug, Clone, Copy, Default)]
struct Score {
    hits: usize,
    misses: usize,
    wrong: usize,
}

impl Score {
    fn add(&mut self, found: &[usize], step_at: usize) {
        let hit = found.iter().any(|index| index.abs_diff(step_at) <= REACH);
        self.hits += usize::from(hit);
        self.misses += usize::from(!hit);
        self.wrong += found.len() - usize::from(hit);
    }

    fn f1(self) -> f64 {
        let hits = 2.0 * self.hits as f64;
        if self.hits == 0 {
            0.0
        } else {
            hits / (hits + self.wrong as f64 + self.misses as f64)
        }
    }
}
