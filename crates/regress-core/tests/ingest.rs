//! Every adapter on output of its tool, as one table per fixture.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fmt::Write as _;

use common::{files, ingest_files};
use regress_core::ingest::{IngestOptions, Ingested, Tool};
use regress_core::measurement::{Direction, Measure, Measurement, ProblemKind};

/// What a reader of a snapshot needs to check an adapter by eye.
fn table(ingested: &Ingested) -> String {
    let mut out = String::new();
    for (path, tool) in &ingested.tools {
        if !path.contains("/base/") && !path.contains("/change/") {
            writeln!(out, "{tool} <- {path}").unwrap();
        }
    }
    for (index, process) in ingested.processes.iter().enumerate() {
        writeln!(out, "process run {}", index + 1).unwrap();
        for measurement in &process.measurements {
            writeln!(out, "  {}", row(measurement)).unwrap();
        }
        for problem in &process.problems {
            writeln!(out, "  ! {problem}").unwrap();
        }
    }
    out
}

fn row(m: &Measurement) -> String {
    let better = if m.direction == Direction::BiggerIsBetter {
        "bigger"
    } else {
        "smaller"
    };
    let mut row = format!(
        "{} = {} {} {better} {:?}",
        m.series_key(),
        m.value,
        m.unit,
        m.estimator
    );
    if let Some(deviation) = m.std_dev {
        write!(row, " sd {deviation:.4}").unwrap();
    }
    if let Some(interval) = m.interval {
        write!(row, " in [{:.4}, {:.4}]", interval.low, interval.high).unwrap();
    }
    if let Some(samples) = m.samples {
        write!(row, " n {samples} kept {}", m.iterations.len()).unwrap();
    }
    row
}

fn snapshot(name: &str, path: &str) {
    let ingested = ingest_files(&files(path), &IngestOptions::default());
    insta::assert_snapshot!(name, table(&ingested));
}

#[test]
fn criterion() {
    snapshot("criterion-tree", "criterion/criterion");
    snapshot("criterion-old", "benchmarks-made/criterion-old");
    snapshot("criterion-bencher", "criterion/bencher_fmt.txt");
    snapshot("criterion-text", "criterion/run2.txt");
    snapshot("criterion-text-failed", "tool-output/rust/criterion/failed.txt");
    snapshot("criterion-text-dogfood", "tool-output/rust/criterion/dogfood.txt");
    snapshot("cargo-criterion", "benchmarks-made/cargo-criterion.jsonl");
}

#[test]
fn libtest_and_divan() {
    for name in [
        "failed",
        "ignore",
        "issue_390",
        "many",
        "multi_target",
        "one",
        "zero",
    ] {
        snapshot(
            &format!("libtest-{name}"),
            &format!("tool-output/rust/bench/{name}.txt"),
        );
    }
    snapshot("divan", "criterion/divan.txt");
    snapshot("divan-alloc", "benchmarks-made/divan-alloc.txt");
}

#[test]
fn iai_and_gungraun() {
    snapshot("iai-two", "tool-output/rust/iai/two.txt");
    snapshot("iai-change", "tool-output/rust/iai/change.txt");
    snapshot("gungraun-text", "benchmarks-made/gungraun.txt");
    snapshot("gungraun-sections", "benchmarks-made/gungraun-sections.txt");
    snapshot("gungraun-schema6", "benchmarks-made/gungraun-schema6.json");
    snapshot("gungraun-schema7", "benchmarks-made/gungraun-schema7.json");
}

#[test]
fn google_benchmark_and_catch2() {
    snapshot("google-two", "tool-output/cpp/google/two.txt");
    snapshot("google-repetitions", "benchmarks-made/google-repetitions.json");
    snapshot("google-aggregates", "benchmarks-made/google-aggregates.json");
    for name in ["two", "four", "issue_351"] {
        snapshot(
            &format!("catch2-{name}"),
            &format!("tool-output/cpp/catch2/{name}.txt"),
        );
    }
    snapshot("catch2-traps", "benchmarks-made/catch2-traps.txt");
}

