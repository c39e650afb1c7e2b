//! Laws the statistics keep for any input.

use proptest::{collection::vec, prelude::*};
use regress_core::stats::{
    benjamini_hochberg, bootstrap, cliffs_delta, decompose_seasonal, iqr_fences, mann_whitney, mean_interval,
    median, normalised_difference, theil_sen, welch_t_test,
};

fn hostile() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -1e9..1e9,
        1 => prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE]),
    ]
}

proptest! {
    #[test]
    fn hostile_values_never_panic_and_p_is_a_probability(a in vec(hostile(), 0..30), b in vec(hostile(), 0..30)) {
        let p_values = [
            welch_t_test(&a, &b).map(|result| result.p),
            mann_whitney(&a, &b).map(|result| result.p),
            theil_sen(&a).map(|trend| trend.p),
            decompose_seasonal(&a, 3).map(|parts| parts.p),
        ];
        for p in p_values.into_iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&p), "{p}");
        }
        if let Some(interval) = bootstrap::ratio_of_medians(&a, &b, 0.95) {
            prop_assert!(interval.low <= interval.high);
        }
        if let Some(delta) = cliffs_delta(&a, &b) {
            prop_assert!((-1.0..=1.0).contains(&delta));
        }
        let _ = (normalised_difference(&a, &b), mean_interval(&a, 0.95), iqr_fences(&a, 1.5), median(&a));
    }

    #[test]
    fn order_within_a_sample_does_not_matter(mut a in vec(1.0..100.0, 2..12), mut b in vec(1.0..100.0, 2..12)) {
        let before = (mann_whitney(&a, &b).unwrap(), bootstrap::ratio_of_medians(&a, &b, 0.95).unwrap());
        let t = welch_t_test(&a, &b).unwrap().p;
        a.reverse();
        b.rotate_left(1);
        let after = (mann_whitney(&a, &b).unwrap(), bootstrap::ratio_of_medians(&a, &b, 0.95).unwrap());
        prop_assert_eq!(before, after);
        prop_assert!((welch_t_test(&a, &b).unwrap().p - t).abs() < 1e-9);
    }

    #[test]
    fn the_unit_does_not_matter(a in vec(1.0..100.0, 3..12), b in vec(1.0..100.0, 3..12), power in -20..20) {
        // Powers of two scale without rounding.
        let scale = 2.0_f64.powi(power);
        let (x, y): (Vec<f64>, Vec<f64>) = (a.iter().map(|v| v * scale).collect(), b.iter().map(|v| v * scale).collect());
        prop_assert_eq!(mann_whitney(&a, &b).unwrap().p, mann_whitney(&x, &y).unwrap().p);
        prop_assert!((welch_t_test(&a, &b).unwrap().p - welch_t_test(&x, &y).unwrap().p).abs() < 1e-9);
        let (here, there) = (bootstrap::ratio_of_medians(&a, &b, 0.9).unwrap(), bootstrap::ratio_of_medians(&x, &y, 0.9).unwrap());
        prop_assert!((here.low - there.low).abs() < 1e-9 && (here.high - there.high).abs() < 1e-9);
    }

    #[test]
    fn swapping_the_sides_mirrors_the_answer(a in vec(1.0..100.0, 2..10), b in vec(1.0..100.0, 2..10)) {
        prop_assert!((mann_whitney(&a, &b).unwrap().p - mann_whitney(&b, &a).unwrap().p).abs() < 1e-9);
        prop_assert!((cliffs_delta(&a, &b).unwrap() + cliffs_delta(&b, &a).unwrap()).abs() < 1e-9);
        prop_assert!((welch_t_test(&a, &b).unwrap().t + welch_t_test(&b, &a).unwrap().t).abs() < 1e-9);
    }

    #[test]
    fn q_keeps_the_order_of_p_and_is_never_below_it(p in vec(0.0..=1.0_f64, 1..40)) {
        let q = benjamini_hochberg(&p);
        for i in 0..p.len() {
            prop_assert!(p[i] <= q[i] && q[i] <= 1.0);
            for j in 0..p.len() {
                prop_assert!(p[i] > p[j] || q[i] <= q[j]);
            }
        }
    }
}
