//! A commit against itself on a busy machine, as `benchgate ab` compares it: how often is it called slower?
//!
//! Processes run one after the other, A B B A, and the machine's noise follows their order: it stays for a while
//! ("autoregressive", "drift", "sticky modes"), comes in bursts of one to six processes, or does not ("independent", "heavy
//! tails"). Its spread is drawn from 5 to 25 %, of a quiet machine from .5 to 5 %, log-uniformly; of twenty benchmarks four fifths of it are common to all of a
//! process. After the first pairs as many again are drawn, and judged by the rule of [`SecondRound`]. Detection is the share
//! reported when the first benchmark's head is multiplied by 1.10 or 1.20.

use regress_core::detect::{Pair, SecondRound, Threshold, Verdict, VerdictKind, judge_pairs};
use regress_core::measurement::{BenchmarkId, Direction, Measure, SeriesKey};
use regress_core::stats::rng::Rng;
use serde_json::{Value, json};

use crate::change_points::round_to_decimals;

/// The values of one benchmark: of the base and of the head.
type Sides = [Vec<f64>; 2];

#[derive(Debug, Clone, Copy)]
enum Noise {
    Independent,
    HeavyTails,
    Autoregressive,
    Bursts,
    Drift,
    StickyModes,
}

const NOISES: [(&str, Noise); 6] = [
    ("independent", Noise::Independent),
    ("heavy tails", Noise::HeavyTails),
    ("autoregressive", Noise::Autoregressive),
    ("bursts", Noise::Bursts),
    ("drift", Noise::Drift),
    ("sticky modes", Noise::StickyModes),
];
/// The least and the largest spread.
type Spreads = (f64, f64);
const BUSY: Spreads = (0.05, 0.25);
const QUIET: Spreads = (0.005, 0.05);
/// The machine, its spreads, how many pairs and benchmarks there are, and how often they are drawn.
const CASES: [(&str, Spreads, usize, usize, usize); 5] = [
    ("busy", BUSY, 5, 1, 1200),
    ("busy", BUSY, 5, 20, 60),
    ("busy", BUSY, 8, 1, 1200),
    ("busy", BUSY, 8, 20, 60),
    ("quiet", QUIET, 5, 1, 1200),
];
const FACTORS: [f64; 3] = [1.0, 1.1, 1.2];
/// The share of the spread that all benchmarks of a process have in common.
const COMMON: f64 = 0.8;

/// What was reported, after the first pairs and after the second round.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    judged: usize,
    first: usize,
    confirmed: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.judged += other.judged;
        self.first += other.first;
        self.confirmed += other.confirmed;
    }

    fn percents(self) -> Value {
        let percent = |count: usize| round_to_decimals(count as f64 / self.judged as f64 * 100.0, 2);
        json!({ "first_pairs": percent(self.first), "confirmed": percent(self.confirmed) })
    }
}

pub(crate) fn evaluate_same_commit() -> Vec<Value> {
    CASES.into_iter().map(row).collect()
}

fn row((machine, spreads, pairs, benchmarks, draws): (&str, Spreads, usize, usize, usize)) -> Value {
    let mut all = [Counts::default(); 3];
    let mut by_noise = serde_json::Map::new();
    for (index, (name, noise)) in NOISES.into_iter().enumerate() {
        let mut rng = Rng::new(4000 + index as u64);
        let mut alarms = Counts::default();
        for _ in 0..draws {
            for (total, factor) in all.iter_mut().zip(FACTORS) {
                let sides = draw_sides(noise, spreads, (2 * pairs, benchmarks), factor, &mut rng);
                let counted = if factor == 1.0 { benchmarks } else { 1 };
                let counts = judge_rounds(&sides, pairs, counted);
                total.add(counts);
                if factor == 1.0 {
                    alarms.add(counts);
                }
            }
        }
        by_noise.insert(name.to_owned(), alarms.percents());
    }
    json!({
        "machine": machine, "pairs": pairs, "benchmarks": benchmarks, "comparisons": all[0].judged,
        "false_alarms_percent": all[0].percents(), "by_noise": by_noise,
        "detected_percent": { "10": all[1].percents(), "20": all[2].percents() },
    })
}

