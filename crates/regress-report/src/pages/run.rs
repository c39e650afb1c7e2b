//! One run with its verdicts, and lists of runs.

use std::fmt::Write as _;

use super::frame::{Frame, Link, When, render_link, render_pill, render_time};
use crate::benchmarks::html::render_report_body;
use crate::benchmarks::words::outcome_heading;
use crate::benchmarks::words::short_commit;
use crate::benchmarks::{Outcome, Report};
use report_kit::escape::escape_html as escape;

/// The view of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPage {
    /// The commit, branch, pull request it is of, as links.
    pub facts: Vec<Link>,
    /// When it arrived.
    pub received: When,
    /// The verdicts; `None` while it waits to be judged.
    pub report: Option<Report>,
    /// The page of each row's benchmark, in the order of the rows.
    pub links: Vec<String>,
    /// The report as files of other formats.
    pub files: Vec<Link>,
}

/// A run in a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunLine {
    /// Its page.
    pub href: String,
    /// The commit.
    pub commit: String,
    /// What was measured: the branch, or the pull request.
    pub of: Link,
    /// Component and environment, where there are several.
    pub place: String,
    /// When it arrived.
    pub received: When,
    /// The outcome; `None` while it waits to be judged.
    pub outcome: Option<Outcome>,
}

/// The page of a run.
#[must_use]
pub fn render_run_page(frame: &Frame, page: &RunPage) -> String {
    let mut out = String::from("<p class=\"links\">");
    for fact in &page.facts {
        render_link(&mut out, fact);
    }
    let _ = writeln!(out, "{}</p>", render_time(&page.received));
    match &page.report {
        Some(report) => render_report_body(&mut out, report, &page.links),
        None => out.push_str(
            "<h1>Not judged yet</h1>\n<p>The run is stored and waits for a worker. Load the page again in a moment; if this stays, \
             see whether <code>regressd worker</code> runs and what <code>regressd dead-letters list</code> says.</p>\n",
        ),
    }
    if !page.files.is_empty() {
        out.push_str("<p class=\"links files\">Report as");
        for file in &page.files {
            out.push(' ');
            render_link(&mut out, file);
        }
        out.push_str("</p>\n");
    }
    frame.wrap_body(&out)
}

/// A list of runs, newest first.
pub(super) fn run_lines(out: &mut String, runs: &[RunLine]) {
    out.push_str("<ul class=\"runs\">\n");
    for run in runs {
        let pill = run.outcome.map_or_else(
            || render_pill("not-judged", "waiting"),
            |outcome| render_pill(outcome.as_str(), outcome_heading(outcome)),
        );
        let _ = write!(
            out,
            "<li><a class=\"commit\" href=\"{}\">{}</a>",
            escape(&run.href),
            escape(short_commit(&run.commit))
        );
        render_link(out, &run.of);
        let _ = writeln!(
            out,
            "<span class=\"faint place\">{}</span>{pill}<span class=\"faint\">{}</span></li>",
            escape(&run.place),
            render_time(&run.received)
        );
    }
    out.push_str("</ul>\n");
}
