//! Which instruction forms generated blocks reach.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cli_kit::Table;
use cli_kit::style::FAINT;
use serde::{Serialize, Serializer};
use snippex_blocks::generate::{Coverage, ExtensionCoverage, RefusedCoverage};

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
