//! Process runs, and the run file that collects them: our own versioned JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{CommitSha, Direction, Measurement, Problem, ProblemKind, SeriesKey, Unit, recheck_measurements};
use crate::environment::Environment;

/// The version of the run file this library writes, and the newest it reads.
pub const RUN_FILE_VERSION: u32 = 1;

/// Everything one process of the benchmark command reported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessRun {
    /// The numbers, at most one of each benchmark and measure.
    pub measurements: Vec<Measurement>,
    /// What was wrong, per entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// The commit that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Its hash.
    pub sha: CommitSha,
    /// Whether the work tree had changes on top of it.
    #[serde(default)]
    pub dirty: bool,
}

/// Several process runs of one commit in one environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    format: RunFileFormat,
    version: u32,
    /// Where it ran.
    pub environment: Environment,
    /// What was measured; `None` outside a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// When the first process started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// The benchmark command, word by word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Set when the run was judged; see [`RunFile::into_candidate`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    judged: bool,
    /// The process runs, in the order they ran.
    pub processes: Vec<ProcessRun>,
}

/// The `format` field, by which the file is told from other tools' JSON.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum RunFileFormat {
    #[serde(rename = "benchgate-run")]
    BenchgateRun,
}

/// The process-level values of one series: what statistics are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Replicates {
    /// Base unit of the values.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// One value per process run, in the order they ran.
    pub values: Vec<f64>,
}

/// Why a run file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RunFileError {
    /// Not JSON, or not this format.
    #[error("not a run file of benchgate: {0}")]
    Malformed(#[source] serde_json::Error),
    /// Written by a newer benchgate.
    #[error(
        "the run file has version {found}, this benchgate reads up to {RUN_FILE_VERSION}; use the benchgate that wrote it or a newer one"
    )]
    Newer {
        /// The version in the file.
        found: u64,
    },
}

impl RunFile {
    /// An empty run file for `environment`.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self {
            format: RunFileFormat::BenchgateRun,
            version: RUN_FILE_VERSION,
            environment,
            commit: None,
            time: None,
            command: Vec::new(),
            judged: false,
            processes: Vec::new(),
        }
    }

    /// Whether the run was judged against a baseline, and so may not become one.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.judged
    }

    /// A number that tells this run from others, whether it was judged or not: equal runs have equal numbers, and
    /// different ones as good as never. It is for telling a run again, not against forgery.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Self {
            environment,
            commit,
            time,
            command,
            processes,
            ..
        } = self;
        let text = serde_json::to_string(&(environment, commit, time, command, processes))
            .expect("a run file holds only strings, numbers and lists");
        // FNV-1a, since the standard library's hash may change between versions.
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    pub(crate) fn mark_judged(&mut self) {
        self.judged = true;
    }

    /// Reads a run file. Values that are negative, and second values of one series within a process run, become
    /// problems of that process run.
    ///
    /// # Errors
    /// When the bytes are not a run file, or one of a newer version.
    pub fn from_json(bytes: &[u8]) -> Result<Self, RunFileError> {
        #[derive(Deserialize)]
        struct RunFileHeader {
            #[serde(rename = "format")]
            _format: RunFileFormat,
            version: u64,
        }
        let head: RunFileHeader = serde_json::from_slice(bytes).map_err(RunFileError::Malformed)?;
        if head.version > u64::from(RUN_FILE_VERSION) {
            return Err(RunFileError::Newer { found: head.version });
        }
        let mut file: Self = serde_json::from_slice(bytes).map_err(RunFileError::Malformed)?;
        for (index, process) in file.processes.iter_mut().enumerate() {
            *process = recheck_measurements(std::mem::take(process), &format!("process run {}", index + 1));
        }
        Ok(file)
    }

    /// The run file as JSON, one field a line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a run file holds only strings, numbers and lists")
    }

    /// The values of every series over the process runs, and the problems met on the way: a value whose unit or
    /// direction differs from the series' first is left out and reported.
    #[must_use]
    pub fn collect_replicates(&self) -> (BTreeMap<SeriesKey, Replicates>, Vec<Problem>) {
        collect_replicates(&self.processes)
    }

    /// Problems of all process runs.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.processes.iter().flat_map(|process| &process.problems)
    }
}

/// See [`RunFile::collect_replicates`].
pub(crate) fn collect_replicates(
    processes: &[ProcessRun],
) -> (BTreeMap<SeriesKey, Replicates>, Vec<Problem>) {
    let mut series: BTreeMap<SeriesKey, Replicates> = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, process) in processes.iter().enumerate() {
        for measurement in &process.measurements {
            let key = measurement.series_key();
            let replicates = series.entry(key.clone()).or_insert_with(|| Replicates {
                unit: measurement.unit.clone(),
                direction: measurement.direction,
                values: Vec::new(),
            });
            if replicates.unit == measurement.unit && replicates.direction == measurement.direction {
                replicates.values.push(measurement.value);
            } else {
                problems.push(Problem {
                    source: format!("process run {}", index + 1),
                    entry: Some(key.to_string()),
                    kind: ProblemKind::Mixed,
                    detail: format!("{} here, {} before", measurement.unit, replicates.unit),
                });
            }
        }
    }
    (series, problems)
}
