//! Values of options and settings that are more than a word or a number.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Processes that a run may have.
pub(crate) const RUNS: RangeInclusive<u32> = 1..=1000;

/// The form of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Tables and sentences for people
    #[default]
    Human,
    /// One JSON document
    Json,
    /// Markdown as GitHub has it
    Markdown,
    /// One HTML file that needs no other
    Html,
    /// Comma-separated values, a row a benchmark
    Csv,
    /// A document for paper, with a chart of each benchmark that should be looked at
    Pdf,
    /// JUnit XML, a test case a benchmark
    Junit,
    /// Annotations, and the job summary if GITHUB_STEP_SUMMARY is set
    Github,
}

/// A size of paper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Paper {
    /// 210 mm by 297 mm
    #[default]
    A4,
    /// 8.5 by 11 inches
    Letter,
    /// 8.5 by 14 inches
    Legal,
}

/// The form of a table for other programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    /// An object a row
    #[default]
    Json,
    /// Comma-separated values as RFC 4180 has them
    Csv,
}

/// A percentage: `5%`, `5 %` or `5`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Percent(pub(crate) f64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().trim_end_matches('%').trim_end();
        match number.parse::<f64>() {
            Ok(percent) if percent.is_finite() && percent >= 0.0 => Ok(Self(percent)),
            _ => Err(format!("{text:?} is not a percentage; write for example 5%")),
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// A time span: `90s`, `10m`, `1h30m`, `250ms`, or seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        span(text.trim())
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not a time span; write for example 90s, 10m or 1h30m"))
    }
}

fn span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "" if digits == text.len() => 1.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after.trim_start();
    }
    if text.is_empty() || total <= 0.0 {
        None
    } else {
        Duration::try_from_secs_f64(total).ok()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_secs(), self.0.subsec_millis()) {
            (seconds, 0) if seconds % 60 == 0 => write!(f, "{}m", seconds / 60),
            (seconds, 0) => write!(f, "{seconds}s"),
            _ => write!(f, "{}ms", self.0.as_millis()),
        }
    }
}

/// Both are written as text, and read from text or from a bare number.
macro_rules! as_text_or_number {
    ($name:ident, $expected:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct AnyForm;
                impl Visitor<'_> for AnyForm {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }

                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }

                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }

                    fn visit_f64<E: de::Error>(self, number: f64) -> Result<$name, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(AnyForm)
            }
        }
    };
}

as_text_or_number!(Percent, "a percentage such as \"5%\" or 5");
as_text_or_number!(Span, "a time span such as \"10m\" or a number of seconds");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        for text in ["5", "5%", " 5 % ", "5.0"] {
            assert_eq!(text.parse(), Ok(Percent(5.0)), "{text}");
        }
        for text in ["-1", "NaN", "inf", "five", "%", ""] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }

    #[test]
    fn spans() {
        for (text, millis) in [
            ("90", 90_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("1.5 m", 0),
            ("2m 5s", 125_000),
        ] {
            let found = text.parse::<Span>().map(|span| span.0.as_millis());
            assert_eq!(found.ok(), Some(millis).filter(|millis| *millis > 0), "{text}");
        }
        for text in [
            "",
            "0",
            "5 parsecs",
            "m",
            "1e300h",
            "9999999999999999999999h",
            "1h30",
            "-5s",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert_eq!(
            ["90s", "10m", "250ms"].map(|text| text.parse::<Span>().unwrap().to_string()),
            ["90s", "10m", "250ms"]
        );
    }
}
