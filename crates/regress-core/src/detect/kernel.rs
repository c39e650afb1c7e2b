//! Kernel change-point detection: the split of a series into levels that a Gaussian kernel finds most even.
//!
//! The cost of a segment is its scatter in the kernel's feature space; a penalty per change point keeps noise from being
//! split. A Gaussian kernel is bounded, so outliers weigh no more than other points, and it sees both modes of a runner
//! pool move. Sources: Z. Harchaoui and O. Cappé (2007), S. Arlot, A. Celisse and Z. Harchaoui, JMLR 20 (2019); the
//! pruning is that of PELT (R. Killick, P. Fearnhead and I. Eckley, JASA 107, 2012).

use std::collections::VecDeque;
use std::sync::LazyLock;

use crate::stats::{median, rng::Rng};

/// Grid steps per bandwidth: kernel values are looked up, and rounding to the grid changes them by less than 1 %.
const GRID: f64 = 128.0;
/// The kernel is zero to six digits beyond this many bandwidths.
const REACH: f64 = 4.0;
/// exp(-(k / GRID)^2) up to the reach, then one zero for everything beyond: the same for every bandwidth.
static TABLE: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let steps = 0..(REACH * GRID) as u32;
    steps
        .map(|step| (-(f64::from(step) / GRID).powi(2)).exp())
        .chain([0.0])
        .collect()
});

/// More pairs than this are sampled for the median distance.
const PAIRS: usize = 5_000;

/// The kernel of one series: every point on a grid, in steps of the bandwidth.
#[derive(Debug)]
pub struct Kernel {
    codes: Vec<u32>,
}

impl Kernel {
    /// exp(-(distance / `bandwidth`)^2) over finite `values`; `None` unless the bandwidth is positive and finite.
    #[must_use]
    pub fn new(values: &[f64], bandwidth: f64) -> Option<Self> {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        if !(bandwidth > 0.0 && bandwidth.is_finite() && least.is_finite()) {
            return None;
        }
        // A spread of more than 2^31 grid steps saturates: such points are far from each other anyway, except from
        // those that saturate too.
        let codes = values
            .iter()
            .map(|value| ((value - least) / bandwidth * GRID).min(2e9) as u32)
            .collect();
        Some(Self { codes })
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        let distance = self.codes[i].abs_diff(self.codes[j]) as usize;
        TABLE[distance.min(TABLE.len() - 1)]
    }

    /// The indices at which a new level starts, for the least sum of scatter and `penalty` per change point; every level
    /// has at least `shortest` points.
    #[must_use]
    pub fn find_level_starts(&self, penalty: f64, shortest: usize) -> Vec<usize> {
        let (n, shortest) = (self.codes.len(), shortest.max(1));
        let mut best = vec![f64::INFINITY; n + 1];
        let mut last_start = vec![0; n + 1];
        // similarity[s]: the sum of the kernel over all pairs, both orders, of points s..end.
        let mut similarity = vec![0.0; n];
        let mut live_from = 0;
        let mut pending: VecDeque<(usize, usize)> = VecDeque::new();
        let shares: Vec<f64> = (0..=n).map(|length| 1.0 / length.max(1) as f64).collect();
        best[0] = -penalty;
        for end in 1..=n {
            while pending.front().is_some_and(|&(when, _)| when <= end) {
                live_from = pending
                    .pop_front()
                    .map_or(live_from, |(_, from)| from.max(live_from));
            }
            self.add_point(&mut similarity[live_from..end], live_from);
            let cost = |start: usize| {
                let length = end - start;
                best[start] + length as f64 - similarity[start] * shares[length]
            };
            let (mut least, mut start_of_least) = (f64::INFINITY, 0);
            let until = (end + 1).saturating_sub(shortest).max(live_from);
            let lengths = shares[..=end - live_from].iter().rev();
            let candidates = best[live_from..until]
                .iter()
                .zip(&similarity[live_from..])
                .zip(lengths);
            for (offset, ((before, similarity), share)) in candidates.enumerate() {
                // The length of the level is left for later: it is the end minus the start.
                let total = before - similarity * share - (live_from + offset) as f64;
                if total < least {
                    (least, start_of_least) = (total, live_from + offset);
                }
            }
            least += end as f64 + penalty;
            // A start that even without a penalty is no better than ending here never wins again, once a level that
            // starts here is long enough to be chosen instead.
            let mut from = live_from;
            while from + shortest < end && cost(from) >= least {
                from += 1;
            }
            if from > live_from {
                pending.push_back((end + shortest, from));
            }
            best[end] = least;
            last_start[end] = start_of_least;
        }
        trace_back(&last_start)
    }

