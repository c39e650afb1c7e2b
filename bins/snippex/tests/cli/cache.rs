//! The cache of verdicts.

use std::fs;

use serde_json::Value;

use crate::sandbox::{PROGRAM, Sandbox};

const CHECK: [&str; 8] = ["check", PROGRAM, "-e", "native", "-n", "40", "--states", "4"];

fn hits(summary: &Value) -> (u64, u64) {
    let number = |name: &str| summary["cache"][name].as_u64().unwrap();
    (number("looked_up"), number("hits"))
}

#[test]
fn a_check_is_repeated_from_the_cache_unless_that_is_not_wanted() {
    let sandbox = Sandbox::new();
    let summary = |more: &[&str]| sandbox.json(&[&CHECK, more].concat())["summary"].clone();
    let first = summary(&[]);
    let (looked_up, none) = hits(&first);
    assert_eq!(none, 0);
    let second = summary(&[]);
    assert_eq!(hits(&second), (looked_up, looked_up));
    let same = |mut summary: Value| {
        for name in ["run", "elapsed_s", "runs_per_second", "cache"] {
            summary.as_object_mut().unwrap().remove(name);
        }
        summary
    };
    assert_eq!(same(second), same(first));
    assert_eq!(hits(&summary(&["--cache-refresh"])), (0, 0));
    assert!(summary(&["--no-cache"])["cache"].is_null());
    let text = sandbox.ok(&CHECK).stdout;
    assert!(text.contains("(100.0 %) came from the cache"), "{text}");
    // What is stored is found as well.
    let validated = sandbox.json(&["validate", "all", "-e", "native", "--states", "4"]);
    assert_eq!(hits(&validated["summary"]), (looked_up, looked_up));
}

#[test]
fn the_cache_is_looked_at_and_emptied() {
    let sandbox = Sandbox::new();
    let path = sandbox.ok(&["cache", "path"]).stdout;
    assert_eq!(
        path.trim(),
        sandbox.path(".cache/snippex/verdicts.db").to_str().unwrap()
    );
    assert_eq!(sandbox.json(&["cache", "stats"])["entries"], 0);
    assert_eq!(sandbox.ok(&["cache", "prune"]).stdout, "nothing to remove\n");
    sandbox.ok(&CHECK);
    let stats = sandbox.json(&["cache", "stats"]);
    let entries = stats["entries"].as_u64().unwrap();
    assert!(entries > 0);
    assert_eq!(stats["contexts"][0]["parts"]["states"], "4");
    assert!(sandbox.ok(&["cache", "stats"]).stdout.contains("bytes an entry"));
    let explain = ["cache", "explain", "1", "-e", "native", "--states"];
    let hit = sandbox.json(&[&explain[..], &["4"]].concat());
    assert_eq!(hit[0]["answer"], "hit");
    let miss = sandbox.ok(&[&explain[..], &["5"]].concat()).stdout;
    assert!(
        miss.contains("missing") && miss.contains("differs in states"),
        "{miss}"
    );
    let pruned = sandbox.json(&["cache", "prune", "--max-size", "0"]);
    assert_eq!(pruned["entries"], entries);
    sandbox.ok(&["cache", "warm", PROGRAM, "-e", "native", "--states", "4"]);
    assert!(sandbox.json(&["cache", "stats"])["entries"].as_u64() >= Some(entries));
    sandbox.ok(&["cache", "clear"]);
    assert_eq!(sandbox.ok(&["cache", "clear"]).stdout, "there is no cache\n");
}

#[test]
fn a_broken_cache_stops_no_check() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path(".cache/snippex")).unwrap();
    sandbox.file(
        ".cache/snippex/verdicts.db",
        "no database ".repeat(1000).as_bytes(),
    );
    let ended = sandbox.ok(&CHECK);
    assert!(ended.stderr.contains("the cache is not used"), "{ended:?}");
    assert!(ended.stderr.contains("snippex cache clear"), "{ended:?}");
    sandbox.run(&["cache", "stats"]).refused(&["snippex cache clear"]);
    sandbox.ok(&["cache", "clear"]);
    assert!(!sandbox.ok(&CHECK).stderr.contains("cache"));
}

#[test]
fn nonsense_about_the_cache_is_refused() {
    let sandbox = Sandbox::new();
    for (option, value) in [
        ("--cache-ttl", "-7d"),
        ("--cache-ttl", "7"),
        ("--cache-max-size", "2GB"),
        ("--cache-max-size", "-1"),
    ] {
        let ended = sandbox.run(&[&CHECK[..], &[&format!("{option}={value}")]].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("for example"), "{ended:?}");
    }
    sandbox.file("snippex.toml", b"cache_ttl = \"soon\"\n");
    sandbox.run(&CHECK).refused(&["cache_ttl", "snippex.toml"]);
}
