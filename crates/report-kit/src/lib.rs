//! What reports of both families are made with.
//!
//! [`data_table`] has rows of figures for people, programs and spreadsheets, [`prometheus`] its text format, [`escape`] takes
//! markup out of text, [`template`] fills templates in, and `pdf` (with the feature of that name) makes documents for printers.
//! Nothing here knows what a report is about, prints anything, or reads any file but templates.

pub mod data_table;
pub mod escape;
#[cfg(feature = "pdf")]
pub mod pdf;
pub mod prometheus;
pub mod template;

/// A number with its thousands apart: `1,234,567`.
#[must_use]
pub fn format_number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in percent: `12.3 %`; nothing of nothing is 0.
#[must_use]
pub fn format_percent(part: u64, whole: u64) -> String {
    let share = if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64 * 100.0
    };
    let shown = format!("{share:.1}");
    match shown.as_str() {
        // What is not all must not look like all, and what is there must not look like nothing.
        "100.0" if part < whole => "> 99.9 %".to_owned(),
        "0.0" if part > 0 => "< 0.1 %".to_owned(),
        _ => format!("{shown} %"),
    }
}

/// `1 block`, `2 blocks`.
#[must_use]
pub fn format_count(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", format_number(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(format_number),
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn nearly_all_is_not_all() {
        assert_eq!(format_percent(1, 2), "50.0 %");
        assert_eq!(format_percent(99_999, 100_000), "> 99.9 %");
        assert_eq!(format_percent(1, 100_000), "< 0.1 %");
        assert_eq!(format_percent(0, 0), "0.0 %");
        assert_eq!(format_percent(7, 7), "100.0 %");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(format_count(1, "block"), "1 block");
        assert_eq!(format_count(1200, "block"), "1,200 blocks");
    }
}
