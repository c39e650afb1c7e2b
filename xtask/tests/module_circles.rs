//! The modules at the top of regressd know each other in one direction only: no circle of `crate::` paths.
//!
//! A module is a file of `bins/regressd/src` or a folder with everything in it. Tests are left out: they may look at
//! a module from anywhere. Paths by `super::` stay within a module and are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../bins/regressd/src");

/// Each module with those it names.
type Edges = BTreeMap<String, BTreeSet<String>>;

/// All Rust files in `folder` and below.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of sources is there");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                rust_files(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The code of a file without its comments and its tests.
fn code_of(text: &str) -> String {
    let lines = text.lines().map(str::trim_start);
    let code = lines.take_while(|line| !line.starts_with("#[cfg(test)]"));
    code.filter(|line| !line.starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The name at the start of a path.
fn first_name(path: &str) -> String {
    path.trim_start()
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect()
}

/// The names that follow `crate::`, one by one or in braces.
fn named_modules(code: &str) -> BTreeSet<String> {
    let paths = code.split("crate::").skip(1);
    paths
        .flat_map(|path| match path.strip_prefix('{') {
            Some(group) => names_of_group(group),
            None => vec![first_name(path)],
        })
        .collect()
}

/// The first names of the paths of `{a::b, c::{d, e}}`, which starts after its brace.
fn names_of_group(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut start) = (0_usize, Vec::new(), 0);
    for (place, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            ',' if depth == 0 => {
                names.push(first_name(&group[start..place]));
                start = place + 1;
            }
            '}' if depth == 0 => {
                names.push(first_name(&group[start..place]));
                break;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

/// The module of a file: the first part of its path.
fn module_of(file: &Path) -> String {
    let inside = file
        .strip_prefix(SOURCES)
        .expect("the file is one of the sources");
    let first = inside.iter().next().expect("a file has a name");
    let first = first.to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// Who names whom in regressd.
fn read_edges() -> Edges {
    let mut edges = Edges::new();
    let files = rust_files(Path::new(SOURCES));
    let code = files.iter().filter(|file| !file.ends_with("tests.rs"));
    for file in code {
        let text = std::fs::read_to_string(file).expect("a source is text");
        let module = module_of(file);
        let mut named = named_modules(&code_of(&text));
        named.remove(&module);
        edges.entry(module).or_default().append(&mut named);
    }
    edges
}

/// A way from `start` back to it, if there is one: the shortest.
fn find_circle(edges: &Edges, start: &str) -> Option<Vec<String>> {
    let mut ways = std::collections::VecDeque::from([vec![start.to_owned()]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let next = way.last().and_then(|module| edges.get(module));
        for name in next.into_iter().flatten() {
            let longer = [way.as_slice(), std::slice::from_ref(name)].concat();
            if name == start {
                return Some(longer);
            }
            if seen.insert(name.clone()) {
                ways.push_back(longer);
            }
        }
    }
    None
}

#[test]
fn no_modules_of_regressd_name_each_other_in_a_circle() {
    let edges = read_edges();
    assert!(edges.len() > 20, "the sources were not read: {edges:?}");
    let circles = edges.keys().filter_map(|module| find_circle(&edges, module));
    let shortest = circles.min_by_key(Vec::len);
    assert!(
        shortest.is_none(),
        "these modules of regressd name each other in a circle: {}; move what they share to a module of its own",
        shortest.unwrap_or_default().join(" -> ")
    );
}

#[test]
fn a_circle_is_found_over_detours_and_groups_and_named() {
    let edge = |code: &str| named_modules(&code_of(code));
    let edges = Edges::from([
        ("a".to_owned(), edge("use crate::{b::{X, y}, std_thing};")),
        (
            "b".to_owned(),
            edge("//! crate::x\nfn f() { crate::c::call() }\n#[cfg(test)]\nuse crate::d;"),
        ),
        ("c".to_owned(), edge("use crate::a::Thing;")),
    ]);
    assert_eq!(
        find_circle(&edges, "b"),
        Some(["b", "c", "a", "b"].map(str::to_owned).to_vec())
    );
    assert_eq!(find_circle(&edges, "d"), None);
    assert!(edges["a"].contains("std_thing") && !edges["b"].contains("d"));
}
