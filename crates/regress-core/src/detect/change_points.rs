//! Change points of one series: the detector to use on a history.
//!
//! Kernel change-point detection ([`super::kernel`]) with five additions, each for a reason; their numbers were
//! chosen among few round ones, as `examples/evaluate` tells:
//! 1. It works on logarithms, so that a change is a percentage and the same at every level.
//! 2. The bandwidth is half the median distance *within* levels, taken from a first pass. The usual median over all
//!    pairs grows with the step itself and hides it; and two modes of a runner pool are then seen apart.
//! 3. A wider kernel of four such distances goes first, for steps that part the values: it sees a doubling after three or
//!    four runs, where the narrow one needs nine to twelve, and its places are moved to where they part the values best.
//!    What goes to and fro, or leaves the levels mixed, is left to the narrow kernel.
//! 4. The penalty is 0.9 ln n. A split must then hold against that penalty times the dependence between neighbouring
//!    points on its two levels (at most twice): a machine that stays slow for some runs is no change of the code.
//!    Independent points leave the penalty as it is.
//! 5. An excursion of fewer than ten points that returns to where it came from is an episode, not a change; and a change
//!    below 2.5 % (half the default threshold) is not worth a line.
//!
//! What it cannot do: tell a lasting machine-wide shift from one of the code. [`super::machine_shift`] does that with
//! the other benchmarks' help.

use super::kernel::{Kernel, level_ranges, median_distance};
use crate::stats::{mann_whitney, median};

/// A point at which a series goes to another level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangePoint {
    /// The index of the first value of the new level.
    pub index: usize,
    /// The median of the level before, in the series' unit.
    pub before: f64,
    /// The median of the level after, in the series' unit.
    pub after: f64,
    /// The change in percent of `before`, positive when values grew; `None` if `before` is not above zero.
    pub percent: Option<f64>,
    /// Mann and Whitney's p value of the two levels. The place was chosen to make them differ, so take it as a measure of
    /// separation.
    pub p: f64,
}

/// What counts as a change point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChangePointSettings {
    /// The penalty of a change point, in natural logarithms of the number of points. Higher finds less.
    pub penalty: f64,
    /// Levels have at least this many points.
    pub shortest_level: usize,
    /// The last level may have as few points as this, if they are far from the level before.
    pub shortest_end: usize,
    /// An excursion of fewer points that returns is left out.
    pub shortest_excursion: usize,
    /// Changes below this percentage are left out.
    pub least_percent: f64,
}

impl Default for ChangePointSettings {
    fn default() -> Self {
        Self {
            penalty: 0.9,
            shortest_level: 5,
            shortest_end: 4,
            shortest_excursion: 10,
            least_percent: 2.5,
        }
    }
}

/// The change points of `values`, in order. Values that are not finite are passed over. A series with values that are
/// not above zero is judged on its values instead of their logarithms, and its changes have no least size.
#[must_use]
pub fn change_points(values: &[f64], settings: &ChangePointSettings) -> Vec<ChangePoint> {
    let kept: Vec<usize> = (0..values.len())
        .filter(|&index| values[index].is_finite())
        .collect();
    let plain: Vec<f64> = kept.iter().map(|&index| values[index]).collect();
    let relative = plain.iter().all(|value| *value > 0.0);
    let scale: Vec<f64> = if relative {
        plain.iter().map(|value| value.ln()).collect()
    } else {
        plain.clone()
    };
    let mut starts = segment(&scale, settings);
    drop_excursions(&scale, &mut starts, settings.shortest_excursion);
    if relative {
        drop_small(
            &scale,
            &mut starts,
            (1.0 + settings.least_percent.max(0.0) / 100.0).ln(),
        );
    }
    describe_change_points(&plain, &starts, &kept)
}

/// Bandwidths of the passes, in median distances within levels: a wide kernel sees a large step after few points, a narrow
/// one then sees small steps, and both modes of a runner pool, within what the wide one took for one level.
const SCALES: [f64; 2] = [4.0, 0.5];

