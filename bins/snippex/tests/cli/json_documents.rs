//! What `--format json` prints, against docs/json.schema.json: no command says less or more than the schema does.

use serde_json::{Map, Value};

use crate::sandbox::{Sandbox, TINY, needs, tiny_program};

const SCHEMA: &str = include_str!("../../../../docs/json.schema.json");
const PAGE: &str = include_str!("../../../../docs/json.md");
/// Commands whose answers have a schema of their own, are no JSON, or need another host.
const ELSEWHERE: [&str; 21] = [
    "agent",
    "completions",
    "engines add",
    "engines remove",
    "export csv",
    "export json",
    "export vectors",
    "hosts add",
    "hosts remove",
    "hosts setup",
    "hosts test",
    "man",
    "metrics prometheus",
    "report badge",
    "report csv",
    "report html",
    "report json",
    "report markdown",
    "report pdf",
    "report schema",
    "report template show",
];

/// A sandbox, and the schema of what is answered in it.
struct Asked {
    sandbox: Sandbox,
    schema: Value,
}

impl Asked {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        sandbox.file(TINY, &tiny_program());
        Self {
            sandbox,
            schema: serde_json::from_str(SCHEMA).unwrap(),
        }
    }

    /// Runs a command and holds its answer against the schema of `command`.
    fn ask(&self, command: &str, arguments: &[&str]) -> Value {
        let document = self.sandbox.json(arguments);
        self.hold(command, arguments, &document);
        document
    }

    fn hold(&self, command: &str, arguments: &[&str], document: &Value) {
        let Some(Value::Object(own)) = self.schema["properties"].get(command) else {
            panic!("docs/json.schema.json has no `{command}`");
        };
        let mut schema: Map<String, Value> = own.clone();
        schema.insert("$defs".to_owned(), self.schema["$defs"].clone());
        let validator = jsonschema::draft202012::new(&Value::Object(schema)).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(document)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{arguments:?}: {errors:#?}");
    }
}

#[test]
fn checks_and_what_they_find() {
    let asked = Asked::new();
    let check = ["check", TINY, "-e", "mock", "--states", "8"];
    asked.ask("check", &check);
    asked.ask("check", &["check", TINY, "-e", "native", "--states", "2"]);
    asked.ask(
        "check",
        &[
            "check",
            "--generated",
            "--instruction",
            "imul",
            "--per-form",
            "2",
            "-e",
            "mock",
            "--states",
            "8",
        ],
    );
    asked.ask(
        "check of several engines",
        &["check", TINY, "-e", "mock", "-e", "native", "--states", "4"],
    );
    asked.ask("record", &["record", TINY, "--to", "tiny.rec", "--states", "4"]);
    asked.ask("replay", &["replay", "tiny.rec", "-e", "mock", "--untrusted"]);
    asked.ask("extract", &["extract", TINY]);
    let several = asked
        .sandbox
        .run(&["extract", TINY, "missing", "--format", "json"]);
    assert_eq!(several.code, Some(2));
    let arguments = ["extract", TINY, "missing"];
    let document = serde_json::from_str(&several.stdout).unwrap();
    asked.hold("extract of several programs", &arguments, &document);
    asked.ask(
        "generate",
        &["generate", "--instruction", "bzhi", "--per-form", "2"],
    );
    asked.ask("validate", &["validate", "all", "-e", "mock", "--states", "2"]);
    for (command, arguments) in [
        ("list", &["list"][..]),
        ("list --binaries", &["list", "--binaries"]),
        ("list --runs", &["list", "--runs"]),
        ("disasm", &["disasm", "1"]),
        ("analyze", &["analyze", "all"]),
    ] {
        asked.ask(command, arguments);
    }
    let found = asked.ask("list --divergences", &["list", "--divergences", "1"]);
    let divergence = found[0]["divergence"].to_string();
    asked.ask("compare", &["compare", "--divergence", &divergence]);
    asked.ask("reduce", &["reduce", &divergence]);
    let bugs = asked.ask("bugs", &["bugs"]);
    let bug = bugs[0]["id"].as_str().unwrap();
    asked.ask("bugs --signatures", &["bugs", "--signatures"]);
    asked.ask("bugs show CAUSE", &["bugs", "show", bug]);
    let signature = bugs[0]["example"]["signature"].as_str().unwrap();
    asked.ask("bugs show SIGNATURE", &["bugs", "show", signature]);
    asked.ask("repro", &["repro", bug, "--as", "c"]);
    asked.ask("report github", &["report", "github"]);
    let known = asked.sandbox.run(&[
        "bugs",
        "known",
        "add",
        bug,
        "--issue",
        "https://example.com/1",
        "--format",
        "jsonl",
    ]);
    asked.hold(
        "bugs known add",
        &["bugs", "known", "add"],
        &serde_json::from_str(&known.stdout).unwrap(),
    );
    asked.ask("bugs known list", &["bugs", "known", "list"]);
    asked.ask("bugs", &["bugs"]);
    let known = asked
        .sandbox
        .run(&["bugs", "known", "remove", bug, "--format", "jsonl"]);
    asked.hold(
        "bugs known remove",
        &["bugs", "known", "remove"],
        &serde_json::from_str(&known.stdout).unwrap(),
    );
    asked.ask("simulate", &["simulate", "1", "-e", "native", "--states", "2"]);
    asked.ask("list --observations", &["list", "--observations"]);
    asked.sandbox.ok(&["export", "json", "-o", "all.json"]);
    asked.ask("import", &["import", "all.json", "--database", "other.db"]);
    asked.ask("remove", &["remove", "1"]);
}

