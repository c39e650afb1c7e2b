//! `benchgate report`: the last report again, in any format.

use cli_kit::{ExitStatus, Failure, OrFail};
use regress_report::benchmarks::Report;
use regress_report::benchmarks::template::{EXAMPLE_TEMPLATE, render_template};
use report_kit::template::read_templates;

use crate::app::App;
use crate::args::ReportArgs;
use crate::{files, show};

/// Runs the command. It tells what was found and does not judge, so it ends well whatever that is.
pub(crate) fn run(app: &App<'_>, args: &ReportArgs) -> Result<ExitStatus, Failure> {
    if args.example_template {
        app.printer.print_text(EXAMPLE_TEMPLATE)?;
        return Ok(ExitStatus::NothingFound);
    }
    let path = args
        .report
        .as_ref()
        .map_or_else(|| app.state_file("report.json"), |path| app.here.join(path));
    let bytes = files::read_own(&path)
        .map_err(|failure| failure.hint("`benchgate check`, `ab` and `compare` save one"))?;
    let report =
        Report::from_json(&bytes).or_fail_with(|| format!("cannot use {}", app.display_path(&path)))?;
    match &args.template {
        Some(place) => {
            let failed = || format!("cannot use the template {}", place.display());
            let templates = read_templates(&app.here.join(place)).or_fail_with(failed)?;
            let text = render_template(&templates, &report)
                .or_fail_with(failed)
                .map_err(|failure| {
                    failure.hint("`benchgate report --example-template` prints one to start from")
                })?;
            app.printer.print_text(text)?;
        }
        None => show::print_report(app, &report, args.paper)?,
    }
    Ok(ExitStatus::NothingFound)
}
