//! Who may know whom: the table of docs/ARCHITECTURE.md, kept true against `cargo metadata`.
//!
//! To add a crate or an edge, change [`TABLE`] and the document together, in the commit that needs
//! it; the review of that commit is the place to ask whether the edge should be.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// A package and the packages of this workspace that it names, for any purpose (tests included). A permission that nobody
/// uses any more fails as well, so that the table stays what is there.
const TABLE: &[(&str, &[&str])] = &[
    ("snippex-core", &[]),
    ("snippex-blocks", &["snippex-core"]),
    ("snippex-triage", &["snippex-core"]),
    ("snippex-formats", &["snippex-core"]),
    ("snippex-runner", &[]),
    (
        "snippex-exec",
        &[
            "snippex-blocks",
            "snippex-core",
            "snippex-formats",
            "snippex-runner",
            "snippex-triage",
        ],
    ),
    (
        "snippex-store",
        &["database-kit", "snippex-core", "snippex-triage"],
    ),
    ("snippex-image", &[]),
    (
        "snippex-session",
        &[
            "regress-core",
            "snippex-blocks",
            "snippex-core",
            "snippex-exec",
            "snippex-formats",
            "snippex-image",
            "snippex-store",
            "snippex-triage",
        ],
    ),
    (
        "snippex-report",
        &[
            "cli-kit",
            "report-kit",
            "snippex-blocks",
            "snippex-core",
            "snippex-triage",
        ],
    ),
    ("report-kit", &["cli-kit"]),
    ("regress-core", &[]),
    ("regress-report", &["regress-core", "report-kit"]),
    ("cli-kit", &[]),
    ("database-kit", &[]),
    ("github-kit", &[]),
    ("test-kit", &[]),
    (
        "snippex",
        &[
            "cli-kit",
            "github-kit",
            "snippex-blocks",
            "snippex-core",
            "snippex-exec",
            "snippex-formats",
            "snippex-image",
            "snippex-report",
            "snippex-session",
            "snippex-store",
            "snippex-triage",
            "test-kit",
        ],
    ),
    (
        "benchgate",
        &[
            "cli-kit",
            "github-kit",
            "regress-core",
            "regress-report",
            "report-kit",
            "test-kit",
        ],
    ),
    (
        "regressd",
        &[
            "cli-kit",
            "database-kit",
            "github-kit",
            "regress-core",
            "regress-report",
            "report-kit",
            "test-kit",
        ],
    ),
    (
        "benches",
        &["regress-core", "snippex-blocks", "snippex-core", "snippex-exec"],
    ),
    ("xtask", &["test-kit"]),
];

/// Pairs where the first must not reach the second over any path of normal dependencies.
const APART: &[(&str, &str)] = &[
    ("snippex-exec", "snippex-store"),
    ("snippex-store", "snippex-exec"),
    ("snippex-report", "snippex-exec"),
    ("snippex-session", "cli-kit"),
    ("snippex-session", "snippex-report"),
    ("snippex-report", "snippex-store"),
    ("benchgate", "snippex-exec"),
    ("benchgate", "snippex-store"),
    ("regressd", "snippex-exec"),
    ("regressd", "snippex-store"),
    ("benchgate", "database-kit"),
];

/// Crates that do no IO and know no async, and what would give it away.
const PURE: &[&str] = &[
    "snippex-core",
    "snippex-blocks",
    "snippex-triage",
    "snippex-formats",
    "regress-core",
];
const IMPURE: &[&str] = &["async-std", "hyper", "mio", "reqwest", "sqlx", "tokio", "ureq"];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        // One platform's dependencies are enough, and the others need not be downloaded.
        .other_options(["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"].map(String::from))
        .exec()
        .expect("cargo metadata runs on this workspace")
}

/// The packages of the workspace that `package` names.
fn neighbours<'a>(package: &'a Package, members: &BTreeSet<&str>) -> BTreeSet<&'a str> {
    let names = package
        .dependencies
        .iter()
        .map(|dependency| dependency.name.as_str());
    names.filter(|name| members.contains(name)).collect()
}

