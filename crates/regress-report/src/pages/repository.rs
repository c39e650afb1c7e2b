//! One repository: every benchmark with its recent trend, and the newest runs.

use std::fmt::Write as _;

use regress_core::detect::VerdictKind;
use regress_core::measurement::{Direction, Unit};

use super::frame::{Frame, Link, When, render_breakable_name, render_link, render_pill, render_time};
use super::message::{self, MessagePage};
use super::run::{RunLine, run_lines};
use crate::benchmarks::Outcome;
use crate::benchmarks::html::verdict_class;
use crate::benchmarks::words::outcome_heading;
use crate::benchmarks::words::{format_percent, severity_rank};
use crate::chart::{Chart, Point, PointKind, render_sparkline};
use report_kit::escape::escape_html as escape;

/// The view.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RepositoryPage {
    /// `owner/name`.
    pub name: String,
    /// Where it is beside this page: its code, its badge, its data.
    pub links: Vec<Link>,
    /// Branches with a history; the one without a place is shown.
    pub branches: Vec<Link>,
    /// What the reader searched for.
    pub search: String,
    /// Where a search goes, and the branch it keeps.
    pub search_action: String,
    /// The branch, for the search.
    pub branch: String,
    /// A section a component and environment.
    pub streams: Vec<StreamSection>,
    /// The newest runs, whichever branch they are of.
    pub runs: Vec<RunLine>,
    /// Whether it takes no more results.
    pub archived: bool,
    /// The address below which its admins put it away or remove it, if the reader is one.
    pub administered_at: Option<String>,
    /// What to say when there are no runs.
    pub empty: MessagePage,
}

/// The benchmarks that are measured together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamSection {
    /// The part of the repository; empty when it has no parts.
    pub component: String,
    /// The machine, in words.
    pub environment: String,
    /// The newest judgement.
    pub outcome: Option<Outcome>,
    /// When it was made.
    pub judged: Option<When>,
    /// The benchmarks.
    pub rows: Vec<SeriesLine>,
    /// How many more there are than are shown.
    pub more: usize,
}

/// One benchmark at a glance.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesLine {
    /// Its name, with the measure where that is not latency.
    pub name: String,
    /// Its page.
    pub href: String,
    /// The base unit.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// The newest values, oldest first.
    pub history: Vec<f64>,
    /// The change of the newest judgement, in percent of cost.
    pub percent: Option<f64>,
    /// That judgement.
    pub verdict: Option<VerdictKind>,
}

impl StreamSection {
    /// Puts what asks for attention first, then sorts by name.
    pub fn sort_rows(&mut self) {
        let place = |row: &SeriesLine| row.verdict.map_or(u8::MAX, severity_rank);
        self.rows
            .sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.name.cmp(&b.name)));
    }
}

/// The page.
#[must_use]
pub fn render_repository_page(frame: &Frame, page: &RepositoryPage) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "<div class=\"title\"><h1>{}</h1><p class=\"links\">",
        escape(&page.name)
    );
    for way in &page.links {
        render_link(&mut out, way);
    }
    out.push_str("</p></div>\n");
    if page.archived {
        out.push_str("<p class=\"faint\">Archived: it takes no more results.</p>\n");
    }
    if page.streams.is_empty() && page.runs.is_empty() {
        message::render_message_body(&mut out, &page.empty);
        administration(&mut out, page);
        return frame.wrap_body(&out);
    }
    tools(&mut out, page);
    if page.streams.iter().all(|stream| stream.rows.is_empty()) {
        let what = if page.search.is_empty() {
            format!("There are no judged runs of {} yet.", page.branch)
        } else {
            format!(
                "No benchmark of {} has {:?} in its name.",
                page.branch, page.search
            )
        };
        let _ = writeln!(out, "<p class=\"faint\">{}</p>", escape(&what));
    }
    for stream in page.streams.iter().filter(|stream| !stream.rows.is_empty()) {
        section(&mut out, stream);
    }
    if !page.runs.is_empty() {
        out.push_str("<h2>Newest runs</h2>\n");
        run_lines(&mut out, &page.runs);
    }
    administration(&mut out, page);
    frame.wrap_body(&out)
}

