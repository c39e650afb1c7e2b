//! One benchmark: its history with the band of the baseline, its change points, its newest values.

use std::fmt::Write as _;

use regress_core::detect::VerdictKind;
use regress_core::measurement::{Direction, Unit};

use super::beside::{BesidePart, render_beside_part};
use super::frame::{Frame, Link, When, render_breakable_name, render_link, render_pill, render_time};
use crate::benchmarks::html::verdict_class;
use crate::benchmarks::words::{format_percent, short_commit};
use crate::chart::{Band, Chart, Mark, Point, PointKind, Size, render_full_chart};
use report_kit::escape::escape_html as escape;

/// Values listed below the drawing.
const MAX_LISTED: usize = 50;

/// The view.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchmarkPage {
    /// Its name, with the measure where that is not latency.
    pub name: String,
    /// The base unit.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// Component, environment, branch, as text and links.
    pub places: Vec<Link>,
    /// The newest judgement.
    pub verdict: Option<VerdictKind>,
    /// Its reason.
    pub reason: String,
    /// Numbers worth a line.
    pub facts: Vec<Fact>,
    /// Oldest first.
    pub points: Vec<HistoryPoint>,
    /// The baseline: lowest and highest value, and the index of its first point.
    pub band: Option<(f64, f64, usize)>,
    /// Change points and accepted shifts, in order.
    pub changes: Vec<Change>,
    /// Other lengths of the history; the one without a place is shown.
    pub spans: Vec<Link>,
    /// The same benchmark elsewhere.
    pub others: Vec<Link>,
    /// The days that are shown, and how to choose others; `None` leaves the choice out.
    pub range: Option<TimeRange>,
    /// Other benchmarks in one drawing with this one, and the choice of more.
    pub beside: BesidePart,
    /// How the reader may accept a shift, if they may.
    pub accept: Option<AcceptForm>,
}

/// Days to choose between, each as `2026-11-21` or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// Where the choice goes.
    pub action: String,
    /// The branch it keeps.
    pub branch: String,
    /// The first day.
    pub since: String,
    /// The last day.
    pub until: String,
}

/// A form that accepts a shift: from a run on, the baseline begins anew.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AcceptForm {
    /// Where it is sent.
    pub action: String,
    /// The branch whose baseline begins anew.
    pub branch: String,
    /// Runs at which a new level may have begun: number, and what to read.
    pub runs: Vec<(i64, String)>,
}

/// A name and a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// The value, as people write it.
    pub value: String,
}

/// One value of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPoint {
    /// In the base unit.
    pub value: f64,
    /// The full hash.
    pub commit: String,
    /// Where the commit is; may be empty.
    pub commit_href: String,
    /// The run's page.
    pub run_href: String,
    /// When the run arrived.
    pub when: When,
    /// Whether it counts.
    pub state: PointState,
}

/// Whether a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointState {
    /// It may be part of a baseline.
    Accepted,
    /// It regressed, and nobody has accepted that.
    Rejected,
}

/// A place where the series went to another level.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Index of the first value of the new level.
    pub index: usize,
    /// Median of the level before.
    pub before: f64,
    /// Median of the level after.
    pub after: f64,
    /// What it was.
    pub kind: ChangeKind,
}

/// What a change was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// A change of the benchmark.
    Own,
    /// Most benchmarks moved at once: likely the machine.
    Machine,
    /// A shift that somebody accepted, with the reason.
    Accepted(String),
}

/// The page.
#[must_use]
pub fn render_benchmark_page(frame: &Frame, page: &BenchmarkPage) -> String {
    let mut out = String::with_capacity(256 * page.points.len() + 4096);
    head(&mut out, page);
    let chart = chart(page);
    out.push_str("<figure>");
    for size in [Size::WIDE, Size::NARROW] {
        out.push_str(&render_full_chart(&chart, size));
    }
    if page.points.len() < 2 {
        out.push_str("<p class=\"faint\">Two runs make a history; there are not that many yet.</p>");
    }
    legend(&mut out, page);
    out.push_str("</figure>\n");
    if let Some(range) = &page.range {
        time_range(&mut out, range);
    }
    render_beside_part(&mut out, &page.beside);
    changes(&mut out, page);
    if let Some(form) = page.accept.as_ref().filter(|form| !form.runs.is_empty()) {
        accept_form(&mut out, form);
    }
    values(&mut out, page);
    if !page.others.is_empty() {
        out.push_str("<h2>Elsewhere</h2>\n<ul class=\"plain\">");
        for other in &page.others {
            out.push_str("<li>");
            render_link(&mut out, other);
            out.push_str("</li>");
        }
        out.push_str("</ul>\n");
    }
    frame.wrap_body(&out)
}

