//! Many runs: those of a pull request, or all of a repository, page by page; two of them can be chosen to be compared.

use std::fmt::Write as _;

use super::frame::{Frame, Link, render_link, render_pill, render_time};
use super::run::RunLine;
use crate::benchmarks::Report;
use crate::benchmarks::html::render_report_body;
use crate::benchmarks::words::{outcome_heading, short_commit};
use report_kit::escape::escape_html as escape;

/// The view.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunListPage {
    /// What the runs are of.
    pub heading: String,
    /// Where that is beside this page, and what is known of it.
    pub facts: Vec<Link>,
    /// What the newest of them came to, if the page is about one thing.
    pub report: Option<Report>,
    /// The page of each row's benchmark, in the order of the rows.
    pub links: Vec<String>,
    /// Newest first.
    pub runs: Vec<ChoosableRun>,
    /// What to say when there are none.
    pub empty: String,
    /// Where two chosen runs are compared: it takes `before` and `after`, the numbers of runs.
    pub compare_action: String,
    /// Other pages of the list.
    pub more: Vec<Link>,
}

/// A run that can be chosen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChoosableRun {
    /// Its number.
    pub number: i64,
    /// What is shown of it.
    pub line: RunLine,
}

/// The page.
#[must_use]
pub fn render_run_list_page(frame: &Frame, page: &RunListPage) -> String {
    let mut out = format!("<h1>{}</h1>\n<p class=\"links\">", escape(&page.heading));
    for fact in &page.facts {
        render_link(&mut out, fact);
    }
    out.push_str("</p>\n");
    if let Some(report) = &page.report {
        let mut body = String::new();
        render_report_body(&mut body, report, &page.links);
        // The page has its heading already.
        out.push_str(&body.replacen("<h1>", "<h2>", 1).replacen("</h1>", "</h2>", 1));
        out.push_str("<h2>Runs</h2>\n");
    }
    if page.runs.is_empty() {
        let _ = writeln!(out, "<p class=\"faint\">{}</p>", escape(&page.empty));
    } else {
        choosable_runs(&mut out, page);
    }
    if !page.more.is_empty() {
        out.push_str("<p class=\"links\">");
        for link in &page.more {
            render_link(&mut out, link);
        }
        out.push_str("</p>\n");
    }
    frame.wrap_body(&out)
}

/// The runs as a form: the newest two of one place are chosen at first.
fn choosable_runs(out: &mut String, page: &RunListPage) {
    let choosable = page.runs.len() > 1;
    if choosable {
        let _ = writeln!(
            out,
            "<form class=\"choose\" action=\"{}\" method=\"get\"><button>Compare the two chosen runs</button>",
            escape(&page.compare_action)
        );
    }
    let second = page
        .runs
        .iter()
        .skip(1)
        .position(|run| run.line.place == page.runs[0].line.place);
    let second = second.map_or(1, |place| place + 1);
    out.push_str("<ul class=\"runs\">\n");
    for (index, run) in page.runs.iter().enumerate() {
        let line = &run.line;
        let pill = line.outcome.map_or_else(
            || render_pill("not-judged", "waiting"),
            |outcome| render_pill(outcome.as_str(), outcome_heading(outcome)),
        );
        out.push_str("<li>");
        if choosable {
            out.push_str("<span class=\"choice\">");
            radio(out, "before", run.number, index == second);
            radio(out, "after", run.number, index == 0);
            out.push_str("</span>");
        }
        let _ = write!(
            out,
            "<a class=\"commit\" href=\"{}\">{}</a>",
            escape(&line.href),
            escape(short_commit(&line.commit))
        );
        render_link(out, &line.of);
        let _ = writeln!(
            out,
            "<span class=\"faint place\">{}</span>{pill}<span class=\"faint\">{}</span></li>",
            escape(&line.place),
            render_time(&line.received)
        );
    }
    out.push_str("</ul>\n");
    if choosable {
        out.push_str("</form>\n");
    }
}

fn radio(out: &mut String, name: &str, number: i64, chosen: bool) {
    let checked = if chosen { " checked" } else { "" };
    let _ = write!(
        out,
        "<label><input type=\"radio\" name=\"{name}\" value=\"{number}\"{checked} aria-label=\"{name}: run {number}\">{name}</label>"
    );
}
