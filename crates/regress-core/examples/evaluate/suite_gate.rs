//! The gate on whole suites: what it is worth to know which values were measured in one run.
//!
//! The benchmarks of a file are aligned by commit; at every commit that has 30 before it and one after, the benchmarks that
//! were measured in all 32 are judged together, the commit as the run and the next one as its confirmation. A false alarm is
//! a regression on the values as they are. Detection is the share of benchmarks reported when both values of that benchmark
//! alone are multiplied by 1.20 or 1.50, or ("all slower") those of every benchmark. "each alone" judges the same values without their places. "unchanged" counts
//! only where the kernel detector by the book finds no change point of the benchmark within the 32 runs.

use std::collections::{BTreeMap, BTreeSet};

use regress_core::detect::judge_history::PastRuns;
use regress_core::detect::{
    GateSettings, RunPlaces, Threshold, VerdictKind, judge_history_aligned, kernel::by_the_book,
};
use regress_core::measurement::{BenchmarkId, Direction, Measure, SeriesKey};
use serde_json::{Value, json};

use crate::change_points::round_to_decimals;
use crate::data::{Series, Source};

const HISTORY: usize = 30;
const RUNS: usize = HISTORY + 2;
/// Fewer benchmarks make no suite.
const LEAST_SUITE: usize = 5;

/// A benchmark in the runs of one window.
struct Member {
    values: Vec<f64>,
    unchanged: bool,
}

#[derive(Default)]
struct Counts {
    places: usize,
    reported: [usize; 5],
}

/// What is made slower.
#[derive(Clone, Copy, PartialEq)]
enum Slower {
    Nothing,
    One(usize, f64),
    All(f64),
}

pub(crate) fn evaluate_suite_gate(source: &Source) -> Vec<Value> {
    let windows: Vec<Vec<Member>> = source
        .families
        .iter()
        .flat_map(|family| windows(family))
        .collect();
    if windows.is_empty() {
        return Vec::new();
    }
    [("each alone", false), ("the suite together", true)]
        .into_iter()
        .flat_map(|(name, together)| rows(name, &windows, together))
        .collect()
}

fn windows(family: &[Series]) -> Vec<Vec<Member>> {
    let mut order: BTreeMap<&str, usize> = BTreeMap::new();
    let mut columns: Vec<BTreeMap<usize, f64>> = Vec::new();
    let mut starts: Vec<BTreeSet<usize>> = Vec::new();
    for series in family {
        let mut column = BTreeMap::new();
        let mut commits = Vec::new();
        for (value, commit) in series
            .values
            .iter()
            .zip(&series.commits)
            .filter(|(_, commit)| !commit.is_empty())
        {
            let next = order.len();
            let place = *order.entry(commit).or_insert(next);
            column.insert(place, *value);
            commits.push(place);
        }
        let points = by_the_book(&series.values);
        starts.push(
            points
                .iter()
                .filter_map(|point| commits.get(*point).copied())
                .collect(),
        );
        columns.push(column);
    }
    let first = |from: usize| {
        let member = |(column, starts): (&BTreeMap<usize, f64>, &BTreeSet<usize>)| {
            let values: Vec<f64> = column.range(from..from + RUNS).map(|(_, value)| *value).collect();
            (values.len() == RUNS).then(|| Member {
                values,
                unchanged: starts.range(from + 1..from + RUNS).next().is_none(),
            })
        };
        columns
            .iter()
            .zip(&starts)
            .filter_map(member)
            .collect::<Vec<Member>>()
    };
    (0..(order.len() + 1).saturating_sub(RUNS))
        .map(first)
        .filter(|members| members.len() >= LEAST_SUITE)
        .collect()
}

fn rows(name: &str, windows: &[Vec<Member>], together: bool) -> Vec<Value> {
    let (mut all, mut unchanged) = (Counts::default(), Counts::default());
    for members in windows {
        let plain = regressions(members, Slower::Nothing, together);
        let all_slower = [1.2, 1.5].map(|factor| regressions(members, Slower::All(factor), together));
        for (index, member) in members.iter().enumerate() {
            let alone = |factor| regressions(members, Slower::One(index, factor), together).contains(&index);
            let reported = [
                plain.contains(&index),
                alone(1.2),
                alone(1.5),
                all_slower[0].contains(&index),
                all_slower[1].contains(&index),
            ];
            let counts: &mut [&mut Counts] = if member.unchanged {
                &mut [&mut all, &mut unchanged]
            } else {
                &mut [&mut all]
            };
            for counts in counts {
                counts.places += 1;
                for (count, reported) in counts.reported.iter_mut().zip(reported) {
                    *count += usize::from(reported);
                }
            }
        }
    }
    let row = |points: &str, counts: &Counts| {
        let percent = |count: usize| round_to_decimals(count as f64 / counts.places as f64 * 100.0, 2);
        json!({
            "points": points, "judged": name, "places": counts.places,
            "false_alarms_percent": percent(counts.reported[0]),
            "detected_percent": { "20": percent(counts.reported[1]), "50": percent(counts.reported[2]) },
            "detected_percent_all_slower": { "20": percent(counts.reported[3]), "50": percent(counts.reported[4]) },
        })
    };
    vec![row("recorded", &all), row("unchanged", &unchanged)]
}

/// The benchmarks that are reported, when some are slower. Alone, only the slower one is judged.
fn regressions(members: &[Member], slower: Slower, together: bool) -> BTreeSet<usize> {
    let judged: Vec<usize> = match slower {
        Slower::One(index, _) if !together => vec![index],
        _ => (0..members.len()).collect(),
    };
    let runs: Vec<[f64; 2]> = judged
        .iter()
        .map(|index| {
            let factor = match slower {
                Slower::One(slow, factor) if slow == *index => factor,
                Slower::All(factor) => factor,
                _ => 1.0,
            };
            let values = &members[*index].values;
            [values[HISTORY] * factor, values[HISTORY + 1] * factor]
        })
        .collect();
    let pasts: Vec<PastRuns<'_>> = judged
        .iter()
        .zip(&runs)
        .filter_map(|(index, runs)| {
            Some(PastRuns {
                key: SeriesKey {
                    benchmark: BenchmarkId::new(&format!("b{index}")).ok()?,
                    measure: Measure::LATENCY,
                },
                direction: Direction::SmallerIsBetter,
                history: &members[*index].values[..HISTORY],
                runs,
                told: None,
                comparable: true,
                threshold: Threshold::default(),
            })
        })
        .collect();
    let places = RunPlaces {
        history: (0..HISTORY).collect(),
        runs: vec![HISTORY, HISTORY + 1],
    };
    let places = if together {
        vec![places; pasts.len()]
    } else {
        Vec::new()
    };
    let verdict = judge_history_aligned(&pasts, &places, &GateSettings::default(), &BTreeMap::new());
    let slow = judged.iter().zip(&verdict.verdicts);
    slow.filter(|(_, verdict)| verdict.kind == VerdictKind::Regression)
        .map(|(index, _)| *index)
        .collect()
}
