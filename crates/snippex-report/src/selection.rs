//! Why blocks were chosen.

use std::collections::BTreeMap;

use cli_kit::Table;
use cli_kit::style::HEADING;
use serde::Serialize;
use snippex_blocks::select::{Category, ComplexityBucket, ExclusionReason, SelectionReport};
use snippex_core::words::kebab_case;

use crate::{format_number, format_percent};

/// Chosen blocks that are shown one by one.
const SHOWN: usize = 50;
/// Reasons for one block that are shown.
const REASONS: usize = 3;

/// The report for programs.
#[derive(Debug, Serialize)]
pub struct SelectionView {
    blocks: usize,
    matching: usize,
    /// In the order of choice.
    chosen: Vec<ChosenView>,
    categories: BTreeMap<Category, CategoryView>,
    complexity: Vec<ComplexityBucket>,
}

#[derive(Debug, Serialize)]
struct ChosenView {
    /// Number in the database; missing in a dry run.
    block: Option<i64>,
    /// Address in the file, as `0x401000`.
    address: String,
    complexity: u32,
    reasons: Vec<ExclusionReason>,
}

#[derive(Debug, Serialize)]
struct CategoryView {
    matching: usize,
    chosen: usize,
}

impl SelectionView {
    /// `stored` has the number in the database of each chosen block that was stored, by its number in the index.
    #[must_use]
    pub fn new(report: &SelectionReport, stored: &BTreeMap<usize, i64>) -> Self {
        let chosen = report.chosen.iter().map(|chosen| ChosenView {
            block: stored.get(&chosen.number).copied(),
            address: format!("{:#x}", chosen.address),
            complexity: chosen.complexity,
            reasons: chosen.reasons.clone(),
        });
        let categories = report
            .categories
            .iter()
            .map(|(&category, &(matching, chosen))| (category, CategoryView { matching, chosen }));
        Self {
            blocks: report.blocks,
            matching: report.matching,
            chosen: chosen.collect(),
            categories: categories.collect(),
            complexity: report.complexity.clone(),
        }
    }
}

/// The report for people, in at most so many columns.
#[must_use]
pub fn render_selection_report(report: &SelectionReport, width: Option<u16>) -> String {
    let mut categories = Table::new(["category of known problems", "matching", "chosen"])
        .align_right(1)
        .align_right(2);
    for (category, (matching, chosen)) in &report.categories {
        categories.add_row([
            kebab_case(category),
            format_number(*matching as u64),
            format_number(*chosen as u64),
        ]);
    }
    let mut complexity = Table::new(["complexity", "matching", "share", "chosen", "share"])
        .align_right(1)
        .align_right(2)
        .align_right(3)
        .align_right(4);
    let matching: usize = report.complexity.iter().map(|bucket| bucket.matching).sum();
    for (index, bucket) in report.complexity.iter().enumerate() {
        let range = match report.complexity.get(index + 1) {
            Some(next) => format!("{}-{}", bucket.from, next.from - 1),
            None => format!("{}-", bucket.from),
        };
        complexity.add_row([
            range,
            format_number(bucket.matching as u64),
            format_percent(bucket.matching as u64, matching as u64),
            format_number(bucket.chosen as u64),
            format_percent(bucket.chosen as u64, report.chosen.len() as u64),
        ]);
    }
    let mut chosen = Table::new(["address", "complexity", "chosen because"])
        .align_right(1)
        .fit(width);
    for block in report.chosen.iter().take(SHOWN) {
        let mut reasons: Vec<String> = block.reasons.iter().take(REASONS).map(reason).collect();
        if block.reasons.len() > REASONS {
            reasons.push(format!("{} more", block.reasons.len() - REASONS));
        }
        chosen.add_row([
            format!("{:#x}", block.address),
            block.complexity.to_string(),
            reasons.join("; "),
        ]);
    }
    let mut text = format!("{categories}\n\n{complexity}\n\n{chosen}\n");
    if report.chosen.len() > SHOWN {
        let more = format_number((report.chosen.len() - SHOWN) as u64);
        text.push_str(&format!(
            " {HEADING}...{HEADING:#} and {more} more; --format json has all\n"
        ));
    }
    text
}

fn reason(reason: &ExclusionReason) -> String {
    match reason {
        ExclusionReason::Drawn => "drawn at random".to_owned(),
        ExclusionReason::All => "all that match are taken".to_owned(),
        ExclusionReason::Shape(shape) => format!("its shape: {shape}"),
        ExclusionReason::Complexity(_) => "among the most complex".to_owned(),
        ExclusionReason::RareInstruction { form, occurrences } => {
            format!("rare instruction {form} ({occurrences} in all)")
        }
        ExclusionReason::ScaledOperand => "[base + index*scale + displacement]".to_owned(),
        ExclusionReason::SeveralMemoryOperands => "several memory operands".to_owned(),
        ExclusionReason::MixedWidths => "mixed operand sizes".to_owned(),
        ExclusionReason::KnownProblem(category) => format!("known problem: {}", kebab_case(category)),
    }
}