fn segment(values: &[f64], settings: &ChangePointSettings) -> Vec<usize> {
    if values.len() < 2 * settings.shortest_level.max(1) {
        return Vec::new();
    }
    let penalty = settings.penalty * (values.len() as f64).ln();
    let overall = median_distance(values, &[]).and_then(|distance| usable_distance(distance, values));
    let rough = overall
        .and_then(|distance| Kernel::new(values, distance / 2.0))
        .map(|kernel| kernel.find_level_starts(penalty, settings.shortest_level));
    let within = rough
        .and_then(|rough| median_distance(values, &rough))
        .filter(|&distance| distance > 0.0)
        .or(overall);
    let Some(within) = within else {
        return Vec::new();
    };
    let [wide, narrow] = SCALES.map(|scale| scale * within);
    let mut starts = split_levels(values, &[], wide, penalty, settings.shortest_level);
    starts.extend(late_step(values, &starts, wide, penalty, settings));
    // A machine with two modes goes to and fro; what returns, however late, is left to the narrow kernel.
    drop_excursions(values, &mut starts, usize::MAX);
    place_exactly(values, &mut starts, settings.shortest_end);
    drop_mixed(values, &mut starts);
    split_levels(values, &starts, narrow, penalty, settings.shortest_level)
}

/// The starts of levels, and of those that a kernel of this bandwidth finds within them.
fn split_levels(
    values: &[f64],
    starts: &[usize],
    bandwidth: f64,
    penalty: f64,
    shortest: usize,
) -> Vec<usize> {
    let mut all = starts.to_vec();
    for (from, to) in level_ranges(starts, values.len()) {
        let Some(kernel) = Kernel::new(&values[from..to], bandwidth) else {
            continue;
        };
        let mut found = kernel.find_level_starts(penalty, shortest);
        drop_dependent(&kernel, &mut found, penalty, to - from);
        all.extend(found.into_iter().map(|start| from + start));
    }
    all.sort_unstable();
    all
}

/// A last level that is shorter than others may be, and so far away that few points show it.
fn late_step(
    values: &[f64],
    starts: &[usize],
    bandwidth: f64,
    penalty: f64,
    settings: &ChangePointSettings,
) -> Option<usize> {
    let from = starts.last().copied().unwrap_or(0);
    let level = &values[from..];
    let kernel = Kernel::new(level, bandwidth)?;
    let lengths = settings.shortest_end.max(1)..settings.shortest_level;
    let holds = |at: &usize| {
        let mut start = vec![*at];
        drop_dependent(&kernel, &mut start, penalty, level.len());
        !start.is_empty()
    };
    let mut places = lengths
        .map(|length| level.len().saturating_sub(length))
        .filter(|at| *at >= settings.shortest_level);
    places.find(holds).map(|at| from + at)
}

/// Removes splits whose levels overlap: a large step parts the values, a run of one mode among two does not.
fn drop_mixed(values: &[f64], starts: &mut Vec<usize>) {
    const MAX_OVERLAP: f64 = 0.1;
    let overlaps = |before: &[f64], after: &[f64]| {
        let (Some(left), Some(right)) = (median(before), median(after)) else {
            return true;
        };
        let middle = (left + right) / 2.0;
        let misplaced = |level: &[f64], own: f64| {
            let wrong = |value: &&f64| (**value > middle) != (own > middle);
            level.iter().filter(wrong).count() as f64 > (MAX_OVERLAP * level.len() as f64).ceil()
        };
        misplaced(before, left) || misplaced(after, right)
    };
    loop {
        let bounds: Vec<(usize, usize)> = level_ranges(starts, values.len()).collect();
        let mixed = bounds
            .windows(2)
            .position(|pair| overlaps(&values[pair[0].0..pair[0].1], &values[pair[1].0..pair[1].1]));
        match mixed {
            Some(index) => drop(starts.remove(index)),
            None => return,
        }
    }
}

/// Puts the start of every level where it parts it best from the one before, by least squares. Values beyond the two
/// medians count as these: an outlier beside the step must not move it.
fn place_exactly(values: &[f64], starts: &mut [usize], shortest: usize) {
    for index in 0..starts.len() {
        let from = if index == 0 { 0 } else { starts[index - 1] };
        let to = starts.get(index + 1).copied().unwrap_or(values.len());
        let at = starts[index];
        let (Some(before), Some(after)) = (median(&values[from..at]), median(&values[at..to])) else {
            continue;
        };
        let (low, high) = (before.min(after), before.max(after));
        // How much worse it is to count a value with the new level than with the old one.
        let worse = |value: f64| {
            let value = value.clamp(low, high);
            (value - after).powi(2) - (value - before).powi(2)
        };
        let (mut sum, mut least, mut best) = (0.0, f64::INFINITY, at);
        for place in (from + 1..to).rev() {
            sum += worse(values[place]);
            if sum < least && place - from >= shortest && to - place >= shortest {
                (least, best) = (sum, place);
            }
        }
        starts[index] = best;
    }
}

