//! A report for GitHub: a pull request's comment, a job summary, a file in a repository.

use tera::Context;

use super::escape::{code_block, code_span, escape_markdown};
use super::model::{NamedCount, ReportBug, ReportModel};
use super::template::{TemplateError, TemplateSource, render_with};
use crate::format_number;

/// The built-in template, for `report template show markdown`.
pub const MARKDOWN_TEMPLATE: &str = include_str!("assets/report.md");

/// GitHub shows no larger job summary: 1 MiB, in bytes
/// (<https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary>).
pub const MAX_SUMMARY_SIZE: usize = 1 << 20;
/// Rows of the table of bugs.
const MAX_ROWS: usize = 100;
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
    loop {
        let text = render_sections(report, &sections[..shown], rows)?;
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

fn render_sections(report: &ReportModel, sections: &[String], rows: usize) -> Result<String, TemplateError> {
    let template = TemplateSource {
        name: "report.md".to_owned(),
        text: MARKDOWN_TEMPLATE.to_owned(),
    };
    let mut context = Context::new();
    context.insert("sections", sections);
    context.insert("table_rows", &rows);
    context.insert("left_out", &(report.bugs.len() - sections.len()));
    context.insert("diagram", &kinds_diagram(&report.kinds));
    render_with(&[template], report, context)
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
            "<details><summary>The case, for <code>snippex replay</code></summary>\n\n{snip}\n\n</details>\n\n"
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

/// Kinds of divergence as a Mermaid diagram; empty without any.
fn kinds_diagram(kinds: &[NamedCount]) -> String {
    if kinds.is_empty() {
        return String::new();
    }
    let mut text = "pie showData title Diverging runs by kind\n".to_owned();
    for kind in kinds.iter().take(MAX_BARS) {
        text += &format!("  {} : {}\n", mermaid_label(&kind.name), kind.runs.max(1));
    }
    let rest: u64 = kinds.iter().skip(MAX_BARS).map(|kind| kind.runs).sum();
    if rest > 0 {
        text += &format!("  \"others\" : {rest}\n");
    }
    code_block("mermaid", &text)
}

/// A label in quotes, without what would end it or be markup to Mermaid.
fn mermaid_label(text: &str) -> String {
    let letter = |letter: char| match letter {
        '"' | '`' | '#' | ';' | '<' | '>' | '\\' | '%' | '{' | '}' => ' ',
        letter if letter.is_control() => ' ',
        letter => letter,
    };
    let label: String = text.chars().map(letter).take(60).collect();
    format!("\"{}\"", label.trim())
}

#[cfg(test)]
mod tests {
    use super::super::model::{ReportExample, ReportTotals};
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
        assert!(text.contains("see \\#1"), "{text}");
        assert!(text.contains("\"a   b\" : 3"), "{text}");
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