fn head(out: &mut String, page: &BenchmarkPage) {
    let verdict = page.verdict.map_or_else(String::new, |verdict| {
        render_pill(verdict_class(verdict), verdict.as_str())
    });
    let _ = write!(
        out,
        "<h1 class=\"name\"><span>{}</span> {verdict}</h1>\n<p class=\"links\">",
        render_breakable_name(&page.name)
    );
    for place in &page.places {
        render_link(out, place);
    }
    out.push_str("</p>\n");
    if !page.reason.is_empty() {
        let _ = writeln!(out, "<p>{}</p>", escape(&page.reason));
    }
    if page.facts.is_empty() {
        return;
    }
    out.push_str("<dl class=\"facts\">");
    for fact in &page.facts {
        let (name, value) = (escape(&fact.name), escape(&fact.value));
        let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>\n");
}

fn chart(page: &BenchmarkPage) -> Chart {
    let point = |point: &HistoryPoint| Point {
        value: point.value,
        label: format!("{} {}", short_commit(&point.commit), point.when.text),
        href: Some(point.run_href.clone()).filter(|href| !href.is_empty()),
        day: point.when.text.chars().take(10).collect(),
        kind: match point.state {
            PointState::Accepted => PointKind::Past,
            PointState::Rejected => PointKind::Rejected,
        },
    };
    let mark = |change: &Change| Mark {
        index: change.index,
        before: change.before,
        after: change.after,
        machine: change.kind == ChangeKind::Machine,
        commit: page
            .points
            .get(change.index)
            .map_or_else(String::new, |point| short_commit(&point.commit).to_owned()),
    };
    Chart {
        name: page.name.clone(),
        unit: page.unit.clone(),
        direction: page.direction,
        points: page.points.iter().map(point).collect(),
        marks: page
            .changes
            .iter()
            .filter(|change| !matches!(change.kind, ChangeKind::Accepted(_)))
            .map(mark)
            .collect(),
        band: page.band.map(|(low, high, from)| Band { low, high, from }),
        joined: true,
    }
}

fn legend(out: &mut String, page: &BenchmarkPage) {
    let better = match page.direction {
        Direction::SmallerIsBetter => "lower is better",
        Direction::BiggerIsBetter => "higher is better",
    };
    let _ = write!(out, "<figcaption><span>{better}</span>");
    if let Some((low, high, _)) = page.band {
        let (low, high) = (page.unit.format_value(low), page.unit.format_value(high));
        let _ = write!(
            out,
            "<span><i class=\"key band\"></i>baseline {} to {}</span>",
            escape(&low),
            escape(&high)
        );
    }
    if page.changes.iter().any(|change| change.kind == ChangeKind::Own) {
        out.push_str("<span><i class=\"key shift\"></i>change point</span>");
    }
    if page
        .changes
        .iter()
        .any(|change| change.kind == ChangeKind::Machine)
    {
        out.push_str("<span><i class=\"key machine\"></i>the machine changed</span>");
    }
    if page
        .points
        .iter()
        .any(|point| point.state == PointState::Rejected)
    {
        out.push_str("<span><i class=\"key rejected\"></i>not in the baseline</span>");
    }
    if page.spans.len() > 1 {
        out.push_str("<span class=\"tabs\">");
        for span in &page.spans {
            if span.href.is_empty() {
                let _ = write!(out, "<span aria-current=\"true\">{}</span>", escape(&span.text));
            } else {
                render_link(out, span);
            }
        }
        out.push_str("</span>");
    }
    out.push_str("</figcaption>");
}

fn time_range(out: &mut String, range: &TimeRange) {
    let _ = writeln!(
        out,
        "<form class=\"range\" action=\"{}\" method=\"get\"><input type=\"hidden\" name=\"branch\" value=\"{}\"><label>from <input type=\"date\" name=\"since\" value=\"{}\"></label><label>to <input type=\"date\" name=\"until\" value=\"{}\"></label><button>Show</button></form>",
        escape(&range.action),
        escape(&range.branch),
        escape(&range.since),
        escape(&range.until)
    );
}

/// The choice of a run, and why the new level is meant.
fn accept_form(out: &mut String, form: &AcceptForm) {
    let _ = write!(
        out,
        "<details class=\"accept\"><summary>Accept a new level</summary>\n<p class=\"faint\">From the chosen run on, the baseline begins anew. Who accepted it and why is kept.</p>\n<form action=\"{}\" method=\"post\"><input type=\"hidden\" name=\"branch\" value=\"{}\"><label>from <select name=\"from_run\">",
        escape(&form.action),
        escape(&form.branch)
    );
    for (number, text) in &form.runs {
        let _ = write!(out, "<option value=\"{number}\">{}</option>", escape(text));
    }
    out.push_str(
        "</select></label><label>because <input name=\"justification\" required maxlength=\"1000\"></label><button>Accept</button></form></details>\n",
    );
}

fn changes(out: &mut String, page: &BenchmarkPage) {
    if page.changes.is_empty() {
        return;
    }
    out.push_str("<h2>Changes</h2>\n<div class=\"scroll\"><table><thead><tr><th>commit</th><th>when</th><th class=\"number\">before</th><th class=\"number\">after</th><th class=\"number\">cost</th><th>what</th></tr></thead><tbody>\n");
    for change in page.changes.iter().rev() {
        let cost = 100.0 * (page.direction.cost_ratio(change.before, change.after) - 1.0);
        let (class, what) = match &change.kind {
            ChangeKind::Own if cost > 0.0 => ("worse", "got worse".to_owned()),
            ChangeKind::Own => ("better", "got better".to_owned()),
            ChangeKind::Machine => (
                "machine",
                "most benchmarks moved: the machine, or code that all of them share".to_owned(),
            ),
            ChangeKind::Accepted(reason) => ("", format!("accepted: {reason}")),
        };
        let (commit, when) = page.points.get(change.index).map_or_else(
            || (String::new(), String::new()),
            |point| (commit(point), render_time(&point.when)),
        );
        let _ = writeln!(
            out,
            "<tr><td>{commit}</td><td>{when}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number {class}\">{}</td><td>{}</td></tr>",
            escape(&page.unit.format_value(change.before)),
            escape(&page.unit.format_value(change.after)),
            format_percent(cost),
            escape(&what)
        );
    }
    out.push_str("</tbody></table></div>\n");
}

fn values(out: &mut String, page: &BenchmarkPage) {
    if page.points.is_empty() {
        return;
    }
    out.push_str("<h2>Newest values</h2>\n<div class=\"scroll\"><table><thead><tr><th>commit</th><th>when</th><th class=\"number\">value</th><th class=\"number\">to the one before</th><td></td></tr></thead><tbody>\n");
    for (index, point) in page.points.iter().enumerate().rev().take(MAX_LISTED) {
        let before = index.checked_sub(1).and_then(|before| page.points.get(before));
        let step = before.map(|before| 100.0 * (page.direction.cost_ratio(before.value, point.value) - 1.0));
        let state = match point.state {
            PointState::Accepted => "",
            PointState::Rejected => "not in the baseline",
        };
        let run = Link::new("run", point.run_href.clone());
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"number\">{}</td><td class=\"number faint\">{}</td><td><span class=\"worse\">{state}</span> ",
            commit(point),
            render_time(&point.when),
            escape(&page.unit.format_value(point.value)),
            step.map_or_else(String::new, format_percent)
        );
        render_link(out, &run);
        out.push_str("</td></tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

/// The commit, as a link where it is known where it lies.
fn commit(point: &HistoryPoint) -> String {
    let mut out = String::new();
    render_link(
        &mut out,
        &Link::new(short_commit(&point.commit), point.commit_href.clone()),
    );
    out.replacen("<a ", "<a class=\"commit\" ", 1)
        .replacen("<span>", "<span class=\"commit\">", 1)
}
