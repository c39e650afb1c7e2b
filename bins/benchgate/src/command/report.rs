//! `benchgate report`: the last report again, in any format.

use cli_kit::{ExitStatus, Failure, OrFail};
use regress_report::benchmarks::Report;

use crate::app::App;
use crate::args::ReportArgs;
use crate::{files, show};

/// Runs the command. It tells what was found and does not judge, so it ends well whatever that is.
pub(crate) fn run(app: &App<'_>, args: &ReportArgs) -> Result<ExitStatus, Failure> {
    let path = args
        .report
        .as_ref()
        .map_or_else(|| app.state_file("report.json"), |path| app.here.join(path));
    let bytes = files::read_own(&path)
        .map_err(|failure| failure.hint("`benchgate check`, `ab` and `compare` save one"))?;
    let report =
        Report::from_json(&bytes).or_fail_with(|| format!("cannot use {}", app.display_path(&path)))?;
    show::print_report(app, &report)?;
    Ok(ExitStatus::NothingFound)
}