    /// Adds the point after `sums`' range (which starts at `offset`) to the similarity of every start.
    fn add_point(&self, sums: &mut [f64], offset: usize) {
        let newest = offset + sums.len() - 1;
        let code = self.codes[newest];
        let table = TABLE.as_slice();
        let last = table.len() - 1;
        sums[newest - offset] = 1.0;
        let mut to_newest = 0.0;
        for (sum, &other) in sums.iter_mut().zip(&self.codes[offset..newest]).rev() {
            to_newest += table[(code.abs_diff(other) as usize).min(last)];
            *sum += 2.0 * to_newest + 1.0;
        }
    }

    /// How much scatter the split at `at` saves between `from` and `to`, and how many times more that varies than
    /// independent points would let it: one plus twice the sum of the leading positive autocorrelations (in feature
    /// space) within the two levels. Needs `from < at < to`.
    #[must_use]
    pub fn split_gain(&self, from: usize, at: usize, to: usize) -> Gain {
        let (left, right) = (self.pairs(from, at), self.pairs(at, to));
        let across: f64 = (from..at)
            .map(|i| (at..to).map(|j| self.at(i, j)).sum::<f64>())
            .sum();
        let similarity = |sum: f64, count: usize| (2.0 * sum + count as f64) / count as f64;
        let saved = similarity(left.sum, at - from) + similarity(right.sum, to - at)
            - similarity(left.sum + right.sum + across, to - from);
        Gain {
            saved,
            dependence: left.and(&right).dependence(),
        }
    }

    /// Sums over the pairs of one level.
    fn pairs(&self, from: usize, to: usize) -> Pairs {
        let mut pairs = Pairs::default();
        for i in from..to {
            for j in from..i {
                let value = self.at(i, j);
                pairs.sum += value;
                if let Some(lag) = pairs.lagged.get_mut(i - j - 1) {
                    *lag = (lag.0 + value, lag.1 + 1.0);
                }
            }
            pairs.count += (i - from) as f64;
        }
        pairs
    }
}

/// What a split is worth: see [`Kernel::split_gain`].
#[derive(Debug, Clone, Copy)]
pub struct Gain {
    /// Scatter saved, to be held against a penalty.
    pub saved: f64,
    /// At least 1; 1 if neighbouring points are independent.
    pub dependence: f64,
}

/// Sums of kernel values over pairs of points, and those over pairs 1..=5 points apart with their number.
#[derive(Default)]
struct Pairs {
    sum: f64,
    count: f64,
    lagged: [(f64, f64); 5],
}

impl Pairs {
    fn and(mut self, other: &Self) -> Self {
        self.sum += other.sum;
        self.count += other.count;
        for (lag, more) in self.lagged.iter_mut().zip(other.lagged) {
            *lag = (lag.0 + more.0, lag.1 + more.1);
        }
        self
    }

    fn dependence(&self) -> f64 {
        let mean = self.sum / self.count.max(1.0);
        if mean >= 1.0 - 1e-9 {
            return 1.0;
        }
        let correlations = self.lagged.iter().map(|&(sum, count)| {
            let correlation = (sum / count.max(1.0) - mean) / (1.0 - mean);
            // Below one standard error it is not told from none.
            if correlation * count.sqrt() > 1.0 {
                correlation
            } else {
                0.0
            }
        });
        1.0 + 2.0
            * correlations
                .take_while(|&correlation| correlation > 0.0)
                .sum::<f64>()
    }
}

/// The levels as ranges, given where all but the first start.
pub(crate) fn level_ranges(starts: &[usize], n: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
    let ends = starts.iter().copied().chain([n]);
    std::iter::once(0).chain(starts.iter().copied()).zip(ends)
}

fn trace_back(last_start: &[usize]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut end = last_start[last_start.len() - 1];
    while end > 0 {
        starts.push(end);
        end = last_start[end];
    }
    starts.reverse();
    starts
}

/// The median distance between two points of the same level (all points are one level if `starts` is empty): the usual
/// heuristic for a bandwidth. Of long series 5,000 pairs are drawn, always the same ones.
#[must_use]
pub fn median_distance(values: &[f64], starts: &[usize]) -> Option<f64> {
    let total: usize = level_ranges(starts, values.len())
        .map(|(from, to)| (to - from) * (to - from).saturating_sub(1) / 2)
        .sum();
    let mut distances = Vec::with_capacity(total.min(PAIRS));
    let mut rng = Rng::new(0x9a17);
    for (from, to) in level_ranges(starts, values.len()) {
        let length = to - from;
        let pairs = length * length.saturating_sub(1) / 2;
        if total <= PAIRS {
            for i in from..to {
                distances.extend(values[from..i].iter().map(|value| (value - values[i]).abs()));
            }
        } else {
            for _ in 0..pairs * PAIRS / total {
                let i = from + rng.next_below(length);
                let j = from + (i - from + 1 + rng.next_below(length - 1)) % length;
                distances.push((values[i] - values[j]).abs());
            }
        }
    }
    median(&distances)
}

