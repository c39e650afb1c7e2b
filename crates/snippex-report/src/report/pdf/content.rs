//! What stands in the document, in its order.

use super::PaperSize;
use super::fonts::Fonts;
use super::layout::{
    BAD, BLACK, BODY, GOOD, Layout, MARGIN, PartKind, Placed, Rgb, SMALL, STRONG, Shape, TextStyle,
};
use crate::report::charts::engine_label;
use crate::report::model::{NamedCount, ReportBug, ReportModel};
use crate::{format_number, format_percent};

/// Findings that are listed; a program reads the rest from the other formats.
const MAX_FINDINGS: usize = 2000;
/// Bars of a chart.
const MAX_BARS: usize = 12;

/// The document on sheets of `size`: first page, contents, and what they lead to.
pub(super) fn lay_out(report: &ReportModel, size: PaperSize, fonts: &mut Fonts) -> Layout {
    let entries = body(report, Layout::new(size), fonts).headings.len();
    let mut layout = Layout::new(size);
    first_page(report, &mut layout, fonts);
    let contents_page = layout.pages.len();
    let contents_pages = entries.div_ceil(layout.contents_lines()).max(1);
    for _ in 0..contents_pages {
        layout.break_page();
    }
    layout.break_page();
    let contents = layout.add_part(PartKind::Contents, None);
    let first = layout.headings.len();
    let mut layout = body(report, layout, fonts);
    write_contents(&mut layout, fonts, contents, contents_page, first);
    layout
}

fn first_page(report: &ReportModel, layout: &mut Layout, fonts: &mut Fonts) {
    layout.add_space(20.0);
    layout.add_heading(fonts, 1, &report.title);
    let mut made = report.made_by.clone();
    if !report.newest_check.is_empty() {
        made += &format!(", newest check {}", report.newest_check);
    }
    layout.add_paragraph(fonts, &made, SMALL);
    layout.add_space(10.0);
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
    table(layout, fonts, &["Summary", ""], &[220.0, 120.0], &rows);
    layout.add_space(12.0);
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
    let columns = shares(layout, &[0.22, 0.28, 0.14, 0.14, 0.22]);
    table(
        layout,
        fonts,
        &["Engine", "Version", "Blocks", "Pass", "95 % interval"],
        &columns,
        &engines,
    );
}

/// Widths of columns from their shares of the page.
fn shares(layout: &Layout, parts: &[f32]) -> Vec<f32> {
    parts.iter().map(|part| part * layout.inner_width()).collect()
}

fn table(layout: &mut Layout, fonts: &mut Fonts, names: &[&str], columns: &[f32], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    let part = layout.add_part(PartKind::Table, None);
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    layout.add_table_row(fonts, part, &names, columns, true);
    for row in rows {
        layout.add_table_row(fonts, part, row, columns, false);
    }
}

/// Everything behind the contents.
fn body(report: &ReportModel, mut layout: Layout, fonts: &mut Fonts) -> Layout {
    layout.add_heading(fonts, 2, "Charts");
    let success: Vec<(String, f32, String)> = report
        .engines
        .iter()
        .take(MAX_BARS)
        .map(|engine| {
            let passing = engine.blocks.saturating_sub(engine.diverging_blocks);
            let name = engine_label(&engine.name, &engine.version);
            (
                name,
                engine.success as f32,
                format_percent(passing, engine.blocks),
            )
        })
        .collect();
    bars(
        &mut layout,
        fonts,
        "Blocks without a divergence, by engine",
        &success,
        GOOD,
    );
    let kinds = counted(&report.kinds);
    bars(
        &mut layout,
        fonts,
        "Diverging runs by kind of divergence",
        &kinds,
        BAD,
    );
    let extensions = counted(&report.extensions);
    bars(
        &mut layout,
        fonts,
        "Diverging runs by instruction-set extension",
        &extensions,
        BAD,
    );
    layout.add_heading(fonts, 2, "Bugs");
    if report.bugs.is_empty() {
        layout.add_paragraph(fonts, "None was found.", BODY);
    }
    for bug in &report.bugs {
        bug_section(&mut layout, fonts, bug);
    }
    findings(report, &mut layout, fonts);
    checks(report, &mut layout, fonts);
    layout
}

fn counted(counts: &[NamedCount]) -> Vec<(String, f32, String)> {
    let most = counts.iter().map(|count| count.runs).max().unwrap_or(0).max(1) as f32;
    let bar = |count: &NamedCount| {
        (
            count.name.clone(),
            count.runs as f32 / most,
            format_number(count.runs),
        )
    };
    counts.iter().take(MAX_BARS).map(bar).collect()
}

