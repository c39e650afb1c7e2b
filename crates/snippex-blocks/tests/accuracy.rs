//! Extraction against the compiler's own account of where blocks start, on a stripped library of more than 1 MB.
//!
//! Needs Clang: Debian and Ubuntu package `clang-16`. The library is SQLite, from the sources that the crate
//! libsqlite3-sys ships; it is compiled once (about half a minute) and kept in the target directory.

#[path = "../examples/block_accuracy/truth.rs"]
mod truth;

use std::path::{Path, PathBuf};
use std::process::Command;

use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;

/// What the project promises.
const PRECISION: f64 = 0.97;
const RECALL: f64 = 0.95;

/// Clang 16 to 18 take the first spelling, later ones the second.
const MAP_FLAGS: [&str; 2] = ["-fbasic-block-sections=labels", "-fbasic-block-address-map"];

/// What `cargo xtask test` takes as installed, in its `install` module, and whatever is called `clang`.
const CLANGS: [&str; 7] = [
    "clang-16", "clang-17", "clang-18", "clang-19", "clang-20", "clang-15", "clang",
];

#[test]
fn blocks_of_a_stripped_library_are_where_the_compiler_put_them() {
    let with_map = library();
    let stripped = with_map.with_extension("stripped");
    let status = Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(&with_map)
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "failed to run strip: apt-get install binutils"
    );

    let truth = truth::read_truth(&std::fs::read(&with_map).unwrap()).unwrap();
    let data = std::fs::read(&stripped).unwrap();
    let image = Image::parse(&data).unwrap();
    let index = extract_blocks(&image);
    assert!(
        index.statistics().code_bytes > 1_000_000,
        "{:?}",
        index.statistics()
    );
    assert!(truth.starts.len() > 50_000, "{} block starts", truth.starts.len());
    for with_sweep in [false, true] {
        let accuracy = truth::measure_accuracy(&truth, &index, with_sweep);
        let summary = format!(
            "sweep {with_sweep}: precision {:.4} ({:.4} with second branches), recall {:.4}, {} right, {} wrong, {} missed",
            accuracy.precision(),
            accuracy.precision_by_llvm_groups(),
            accuracy.recall(),
            accuracy.right,
            accuracy.wrong.len(),
            accuracy.missed.len()
        );
        assert!(
            accuracy.precision() >= PRECISION && accuracy.recall() >= RECALL,
            "{summary}"
        );
        assert!(accuracy.precision_by_llvm_groups() >= 0.95, "{summary}");
    }
}

/// The library with its map, compiled unless an earlier run left it.
fn library() -> PathBuf {
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sqlite-with-block-map.so");
    if library.exists() {
        return library;
    }
    let unfinished = library.with_extension(format!("{}", std::process::id()));
    let source = source();
    let mut tried = String::new();
    for clang in CLANGS {
        for flag in MAP_FLAGS {
            let output = Command::new(clang)
                .args([
                    "-O2",
                    "-shared",
                    "-fPIC",
                    flag,
                    "-DSQLITE_ENABLE_FTS5",
                    "-DSQLITE_ENABLE_RTREE",
                    "-o",
                ])
                .arg(&unfinished)
                .arg(&source)
                .output();
            match output {
                Ok(output) if output.status.success() => {
                    std::fs::rename(&unfinished, &library).expect("both lie in the same directory");
                    return library;
                }
                Ok(output) => {
                    tried += &format!("{clang} {flag}: {}\n", String::from_utf8_lossy(&output.stderr));
                }
                Err(error) => tried += &format!("{clang}: {error}\n"),
            }
        }
    }
    panic!("this test needs Clang: apt-get install clang-16\n{tried}");
}

/// `sqlite3.c` as Cargo unpacked it.
fn source() -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let sources = home.expect("HOME or CARGO_HOME is set").join("registry/src");
    let registries = std::fs::read_dir(&sources).into_iter().flatten().flatten();
    let crates =
        registries.flat_map(|registry| std::fs::read_dir(registry.path()).into_iter().flatten().flatten());
    let mut found: Vec<PathBuf> = crates
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("libsqlite3-sys-"))
        .map(|entry| entry.path().join("sqlite3/sqlite3.c"))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found
        .pop()
        .unwrap_or_else(|| panic!("no libsqlite3-sys under {}: run `cargo fetch`", sources.display()))
}
