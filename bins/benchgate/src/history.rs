//! The history: one run a line, appended under a lock, never rewritten.
//!
//! A line is written with one call while the file is locked, so that runs on one machine cannot mix. A line that a
//! crash left unfinished is passed over and named.

use std::collections::{BTreeMap, HashSet};
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;

use cli_kit::{Failure, OrFail};
use jiff::Timestamp;
use regress_core::environment::Environment;
use regress_core::measurement::{BenchmarkId, Commit, Direction, Measure, RunFile, SeriesKey, Unit};
use regress_core::stats;
use serde::{Deserialize, Serialize};

use crate::files;

/// The version this program writes and the newest it reads.
const VERSION: u32 = 1;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryLine {
    version: u32,
    pub(crate) environment: Environment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<Commit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time: Option<Timestamp>,
    pub(crate) series: Vec<HistorySeries>,
}

/// One benchmark's values in a run, one a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistorySeries {
    benchmark: BenchmarkId,
    measure: Measure,
    unit: Unit,
    direction: Direction,
    values: Vec<f64>,
}

/// One benchmark over the runs of an environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct HistoryPast {
    /// The median of each run, oldest first.
    pub(crate) values: Vec<f64>,
    /// The commit of each run, empty where it is not known.
    pub(crate) commits: Vec<String>,
    /// The line of each run: benchmarks of one line were measured together.
    pub(crate) lines: Vec<usize>,
}

/// The history of an environment by benchmark, with its unit and direction.
pub(crate) type Pasts = BTreeMap<SeriesKey, (Unit, Direction, HistoryPast)>;

impl HistoryLine {
    /// A run as a line.
    pub(crate) fn from_run(run: &RunFile) -> Self {
        let (series, _) = run.collect_replicates();
        let series = series.into_iter().map(|(key, replicates)| HistorySeries {
            benchmark: key.benchmark,
            measure: key.measure,
            unit: replicates.unit,
            direction: replicates.direction,
            values: replicates.values,
        });
        Self {
            version: VERSION,
            environment: run.environment.clone(),
            commit: run.commit.clone(),
            time: run.time,
            series: series.collect(),
        }
    }
}

