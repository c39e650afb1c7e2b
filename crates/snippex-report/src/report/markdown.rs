//! A report for GitHub: a pull request's comment, a job summary, a file in a repository.

use report_kit::template::Context;

use super::model::{NamedCount, ReportBug, ReportModel};
use report_kit::escape::{code_block, code_span, escape_markdown};
use report_kit::template::{TemplateError, TemplateSource};

use super::template::render_with;
use crate::mermaid::mermaid_label;
use crate::storage::programs_diagram;
use crate::{format_count, format_number};

/// The built-in template, for `report template show markdown`.
pub const MARKDOWN_TEMPLATE: &str = include_str!("assets/report.md");

/// GitHub shows no larger job summary: 1 MiB, in bytes
/// (<https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary>).
pub const MAX_SUMMARY_SIZE: usize = 1 << 20;
/// Rows of the table of bugs.
const MAX_ROWS: usize = 100;
/// Reports that are to be smaller have no diagrams. In bytes.
const MIN_SIZE_WITH_DIAGRAMS: usize = 16_000;
/// Bars in a diagram, so that it stays below the 5,000 letters that keep it readable.
const MAX_BARS: usize = 10;

/// The report as GitHub's Markdown, of at most `max_size` bytes: bugs that do not fit are counted at the end.
///
/// # Errors
/// When the template fails.
pub fn render_markdown(report: &ReportModel, max_size: usize) -> Result<String, TemplateError> {
    let sections: Vec<String> = report.bugs.iter().map(bug_markdown).collect();
    let mut shown = sections.len();
    let mut rows = MAX_ROWS;
    // Where little fits, bugs matter more.
    let has_diagrams = max_size >= MIN_SIZE_WITH_DIAGRAMS;
    loop {
        let text = render_sections(report, &sections[..shown], rows, has_diagrams)?;
        if text.len() <= max_size || shown == 0 && rows == 0 {
            return Ok(cut_to(text, max_size));
        }
        if shown == 0 {
            rows /= 2;
            continue;
        }
        // Close at once where most do not fit.
        let over = text.len() - max_size;
        let mut dropped = 0;
        while shown > 0 && dropped <= over {
            shown -= 1;
            dropped += sections[shown].len();
        }
    }
}

fn render_sections(
    report: &ReportModel,
    sections: &[String],
    rows: usize,
    has_diagrams: bool,
) -> Result<String, TemplateError> {
    let template = TemplateSource {
        name: "report.md".to_owned(),
        text: MARKDOWN_TEMPLATE.to_owned(),
    };
    let mut context = Context::new();
    insert_sections(&mut context, report, sections, rows, has_diagrams);
    render_with(&[template], report, context)
}

/// What the built-in template gets besides the report, with nothing left out.
pub(super) fn insert_all_sections(context: &mut Context, report: &ReportModel) {
    let sections: Vec<String> = report.bugs.iter().map(bug_markdown).collect();
    insert_sections(context, report, &sections, MAX_ROWS, true);
}

fn insert_sections(
    context: &mut Context,
    report: &ReportModel,
    sections: &[String],
    rows: usize,
    has_diagrams: bool,
) {
    let diagrams = match has_diagrams {
        true => [
            pipeline_diagram(report),
            kinds_diagram(&report.kinds),
            causes_diagram(&report.bugs),
            programs_diagram(&report.programs),
        ],
        false => Default::default(),
    };
    context.insert("sections", sections);
    context.insert("table_rows", &rows);
    context.insert("left_out", &(report.bugs.len() - sections.len()));
    context.insert("diagrams", &diagrams);
}

