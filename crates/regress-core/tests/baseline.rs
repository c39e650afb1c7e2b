//! Baselines: the file as reviewers see it, what is refused, and the ways in.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use proptest::prelude::*;
use regress_core::baseline::{AlreadyJudged, BaselineError, Baselines, Justification, Lookup};
use regress_core::environment::Environment;
use regress_core::measurement::{
    BenchmarkId, Commit, CommitSha, Direction, Measure, Measurement, ProblemKind, ProcessRun, RunFile,
    RunFileError, SeriesKey, Unit,
};

fn environment(cpu: &str) -> Environment {
    Environment {
        os: Some("linux".into()),
        arch: Some("x86_64".into()),
        cpu: Some(cpu.into()),
        cores: Some(4),
        ..Environment::default()
    }
}

fn key(name: &str) -> SeriesKey {
    SeriesKey {
        benchmark: BenchmarkId::new(name).unwrap(),
        measure: Measure::LATENCY,
    }
}

fn latency(name: &str, value: f64) -> Measurement {
    let name = BenchmarkId::new(name).unwrap();
    let measurement = Measurement::new(
        name,
        Measure::LATENCY,
        Unit::Nanoseconds,
        Direction::SmallerIsBetter,
        value,
    );
    Measurement {
        samples: Some(100),
        ..measurement
    }
}

/// A run of one process per value; `series` gives each benchmark's values.
fn run(cpu: &str, sha: &str, series: &[(&str, &[f64])]) -> RunFile {
    let mut run = RunFile::new(environment(cpu));
    run.commit = Some(Commit {
        sha: CommitSha::new(sha).unwrap(),
        dirty: false,
    });
    run.time = Some("2026-11-20T12:00:00Z".parse().unwrap());
    let processes = series.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    for process in 0..processes {
        let measurements = series
            .iter()
            .filter_map(|(name, values)| Some(latency(name, *values.get(process)?)))
            .collect();
        run.processes.push(ProcessRun {
            measurements,
            problems: Vec::new(),
        });
    }
    run
}

fn recorded(series: &[(&str, &[f64])]) -> Baselines {
    let mut baselines = Baselines::new();
    baselines.record_values(&run("A", "aaaa1111", series).into_recording().unwrap());
    baselines
}

fn median(baselines: &Baselines, name: &str) -> f64 {
    let Lookup::Same(here) = baselines.lookup_environment(&environment("A")) else {
        panic!("recorded for A")
    };
    here.entries[&key(name)].median()
}

#[test]
fn the_file_reads_well_in_a_diff() {
    let mut baselines = recorded(&[
        (
            "parse \"x\", y: {z}",
            &[2_322.933_175_495, 2_400.5, 2_310.0, 2_333.25, 2_298.75],
        ),
        ("alone", &[26_214_735.0]),
    ]);
    let other = run("B", "bbbb2222", &[("alone", &[30_000_000.0, 30_000_001.0])]);
    baselines.record_values(&other.into_recording().unwrap());
    let shifted = run("A", "cccc3333", &[("alone", &[28_000_000.0])]);
    let why = Justification::new("checks every block now").unwrap();
    baselines.accept_series(&shifted.into_recording().unwrap(), |_| true, &why);
    insta::assert_snapshot!("file", baselines.to_json());
    let loaded = Baselines::from_json(baselines.to_json().as_bytes()).unwrap();
    assert_eq!((loaded.baselines, loaded.problems), (baselines, Vec::new()));
}

#[test]
fn a_judged_run_cannot_become_a_baseline() {
    let candidate = run("A", "aaaa1111", &[("a", &[1.0])]).into_candidate();
    assert_eq!(candidate.run_file().clone().into_recording(), Err(AlreadyJudged));
    let saved = candidate.into_run_file().to_json();
    let reread = RunFile::from_json(saved.as_bytes()).unwrap();
    assert_eq!(reread.into_recording(), Err(AlreadyJudged), "also from its file");
}

#[test]
fn re_recording_cannot_hide_creep() {
    let mut baselines = recorded(&[("a", &[5.0, 5.0, 5.0])]);
    for (sha, value) in [("bbbb", 5.2), ("cccc", 5.4), ("dddd", 5.7)] {
        let change = baselines.record_values(&run("A", sha, &[("a", &[value; 3])]).into_recording().unwrap());
        assert_eq!(
            (change.replaced[0].after, change.replaced[0].anchor),
            (value, 5.0)
        );
    }
    let Lookup::Same(here) = baselines.lookup_environment(&environment("A")) else {
        panic!("recorded for A")
    };
    let entry = &here.entries[&key("a")];
    assert!((entry.drift_ratio() - 1.14).abs() < 1e-9);
    assert_eq!(entry.epochs.len(), 1);
}