/// Kernel change-point detection by the book: bandwidth the square root of the median squared distance of all pairs,
/// penalty ln n, levels of at least two points. For comparison; [`super::change_points()`] is the detector to use.
#[must_use]
pub fn by_the_book(values: &[f64]) -> Vec<usize> {
    if values.len() < 4 || !values.iter().all(|value| value.is_finite()) {
        return Vec::new();
    }
    let kernel = median_distance(values, &[]).and_then(|distance| Kernel::new(values, distance));
    kernel.map_or_else(Vec::new, |kernel| {
        kernel.find_level_starts((values.len() as f64).ln(), 2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy_steps(levels: &[f64], length: usize) -> Vec<f64> {
        let mut rng = Rng::new(11);
        levels
            .iter()
            .flat_map(|&level| vec![level; length])
            .map(|level| level + 0.1 * rng.next_normal())
            .collect()
    }

    /// The same partition by trying every split, without grid and pruning.
    fn exhaustive(values: &[f64], bandwidth: f64, penalty: f64, shortest: usize) -> Vec<usize> {
        let n = values.len();
        let scatter = |from: usize, to: usize| {
            let sum: f64 = values[from..to]
                .iter()
                .flat_map(|a| {
                    values[from..to]
                        .iter()
                        .map(move |b| (-((a - b) / bandwidth).powi(2)).exp())
                })
                .sum();
            (to - from) as f64 - sum / (to - from) as f64
        };
        let mut best = vec![(f64::INFINITY, 0); n + 1];
        best[0] = (-penalty, 0);
        for end in 1..=n {
            for start in 0..(end + 1).saturating_sub(shortest) {
                let cost = best[start].0 + scatter(start, end) + penalty;
                if cost < best[end].0 {
                    best[end] = (cost, start);
                }
            }
        }
        trace_back(&best.iter().map(|(_, start)| *start).collect::<Vec<_>>())
    }

    #[test]
    fn steps_are_found_where_they_are() {
        let values = noisy_steps(&[1.0, 3.0, 2.0], 40);
        assert_eq!(by_the_book(&values), [40, 80]);
        assert!(by_the_book(&noisy_steps(&[1.0], 100)).is_empty());
    }

    #[test]
    fn pruning_and_the_grid_lose_nothing() {
        let mut rng = Rng::new(5);
        for shortest in [1, 2, 5] {
            for _ in 0..20 {
                let values: Vec<f64> = (0..60)
                    .map(|i| f64::from(i / 17 % 2) + 0.6 * rng.next_normal())
                    .collect();
                let kernel = Kernel::new(&values, 0.8).unwrap();
                assert_eq!(
                    kernel.find_level_starts(2.5, shortest),
                    exhaustive(&values, 0.8, 2.5, shortest)
                );
            }
        }
    }

    #[test]
    fn repeated_neighbours_are_dependence() {
        let mut rng = Rng::new(9);
        let independent: Vec<f64> = (0..200).map(|_| rng.next_normal()).collect();
        let sticky: Vec<f64> = (0..200).map(|i| independent[i / 4 * 4]).collect();
        assert!(
            Kernel::new(&independent, 1.0)
                .unwrap()
                .split_gain(0, 100, 200)
                .dependence
                < 1.5
        );
        assert!(
            Kernel::new(&sticky, 1.0)
                .unwrap()
                .split_gain(0, 100, 200)
                .dependence
                > 3.0
        );
    }

    #[test]
    fn a_split_saves_the_scatter_between_the_levels() {
        let kernel = Kernel::new(&[0.0, 0.0, 9.0, 9.0], 1.0).unwrap();
        // One level of four: 4 - 8 / 4; two levels of two: 0.
        assert!((kernel.split_gain(0, 2, 4).saved - 2.0).abs() < 1e-12);
    }

    #[test]
    fn what_has_no_spread_has_no_kernel() {
        assert!(Kernel::new(&[1.0, 1.0], 0.0).is_none());
        assert!(Kernel::new(&[], 1.0).is_none());
        assert!(by_the_book(&[1.0; 50]).is_empty());
        assert!(by_the_book(&[1.0, f64::NAN, 1.0, 2.0, 2.0]).is_empty());
    }
}
