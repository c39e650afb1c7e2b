//! What one process left behind: its standard output, the result files the user names, and Criterion's tree.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cli_kit::{Failure, OrFail};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regress_core::ingest::{self, ResultSource, Tool, ingest_results};
use regress_core::measurement::{Measurement, Problem, ProblemKind, ProcessRun, SeriesKey};

use crate::files;

/// Folders below the measured one that are searched for result files; a safeguard against following a home folder.
const MAX_FILES: usize = 200_000;

/// Where to look for results.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    /// Where the command runs.
    pub(crate) directory: &'a Path,
    /// Cargo's target folder, if the caller set one.
    pub(crate) target: Option<&'a Path>,
    /// Globs of result files, relative to `directory`.
    pub(crate) results: &'a [String],
    pub(crate) options: &'a ingest::IngestOptions,
}

impl Places<'_> {
    /// Reads what the process that started at `started` left, as one process run.
    pub(crate) fn collect_results(&self, stdout: &[u8], started: SystemTime) -> Result<ProcessRun, Failure> {
        // File times lag behind the clock by up to a tick of the kernel.
        let since = started.checked_sub(Duration::from_millis(20)).unwrap_or(started);
        let mut paths = self.named_files(since)?;
        if self.options.tool.is_none_or(|tool| tool == Tool::Criterion) {
            paths.extend(self.criterion_files(since));
        }
        let mut unread = Vec::new();
        let mut contents = Vec::new();
        for path in paths {
            let name = path.display().to_string();
            match files::read_result_file(&path) {
                Ok(bytes) => contents.push((name, bytes)),
                Err(failure) => unread.push(Problem {
                    source: name,
                    entry: None,
                    kind: ProblemKind::TooLarge,
                    detail: failure.to_string(),
                }),
            }
        }
        let sources: Vec<ResultSource<'_>> = contents
            .iter()
            .map(|(path, bytes)| ResultSource { path, bytes })
            .collect();
        let mut run = if sources.is_empty() {
            ProcessRun::default()
        } else {
            ingest_results(&sources, self.options).into_one()
        };
        run.problems.extend(unread);
        self.add_printed(&mut run, stdout);
        Ok(run)
    }

    /// Adds what stands only in the printed output.
    fn add_printed(&self, run: &mut ProcessRun, stdout: &[u8]) {
        if stdout.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let printed = ingest_results(
            &[ResultSource {
                path: "stdout",
                bytes: stdout,
            }],
            self.options,
        );
        let has_files = !run.measurements.is_empty();
        // Criterion prints what its files say, with fewer digits.
        let only_repeats = printed
            .tools
            .iter()
            .all(|(_, tool)| matches!(tool, Tool::CriterionText | Tool::CargoCriterion));
        if has_files && only_repeats {
            return;
        }
        let known: BTreeSet<SeriesKey> = run.measurements.iter().map(Measurement::series_key).collect();
        let printed = printed.into_one();
        let new = printed
            .measurements
            .into_iter()
            .filter(|measurement| !known.contains(&measurement.series_key()));
        run.measurements.extend(new);
        let of_the_whole = |problem: &Problem| {
            matches!(
                problem.kind,
                ProblemKind::Unrecognised | ProblemKind::NoBenchmarks
            )
        };
        run.problems.extend(
            printed
                .problems
                .into_iter()
                .filter(|problem| !(has_files && of_the_whole(problem))),
        );
    }

    /// The files that the user's globs pick and that this process wrote.
    fn named_files(&self, since: SystemTime) -> Result<Vec<PathBuf>, Failure> {
        if self.results.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for pattern in self.results {
            let (folder, rest) = split_glob(pattern);
            let folder = self.directory.join(folder);
            if rest.is_empty() {
                found.extend(Some(folder).filter(|path| is_fresh(path, since)));
                continue;
            }
            let set = compile_globs(std::slice::from_ref(&rest))?;
            walk(&folder, 16, &mut |path| {
                let inside = path.strip_prefix(&folder).unwrap_or(path);
                if set.is_match(inside) && is_fresh(path, since) {
                    found.push(path.to_path_buf());
                }
            });
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// The newest results of Criterion that this process wrote.
    fn criterion_files(&self, since: SystemTime) -> Vec<PathBuf> {
        let mut found = Vec::new();
        if let Some(folder) = self.criterion_folder() {
            walk(&folder, 8, &mut |path| {
                let is_new = path
                    .parent()
                    .and_then(Path::file_name)
                    .is_some_and(|name| name == "new");
                if is_new && path.extension().is_some_and(|ending| ending == "json") && is_fresh(path, since)
                {
                    found.push(path.to_path_buf());
                }
            });
        }
        found.sort();
        found
    }

    fn criterion_folder(&self) -> Option<PathBuf> {
        let variable = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(home) = variable("CRITERION_HOME") {
            return Some(self.directory.join(home));
        }
        let given = self
            .target
            .map(Path::to_path_buf)
            .or_else(|| variable("CARGO_TARGET_DIR"));
        if let Some(target) = given {
            return Some(self.directory.join(target).join("criterion"));
        }
        let mut folders = self
            .directory
            .ancestors()
            .map(|folder| folder.join("target/criterion"));
        folders.find(|folder| folder.is_dir())
    }
}

/// Globs as they are typed for result files and benchmarks; `*` also matches `/`.
pub(crate) fn compile_globs(patterns: &[String]) -> Result<GlobSet, Failure> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(
            GlobBuilder::new(pattern)
                .build()
                .or_fail_with(|| format!("{pattern:?} is not a glob"))?,
        );
    }
    set.build().or_fail("the globs are too many or too long")
}

