//! Identities: benchmark names, measures, commits. Untrusted text is cleaned once, here.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest name taken, in bytes. Longer ones are refused, not cut: a cut name can collide.
const MAX_NAME_BYTES: usize = 2048;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left after trimming.
    #[error("the name is empty")]
    Empty,
    /// Longer than the limit.
    #[error("the name has {bytes} bytes, more than {MAX_NAME_BYTES}; shorten it")]
    TooLong {
        /// Length of the refused text.
        bytes: usize,
    },
    /// A commit that is not 4 to 64 hexadecimal digits.
    #[error("{text:?} is not a commit: give 4 to 64 hexadecimal digits")]
    NotACommit {
        /// The refused text, cut to a printable length.
        text: String,
    },
}

/// Trims, and turns every run of white space and control characters into one space, so that a name from an
/// untrusted file can be printed on a terminal and stands on one line.
fn clean(text: &str) -> Result<String, NameError> {
    let trimmed = text.trim();
    if trimmed.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong { bytes: trimmed.len() });
    }
    let mut name = String::with_capacity(trimmed.len());
    for c in trimmed.chars() {
        if c.is_control() || c.is_whitespace() || is_invisible(c) {
            if !name.is_empty() && !name.ends_with(' ') {
                name.push(' ');
            }
        } else {
            name.push(c);
        }
    }
    if name.ends_with(' ') {
        name.pop();
    }
    if name.is_empty() {
        Err(NameError::Empty)
    } else {
        Ok(name)
    }
}

/// Characters that print nothing or turn the reading direction: two names must not look the same.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A benchmark's full name, as its tool gives it: one line, no control characters, at most 2048 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BenchmarkId(String);

impl BenchmarkId {
    /// Cleans `text` into a name.
    ///
    /// # Errors
    /// When nothing is left of it, or it is longer than 2048 bytes.
    pub fn new(text: &str) -> Result<Self, NameError> {
        clean(text).map(Self)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is measured about a benchmark: `latency`, `throughput`, `instructions`, `peak-memory`, or a name of the
/// tool's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Measure(Cow<'static, str>);

impl Measure {
    /// Time per operation.
    pub const LATENCY: Self = Self(Cow::Borrowed("latency"));
    /// Operations or bytes per second.
    pub const THROUGHPUT: Self = Self(Cow::Borrowed("throughput"));
    /// Instructions executed.
    pub const INSTRUCTIONS: Self = Self(Cow::Borrowed("instructions"));
    /// Cycles, counted or estimated.
    pub const CYCLES: Self = Self(Cow::Borrowed("cycles"));
    /// Largest memory in use.
    pub const PEAK_MEMORY: Self = Self(Cow::Borrowed("peak-memory"));
    /// Memory or file size, where the tool does not say which.
    pub const MEMORY: Self = Self(Cow::Borrowed("memory"));
    /// Bytes allocated per operation.
    pub const ALLOCATED_BYTES: Self = Self(Cow::Borrowed("allocated-bytes"));
    /// Allocations per operation.
    pub const ALLOCATIONS: Self = Self(Cow::Borrowed("allocations"));
    /// Processor time spent in user mode.
    pub const USER_TIME: Self = Self(Cow::Borrowed("user-time"));
    /// Processor time spent in the kernel.
    pub const SYSTEM_TIME: Self = Self(Cow::Borrowed("system-time"));
    /// Processor time, user and kernel together.
    pub const CPU_TIME: Self = Self(Cow::Borrowed("cpu-time"));

    /// Cleans `text` into a measure's name.
    ///
    /// # Errors
    /// As [`BenchmarkId::new`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        clean(text).map(|name| Self(Cow::Owned(name)))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the code alone decides the value: allocations, instructions and bytes are counted, and come out the same
    /// on a machine that is slower today. Times, rates, cycles and the largest memory in use depend on the machine, and
    /// so does, for all that is known, a measure of the tool's own.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        const EXACT: [&str; 12] = [
            "instructions",
            "allocations",
            "allocated-bytes",
            "file-size",
            "total-read-write",
            "total-bytes",
            "total-blocks",
            "reads-bytes",
            "writes-bytes",
            "at-t-gmax-bytes",
            "at-t-gmax-blocks",
            "failing-blocks",
        ];
        EXACT.contains(&self.as_str())
    }
}

/// A benchmark and one of its measures: what a baseline entry, a history and a verdict are about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesKey {
    /// The benchmark.
    pub benchmark: BenchmarkId,
    /// What about it.
    pub measure: Measure,
}

impl fmt::Display for SeriesKey {
    /// `name`, or `name [measure]` when the measure is not latency.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.measure == Measure::LATENCY {
            write!(f, "{}", self.benchmark)
        } else {
            write!(f, "{} [{}]", self.benchmark, self.measure)
        }
    }
}

/// A commit's hash, 4 to 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitSha(String);

impl CommitSha {
    /// Takes a full or abbreviated hash.
    ///
    /// # Errors
    /// When `text` is not 4 to 64 hexadecimal digits.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let text = text.trim();
        if (4..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NameError::NotACommit {
                text: text.chars().take(80).collect(),
            })
        }
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first ten digits, for people.
    #[must_use]
    pub fn short_hash(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }
}

macro_rules! text_conversions {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_conversions!(BenchmarkId);
text_conversions!(Measure);
text_conversions!(CommitSha);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_to_one_printable_line() {
        let name = BenchmarkId::new("  sort\n\u{1b}[31m  big\u{202e}  ").unwrap();
        assert_eq!(name.as_str(), "sort [31m big");
        assert_eq!(BenchmarkId::new(" \n\u{200b} "), Err(NameError::Empty));
        assert_eq!(
            BenchmarkId::new(&"x".repeat(3000)),
            Err(NameError::TooLong { bytes: 3000 })
        );
    }

    #[test]
    fn commits_are_hexadecimal() {
        assert_eq!(CommitSha::new("553F235A").unwrap().as_str(), "553f235a");
        assert!(CommitSha::new("main").is_err());
        assert!(CommitSha::new("--upload-pack").is_err());
        assert_eq!(CommitSha::new("abcd").unwrap().short_hash(), "abcd");
    }

    #[test]
    fn keys_name_the_measure_only_when_it_is_not_latency() {
        let key = |measure| SeriesKey {
            benchmark: BenchmarkId::new("fib 15").unwrap(),
            measure,
        };
        assert_eq!(key(Measure::LATENCY).to_string(), "fib 15");
        assert_eq!(key(Measure::THROUGHPUT).to_string(), "fib 15 [throughput]");
    }
}
