//! Units and directions. Every number is converted to a base unit where it enters, so that 990 ns and 1.1 us
//! of two runs can be compared.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A base unit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Unit {
    /// Time, `ns`.
    Nanoseconds,
    /// Memory or data, `B`.
    Bytes,
    /// Events: instructions, cycles, allocations, cache misses; `count`.
    Count,
    /// Operations, elements or iterations per second, `ops/s`.
    OperationsPerSecond,
    /// Data per second, `B/s`.
    BytesPerSecond,
    /// A number without unit, `ratio`; percentages come in divided by 100.
    Ratio,
    /// A unit this library does not know, as the tool spells it, unconverted.
    Custom(String),
}

impl Unit {
    /// How the unit is written in files and tables.
    #[must_use]
    pub fn symbol(&self) -> &str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Bytes => "B",
            Self::Count => "count",
            Self::OperationsPerSecond => "ops/s",
            Self::BytesPerSecond => "B/s",
            Self::Ratio => "ratio",
            Self::Custom(name) => name,
        }
    }

    /// The direction that goes without saying for the unit; `None` where only the tool or the user can know.
    #[must_use]
    pub fn usual_direction(&self) -> Option<Direction> {
        match self {
            Self::Nanoseconds | Self::Bytes | Self::Count => Some(Direction::SmallerIsBetter),
            Self::OperationsPerSecond | Self::BytesPerSecond => Some(Direction::BiggerIsBetter),
            Self::Ratio | Self::Custom(_) => None,
        }
    }

    /// `value` (in this base unit) for people, four significant digits: `1.234 µs`, `5.737 GiB/s`, `12.3 M`.
    #[must_use]
    pub fn format_value(&self, value: f64) -> String {
        let steps: &[(f64, &str)] = match self {
            Self::Nanoseconds => &[
                (1e9, " s"),
                (1e6, " ms"),
                (1e3, " µs"),
                (1.0, " ns"),
                (1e-3, " ps"),
            ],
            Self::Bytes => &[(GIB, " GiB"), (MIB, " MiB"), (KIB, " KiB"), (1.0, " B")],
            Self::BytesPerSecond => &[(GIB, " GiB/s"), (MIB, " MiB/s"), (KIB, " KiB/s"), (1.0, " B/s")],
            Self::OperationsPerSecond => &[
                (1e9, " Gops/s"),
                (1e6, " Mops/s"),
                (1e3, " kops/s"),
                (1.0, " ops/s"),
            ],
            Self::Count => &[(1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, "")],
            Self::Ratio | Self::Custom(_) => &[(1.0, "")],
        };
        let magnitude = value.abs();
        let smallest = (1.0, "");
        let &(factor, suffix) = steps
            .iter()
            .find(|(factor, _)| magnitude >= *factor)
            .or_else(|| {
                steps
                    .iter()
                    .find(|(factor, _)| magnitude == 0.0 && *factor == 1.0)
            })
            .or(steps.last())
            .unwrap_or(&smallest);
        let number = four_digits(value / factor);
        match self {
            Self::Custom(name) => format!("{number} {name}"),
            _ => format!("{number}{suffix}"),
        }
    }
}

/// Four significant digits without an exponent, as far as that is readable.
fn four_digits(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    if !(1e-4..1e15).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = if magnitude >= 1000.0 {
        0
    } else if magnitude >= 100.0 {
        1
    } else if magnitude >= 10.0 {
        2
    } else if magnitude >= 1.0 {
        3
    } else {
        4
    };
    format!("{value:.decimals$}")
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.symbol())
    }
}

impl From<String> for Unit {
    /// The unit of that symbol; any other text is a custom unit.
    fn from(symbol: String) -> Self {
        match symbol.as_str() {
            "ns" => Self::Nanoseconds,
            "B" => Self::Bytes,
            "count" => Self::Count,
            "ops/s" => Self::OperationsPerSecond,
            "B/s" => Self::BytesPerSecond,
            "ratio" => Self::Ratio,
            _ => Self::Custom(symbol),
        }
    }
}

impl From<Unit> for String {
    fn from(unit: Unit) -> Self {
        match unit {
            Unit::Custom(name) => name,
            known => known.symbol().to_owned(),
        }
    }
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Times, sizes, counts.
    SmallerIsBetter,
    /// Rates.
    BiggerIsBetter,
}