/// Appends lines, and returns how many: a run that is there already, with the same commit or time and the same values, is not
/// added again, so that a step of a pipeline can be repeated. Writers wait for each other.
pub(crate) fn append_history(path: &Path, lines: &[HistoryLine]) -> Result<usize, Failure> {
    let failed = || format!("cannot append to {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).or_fail_with(failed)?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .or_fail_with(failed)?;
    file.lock().or_fail_with(failed)?;
    let mut before = Vec::new();
    file.read_to_end(&mut before).or_fail_with(failed)?;
    let mut known: HashSet<&[u8]> = before.split(|byte| *byte == b'\n').collect();
    let new: Result<Vec<String>, _> = lines.iter().map(serde_json::to_string).collect();
    let new = new.or_fail_with(failed)?;
    let mut text = String::new();
    // What a crash left without its end must not swallow the first line of ours.
    if !before.is_empty() && !before.ends_with(b"\n") {
        text.push('\n');
    }
    let mut added = 0;
    for (line, one) in lines.iter().zip(&new) {
        // Without either it may be another run that came to the same.
        let is_named = line.commit.is_some() || line.time.is_some();
        if known.insert(one.as_bytes()) || !is_named {
            text.push_str(one);
            text.push('\n');
            added += 1;
        }
    }
    file.write_all(text.as_bytes()).or_fail_with(failed)?;
    file.sync_data().or_fail_with(failed)?;
    Ok(added)
}

/// Reads the history, oldest run first, and what is wrong with it.
pub(crate) fn read_history(path: &Path) -> Result<(Vec<HistoryLine>, Vec<String>), Failure> {
    #[derive(Deserialize)]
    struct LineVersion {
        version: u32,
    }
    let Some(bytes) = files::read_if_there(path)? else {
        return Ok((Vec::new(), Vec::new()));
    };
    let (mut lines, mut problems) = (Vec::new(), Vec::new());
    for (index, line) in bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
    {
        let place = format!("{}:{}", path.display(), index + 1);
        match serde_json::from_slice::<LineVersion>(line) {
            Ok(head) if head.version > VERSION => {
                return Err(Failure::new(format!(
                    "{place} has version {}, this benchgate reads up to {VERSION}",
                    head.version
                ))
                .hint("use the benchgate that wrote it or a newer one"));
            }
            Ok(_) => match serde_json::from_slice(line) {
                Ok(line) => lines.push(line),
                Err(error) => problems.push(format!("{place}: passed over: {error}")),
            },
            Err(error) => problems.push(format!("{place}: passed over: {error}")),
        }
    }
    Ok((lines, problems))
}

/// The medians of the runs in `environment`, by benchmark. Values whose unit or direction differs from the newest are
/// left out, and so are the runs that `skip` picks.
pub(crate) fn of_environment(
    lines: &[HistoryLine],
    environment: &Environment,
    skip: impl Fn(&HistoryLine) -> bool,
) -> Pasts {
    let mut pasts = Pasts::new();
    let mine = |line: &&HistoryLine| line.environment.is_like(environment) && !skip(line);
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| mine(line)) {
        let commit = line
            .commit
            .as_ref()
            .map_or_else(String::new, |commit| commit.sha.as_str().to_owned());
        for series in &line.series {
            let Some(median) = stats::median(&series.values) else {
                continue;
            };
            let key = SeriesKey {
                benchmark: series.benchmark.clone(),
                measure: series.measure.clone(),
            };
            let fresh = || (series.unit.clone(), series.direction, HistoryPast::default());
            let past = pasts.entry(key).or_insert_with(fresh);
            if (&past.0, past.1) != (&series.unit, series.direction) {
                *past = fresh();
            }
            past.2.values.push(median);
            past.2.commits.push(commit.clone());
            past.2.lines.push(number);
        }
    }
    pasts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: f64) -> HistoryLine {
        HistoryLine {
            version: VERSION,
            environment: Environment::default(),
            commit: None,
            time: None,
            series: vec![HistorySeries {
                benchmark: BenchmarkId::new("sort").unwrap(),
                measure: Measure::LATENCY,
                unit: Unit::Nanoseconds,
                direction: Direction::SmallerIsBetter,
                values: vec![value; 50],
            }],
        }
    }

    #[test]
    fn concurrent_writers_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/history.jsonl");
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for i in 0..10 {
                        append_history(path, &[line(f64::from(writer * 100 + i))]).unwrap();
                    }
                });
            }
        });
        let (lines, problems) = read_history(&path).unwrap();
        assert_eq!((lines.len(), problems), (80, Vec::new()));
    }

    #[test]
    fn a_run_that_is_there_is_not_added_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let at = |second, value| HistoryLine {
            time: Some(Timestamp::from_second(second).unwrap()),
            ..line(value)
        };
        let (one, other) = (at(1, 5.0), at(2, 5.0));
        assert_eq!(append_history(&path, &[one.clone(), one.clone()]).unwrap(), 1);
        assert_eq!(append_history(&path, &[one.clone(), other.clone()]).unwrap(), 1);
        assert_eq!(append_history(&path, std::slice::from_ref(&one)).unwrap(), 0);
        assert_eq!(
            append_history(&path, &[line(5.0), line(5.0)]).unwrap(),
            2,
            "nothing says that they are one run"
        );
        let (lines, _) = read_history(&path).unwrap();
        assert_eq!(lines, [one, other, line(5.0), line(5.0)]);
    }

    #[test]
    fn an_unfinished_line_is_passed_over_and_harms_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        append_history(&path, &[line(1.0)]).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str(r#"{"version":1,"environment":{"os":"#);
        std::fs::write(&path, text).unwrap();
        append_history(&path, &[line(2.0)]).unwrap();
        let (lines, problems) = read_history(&path).unwrap();
        assert_eq!(lines.len(), 2);
        assert!(
            problems.len() == 1 && problems[0].contains("history.jsonl:2"),
            "{problems:?}"
        );
        let pasts = of_environment(&lines, &Environment::default(), |_| false);
        assert_eq!(pasts.values().next().unwrap().2.values, [1.0, 2.0]);
    }

    #[test]
    fn a_newer_history_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::fs::write(&path, "{\"version\":7,\"more\":1}\n").unwrap();
        assert!(read_history(&path).unwrap_err().to_string().contains("version 7"));
    }
}
