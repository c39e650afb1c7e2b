//! Laws the detectors and judgements keep for any input.

use proptest::{collection::vec, prelude::*};
use regress_core::detect::{
    ChangePointSettings, Gate, GateSettings, Pair, PastRuns, Threshold, VerdictKind, change_points,
    creep::detect_creep,
    divisive::{DivisiveSettings, divisive_change_points},
    judge_history, judge_pairs,
    kernel::by_the_book,
    machine_shift::machine_trend,
    rolling::Limit,
    season::detect_season,
};
use regress_core::measurement::{BenchmarkId, Direction, Measure, SeriesKey};

fn hostile() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -1e3..1e6,
        1 => prop::sample::select(vec![
            0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324,
        ]),
    ]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop::sample::select(vec![Direction::SmallerIsBetter, Direction::BiggerIsBetter])
}

fn key() -> SeriesKey {
    SeriesKey {
        benchmark: BenchmarkId::new("b").expect("a letter is a name"),
        measure: Measure::LATENCY,
    }
}

fn pair<'a>(before: &'a [f64], after: &'a [f64], direction: Direction) -> Pair<'a> {
    Pair {
        key: key(),
        direction,
        before,
        after,
        comparable: true,
        threshold: Threshold::default(),
    }
}

fn verdict(before: &[f64], after: &[f64], direction: Direction) -> VerdictKind {
    judge_pairs(&[pair(before, after, direction)]).verdicts[0].kind
}

proptest! {
    #[test]
    fn hostile_histories_never_panic(values in vec(hostile(), 0..80), runs in vec(hostile(), 0..4), way in direction()) {
        let settings = ChangePointSettings::default();
        let points = change_points(&values, &settings);
        prop_assert!(points.is_sorted_by(|a, b| a.index < b.index));
        prop_assert!(points.iter().all(|point| point.index < values.len() && (0.0..=1.0).contains(&point.p)));
        let _ = (divisive_change_points(&values, &DivisiveSettings::default()), by_the_book(&values), detect_season(&values, &[0, 1, 7]));
        let _ = (detect_creep(&values, way, 5.0, 10), machine_trend(&vec![values.clone(); 6], &settings));
        let _ = Gate::new(&values, way, 5.0, 0, &GateSettings::default());
        for limit in [Limit::Student(0.99), Limit::DeltaIqr(2.0), Limit::Fence(1.5), Limit::Percent(f64::NAN), Limit::Highest(0)] {
            prop_assert!(limit.above_history(&values).is_none_or(f64::is_finite));
            let _ = limit.below_history(&values);
        }
        let past = PastRuns {
            key: key(), direction: way, history: &values, runs: &runs, told: None,
            comparable: true, threshold: Threshold::default(),
        };
        let run = judge_history(&[past], &GateSettings::default());
        prop_assert!((0.0..=1.0).contains(&run.verdicts[0].confidence));
    }

    #[test]
    fn hostile_samples_are_judged(a in vec(hostile(), 0..12), b in vec(hostile(), 0..12), way in direction()) {
        let run = judge_pairs(&[pair(&a, &b, way), pair(&b, &a, way)]);
        for verdict in &run.verdicts {
            prop_assert!((0.0..=1.0).contains(&verdict.confidence), "{verdict:?}");
            prop_assert!(verdict.p.into_iter().chain(verdict.q).all(|p| (0.0..=1.0).contains(&p)), "{verdict:?}");
            prop_assert!(!verdict.reason.is_empty());
        }
    }

    #[test]
    fn order_and_unit_do_not_change_a_verdict(
        a in vec(50.0..150.0, 4..10), b in vec(50.0..150.0, 4..10), power in -10..10, way in direction(),
    ) {
        let plain = verdict(&a, &b, way);
        let scale = 2.0_f64.powi(power);
        let other = |values: &[f64]| -> Vec<f64> { values.iter().rev().map(|value| value * scale).collect() };
        prop_assert_eq!(plain, verdict(&other(&a), &other(&b), way));
    }

    #[test]
    fn going_back_is_the_opposite(a in vec(90.0..110.0, 5..9), b in vec(90.0..140.0, 5..9), way in direction()) {
        let opposite = match verdict(&a, &b, way) {
            VerdictKind::Regression => VerdictKind::Improvement,
            VerdictKind::Improvement => VerdictKind::Regression,
            other => other,
        };
        prop_assert_eq!(opposite, verdict(&b, &a, way));
    }

    #[test]
    fn the_unit_does_not_move_change_points(values in vec(50.0..150.0, 20..80), power in -20..20) {
        let settings = ChangePointSettings::default();
        let indices = |values: &[f64]| -> Vec<usize> { change_points(values, &settings).iter().map(|p| p.index).collect() };
        let scaled: Vec<f64> = values.iter().map(|value| value * 2.0_f64.powi(power)).collect();
        prop_assert_eq!(indices(&values), indices(&scaled));
    }
}
