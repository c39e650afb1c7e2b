//! A page with the pull requests and what was said in them, for people who try the service out.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::State as Extract;
use axum::response::Html;
use axum::routing::get;

use super::server::Shared;
use super::state::FakeRepository;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;\
color-scheme:light dark}article{border:1px solid #8886;border-radius:.5rem;padding:0 1rem 1rem;margin:1rem 0;\
overflow-x:auto}table{border-collapse:collapse}td,th{border:1px solid #8886;padding:.2rem .6rem;text-align:left}\
blockquote{border-left:.25rem solid #8886;margin:0;padding-left:1rem}.failure{color:#c33}.success{color:#383}";

pub(super) fn state_page_routes() -> Router<Shared> {
    Router::new().route("/", get(page))
}

async fn page(Extract(shared): Extract<Shared>) -> Html<String> {
    let mut out = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>Fake GitHub</title><style>{STYLE}</style><h1>Fake GitHub</h1>"
    );
    let state = shared.lock();
    if state.repositories.is_empty() {
        out.push_str("<p>No repository yet.");
    }
    for (name, repository) in &state.repositories {
        let _ = write!(out, "<h2>{}</h2>", escape(name));
        show(&mut out, repository);
    }
    Html(out)
}

fn show(out: &mut String, repository: &FakeRepository) {
    for pull in repository.pulls.values() {
        let _ = write!(
            out,
            "<h3>Pull request #{} at {}</h3>",
            pull.number,
            escape(pull.head.get(..10).unwrap_or(""))
        );
        for check in repository.checks.values().filter(|check| check.head == pull.head) {
            let end = check.conclusion.as_deref().unwrap_or(&check.status);
            let (name, title) = (escape(&check.name), escape(&check.title));
            let _ = write!(
                out,
                "<p>Check <b>{name}</b>: <b class={0}>{0}</b>, {title}</p>",
                escape(end)
            );
        }
        for comment in repository
            .comments
            .values()
            .filter(|comment| comment.issue == pull.number)
        {
            let _ = write!(out, "<article>{}</article>", markdown(&comment.body));
        }
    }
    for issue in repository.issues.values() {
        let (title, state) = (escape(&issue.title), escape(&issue.state));
        let _ = write!(
            out,
            "<h3>Issue #{} ({state}): {title}</h3><article>",
            issue.number
        );
        let _ = write!(out, "{}</article>", markdown(&issue.body));
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// As much Markdown as our comments use: headings, tables, lists, quotes, and the three tags that GitHub leaves in.
fn markdown(text: &str) -> String {
    let mut out = String::new();
    let mut in_table = false;
    for line in text.lines().filter(|line| !line.starts_with("<!--")) {
        let is_row = line.starts_with("| ");
        if in_table && !is_row {
            out.push_str("</table>");
        }
        if is_row && !in_table {
            out.push_str("<table>");
        }
        in_table = is_row;
        let line = line.trim_end();
        if is_row {
            row(&mut out, line);
        } else if let Some(heading) = line.strip_prefix("### ") {
            let _ = write!(out, "<h4>{}</h4>", inline(heading));
        } else if let Some(quote) = line.strip_prefix("> ") {
            let _ = write!(out, "<blockquote>{}</blockquote>", inline(quote));
        } else if let Some(item) = line.strip_prefix("- ") {
            let _ = write!(out, "<li>{}</li>", inline(item));
        } else if line.starts_with("<details>") || line == "</details>" {
            out.push_str(&inline(line));
        } else if !line.is_empty() {
            let _ = write!(out, "<p>{}</p>", inline(line));
        }
    }
    if in_table {
        out.push_str("</table>");
    }
    out
}

fn row(out: &mut String, line: &str) {
    // A bar after a backslash is text.
    let cells = line.replace("\\|", "\u{1}");
    let cells: Vec<&str> = cells.trim_matches('|').split('|').map(str::trim).collect();
    if cells
        .iter()
        .all(|cell| !cell.is_empty() && cell.bytes().all(|byte| b"-:".contains(&byte)))
    {
        return;
    }
    out.push_str("<tr>");
    for cell in cells {
        let _ = write!(out, "<td>{}</td>", inline(&cell.replace('\u{1}', "\\|")));
    }
    out.push_str("</tr>");
}

/// Text within a line: escaped, except for entities, the tags above and backslashes.
fn inline(text: &str) -> String {
    let mut out = escape(text);
    for entity in ["lt;", "gt;", "amp;", "#58;"] {
        out = out.replace(&format!("&amp;{entity}"), &format!("&{entity}"));
    }
    for tag in ["details", "summary", "sub"] {
        out = out.replace(&format!("&lt;{tag}&gt;"), &format!("<{tag}>"));
        out = out.replace(&format!("&lt;/{tag}&gt;"), &format!("</{tag}>"));
    }
    let mut plain = String::with_capacity(out.len());
    let mut chars = out.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek().is_some_and(char::is_ascii_punctuation) => plain.extend(chars.next()),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_comments_are_shown_and_nothing_else_is_let_through() {
        let shown =
            markdown("<!-- m -->\n### Hi\n| a\\|b | c |\n| --- | ---: |\n| x\\_y | <b> |\n\n<sub>s</sub>");
        assert_eq!(
            shown,
            "<h4>Hi</h4><table><tr><td>a|b</td><td>c</td></tr><tr><td>x_y</td><td>&lt;b&gt;</td></tr></table>\
             <p><sub>s</sub></p>"
        );
    }
}
