//! Every format that benchgate reads is taken as an upload.

use std::path::{Path, PathBuf};

use regress_core::environment::Environment;
use regress_core::ingest::{self, IngestOptions, ResultSource, Tool};
use regress_core::measurement::RunFile;
use serde_json::{Value, json};

use crate::place::Place;
use crate::running::Running;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// One file of the format; the folder that Criterion leaves is many.
fn sample(tool: Tool) -> Vec<Value> {
    let path = match tool {
        Tool::Criterion => return tree(),
        Tool::Benchgate => {
            let text = run_file();
            return vec![json!({ "path": "run.json", "text": text })];
        }
        Tool::CriterionText => "criterion/run2.txt",
        Tool::CargoCriterion => "benchmarks-made/cargo-criterion.jsonl",
        Tool::Libtest => "tool-output/rust/bench/many.txt",
        Tool::Divan => "criterion/divan.txt",
        Tool::Iai => "tool-output/rust/iai/two.txt",
        Tool::Gungraun => "benchmarks-made/gungraun-schema6.json",
        Tool::GoogleBenchmark => "benchmarks-made/google-repetitions.json",
        Tool::Catch2 => "tool-output/cpp/catch2/two.txt",
        Tool::Go => "benchmarks-made/go-test.json",
        Tool::PytestBenchmark => "benchmarks-made/pytest-benchmark-5.json",
        Tool::Asv => "tool-output/python/asv/six.txt",
        Tool::Hyperfine => "benchmarks-made/hyperfine.json",
        Tool::Jmh => "benchmarks-made/jmh-forks.json",
        Tool::Vitest => "benchmarks-made/vitest-3.json",
        Tool::Tinybench => "benchmarks-made/tinybench-table.txt",
        Tool::Mitata => "benchmarks-made/mitata.json",
        Tool::BenchmarkDotNet => "benchmarks-made/benchmark-dotnet.json",
        Tool::K6 => "benchmarks-made/k6-summary-export.json",
        Tool::BenchmarkTools => "benchmarks-made/benchmark-tools.json",
        Tool::BenchmarkIps => "benchmarks-made/benchmark-ips.txt",
        Tool::BenchmarkJs => "benchmarks-made/benchmark-js.txt",
        Tool::ConsoleTime => "benchmarks-made/console-time.txt",
        Tool::RubyBenchmark => "benchmarks-made/ruby-benchmark.txt",
        Tool::Dart => "benchmarks-made/dart.txt",
        Tool::Nanobench => "benchmarks-made/nanobench.txt",
        Tool::Bencher => "tool-output/json/report_latency.json",
        Tool::Custom => "benchmarks-made/custom-mixed.json",
        Tool::CustomSmallerIsBetter | Tool::CustomBiggerIsBetter => "benchmarks-made/custom-bigger.json",
    };
    let text = std::fs::read_to_string(fixtures().join(path)).unwrap();
    vec![json!({ "path": path, "text": text })]
}

fn tree() -> Vec<Value> {
    let mut files = Vec::new();
    let mut folders = vec![fixtures().join("criterion/criterion")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "json") {
                let name = path.strip_prefix(fixtures().join("criterion")).unwrap();
                let text = std::fs::read_to_string(&path).unwrap();
                files.push(json!({ "path": name.display().to_string(), "text": text }));
            }
        }
    }
    assert!(files.len() > 3);
    files
}

/// What `benchgate run` writes.
fn run_file() -> String {
    let text = std::fs::read(fixtures().join("benchmarks-made/go.txt")).unwrap();
    let source = ResultSource {
        path: "go.txt",
        bytes: &text,
    };
    let mut file = RunFile::new(Environment::default());
    file.processes = ingest::ingest_results(&[source], &IngestOptions::default()).processes;
    file.to_json()
}

/// Whether the contents alone tell which tool it was: all but those that are only plain numbers and times.
fn is_told(tool: Tool) -> bool {
    !matches!(
        tool,
        Tool::CustomSmallerIsBetter | Tool::CustomBiggerIsBetter | Tool::ConsoleTime
    )
}

pub(crate) async fn every_format_is_taken(place: Place) {
    let service = Running::start(place).await;
    let token = service.token("*", "upload").await;
    for tool in Tool::ALL {
        let results = sample(tool);
        for named in [true, false] {
            if !named && !is_told(tool) {
                continue;
            }
            let mut body = json!({
                "repository": "octo/formats", "branch": "main", "commit": "abcd", "component": tool.as_str(),
                "run_id": if named { "named" } else { "told" }, "results": results,
            });
            if named {
                body["tool"] = json!(tool.as_str());
            }
            let (status, answer) = service.upload(&token, &body).await;
            assert!(status < 300, "{tool:?}, named {named}: {answer}");
            let judged = service.judged(&answer["run"], &token).await;
            let results = judged["results"].as_array().unwrap();
            assert!(!results.is_empty(), "{tool:?}, named {named}");
            let direction = match tool {
                Tool::CustomBiggerIsBetter => "bigger-is-better",
                Tool::CustomSmallerIsBetter => "smaller-is-better",
                _ => continue,
            };
            assert!(
                results.iter().all(|one| one["direction"] == direction),
                "{judged}"
            );
        }
    }
}
