//! A report for printers: what stands in the document, in its order.

use report_kit::pdf::{
    BAD, BODY, DocumentInfo, GOOD, PaperSize, PdfBar, PdfError, PdfReport, PdfWriter, SMALL,
    write_pdf_document,
};

use super::charts::engine_label;
use super::model::{NamedCount, ReportBug, ReportModel};
use crate::{format_number, format_percent};

/// Findings that are listed; a program reads the rest from the other formats.
const MAX_FINDINGS: usize = 2000;
/// Rows of the table of programs.
const MAX_PROGRAMS: usize = 50;
/// Registers and flags of a start state that are listed.
const MAX_START_PARTS: usize = 16;
/// Bars of a chart.
const MAX_BARS: usize = 12;

/// The report on sheets of `size`: first page, contents, and what they lead to. The same report gives the same bytes.
///
/// # Errors
/// When the document cannot be written.
pub fn render_pdf(report: &ReportModel, size: PaperSize) -> Result<PdfReport, PdfError> {
    let info = DocumentInfo {
        title: &report.title,
        made_by: &report.made_by,
    };
    write_pdf_document(&info, size, &|writer| first_page(report, writer), &|writer| {
        body(report, writer);
    })
}

fn first_page(report: &ReportModel, writer: &mut PdfWriter<'_>) {
    writer.add_space(20.0);
    writer.add_heading(1, &report.title);
    let mut made = report.made_by.clone();
    if !report.newest_check.is_empty() {
        made += &format!(", newest check {}", report.newest_check);
    }
    writer.add_paragraph(&made, SMALL);
    writer.add_space(10.0);
    let totals = &report.totals;
    let rows = [
        ("New bugs", totals.new_bugs),
        ("Known bugs", totals.known_bugs),
        ("Checks", totals.checks),
        ("Blocks run", totals.blocks),
        ("Blocks with a divergence", totals.diverging_blocks),
        ("Cases run", totals.runs),
        ("Cases that diverge", totals.diverged),
        ("Cases without a verdict", totals.inconclusive),
        ("Cases that an engine does not support", totals.unsupported),
    ];
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, count)| vec![(*name).to_owned(), format_number(*count)])
        .collect();
    writer.add_table(&["Summary", ""], &[0.44, 0.24], &rows);
    writer.add_space(12.0);
    let engines: Vec<Vec<String>> = report
        .engines
        .iter()
        .map(|engine| {
            vec![
                engine.name.clone(),
                engine.version.clone(),
                format_number(engine.blocks),
                format_percent(
                    engine.blocks.saturating_sub(engine.diverging_blocks),
                    engine.blocks,
                ),
                format!(
                    "{:.2} to {:.2} %",
                    engine.success_least * 100.0,
                    engine.success_most * 100.0
                ),
            ]
        })
        .collect();
    writer.add_table(
        &["Engine", "Version", "Blocks", "Pass", "95 % interval"],
        &[0.22, 0.28, 0.14, 0.14, 0.22],
        &engines,
    );
    writer.add_space(12.0);
    add_programs(report, writer);
}

fn add_programs(report: &ReportModel, writer: &mut PdfWriter<'_>) {
    let programs: Vec<Vec<String>> = report
        .programs
        .iter()
        .take(MAX_PROGRAMS)
        .map(|program| {
            let passing = program.blocks.saturating_sub(program.diverging_blocks);
            vec![
                program.name.clone(),
                program.places.join(", "),
                format_number(program.blocks),
                format_number(program.diverging_blocks),
                format_percent(passing, program.blocks),
            ]
        })
        .collect();
    writer.add_table(
        &["Program", "Where", "Blocks", "Diverging", "Pass"],
        &[0.22, 0.38, 0.14, 0.13, 0.13],
        &programs,
    );
    if let Some(more) = report
        .programs
        .len()
        .checked_sub(MAX_PROGRAMS)
        .filter(|more| *more > 0)
    {
        let text = format!("{more} more programs have no more diverging blocks than these.");
        writer.add_paragraph(&text, BODY);
    }
}

/// Everything behind the contents.
fn body(report: &ReportModel, writer: &mut PdfWriter<'_>) {
    writer.add_heading(2, "Charts");
    let success: Vec<PdfBar> = report
        .engines
        .iter()
        .take(MAX_BARS)
        .map(|engine| {
            let passing = engine.blocks.saturating_sub(engine.diverging_blocks);
            PdfBar {
                label: engine_label(&engine.name, &engine.version),
                share: engine.success as f32,
                figure: format_percent(passing, engine.blocks),
            }
        })
        .collect();
    writer.add_bar_chart("Blocks without a divergence, by engine", &success, GOOD);
    let kinds = counted(&report.kinds);
    writer.add_bar_chart("Diverging runs by kind of divergence", &kinds, BAD);
    let extensions = counted(&report.extensions);
    writer.add_bar_chart("Diverging runs by instruction-set extension", &extensions, BAD);
    writer.add_heading(2, "Bugs");
    if report.bugs.is_empty() {
        writer.add_paragraph("None was found.", BODY);
    }
    for bug in &report.bugs {
        bug_section(writer, bug);
    }
    findings(report, writer);
    checks(report, writer);
}

fn counted(counts: &[NamedCount]) -> Vec<PdfBar> {
    let most = counts.iter().map(|count| count.runs).max().unwrap_or(0).max(1) as f32;
    let bar = |count: &NamedCount| PdfBar {
        label: count.name.clone(),
        share: count.runs as f32 / most,
        figure: format_number(count.runs),
    };
    counts.iter().take(MAX_BARS).map(bar).collect()
}

