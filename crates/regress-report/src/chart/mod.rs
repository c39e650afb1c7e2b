//! The one writer of drawings: a series of values as inline SVG, in full with axes, or as a small line.
//!
//! A [`Chart`] is a plain view; reports and pages fill it in. Colours and sizes of text come from the classes of
//! `style.css`, so that a drawing follows light and dark and needs no style of its own. It judges nothing.

mod axes;
mod full;
mod spark;

use regress_core::measurement::{Direction, Unit};

pub(crate) use full::render_full_chart;
pub(crate) use spark::render_sparkline;

/// A series of values with what is known about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chart {
    /// What the values are of.
    pub(crate) name: String,
    /// Their base unit.
    pub(crate) unit: Unit,
    /// Which way is better.
    pub(crate) direction: Direction,
    /// Oldest first.
    pub(crate) points: Vec<Point>,
    /// Where the series went to another level, in order.
    pub(crate) marks: Vec<Mark>,
    /// The baseline.
    pub(crate) band: Option<Band>,
    /// Whether the points are one trend in time that a line may join.
    pub(crate) joined: bool,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    /// In the base unit; what is not finite is not drawn.
    pub(crate) value: f64,
    /// What a reader sees who points at it, beside the value.
    pub(crate) label: String,
    /// Where a click leads.
    pub(crate) href: Option<String>,
    /// Its day, for the axis.
    pub(crate) day: String,
    /// How it is drawn.
    pub(crate) kind: PointKind,
}

/// How a value is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PointKind {
    /// Part of the history.
    Past,
    /// What is being judged.
    Now,
    /// Kept out of the baseline.
    Rejected,
}

/// The beginning of another level.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    /// Index of its first value.
    pub(crate) index: usize,
    /// Median of the level before.
    pub(crate) before: f64,
    /// Median of the level after.
    pub(crate) after: f64,
    /// Whether the machine is the likely cause.
    pub(crate) machine: bool,
    /// The commit, as short as people write it.
    pub(crate) commit: String,
}

/// What a new value is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Band {
    /// Lowest value.
    pub(crate) low: f64,
    /// Highest value.
    pub(crate) high: f64,
    /// Index of the first value that is part of it.
    pub(crate) from: usize,
}

/// For which width a drawing is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Size {
    class: &'static str,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    /// More points than this help nobody at this width.
    most: usize,
    /// Whether points can be pointed at one by one.
    detailed: bool,
}

impl Size {
    /// Within a report, on any screen.
    pub(crate) const REPORT: Self = Self {
        class: "chart",
        width: 640.0,
        height: 210.0,
        left: 120.0,
        right: 12.0,
        top: 26.0,
        bottom: 22.0,
        most: 500,
        detailed: true,
    };
    /// Across a page on a large screen.
    pub(crate) const WIDE: Self = Self {
        class: "chart wide",
        width: 960.0,
        height: 320.0,
        left: 76.0,
        right: 14.0,
        top: 30.0,
        bottom: 30.0,
        most: 1000,
        detailed: true,
    };
    /// Across a page on a phone.
    pub(crate) const NARROW: Self = Self {
        class: "chart narrow",
        width: 400.0,
        height: 260.0,
        left: 68.0,
        right: 10.0,
        top: 30.0,
        bottom: 28.0,
        most: 250,
        detailed: false,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> Chart {
        let point = |value: &f64| Point {
            value: *value,
            label: "<a>".to_owned(),
            href: Some("/x?a=1&b='".to_owned()),
            day: "2026-11-21".to_owned(),
            kind: PointKind::Past,
        };
        Chart {
            name: "\"><script>".to_owned(),
            unit: Unit::Custom("<b>".to_owned()),
            direction: Direction::SmallerIsBetter,
            points: values.iter().map(point).collect(),
            marks: Vec::new(),
            band: None,
            joined: true,
        }
    }

    const SIZES: [Size; 3] = [Size::REPORT, Size::WIDE, Size::NARROW];

    #[test]
    fn odd_values_do_not_break_the_drawing() {
        let mut odd = chart(&[f64::NAN, f64::MAX, -f64::MAX, 0.0, f64::INFINITY]);
        odd.band = Some(Band {
            low: f64::NAN,
            high: 1.0,
            from: 9,
        });
        odd.marks = vec![Mark {
            index: 9000,
            before: f64::INFINITY,
            after: 0.0,
            machine: false,
            commit: String::new(),
        }];
        for size in SIZES {
            let drawing = render_full_chart(&odd, size);
            assert!(
                !drawing.contains("NaN") && !drawing.contains("\"inf"),
                "{drawing}"
            );
            assert!(render_full_chart(&chart(&[0.0; 5]), size).contains("polyline"));
            assert_eq!(render_full_chart(&chart(&[1.0]), size), "");
        }
    }

    #[test]
    fn names_units_and_links_stay_text() {
        for size in SIZES {
            let drawing = render_full_chart(&chart(&[1.0, 2.0, 3.0]), size);
            assert!(
                !drawing.contains("<script") && !drawing.contains("<b>"),
                "{drawing}"
            );
            assert!(
                !drawing.contains("b='") && !drawing.contains("style="),
                "{drawing}"
            );
        }
    }

    #[test]
    fn long_histories_are_cut_at_their_start() {
        let values: Vec<f64> = (0..5000).map(|i| 1e6 + f64::from(i)).collect();
        let drawing = render_full_chart(&chart(&values), Size::WIDE);
        assert_eq!(drawing.matches("<circle").count(), Size::WIDE.most);
        assert!(render_full_chart(&chart(&values), Size::NARROW).len() < 16_000);
    }

    #[test]
    fn one_outlier_does_not_flatten_the_rest() {
        let mut values: Vec<f64> = (0..60).map(|i| 100.0 + f64::from(i % 7)).collect();
        values[30] = 10_000.0;
        let drawing = render_full_chart(&chart(&values), Size::WIDE);
        assert!(drawing.contains("class=\"beyond past\""), "{drawing}");
        assert!(
            drawing.contains("10000 &lt;b&gt;"),
            "its value can still be read: {drawing}"
        );
    }
}
