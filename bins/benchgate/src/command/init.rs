//! `benchgate init`: finds a project's benchmarks and writes benchgate.toml and two workflows.

mod workflows;

use std::path::{Path, PathBuf};

use cli_kit::{ExitStatus, Failure};

use crate::app::App;
use crate::args::InitArgs;
use crate::files;

/// Benchmarks that were found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FoundBenches {
    /// What, for the person.
    what: String,
    /// The command that runs them and prints what benchgate reads.
    command: Vec<&'static str>,
    /// Files it writes, as globs.
    results: Vec<&'static str>,
    /// The step of a workflow that installs what the command needs.
    setup: &'static str,
}

const RUST: &str = "      - uses: dtolnay/rust-toolchain@stable\n";
const GO: &str = "      - uses: actions/setup-go@v5\n        with: { go-version: stable }\n";
const PYTHON: &str = "      - uses: actions/setup-python@v5\n        with: { python-version: '3.x' }\n      - run: pip install pytest pytest-benchmark -e .\n";

/// Runs the command.
pub(crate) fn run(app: &App<'_>, args: &InitArgs) -> Result<ExitStatus, Failure> {
    let folder = &app.root;
    let found = find(folder);
    for one in &found {
        app.printer.print_note(format_args!("found {}", one.what));
    }
    let Some(first) = found.first() else {
        return Err(Failure::new(format!("found no benchmarks in {}", folder.display()))
            .hint("known are cargo bench (criterion, divan, libtest), go test -bench, pytest-benchmark; for others write benchgate.toml by hand: command = [\"./bench.sh\"]"));
    };
    let install = args.install.as_deref();
    let written: [(PathBuf, String); 3] = [
        (folder.join("benchgate.toml"), settings_text(first)),
        (
            folder.join(".github/workflows/benchgate.yml"),
            workflows::measuring_workflow(first.setup, install),
        ),
        (
            folder.join(".github/workflows/benchgate-comment.yml"),
            workflows::commenting_workflow(install),
        ),
    ];
    if let Some((path, _)) = written
        .iter()
        .find(|(path, _)| path.exists())
        .filter(|_| !args.force)
    {
        return Err(
            Failure::new(format!("{} exists already", app.display_path(path))).hint("--force replaces it")
        );
    }
    for (path, text) in &written {
        files::write_file(path, text)?;
        app.printer.print_line(app.display_path(path))?;
    }
    if install.is_none() {
        app.printer.print_note(format_args!(
            "the workflows install benchgate from the git repository in the variable {} (Settings, Secrets and variables, Actions, Variables); --install writes another command",
            workflows::SOURCE_VARIABLE
        ));
    }
    app.printer.print_note("next: `benchgate ab --base main` compares two commits; `benchgate record` makes a baseline of this machine");
    Ok(ExitStatus::NothingFound)
}

fn find(folder: &Path) -> Vec<FoundBenches> {
    [cargo(folder), go(folder), python(folder)]
        .into_iter()
        .flatten()
        .collect()
}

fn cargo(folder: &Path) -> Option<FoundBenches> {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).ok()?;
    let mut manifests = vec![manifest.clone()];
    // Members of a workspace, one or two folders down.
    for pattern in ["", "crates", "bins", "packages", "libs"] {
        let members = std::fs::read_dir(folder.join(pattern))
            .into_iter()
            .flatten()
            .flatten();
        manifests.extend(
            members.filter_map(|entry| std::fs::read_to_string(entry.path().join("Cargo.toml")).ok()),
        );
    }
    let uses = |name: &str| {
        manifests.iter().any(|text| {
            let table: toml::Table = text.parse().unwrap_or_default();
            ["dev-dependencies", "dependencies"].iter().any(|section| {
                table
                    .get(*section)
                    .and_then(toml::Value::as_table)
                    .is_some_and(|section| section.contains_key(name))
            })
        })
    };
    let has_benches =
        manifests.iter().any(|text| text.contains("[[bench]]")) || folder.join("benches").is_dir();
    let tool = ["criterion", "divan", "gungraun", "iai-callgrind", "iai"]
        .into_iter()
        .find(|name| uses(name));
    let what = match tool {
        Some(tool) => format!("{tool} benches in Cargo.toml"),
        None if has_benches => "benches in Cargo.toml".to_owned(),
        None => return None,
    };
    let is_workspace = manifest.contains("[workspace]");
    let command = if is_workspace {
        vec!["cargo", "bench", "--workspace", "--benches"]
    } else {
        vec!["cargo", "bench", "--benches"]
    };
    Some(FoundBenches {
        what,
        command,
        results: Vec::new(),
        setup: RUST,
    })
}

