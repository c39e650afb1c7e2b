//! For browsers: one file that needs no other, no script and no network; light and dark, also on a phone.

use std::fmt::Write as _;

use regress_core::detect::VerdictKind;

use super::words::{is_loud, outcome_heading};
use super::{Report, Row, chart};
use crate::STYLE;
use crate::chart::{Size, render_full_chart, render_sparkline};
use report_kit::escape::escape_html as escape;

/// Rows with a full chart; drawings of thousands would make the file too heavy for a phone.
const MAX_CHARTS: usize = 300;
/// Rows shown at all.
const MAX_ROWS: usize = 5000;

/// The report as an HTML document.
#[must_use]
pub fn render_html(report: &Report) -> String {
    let mut out = String::with_capacity(16 << 10);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Benchmarks: {}</title><style>\n{STYLE}</style></head><body><main>\n",
        outcome_heading(report.outcome)
    );
    render_report_body(&mut out, report, &[]);
    out.push_str("</main></body></html>\n");
    out
}

/// What the document says. `links` are the places with more about each row, in the order of the rows; there may be
/// none.
pub(crate) fn render_report_body(out: &mut String, report: &Report, links: &[String]) {
    let class = report.outcome.as_str();
    let _ = write!(
        out,
        "<h1>Benchmarks: <span class=\"{class}\">{word}</span></h1>\n<p>{}</p>\n<p class=\"faint\">{}</p>\n<p class=\"faint\">{}: {}<br>{}<br>threshold {} %, one value a process run</p>\n",
        escape(&report.summary),
        escape(&report.counts_text()),
        escape(&report.title),
        escape(&report.sides_text()),
        escape(&report.environment),
        report.threshold,
        word = outcome_heading(report.outcome),
    );
    list(out, "Notes", &report.notes);
    let linked = report.rows.iter().enumerate();
    let linked = linked.map(|(index, row)| (row, links.get(index).map(String::as_str)));
    let (loud, quiet): (Vec<_>, Vec<_>) = linked.partition(|(row, _)| is_loud(row));
    if !loud.is_empty() {
        out.push_str("<h2>To look at</h2>\n");
    }
    rows(out, &loud, 0);
    if !quiet.is_empty() {
        out.push_str("<h2>Unchanged</h2>\n");
    }
    rows(out, &quiet, loud.len());
    list(out, "Entries that could not be used", &report.problems);
}

fn rows(out: &mut String, rows: &[(&Row, Option<&str>)], before: usize) {
    let shown = rows.len().min(MAX_ROWS.saturating_sub(before));
    for (index, (row, link)) in rows[..shown].iter().enumerate() {
        section(out, row, *link, before + index < MAX_CHARTS);
    }
    if rows.len() > shown {
        let _ = writeln!(
            out,
            "<p class=\"faint\">{} more are not shown here; the JSON form has them.</p>",
            rows.len() - shown
        );
    }
}

fn section(out: &mut String, row: &Row, link: Option<&str>, with_chart: bool) {
    let drawing = with_chart.then(|| chart::of_row(row));
    let open = if row.verdict == VerdictKind::Regression && with_chart {
        " open"
    } else {
        ""
    };
    let class = verdict_class(row.verdict);
    let _ = write!(
        out,
        "<details class=\"row\"{open}><summary><span class=\"name\">{}</span>{}<span class=\"change {class}\">{}</span><span><span class=\"pill {class}\">{}</span></span></summary><div class=\"body\">",
        escape(&row.name),
        drawing.as_ref().map(render_sparkline).unwrap_or_default(),
        row.change_text(),
        row.verdict
    );
    if let Some(drawing) = &drawing {
        out.push_str(&render_full_chart(drawing, Size::REPORT));
    }
    let _ = write!(out, "<p>{}</p><dl>", escape(&row.reason));
    let human = |value: Option<f64>| value.map_or_else(String::new, |value| row.unit.format_value(value));
    fact(out, "before", &human(row.before));
    fact(out, "now", &human(row.after));
    fact(out, "95 % interval", &row.range_text());
    fact(out, "threshold", &format!("{} %", row.threshold));
    let number = |value: Option<f64>| match value {
        Some(value) if value < 0.0001 => "below 0.0001".to_owned(),
        Some(value) => format!("{value:.4}"),
        None => String::new(),
    };
    fact(out, "p", &number(row.p));
    fact(out, "q (corrected)", &number(row.q));
    fact(
        out,
        "effect",
        &row.effect
            .map_or_else(String::new, |value| format!("{value:+.2}")),
    );
    let confidence = row
        .confidence
        .map_or_else(String::new, |value| format!("{:.0} %", 100.0 * value));
    fact(out, "confidence", &confidence);
    if !row.after_values.is_empty() {
        let before = match row.before_values.len() {
            0 => row.history.len(),
            beside => beside,
        };
        let runs = format!("{before} and {}", row.after_values.len());
        fact(out, "runs", &runs);
    }
    out.push_str("</dl>");
    if let Some(link) = link {
        let _ = write!(out, "<p><a href=\"{}\">Whole history</a></p>", escape(link));
    }
    out.push_str("</div></details>\n");
}

fn fact(out: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(value));
    }
}

fn list(out: &mut String, title: &str, lines: &[String]) {
    const MAX_ENTRIES: usize = 100;
    if lines.is_empty() {
        return;
    }
    let _ = write!(out, "<h2>{title}</h2>\n<ul class=\"faint\">");
    for line in lines.iter().take(MAX_ENTRIES) {
        let _ = write!(out, "<li>{}</li>", escape(line));
    }
    if lines.len() > MAX_ENTRIES {
        let _ = write!(out, "<li>and {} more</li>", lines.len() - MAX_ENTRIES);
    }
    out.push_str("</ul>\n");
}

pub(crate) fn verdict_class(verdict: VerdictKind) -> &'static str {
    match verdict {
        VerdictKind::Regression => "regression",
        VerdictKind::Suspected => "suspected",
        VerdictKind::Improvement => "improvement",
        VerdictKind::Unchanged => "unchanged",
        VerdictKind::NotEnoughData => "not-enough-data",
        VerdictKind::EnvironmentChanged => "environment-changed",
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::example_report;
    use super::*;

    #[test]
    fn the_page_stands_alone_and_names_stay_text() {
        let mut report = example_report();
        report.rows[0].name = "<script>alert(1)</script>".to_owned();
        let page = render_html(&report);
        assert!(!page.contains("<script"), "no script, neither ours nor theirs");
        assert!(!page.contains("http"), "nothing from the network");
        assert!(page.contains("prefers-color-scheme:dark") && page.contains("name=\"viewport\""));
        assert_eq!(
            page.matches("<details").count(),
            page.matches("</details>").count()
        );
        insta::assert_snapshot!(page.split_once("</style>").unwrap().1);
    }

    #[test]
    fn a_hundred_thousand_rows_make_a_page_of_bounded_size() {
        let mut report = example_report();
        report.rows = vec![report.rows[4].clone(); 100_000];
        assert!(render_html(&report).len() < 8 << 20);
    }
}
