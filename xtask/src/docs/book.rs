//! The sources of the book: our documents, with links that lead within it.
//!
//! A document outside of `docs` that belongs to the book gets a name there; any other file that a document links to is copied into
//! `files/`, so that the site is whole without the repository.

use std::path::{Component, Path, PathBuf};

use crate::{Failure, shell};

/// Documents from elsewhere, by their names in the book.
const ELSEWHERE: [(&str, &str); 5] = [
    ("README.md", "README.md"),
    ("CONTRIBUTING.md", "contributing.md"),
    ("SECURITY.md", "security.md"),
    ("CHANGELOG.md", "changelog.md"),
    ("action/README.md", "action.md"),
];
/// The chapters that [`super::reference`] writes, in front of the others under this heading.
const REFERENCE: &str = "# Reference\n";

/// Writes all documents below `source`.
pub(super) fn put_together(source: &Path) -> Result<(), Failure> {
    let root = shell::root();
    for path in documents(&root.join("docs"))? {
        let path = path
            .strip_prefix(&root)
            .map_err(|error| error.to_string())?
            .to_path_buf();
        put(&path, source)?;
    }
    for (path, _) in ELSEWHERE {
        put(Path::new(path), source)?;
    }
    Ok(())
}

fn documents(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: std::io::Error| format!("cannot list {}: {error}", folder.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            found.extend(documents(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
    Ok(found)
}

/// The name in the book of a document, from its name in the repository.
fn name_in_book(path: &Path) -> Option<PathBuf> {
    let elsewhere = ELSEWHERE.iter().find(|(known, _)| Path::new(known) == path);
    match elsewhere {
        Some((_, name)) => Some(name.into()),
        None => path
            .strip_prefix("docs")
            .ok()
            .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
            .map(Path::to_path_buf),
    }
}

/// Where a file is that is no chapter: mdBook would take a link to a document for one to a page.
fn file_in_book(path: &Path) -> PathBuf {
    let place = Path::new("files").join(path);
    match place.extension().is_some_and(|ending| ending == "md") {
        true => place.with_extension("txt"),
        false => place,
    }
}

fn put(path: &Path, source: &Path) -> Result<(), Failure> {
    let name = name_in_book(path).ok_or_else(|| format!("{} is no document", path.display()))?;
    let text = std::fs::read_to_string(shell::root().join(path))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let mut needed = Vec::new();
    let mut text = relink(&text, path, &name, &mut needed);
    if name == Path::new("SUMMARY.md") {
        let chapters = super::reference::chapters();
        text = text.replace(REFERENCE, &format!("{REFERENCE}\n{}", chapters.trim_end()));
    }
    write(&source.join(&name), text.as_bytes())?;
    for file in needed {
        let bytes = std::fs::read(shell::root().join(&file))
            .map_err(|error| format!("{}: {error}", file.display()))?;
        write(&source.join(file_in_book(&file)), &bytes)?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, bytes))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// The text with its links as they have to be in the book. Files that it then needs are added to `needed`; a folder cannot be
/// shown, so that of its link the text stays.
fn relink(text: &str, path: &Path, name: &Path, needed: &mut Vec<PathBuf>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("](") {
        let (before, after) = rest.split_at(at + 2);
        let Some(end) = after.find(')') else { break };
        let (target, following) = after.split_at(end);
        rest = following;
        if target.contains("://") || target.starts_with('#') || target.contains(char::is_whitespace) {
            out.push_str(before);
            out.push_str(target);
            continue;
        }
        let (file, anchor) = target
            .split_once('#')
            .map_or((target, None), |(file, anchor)| (file, Some(anchor)));
        let whole = normal(&path.parent().unwrap_or(Path::new("")).join(file));
        if shell::root().join(&whole).is_dir() {
            unlink(before, &mut out);
            rest = &rest[1..];
            continue;
        }
        let target = match name_in_book(&whole) {
            // mdBook calls these pages so, but follows no links to them; in its list of chapters they keep their names.
            Some(to) if to.ends_with("README.md") && name != Path::new("SUMMARY.md") => {
                to.with_file_name("index.html")
            }
            Some(to) => to,
            None => {
                needed.push(whole.clone());
                file_in_book(&whole)
            }
        };
        let up = "../".repeat(name.components().count() - 1);
        out.push_str(before);
        out.push_str(&up);
        out.push_str(&target.to_string_lossy());
        if let Some(anchor) = anchor {
            out.push('#');
            out.push_str(anchor);
        }
    }
    out.push_str(rest);
    out
}

/// Leaves the text of a link whose `[` is the last in `before`.
fn unlink(before: &str, out: &mut String) {
    let inner = before.trim_end_matches("](");
    match inner.rfind('[') {
        Some(at) => {
            out.push_str(&inner[..at]);
            out.push_str(&inner[at + 1..]);
        }
        None => out.push_str(inner),
    }
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            Component::Normal(name) => whole.push(name),
            _ => {}
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_within_the_book() {
        let mut needed = Vec::new();
        let text = "[a](../README.md#x) [b](https://x.example/y) [c](../deny.toml) [d](engines.md) [e](#here) [f](../crates) ![g](report.png)";
        let found = relink(
            text,
            Path::new("docs/tutorial.md"),
            Path::new("tutorial.md"),
            &mut needed,
        );
        assert_eq!(
            found,
            "[a](index.html#x) [b](https://x.example/y) [c](files/deny.toml) [d](engines.md) [e](#here) f ![g](files/docs/report.png)"
        );
        assert_eq!(needed, [Path::new("deny.toml"), Path::new("docs/report.png")]);
        let from_below = relink(
            "[a](../engines.md)",
            Path::new("docs/monitoring/README.md"),
            Path::new("monitoring/README.md"),
            &mut needed,
        );
        assert_eq!(from_below, "[a](../engines.md)");
        let from_root = relink(
            "[a](docs/engines.md) [b](SECURITY.md)",
            Path::new("README.md"),
            Path::new("README.md"),
            &mut needed,
        );
        assert_eq!(from_root, "[a](engines.md) [b](security.md)");
    }
}
