//! For printers: what was judged, and a chart of each benchmark that should be looked at.

use report_kit::pdf::{
    BAD, BLACK, BODY, DocumentInfo, GOOD, PaperSize, PdfError, PdfLine, PdfReport, PdfWriter, Rgb, SMALL,
    write_pdf_document,
};

use regress_core::detect::VerdictKind;

use super::words::{is_loud, outcome_heading};
use super::{Report, Row};

/// Benchmarks with a section of their own; the tables have the rest.
const MAX_SECTIONS: usize = 200;
/// Rows of a table; the other formats have all.
const MAX_ROWS: usize = 5000;

/// The report on sheets of `size`; `made_by` is the program with its version. The same report gives the same bytes.
///
/// # Errors
/// When the document cannot be written.
pub fn render_pdf(report: &Report, made_by: &str, size: PaperSize) -> Result<PdfReport, PdfError> {
    let title = format!("Benchmarks: {}", outcome_heading(report.outcome));
    let info = DocumentInfo {
        title: &title,
        made_by,
    };
    write_pdf_document(
        &info,
        size,
        &|writer| first_page(report, &info, writer),
        &|writer| body(report, writer),
    )
}

fn first_page(report: &Report, info: &DocumentInfo<'_>, writer: &mut PdfWriter<'_>) {
    writer.add_space(20.0);
    writer.add_heading(1, info.title);
    writer.add_paragraph(&format!("{}, {}", report.title, info.made_by), SMALL);
    writer.add_space(10.0);
    writer.add_paragraph(&report.summary, BODY);
    writer.add_paragraph(&report.counts_text(), BODY);
    writer.add_space(10.0);
    let facts = [
        ("What was compared", report.sides_text()),
        ("Commit", report.head.commit.clone().unwrap_or_default()),
        ("Compared with", report.base.commit.clone().unwrap_or_default()),
        ("Environment", report.environment.clone()),
        (
            "Threshold",
            format!("{} %, one value a process run", report.threshold),
        ),
    ];
    let rows: Vec<Vec<String>> = (facts.into_iter())
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| vec![name.to_owned(), text])
        .collect();
    writer.add_table(&["Summary", ""], &[0.22, 0.78], &rows);
    for note in &report.notes {
        writer.add_space(6.0);
        writer.add_paragraph(note, BODY);
    }
}

fn body(report: &Report, writer: &mut PdfWriter<'_>) {
    let (loud, quiet): (Vec<&Row>, Vec<&Row>) = report.rows.iter().partition(|row| is_loud(row));
    writer.add_heading(2, "To look at");
    table(writer, &loud);
    if loud.is_empty() {
        writer.add_paragraph("There is nothing.", BODY);
    }
    for row in loud.iter().take(MAX_SECTIONS) {
        section(writer, row);
    }
    writer.add_heading(2, "Unchanged");
    table(writer, &quiet);
    if quiet.is_empty() {
        writer.add_paragraph("There are none.", BODY);
    }
    if !report.problems.is_empty() {
        writer.add_heading(2, "Entries that could not be used");
        for problem in report.problems.iter().take(MAX_SECTIONS) {
            writer.add_paragraph(problem, SMALL);
        }
        more(writer, report.problems.len(), MAX_SECTIONS);
    }
}

fn more(writer: &mut PdfWriter<'_>, all: usize, shown: usize) {
    if all > shown {
        writer.add_paragraph(
            &format!("{} more are not shown; the other formats have them.", all - shown),
            SMALL,
        );
    }
}

fn table(writer: &mut PdfWriter<'_>, rows: &[&Row]) {
    let cells = |row: &&Row| {
        vec![
            row.name.clone(),
            row.before_text(),
            row.after_text(),
            row.change_text(),
            row.range_text(),
            row.verdict_text().to_owned(),
        ]
    };
    let lines: Vec<Vec<String>> = rows.iter().take(MAX_ROWS).map(cells).collect();
    writer.add_table(
        &["Benchmark", "Before", "Now", "Change", "95 % interval", "Verdict"],
        &[0.32, 0.12, 0.12, 0.12, 0.16, 0.16],
        &lines,
    );
    more(writer, rows.len(), MAX_ROWS);
}

/// A benchmark with its reason and its values, as far as there are any.
fn section(writer: &mut PdfWriter<'_>, row: &Row) {
    writer.add_heading(3, &row.name);
    let change = format!(
        "{}: {} to {}, {} {}",
        row.verdict_text(),
        row.before_text(),
        row.after_text(),
        row.change_text(),
        row.range_text()
    );
    writer.add_paragraph(change.trim_end(), SMALL);
    writer.add_paragraph(&row.reason, BODY);
    let values = row.trend_values();
    let new_from = if row.shows_history() {
        row.history.len()
    } else {
        row.before_values.len()
    };
    let chart = PdfLine {
        name: &row.name,
        values: &values,
        new_from,
        format: &|value| row.unit.format_value(value),
    };
    writer.add_line_chart(&chart, color(row.verdict));
}

fn color(verdict: VerdictKind) -> Rgb {
    match verdict {
        VerdictKind::Regression => BAD,
        VerdictKind::Improvement => GOOD,
        _ => BLACK,
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::example_report;
    use super::*;

    #[test]
    fn the_same_report_gives_the_same_bytes() {
        let make = || render_pdf(&example_report(), "benchgate 1", PaperSize::A4).expect("a PDF");
        let (one, other) = (make(), make());
        assert_eq!(one.bytes, other.bytes);
        assert!(one.pages >= 3, "{}", one.pages);
        // The signs in our own texts are in the fonts.
        assert!(one.replaced.is_empty(), "{:?}", one.replaced);
    }

    #[test]
    fn ten_thousand_benchmarks_and_none_are_documents() {
        let mut report = example_report();
        report.rows = vec![report.rows[0].clone(); 10_000];
        let many = render_pdf(&report, "x", PaperSize::Letter).expect("a PDF");
        assert!(many.pages > 100, "{}", many.pages);
        report.rows.clear();
        assert!(render_pdf(&report, "x", PaperSize::Legal).is_ok());
    }
}
