//! `snippex report`: what is stored, in a file for people or programs; and the reports that a check makes at its end.

#[cfg(feature = "github")]
mod issues;

use std::path::{Path, PathBuf};

use cli_kit::{ExitStatus, Failure, OrFail};
use snippex_report::report::{
    HTML_TEMPLATE, MARKDOWN_TEMPLATE, MAX_SUMMARY_SIZE, PaperSize, PdfReport, ReportModel, badge_endpoint,
    badge_svg, findings_table, model_schema, read_templates, render_html, render_markdown, render_pdf,
    render_template,
};
use snippex_store::{RunId, StoreHandle};

use crate::app::App;
use crate::args::{
    BadgeForm, BuiltInTemplate, ExportArgs, PaperArg, ReportArgs, ReportCommand, ReportScopeArgs,
    TemplateCommand,
};
use crate::hints::OrUserError;
use crate::reporting::{ReportScope, report_model};

pub(crate) fn run(app: &App<'_>, args: &ReportArgs) -> Result<ExitStatus, Failure> {
    match &args.command {
        Some(ReportCommand::Schema) => app.printer.print_json(&model_schema())?,
        Some(ReportCommand::Template { command }) => {
            let TemplateCommand::Show { template } = command;
            app.printer.print_text(match template {
                BuiltInTemplate::Html => HTML_TEMPLATE,
                BuiltInTemplate::Markdown => MARKDOWN_TEMPLATE,
            })?;
        }
        #[cfg(feature = "github")]
        Some(ReportCommand::Github(wanted)) => return issues::run(app, &args.scope, wanted),
        _ => print_report(app, args)?,
    }
    Ok(ExitStatus::NothingFound)
}

fn print_report(app: &App<'_>, args: &ReportArgs) -> Result<(), Failure> {
    let templates = match (&args.command, &args.template) {
        (Some(_), Some(_)) => {
            return Err(Failure::new("--template makes a report of its own form")
                .hint("leave out html, markdown or the like"));
        }
        (None, None) => {
            return Err(Failure::new("which form the report is to have is not said")
                .hint("snippex report html|markdown|pdf|csv|json, or --template FILE"));
        }
        // Before the database is read: a file that is not there is told at once.
        (None, Some(path)) => Some(read_templates(path).or_user_error()?),
        (Some(_), None) => None,
    };
    let store = app.existing_store()?;
    let report = report_model(app, &store, &scope_of(&args.scope))?;
    if let Some(templates) = templates {
        return app
            .printer
            .print_text(render_template(&templates, &report).or_user_error()?);
    }
    match &args.command {
        Some(ReportCommand::Html) => app.printer.print_text(render_html(&report).or_user_error()?),
        Some(ReportCommand::Markdown { max_size }) => app
            .printer
            .print_text(render_markdown(&report, *max_size).or_user_error()?),
        Some(ReportCommand::Pdf { paper }) => app
            .printer
            .print_bytes(&pdf(app, &report, (*paper).into())?.bytes),
        Some(ReportCommand::Csv) => app.printer.print_text(findings_table(&report).render_csv()),
        Some(ReportCommand::Badge { form: BadgeForm::Svg }) => app.printer.print_text(badge_svg(&report)),
        Some(ReportCommand::Badge {
            form: BadgeForm::Endpoint,
        }) => app.printer.print_json(&badge_endpoint(&report)),
        _ => app.printer.print_json(&report),
    }
}

pub(super) fn scope_of(args: &ReportScopeArgs) -> ReportScope<'_> {
    ReportScope {
        run: args.run,
        emulator: args.emulator.as_deref(),
        checks: args.checks,
        findings: args.findings,
        title: args.title.as_deref(),
    }
}

fn pdf(app: &App<'_>, report: &ReportModel, paper: PaperSize) -> Result<PdfReport, Failure> {
    let pdf = render_pdf(report, paper).or_user_error()?;
    if !pdf.replaced.is_empty() {
        let letters: String = pdf.replaced.iter().take(20).collect();
        app.printer.print_warning(format_args!(
            "the fonts of the PDF lack {letters:?}; U+FFFD stands in their places"
        ));
    }
    Ok(pdf)
}

impl From<PaperArg> for PaperSize {
    fn from(paper: PaperArg) -> Self {
        match paper {
            PaperArg::A4 => Self::A4,
            PaperArg::Letter => Self::Letter,
            PaperArg::Legal => Self::Legal,
        }
    }
}

/// Writes the reports on `run` that `args` ask for.
pub(crate) fn write_exports(
    app: &App<'_>,
    store: &StoreHandle,
    run: RunId,
    args: &ExportArgs,
) -> Result<(), Failure> {
    if !args.is_asked() {
        return Ok(());
    }
    let scope = ReportScope {
        run: Some(run),
        findings: usize::MAX,
        ..ReportScope::default()
    };
    let report = report_model(app, store, &scope)?;
    let write = |path: &Option<PathBuf>, make: &dyn Fn() -> Result<Vec<u8>, Failure>| match path {
        Some(path) => write_file(app, path, &make()?),
        None => Ok(()),
    };
    write(&args.export_html, &|| {
        Ok(render_html(&report).or_user_error()?.into_bytes())
    })?;
    write(&args.export_markdown, &|| {
        Ok(render_markdown(&report, MAX_SUMMARY_SIZE)
            .or_user_error()?
            .into_bytes())
    })?;
    write(&args.export_pdf, &|| {
        Ok(pdf(app, &report, PaperSize::default())?.bytes)
    })?;
    write(&args.export_csv, &|| {
        Ok(findings_table(&report).render_csv().into_bytes())
    })?;
    write(&args.export_json, &|| {
        serde_json::to_vec_pretty(&report).or_fail("cannot write the report as JSON")
    })
}

fn write_file(app: &App<'_>, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, bytes)
        .or_fail_with(|| format!("cannot write the report {}", path.display()))
        .map_err(|failure| failure.hint("the check is stored: snippex report makes the report again"))?;
    app.printer.print_note(format_args!("report: {}", path.display()));
    Ok(())
}