#[test]
fn javascript_ruby_and_dart_in_words() {
    snapshot("benchmark-js", "benchmarks-made/benchmark-js.txt");
    snapshot("ruby-benchmark", "benchmarks-made/ruby-benchmark.txt");
    snapshot("ruby-bmbm", "benchmarks-made/ruby-bmbm.txt");
    snapshot("dart", "benchmarks-made/dart.txt");
    let options = IngestOptions {
        tool: Some(Tool::ConsoleTime),
        ..IngestOptions::default()
    };
    let timers = files("benchmarks-made/console-time.txt");
    insta::assert_snapshot!("console-time", table(&ingest_files(&timers, &options)));
    // Lines like those are anybody's: they are no benchmarks unless somebody says so.
    assert!(ingest_files(&timers, &IngestOptions::default()).is_empty());
}

#[test]
fn go() {
    snapshot("go-three", "tool-output/go/bench/three.txt");
    snapshot("go-five", "tool-output/go/bench/five.txt");
    snapshot("go-packages", "benchmarks-made/go.txt");
    snapshot("go-test-json", "benchmarks-made/go-test.json");
    snapshot("go-traps", "benchmarks-made/go-traps.txt");
}

#[test]
fn python() {
    snapshot("pytest-two", "tool-output/python/pytest/two.json");
    snapshot("pytest-four", "tool-output/python/pytest/four.json");
    snapshot("pytest-5", "benchmarks-made/pytest-benchmark-5.json");
    snapshot("pytest-storage", "pytest-benchmark");
    snapshot("asv", "tool-output/python/asv/six.txt");
}

#[test]
fn asv_with_parameters() {
    snapshot("asv-parameterised", "benchmarks-made/asv-parameterised.txt");
    snapshot("asv-result", "benchmarks-made/asv-result.json");
    let names = |path: &str| -> Vec<String> {
        let ingested = ingest_files(&files(path), &IngestOptions::default()).into_one();
        let names = ingested
            .measurements
            .iter()
            .map(|one| one.benchmark.as_str().to_owned());
        names.collect()
    };
    let mut printed = names("benchmarks-made/asv-parameterised.txt");
    let mut stored = names("benchmarks-made/asv-result.json");
    printed.sort_unstable();
    stored.sort_unstable();
    assert_eq!(printed, stored, "a benchmark is the same in both");
    assert_eq!(printed.len(), 11);
}

#[test]
fn javascript() {
    snapshot("vitest", "benchmarks-made/vitest-3.json");
    snapshot("tinybench", "benchmarks-made/tinybench-6.json");
    snapshot("tinybench-table", "benchmarks-made/tinybench-table.txt");
    snapshot("mitata", "benchmarks-made/mitata.json");
    snapshot("k6-summary-export", "benchmarks-made/k6-summary-export.json");
    snapshot("k6-handle-summary", "benchmarks-made/k6-handle-summary.json");
}

#[test]
fn dotnet_julia_ruby_and_nanobench() {
    snapshot("benchmark-dotnet", "benchmarks-made/benchmark-dotnet.json");
    snapshot("benchmark-tools", "benchmarks-made/benchmark-tools.json");
    snapshot("benchmark-ips", "benchmarks-made/benchmark-ips.txt");
    snapshot("benchmark-ips-json", "benchmarks-made/benchmark-ips.json");
    snapshot("nanobench", "benchmarks-made/nanobench.txt");
    snapshot("nanobench-json", "benchmarks-made/nanobench.json");
}

#[test]
fn hyperfine() {
    snapshot("hyperfine-made", "benchmarks-made/hyperfine.json");
    let two = ingest_files(
        &files("tool-output/shell/hyperfine/two.json"),
        &IngestOptions::default(),
    );
    assert_eq!(two.processes.len(), 27, "every timed run is a process run");
    let one = two.into_one();
    let sleep = &one.measurements[0];
    assert_eq!(
        (sleep.benchmark.as_str(), sleep.iterations.len()),
        ("sleep 0.1", 27)
    );
    assert!(
        (sleep.value - 106_525_351.72).abs() < 0.01,
        "the median that hyperfine prints"
    );
}