/// Removes the weakest split until every one saves the penalty times the dependence around it.
fn drop_dependent(kernel: &Kernel, starts: &mut Vec<usize>, penalty: f64, n: usize) {
    const MAX_DEPENDENCE: f64 = 2.0;
    let worth = |starts: &[usize], index: usize| {
        let from = if index == 0 { 0 } else { starts[index - 1] };
        let gain = kernel.split_gain(from, starts[index], starts.get(index + 1).copied().unwrap_or(n));
        gain.saved / (penalty * gain.dependence.min(MAX_DEPENDENCE))
    };
    let mut worths: Vec<f64> = (0..starts.len()).map(|index| worth(starts, index)).collect();
    while let Some((weakest, _)) = worths
        .iter()
        .enumerate()
        .filter(|(_, worth)| **worth < 1.0)
        .min_by(|a, b| a.1.total_cmp(b.1))
    {
        starts.remove(weakest);
        worths.remove(weakest);
        for neighbour in [weakest.wrapping_sub(1), weakest] {
            if let Some(slot) = worths.get_mut(neighbour) {
                *slot = worth(starts, neighbour);
            }
        }
    }
}

/// The median distance, or if most values are equal the mean one.
fn usable_distance(median_distance: f64, values: &[f64]) -> Option<f64> {
    if median_distance > 0.0 {
        return Some(median_distance);
    }
    let centre = median(values)?;
    let mean = values.iter().map(|value| (value - centre).abs()).sum::<f64>() / values.len() as f64;
    (mean > 0.0).then_some(mean)
}

/// Medians of the levels; every level has points, all finite.
fn level_medians(values: &[f64], starts: &[usize]) -> Vec<f64> {
    level_ranges(starts, values.len())
        .map(|(from, to)| median(&values[from..to]).unwrap_or(f64::NAN))
        .collect()
}

/// Removes both ends of a short level whose neighbours are closer to each other than half its distance from them.
fn drop_excursions(values: &[f64], starts: &mut Vec<usize>, shortest: usize) {
    loop {
        let medians = level_medians(values, starts);
        let excursion = (1..starts.len()).find(|&level| {
            let (before, here, after) = (medians[level - 1], medians[level], medians[level + 1]);
            let away = (here - before).abs().min((here - after).abs());
            starts[level] - starts[level - 1] < shortest && (before - after).abs() < away / 2.0
        });
        match excursion {
            Some(level) => drop(starts.drain(level - 1..=level)),
            None => return,
        }
    }
}

/// Removes the smallest change until all are at least `least` (on the logarithmic scale).
fn drop_small(values: &[f64], starts: &mut Vec<usize>, least: f64) {
    loop {
        let medians = level_medians(values, starts);
        let sizes = medians.windows(2).map(|pair| (pair[1] - pair[0]).abs());
        match sizes.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((index, size)) if size < least => drop(starts.remove(index)),
            _ => return,
        }
    }
}

