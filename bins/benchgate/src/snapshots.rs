//! Snapshots: what each judgement came to, a line of figures in an append-only file of the state folder.
//!
//! The report itself is replaced by the next one; these lines stay, for dashboards and alerts.

use cli_kit::{Failure, OrFail};
use jiff::Timestamp;
use regress_core::detect::{Outcome, VerdictKind};
use regress_report::benchmarks::{Report, Row};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::files;

/// The file in the state folder.
const FILE: &str = "metrics.jsonl";
/// The version this program writes and the newest it reads.
const VERSION: u32 = 1;
/// Snapshots that are kept; the oldest go first.
const MAX_SNAPSHOTS: usize = 10_000;

/// What a judgement came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snapshot {
    version: u32,
    /// When it was made.
    pub(crate) time: Timestamp,
    /// What was done, as the report's heading says it.
    pub(crate) title: String,
    /// The machine, in words.
    pub(crate) environment: String,
    /// Full hash of the commit that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    pub(crate) outcome: Outcome,
    /// Benchmarks and measures by verdict.
    pub(crate) verdicts: VerdictCounts,
    /// The benchmark whose cost grew most, and by how much in percent; none where nothing was compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) worst: Option<(String, f64)>,
    /// The middle change of cost over all benchmarks, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) median_change: Option<f64>,
}

/// How many benchmarks got each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerdictCounts {
    pub(crate) regressions: u64,
    pub(crate) suspected: u64,
    pub(crate) improvements: u64,
    pub(crate) unchanged: u64,
    /// Too few values, or another environment.
    pub(crate) not_judged: u64,
}

impl VerdictCounts {
    fn of(rows: &[Row]) -> Self {
        let mut counts = Self::default();
        for row in rows {
            *match row.verdict {
                VerdictKind::Regression => &mut counts.regressions,
                VerdictKind::Suspected => &mut counts.suspected,
                VerdictKind::Improvement => &mut counts.improvements,
                VerdictKind::Unchanged => &mut counts.unchanged,
                VerdictKind::NotEnoughData | VerdictKind::EnvironmentChanged => &mut counts.not_judged,
            } += 1;
        }
        counts
    }

    /// All of them.
    pub(crate) fn all(self) -> u64 {
        self.regressions + self.suspected + self.improvements + self.unchanged + self.not_judged
    }

    /// Those that were judged.
    pub(crate) fn judged(self) -> u64 {
        self.all() - self.not_judged
    }
}

impl Snapshot {
    /// What `report` came to, made at `time`.
    pub(crate) fn of(report: &Report, time: Timestamp) -> Self {
        let changes = report
            .rows
            .iter()
            .filter_map(|row| Some((&row.name, row.percent?)));
        let worst = changes
            .clone()
            .max_by(|(_, one), (_, other)| one.total_cmp(other));
        let percents: Vec<f64> = changes.map(|(_, percent)| percent).collect();
        Self {
            version: VERSION,
            time,
            title: report.title.clone(),
            environment: report.environment.clone(),
            commit: report.head.commit.clone(),
            outcome: report.outcome,
            verdicts: VerdictCounts::of(&report.rows),
            worst: worst.map(|(name, percent)| (name.clone(), percent)),
            median_change: regress_core::stats::median(&percents),
        }
    }

    /// Whether nothing that was judged is slower, for certain or perhaps.
    pub(crate) fn passes(&self) -> bool {
        matches!(self.outcome, Outcome::Improvement | Outcome::Unchanged)
    }

    /// Whether both are of one report.
    fn is_same_report(&self, other: &Self) -> bool {
        let undated = |snapshot: &Self| Self {
            time: Timestamp::UNIX_EPOCH,
            ..snapshot.clone()
        };
        undated(self) == undated(other)
    }
}

/// What the file holds.
#[derive(Debug, Default)]
pub(crate) struct SnapshotFile {
    /// In the order in which they were made.
    pub(crate) snapshots: Vec<Snapshot>,
    /// Lines that are no snapshots. They stay in the file: somebody may yet mend them.
    unread: Vec<Vec<u8>>,
    /// What is wrong with each of them.
    problems: Vec<String>,
}

/// Adds a snapshot to those there are.
pub(crate) fn append_snapshot(app: &App<'_>, snapshot: Snapshot) -> Result<(), Failure> {
    let path = app.state_file(FILE);
    let _lock = files::lock_file(&path)?;
    let mut file = read_snapshots(app)?;
    file.snapshots.push(snapshot);
    write_snapshots(app, &file)
}

/// Adds those of `snapshots` that are of no report that is there already; gives their number.
pub(crate) fn merge_snapshots(app: &App<'_>, snapshots: Vec<Snapshot>) -> Result<usize, Failure> {
    let path = app.state_file(FILE);
    let _lock = files::lock_file(&path)?;
    let mut file = read_snapshots(app)?;
    let before = file.snapshots.len();
    for snapshot in snapshots {
        if !file.snapshots.iter().any(|known| known.is_same_report(&snapshot)) {
            file.snapshots.push(snapshot);
        }
    }
    file.snapshots.sort_by_key(|snapshot| snapshot.time);
    write_snapshots(app, &file)?;
    Ok(file.snapshots.len() - before)
}

fn write_snapshots(app: &App<'_>, file: &SnapshotFile) -> Result<(), Failure> {
    let kept = &file.snapshots[file.snapshots.len().saturating_sub(MAX_SNAPSHOTS)..];
    let mut text = Vec::new();
    for line in &file.unread {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    for snapshot in kept {
        serde_json::to_writer(&mut text, snapshot).or_fail("a snapshot cannot be written")?;
        text.push(b'\n');
    }
    files::write_file(&app.state_file(FILE), text)
}

/// What the file holds; lines that are no snapshots are told of.
pub(crate) fn read_snapshots(app: &App<'_>) -> Result<SnapshotFile, Failure> {
    let path = app.state_file(FILE);
    let bytes = files::read_if_there(&path)?.unwrap_or_default();
    let file = parse_snapshots(&bytes, &app.display_path(&path).to_string())?;
    let problems = file.problems.iter();
    problems.for_each(|problem| app.printer.print_warning(problem));
    Ok(file)
}

fn parse_snapshots(bytes: &[u8], path: &str) -> Result<SnapshotFile, Failure> {
    #[derive(Deserialize)]
    struct LineVersion {
        version: u32,
    }
    let mut file = SnapshotFile::default();
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    for (index, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let place = format!("{path}:{}", index + 1);
        if let Ok(head) = serde_json::from_slice::<LineVersion>(line)
            && head.version > VERSION
        {
            return Err(Failure::new(format!(
                "{place} has version {}, this benchgate reads up to {VERSION}",
                head.version
            ))
            .hint("use the benchgate that wrote it or a newer one"));
        }
        match serde_json::from_slice(line) {
            Ok(snapshot) => file.snapshots.push(snapshot),
            Err(error) => {
                file.problems.push(format!("{place}: passed over: {error}"));
                file.unread.push(line.to_vec());
            }
        }
    }
    Ok(file)
}
