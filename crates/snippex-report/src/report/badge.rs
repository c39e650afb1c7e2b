//! A badge for a README: how many new bugs there are.

use serde_json::json;

use super::model::ReportModel;
use report_kit::escape::escape_html;

/// Letters are about so wide at 11 pixels.
const LETTER: usize = 7;
const LABEL: &str = "snippex";

fn words(report: &ReportModel) -> String {
    match (report.totals.checks, report.totals.new_bugs) {
        (0, _) => "no checks".to_owned(),
        (_, 0) => "no new bugs".to_owned(),
        (_, 1) => "1 new bug".to_owned(),
        (_, count) => format!("{count} new bugs"),
    }
}

/// Dark enough for white letters.
fn color(report: &ReportModel) -> &'static str {
    match (report.totals.checks, report.totals.new_bugs) {
        (0, _) => "#57606a",
        (_, 0) => "#1a7340",
        _ => "#b3261e",
    }
}

/// The drawing, as SVG.
#[must_use]
pub fn badge_svg(report: &ReportModel) -> String {
    let words = words(report);
    let (left, right) = (LABEL.len() * LETTER + 12, words.len() * LETTER + 12);
    let (all, middle, end) = (left + right, left / 2, left + right / 2);
    let (words, color) = (escape_html(&words), color(report));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all}\" height=\"20\" role=\"img\" aria-label=\"{LABEL}: {words}\">\n\
         <title>{LABEL}: {words}</title>\n\
         <rect width=\"{all}\" height=\"20\" rx=\"4\" fill=\"#333a42\"/>\n\
         <path d=\"M{left} 0h{inner}a4 4 0 0 1 4 4v12a4 4 0 0 1-4 4h-{inner}z\" fill=\"{color}\"/>\n\
         <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\n\
         <text x=\"{middle}\" y=\"14\">{LABEL}</text>\n<text x=\"{end}\" y=\"14\">{words}</text>\n</g>\n</svg>\n",
        inner = right - 4,
    )
}

/// What shields.io reads (<https://shields.io/badges/endpoint-badge>, schema version 1).
#[must_use]
pub fn badge_endpoint(report: &ReportModel) -> serde_json::Value {
    json!({
        "schemaVersion": 1,
        "label": LABEL,
        "message": words(report),
        "color": color(report).trim_start_matches('#'),
    })
}

#[cfg(test)]
mod tests {
    use super::super::model::ReportTotals;
    use super::*;

    #[test]
    fn a_badge_says_how_many_bugs_are_new() {
        let with = |checks, new_bugs| ReportModel {
            totals: ReportTotals {
                checks,
                new_bugs,
                ..ReportTotals::default()
            },
            ..ReportModel::default()
        };
        assert!(badge_svg(&with(1, 2)).contains("2 new bugs"));
        assert_eq!(badge_endpoint(&with(1, 0))["message"], "no new bugs");
        assert_eq!(badge_endpoint(&with(0, 0))["message"], "no checks");
    }
}
