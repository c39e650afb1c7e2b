//! What the documents point at is there: relative links, headings behind `#`, and files that are named.
//!
//! A link is looked up from the document's own folder. A file that is only named, as `effects/rules.rs`, may lie in any
//! folder of the repository. Comments in the code are held to the documents they name. Addresses in the web are not asked.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// A path that begins with one of these is meant from the repository's root.
const FOLDERS: &[&str] = &[
    ".cargo/",
    ".ci/",
    ".github/",
    "benches/",
    "bins/",
    "crates/",
    "docker/",
    "docs/",
    "fixtures/",
    "xtask/",
];

/// Names with these endings are files of ours if they have a folder in front.
const ENDINGS: &[&str] = &[".rs", ".md", ".toml", ".yml", ".snip"];

/// Words of things outside the repository that a reader of it does not have.
const FOREIGN: &[&str] = &["../shared", "HOUSE.md", "cited from memory"];

struct Repository {
    root: PathBuf,
    /// Paths from the root, with `/` between.
    files: BTreeSet<String>,
}

#[test]
fn links_lead_somewhere() {
    let repository = Repository::read();
    let mut dead = Vec::new();
    for (path, text) in repository.texts(".md") {
        for target in links(&text) {
            if let Some(reason) = repository.dead_link(&path, &text, &target) {
                dead.push(format!("{path}: ({target}): {reason}"));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn files_that_documents_name_are_there() {
    let repository = Repository::read();
    let mut dead = Vec::new();
    for (path, text) in repository.texts(".md") {
        let missing = named(&text).filter(|name| !repository.has(&path, name));
        dead.extend(missing.map(|name| format!("{path}: {name}")));
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn documents_that_the_code_names_are_there() {
    let repository = Repository::read();
    let mut dead = Vec::new();
    for (path, text) in repository.texts(".rs") {
        let documents = named(&text).filter(|name| name.starts_with("docs/") && name.ends_with(".md"));
        let missing = documents.filter(|name| !repository.has(&path, name));
        dead.extend(missing.map(|name| format!("{path}: {name}")));
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn nothing_speaks_of_what_is_outside_the_repository() {
    let repository = Repository::read();
    let here = file!().replace('\\', "/");
    let mut found = Vec::new();
    for ending in [".md", ".rs", ".toml", ".yml"] {
        for (path, text) in repository
            .texts(ending)
            .into_iter()
            .filter(|(path, _)| !here.ends_with(path))
        {
            // A line may end between two words.
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let words = FOREIGN.iter().filter(|word| text.contains(**word));
            found.extend(words.map(|word| format!("{path}: {word}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn links_names_and_headings_are_read_as_a_reader_would() {
    let text = "# A `b`: c, d\n\n[x](one.md#a-b-c-d) ![y](two.svg) `src/three.rs` (see fixtures/four.txt).\n\n    run bins/five -x\n\
                ## A b c d\n\n~~~ [not](closed\n";
    assert_eq!(links(text), ["one.md#a-b-c-d", "two.svg"]);
    assert_eq!(
        named(text).collect::<Vec<_>>(),
        ["src/three.rs", "fixtures/four.txt", "bins/five"]
    );
    assert_eq!(
        anchors(text),
        BTreeSet::from(["a-b-c-d".to_owned(), "a-b-c-d-1".to_owned()])
    );
    assert_eq!(normal(Path::new("docs/../crates/a")), "crates/a");
}

impl Repository {
    fn read() -> Repository {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask lies in the workspace")
            .to_owned();
        let mut files = BTreeSet::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in folder_entries(&folder) {
                let path = entry.path();
                let kind = entry.file_type().expect("an entry has a type");
                if kind.is_dir()
                    && !matches!(
                        entry.file_name().to_str(),
                        Some("target" | ".git" | "node_modules")
                    )
                {
                    folders.push(path);
                } else if kind.is_file() {
                    files.insert(normal(
                        path.strip_prefix(&root).expect("the walk began at the root"),
                    ));
                }
            }
        }
        Repository { root, files }
    }

    fn texts(&self, ending: &str) -> Vec<(String, String)> {
        let ours = self.files.iter().filter(|path| path.ends_with(ending));
        // A fixture may be a broken text on purpose.
        let readable =
            ours.filter_map(|path| Some((path.clone(), std::fs::read_to_string(self.root.join(path)).ok()?)));
        readable.collect()
    }

    fn dead_link(&self, document: &str, text: &str, target: &str) -> Option<String> {
        if target.contains("://") || target.starts_with("mailto:") {
            return None;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
        let whole = if path.is_empty() {
            document.to_owned()
        } else {
            normal(&Path::new(document).parent().unwrap_or(Path::new("")).join(path))
        };
        if !self.root.join(&whole).exists() {
            return Some(format!("{whole} is not there"));
        }
        if anchor.is_empty() || !whole.ends_with(".md") {
            return None;
        }
        let other;
        let text = if whole == document {
            text
        } else {
            other = std::fs::read_to_string(self.root.join(&whole)).expect("a document is text");
            &other
        };
        (!anchors(text).contains(anchor)).then(|| format!("{whole} has no heading #{anchor}"))
    }

    /// Whether a file or folder of this name is there, from the root, from the document, or anywhere.
    fn has(&self, document: &str, name: &str) -> bool {
        let beside = Path::new(document).parent().unwrap_or(Path::new("")).join(name);
        let ending = format!("/{name}");
        self.root.join(name).exists()
            || self.root.join(normal(&beside)).exists()
            || self.files.iter().any(|file| file.ends_with(&ending))
    }
}

fn folder_entries(folder: &Path) -> impl Iterator<Item = std::fs::DirEntry> {
    let entries = std::fs::read_dir(folder).expect("a folder of the repository can be listed");
    entries.map(|entry| entry.expect("an entry can be read"))
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0.trim().to_owned()))
        .filter(|target| !target.contains(char::is_whitespace))
        .collect()
}

/// What looks like a path of this repository.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || "`()[]<>\"'|,;=".contains(c))
        .map(|word| word.trim_end_matches(['.', ':', '!', '?', '/']))
        .filter(|word| !word.contains(['*', '{', '$', '#', ':', '%']) && !word.starts_with(['/', '~', '-']))
        .filter(|word| {
            let ours = FOLDERS.iter().any(|folder| word.starts_with(folder));
            let file = word.contains('/') && ENDINGS.iter().any(|ending| word.ends_with(ending));
            ours || file
        })
}

/// The names that a page on GitHub gives to its headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let headings = text.lines().filter(|line| line.starts_with('#'));
    for heading in headings.map(|line| line.trim_start_matches('#').trim()) {
        let kept = heading.to_lowercase().replace(' ', "-");
        let name: String = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || "-_".contains(*c))
            .collect();
        let mut unique = name.clone();
        let mut count = 0;
        while !anchors.insert(unique.clone()) {
            count += 1;
            unique = format!("{name}-{count}");
        }
    }
    anchors
}

/// The path without `.` and `..`, with `/` between its parts.
fn normal(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    parts.join("/")
}
