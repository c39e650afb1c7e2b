//! Reports on stored checks: figures, bugs and findings in a file for a browser, a printer, GitHub or a program.
//!
//! Whoever knows the database fills in a [`ReportModel`]; each format is made of that and of nothing else, so that the same
//! model gives the same bytes. [`render_html`] and [`render_markdown`] come from templates that users can take as a start for
//! their own ([`render_template`]).

mod badge;
mod chart;
mod charts;
mod html;
mod markdown;
mod model;
#[cfg(feature = "pdf")]
mod pdf;
mod tables;
mod template;

pub use badge::{badge_endpoint, badge_svg};
pub use charts::ReportCharts;
pub use html::{HTML_TEMPLATE, render_html};
pub use markdown::{MARKDOWN_TEMPLATE, MAX_SUMMARY_SIZE, bug_markdown, render_markdown};
pub use model::{
    CheckFigures, EngineFigures, EngineRuns, MODEL_VERSION, NamedCount, ProgramFigures, ReportBug,
    ReportExample, ReportFinding, ReportModel, ReportTotals, model_schema,
};
#[cfg(feature = "pdf")]
pub use pdf::render_pdf;
pub use report_kit::escape::{code_block, code_span, escape_html, escape_markdown};
#[cfg(feature = "pdf")]
pub use report_kit::pdf::{PaperSize, PdfError, PdfReport};
pub use report_kit::template::{
    MAX_REPORT_SIZE, MAX_TEMPLATE_SIZE, TemplateError, TemplateSource, read_templates,
};
pub use tables::findings_table;
pub use template::render_template;