/// A text that names no direction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no direction; give smaller-is-better or bigger-is-better")]
pub struct UnknownDirection(String);

impl FromStr for Direction {
    type Err = UnknownDirection;

    fn from_str(text: &str) -> Result<Self, UnknownDirection> {
        let all = [Self::SmallerIsBetter, Self::BiggerIsBetter];
        let found = all.into_iter().find(|direction| direction.as_str() == text);
        found.ok_or_else(|| UnknownDirection(text.to_owned()))
    }
}

impl Direction {
    /// Its name where programs read it: `smaller-is-better`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SmallerIsBetter => "smaller-is-better",
            Self::BiggerIsBetter => "bigger-is-better",
        }
    }

    /// Whether going from `before` to `after` is a change for the worse.
    #[must_use]
    pub fn is_worse(self, before: f64, after: f64) -> bool {
        match self {
            Self::SmallerIsBetter => after > before,
            Self::BiggerIsBetter => after < before,
        }
    }

    /// How much slower `after` is than `before`, as a cost ratio: 1.05 is 5 % slower for a time, and for a rate
    /// it is the rate that takes 5 % more time per operation. Above 1 is always worse.
    #[must_use]
    pub fn cost_ratio(self, before: f64, after: f64) -> f64 {
        match self {
            Self::SmallerIsBetter => after / before,
            Self::BiggerIsBetter => before / after,
        }
    }
}

const KIB: f64 = 1024.0;
const MIB: f64 = KIB * 1024.0;
const GIB: f64 = MIB * 1024.0;
const TIB: f64 = GIB * 1024.0;

/// How a tool's unit maps to a base unit: `base = factor * printed`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// The base unit.
    pub unit: Unit,
    /// What a printed number is multiplied with.
    pub factor: f64,
}

impl Scale {
    /// A base unit as it is.
    #[must_use]
    pub fn from_base_unit(unit: Unit) -> Self {
        Self { unit, factor: 1.0 }
    }

    /// Reads a unit as tools print it: `ns/iter`, `µs`, `s/op`, `ops/ms`, `MB/s`, `KiB`, `allocs/op`, `%`.
    /// "Per operation" is dropped, since every value is per operation. `None` for a unit that is not known;
    /// the caller decides whether that becomes [`Unit::Custom`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (numerator, denominator) = match text.split_once('/') {
            Some((numerator, denominator)) => (numerator.trim(), Some(denominator.trim())),
            None => (text, None),
        };
        match denominator {
            None => size_or_time(numerator),
            Some("iter" | "iters" | "op" | "ops" | "iteration" | "call" | "run") => size_or_time(numerator),
            Some(time) => rate(numerator, time),
        }
    }

    /// [`Scale::parse`], with any other text kept as a custom unit.
    #[must_use]
    pub fn parse_or_custom(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|| Self::from_base_unit(Unit::Custom(text.trim().to_owned())))
    }
}

fn size_or_time(text: &str) -> Option<Scale> {
    if let Some(factor) = nanoseconds(text) {
        return Some(Scale {
            unit: Unit::Nanoseconds,
            factor,
        });
    }
    if let Some(factor) = bytes(text) {
        return Some(Scale {
            unit: Unit::Bytes,
            factor,
        });
    }
    let (unit, factor) = match text {
        "count" | "instructions" | "instr" | "cycles" | "allocs" | "alloc" | "allocations" => {
            (Unit::Count, 1.0)
        }
        "%" | "percent" => (Unit::Ratio, 0.01),
        "ratio" => (Unit::Ratio, 1.0),
        _ => return None,
    };
    Some(Scale { unit, factor })
}

fn rate(numerator: &str, time: &str) -> Option<Scale> {
    let per_second = 1e9 / nanoseconds(time)?;
    if let Some(factor) = bytes(numerator) {
        return Some(Scale {
            unit: Unit::BytesPerSecond,
            factor: factor * per_second,
        });
    }
    let (prefix, _) = [
        "ops",
        "op",
        "elem",
        "iter",
        "iterations",
        "items",
        "req",
        "requests",
    ]
    .iter()
    .find_map(|noun| numerator.strip_suffix(noun).map(|prefix| (prefix, noun)))?;
    let factor = match prefix {
        "" => 1.0,
        "K" | "k" => 1e3,
        "M" => 1e6,
        "G" | "B" => 1e9,
        "T" => 1e12,
        _ => return None,
    };
    Some(Scale {
        unit: Unit::OperationsPerSecond,
        factor: factor * per_second,
    })
}

