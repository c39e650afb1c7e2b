//! Reports from templates: the built-in ones and the user's own.
//!
//! A template is given `report` (a [`ReportModel`]) and `charts` (drawings as SVG); see docs/reports.md.

use report_kit::template::{self, Context, TemplateError, TemplateSource};

use super::charts::ReportCharts;
use super::html::insert_page_parts;
use super::markdown::insert_all_sections;
use super::model::ReportModel;

/// The report that the first of `templates` makes of `report`. Templates get what the built-in ones get, whose text is a
/// start for others.
///
/// # Errors
/// When a template is wrong (the error says where, and which fields there are), or prints without end.
pub fn render_template(templates: &[TemplateSource], report: &ReportModel) -> Result<String, TemplateError> {
    let mut context = Context::new();
    context.insert("charts", &ReportCharts::from_report(report));
    insert_page_parts(&mut context, report);
    insert_all_sections(&mut context, report);
    render_with(templates, report, context)
}

/// The same, with more in `context`.
pub(super) fn render_with(
    templates: &[TemplateSource],
    report: &ReportModel,
    mut context: Context,
) -> Result<String, TemplateError> {
    context.insert("report", report);
    template::render_template(templates, &context, &|| {
        format!(
            "there are `report` with {}, `charts`, `page`, `sections`, `diagrams`, `table_rows` and `left_out`; \
             `snippex report schema` has all fields of a report",
            template::field_names(report)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::{
        HTML_TEMPLATE, MARKDOWN_TEMPLATE, MAX_SUMMARY_SIZE, ReportBug, render_html, render_markdown,
    };
    use super::*;

    #[test]
    fn built_in_templates_are_a_start_for_others() {
        let report = ReportModel {
            title: "a <b>".to_owned(),
            bugs: vec![ReportBug::default()],
            ..ReportModel::default()
        };
        let render = |name: &str, text: &str| {
            let (name, text) = (name.to_owned(), text.to_owned());
            render_template(&[TemplateSource { name, text }], &report).expect("it is right")
        };
        assert_eq!(
            render("mine.html", HTML_TEMPLATE),
            render_html(&report).expect("it is right")
        );
        let markdown = render_markdown(&report, MAX_SUMMARY_SIZE).expect("it is right");
        assert_eq!(render("mine.md", MARKDOWN_TEMPLATE), markdown);
    }

    #[test]
    fn an_error_says_which_fields_there_are() {
        let template = TemplateSource {
            name: "x.html".to_owned(),
            text: "line\n{{ report.titel }}".to_owned(),
        };
        let error =
            render_template(&[template], &ReportModel::default()).expect_err("there is no such field");
        let text = error.to_string();
        for part in ["2:", "titel", "findings", "snippex report schema"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
