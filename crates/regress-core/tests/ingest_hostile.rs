//! Ingest on input nobody meant well with: random bytes, damaged fixtures, bombs, floods.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::{File, files, ingest_files};
use proptest::prelude::*;
use regress_core::ingest::{IngestLimits, IngestOptions, Ingested, Tool};
use regress_core::measurement::{ProblemKind, SeriesKey};

/// What holds of every outcome, whatever came in.
fn check(ingested: &Ingested, sources: &[File]) {
    for process in &ingested.processes {
        let mut seen = BTreeSet::new();
        for measurement in &process.measurements {
            assert!(
                measurement.value.is_finite() && measurement.value >= 0.0,
                "{measurement:?}"
            );
            assert!(
                measurement.iterations.iter().all(|value| value.is_finite()),
                "{measurement:?}"
            );
            assert!(measurement.iterations.len() <= IngestLimits::default().iterations);
            if let Some(interval) = measurement.interval {
                assert!(interval.low <= measurement.value && measurement.value <= interval.high);
            }
            let key = SeriesKey {
                benchmark: measurement.benchmark.clone(),
                measure: measurement.measure.clone(),
            };
            assert!(seen.insert(key), "{measurement:?} twice");
        }
        for problem in &process.problems {
            assert!(!problem.to_string().chars().any(char::is_control), "{problem:?}");
        }
    }
    let silent = ingested.is_empty() && ingested.problems().next().is_none();
    assert!(!silent || sources.is_empty(), "an empty result without a word");
}

/// One file or Criterion folder of every format.
fn corpus() -> &'static [Vec<File>] {
    static CORPUS: OnceLock<Vec<Vec<File>>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let folders = ["criterion/criterion", "benchmarks-made/criterion-old"];
        let mut corpus: Vec<Vec<File>> = folders.into_iter().map(files).collect();
        let singles = ["benchmarks-made", "tool-output", "criterion", "pytest-benchmark"];
        for file in singles.into_iter().flat_map(files) {
            let of_tree = file.0.contains("/criterion-old/") || file.0.starts_with("criterion/criterion/");
            if !of_tree && !file.0.contains("LICENSE") && !file.0.ends_with(".md") {
                corpus.push(vec![file]);
            }
        }
        corpus
    })
}

