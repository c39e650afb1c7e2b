//! Numbers that other tools print for the same data.
#![expect(clippy::unwrap_used, reason = "a missing fixture must fail the test")]

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
