//! What a suite came to against its baseline, as a whole: what became slower, what became faster, and what cannot be said.

use std::fmt::{self, Write as _};

use super::{BaselineVerdict, PerfTestResult, SuiteComparison};
use crate::measurement::{BenchmarkId, Unit};

/// A test and how it stands to its baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedTest {
    /// `suite/test`.
    pub name: BenchmarkId,
    /// Its median in this process run, in nanoseconds.
    pub median: f64,
    /// How it compares; `None` when the baseline does not have it.
    pub comparison: Option<SuiteComparison>,
    /// Targets that were missed, in words.
    pub missed: Vec<String>,
}

/// All tests of a suite against the baseline, in the order in which they ran.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonReport {
    /// The suite.
    pub suite: String,
    /// Changes up to this one are none: 0.05 is 5 %.
    pub threshold: f64,
    /// The tests.
    pub tests: Vec<ComparedTest>,
}

impl ComparisonReport {
    pub(super) fn of_results(suite: &str, threshold: f64, results: &[PerfTestResult]) -> Self {
        let compared = |result: &PerfTestResult| ComparedTest {
            name: result.name.clone(),
            median: result.median.as_nanos() as f64,
            comparison: result.comparison,
            missed: result.missed.iter().map(ToString::to_string).collect(),
        };
        Self {
            suite: suite.to_owned(),
            threshold,
            tests: results.iter().map(compared).collect(),
        }
    }

    fn with_verdict(&self, verdict: BaselineVerdict) -> Vec<&ComparedTest> {
        let has = |test: &&ComparedTest| test.comparison.is_some_and(|one| one.verdict == verdict);
        let mut found: Vec<&ComparedTest> = self.tests.iter().filter(has).collect();
        let size = |test: &ComparedTest| test.comparison.map_or(0.0, |one| one.change.abs());
        found.sort_by(|one, other| size(other).total_cmp(&size(one)));
        found
    }

    /// The tests that are slower than their baseline, the largest change first.
    #[must_use]
    pub fn regressions(&self) -> Vec<&ComparedTest> {
        self.with_verdict(BaselineVerdict::Slower)
    }

    /// The tests that are faster than their baseline, the largest change first.
    #[must_use]
    pub fn improvements(&self) -> Vec<&ComparedTest> {
        self.with_verdict(BaselineVerdict::Faster)
    }

    /// The tests whose baseline is missing or too small to say anything.
    #[must_use]
    pub fn undecided(&self) -> Vec<&ComparedTest> {
        let open = |test: &&ComparedTest| {
            test.comparison
                .is_none_or(|one| one.verdict == BaselineVerdict::NotEnoughData)
        };
        self.tests.iter().filter(open).collect()
    }

    /// `1 slower, 2 faster, 3 unchanged, 1 without a baseline`.
    #[must_use]
    pub fn summary(&self) -> String {
        let (slower, faster, open) = (
            self.regressions().len(),
            self.improvements().len(),
            self.undecided().len(),
        );
        let unchanged = self.tests.len() - slower - faster - open;
        let mut parts = vec![
            format!("{slower} slower"),
            format!("{faster} faster"),
            format!("{unchanged} unchanged"),
        ];
        if open > 0 {
            parts.push(format!("{open} without enough of a baseline"));
        }
        parts.join(", ")
    }

    /// A heading, the summary and a table, as GitHub shows Markdown. Names of tests are escaped.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!("### {}\n\n{}\n\n", escape(&self.suite), self.summary());
        text.push_str("| test | baseline | now | change | |\n| --- | ---: | ---: | ---: | --- |\n");
        for test in &self.tests {
            let time = |value: f64| Unit::Nanoseconds.format_value(value);
            let before = test
                .comparison
                .map_or_else(|| "–".to_owned(), |one| time(one.baseline));
            let change = test
                .comparison
                .map_or_else(|| "–".to_owned(), |one| format!("{:+.1} %", 100.0 * one.change));
            let mut remarks = vec![word(test).to_owned()];
            remarks.extend(test.missed.iter().cloned());
            let _ = writeln!(
                text,
                "| {} | {before} | {} | {change} | {} |",
                escape(test.name.as_str()),
                time(test.median),
                escape(&remarks.join("; "))
            );
        }
        text
    }
}

fn word(test: &ComparedTest) -> &'static str {
    match test.comparison.map(|one| one.verdict) {
        Some(BaselineVerdict::Slower) => "slower",
        Some(BaselineVerdict::Faster) => "faster",
        Some(BaselineVerdict::Unchanged) => "unchanged",
        Some(BaselineVerdict::NotEnoughData) => "too few runs in the baseline",
        None => "not in the baseline",
    }
}

/// Text that is no Markdown: every ASCII sign of punctuation may be escaped (CommonMark 0.31, section 2.4).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_punctuation()
            && !matches!(character, '.' | ',' | ';' | '/' | '-' | '%' | '(' | ')')
        {
            escaped.push('\\');
        }
        escaped.push(if character.is_control() { ' ' } else { character });
    }
    escaped
}

impl fmt::Display for ComparisonReport {
    /// The summary, and a line for each test that changed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.suite, self.summary())?;
        for test in self.regressions().into_iter().chain(self.improvements()) {
            if let Some(comparison) = test.comparison {
                writeln!(f, "  {}: {comparison}", test.name)?;
            }
        }
        Ok(())
    }
}
