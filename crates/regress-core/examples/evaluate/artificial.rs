//! Artificial results of unchanged code, to choose settings on without looking at recorded ones.
//!
//! Every shape of noise is a source of its own, so that a setting that is good for one and bad for another shows. All
//! sizes are drawn per benchmark, log-uniformly unless said otherwise; nothing here was fitted to a recorded series.
//!
//! Series: 40 of 300 points. "normal", "heavy tails" (Student's t with 3 degrees of freedom) and "spikes" (one point in
//! twenty takes 1.2 to 3 times as long) vary by 1 to 15 %. "modes" alternates at random between two levels 5 to 40 %
//! apart. The others depend on their order: "sticky modes" stays in a mode for 5 to 40 points on average,
//! "autoregressive" repeats 0.3 to 0.8 of the last deviation, "drift" walks at random by a tenth of its noise a point,
//! "shifting machine" moves for good once in 60 to 200 points by 5 to 60 % and for one to eight points as often.
//!
//! Processes: 40 benchmarks of 40 processes each, 3 to 10 % (uniform) between processes, or of a quiet machine .5 to 5 %
//! (log-uniform): "normal", "skewed" (exponential,
//! floor and tail), "heavy tails" and "modes" (one process in four is slow). The spread is a standard deviation, that of
//! the normal part in "heavy tails". Five against five, +10 % at a spread of 10 % is one standard deviation: no test
//! finds that often, so these figures are not to be held against ones of quieter processes.

use regress_core::stats::rng::Rng;

use crate::data::{Series, Source};

const BENCHMARKS: usize = 40;
const POINTS: usize = 300;
const PROCESSES: usize = 40;

#[derive(Debug, Clone, Copy)]
enum Noise {
    Normal,
    HeavyTails,
    Spikes,
    Modes,
    StickyModes,
    Autoregressive,
    Drift,
    ShiftingMachine,
}

const NOISES: [(&str, Noise); 8] = [
    ("normal", Noise::Normal),
    ("heavy tails", Noise::HeavyTails),
    ("spikes", Noise::Spikes),
    ("modes", Noise::Modes),
    ("sticky modes", Noise::StickyModes),
    ("autoregressive", Noise::Autoregressive),
    ("drift", Noise::Drift),
    ("shifting machine", Noise::ShiftingMachine),
];

#[derive(Debug, Clone, Copy)]
enum Between {
    Normal,
    Skewed,
    HeavyTails,
    Modes,
}

const BETWEEN: [(&str, Between); 4] = [
    ("normal", Between::Normal),
    ("skewed", Between::Skewed),
    ("heavy tails", Between::HeavyTails),
    ("modes", Between::Modes),
];

/// One source per shape of noise, each with series of unchanged code.
pub(crate) fn generate_series() -> Vec<Source> {
    let source = |(index, &(name, noise)): (usize, &(&str, Noise))| {
        let mut rng = Rng::new(1000 + index as u64);
        Source {
            name: format!("artificial series: {name}"),
            families: (0..BENCHMARKS)
                .map(|_| vec![one_series(noise, &mut rng)])
                .collect(),
            ..Source::default()
        }
    };
    NOISES.iter().enumerate().map(source).collect()
}

/// How far processes of a benchmark differ.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Machine {
    Busy,
    Quiet,
}

/// One source per shape of the differences between processes.
pub(crate) fn generate_processes(machine: Machine) -> Vec<Source> {
    let (seed, said) = match machine {
        Machine::Busy => (2000, ""),
        Machine::Quiet => (3000, "quiet "),
    };
    let source = |(index, &(name, between)): (usize, &(&str, Between))| {
        let mut rng = Rng::new(seed + index as u64);
        let one = |rng: &mut Rng| {
            let spread = match machine {
                Machine::Busy => 0.03 + 0.07 * rng.next_unit(),
                Machine::Quiet => log_uniform(rng, 0.005, 0.05),
            };
            one_benchmark(between, spread, rng)
        };
        Source {
            name: format!("artificial {said}processes: {name}"),
            processes: (0..BENCHMARKS).map(|_| one(&mut rng)).collect(),
            ..Source::default()
        }
    };
    BETWEEN.iter().enumerate().map(source).collect()
}

fn log_uniform(rng: &mut Rng, from: f64, to: f64) -> f64 {
    from * (to / from).powf(rng.next_unit())
}