/// How many nanoseconds the unit has. Both micro signs (U+00B5, U+03BC) are in use.
fn nanoseconds(text: &str) -> Option<f64> {
    Some(match text {
        "ps" | "picoseconds" => 1e-3,
        "ns" | "nsec" | "nanosecond" | "nanoseconds" => 1.0,
        "us" | "µs" | "μs" | "usec" | "microsecond" | "microseconds" => 1e3,
        "ms" | "msec" | "millisecond" | "milliseconds" => 1e6,
        "s" | "sec" | "secs" | "second" | "seconds" => 1e9,
        "m" | "min" | "minute" | "minutes" => 6e10,
        "h" | "hr" | "hour" | "hours" => 3.6e12,
        _ => return None,
    })
}

/// How many bytes the unit has; decimal and binary prefixes are told apart by the `i`.
fn bytes(text: &str) -> Option<f64> {
    Some(match text {
        "B" | "byte" | "bytes" | "Byte" | "Bytes" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KiB" => KIB,
        "MiB" => MIB,
        "GiB" => GIB,
        "TiB" => TIB,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_units_become_base_units() {
        let cases = [
            ("ns/iter", Unit::Nanoseconds, 1.0),
            ("µs", Unit::Nanoseconds, 1e3),
            ("μs/iter", Unit::Nanoseconds, 1e3),
            ("s/op", Unit::Nanoseconds, 1e9),
            ("ops/s", Unit::OperationsPerSecond, 1.0),
            ("ops/ms", Unit::OperationsPerSecond, 1e3),
            ("Kelem/s", Unit::OperationsPerSecond, 1e3),
            ("iter/sec", Unit::OperationsPerSecond, 1.0),
            ("MB/s", Unit::BytesPerSecond, 1e6),
            ("GiB/s", Unit::BytesPerSecond, GIB),
            ("B/op", Unit::Bytes, 1.0),
            ("allocs/op", Unit::Count, 1.0),
            ("%", Unit::Ratio, 0.01),
        ];
        for (text, unit, factor) in cases {
            assert_eq!(Scale::parse(text), Some(Scale { unit, factor }), "{text}");
        }
        assert_eq!(Scale::parse("auxMetricUnits"), None);
        assert_eq!(Scale::parse_or_custom(" fps ").unit, Unit::Custom("fps".into()));
    }

    #[test]
    fn values_read_well() {
        assert_eq!(Unit::Nanoseconds.format_value(1_234_567.0), "1.235 ms");
        assert_eq!(Unit::Nanoseconds.format_value(0.32), "320.0 ps");
        assert_eq!(Unit::Nanoseconds.format_value(0.0), "0 ns");
        assert_eq!(Unit::BytesPerSecond.format_value(6.0 * GIB), "6.000 GiB/s");
        assert_eq!(Unit::Count.format_value(26_214_735.0), "26.21 M");
        assert_eq!(Unit::Custom("fps".into()).format_value(59.94), "59.94 fps");
    }

    #[test]
    fn a_rate_that_costs_five_percent_more_time_has_the_ratio_of_the_time() {
        assert!((Direction::BiggerIsBetter.cost_ratio(105.0, 100.0) - 1.05).abs() < 1e-12);
        assert!(Direction::BiggerIsBetter.is_worse(105.0, 100.0));
        assert!(!Direction::SmallerIsBetter.is_worse(105.0, 100.0));
    }

    #[test]
    fn symbols_survive_a_round_trip() {
        for unit in [
            Unit::Nanoseconds,
            Unit::Bytes,
            Unit::Count,
            Unit::OperationsPerSecond,
            Unit::BytesPerSecond,
            Unit::Ratio,
            Unit::Custom("fps".into()),
        ] {
            assert_eq!(Unit::from(String::from(unit.clone())), unit);
        }
    }
}
