//! Verdicts on judging inputs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use regress_core::detect::Outcome;

use super::*;
use crate::domain::{HistoryPlace, Medians, UnixMillis};
use crate::judging::find_persistent_regressions;

fn name(benchmark: &str) -> SeriesName {
    SeriesName {
        benchmark: benchmark.to_owned(),
        measure: "latency".to_owned(),
        unit: "ns".to_owned(),
        direction: Direction::SmallerIsBetter,
    }
}

fn one(series: i64, value: f64) -> Results {
    Results(BTreeMap::from([(SeriesId(series), vec![value])]))
}

fn past(run: i64, value: f64) -> (RunId, Arc<Medians>) {
    (RunId(run), Arc::new(Medians::from_results(&one(1, value))))
}

/// Thirty runs around 1000, and then the runs to judge.
fn input(runs: &[f64]) -> JudgingInput {
    JudgingInput {
        runs: (100..)
            .map(RunId)
            .zip(runs.iter().map(|value| one(1, *value)))
            .collect(),
        history: (1..=30)
            .map(|run| past(run, 1000.0 + f64::from(run as i32 % 7)))
            .collect(),
        names: Arc::new(HashMap::from([(SeriesId(1), Arc::new(name("sort")))])),
        ..JudgingInput::default()
    }
}

fn thresholds() -> Thresholds {
    Thresholds::new(Threshold::default(), &[]).unwrap()
}

#[test]
fn a_slow_run_is_suspected_and_a_second_one_confirms_it() {
    let first = judge_input(&input(&[1300.0]), &thresholds());
    assert_eq!(first.outcome(), Outcome::Suspected, "never a success");
    assert!(first.needs_confirmation(), "{first:?}");
    let second = judge_input(&input(&[1300.0, 1290.0]), &thresholds());
    assert_eq!(second.outcome(), Outcome::Regression);
    assert_eq!(second.verdicts[0].runs, (30, 2));
    let cleared = judge_input(&input(&[1300.0, 1001.0]), &thresholds());
    assert_eq!(cleared.outcome(), Outcome::Unchanged);
    assert!(!cleared.needs_confirmation());
}

#[test]
fn rejected_values_do_not_move_the_baseline_until_they_are_accepted() {
    let mut input = input(&[1300.0, 1300.0]);
    input.history.extend((31..=40).map(|run| past(run, 1300.0)));
    input.rejected = (31..=40).map(|run| (SeriesId(1), RunId(run))).collect();
    let judged = judge_input(&input, &thresholds());
    assert_eq!(judged.outcome(), Outcome::Unchanged, "said before");
    assert_eq!(judged.verdicts[0].since, Some(RunId(31)));
    assert!(
        judged.verdicts[0].reason.contains("already on main since run 31"),
        "{judged:?}"
    );
    assert_eq!(judged.verdicts[0].before, Some(1003.0));
    assert_eq!(
        find_persistent_regressions(&input, &judged, 3),
        BTreeMap::from([(SeriesId(1), RunId(31))])
    );
    let start = HistoryPlace {
        at: UnixMillis(0),
        run: RunId(31),
    };
    input.epochs.insert(SeriesId(1), start);
    input.rejected = BTreeSet::from([(SeriesId(1), RunId(31))]);
    let judged = judge_input(&input, &thresholds());
    assert_eq!(judged.outcome(), Outcome::Unchanged);
    assert_eq!(judged.verdicts[0].runs.0, 10);
}

#[test]
fn a_baseline_is_no_longer_than_it_may_be() {
    let mut input = input(&[1000.0]);
    input.rejected = (20..=30).map(|run| (SeriesId(1), RunId(run))).collect();
    input.most = Some(15);
    let runs: Vec<i64> = input
        .baseline(SeriesId(1))
        .into_iter()
        .map(|(run, _)| run.0)
        .collect();
    assert_eq!(runs, (5..=19).collect::<Vec<i64>>(), "the newest that count");
}

#[test]
fn the_next_commit_of_a_branch_confirms_a_suspicion() {
    let mut input = input(&[1300.0]);
    input.of_history = true;
    input.history.push(past(31, 1290.0));
    input.rejected.insert((SeriesId(1), RunId(31)));
    let judged = judge_input(&input, &thresholds());
    assert_eq!(judged.outcome(), Outcome::Regression);
    input.runs = vec![(RunId(100), one(1, 1001.0))];
    assert_eq!(
        judge_input(&input, &thresholds()).outcome(),
        Outcome::Unchanged,
        "it recovered"
    );
    input.runs = vec![(RunId(100), one(1, 1300.0))];
    input.of_history = false;
    assert!(
        judge_input(&input, &thresholds()).needs_confirmation(),
        "a pull request is another commit"
    );
}

