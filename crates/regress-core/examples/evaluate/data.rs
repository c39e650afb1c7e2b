//! Finds and reads the recorded results.

use std::path::Path;

use serde::Deserialize;

/// One benchmark over the commits, oldest first. Values that are not finite or not above zero are left out; a commit
/// that was measured twice counts as two points.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) values: Vec<f64>,
    /// Of every value, empty where the file does not say.
    pub(crate) commits: Vec<String>,
}

/// What was found in one file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    pub(crate) name: String,
    /// Series measured on one machine or fleet: those of one file.
    pub(crate) families: Vec<Vec<Series>>,
    /// Per benchmark: one number per process, the median of its iterations.
    pub(crate) processes: Vec<Vec<f64>>,
}

impl Source {
    pub(crate) fn series(&self) -> impl Iterator<Item = &Series> {
        self.families.iter().flatten()
    }
}

#[derive(Deserialize)]
struct SeriesFile {
    series: Vec<RawSeries>,
}

#[derive(Deserialize)]
struct RawSeries {
    points: Vec<RawPoint>,
}

#[derive(Deserialize)]
struct RawPoint {
    value: f64,
    #[serde(default)]
    commit: String,
}

#[derive(Deserialize)]
struct RawProcesses {
    forks: Vec<Vec<f64>>,
}

/// Every file of a known shape under `folder`, by path.
pub(crate) fn find_sources(folder: &Path) -> std::io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    search(folder, 4, &mut sources)?;
    Ok(sources)
}

fn search(path: &Path, depth: usize, sources: &mut Vec<Source>) -> std::io::Result<()> {
    if path.is_dir() {
        if depth == 0 {
            return Ok(());
        }
        let mut entries = std::fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()?;
        entries.sort();
        return entries
            .iter()
            .try_for_each(|entry| search(entry, depth - 1, sources));
    }
    if path.extension().is_some_and(|extension| extension == "json") {
        let text = std::fs::read(path)?;
        let name = path.display().to_string();
        match read(&text) {
            Some(source) => sources.push(Source { name, ..source }),
            None => eprintln!("passing over {name}: neither series nor processes"),
        }
    }
    Ok(())
}

fn read(text: &[u8]) -> Option<Source> {
    if let Ok(file) = serde_json::from_slice::<SeriesFile>(text) {
        let family = file.series.into_iter().map(series).collect();
        return Some(Source {
            families: vec![family],
            ..Source::default()
        });
    }
    let benchmarks = serde_json::from_slice::<Vec<RawProcesses>>(text).ok()?;
    let processes = benchmarks.iter().map(|benchmark| {
        benchmark
            .forks
            .iter()
            .filter_map(|fork| of_process(fork))
            .collect()
    });
    Some(Source {
        processes: processes.collect(),
        ..Source::default()
    })
}

fn series(raw: RawSeries) -> Series {
    let points = raw
        .points
        .into_iter()
        .filter(|point| point.value.is_finite() && point.value > 0.0);
    let (values, commits) = points.map(|point| (point.value, point.commit)).unzip();
    Series { values, commits }
}

fn of_process(iterations: &[f64]) -> Option<f64> {
    regress_core::stats::median(iterations).filter(|value| *value > 0.0)
}
