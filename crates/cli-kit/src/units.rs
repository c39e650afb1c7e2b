//! Figures as people read them: three digits and a unit.

use std::time::Duration;

/// A number of things: `999`, `1.52 k`, `2.10 M`.
#[must_use]
pub fn format_count(count: u64) -> String {
    if count < 1000 {
        count.to_string()
    } else {
        scaled(count as f64, 1000.0, &["", " k", " M", " G", " T"])
    }
}

/// Things a second: `12.0 /s`, `1.52 M/s`.
#[must_use]
pub fn format_rate(per_second: f64) -> String {
    let prefixed = scaled(per_second, 1000.0, &[" ", " k", " M", " G", " T"]);
    format!("{prefixed}/s")
}

/// A size: `512 B`, `1.50 KiB`, `20.0 MiB`.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    if bytes < 1024 {
        format!("{bytes} B")
    } else {
        scaled(bytes as f64, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB"])
    }
}

/// A time span: `850 ns`, `12.0 µs`, `3.20 s`, `2 m 05 s`, `1 h 02 m`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    // Rounded first, so that 59.999 s becomes a minute and not `60.0 s`.
    let whole = seconds.round() as u64;
    match whole {
        3600.. => format!("{} h {:02} m", whole / 3600, whole % 3600 / 60),
        60.. => format!("{} m {:02} s", whole / 60, whole % 60),
        _ if duration.as_nanos() < 1000 => format!("{} ns", duration.as_nanos()),
        _ if seconds < 1.0 => scaled(seconds * 1e9, 1000.0, &[" ns", " µs", " ms", " s"]),
        _ => format!("{} s", three_digits(seconds)),
    }
}

/// `value` divided by `step` until it is small, with the unit of that many steps.
fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut units = units.iter().peekable();
    let mut unit = units.next().copied().unwrap_or_default();
    // 999.5 would be printed as 1000: it belongs to the next unit.
    while value.abs() >= step - 0.5 {
        let Some(next) = units.next() else { break };
        unit = next;
        value /= step;
    }
    format!("{}{unit}", three_digits(value))
}

fn three_digits(value: f64) -> String {
    match value.abs() {
        size if size < 9.995 => format!("{value:.2}"),
        size if size < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts() {
        let text = [0, 999, 1000, 1_523_000, 999_499, 999_999, u64::MAX].map(format_count);
        assert_eq!(
            text,
            ["0", "999", "1.00 k", "1.52 M", "999 k", "1.00 M", "18446744 T"]
        );
    }

    #[test]
    fn rates() {
        assert_eq!(
            [12.0, 1_523_000.0, 0.25].map(format_rate),
            ["12.0 /s", "1.52 M/s", "0.25 /s"]
        );
    }

    #[test]
    fn sizes() {
        let text = [0, 1023, 1024, 1536, 20 << 20, 1 << 40].map(format_bytes);
        assert_eq!(
            text,
            ["0 B", "1023 B", "1.00 KiB", "1.50 KiB", "20.0 MiB", "1.00 TiB"]
        );
    }

    #[test]
    fn durations() {
        let nanos = [0, 850, 12_000, 999_999, 3_200_000_000, 59_999_000_000];
        let text = nanos.map(|nanos| format_duration(Duration::from_nanos(nanos)));
        assert_eq!(
            text,
            ["0 ns", "850 ns", "12.0 µs", "1.00 ms", "3.20 s", "1 m 00 s"]
        );
        assert_eq!(format_duration(Duration::from_secs(125)), "2 m 05 s");
        assert_eq!(format_duration(Duration::from_secs(3725)), "1 h 02 m");
    }

    proptest! {
        #[test]
        fn nothing_is_longer_than_a_column(value in 0u64..1_000_000_000_000_000) {
            prop_assert!(format_count(value).len() <= 6, "{}", format_count(value));
            prop_assert!(format_bytes(value).len() <= 8, "{}", format_bytes(value));
        }
    }
}
