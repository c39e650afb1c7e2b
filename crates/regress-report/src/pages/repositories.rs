//! The first page: the repositories a reader may see.

use std::fmt::Write as _;

use super::frame::{Frame, When, render_breakable_name, render_pill, render_time};
use super::message::{self, MessagePage};
use crate::benchmarks::Outcome;
use crate::benchmarks::words::outcome_heading;
use report_kit::escape::escape_html as escape;

/// The view.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RepositoriesPage {
    /// The repositories, in the order they are shown.
    pub repositories: Vec<RepositoryCard>,
    /// Where the next ones are.
    pub next: Option<String>,
    /// What to say when there are none.
    pub empty: MessagePage,
}

/// A repository at a glance.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RepositoryCard {
    /// `owner/name`.
    pub name: String,
    /// Its page.
    pub href: String,
    /// The outcome of the newest run on its target branch.
    pub outcome: Option<Outcome>,
    /// That in words.
    pub summary: String,
    /// When its newest run arrived.
    pub updated: Option<When>,
}

/// The page.
#[must_use]
pub fn render_repositories_page(frame: &Frame, page: &RepositoriesPage) -> String {
    let mut out = String::new();
    if page.repositories.is_empty() {
        message::render_message_body(&mut out, &page.empty);
        return frame.wrap_body(&out);
    }
    out.push_str("<h1>Repositories</h1>\n<ul class=\"cards\">\n");
    for card in &page.repositories {
        one(&mut out, card);
    }
    out.push_str("</ul>\n");
    if let Some(next) = &page.next {
        let _ = write!(
            out,
            "<p class=\"links\"><a href=\"{}\">More repositories</a></p>",
            escape(next)
        );
    }
    frame.wrap_body(&out)
}

fn one(out: &mut String, card: &RepositoryCard) {
    let pill = card.outcome.map_or_else(String::new, |outcome| {
        render_pill(outcome.as_str(), outcome_heading(outcome))
    });
    let updated = card.updated.as_ref().map_or_else(
        || "no runs yet".to_owned(),
        |when| format!("last run {}", render_time(when)),
    );
    let _ = writeln!(
        out,
        "<li><a class=\"card\" href=\"{}\"><strong class=\"name\">{}</strong>{pill}<span class=\"faint\">{}</span><span class=\"faint end\">{updated}</span></a></li>",
        escape(&card.href),
        render_breakable_name(&card.name),
        escape(&card.summary),
    );
}
