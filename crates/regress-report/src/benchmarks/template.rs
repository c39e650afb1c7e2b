//! Reports from templates of the user's.

use report_kit::template::{self, Context, TemplateError, TemplateSource};
use serde::Serialize;

use super::{Report, Row, chart};
use crate::STYLE;
use crate::chart::{Size, render_full_chart, render_sparkline};

/// A template to start from, for GitHub's Markdown.
pub const EXAMPLE_TEMPLATE: &str = include_str!("../assets/report.md");

/// Rows with drawings; a page with more would help nobody.
const MAX_CHARTS: usize = 2000;

/// A row as people read it, beside its figures.
#[derive(Serialize)]
struct RowTexts {
    before: String,
    now: String,
    change: String,
    interval: String,
    verdict: &'static str,
    /// The history, or both samples, as SVG; empty where there is nothing to draw.
    chart: String,
    /// The same without axes.
    sparkline: String,
}

impl RowTexts {
    fn of(row: &Row, is_drawn: bool) -> Self {
        let drawing = is_drawn.then(|| chart::of_row(row));
        Self {
            before: row.before_text(),
            now: row.after_text(),
            change: row.change_text(),
            interval: row.range_text(),
            verdict: row.verdict_text(),
            chart: drawing
                .as_ref()
                .map(|drawing| render_full_chart(drawing, Size::REPORT))
                .unwrap_or_default(),
            sparkline: drawing.as_ref().map(render_sparkline).unwrap_or_default(),
        }
    }
}

/// What the first of `templates` makes of the report. It is given `report` (the JSON form), `rows` (for each of its rows
/// `before`, `now`, `change`, `interval`, `verdict` as text, `chart` and `sparkline` as SVG), `counts` and `sides` (sentences),
/// and `style` (the style sheet that the drawings need).
///
/// # Errors
/// When a template is wrong (the error says where, and which fields there are), or prints without end.
pub fn render_template(templates: &[TemplateSource], report: &Report) -> Result<String, TemplateError> {
    let rows = report.rows.iter().enumerate();
    let rows: Vec<RowTexts> = rows
        .map(|(index, row)| RowTexts::of(row, index < MAX_CHARTS))
        .collect();
    let mut context = Context::new();
    context.insert("report", report);
    context.insert("rows", &rows);
    context.insert("counts", &report.counts_text());
    context.insert("sides", &report.sides_text());
    context.insert("style", STYLE);
    template::render_template(templates, &context, &|| {
        format!(
            "there are `report` with {}, `rows` with before, now, change, interval, verdict, chart, sparkline, and `counts`, \
             `sides`, `style`",
            template::field_names(report)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::example_report;
    use super::*;

    fn render(name: &str, text: &str) -> Result<String, TemplateError> {
        let mut report = example_report();
        report.rows[0].name = "a|<b>".to_owned();
        let (name, text) = (name.to_owned(), text.to_owned());
        render_template(&[TemplateSource { name, text }], &report)
    }

    #[test]
    fn the_example_is_a_report() {
        insta::assert_snapshot!(render("report.md", EXAMPLE_TEMPLATE).unwrap());
    }

    #[test]
    fn drawings_and_style_make_a_page() {
        let text = "<style>{{ style | safe }}</style>{% for row in rows %}{{ row.chart | safe }}{% endfor %}{{ report.rows[0].name }}";
        let page = render("x.html", text).unwrap();
        assert!(page.contains("<svg") && page.ends_with("a|&lt;b&gt;"), "{page}");
    }

    #[test]
    fn a_wrong_name_is_told_with_those_there_are() {
        let error = render("x.txt", "{{ report.sumary }}").unwrap_err().to_string();
        assert!(
            error.contains("1:") && error.contains("summary") && error.contains("sparkline"),
            "{error}"
        );
    }
}