fn bars(layout: &mut Layout, fonts: &mut Fonts, name: &str, bars: &[(String, f32, String)], color: Rgb) {
    const ROW: f32 = 14.0;
    const LABELS: f32 = 150.0;
    const FIGURES: f32 = 70.0;
    if bars.is_empty() {
        return;
    }
    layout.keep_together(ROW * bars.len() as f32 + 24.0);
    layout.add_paragraph(fonts, name, STRONG);
    let words: Vec<String> = bars
        .iter()
        .map(|(label, _, figure)| format!("{label}: {figure}"))
        .collect();
    let part = Some(layout.add_part(PartKind::Figure(format!("{name}: {}", words.join(", "))), None));
    let room = layout.inner_width() - LABELS - FIGURES;
    let style = TextStyle {
        color: BLACK,
        ..SMALL
    };
    for (label, share, figure) in bars {
        let y = layout.next_line_position();
        let label = fonts.replace_unprintable(style.face, label);
        let label = fonts
            .wrap_text(style.face, style.size, &label, LABELS - 8.0)
            .remove(0);
        let length = if *share > 0.0 {
            (room * share.min(1.0)).max(1.0)
        } else {
            0.0
        };
        let text = |x, text: String| Placed {
            x,
            y: y + 9.0,
            shape: Shape::Text { text, style },
            part,
            link: None,
        };
        let (label, figure) = (
            text(MARGIN, label),
            text(MARGIN + LABELS + length + 4.0, figure.clone()),
        );
        layout.place_item(label);
        layout.place_item(Placed {
            x: MARGIN + LABELS,
            y: y + 1.0,
            shape: Shape::Bar {
                width: length,
                height: 10.0,
                color,
            },
            part,
            link: None,
        });
        layout.place_item(figure);
        layout.add_space(ROW);
    }
    layout.add_space(8.0);
}

fn bug_section(layout: &mut Layout, fonts: &mut Fonts, bug: &ReportBug) {
    layout.add_heading(fonts, 3, &bug.title);
    let mut marks = format!("{} - {} - {}", bug.id, bug.status, bug.certainty);
    if let Some(issue) = &bug.issue {
        marks += &format!(" - reported: {issue}");
    }
    layout.add_paragraph(fonts, &marks, SMALL);
    let manual = match (&bug.manual, &bug.reference) {
        (Some(manual), Some(reference)) => format!("{manual} ({reference})"),
        _ => "No sentence that snippex knows decides; the reference is taken as right.".to_owned(),
    };
    layout.add_paragraph(fonts, &manual, BODY);
    if let Some(example) = &bug.example {
        let mut lines = example.code.clone();
        lines.push(format!("; {}", example.bytes));
        lines.extend(
            example
                .differences
                .iter()
                .map(|difference| format!("! {difference}")),
        );
        layout.add_code_block(fonts, &lines);
        if !example.state.is_empty() {
            layout.add_paragraph(fonts, &format!("starts with {}", example.state.join(", ")), SMALL);
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
    layout.add_paragraph(fonts, &met, SMALL);
}

fn findings(report: &ReportModel, layout: &mut Layout, fonts: &mut Fonts) {
    layout.add_heading(fonts, 2, "Findings");
    let shown = report.findings.len().min(MAX_FINDINGS);
    if shown < report.findings.len() {
        let text = format!(
            "The {} of {} findings with the most runs; `snippex report csv` has all.",
            format_number(shown as u64),
            format_number(report.findings.len() as u64)
        );
        layout.add_paragraph(fonts, &text, BODY);
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
    let columns = shares(layout, &[0.27, 0.29, 0.22, 0.12, 0.10]);
    table(
        layout,
        fonts,
        &["Instruction", "What differs", "Bug", "Extension", "Runs"],
        &columns,
        &rows,
    );
    if rows.is_empty() {
        layout.add_paragraph(fonts, "There are none.", BODY);
    }
}

fn checks(report: &ReportModel, layout: &mut Layout, fonts: &mut Fonts) {
    layout.add_heading(fonts, 2, "Checks");
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
    let columns = shares(layout, &[0.07, 0.24, 0.35, 0.12, 0.12, 0.10]);
    table(
        layout,
        fonts,
        &["Run", "Started", "Engine", "Blocks", "Diverging", "Time"],
        &columns,
        &rows,
    );
    if rows.is_empty() {
        layout.add_paragraph(fonts, "None has come to an end yet.", BODY);
    }
}

/// The list of contents, on the pages that were left for it from `page` on; headings from `first` on are in it.
fn write_contents(layout: &mut Layout, fonts: &mut Fonts, contents: usize, page: usize, first: usize) {
    const LINE: f32 = 1.4;
    let lines = layout.contents_lines();
    let entries: Vec<_> = layout.headings[first..].to_vec();
    let title = layout.add_part(PartKind::Heading(2, "Contents".to_owned()), None);
    layout.pages[page].push(Placed {
        x: MARGIN,
        y: MARGIN + 14.0,
        shape: Shape::Text {
            text: "Contents".to_owned(),
            style: TextStyle { size: 14.0, ..STRONG },
        },
        part: Some(title),
        link: None,
    });
    for (index, entry) in entries.iter().enumerate() {
        let part = layout.add_part(PartKind::ContentsEntry, Some(contents));
        let y = MARGIN + 40.0 + (index % lines) as f32 * BODY.size * LINE;
        let indent = f32::from(entry.level - 2) * 14.0;
        let number = (entry.page + 1).to_string();
        let text = fonts.replace_unprintable(BODY.face, &entry.text);
        let room = layout.inner_width() - indent - 50.0;
        let mut wrapped = fonts.wrap_text(BODY.face, BODY.size, &text, room);
        let mut text = wrapped.remove(0);
        if !wrapped.is_empty() {
            text.push('\u{2026}');
        }
        let right = MARGIN + layout.inner_width() - fonts.text_width(BODY.face, BODY.size, &number);
        let target = Some((entry.page, entry.y));
        for (x, text, link) in [(MARGIN + indent, text, target), (right, number, None)] {
            layout.pages[page + index / lines].push(Placed {
                x,
                y,
                shape: Shape::Text { text, style: BODY },
                part: Some(part),
                link,
            });
        }
    }
}
