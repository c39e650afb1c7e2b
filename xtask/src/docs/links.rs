//! Every link of the site leads to a page, a heading or a file of it, and nothing is loaded from elsewhere: it works without a network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::Failure;

/// Checks all pages below `site`.
pub(super) fn check_site(site: &Path) -> Result<(), Failure> {
    let mut pages = BTreeMap::new();
    read_pages(site, site, &mut pages)?;
    let mut dead = Vec::new();
    let mut count = 0;
    for (path, html) in &pages {
        // The page of all pages, and that for addresses that are not there, have links from another place.
        if path == Path::new("404.html") || path == Path::new("toc.html") {
            continue;
        }
        for target in attributes(html, "href").chain(attributes(html, "src")) {
            count += 1;
            if let Some(why) = dead_link(site, path, target, &pages) {
                dead.push(format!("{}: {target}: {why}", path.display()));
            }
        }
        dead.extend(loaded_from_elsewhere(html).map(|what| format!("{}: loads {what}", path.display())));
    }
    if count < 1000 || pages.len() < 30 {
        dead.push(format!(
            "{count} links in {} pages are too few: the site is not whole",
            pages.len()
        ));
    }
    if dead.is_empty() {
        println!("{count} links in {} pages lead somewhere", pages.len());
        return Ok(());
    }
    Err(format!("links of the site:\n  {}", dead.join("\n  ")))
}

fn read_pages(site: &Path, folder: &Path, pages: &mut BTreeMap<PathBuf, String>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            read_pages(site, &path, pages)?;
        } else if path.extension().is_some_and(|ending| ending == "html") {
            let name = path.strip_prefix(site).map_err(|error| error.to_string())?;
            pages.insert(
                name.to_path_buf(),
                std::fs::read_to_string(&path).map_err(failed)?,
            );
        }
    }
    Ok(())
}

/// The values of an attribute, with its quotes.
fn attributes<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let start = format!(" {name}=\"");
    let starts: Vec<usize> = html
        .match_indices(&start)
        .map(|(at, found)| at + found.len())
        .collect();
    starts
        .into_iter()
        .filter_map(|at| html[at..].split_once('"').map(|(value, _)| value))
}

fn dead_link(
    site: &Path,
    page: &Path,
    target: &str,
    pages: &BTreeMap<PathBuf, String>,
) -> Option<&'static str> {
    let elsewhere = ["https://", "http://", "mailto:", "data:", "javascript:"];
    if elsewhere.iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        page.to_path_buf()
    } else {
        normal(&page.parent().unwrap_or(Path::new("")).join(file))
    };
    let path = if site.join(&path).is_dir() {
        path.join("index.html")
    } else {
        path
    };
    if !site.join(&path).is_file() {
        return Some("there is no such file");
    }
    let html = pages.get(&path).filter(|_| !anchor.is_empty())?;
    let ids: BTreeSet<&str> = attributes(html, "id").collect();
    (!ids.contains(anchor)).then_some("there is no such heading")
}

/// Addresses of scripts, styles, pictures and fonts that are on another server.
fn loaded_from_elsewhere(html: &str) -> impl Iterator<Item = &str> {
    let scripts = attributes(html, "src").filter(|target| target.contains("://"));
    let styles = html
        .split("<link ")
        .skip(1)
        .filter_map(|rest| attributes(rest.split_once('>').map_or(rest, |(tag, _)| tag), "href").next())
        .filter(|target| target.contains("://"));
    scripts.chain(styles)
}

fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut whole, part| {
        match part {
            std::path::Component::ParentDir => {
                whole.pop();
            }
            std::path::Component::Normal(name) => whole.push(name),
            _ => {}
        }
        whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_and_strangers_are_seen() {
        let pages = BTreeMap::from([(PathBuf::from("a/b.html"), "<h1 id=\"x\">".to_owned())]);
        let folder = std::env::temp_dir().join(format!("xtask-links-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("a")).unwrap();
        std::fs::write(folder.join("a/b.html"), "").unwrap();
        let look = |target| dead_link(&folder, Path::new("a/c.html"), target, &pages);
        assert_eq!(look("b.html#x"), None);
        assert_eq!(look("../a/b.html"), None);
        assert_eq!(look("b.html#y"), Some("there is no such heading"));
        assert_eq!(look("d.html"), Some("there is no such file"));
        assert_eq!(look("https://x.example"), None);
        std::fs::remove_dir_all(&folder).unwrap();
        let html = "<link rel=\"stylesheet\" href=\"https://cdn.example/x.css\"><a href=\"https://x.example\"><script src=\"y.js\">";
        assert_eq!(
            loaded_from_elsewhere(html).collect::<Vec<_>>(),
            ["https://cdn.example/x.css"]
        );
    }
}