#[test]
fn jmh() {
    for name in ["latency", "six", "throughput"] {
        snapshot(
            &format!("jmh-{name}"),
            &format!("tool-output/java/jmh/{name}.json"),
        );
    }
    snapshot("jmh-forks", "benchmarks-made/jmh-forks.json");
}

#[test]
fn bencher_and_custom_json() {
    for name in ["report_bmf_mixed", "report_dhat", "report_latency"] {
        snapshot(
            &format!("bencher-{name}"),
            &format!("tool-output/json/{name}.json"),
        );
    }
    snapshot("bencher-traps", "benchmarks-made/bencher-traps.json");
    snapshot("custom-mixed", "benchmarks-made/custom-mixed.json");
}

#[test]
fn the_user_settles_directions() {
    let options = IngestOptions {
        tool: Some(Tool::CustomBiggerIsBetter),
        ..IngestOptions::default()
    };
    let ingested = ingest_files(&files("benchmarks-made/custom-bigger.json"), &options);
    insta::assert_snapshot!("custom-bigger", table(&ingested));

    let frames = Measure::new("auxMetricUnits").unwrap();
    let directions = [(frames.clone(), Direction::BiggerIsBetter)].into();
    let ingested = ingest_files(
        &files("tool-output/go/bench/three.txt"),
        &IngestOptions {
            directions,
            ..IngestOptions::default()
        },
    );
    let metric = ingested.processes[0]
        .measurements
        .iter()
        .find(|m| m.measure == frames)
        .unwrap();
    assert_eq!(metric.direction, Direction::BiggerIsBetter);
    assert!(
        ingested
            .problems()
            .all(|problem| problem.kind != ProblemKind::UnknownDirection)
    );
}

#[test]
fn criterion_forms_agree_on_the_names() {
    let names = |path: &str| {
        let mut names: Vec<String> = ingest_files(&files(path), &IngestOptions::default()).processes[0]
            .measurements
            .iter()
            .map(|m| m.benchmark.to_string())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names("criterion/criterion"), names("criterion/run3.txt"));
    assert_eq!(names("criterion/criterion"), names("criterion/bencher_fmt.txt"));
    assert_eq!(names("criterion/criterion").len(), 4);
}

#[test]
fn windows_paths_and_utf16_are_read() {
    let tree: Vec<_> = files("criterion/criterion")
        .into_iter()
        .map(|(path, bytes)| (path.replace('/', "\\"), bytes))
        .collect();
    assert_eq!(
        ingest_files(&tree, &IngestOptions::default()).processes[0]
            .measurements
            .len(),
        4
    );

    let text = String::from_utf8(files("tool-output/rust/bench/many.txt").remove(0).1).unwrap();
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let ingested = ingest_files(&[("out.txt".to_owned(), utf16)], &IngestOptions::default());
    assert_eq!(ingested.processes[0].measurements.len(), 6);
}

#[test]
fn several_tools_in_one_captured_output_are_all_read() {
    let mut text = files("tool-output/rust/bench/one.txt").remove(0).1;
    text.extend(files("criterion/run3.txt").remove(0).1);
    text.extend(files("tool-output/rust/iai/two.txt").remove(0).1);
    let ingested = ingest_files(&[("cargo-bench.txt".to_owned(), text)], &IngestOptions::default());
    let tools: Vec<Tool> = ingested.tools.iter().map(|(_, tool)| *tool).collect();
    assert_eq!(tools, [Tool::Libtest, Tool::CriterionText, Tool::Iai]);
    assert_eq!(ingested.processes[0].measurements.len(), 1 + 4 + 10);
}

#[test]
fn what_is_no_benchmark_output_is_named() {
    let sources = [
        ("notes.txt".to_owned(), b"hello".to_vec()),
        (
            "cut.json".to_owned(),
            br#"{"results": [{"command": "a", "times": [0.1"#.to_vec(),
        ),
        (
            "empty.json".to_owned(),
            br#"{"results": [], "command": {"command": 1}}"#.to_vec(),
        ),
    ];
    let ingested = ingest_files(&sources, &IngestOptions::default());
    insta::assert_snapshot!("not-usable", table(&ingested));
    assert!(ingested.is_empty());
}