#[test]
fn accepting_starts_an_epoch_of_the_picked_series_only() {
    let mut baselines = recorded(&[("a", &[5.0]), ("b", &[7.0])]);
    let fresh = run("A", "bbbb", &[("a", &[6.0]), ("b", &[9.0]), ("new", &[1.0])])
        .into_recording()
        .unwrap();
    let why = Justification::new("needed for correctness").unwrap();
    let change = baselines.accept_series(&fresh, |key| key.benchmark.as_str() == "a", &why);
    assert_eq!(change.replaced.len(), 1);
    assert_eq!(change.untouched, [key("b")]);
    assert_eq!((median(&baselines, "a"), median(&baselines, "b")), (6.0, 7.0));
    let Lookup::Same(here) = baselines.lookup_environment(&environment("A")) else {
        panic!("recorded for A")
    };
    let entry = &here.entries[&key("a")];
    assert_eq!((entry.epochs[0].anchor, entry.current_epoch().anchor), (5.0, 6.0));
    assert_eq!(entry.current_epoch().justification.as_ref(), Some(&why));
    assert!(!here.entries.contains_key(&key("new")));
}

#[test]
fn a_changed_unit_needs_a_reason() {
    let mut baselines = recorded(&[("a", &[5.0])]);
    let mut other = run("A", "bbbb", &[("a", &[5.0])]);
    other.processes[0].measurements[0].unit = Unit::Bytes;
    let other = other.into_recording().unwrap();
    let change = baselines.record_values(&other);
    assert_eq!(
        (change.problems[0].kind, change.replaced.len()),
        (ProblemKind::Mixed, 0)
    );
    let why = Justification::new("measures memory now").unwrap();
    assert_eq!(baselines.accept_series(&other, |_| true, &why).replaced.len(), 1);
}

#[test]
fn other_environments_are_named_with_what_differs() {
    let mut baselines = recorded(&[("a", &[5.0])]);
    let mut far = run("C", "cccc", &[("a", &[5.0])]);
    far.environment.os = Some("macos".into());
    baselines.record_values(&far.into_recording().unwrap());
    let Lookup::Other(others) = baselines.lookup_environment(&environment("B")) else {
        panic!("B has no baseline")
    };
    assert_eq!(others[0].1[0].to_string(), "cpu: A, here B");
    assert_eq!(
        others.iter().map(|(_, parts)| parts.len()).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(
        Baselines::new().lookup_environment(&environment("B")),
        Lookup::Nothing
    );
}

#[test]
fn pruning_says_what_it_removed() {
    let mut baselines = recorded(&[("a", &[5.0]), ("b", &[5.0])]);
    let removed = baselines.prune_entries(|_, key, _| key.benchmark.as_str() != "a");
    assert_eq!(removed, [(environment("A"), key("a"))]);
    baselines.prune_entries(|_, _, _| false);
    assert_eq!(baselines, Baselines::new());
    assert_eq!(
        Baselines::from_json(baselines.to_json().as_bytes())
            .unwrap()
            .baselines,
        baselines
    );
}

#[test]
fn the_plans_form_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/benchmarks-made/baseline-1.0.json");
    let loaded = Baselines::from_json(&std::fs::read(path).unwrap()).unwrap();
    let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("plan-1.0", loaded.baselines.to_json() + &problems.join("\n"));
}

