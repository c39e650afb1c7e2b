//! E-divisive with a t test: change points by the energy distance of what lies before and after, judged by Student.
//!
//! Windows that overlap by half are split as long as the best split is significant at a relaxed level; then the weakest
//! points are merged away until all are significant and large enough. For comparison with tools of that family.
//! Sources: D. Matteson and N. James, JASA 109 (2014); M. Fleming et al., "Hunter", ICPE 2023.

use super::change_points::{ChangePoint, describe_change_points};
use super::kernel::level_ranges;
use crate::stats::{mean, student};

/// What counts as a change point here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DivisiveSettings {
    /// Points a window has; at least 2.
    pub window: usize,
    /// Student's p value a change point must stay below.
    pub max_p: f64,
    /// The relative change of means a change point must exceed, 0.05 for 5 %.
    pub least_change: f64,
}

impl Default for DivisiveSettings {
    fn default() -> Self {
        Self {
            window: 50,
            max_p: 0.001,
            least_change: 0.0,
        }
    }
}

/// The change points of `values`, in order; none if a value is not finite.
#[must_use]
pub fn divisive_change_points(values: &[f64], settings: &DivisiveSettings) -> Vec<ChangePoint> {
    if !values.iter().all(|value| value.is_finite()) {
        return Vec::new();
    }
    let relaxed = match settings.max_p {
        p if p < 0.05 => p * 10.0,
        p if p < 0.5 => p * 2.0,
        p => p,
    };
    let mut starts = split(values, settings.window.max(2), relaxed);
    merge(values, &mut starts, settings);
    let original: Vec<usize> = (0..values.len()).collect();
    describe_change_points(values, &starts, &original)
}

fn split(values: &[f64], window: usize, max_p: f64) -> Vec<usize> {
    let mut starts: Vec<usize> = Vec::new();
    let mut from = 0;
    while from < values.len() {
        let to = (from + window).min(values.len());
        let found: Vec<usize> = split_window(&values[from..to], max_p)
            .iter()
            .map(|index| index + from)
            .collect();
        from = found.last().copied().unwrap_or(0).max(from + window / 2);
        starts.extend(found);
    }
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// Splits the level whose best split has the greatest energy, until that split is not significant.
fn split_window(values: &[f64], max_p: f64) -> Vec<usize> {
    let mut starts: Vec<usize> = Vec::new();
    loop {
        let best = level_ranges(&starts, values.len())
            .filter(|(from, to)| to - from >= 2)
            .map(|(from, to)| {
                let (energy, at) = best_split(&values[from..to]);
                (
                    energy,
                    from + at,
                    student_p(&values[from..from + at], &values[from + at..to]),
                )
            })
            .max_by(|a, b| a.0.total_cmp(&b.0));
        match best {
            Some((_, at, p)) if p <= max_p => {
                starts.push(at);
                starts.sort_unstable();
            }
            _ => return starts,
        }
    }
}

/// The greatest scaled energy distance of `values[..at]` and `values[at..end]` over all `at` and `end`, and that `at`.
fn best_split(values: &[f64]) -> (f64, usize) {
    let n = values.len();
    let distance = |i: usize, j: usize| (values[i] - values[j]).abs();
    let mut best = (f64::NEG_INFINITY, 1);
    // Sums of distances over pairs within the left side.
    let mut within_left = 0.0;
    for at in 1..n {
        within_left += (0..at - 1).map(|i| distance(i, at - 1)).sum::<f64>();
        let (mut across, mut within_right) = (0.0, 0.0);
        for end in at + 1..=n {
            across += (0..at).map(|i| distance(i, end - 1)).sum::<f64>();
            within_right += (at..end - 1).map(|i| distance(i, end - 1)).sum::<f64>();
            let (left, right) = (at as f64, (end - at) as f64);
            let per_pair =
                |sum: f64, other: f64, own: f64| if own > 1.0 { other / (own - 1.0) * sum } else { 0.0 };
            let energy = 2.0 / (left + right)
                * (across - per_pair(within_left, right, left) - per_pair(within_right, left, right));
            if energy > best.0 {
                best = (energy, at);
            }
        }
    }
    best
}

/// Student's two-sided p value, with population variances as this family of tools has it.
fn student_p(left: &[f64], right: &[f64]) -> f64 {
    let (m, n) = (left.len() as f64, right.len() as f64);
    let (Some(a), Some(b)) = (mean(left), mean(right)) else {
        return 1.0;
    };
    let degrees = m + n - 2.0;
    if degrees <= 0.0 {
        return 1.0;
    }
    let spread = |side: &[f64], centre: f64| {
        side.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / side.len() as f64
    };
    let pooled = ((m - 1.0) * spread(left, a) + (n - 1.0) * spread(right, b)) / degrees;
    let error = (pooled * (1.0 / m + 1.0 / n)).sqrt();
    if error == 0.0 {
        return if a == b { 1.0 } else { 0.0 };
    }
    student::two_sided_p((b - a) / error, degrees).unwrap_or(1.0)
}

/// Removes the least significant, then the smallest change until all pass. After a removal only the change to its right
/// is judged anew, as the published implementation has it: the one to the left keeps its earlier numbers.
fn merge(values: &[f64], starts: &mut Vec<usize>, settings: &DivisiveSettings) {
    let judge = |starts: &[usize], index: usize| {
        let from = if index == 0 { 0 } else { starts[index - 1] };
        let to = starts.get(index + 1).copied().unwrap_or(values.len());
        let (left, right) = (&values[from..starts[index]], &values[starts[index]..to]);
        (student_p(left, right), relative_change(left, right))
    };
    let mut judged: Vec<(f64, f64)> = (0..starts.len()).map(|index| judge(starts, index)).collect();
    while !starts.is_empty() {
        let weakest = first_extreme(judged.iter().map(|judged| judged.0));
        let smallest = first_extreme(judged.iter().map(|judged| -judged.1));
        let removed = if judged[weakest].0 >= settings.max_p {
            weakest
        } else if judged[smallest].1 <= settings.least_change {
            smallest
        } else {
            return;
        };
        starts.remove(removed);
        judged.remove(removed);
        for index in [removed, removed + 1] {
            if let Some(slot) = judged.get_mut(index) {
                *slot = judge(starts, index);
            }
        }
    }
}

/// The index of the first greatest value.
fn first_extreme(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}

/// The change of the mean relative to either side, whichever is larger.
fn relative_change(left: &[f64], right: &[f64]) -> f64 {
    match (mean(left), mean(right)) {
        (Some(a), Some(b)) => (b / a - 1.0).abs().max((a / b - 1.0).abs()),
        _ => 0.0,
    }
}
