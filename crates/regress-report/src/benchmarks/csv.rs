//! For spreadsheets: a row a benchmark and measure, as RFC 4180 has it, values in base units.

use std::borrow::Cow;

use report_kit::data_table::csv_line;

use super::{Report, Row};

/// Names of the columns, in their order.
const COLUMNS: [&str; 18] = [
    "benchmark",
    "unit",
    "direction",
    "verdict",
    "before",
    "now",
    "change_percent",
    "interval_low_percent",
    "interval_high_percent",
    "threshold_percent",
    "p",
    "q",
    "effect",
    "confidence",
    "noisy",
    "runs_before",
    "runs_now",
    "reason",
];

/// The rows of the report; lines end in CR and LF. What there is none of is an empty field.
#[must_use]
pub fn render_csv(report: &Report) -> String {
    let mut text = csv_line(COLUMNS);
    for row in &report.rows {
        text += &csv_line(fields(row));
    }
    text
}

fn fields(row: &Row) -> [Cow<'_, str>; COLUMNS.len()] {
    let number = |value: Option<f64>| match value {
        Some(value) if value.is_finite() => Cow::from(value.to_string()),
        _ => Cow::from(""),
    };
    [
        row.name.as_str().into(),
        row.unit.to_string().into(),
        row.direction.as_str().into(),
        row.verdict.as_str().into(),
        number(row.before),
        number(row.after),
        number(row.percent),
        number(row.interval.map(|(low, _)| low)),
        number(row.interval.map(|(_, high)| high)),
        number(Some(row.threshold)),
        number(row.p),
        number(row.q),
        number(row.effect),
        number(row.confidence),
        row.noisy.to_string().into(),
        row.before_values.len().to_string().into(),
        row.after_values.len().to_string().into(),
        row.reason.as_str().into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::example_report;
    use super::*;

    #[test]
    fn a_table() {
        insta::assert_snapshot!(render_csv(&example_report()).replace("\r\n", "\n"));
    }

    #[test]
    fn every_line_has_every_field_and_no_number_is_a_word() {
        let mut report = example_report();
        report.rows[0].name = "a \"b\", c".to_owned();
        report.rows[0].percent = Some(f64::INFINITY);
        let text = render_csv(&report);
        assert!(
            text.contains("\"a \"\"b\"\", c\",ns,") && !text.contains("inf"),
            "{text}"
        );
        assert_eq!(text.matches("\r\n").count(), report.rows.len() + 1);
    }
}