fn go(folder: &Path) -> Option<FoundBenches> {
    folder.join("go.mod").is_file().then(|| FoundBenches {
        what: "a Go module".to_owned(),
        command: vec!["go", "test", "-run=^$", "-bench=.", "-count=1", "./..."],
        results: Vec::new(),
        setup: GO,
    })
}

fn python(folder: &Path) -> Option<FoundBenches> {
    let names = [
        "pyproject.toml",
        "setup.cfg",
        "requirements.txt",
        "requirements-dev.txt",
        "tox.ini",
    ];
    let mentions = |name: &&str| {
        std::fs::read_to_string(folder.join(name)).is_ok_and(|text| text.contains("pytest-benchmark"))
    };
    names.iter().any(mentions).then(|| FoundBenches {
        what: "pytest-benchmark".to_owned(),
        command: vec![
            "pytest",
            "--benchmark-only",
            "--benchmark-json=target/benchgate/pytest.json",
        ],
        results: vec!["target/benchgate/pytest.json"],
        setup: PYTHON,
    })
}

fn settings_text(found: &FoundBenches) -> String {
    let quoted = |words: &[&str]| {
        words
            .iter()
            .map(|word| format!("{word:?}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut text = format!(
        "# Settings of benchgate. Every one is also a flag and an environment variable: see benchgate --help.\n\n\
         # The benchmark command, word by word.\ncommand = [{}]\n",
        quoted(&found.command)
    );
    if !found.results.is_empty() {
        text.push_str(&format!(
            "# Files it writes its results to.\nresults = [{}]\n",
            quoted(&found.results)
        ));
    }
    text.push_str(
        "# Processes a side: one number each. Five are the least that can show anything, eight to ten are better.\n\
         runs = 8\n\
         # A change by more than this fails the build, if it is also significant.\n\
         threshold = \"5%\"\n\n\
         # Rules for some benchmarks; the most specific one wins.\n\
         # [[rules]]\n# benchmark = \"parse/*\"\n# threshold = \"10%\"\n# limit = \"2 ms\"\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Flags, resolve_settings};

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            files::write_file(&folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn projects_of_several_languages_are_found() {
        let rust = project(&[
            ("Cargo.toml", "[workspace]\n"),
            ("crates/a/Cargo.toml", "[dev-dependencies]\ncriterion = \"0.8\"\n"),
        ]);
        assert_eq!(
            find(rust.path())[0].command,
            ["cargo", "bench", "--workspace", "--benches"]
        );
        assert!(find(rust.path())[0].what.contains("criterion"));
        assert_eq!(
            find(project(&[("go.mod", "module x")]).path())[0].command[0],
            "go"
        );
        let python = project(&[("pyproject.toml", "[project]\ndependencies = ['pytest-benchmark']")]);
        assert_eq!(find(python.path())[0].results.len(), 1);
        assert_eq!(
            find(project(&[("Cargo.toml", "[package]\nname = 'x'")]).path()),
            []
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let folder = project(&[("pyproject.toml", "pytest-benchmark")]);
        let path = folder.path().join("benchgate.toml");
        files::write_file(&path, settings_text(&find(folder.path())[0])).unwrap();
        let read = resolve_settings(Some(&path), Flags::default()).unwrap().value;
        assert_eq!(read.command[0], "pytest");
        assert_eq!(read.results, ["target/benchgate/pytest.json"]);
    }
}
