//! Where values lie on a drawing.

use super::{Chart, PointKind, Size};

/// Fewer values are shown from the lowest to the highest, whatever they are.
const MIN_TO_CUT: usize = 20;

/// The places of values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axes {
    pub(super) low: f64,
    pub(super) high: f64,
    count: usize,
    size: Size,
}

impl Axes {
    /// Axes for the points from `skipped` on; `None` with fewer than two values.
    pub(super) fn new(chart: &Chart, skipped: usize, size: Size) -> Option<Self> {
        let shown = &chart.points[skipped..];
        let mut values: Vec<f64> = shown
            .iter()
            .map(|point| point.value)
            .filter(|value| value.is_finite())
            .collect();
        if values.len() < 2 {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let (low, high) = most(&values);
        // What is judged and what it is judged by are seen in any case.
        let now = shown.iter().filter(|point| point.kind == PointKind::Now);
        let band = chart.band.into_iter().flat_map(|band| [band.low, band.high]);
        let must = now.map(|point| point.value).chain(band);
        let (low, high) = must
            .filter(|value| value.is_finite())
            .fold((low, high), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        // A least height, so that noise below a percent stays a flat line.
        let reach = (high - low).max(high.abs() * 0.02).max(f64::MIN_POSITIVE);
        let middle = f64::midpoint(low, high);
        let axes = Self {
            low: middle - 0.58 * reach,
            high: middle + 0.58 * reach,
            count: shown.len(),
            size,
        };
        (axes.low.is_finite() && axes.high.is_finite() && axes.high > axes.low).then_some(axes)
    }

    pub(super) fn x(&self, index: usize) -> f64 {
        let steps = self.count.saturating_sub(1).max(1) as f64;
        let room = self.size.width - self.size.left - self.size.right;
        self.size.left + room * index as f64 / steps
    }

    /// The height of a value; of one that lies beyond, the edge.
    pub(super) fn y(&self, value: f64) -> f64 {
        let share = (self.high - value) / (self.high - self.low);
        self.size.top + (self.size.height - self.size.top - self.size.bottom) * share.clamp(0.0, 1.0)
    }

    /// Whether a value lies beyond the edge.
    pub(super) fn is_beyond(&self, value: f64) -> bool {
        !(self.low..=self.high).contains(&value)
    }

    /// Round values for the lines of the grid.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let rough = (self.high - self.low) / 5.0;
        let power = 10.0_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= rough);
        let Some(step) = step.filter(|step| step.is_normal()) else {
            return vec![f64::midpoint(self.low, self.high)];
        };
        let first = (self.low / step).ceil();
        (0..8)
            .map(|index| (first + f64::from(index)) * step)
            .filter(|tick| tick.is_finite() && *tick <= self.high)
            .collect()
    }
}

/// The range of most of these sorted values: a few outliers must not flatten the rest.
fn most(values: &[f64]) -> (f64, f64) {
    let (lowest, highest) = (values[0], values[values.len() - 1]);
    if values.len() < MIN_TO_CUT {
        return (lowest, highest);
    }
    let beyond = values.len() / 33;
    let (low, high) = (values[beyond], values[values.len() - 1 - beyond]);
    let reach = 0.6 * (high - low).max(high.abs() * 0.02);
    (lowest.max(low - reach), highest.min(high + reach))
}
