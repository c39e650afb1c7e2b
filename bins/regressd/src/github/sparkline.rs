//! A history as one line of Unicode blocks, for places that show text only.

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The last `most` values as blocks from the lowest to the highest of them; empty with fewer than two. A change of
/// less than two percent stays a flat line, so that noise does not look like mountains.
#[must_use]
pub fn render_sparkline(values: &[f64], most: usize) -> String {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let shown = &finite[finite.len().saturating_sub(most)..];
    if shown.len() < 2 {
        return String::new();
    }
    let low = shown.iter().copied().fold(f64::INFINITY, f64::min);
    let high = shown.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let reach = (high - low).max(high.abs() * 0.02).max(f64::MIN_POSITIVE);
    let steps = (BLOCKS.len() - 1) as f64;
    shown
        .iter()
        .map(|value| {
            // Between 0 and 1 whatever the values; a reach beyond the range of numbers makes it 0.
            let share = ((value - low) / reach).clamp(0.0, 1.0);
            BLOCKS[(share * steps).round() as usize]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(render_sparkline(&[1.0, 2.0, 3.0, 8.0], 9), "▁▂▃█");
        assert_eq!(render_sparkline(&[1.0, 2.0, 3.0, 8.0], 2), "▁█");
        assert_eq!(render_sparkline(&[100.0, 100.2, 100.1], 9), "▁▂▁");
        assert_eq!(render_sparkline(&[5.0, f64::NAN], 9), "");
        assert_eq!(render_sparkline(&[0.0, 0.0, f64::INFINITY], 9), "▁▁");
        assert_eq!(render_sparkline(&[-f64::MAX, f64::MAX], 9).chars().count(), 2);
    }
}