/// The folders before the first wildcard, and the rest.
fn split_glob(pattern: &str) -> (PathBuf, String) {
    let is_plain = |part: &&str| !part.contains(['*', '?', '[', '{']);
    let plain: Vec<&str> = pattern.split('/').take_while(is_plain).collect();
    let rest: Vec<&str> = pattern.split('/').skip(plain.len()).collect();
    let folder = if pattern.starts_with('/') && plain.len() == 1 {
        "/".to_owned()
    } else {
        plain.join("/")
    };
    (PathBuf::from(folder), rest.join("/"))
}

fn is_fresh(path: &Path, since: SystemTime) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.modified().is_ok_and(|time| time >= since))
}

/// Calls `visit` with every file below `folder`, without following links to folders.
fn walk(folder: &Path, depth: usize, visit: &mut dyn FnMut(&Path)) {
    let mut open = vec![(folder.to_path_buf(), depth)];
    let mut seen = 0;
    while let Some((folder, depth)) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MAX_FILES {
                return;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth > 0 => open.push((entry.path(), depth - 1)),
                Ok(kind) if kind.is_file() => visit(&entry.path()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBTEST: &[u8] = b"test sort ... bench:       1,234 ns/iter (+/- 12)\n";

    fn collect(folder: &Path, results: &[String], stdout: &[u8]) -> ProcessRun {
        let options = ingest::IngestOptions::default();
        let places = Places {
            directory: folder,
            target: Some(folder),
            results,
            options: &options,
        };
        places.collect_results(stdout, SystemTime::now()).unwrap()
    }

    #[test]
    fn printed_and_written_results_are_joined() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("out/deep")).unwrap();
        let json = r#"[{"name": "size", "unit": "B", "value": 4096}]"#;
        std::fs::write(folder.path().join("out/deep/size.json"), json).unwrap();
        let results = ["out/*.json".to_owned()];
        let run = collect(folder.path(), &results, LIBTEST);
        let names: Vec<String> = run
            .measurements
            .iter()
            .map(|one| one.series_key().to_string())
            .collect();
        assert_eq!(names.len(), 2, "{run:?}");
        assert!(names.iter().any(|name| name == "sort"));
    }

    #[test]
    fn files_of_earlier_processes_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("size.json");
        std::fs::write(&path, r#"[{"name": "size", "unit": "B", "value": 4096}]"#).unwrap();
        let old = SystemTime::now() - Duration::from_secs(60);
        std::fs::File::open(&path).unwrap().set_modified(old).unwrap();
        assert_eq!(
            collect(folder.path(), &["size.json".to_owned()], LIBTEST)
                .measurements
                .len(),
            1
        );
    }

    #[test]
    fn globs_are_searched_from_their_first_wildcard() {
        assert_eq!(split_glob("a/b/*.json"), ("a/b".into(), "*.json".into()));
        assert_eq!(split_glob("/tmp/x.json"), ("/tmp/x.json".into(), String::new()));
        assert_eq!(split_glob("*"), (PathBuf::new(), "*".into()));
    }
}
