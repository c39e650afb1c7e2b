//! Reports on stored checks, in every form.

use std::fs;

use crate::sandbox::{Sandbox, TINY, tiny_program};

#[test]
fn a_report_has_the_same_bytes_each_time_and_says_what_was_found() {
    let sandbox = Sandbox::after_a_check();
    let report = sandbox.json(&["report", "json"]);
    assert_eq!(report["version"], 1);
    assert_eq!(report["totals"]["checks"], 1);
    let bug = report["bugs"][0]["title"]
        .as_str()
        .expect("a bug has a title")
        .to_owned();
    let finding = &report["findings"][0];
    assert_eq!(finding["bug"], report["bugs"][0]["id"]);
    assert_ne!(finding["extension"], "unknown");
    assert!(
        !finding["differences"].as_array().expect("a list").is_empty(),
        "{finding}"
    );
    for form in ["html", "markdown", "csv", "json", "badge"] {
        let first = sandbox.ok(&["report", form]).stdout;
        assert_eq!(first, sandbox.ok(&["report", form]).stdout, "{form}");
    }
    let html = sandbox.ok(&["report", "html"]).stdout;
    assert!(
        html.contains("default-src 'none'") && html.contains(&bug),
        "{bug}"
    );
    assert!(
        !html.contains("http-equiv=\"refresh\"") && !html.contains("src=\"http"),
        "it asks somebody for something"
    );
    let csv = sandbox.ok(&["report", "csv"]).stdout;
    assert!(
        csv.starts_with("signature,bug,kind,instruction,") && csv.lines().count() > 1,
        "{csv}"
    );
    let endpoint = sandbox.json(&["report", "badge", "--as", "endpoint"]);
    assert_eq!(endpoint["schemaVersion"], 1);
}

#[test]
fn a_pdf_goes_to_a_file_on_every_paper() {
    let sandbox = Sandbox::after_a_check();
    for paper in ["a4", "letter", "legal"] {
        let file = sandbox.path("report.pdf");
        sandbox.ok(&[
            "report",
            "pdf",
            "--paper",
            paper,
            "--output",
            file.to_str().expect("a plain path"),
        ]);
        let bytes = fs::read(&file).expect("it was written");
        assert!(
            bytes.starts_with(b"%PDF-") && bytes.len() > 10_000,
            "{paper}: {} bytes",
            bytes.len()
        );
    }
}

#[test]
fn a_check_writes_the_reports_that_it_is_asked_for() {
    let sandbox = Sandbox::new();
    sandbox.file(TINY, &tiny_program());
    let names = ["html", "markdown", "pdf", "csv", "json"]
        .map(|form| (format!("--export-{form}"), format!("report.{form}")));
    let mut arguments = vec!["check", TINY, "-e", "mock", "--states", "8", "--no-reduce"];
    let paths: Vec<String> = names
        .iter()
        .map(|(_, name)| sandbox.path(name).display().to_string())
        .collect();
    for ((flag, _), path) in names.iter().zip(&paths) {
        arguments.extend([flag.as_str(), path.as_str()]);
    }
    let ended = sandbox.run(&arguments);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for path in &paths {
        assert!(fs::metadata(path).expect("it was written").len() > 100, "{path}");
    }
    // What cannot be written after all: what was found is told all the same.
    let unwritable = [
        "check",
        TINY,
        "-e",
        "mock",
        "--states",
        "8",
        "--no-reduce",
        "--export-html",
        "/dev/full",
    ];
    let ended = sandbox.run(&unwritable);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stdout.contains("diverged"), "{ended:?}");
    for word in ["/dev/full", "snippex report"] {
        assert!(ended.stderr.contains(word), "{word:?} is missing in {ended:?}");
    }
}

#[test]
fn a_template_of_ones_own_makes_a_report_and_an_error_names_its_line() {
    let sandbox = Sandbox::after_a_check();
    let with = |name: &str, text: &str| {
        let file = sandbox.file(name, text.as_bytes());
        sandbox.run(&["report", "--template", file.to_str().expect("a plain path")])
    };
    let made = with(
        "mine.txt",
        "{{ report.totals.checks }} check, {{ report.bugs | length }} bug\n",
    );
    assert_eq!(made.stdout, "1 check, 1 bug\n", "{made:?}");
    let wrong = with("wrong.txt", "first\n{{ report.no_such_field }}");
    let open = with("open.html", "{% if report %}");
    for (ended, words) in [
        (&wrong, &["wrong.txt:2", "no_such_field", "findings"][..]),
        (&open, &["open.html:1"][..]),
    ] {
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
        for word in words {
            assert!(ended.stderr.contains(word), "{word:?} is missing in {ended:?}");
        }
    }
    let builtin = sandbox.ok(&["report", "template", "show", "markdown"]).stdout;
    assert!(builtin.contains("{{ report.title }}"));
    sandbox.run(&["report"]).refused(&["html|markdown"]);
    sandbox
        .run(&["report", "--template", "/nowhere.html"])
        .refused(&["/nowhere.html"]);
    let schema = sandbox.json(&["report", "schema"]);
    assert!(schema["properties"]["findings"].is_object(), "{schema}");
}

#[test]
fn markdown_keeps_to_its_size() {
    let sandbox = Sandbox::after_a_check();
    let text = sandbox.ok(&["report", "markdown", "--max-size", "1500"]).stdout;
    assert!(text.len() <= 1500, "{}", text.len());
}

#[test]
fn a_report_on_nothing_is_one() {
    let sandbox = Sandbox::new();
    sandbox.file(TINY, &tiny_program());
    sandbox.run(&["report", "html"]).refused(&["database"]);
    sandbox.ok(&["extract", TINY]);
    let html = sandbox.ok(&["report", "html"]).stdout;
    assert!(html.contains("No check has come to an end yet"), "{html}");
}
