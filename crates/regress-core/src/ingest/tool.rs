//! The tools ingest knows, by the names users type.

use std::fmt;
use std::str::FromStr;

/// A benchmark tool's output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tool {
    /// Criterion's `target/criterion` tree.
    Criterion,
    /// Criterion's output for people.
    CriterionText,
    /// `cargo criterion --message-format json`.
    CargoCriterion,
    /// libtest's benches, and Criterion's `--output-format bencher`.
    Libtest,
    /// divan's table.
    Divan,
    /// iai's and gungraun's output for people.
    Iai,
    /// gungraun's (iai-callgrind's) JSON summaries.
    Gungraun,
    /// Google Benchmark's JSON.
    GoogleBenchmark,
    /// Catch2's benchmark table.
    Catch2,
    /// `go test -bench`, the format of `benchfmt`.
    Go,
    /// pytest-benchmark's JSON.
    PytestBenchmark,
    /// asv's output for people, and its result files.
    Asv,
    /// hyperfine's `--export-json`.
    Hyperfine,
    /// JMH's `-rf json`.
    Jmh,
    /// `vitest bench --outputJson`.
    Vitest,
    /// tinybench's tasks as JSON, and the table of `console.table(bench.table())`.
    Tinybench,
    /// mitata's JSON.
    Mitata,
    /// BenchmarkDotNet's JSON exporters.
    BenchmarkDotNet,
    /// k6's summary as JSON.
    K6,
    /// Julia's `BenchmarkTools.save`.
    BenchmarkTools,
    /// Ruby's benchmark-ips: its JSON, and its output for people.
    BenchmarkIps,
    /// benchmark.js's lines of finished benchmarks.
    BenchmarkJs,
    /// JavaScript's `console.timeEnd`; only where it is named.
    ConsoleTime,
    /// The table of Ruby's own `benchmark`.
    RubyBenchmark,
    /// Dart's benchmark_harness.
    Dart,
    /// nanobench's Markdown table and JSON.
    Nanobench,
    /// Bencher Metric Format.
    Bencher,
    /// github-action-benchmark's custom JSON where the direction follows from each unit.
    Custom,
    /// The same, of `customSmallerIsBetter`.
    CustomSmallerIsBetter,
    /// The same, of `customBiggerIsBetter`.
    CustomBiggerIsBetter,
    /// benchgate's own run file.
    Benchgate,
}

impl Tool {
    /// All tools, for help texts.
    pub const ALL: [Self; 31] = [
        Self::Criterion,
        Self::CriterionText,
        Self::CargoCriterion,
        Self::Libtest,
        Self::Divan,
        Self::Iai,
        Self::Gungraun,
        Self::GoogleBenchmark,
        Self::Catch2,
        Self::Go,
        Self::PytestBenchmark,
        Self::Asv,
        Self::Hyperfine,
        Self::Jmh,
        Self::Vitest,
        Self::Tinybench,
        Self::Mitata,
        Self::BenchmarkDotNet,
        Self::K6,
        Self::BenchmarkTools,
        Self::BenchmarkIps,
        Self::BenchmarkJs,
        Self::ConsoleTime,
        Self::RubyBenchmark,
        Self::Dart,
        Self::Nanobench,
        Self::Bencher,
        Self::Custom,
        Self::CustomSmallerIsBetter,
        Self::CustomBiggerIsBetter,
        Self::Benchgate,
    ];

    /// The name users type.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Criterion => "criterion",
            Self::CriterionText => "criterion-text",
            Self::CargoCriterion => "cargo-criterion",
            Self::Libtest => "libtest",
            Self::Divan => "divan",
            Self::Iai => "iai",
            Self::Gungraun => "gungraun",
            Self::GoogleBenchmark => "google-benchmark",
            Self::Catch2 => "catch2",
            Self::Go => "go",
            Self::PytestBenchmark => "pytest-benchmark",
            Self::Asv => "asv",
            Self::Hyperfine => "hyperfine",
            Self::Jmh => "jmh",
            Self::Vitest => "vitest",
            Self::Tinybench => "tinybench",
            Self::Mitata => "mitata",
            Self::BenchmarkDotNet => "benchmark-dotnet",
            Self::K6 => "k6",
            Self::BenchmarkTools => "benchmark-tools",
            Self::BenchmarkIps => "benchmark-ips",
            Self::BenchmarkJs => "benchmark-js",
            Self::ConsoleTime => "console-time",
            Self::RubyBenchmark => "ruby-benchmark",
            Self::Dart => "dart",
            Self::Nanobench => "nanobench",
            Self::Bencher => "bencher",
            Self::Custom => "custom",
            Self::CustomSmallerIsBetter => "custom-smaller-is-better",
            Self::CustomBiggerIsBetter => "custom-bigger-is-better",
            Self::Benchgate => "benchgate",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A tool name that is not in [`Tool::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown tool {0:?}; known are {known}", known = Tool::ALL.map(Tool::as_str).join(", "))]
pub struct UnknownTool(pub String);

impl FromStr for Tool {
    type Err = UnknownTool;

    fn from_str(text: &str) -> Result<Self, UnknownTool> {
        Self::ALL
            .into_iter()
            .find(|tool| tool.as_str() == text)
            .ok_or_else(|| UnknownTool(text.to_owned()))
    }
}