/// Judges both rounds of the first `counted` benchmarks, among all of them.
fn judge_rounds(sides: &[Sides], pairs: usize, counted: usize) -> Counts {
    let rounds = [0..pairs, pairs..2 * pairs, 0..2 * pairs];
    let [first, again, all] = rounds.map(|range| judge(sides, range));
    let mut counts = Counts::default();
    for ((first, again), all) in first.iter().zip(&again).zip(&all).take(counted) {
        let round = SecondRound {
            first: first.kind,
            percent_again: again.percent,
            all: all.kind,
            threshold: first.threshold,
        };
        counts.add(Counts {
            judged: 1,
            first: usize::from(first.kind == VerdictKind::Regression),
            confirmed: usize::from(round.is_confirmed()),
        });
    }
    counts
}

fn draw_sides(
    noise: Noise,
    (least, most): Spreads,
    (pairs, benchmarks): (usize, usize),
    factor: f64,
    rng: &mut Rng,
) -> Vec<Sides> {
    let spread = least * (most / least).powf(rng.next_unit());
    let share = if benchmarks > 1 { COMMON } else { 0.0 };
    let common = processes(noise, 2 * pairs, spread * share, rng);
    let one = |benchmark: usize| {
        let own = processes(noise, 2 * pairs, spread * (1.0 - share * share).sqrt(), rng);
        let mut sides = Sides::default();
        for (at, (common, own)) in common.iter().zip(&own).enumerate() {
            // A B B A: every other pair is turned.
            let head = (at % 2 == 1) != (at / 2 % 2 == 1);
            let slower = if head && benchmark == 0 { factor } else { 1.0 };
            sides[usize::from(head)].push(1000.0 * (common + own).exp() * slower);
        }
        sides
    };
    (0..benchmarks).map(one).collect()
}

/// Logarithms of what processes in a row cost more.
fn processes(noise: Noise, count: usize, spread: f64, rng: &mut Rng) -> Vec<f64> {
    let (kept, leaving) = (0.3 + 0.6 * rng.next_unit(), 0.1 + 0.4 * rng.next_unit());
    let step = 2.0 * spread / (count as f64).sqrt();
    let (mut level, mut left, mut slow) = (spread * rng.next_normal(), 0_usize, false);
    let mut process = || match noise {
        Noise::Independent => spread * rng.next_normal(),
        Noise::HeavyTails => {
            let squares: f64 = (0..3).map(|_| rng.next_normal().powi(2)).sum();
            spread * rng.next_normal() / (squares / 3.0).sqrt() / 1.3
        }
        Noise::Autoregressive => {
            level = kept * level + spread * (1.0 - kept * kept).sqrt() * rng.next_normal();
            level
        }
        Noise::Bursts => {
            if left == 0 {
                level = 0.0;
                if rng.next_unit() < 0.12 {
                    (left, level) = (1 + rng.next_below(6), spread * (1.0 + 2.0 * rng.next_unit()));
                }
            }
            left = left.saturating_sub(1);
            level + spread / 5.0 * rng.next_normal()
        }
        Noise::Drift => {
            level += step * rng.next_normal();
            level + spread / 4.0 * rng.next_normal()
        }
        Noise::StickyModes => {
            slow ^= rng.next_unit() < leaving;
            let mode = if slow { 2.0 * spread } else { 0.0 };
            mode + spread / 5.0 * rng.next_normal()
        }
    };
    (0..count).map(|_| process()).collect()
}

fn judge(sides: &[Sides], range: std::ops::Range<usize>) -> Vec<Verdict> {
    let mut pairs = Vec::new();
    for (index, [before, after]) in sides.iter().enumerate() {
        let named = BenchmarkId::new(&format!("b{index}")).ok();
        let values = before.get(range.clone()).zip(after.get(range.clone()));
        if let Some((benchmark, (before, after))) = named.zip(values) {
            pairs.push(Pair {
                key: SeriesKey {
                    benchmark,
                    measure: Measure::LATENCY,
                },
                direction: Direction::SmallerIsBetter,
                before,
                after,
                comparable: true,
                threshold: Threshold::default(),
            });
        }
    }
    judge_pairs(&pairs).verdicts
}