/// What admins do to the repository as a whole. Removing it asks for its name: there is no way back.
fn administration(out: &mut String, page: &RepositoryPage) {
    let Some(place) = &page.administered_at else {
        return;
    };
    let (place, name) = (escape(place), escape(&page.name));
    let (turned, button, means) = if page.archived {
        (
            false,
            "Take results again",
            "Uploads are refused now; all that was measured is kept.",
        )
    } else {
        (
            true,
            "Archive",
            "Uploads are refused from then on; all that was measured is kept.",
        )
    };
    let _ = writeln!(
        out,
        "<details class=\"accept\"><summary>Archive or delete this repository</summary>\n\
         <p class=\"faint\">{means} Who did it is kept in the audit log.</p>\n\
         <form action=\"{place}/archive\" method=\"post\"><input type=\"hidden\" name=\"archived\" value=\"{turned}\"><button>{button}</button></form>\n\
         <p class=\"faint\">Deleting removes all runs, verdicts and accepted shifts of {name} for good.</p>\n\
         <form action=\"{place}/delete\" method=\"post\"><label>type {name} to confirm <input name=\"name\" required autocomplete=\"off\" maxlength=\"300\"></label><button>Delete</button></form></details>"
    );
}

/// Branches to choose from, and the search.
fn tools(out: &mut String, page: &RepositoryPage) {
    out.push_str("<div class=\"tools\"><nav class=\"tabs\" aria-label=\"Branches\">");
    for branch in &page.branches {
        if branch.href.is_empty() {
            let _ = write!(out, "<span aria-current=\"true\">{}</span>", escape(&branch.text));
        } else {
            render_link(out, branch);
        }
    }
    let _ = writeln!(
        out,
        "</nav><form action=\"{}\" method=\"get\" role=\"search\"><input type=\"hidden\" name=\"branch\" value=\"{}\"><input type=\"search\" name=\"q\" value=\"{}\" placeholder=\"Find a benchmark\" aria-label=\"Find a benchmark\" maxlength=\"200\"><button>Find</button></form></div>",
        escape(&page.search_action),
        escape(&page.branch),
        escape(&page.search)
    );
}

fn section(out: &mut String, stream: &StreamSection) {
    let heading = if stream.component.is_empty() {
        "Benchmarks"
    } else {
        stream.component.as_str()
    };
    let outcome = stream.outcome.map_or_else(String::new, |outcome| {
        render_pill(outcome.as_str(), outcome_heading(outcome))
    });
    let judged = stream
        .judged
        .as_ref()
        .map(|when| format!("judged {}", render_time(when)));
    let environment = Some(escape(&stream.environment)).filter(|text| !text.is_empty());
    let about: Vec<String> = environment.into_iter().chain(judged).collect();
    let _ = writeln!(
        out,
        "<section class=\"stream\"><h2>{} {outcome}</h2><p class=\"faint\">{}</p>\n<ul class=\"series\">",
        escape(heading),
        about.join(" · ")
    );
    for row in &stream.rows {
        line(out, row);
    }
    out.push_str("</ul>\n");
    if stream.more > 0 {
        let _ = writeln!(
            out,
            "<p class=\"faint\">{} more are not shown; search for a part of their names.</p>",
            stream.more
        );
    }
    out.push_str("</section>\n");
}

fn line(out: &mut String, row: &SeriesLine) {
    let point = |value: &f64| Point {
        value: *value,
        label: String::new(),
        href: None,
        day: String::new(),
        kind: PointKind::Past,
    };
    let drawing = render_sparkline(&Chart {
        name: row.name.clone(),
        unit: row.unit.clone(),
        direction: row.direction,
        points: row.history.iter().map(point).collect(),
        marks: Vec::new(),
        band: None,
        joined: true,
    });
    let value = row
        .history
        .last()
        .map_or_else(String::new, |value| row.unit.format_value(*value));
    let class = row.verdict.map_or("", verdict_class);
    let change = row.percent.map_or_else(|| "–".to_owned(), format_percent);
    let verdict = row
        .verdict
        .filter(|verdict| *verdict != VerdictKind::Unchanged)
        .map_or_else(String::new, |verdict| render_pill(class, verdict.as_str()));
    let drawing = if drawing.is_empty() {
        "<span class=\"spark\"></span>".to_owned()
    } else {
        drawing
    };
    let _ = writeln!(
        out,
        "<li><a href=\"{}\"><span class=\"name\">{}</span>{drawing}<span class=\"value\">{}</span><span class=\"change {class}\">{change}</span><span class=\"verdict\">{verdict}</span></a></li>",
        escape(&row.href),
        render_breakable_name(&row.name),
        escape(&value),
    );
}