fn bug_section(writer: &mut PdfWriter<'_>, bug: &ReportBug) {
    writer.add_heading(3, &bug.title);
    let mut marks = format!("{} - {} - {}", bug.id, bug.status, bug.certainty);
    if let Some(issue) = &bug.issue {
        marks += &format!(" - reported: {issue}");
    }
    writer.add_paragraph(&marks, SMALL);
    let manual = match (&bug.manual, &bug.reference) {
        (Some(manual), Some(reference)) => format!("{manual} ({reference})"),
        _ => "No sentence that snippex knows decides; the reference is taken as right.".to_owned(),
    };
    writer.add_paragraph(&manual, BODY);
    if let Some(example) = &bug.example {
        let mut lines = example.code.clone();
        lines.push(format!("; {}", example.bytes));
        lines.extend(
            example
                .differences
                .iter()
                .map(|difference| format!("! {difference}")),
        );
        writer.add_code_block(&lines);
        if !example.state.is_empty() {
            writer.add_paragraph(&start_text(&example.state), SMALL);
        }
    }
    let engines: Vec<String> = bug
        .engines
        .iter()
        .map(|engine| engine_label(&engine.name, &engine.version))
        .collect();
    let met = format!(
        "{} runs, {} instruction forms, {} signatures, first met {}; on {}",
        format_number(bug.runs),
        format_number(bug.forms),
        format_number(bug.signatures),
        bug.first_seen,
        engines.join("; ")
    );
    writer.add_paragraph(&met, SMALL);
}

/// What a case starts with. One that is not reduced sets every register, which nobody reads.
fn start_text(state: &[String]) -> String {
    let shown = state.len().min(MAX_START_PARTS);
    let mut text = format!("starts with {}", state[..shown].join(", "));
    if shown < state.len() {
        text += &format!(
            " and {} more; `snippex report json` has the case",
            state.len() - shown
        );
    }
    text
}

fn findings(report: &ReportModel, writer: &mut PdfWriter<'_>) {
    writer.add_heading(2, "Findings");
    let shown = report.findings.len().min(MAX_FINDINGS);
    if shown < report.findings.len() {
        let text = format!(
            "The {} of {} findings with the most runs; `snippex report csv` has all.",
            format_number(shown as u64),
            format_number(report.findings.len() as u64)
        );
        writer.add_paragraph(&text, BODY);
    }
    let rows: Vec<Vec<String>> = report.findings[..shown]
        .iter()
        .map(|finding| {
            vec![
                finding.instruction.clone(),
                format!("{}: {}", finding.kind, finding.fields.join(", ")),
                finding.bug.clone(),
                finding.extension.clone(),
                format_number(finding.runs),
            ]
        })
        .collect();
    writer.add_table(
        &["Instruction", "What differs", "Bug", "Extension", "Runs"],
        &[0.27, 0.29, 0.22, 0.12, 0.10],
        &rows,
    );
    if rows.is_empty() {
        writer.add_paragraph("There are none.", BODY);
    }
}

fn checks(report: &ReportModel, writer: &mut PdfWriter<'_>) {
    writer.add_heading(2, "Checks");
    let rows: Vec<Vec<String>> = report
        .checks
        .iter()
        .rev()
        .map(|check| {
            vec![
                check.run.to_string(),
                check.started.clone(),
                format!("{} {}", check.engine, check.engine_version),
                format_number(check.blocks),
                format_number(check.diverging_blocks),
                format!("{:.1} s", check.seconds),
            ]
        })
        .collect();
    writer.add_table(
        &["Run", "Started", "Engine", "Blocks", "Diverging", "Time"],
        &[0.07, 0.24, 0.35, 0.12, 0.12, 0.10],
        &rows,
    );
    if rows.is_empty() {
        writer.add_paragraph("None has come to an end yet.", BODY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{CheckFigures, ReportExample, ReportFinding};

    fn report(bugs: usize) -> ReportModel {
        ReportModel {
            title: "What differs".to_owned(),
            made_by: "snippex".to_owned(),
            kinds: vec![NamedCount {
                name: "register".to_owned(),
                blocks: None,
                runs: 3,
            }],
            checks: vec![CheckFigures::default()],
            bugs: (0..bugs)
                .map(|index| ReportBug {
                    id: format!("bug-{index}"),
                    title: format!("cause number {index} \u{4e2d}"),
                    example: Some(ReportExample {
                        code: vec!["mov eax, 1".to_owned()],
                        ..ReportExample::default()
                    }),
                    ..ReportBug::default()
                })
                .collect(),
            findings: vec![ReportFinding::default(); 100],
            ..ReportModel::default()
        }
    }

    #[test]
    fn the_same_report_gives_the_same_bytes_on_every_paper() {
        for size in [PaperSize::A4, PaperSize::Letter, PaperSize::Legal] {
            let first = render_pdf(&report(3), size).expect("a PDF");
            let second = render_pdf(&report(3), size).expect("a PDF");
            assert_eq!(first.bytes, second.bytes);
            assert!(first.bytes.starts_with(b"%PDF-"));
        }
    }

    #[test]
    fn a_letter_that_the_fonts_lack_is_replaced_and_said() {
        let pdf = render_pdf(&report(1), PaperSize::A4).expect("a PDF");
        assert_eq!(pdf.replaced, ['\u{4e2d}']);
    }

    #[test]
    fn many_bugs_fill_many_pages_and_an_empty_report_is_one_too() {
        let many = render_pdf(&report(400), PaperSize::A4).expect("a PDF");
        assert!(many.pages > 60, "{}", many.pages);
        let none = render_pdf(&ReportModel::default(), PaperSize::A4).expect("a PDF");
        assert!(none.pages >= 3, "{}", none.pages);
    }
}