fn cut_to(mut text: String, max_size: usize) -> String {
    if text.len() > max_size {
        let mut end = max_size;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

/// One bug as a section of Markdown.
#[must_use]
pub fn bug_markdown(bug: &ReportBug) -> String {
    let mut text = format!("### {}\n\n", escape_markdown(&bug.title));
    text += &format!("{} · {} · {}", code_span(&bug.id), bug.status, bug.certainty);
    if let Some(issue) = &bug.issue {
        text += &format!(" · reported: {}", escape_markdown(issue));
    }
    text += "\n\n";
    match (&bug.manual, &bug.reference) {
        (Some(manual), Some(reference)) => {
            text += &format!("{} ({})\n\n", escape_markdown(manual), escape_markdown(reference));
        }
        _ => text += "No sentence that snippex knows decides; the reference is taken as right.\n\n",
    }
    if let Some(example) = &bug.example {
        let mut lines = example.code.join("\n");
        lines += &format!("\n; {}", example.bytes);
        text += &code_block("asm", &lines);
        text += "\n\n";
        for difference in &example.differences {
            text += &format!("- {}\n", escape_markdown(difference));
        }
        if !example.differences.is_empty() {
            text.push('\n');
        }
        let snip = code_block("text", &example.snip);
        text += &format!(
            "<details><summary>The case, for <code>snippex conformance</code></summary>\n\n{snip}\n\n</details>\n\n"
        );
    }
    let engines: Vec<String> = bug
        .engines
        .iter()
        .map(|engine| escape_markdown(&format!("{} {}", engine.name, engine.version)))
        .collect();
    text + &format!(
        "{} runs, {} instruction forms, {} signatures; on {}\n",
        format_number(bug.runs),
        format_number(bug.forms),
        format_number(bug.signatures),
        engines.join("; ")
    )
}

/// From blocks to bugs as a Mermaid flowchart; empty without a check.
fn pipeline_diagram(report: &ReportModel) -> String {
    let totals = &report.totals;
    if totals.checks == 0 {
        return String::new();
    }
    let decided = totals.diverged + totals.inconclusive + totals.unsupported;
    let matched = totals.runs.saturating_sub(decided);
    let boxes = [
        ("blocks", format_count(totals.blocks, "block")),
        ("cases", format_count(totals.runs, "case")),
        ("matched", format!("{} agree", format_number(matched))),
        ("diverged", format!("{} diverge", format_number(totals.diverged))),
        (
            "undecided",
            format!("{} without a verdict", format_number(totals.inconclusive)),
        ),
        (
            "unsupported",
            format!("{} not supported", format_number(totals.unsupported)),
        ),
        ("findings", format_count(report.findings.len() as u64, "finding")),
        (
            "bugs",
            format!("{} new and {} known bugs", totals.new_bugs, totals.known_bugs),
        ),
    ];
    let mut text = "flowchart LR\n".to_owned();
    for (id, label) in &boxes {
        text += &format!("  {id}[{}]\n", mermaid_label(label));
    }
    text += "  blocks --> cases\n  cases --> matched & diverged & undecided & unsupported\n  diverged --> findings --> bugs\n";
    code_block("mermaid", &text)
}

/// Kinds of divergence as a Mermaid diagram; empty without any.
fn kinds_diagram(kinds: &[NamedCount]) -> String {
    let parts = kinds.iter().map(|kind| (kind.name.as_str(), kind.runs));
    pie_diagram("Diverging runs by kind", parts)
}

/// Bugs by the runs that show them, as a Mermaid diagram; empty without any.
fn causes_diagram(bugs: &[ReportBug]) -> String {
    let mut parts: Vec<(&str, u64)> = bugs.iter().map(|bug| (bug.title.as_str(), bug.runs)).collect();
    parts.sort_by_key(|(_, runs)| std::cmp::Reverse(*runs));
    pie_diagram("Diverging runs by cause", parts.into_iter())
}

fn pie_diagram<'n>(title: &str, parts: impl Iterator<Item = (&'n str, u64)> + Clone) -> String {
    if parts.clone().next().is_none() {
        return String::new();
    }
    let mut text = format!("pie showData title {title}\n");
    for (name, runs) in parts.clone().take(MAX_BARS) {
        text += &format!("  {} : {}\n", mermaid_label(name), runs.max(1));
    }
    let rest: u64 = parts.skip(MAX_BARS).map(|(_, runs)| runs).sum();
    if rest > 0 {
        text += &format!("  \"others\" : {rest}\n");
    }
    code_block("mermaid", &text)
}

#[cfg(test)]
mod tests {
    use super::super::model::{ProgramFigures, ReportExample, ReportTotals};
    use super::*;

    fn hostile_bug(index: usize) -> ReportBug {
        ReportBug {
            id: format!("bug-{index}"),
            title: "@everyone <img src=x> ```".to_owned(),
            status: "new".to_owned(),
            certainty: "confirmed".to_owned(),
            example: Some(ReportExample {
                code: vec!["nop ; ```".to_owned()],
                differences: vec!["rax is 1, not 0 (see #1)".to_owned()],
                snip: "x".repeat(500),
                ..ReportExample::default()
            }),
            ..ReportBug::default()
        }
    }

    fn report(bugs: usize) -> ReportModel {
        ReportModel {
            title: "Report".to_owned(),
            totals: ReportTotals {
                new_bugs: bugs as u64,
                ..ReportTotals::default()
            },
            programs: vec![ProgramFigures {
                name: "ba|sh".to_owned(),
                places: vec!["/images/disk.qcow2//p1/usr/bin/ba|sh".to_owned()],
                ..ProgramFigures::default()
            }],
            kinds: vec![NamedCount {
                name: "a\"; b".to_owned(),
                blocks: None,
                runs: 3,
            }],
            bugs: (0..bugs).map(hostile_bug).collect(),
            ..ReportModel::default()
        }
    }

    #[test]
    fn names_from_outside_are_no_markup() {
        let text = render_markdown(&report(1), MAX_SUMMARY_SIZE).expect("the template is right");
        assert!(!text.contains("@everyone") && !text.contains("<img"), "{text}");
        assert!(text.contains("````asm\nnop ; ```"), "{text}");
        assert!(text.contains("see #\u{200b}1"), "{text}");
        assert!(text.contains("\"a   b\" : 3"), "{text}");
        assert!(text.contains("| ba\\|sh |"), "{text}");
        assert!(text.contains("b0 --> b1[\"/p1/usr/bin, 1 program\"]"), "{text}");
        assert!(
            text.contains("pie showData title Diverging runs by cause"),
            "{text}"
        );
    }

    #[test]
    fn the_way_from_blocks_to_bugs_is_drawn_in_few_letters() {
        let mut report = report(40);
        report.totals.checks = 2;
        report.totals.runs = 100;
        report.totals.diverged = 30;
        let text = render_markdown(&report, MAX_SUMMARY_SIZE).expect("the template is right");
        let diagrams: Vec<&str> = text.split("```mermaid\n").skip(1).collect();
        assert_eq!(diagrams.len(), 4, "{text}");
        for diagram in diagrams {
            let diagram = diagram.split("```").next().unwrap_or_default();
            assert!(diagram.len() <= 5_000, "{diagram}");
        }
        assert!(text.contains("matched[\"70 agree\"]"), "{text}");
    }

    #[test]
    fn a_report_keeps_within_its_size_and_says_what_is_left_out() {
        for size in [2_000, 10_000, 65_536] {
            let text = render_markdown(&report(500), size).expect("the template is right");
            assert!(text.len() <= size, "{} > {size}", text.len());
            let shown = text.matches("### ").count();
            assert!(
                text.contains(&format!("{} more bugs", 500 - shown)),
                "{shown}: {text}"
            );
        }
        let all = render_markdown(&report(2), 65_536).expect("the template is right");
        assert!(!all.contains("more bugs"), "{all}");
    }
}