/// A way to damage a file.
#[derive(Debug, Clone)]
enum Damage {
    Cut(prop::sample::Index),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, prop::sample::Index),
    Remove(prop::sample::Index, prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    let words: Vec<&[u8]> = vec![
        b"NaN",
        b"-1",
        b"0",
        b"1e999",
        b"null",
        b"\"",
        b"}",
        b"]",
        b"[",
        b"{",
        b"\n",
        b"\xff\xfe",
        b"-Infinity",
    ];
    prop_oneof![
        index().prop_map(Damage::Cut),
        (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Flip(at, byte)),
        (index(), prop::sample::select(words)).prop_map(|(at, word)| Damage::Insert(at, word.to_vec())),
        (index(), index()).prop_map(|(from, to)| Damage::Repeat(from, to)),
        (index(), index()).prop_map(|(from, to)| Damage::Remove(from, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    let range = |a: &prop::sample::Index, b: &prop::sample::Index| {
        let (a, b) = (a.index(bytes.len()), b.index(bytes.len()));
        a.min(b)..a.max(b)
    };
    match damage {
        Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Damage::Flip(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
        }
        Damage::Insert(at, word) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, word.iter().copied());
        }
        Damage::Repeat(a, b) => {
            let range = range(a, b);
            let copy = bytes[range.clone()].to_vec();
            bytes.splice(range.end..range.end, copy);
        }
        Damage::Remove(a, b) => {
            let range = range(a, b);
            bytes.drain(range);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_fixtures_of_every_tool(
        which in any::<prop::sample::Index>(),
        file in any::<prop::sample::Index>(),
        damages in prop::collection::vec(damage(), 1..6),
    ) {
        let mut sources = which.get(corpus()).clone();
        let at = file.index(sources.len());
        for damage in &damages {
            apply(&mut sources[at].1, damage);
        }
        check(&ingest_files(&sources, &IngestOptions::default()), &sources);
    }

    #[test]
    fn any_fixture_read_as_any_tool(which in any::<prop::sample::Index>(), tool in prop::sample::select(&Tool::ALL[..])) {
        let sources = which.get(corpus());
        check(&ingest_files(sources, &IngestOptions { tool: Some(tool), ..IngestOptions::default() }), sources);
    }

    #[test]
    fn arbitrary_bytes_read_as_any_tool(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        tool in prop::option::of(prop::sample::select(&Tool::ALL[..])),
    ) {
        let sources = [("a/new/estimates.json".to_owned(), bytes.clone()), ("out".to_owned(), bytes)];
        check(&ingest_files(&sources, &IngestOptions { tool, ..IngestOptions::default() }), &sources);
    }

    #[test]
    fn arbitrary_text_of_the_formats_words(words in prop::collection::vec(prop::sample::select(WORDS), 0..60)) {
        let sources = [("out".to_owned(), words.concat().into_bytes())];
        check(&ingest_files(&sources, &IngestOptions::default()), &sources);
    }
}

/// Pieces the text formats and JSON are made of.
const WORDS: &[&str] = &[
    "test a ... bench: ",
    "1,000 ns/iter ",
    "(+/- 5)",
    "\n",
    "\r\n",
    "Benchmark",
    "BenchmarkX-8 ",
    "100 ",
    "5 ns/op ",
    "pkg: p",
    "name time: ",
    "[1 ns 2 ns 3 ns]",
    "[−1% +2% 3%]",
    "Benchmarking x: Collecting 10 samples",
    "  Instructions: ",
    "5|6 ",
    "N/A|2",
    "  ======= DHAT =",
    "├─ ",
    "╰─ ",
    "│ ",
    "x fastest │ slowest │ median │ mean",
    "1.5 µs ",
    "   ",
    "benchmark name samples iterations estimated",
    "----------------------------",
    "[ 50.00%] ··· ",
    "time_x ",
    "1±2ms",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"name\"",
    "\"value\"",
    "\"unit\"",
    "\"results\"",
    "\"command\"",
    "\"times\"",
    "1",
    "-1",
    "NaN",
    "null",
    "\"reason\":\"benchmark-complete\"",
    "\"benchmark_exe\"",
    "\"module_path\"",
    "\"x\"",
    "\u{1b}[31m",
    "é",
];

fn under(limit: Duration, what: impl FnOnce()) {
    let start = Instant::now();
    what();
    assert!(start.elapsed() < limit, "took {:?}", start.elapsed());
}

#[test]
fn deeply_nested_json_neither_overflows_nor_takes_long() {
    let bombs =
        ["[", "{\"a\":", "[{\"benchmarks\":", "{\n\"a\":\n"].map(|part| part.repeat(500_000).into_bytes());
    let known = [
        format!(
            "{{\"results\":[{{\"command\":\"a\",\"times\":{}",
            "[".repeat(1_000_000)
        ),
        format!(
            "{{\"context\":{{\"library_build_type\":1}},\"benchmarks\":[{{\"name\":{}",
            "[".repeat(1_000_000)
        ),
        format!(
            "{{\"a\":{{\"latency\":{{\"value\":1,\"x\":{}{}}}}}}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        ),
    ];
    under(Duration::from_secs(20), || {
        for bytes in bombs.into_iter().chain(known.map(String::into_bytes)) {
            let sources = [("bomb.json".to_owned(), bytes)];
            check(&ingest_files(&sources, &IngestOptions::default()), &sources);
            for tool in [
                Tool::Hyperfine,
                Tool::Gungraun,
                Tool::Bencher,
                Tool::Jmh,
                Tool::Benchgate,
                Tool::GoogleBenchmark,
            ] {
                check(
                    &ingest_files(
                        &sources,
                        &IngestOptions {
                            tool: Some(tool),
                            ..IngestOptions::default()
                        },
                    ),
                    &sources,
                );
            }
        }
    });
}

#[test]
fn broken_documents_one_after_the_other_take_linear_time() {
    let sources = [(
        "out".to_owned(),
        "{\"benchmark_exe\": \"module_path\"\n"
            .repeat(100_000)
            .into_bytes(),
    )];
    let options = IngestOptions {
        tool: Some(Tool::Gungraun),
        ..IngestOptions::default()
    };
    under(Duration::from_secs(5), || {
        check(&ingest_files(&sources, &options), &sources);
    });
}

#[test]
fn files_of_nothing_but_separators_do_not_grow_in_memory_or_time() {
    let floods = [
        ("[", "1,", Tool::Custom),
        ("[", "[],", Tool::Jmh),
        ("{\"results\":[", "1,", Tool::Hyperfine),
        ("{", "\"\":1,", Tool::Bencher),
        (
            "{\"context\":{},\"benchmarks\":[{",
            "\"a\":1,",
            Tool::GoogleBenchmark,
        ),
        ("", "{}\n", Tool::Gungraun),
        ("benchmark name samples iterations\n", "\n", Tool::Catch2),
        ("BenchmarkX 1 1 ns/op\n", "\n", Tool::Go),
    ];
    for (start, part, tool) in floods {
        let flood = [start, &part.repeat((8 << 20) / part.len())].concat();
        let sources = [("flood".to_owned(), flood.into_bytes())];
        let options = IngestOptions {
            tool: Some(tool),
            ..IngestOptions::default()
        };
        let begin = Instant::now();
        under(Duration::from_secs(10), || {
            check(&ingest_files(&sources, &options), &sources);
        });
        println!("8 MiB flood of {part:?} as {tool}: {:?}", begin.elapsed());
    }
}

#[test]
fn a_source_over_the_limit_is_named_and_not_read() {
    let sources = [("huge.json".to_owned(), vec![b' '; 200 << 20])];
    let ingested = ingest_files(&sources, &IngestOptions::default());
    let problem = ingested.problems().next().unwrap();
    assert_eq!(
        (problem.source.as_str(), problem.kind),
        ("huge.json", ProblemKind::TooLarge)
    );
    assert!(problem.detail.contains("209715200 bytes"), "{problem}");
}

#[test]
fn floods_are_bounded_and_counted() {
    let lines: String = (0..50_000)
        .map(|n| format!("test b{n} ... bench: {n} ns/iter (+/- 1)\n"))
        .collect();
    let failed: String = (0..50_000).map(|n| format!("test f{n} ... FAILED\n")).collect();
    let sources = [("out".to_owned(), (lines + &failed).into_bytes())];
    let limits = IngestLimits {
        measurements: 1000,
        problems: 100,
        ..IngestLimits::default()
    };
    let ingested = ingest_files(
        &sources,
        &IngestOptions {
            limits,
            ..IngestOptions::default()
        },
    );
    let process = &ingested.processes[0];
    assert_eq!(process.measurements.len(), 1000);
    let last: Vec<_> = process.problems[100..]
        .iter()
        .map(|problem| problem.detail.clone())
        .collect();
    assert_eq!(
        last,
        [
            "49000 values beyond 1000 measurements or 10000 process runs are left out",
            "49901 more problems are not listed"
        ]
    );
}

#[test]
fn many_samples_are_thinned_and_their_number_kept() {
    let data: Vec<String> = (0..100_000).map(|n| format!("{}e-9", n + 1)).collect();
    let text = format!(
        "{{\"machine_info\":{{}},\"benchmarks\":[{{\"fullname\":\"a\",\"stats\":{{\"median\":5e-5,\"rounds\":100000,\"data\":[{}]}}}}]}}",
        data.join(",")
    );
    let ingested = ingest_files(
        &[("out.json".to_owned(), text.into_bytes())],
        &IngestOptions::default(),
    );
    let measurement = &ingested.processes[0].measurements[0];
    assert_eq!(
        (measurement.samples, measurement.iterations.len()),
        (Some(100_000), 1000)
    );
}

/// The target is a second; the optimised build of a test is close to a release build.
#[test]
fn a_thousand_criterion_benchmarks_take_under_a_second() {
    let folder = "criterion/criterion/sum_bytes/wrapping/1024/new/";
    let one: Vec<File> = files("criterion/criterion")
        .into_iter()
        .filter(|(path, _)| path.starts_with(folder))
        .collect();
    assert_eq!(one.len(), 4);
    let mut tree = Vec::new();
    for n in 0..1000 {
        for (path, bytes) in &one {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let text = text.replace("sum/bytes/wrapping/1024", &format!("sum/bytes/wrapping/{n}"));
            tree.push((path.replace("1024", &n.to_string()), text.into_bytes()));
        }
    }
    let start = Instant::now();
    let ingested = ingest_files(&tree, &IngestOptions::default());
    let took = start.elapsed();
    assert_eq!(ingested.processes[0].measurements.len(), 1000);
    assert_eq!(ingested.problems().count(), 0);
    println!("1000 Criterion benchmarks in {took:?}");
    assert!(took < Duration::from_secs(1), "took {took:?}");
}

#[test]
fn a_hundred_thousand_benchmarks_are_read() {
    let lines: String = (0..100_000)
        .map(|n| format!("test module::bench_{n} ... bench: {n}.5 ns/iter (+/- 1)\n"))
        .collect();
    let start = Instant::now();
    let ingested = ingest_files(
        &[("out".to_owned(), lines.into_bytes())],
        &IngestOptions::default(),
    );
    println!("100000 lines of libtest in {:?}", start.elapsed());
    assert_eq!(ingested.processes[0].measurements.len(), 100_000);
    assert_eq!(ingested.problems().count(), 0);
}