#[test]
fn differences_of_engines_and_what_they_pass() {
    needs("qemu-x86_64");
    let asked = Asked::new();
    let generated = |engine| {
        [
            "check",
            "--generated",
            "--instruction",
            "imul,fprem",
            "--per-form",
            "2",
            "--states",
            "8",
            "-e",
            engine,
        ]
    };
    asked.ask("check", &generated("mock"));
    asked.ask("check", &generated("qemu-x86_64"));
    asked.ask("bugs diff", &["bugs", "diff", "mock", "qemu-x86_64"]);
    asked.ask(
        "bugs diff --signatures",
        &["bugs", "diff", "mock", "qemu-x86_64", "--signatures"],
    );
    let found = asked.ask("list --divergences", &["list", "--divergences"]);
    for row in found.as_array().unwrap().iter().take(6) {
        asked.ask(
            "compare",
            &["compare", "--divergence", &row["divergence"].to_string()],
        );
    }
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/cases/known");
    asked.ask("conformance", &["conformance", cases, "-e", "qemu-x86_64"]);
    asked.ask("engines list", &["engines"]);
    for engine in [
        "native",
        "qemu-x86_64",
        "fex-emu/reduced-x87",
        "box64",
        "valgrind",
    ] {
        asked.ask("engines show", &["engines", "show", engine]);
    }
    asked.ask("engines test", &["engines", "test", "qemu-x86_64"]);
}

#[test]
fn what_is_kept_over_time() {
    let asked = Asked::new();
    let with = [TINY, "-e", "mock", "--states", "2"];
    let regression = |command| [&["regression", command][..], &with].concat();
    asked.ask("regression record", &regression("record"));
    asked.ask("regression test", &regression("test"));
    asked.ask("regression update", &regression("update"));
    let bugs = asked.ask("bugs", &["bugs"]);
    let bug = bugs[0]["id"].as_str().unwrap();
    asked.ask(
        "regression approve",
        &["regression", "approve", bug, "--reason", "expected"],
    );
    asked.ask("bugs known write", &["bugs", "known", "write"]);
    asked.ask("bugs known read", &["bugs", "known", "read"]);
    asked.ask("regression history", &["regression", "history"]);
    let baseline = asked.ask("regression export", &["regression", "export"]);
    asked
        .sandbox
        .file("baseline.json", baseline.to_string().as_bytes());
    asked.ask("regression import", &["regression", "import", "baseline.json"]);
    for table in ["summary", "trends", "runs", "blocks", "modes"] {
        asked.ask(&format!("stats {table}"), &["stats", table]);
    }
    for table in ["record", "show", "export"] {
        asked.ask(&format!("metrics {table}"), &["metrics", table]);
    }
    asked.ask(
        "cache warm",
        &["cache", "warm", TINY, "-e", "native", "--states", "2"],
    );
    asked.ask("cache stats", &["cache", "stats"]);
    asked.ask(
        "cache explain",
        &["cache", "explain", "1-3", "-e", "mock", "--states", "2"],
    );
    asked.ask("cache path", &["cache", "path"]);
    asked.ask("cache prune", &["cache", "prune"]);
    asked.ask("cache clear", &["cache", "clear"]);
    asked.ask("config show", &["config", "show"]);
    asked.ask("bench", &["bench", TINY, "-e", "native"]);
    asked.sandbox.ok(&["hosts", "add", "arm", "--ssh", "me@arm"]);
    asked.ask("hosts list", &["hosts", "list"]);
    asked.ask("hosts show", &["hosts", "show", "arm"]);
    std::fs::create_dir_all(asked.sandbox.path("image/etc")).unwrap();
    asked.sandbox.file("image/tiny.so", &tiny_program());
    asked.sandbox.file("image/etc/os-release", b"NAME=tiny\n");
    asked.ask("sources list", &["sources", "list", "image"]);
    asked.ask("sources show", &["sources", "show", "image"]);
}

/// A command that prints JSON stands in the schema, or the page says where it is described instead.
#[test]
fn every_command_is_described() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["man", "pages"]);
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let described: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let mut pages: Vec<String> = std::fs::read_dir(sandbox.path("pages"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    pages.sort();
    let mut commands = 0;
    for page in &pages {
        let Some(command) = page
            .strip_prefix("snippex-")
            .and_then(|name| name.strip_suffix(".1"))
        else {
            continue;
        };
        let command = command.replace('-', " ");
        // One that only has others below it.
        let is_group = pages
            .iter()
            .any(|other| other.starts_with(&format!("{}-", &page[..page.len() - 2])));
        let known = described.iter().any(|name| {
            name.strip_prefix(&command)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        });
        assert!(
            known || is_group || ELSEWHERE.contains(&&*command),
            "`snippex {command}` is neither in docs/json.schema.json nor told of elsewhere"
        );
        commands += 1;
    }
    assert!(commands > 40, "{pages:?}");
    let source = include_str!("json_documents.rs");
    for name in described {
        let is_table = name.starts_with("stats ") || name.starts_with("metrics ");
        assert!(
            is_table || source.contains(&format!("\"{name}\"")),
            "nothing is held against `{name}`"
        );
        assert!(
            PAGE.contains(&format!("`{name}`")),
            "docs/json.md does not name `{name}`"
        );
    }
}