/// Everything that each package of the workspace reaches over normal and build dependencies.
/// Versions of the same name count as one.
fn reach(metadata: &Metadata) -> BTreeMap<&str, BTreeSet<&str>> {
    let resolve = metadata
        .resolve
        .as_ref()
        .expect("metadata was asked for with dependencies");
    let name = |id: &PackageId| metadata[id].name.as_str();
    let mut edges = BTreeMap::<&str, BTreeSet<&str>>::new();
    for node in &resolve.nodes {
        let shipped = node.deps.iter().filter(|dependency| {
            dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind != DependencyKind::Development)
        });
        edges
            .entry(name(&node.id))
            .or_default()
            .extend(shipped.map(|dependency| name(&dependency.pkg)));
    }
    let reach_of = |start| {
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(next) = open.pop() {
            open.extend(edges[next].iter().copied().filter(|name| seen.insert(*name)));
        }
        seen
    };
    metadata
        .workspace_members
        .iter()
        .map(|id| (name(id), reach_of(name(id))))
        .collect()
}

/// Where what a package names and what the table allows differ.
fn wrong_edges(package: &Package, allowed: &BTreeSet<&str>, named: &BTreeSet<&str>) -> Vec<String> {
    let own = package.name.as_str();
    // A package may name itself, to test itself as others see it.
    let unexpected = named.difference(allowed).filter(|name| **name != own);
    let unexpected = unexpected.map(|name| format!("`{own}` must not depend on `{name}`"));
    let stale = allowed.difference(named);
    let stale = stale.map(|name| format!("`{own}` may depend on `{name}`, and does not any more"));
    unexpected.chain(stale).collect()
}

#[test]
fn every_crate_is_in_the_table_and_names_just_what_it_allows() {
    let metadata = metadata();
    let table: BTreeMap<_, BTreeSet<_>> = TABLE
        .iter()
        .map(|(name, allowed)| (*name, allowed.iter().copied().collect()))
        .collect();
    let packages = metadata.workspace_packages();
    let members: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
    assert!(
        members.contains("xtask"),
        "the workspace was not read: {members:?}"
    );

    let mut wrong: Vec<String> = table
        .keys()
        .filter(|name| !members.contains(*name))
        .map(|name| format!("`{name}` is in the table, and not in the workspace"))
        .collect();
    for package in packages {
        match table.get(package.name.as_str()) {
            Some(allowed) => wrong.extend(wrong_edges(package, allowed, &neighbours(package, &members))),
            None => wrong.push(format!("`{}` is not in the table", package.name)),
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\n{}",
        wrong.join("\n"),
        "see TABLE in xtask/tests/dependency_table.rs"
    );
}

#[test]
fn what_must_not_know_each_other_does_not_by_detours_either() {
    let metadata = metadata();
    let reach = reach(&metadata);
    for (from, to) in APART {
        let Some(reached) = reach.get(from) else { continue };
        assert!(!reached.contains(to), "`{from}` reaches `{to}`");
    }
}

#[test]
fn the_pure_crates_bring_no_io_and_no_async() {
    let metadata = metadata();
    let reach = reach(&metadata);
    for name in PURE {
        let reached = reach
            .get(name)
            .unwrap_or_else(|| panic!("`{name}` is in the workspace"));
        let impure: Vec<_> = IMPURE.iter().filter(|impure| reached.contains(*impure)).collect();
        assert!(impure.is_empty(), "`{name}` depends on {impure:?}");
    }
}

#[test]
fn no_library_depends_on_a_program() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let folder = |package: &Package, name: &str| {
        package
            .manifest_path
            .starts_with(metadata.workspace_root.join(name))
    };
    let programs: BTreeSet<&str> = packages
        .iter()
        .filter(|package| folder(package, "bins"))
        .map(|p| p.name.as_str())
        .collect();
    for library in packages.iter().filter(|package| folder(package, "crates")) {
        let named = neighbours(library, &programs);
        assert!(
            named.is_empty(),
            "the library `{}` depends on {named:?}",
            library.name
        );
    }
}
