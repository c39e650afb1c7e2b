//! Numbers that other tools print for the same data.
#![expect(clippy::unwrap_used, reason = "a missing fixture must fail the test")]

use regress_core::detect::{
    ChangePointSettings, change_points,
    divisive::{DivisiveSettings, divisive_change_points},
};
use regress_core::stats::mann_whitney;
use serde_json::Value;

fn golden(section: &str) -> Value {
    let text = include_str!("../../../fixtures/statistics/golden.json");
    serde_json::from_str::<Value>(text).unwrap()[section].clone()
}

fn values(section: &Value, name: &str) -> Vec<f64> {
    section[name]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap())
        .collect()
}

#[test]
fn mann_whitney_is_benchstats() {
    let golden = golden("benchstat_mann_whitney");
    let json = mann_whitney(&values(&golden, "json_old"), &values(&golden, "json_new")).unwrap();
    assert!(json.exact);
    assert!(
        (json.p - golden["p_json_exact"].as_f64().unwrap()).abs() < 1e-9,
        "{json:?}"
    );
    let gob = mann_whitney(&values(&golden, "gob_old"), &values(&golden, "gob_new")).unwrap();
    assert!(
        (gob.p - golden["p_gob_tie_aware_exact"].as_f64().unwrap()).abs() < 1e-12,
        "{gob:?}"
    );
}

fn tigerbeetle() -> Vec<f64> {
    let text = include_str!("../../../fixtures/statistics/tigerbeetle.json");
    values(&serde_json::from_str(text).unwrap(), "values")
}

fn otava(window: usize, max_p: f64, least_change: f64) -> Vec<usize> {
    let settings = DivisiveSettings {
        window,
        max_p,
        least_change,
    };
    divisive_change_points(&tigerbeetle(), &settings)
        .iter()
        .map(|point| point.index)
        .collect()
}

#[test]
fn e_divisive_finds_what_otava_finds() {
    assert_eq!(otava(30, 0.01, 0.05), [15, 71]);
    assert_eq!(otava(30, 0.05, 0.05), [15, 71]);
    assert_eq!(otava(30, 0.1, 0.05), [10, 11, 15, 71, 363]);
    assert_eq!(otava(30, 0.2, 0.05), [10, 11, 15, 71]);
    assert_eq!(
        otava(30, 0.01, 0.0),
        [15, 26, 61, 71, 95, 117, 131, 142, 148, 165, 169, 192, 212, 260]
    );
    assert_eq!(
        otava(30, 0.001, 0.0),
        [15, 61, 71, 95, 117, 131, 142, 148, 192, 212, 260]
    );
    assert_eq!(otava(30, 0.00001, 0.0), [71, 95, 131, 192, 212]);
}

#[test]
fn our_detector_finds_the_levels_people_describe() {
    let found: Vec<usize> = change_points(&tigerbeetle(), &ChangePointSettings::default())
        .iter()
        .map(|point| point.index)
        .collect();
    for described in [15, 71, 95] {
        assert!(
            found.iter().any(|index| index.abs_diff(described) <= 2),
            "{described} is not in {found:?}"
        );
    }
    assert!(found.len() <= 8, "{found:?}");
}