/// Change points at `starts` of `values`; `original` maps an index to that of the series as given.
pub(crate) fn describe_change_points(
    values: &[f64],
    starts: &[usize],
    original: &[usize],
) -> Vec<ChangePoint> {
    let bounds: Vec<(usize, usize)> = level_ranges(starts, values.len()).collect();
    bounds
        .windows(2)
        .filter_map(|pair| {
            let (left, right) = (&values[pair[0].0..pair[0].1], &values[pair[1].0..pair[1].1]);
            let (before, after) = (median(left)?, median(right)?);
            Some(ChangePoint {
                index: original[pair[1].0],
                before,
                after,
                percent: (before > 0.0).then(|| (after / before - 1.0) * 100.0),
                p: mann_whitney(left, right)?.p,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::rng::Rng;

    fn indices(values: &[f64]) -> Vec<usize> {
        change_points(values, &ChangePointSettings::default())
            .iter()
            .map(|point| point.index)
            .collect()
    }

    fn noise(seed: u64, count: usize, spread: f64) -> Vec<f64> {
        let mut rng = Rng::new(seed);
        (0..count)
            .map(|_| 1000.0 * (spread * rng.next_normal()).exp())
            .collect()
    }

    #[test]
    fn a_step_is_described() {
        let mut values = noise(1, 100, 0.02);
        values[60..].iter_mut().for_each(|value| *value *= 1.10);
        let points = change_points(&values, &ChangePointSettings::default());
        assert_eq!(points.len(), 1, "{points:?}");
        assert!(points[0].index.abs_diff(60) <= 1);
        assert!(
            (points[0].percent.unwrap() - 10.0).abs() < 2.0 && points[0].p < 1e-6,
            "{points:?}"
        );
    }

    #[test]
    fn noise_spikes_and_episodes_are_no_change() {
        assert!(indices(&noise(2, 200, 0.2)).is_empty());
        let mut spikes = noise(3, 100, 0.01);
        for index in [10, 40, 41, 90] {
            spikes[index] *= 3.0;
        }
        assert!(indices(&spikes).is_empty());
        let mut episode = noise(4, 100, 0.01);
        episode[50..57].iter_mut().for_each(|value| *value *= 1.3);
        assert!(indices(&episode).is_empty());
    }

    /// Level 1000 for `before` points and twice that for `after`, with a spread of 2 %.
    fn doubling(seed: u64, before: usize, after: usize) -> Vec<f64> {
        let mut values = noise(seed, before + after, 0.02);
        values[before..].iter_mut().for_each(|value| *value *= 2.0);
        values
    }

    #[test]
    fn a_doubling_is_seen_after_four_runs_and_placed_exactly() {
        for seed in 1..=100 {
            assert_eq!(indices(&doubling(seed, 8, 8)), [8], "{seed}");
            assert_eq!(indices(&doubling(seed, 50, 4)), [50], "{seed}");
            assert_eq!(indices(&doubling(seed, 50, 7)), [50], "{seed}");
            assert!(
                indices(&doubling(seed, 50, 2)).is_empty(),
                "{seed}: two may be an episode"
            );
        }
    }

    #[test]
    fn an_outlier_beside_a_step_does_not_move_it() {
        for at in [5, 6, 9, 10] {
            let mut values = doubling(7, 8, 8);
            values[at] *= 6.0;
            assert_eq!(indices(&values), [8], "{at}");
        }
    }

    #[test]
    fn both_modes_of_a_runner_pool_move() {
        let mut rng = Rng::new(8);
        let mut values: Vec<f64> = (0..120)
            .map(|_| if rng.next_unit() < 0.5 { 1000.0 } else { 1300.0 } * (0.01 * rng.next_normal()).exp())
            .collect();
        values[60..].iter_mut().for_each(|value| *value *= 1.08);
        let found = indices(&values);
        assert!(found.len() == 1 && found[0].abs_diff(60) <= 3, "{found:?}");
    }

    #[test]
    fn indices_count_values_that_were_passed_over() {
        let mut values = noise(1, 100, 0.02);
        values[60..].iter_mut().for_each(|value| *value *= 1.5);
        values.insert(3, f64::NAN);
        assert_eq!(indices(&values), [61]);
    }

    #[test]
    fn zeros_and_negatives_have_change_points_without_percent() {
        let values: Vec<f64> = (0..60)
            .map(|i| if i < 30 { -1.0 } else { 5.0 } + f64::from(i % 5) * 0.1)
            .collect();
        let points = change_points(&values, &ChangePointSettings::default());
        assert_eq!(
            points
                .iter()
                .map(|point| (point.index, point.percent))
                .collect::<Vec<_>>(),
            [(30, None)]
        );
        assert!(indices(&[]).is_empty() && indices(&[5.0; 40]).is_empty());
    }

    #[test]
    fn counts_that_are_constant_but_for_a_step_are_split() {
        let values: Vec<f64> = (0..60).map(|i| if i < 50 { 100.0 } else { 103.0 }).collect();
        assert_eq!(indices(&values), [50]);
    }
}