fn one_series(noise: Noise, rng: &mut Rng) -> Series {
    let spread = log_uniform(rng, 0.01, 0.15);
    let logarithms: Vec<f64> = match noise {
        Noise::Normal => (0..POINTS).map(|_| spread * rng.next_normal()).collect(),
        Noise::HeavyTails => (0..POINTS).map(|_| spread * student_3(rng)).collect(),
        Noise::Spikes => (0..POINTS)
            .map(|_| {
                spread * rng.next_normal() + occasionally(rng, 0.05, |rng| log_uniform(rng, 1.2, 3.0).ln())
            })
            .collect(),
        Noise::Modes => modes(rng, |rng| rng.next_unit() < 0.5),
        Noise::StickyModes => {
            let leaving = 1.0 / log_uniform(rng, 5.0, 40.0);
            modes(rng, |rng| rng.next_unit() < leaving)
        }
        Noise::Autoregressive => {
            let kept = 0.3 + 0.5 * rng.next_unit();
            walk(rng, kept, spread * (1.0 - kept * kept).sqrt())
        }
        Noise::Drift => {
            let trend = walk(rng, 1.0, spread / 10.0);
            trend
                .iter()
                .map(|level| level + spread * rng.next_normal())
                .collect()
        }
        Noise::ShiftingMachine => shifting_machine(rng, spread),
    };
    Series {
        values: logarithms
            .iter()
            .map(|logarithm| 1000.0 * logarithm.exp())
            .collect(),
        commits: vec![String::new(); POINTS],
    }
}

fn occasionally(rng: &mut Rng, share: f64, amount: impl Fn(&mut Rng) -> f64) -> f64 {
    if rng.next_unit() < share { amount(rng) } else { 0.0 }
}

/// Student's t with 3 degrees of freedom.
fn student_3(rng: &mut Rng) -> f64 {
    let squares: f64 = (0..3).map(|_| rng.next_normal().powi(2)).sum();
    rng.next_normal() / (squares / 3.0).sqrt()
}

/// Two levels with a little noise; `switches` says of every point whether it leaves the level of the one before.
fn modes(rng: &mut Rng, switches: impl Fn(&mut Rng) -> bool) -> Vec<f64> {
    let (apart, spread) = (log_uniform(rng, 1.05, 1.4).ln(), log_uniform(rng, 0.005, 0.03));
    let mut slow = false;
    let mut point = || {
        slow ^= switches(rng);
        if slow {
            apart + spread * rng.next_normal()
        } else {
            spread * rng.next_normal()
        }
    };
    (0..POINTS).map(|_| point()).collect()
}

fn walk(rng: &mut Rng, kept: f64, step: f64) -> Vec<f64> {
    let mut level = 0.0;
    let mut point = || {
        level = kept * level + step * rng.next_normal();
        level
    };
    (0..POINTS).map(|_| point()).collect()
}

fn shifting_machine(rng: &mut Rng, spread: f64) -> Vec<f64> {
    let rate = 1.0 / log_uniform(rng, 60.0, 200.0);
    let (mut level, mut away, mut left) = (0.0, 0.0, 0);
    let mut point = || {
        level += occasionally(rng, rate, shift);
        if left == 0 && rng.next_unit() < rate {
            (away, left) = (shift(rng), 1 + rng.next_below(8));
        }
        let episode = if left > 0 { away } else { 0.0 };
        left = left.saturating_sub(1);
        level + episode + spread * rng.next_normal()
    };
    (0..POINTS).map(|_| point()).collect()
}

/// 5 to 60 % up or down.
fn shift(rng: &mut Rng) -> f64 {
    let size = log_uniform(rng, 0.05, 0.6).ln_1p();
    if rng.next_unit() < 0.5 { size } else { -size }
}

fn one_benchmark(between: Between, spread: f64, rng: &mut Rng) -> Vec<f64> {
    let mut process = || {
        let deviation = match between {
            Between::Normal => rng.next_normal(),
            Between::Skewed => -(1.0 - rng.next_unit()).ln(),
            Between::HeavyTails => student_3(rng),
            // A mode c away that a quarter is in adds 3/16 c^2 to the variance.
            Between::Modes => 0.5 * rng.next_normal() + occasionally(rng, 0.25, |_| 2.0),
        };
        1000.0 * (spread * deviation).exp()
    };
    (0..PROCESSES).map(|_| process()).collect()
}
