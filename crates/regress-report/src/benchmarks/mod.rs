//! Benchmark reports: what a check, an A/B comparison or a look at the history found.
//!
//! [`Report`] is the view, filled by benchgate and regressd. One file makes one format of it: [`terminal`],
//! [`markdown`], [`html`], [`junit`], [`github`], [`csv`], `pdf` (with the feature of that name), and [`template`] what a
//! template of the user's says; [`Report::to_json`] is the form that other programs read and that [`Report::from_json`] reads back, so that a report can be shown again where it was not made.

mod chart;
pub mod csv;
mod escape;
pub mod github;
pub mod html;
pub mod junit;
pub mod markdown;
#[cfg(feature = "pdf")]
pub mod pdf;
pub mod template;
pub mod terminal;
mod view;
pub(crate) mod words;

pub use regress_core::detect::Outcome;
pub use view::{REPORT_VERSION, Report, ReportError, Row, Shift, Side};
pub use words::short_commit;