#[test]
fn newer_and_foreign_files_are_refused_with_what_to_do() {
    let refuse = |text: &str| Baselines::from_json(text.as_bytes()).unwrap_err();
    let newer = refuse(r#"{"format": "benchgate-baselines", "version": 3, "something": "new"}"#);
    assert!(matches!(newer, BaselineError::Newer { .. }));
    assert_eq!(
        newer.to_string(),
        "the baseline file has version 3, this benchgate reads up to 2; update benchgate, or record the baseline \
         again with this one"
    );
    assert!(matches!(
        refuse(r#"{"version": "3.1"}"#),
        BaselineError::Newer { .. }
    ));
    assert!(matches!(
        refuse(r#"{"version": "0.9"}"#),
        BaselineError::UnknownVersion { .. }
    ));
    assert!(matches!(
        refuse(r#"{"a": 1}"#),
        BaselineError::UnknownVersion { .. }
    ));
    assert!(matches!(
        refuse(r#"{"version": 2, "environments": ["#),
        BaselineError::Malformed(_)
    ));
    assert!(matches!(
        refuse(&"[".repeat(100_000)),
        BaselineError::Malformed(_)
    ));
    let run = r#"{"format": "benchgate-run", "version": 9, "later": true}"#;
    assert!(matches!(
        RunFile::from_json(run.as_bytes()),
        Err(RunFileError::Newer { found: 9 })
    ));
}

#[test]
fn bad_entries_cost_only_themselves() {
    let good = recorded(&[("a", &[5.0, 6.0]), ("b", &[7.0])]).to_json();
    let damage = |from: &str, to: &str| {
        assert!(good.contains(from), "{good}");
        let loaded = Baselines::from_json(good.replacen(from, to, 1).as_bytes()).unwrap();
        let kinds: Vec<ProblemKind> = loaded.problems.iter().map(|problem| problem.kind).collect();
        let left = loaded
            .baselines
            .environments()
            .map(|one| one.entries.len())
            .sum::<usize>();
        (kinds, left)
    };
    assert_eq!(
        damage("[5.0, 6.0]", "[5.0, -6.0]"),
        (vec![ProblemKind::Negative], 1)
    );
    assert_eq!(damage("[5.0, 6.0]", "[]"), (vec![ProblemKind::Missing], 1));
    assert_eq!(
        damage("[5.0, 6.0]", "[5.0, \"x\"]"),
        (vec![ProblemKind::Malformed], 1)
    );
    assert_eq!(
        damage("\"median\": 5.5", "\"median\": 4.5"),
        (vec![ProblemKind::Doubtful], 2)
    );
    assert_eq!(
        damage("\"benchmark\": \"a\"", "\"benchmark\": \"b\""),
        (vec![ProblemKind::Duplicate], 1)
    );
    assert_eq!(damage("\"unit\": \"ns\",", ""), (vec![ProblemKind::Malformed], 1));
}

#[test]
fn run_files_keep_what_they_say_and_lose_what_is_wrong() {
    let mut file = run("A", "aaaa", &[("a", &[1.5, 2.5])]);
    file.command = vec!["cargo".into(), "bench".into()];
    assert_eq!(RunFile::from_json(file.to_json().as_bytes()).unwrap(), file);
    let twice = file.processes[0].measurements[0].clone();
    file.processes[0].measurements.push(twice);
    file.processes[1].measurements[0].value = -2.5;
    let reread = RunFile::from_json(file.to_json().as_bytes()).unwrap();
    let kinds: Vec<ProblemKind> = reread.problems().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::Duplicate, ProblemKind::Negative]);
    let (series, _) = reread.collect_replicates();
    assert_eq!(series[&key("a")].values, [1.5]);
}

proptest! {
    #[test]
    fn files_survive_a_round_trip(
        values in prop::collection::vec((".{1,20}", prop::collection::vec(0.0..1e12_f64, 1..6)), 0..8),
        cpu in ".{0,12}",
    ) {
        let named: Vec<(String, Vec<f64>)> =
            values.into_iter().filter(|(name, _)| BenchmarkId::new(name).is_ok()).collect();
        let series: Vec<(&str, &[f64])> = named.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect();
        let mut baselines = Baselines::new();
        baselines.record_values(&run(&cpu, "aaaa", &series).into_recording().unwrap());
        let text = baselines.to_json();
        let loaded = Baselines::from_json(text.as_bytes()).unwrap();
        prop_assert!(loaded.problems.iter().all(|problem| problem.kind == ProblemKind::Zero));
        prop_assert_eq!(&loaded.baselines, &baselines);
        prop_assert_eq!(loaded.baselines.to_json(), text);
    }

    #[test]
    fn any_bytes_are_an_error_and_not_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..2000_usize) {
        let _ = Baselines::from_json(&bytes);
        let whole = recorded(&[("a", &[5.0, 6.0]), ("b", &[7.0])]).to_json();
        let mut damaged = whole.into_bytes();
        damaged.truncate(cut);
        damaged.extend(bytes);
        let _ = Baselines::from_json(&damaged);
        let _ = RunFile::from_json(&damaged);
    }
}
