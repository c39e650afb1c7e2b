//! The answer in the format asked for; and the report saved, so that it can be shown again.

use std::fs::OpenOptions;
use std::io::Write as _;

use cli_kit::{ExitStatus, Failure, OrFail};
use jiff::Timestamp;
use regress_report::benchmarks::{Outcome, Report, csv, github, html, junit, markdown, pdf, terminal};
use report_kit::pdf::PaperSize;

use crate::app::App;
use crate::args::{Format, Paper};
use crate::files;
use crate::snapshots::{Snapshot, append_snapshot};

/// GitHub takes job summaries of up to 1 MiB.
const SUMMARY_BYTES: usize = 1_000_000;

/// Saves the report and shows it.
pub(crate) fn save_and_print_report(app: &App<'_>, report: &Report) -> Result<(), Failure> {
    if let Err(failure) = files::write_file(&app.state_file("report.json"), report.to_json()) {
        // The answer matters more than its copy.
        app.printer
            .print_warning(format_args!("the report is not saved: {failure}"));
    }
    if let Err(failure) = append_snapshot(app, Snapshot::of(report, Timestamp::now())) {
        app.printer.print_warning(format_args!(
            "no snapshot is kept for `benchgate metrics`: {failure}"
        ));
    }
    print_report(app, report, Paper::default())
}

/// Shows the report.
pub(crate) fn print_report(app: &App<'_>, report: &Report, paper: Paper) -> Result<(), Failure> {
    match app.format {
        Format::Human => {
            let options = terminal::TerminalOptions {
                width: app.printer.width(),
                all: app.all,
            };
            app.printer.print_text(terminal::render_terminal(report, options))
        }
        Format::Json => app.printer.print_text(report.to_json()),
        Format::Markdown => app
            .printer
            .print_text(markdown::render_markdown(report, SUMMARY_BYTES)),
        Format::Html => app.printer.print_text(html::render_html(report)),
        Format::Csv => app.printer.print_text(csv::render_csv(report)),
        Format::Pdf => print_pdf(app, report, paper),
        Format::Junit => app.printer.print_text(junit::render_junit(report)),
        Format::Github => {
            summarise(report)?;
            app.printer.print_text(github::render_workflow_commands(report))
        }
    }
}

fn print_pdf(app: &App<'_>, report: &Report, paper: Paper) -> Result<(), Failure> {
    let size = match paper {
        Paper::A4 => PaperSize::A4,
        Paper::Letter => PaperSize::Letter,
        Paper::Legal => PaperSize::Legal,
    };
    let made_by = concat!("benchgate ", env!("CARGO_PKG_VERSION"));
    let document = pdf::render_pdf(report, made_by, size).or_fail("there is no PDF")?;
    if !document.replaced.is_empty() {
        let letters: String = document.replaced.iter().collect();
        app.printer.print_warning(format_args!(
            "the fonts lack {letters}: U+FFFD stands in their places"
        ));
    }
    app.printer.print_bytes(&document.bytes)
}

/// Adds the report to the job summary of GitHub Actions, where there is one.
fn summarise(report: &Report) -> Result<(), Failure> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let failed = "cannot write the job summary of GITHUB_STEP_SUMMARY";
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .or_fail(failed)?;
    file.write_all(markdown::render_markdown(report, SUMMARY_BYTES).as_bytes())
        .or_fail(failed)
}

/// How the command ends with this report.
pub(crate) fn exit_status(report: &Report, exit_zero: bool) -> ExitStatus {
    let status = match report.outcome {
        Outcome::Regression | Outcome::Mixed => ExitStatus::Found,
        // What is not decided must not pass.
        Outcome::Suspected | Outcome::NotJudged => ExitStatus::CouldNot,
        Outcome::Improvement | Outcome::Unchanged => ExitStatus::NothingFound,
    };
    if exit_zero {
        ExitStatus::NothingFound
    } else {
        status
    }
}

/// `1 run`, `3 runs`.
pub(crate) fn format_counted_noun(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