#[test]
fn what_main_has_already_fails_nobody_and_more_than_that_does() {
    let mut input = input(&[1300.0, 1302.0]);
    input.history.extend((31..=33).map(|run| past(run, 1300.0)));
    input.rejected = (31..=33).map(|run| (SeriesId(1), RunId(run))).collect();
    input.commits.insert(RunId(31), Arc::from("abc1234567890def"));
    let known = judge_input(&input, &thresholds());
    assert_eq!(known.outcome(), Outcome::Unchanged);
    assert!(
        known.verdicts[0]
            .reason
            .contains("already on main since abc1234567"),
        "{known:?}"
    );
    input.runs = vec![(RunId(100), one(1, 1700.0)), (RunId(101), one(1, 1710.0))];
    assert_eq!(
        judge_input(&input, &thresholds()).outcome(),
        Outcome::Regression,
        "worse still"
    );
    input.runs = vec![(RunId(100), one(1, 1000.0)), (RunId(101), one(1, 1002.0))];
    assert_eq!(judge_input(&input, &thresholds()).outcome(), Outcome::Unchanged);
}

#[test]
fn one_run_ten_times_as_slow_fails_at_once() {
    let judged = judge_input(&input(&[10_020.0]), &thresholds());
    assert_eq!(judged.outcome(), Outcome::Regression);
    assert!(!judged.needs_confirmation());
}

#[test]
fn what_main_gained_is_held_from_the_second_run_on() {
    for runs in 2..12 {
        let mut input = input(&[1000.0, 1001.0]);
        input
            .history
            .extend((31..31 + runs).map(|run| past(run, 700.0 + (run % 3) as f64)));
        let judged = judge_input(&input, &thresholds());
        assert_eq!(
            judged.outcome(),
            Outcome::Regression,
            "after {runs} runs: {judged:?}"
        );
    }
}

#[test]
fn the_current_value_is_this_runs() {
    let mut input = input(&[1290.0]);
    input.of_history = true;
    input.history.push(past(31, 1310.0));
    input.rejected.insert((SeriesId(1), RunId(31)));
    let judged = judge_input(&input, &thresholds());
    assert_eq!(judged.verdicts[0].after, Some(1290.0));
}

#[test]
fn what_is_no_longer_measured_is_named() {
    let mut input = input(&[1000.0]);
    let both = Results(BTreeMap::from([
        (SeriesId(1), vec![1000.0]),
        (SeriesId(2), vec![5.0]),
    ]));
    input
        .history
        .push((RunId(31), Arc::new(Medians::from_results(&both))));
    input.commits.insert(RunId(31), Arc::from("abc"));
    assert_eq!(judge_input(&input, &thresholds()).missing, [SeriesId(2)]);
    input.runs[0].1.0.insert(SeriesId(2), vec![5.0]);
    assert!(judge_input(&input, &thresholds()).missing.is_empty());
}

#[test]
fn values_beside_the_base_are_those_of_all_runs_of_the_commit() {
    let of = |values: &[f64]| Results(BTreeMap::from([(SeriesId(1), values.to_vec())]));
    let mut few = input(&[]);
    few.history.clear();
    few.runs = vec![(RunId(100), of(&[1400.0]))];
    few.base = Some(of(&[1000.0]));
    few.beside = of(&[1400.0]);
    let judged = judge_input(&few, &thresholds());
    assert_eq!(judged.outcome(), Outcome::NotJudged);
    assert!(
        judged.verdicts[0].reason.contains("one entry of `results`"),
        "{judged:?}"
    );
    assert_eq!(judged.verdicts[0].confidence, 0.0);
    few.base = Some(of(&[1000.0, 1001.0, 1002.0, 1003.0, 1004.0]));
    few.beside = of(&[1400.0, 1401.0, 1402.0, 1403.0, 1404.0]);
    assert_eq!(judge_input(&few, &thresholds()).outcome(), Outcome::Regression);
}

#[test]
fn the_first_time_is_told_from_too_few() {
    let mut first = input(&[5.0]);
    first.history.clear();
    let judged = judge_input(&first, &thresholds());
    assert!(
        judged.verdicts[0]
            .reason
            .starts_with("measured for the first time")
    );
    assert_eq!(judged.outcome(), Outcome::NotJudged);
    let mut few = input(&[5.0]);
    few.history.truncate(2);
    let judged = judge_input(&few, &thresholds());
    assert!(
        judged.verdicts[0].reason.contains("2 runs of history"),
        "{judged:?}"
    );
}

#[test]
fn a_base_measured_beside_the_run_wins_over_history() {
    let mut paired = input(&[]);
    let values = vec![1200.0, 1201.0, 1199.0, 1202.0, 1198.0];
    paired.beside = Results(BTreeMap::from([(SeriesId(1), values)]));
    paired.runs = vec![(RunId(100), paired.beside.clone())];
    paired.base = Some(Results(BTreeMap::from([(
        SeriesId(1),
        vec![1200.5, 1201.5, 1199.5, 1198.5, 1200.0],
    )])));
    let judged = judge_input(&paired, &thresholds());
    assert!(judged.paired);
    assert_eq!(judged.outcome(), Outcome::Unchanged, "{judged:?}");
    assert!(judged.verdicts[0].interval.is_some());
}

#[test]
fn verdicts_survive_their_stored_form() {
    let judged = judge_input(&input(&[1300.0, 1290.0]), &thresholds());
    assert_eq!(RunVerdicts::from_json(&judged.to_json()).unwrap(), judged);
    let public = judged.verdicts[0].to_regression_result(&name("sort"));
    assert!(public.is_regression && public.percent_change.unwrap() > 25.0);
    assert_eq!(public.sample_size, 30);
}
