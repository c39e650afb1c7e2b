//! From the output of a benchmark tool to process runs: one adapter per tool, one file each.
//!
//! The caller reads the files (and walks `target/criterion`) and hands over paths and bytes. Each adapter knows
//! one format, says whether a source is in it, and passes every entry through one collector, which names,
//! converts, checks and counts. Ingest never fails as a whole and never panics: what cannot be used becomes a
//! [`Problem`] that names the source and the entry.
//!
//! It does not judge, does not compare, and does not trust: sizes and counts are bounded by [`IngestLimits`].

mod adapters;
mod collector;
mod json;
mod text;
mod tool;

use std::collections::BTreeMap;

pub(crate) use json::read_object_members;
pub use tool::{Tool, UnknownTool};

use crate::measurement::{
    Direction, Estimator, Measure, Measurement, Problem, ProblemKind, ProcessRun, SeriesKey,
};
use crate::stats::median;
use adapters::ADAPTERS;
use collector::MeasurementCollector;
use text::Opened;

/// A file or captured output, as the caller read it.
#[derive(Debug, Clone, Copy)]
pub struct ResultSource<'a> {
    /// Its path, or a name such as `stdout`. Only Criterion's tree looks at it, where `/` and `\` both separate.
    pub path: &'a str,
    /// Its contents.
    pub bytes: &'a [u8],
}

/// Bounds on untrusted input. What lies beyond is left out and reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestLimits {
    /// Largest source in bytes. Callers should look at a file's length before they read it.
    pub source_bytes: usize,
    /// Most measurements of one call, over all process runs.
    pub measurements: usize,
    /// Most problems kept; the rest is counted.
    pub problems: usize,
    /// Most process runs one source may hold.
    pub processes: usize,
    /// Most samples kept of one measurement; of more, every n-th is kept. Their true number stays in `samples`.
    pub iterations: usize,
}

impl Default for IngestLimits {
    fn default() -> Self {
        Self {
            source_bytes: 64 << 20,
            measurements: 1_000_000,
            problems: 10_000,
            processes: 10_000,
            iterations: 1_000,
        }
    }
}

/// What the user decides about ingest.
#[derive(Debug, Clone, Default)]
pub struct IngestOptions {
    /// The tool all sources come from; `None` tells it from the contents.
    pub tool: Option<Tool>,
    /// Directions of measures whose format does not say; they also win over what a format says.
    pub directions: BTreeMap<Measure, Direction>,
    /// Bounds.
    pub limits: IngestLimits,
}

/// The outcome of [`ingest_results`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ingested {
    /// The process runs. One for most tools; one per fork for JMH and one per timed run for hyperfine, which
    /// start a new process for each. Problems stand in the process run they are about, those of whole sources
    /// in the first.
    pub processes: Vec<ProcessRun>,
    /// Which tools each source was read as.
    pub tools: Vec<(String, Tool)>,
}

impl Ingested {
    /// Problems of all process runs.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.processes.iter().flat_map(|process| &process.problems)
    }

    /// Whether there is anything to judge.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.processes
            .iter()
            .all(|process| process.measurements.is_empty())
    }

    /// Folds several process runs into one: the median of each series, its values as iterations. For callers
    /// that run the benchmark command several times themselves: runs within one call of the command follow each
    /// other closely and are less independent than calls are.
    #[must_use]
    pub fn into_one(self) -> ProcessRun {
        if self.processes.len() <= 1 {
            return self.processes.into_iter().next().unwrap_or_default();
        }
        let mut problems = Vec::new();
        let mut order = Vec::new();
        let mut groups: BTreeMap<SeriesKey, Vec<Measurement>> = BTreeMap::new();
        for process in self.processes {
            problems.extend(process.problems);
            for measurement in process.measurements {
                let key = measurement.series_key();
                let group = groups.entry(key.clone()).or_default();
                if group.is_empty() {
                    order.push(key);
                }
                group.push(measurement);
            }
        }
        let measurements = order
            .iter()
            .filter_map(|key| groups.remove(key))
            .map(fold)
            .collect();
        ProcessRun {
            measurements,
            problems,
        }
    }
}

/// One measurement that stands for several of the same series.
fn fold(mut group: Vec<Measurement>) -> Measurement {
    let first = group
        .first()
        .cloned()
        .expect("groups are made with their first member");
    if group.len() == 1 {
        return first;
    }
    group.retain(|one| one.unit == first.unit && one.direction == first.direction);
    let iterations: Vec<f64> = group.iter().map(|one| one.value).collect();
    Measurement {
        estimator: Estimator::Median,
        value: median(&iterations).unwrap_or(first.value),
        std_dev: None,
        interval: None,
        samples: Some(iterations.len() as u64),
        iterations,
        ..first
    }
}

/// One tool's format.
trait Adapter: Sync {
    /// The tool.
    fn tool(&self) -> Tool;

    /// Whether the source is in this format. Must be cheap, must not be shy: a truncated file still counts.
    fn recognises(&self, source: &Opened<'_>) -> bool;

    /// Whether other adapters may read the same source too: the captured output of `cargo bench` can hold
    /// several tools' lines.
    fn shares_sources(&self) -> bool {
        false
    }

    /// Reads the sources this adapter recognised, all at once since a Criterion result is several files.
    fn read_sources(&self, sources: &[&Opened<'_>], collector: &mut MeasurementCollector<'_>);
}

/// Reads the output of one run of a benchmark command.
#[must_use]
pub fn ingest_results(sources: &[ResultSource<'_>], options: &IngestOptions) -> Ingested {
    let mut collector = MeasurementCollector::new(options);
    let opened: Vec<Opened<'_>> = sources
        .iter()
        .filter_map(|source| text::decode_source(source, &mut collector))
        .collect();
    let mut claimed = vec![false; opened.len()];
    let mut tools = Vec::new();
    for adapter in ADAPTERS {
        if options.tool.is_some_and(|tool| tool != adapter.tool()) {
            continue;
        }
        let mut mine = Vec::new();
        for (source, claimed) in opened.iter().zip(&mut claimed) {
            let told = options.tool.is_some();
            if (told || adapter.recognises(source)) && (!*claimed || adapter.shares_sources()) {
                *claimed = true;
                tools.push((source.path.to_owned(), adapter.tool()));
                mine.push(source);
            }
        }
        if !mine.is_empty() {
            adapter.read_sources(&mine, &mut collector);
        }
    }
    for (source, claimed) in opened.iter().zip(claimed) {
        let as_criterion = options.tool.is_none_or(|tool| tool == Tool::Criterion);
        let is_of_tree = claimed && as_criterion && adapters::is_criterion_file(source);
        if is_of_tree || collector.has_heard_of(source.path) {
            continue;
        }
        collector.set_source(source.path);
        if claimed || adapters::is_test_output(source) {
            collector.reject_source(ProblemKind::NoBenchmarks, "");
        } else {
            collector.reject_source(ProblemKind::Unrecognised, "name the tool if you know it");
        }
    }
    Ingested {
        processes: collector.finish(),
        tools,
    }
}
