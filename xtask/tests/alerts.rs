//! Whoever is woken by an alert finds a section of the runbook under its name; and no section is about an alert that is gone.

use std::collections::BTreeSet;
use std::path::Path;

fn names(file: &str, prefix: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join(file)).expect("the file is there");
    let lines = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix(prefix));
    lines.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn every_alert_has_a_section_in_the_runbook() {
    let alerts = names("docs/monitoring/alerts.yml", "- alert: ");
    assert!(alerts.len() > 10, "{alerts:?}");
    assert_eq!(alerts, names("docs/runbook.md", "## "));
}

#[test]
fn every_alert_is_tested() {
    let alerts = names("docs/monitoring/alerts.yml", "- alert: ");
    assert_eq!(alerts, names("docs/monitoring/alerts_test.yml", "alertname: "));
}
