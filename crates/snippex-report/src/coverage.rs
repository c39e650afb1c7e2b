//! Which instruction forms generated blocks reach.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cli_kit::Table;
use cli_kit::style::FAINT;
use serde::{Serialize, Serializer};
use snippex_blocks::generate::{Coverage, ExtensionCoverage, Reached, RefusedCoverage, SequenceCoverage};

use crate::{format_count, format_number, format_percent};

/// Names of forms in a line; `--format json` has all.
const NAMES: usize = 8;

/// The coverage for programs.
#[derive(Debug, Serialize)]
pub struct CoverageView<'a> {
    total: Counts<'a>,
    /// By extension.
    extensions: BTreeMap<&'a str, Counts<'a>>,
    /// Encodings that processors refuse.
    refused: &'a RefusedCoverage,
    /// Several instructions after each other.
    sequences: &'a SequenceCoverage,
    /// Of each corner, what meets it.
    corners: &'a BTreeMap<&'static str, Reached>,
}

#[derive(Debug, Serialize)]
struct Counts<'a> {
    /// Forms that user programs can execute on the reference.
    executable: u64,
    /// Forms that were run, on the reference at least.
    covered: u64,
    #[serde(flatten)]
    counts: std::borrow::Cow<'a, ExtensionCoverage>,
}

impl<'a> CoverageView<'a> {
    /// The view of `coverage`.
    #[must_use]
    pub fn new(coverage: &'a Coverage) -> Self {
        let counts = |counts: std::borrow::Cow<'a, ExtensionCoverage>| Counts {
            executable: counts.executable_forms(),
            covered: counts.run + counts.reference_only,
            counts,
        };
        Self {
            total: counts(std::borrow::Cow::Owned(coverage.total())),
            extensions: coverage
                .extensions
                .iter()
                .map(|(name, extension)| (name.as_str(), counts(std::borrow::Cow::Borrowed(extension))))
                .collect(),
            refused: &coverage.refused,
            sequences: &coverage.sequences,
            corners: &coverage.corners,
        }
    }
}

/// Writes the coverage as [`CoverageView`] has it.
pub(crate) fn serialize_coverage<S: Serializer>(
    coverage: &Option<Coverage>,
    to: S,
) -> Result<S::Ok, S::Error> {
    coverage.as_ref().map(CoverageView::new).serialize(to)
}

/// The coverage for people, in at most so many columns.
#[must_use]
pub fn render_coverage(coverage: &Coverage, width: Option<u16>) -> String {
    let head = [
        "extension",
        "forms",
        "run",
        "only reference",
        "reference lacks",
        "left out",
        "blocks",
    ];
    let mut table = Table::new(head).fit(width);
    for column in 1..head.len() {
        table = table.align_right(column);
    }
    let number = |count: u64| {
        if count == 0 {
            "-".to_owned()
        } else {
            format_number(count)
        }
    };
    let total = coverage.total();
    let rows = coverage
        .extensions
        .iter()
        .map(|(name, counts)| (name.as_str(), counts));
    let mut nothing_run = Vec::new();
    for (name, counts) in rows.chain([("all", &total)]) {
        if counts.run + counts.reference_only == 0 {
            nothing_run.push(name);
            continue;
        }
        let left_out = counts.skipped.values().map(|names| names.len() as u64).sum();
        table.add_row([
            name.to_owned(),
            number(counts.forms),
            number(counts.run),
            number(counts.reference_only),
            number(counts.missing),
            number(left_out),
            number(counts.blocks),
        ]);
    }
    let (covered, executable) = (total.run + total.reference_only, total.executable_forms());
    let mut text = format!(
        "{table}\n {} of the {} that user programs can execute on the reference are run ({})",
        format_count(covered, "form"),
        format_number(executable),
        format_percent(covered, executable),
    );
    if coverage.refused.encodings > 0 {
        text += &format!("\n {}", refused_line(&coverage.refused));
    }
    if coverage.sequences.sequences > 0 {
        text += &format!("\n {}", sequence_line(&coverage.sequences));
    }
    if !coverage.corners.is_empty() {
        text += &format!("\n{}", corner_table(&coverage.corners, width));
    }
    let mut lines = vec![("extensions of which nothing is run".to_owned(), nothing_run)];
    for (reason, names) in &total.skipped {
        let mut names = names.clone();
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        lines.push((format!("left out, {reason}"), names));
    }
    for (title, names) in lines {
        let count = names.len();
        let mut shown = names[..count.min(NAMES)].join("; ");
        if count > NAMES {
            shown += "; ...";
        }
        write!(text, "\n {title} ({count}): {FAINT}{shown}{FAINT:#}")
            .expect("writing to a string cannot fail");
    }
    text
}

/// The encodings that processors refuse, by reason, and what a second decoder makes of them.
fn refused_line(refused: &RefusedCoverage) -> String {
    let reasons: Vec<String> = refused
        .reasons
        .iter()
        .map(|(reason, count)| format!("{reason} {}", format_number(*count)))
        .collect();
    let mut text = format!(
        "{} that processors refuse: {FAINT}{}{FAINT:#}",
        format_count(refused.encodings, "encoding"),
        reasons.join("; ")
    );
    if let Some(decoded) = refused.decoded_by_capstone {
        text += &format!("; capstone takes {} for instructions", format_number(decoded));
    }
    text
}

/// The sequences, and in how many something flows.
fn sequence_line(sequences: &SequenceCoverage) -> String {
    let (shortest, longest) = (sequences.lengths.keys().next(), sequences.lengths.keys().last());
    let lengths = match (shortest, longest) {
        (Some(shortest), Some(longest)) if shortest < longest => format!("{shortest} to {longest}"),
        (shortest, _) => shortest.map_or_else(String::new, u32::to_string),
    };
    format!(
        "{} of {lengths} instructions; flags are live in {}, registers in {}",
        format_count(sequences.sequences, "sequence"),
        format_number(sequences.live_flags),
        format_number(sequences.live_registers),
    )
}

/// How much of each corner is met.
fn corner_table(corners: &BTreeMap<&'static str, Reached>, width: Option<u16>) -> String {
    let mut table = Table::new(["corner", "reached", "of", ""]).fit(width);
    for column in 1..4 {
        table = table.align_right(column);
    }
    for (name, corner) in corners {
        table.add_row([
            (*name).to_owned(),
            format_number(corner.reached),
            format_number(corner.of),
            format_percent(corner.reached, corner.of),
        ]);
    }
    table.to_string()
}
