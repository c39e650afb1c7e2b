//! What was wrong with an entry of a result file. Problems travel with the results to the report.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing wrong in one source, naming the entry it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The file, as the caller named it.
    pub source: String,
    /// The benchmark, line or key within the file; `None` when the whole file is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// What kind of thing.
    pub kind: ProblemKind,
    /// The rest in words: the offending text, the limit, what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// The kinds of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The tool says the benchmark failed.
    Failed,
    /// A second entry of the same name and measure in one process run; the first one is kept.
    Duplicate,
    /// The value is zero; kept, but no percentage can be made of it.
    Zero,
    /// The value is negative; left out.
    Negative,
    /// The value is NaN, infinite, or over the range of a double; left out.
    NotFinite,
    /// A field the format promises is not there; the entry is left out.
    Missing,
    /// An entry, line or file that its format does not allow; left out.
    Malformed,
    /// A unit this library does not know; the value is kept in that unit, unconverted.
    UnknownUnit,
    /// The format does not say which way is better; the value is kept and smaller is taken as better.
    UnknownDirection,
    /// Something beside the value does not fit: an interval that does not hold it, samples that cannot be read, an
    /// exit code. The value is kept.
    Doubtful,
    /// The file is not UTF-8; it is read with replacement characters.
    Encoding,
    /// One series has several units, directions or machines among its process runs; the odd ones are left out.
    Mixed,
    /// The tool's format has a version this library was not tested with; what could be read is kept.
    UnknownVersion,
    /// The name is empty or too long; the entry is left out.
    BadName,
    /// The format could not be told; the file is left out.
    Unrecognised,
    /// The file has a format that is known, and no benchmark in it.
    NoBenchmarks,
    /// Over a limit of size or number; what lies beyond it is left out.
    TooLarge,
}

impl ProblemKind {
    /// Whether the value the problem is about is still among the measurements.
    #[must_use]
    pub fn keeps_value(self) -> bool {
        matches!(
            self,
            Self::Zero
                | Self::UnknownUnit
                | Self::UnknownVersion
                | Self::UnknownDirection
                | Self::Doubtful
                | Self::Encoding
        )
    }

    /// The kind in words that fit after "entry: ".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "the benchmark failed",
            Self::Duplicate => "appears twice",
            Self::Zero => "is zero",
            Self::Negative => "is negative",
            Self::NotFinite => "is not a finite number",
            Self::Missing => "lacks a field",
            Self::Malformed => "is malformed",
            Self::UnknownUnit => "has an unknown unit",
            Self::UnknownDirection => "does not say which way is better, smaller is taken",
            Self::Doubtful => "is doubtful",
            Self::Encoding => "is not UTF-8",
            Self::Mixed => "mixes units, directions or machines",
            Self::UnknownVersion => "has an unknown version",
            Self::BadName => "has no usable name",
            Self::Unrecognised => "has no known format",
            Self::NoBenchmarks => "holds no benchmarks",
            Self::TooLarge => "is over a limit",
        }
    }
}

impl fmt::Display for Problem {
    /// `file: entry: what (detail)` on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        if let Some(entry) = &self.entry {
            write!(f, "{entry}: ")?;
        }
        f.write_str(self.kind.as_str())?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}
