//! The adapters, one file per tool, in the order they are asked.

mod asv;
mod bencher;
mod benchgate;
mod benchmark_dotnet;
mod benchmark_ips;
mod benchmark_js;
mod benchmark_tools;
mod cargo_criterion;
mod catch2;
mod console_time;
mod criterion;
mod criterion_text;
mod custom;
mod dart;
mod divan;
mod go;
mod google_benchmark;
mod gungraun;
mod hyperfine;
mod iai;
mod jmh;
mod k6;
mod libtest;
mod mitata;
mod nanobench;
mod pytest_benchmark;
mod ruby_benchmark;
mod tinybench;
mod vitest;

use super::Adapter;
use super::text::Opened;

/// Whether a source belongs to Criterion's tree, where problems are named by folder and many files say nothing.
pub(super) fn is_criterion_file(source: &Opened<'_>) -> bool {
    criterion::Criterion.recognises(source)
}

/// Whether a source is libtest's output, which has no benchmark in it when all tests were ignored.
pub(super) fn is_test_output(source: &Opened<'_>) -> bool {
    libtest::is_of_libtest(source)
}

/// Formats with a name of their own come before those told by their looks; a source goes to the first that
/// recognises it, and after that only to those that share.
pub(super) static ADAPTERS: &[&dyn Adapter] = &[
    &criterion::Criterion,
    &benchgate::Benchgate,
    &cargo_criterion::CargoCriterion,
    &gungraun::Gungraun,
    &google_benchmark::GoogleBenchmark,
    &pytest_benchmark::PytestBenchmark,
    &hyperfine::Hyperfine,
    &jmh::Jmh,
    &vitest::Vitest,
    &mitata::Mitata,
    &benchmark_dotnet::BenchmarkDotNet,
    &benchmark_tools::BenchmarkTools,
    &k6::K6,
    &nanobench::Nanobench,
    &benchmark_ips::BenchmarkIps,
    &tinybench::Tinybench,
    &custom::AUTOMATIC,
    &custom::SMALLER,
    &custom::BIGGER,
    &go::Go,
    &bencher::Bencher,
    &libtest::Libtest,
    &criterion_text::CriterionText,
    &iai::Iai,
    &divan::Divan,
    &catch2::Catch2,
    &asv::Asv,
    &benchmark_js::BenchmarkJs,
    &ruby_benchmark::RubyBenchmark,
    &dart::Dart,
    &console_time::ConsoleTime,
];
