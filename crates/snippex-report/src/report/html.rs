//! A report for browsers: one file that asks nobody for anything. Figures, charts and bugs stand in it as they are; the
//! findings, which can be many, are packed data that its script shows a window of.

use std::collections::BTreeMap;
use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use report_kit::template::Context;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::markdown::bug_markdown;
use super::model::{ReportFinding, ReportModel};
use report_kit::template::{TemplateError, TemplateSource};

use super::template::render_template;

/// The built-in template, for `report template show html`.
pub const HTML_TEMPLATE: &str = include_str!("assets/report.html");
const STYLE: &str = include_str!("assets/report.css");
const SCRIPT: &str = include_str!("assets/report.js");

/// The report as an HTML document.
///
/// # Errors
/// When it would be larger than a report may be.
pub fn render_html(report: &ReportModel) -> Result<String, TemplateError> {
    let template = TemplateSource {
        name: "report.html".to_owned(),
        text: HTML_TEMPLATE.to_owned(),
    };
    render_template(&[template], report)
}

/// What the built-in page is made of besides the report and its charts.
pub(super) fn insert_page_parts(context: &mut Context, report: &ReportModel) {
    context.insert(
        "page",
        &PageParts {
            style: STYLE,
            script: SCRIPT,
            style_hash: content_hash(STYLE),
            script_hash: content_hash(SCRIPT),
            findings: packed_findings(report),
        },
    );
}

/// What the page is made of besides the report.
#[derive(Serialize)]
struct PageParts {
    style: &'static str,
    script: &'static str,
    /// As Content Security Policy Level 3, section 2.3.1 has them: only this style and this script count.
    style_hash: String,
    script_hash: String,
    findings: String,
}

fn content_hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// What the script reads.
#[derive(Serialize)]
struct PackedReport<'a> {
    findings: &'a [ReportFinding],
    /// Each bug as Markdown, to be copied.
    bugs: BTreeMap<&'a str, String>,
}

/// Findings as JSON, deflated (RFC 1951), in Base64: a tenth of what a table would take.
fn packed_findings(report: &ReportModel) -> String {
    let packed = PackedReport {
        findings: &report.findings,
        bugs: report
            .bugs
            .iter()
            .map(|bug| (bug.id.as_str(), bug_markdown(bug)))
            .collect(),
    };
    let json = serde_json::to_vec(&packed).expect("plain data is JSON");
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&json).expect("memory takes it");
    STANDARD.encode(encoder.finish().expect("memory takes it"))
}
