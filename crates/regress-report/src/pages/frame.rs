//! What all pages share: head, the way back, foot.

use std::fmt::Write as _;

use report_kit::escape::escape_html as escape;

/// What surrounds a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// The title of the window.
    pub title: String,
    /// Where the style sheet is.
    pub style: String,
    /// From the first page to this one; the last is this page.
    pub path: Vec<Link>,
    /// What stands in the foot: documents, the interface, the version.
    pub foot: Vec<Link>,
}

/// A text that leads somewhere; without a place it is only a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// What is read.
    pub text: String,
    /// Where it leads.
    pub href: String,
}

impl Link {
    /// A link.
    #[must_use]
    pub fn new(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            href: href.into(),
        }
    }
}

/// A moment, for people and for programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// `2026-11-21 14:02`.
    pub text: String,
    /// RFC 3339.
    pub iso: String,
}

impl Frame {
    /// The document around `body`.
    pub(super) fn wrap_body(&self, body: &str) -> String {
        let mut out = String::with_capacity(body.len() + 2048);
        let _ = write!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title><link rel=\"stylesheet\" href=\"{}\"><link rel=\"icon\" href=\"/icon.svg\"></head>\n\
             <body class=\"site\"><header><nav aria-label=\"Path\">",
            escape(&self.title),
            escape(&self.style)
        );
        for (index, step) in self.path.iter().enumerate() {
            let brand = if index == 0 { " class=\"brand\"" } else { "" };
            let last = index + 1 == self.path.len();
            if index > 0 {
                out.push_str("<span class=\"sep\">/</span>");
            }
            if last && index > 0 {
                let _ = write!(out, "<span aria-current=\"page\">{}</span>", escape(&step.text));
            } else {
                let _ = write!(
                    out,
                    "<a{brand} href=\"{}\">{}</a>",
                    escape(&step.href),
                    escape(&step.text)
                );
            }
        }
        out.push_str("</nav></header>\n<main>\n");
        out.push_str(body);
        out.push_str("</main>\n<footer>");
        for part in &self.foot {
            render_link(&mut out, part);
        }
        out.push_str("</footer></body></html>\n");
        out
    }
}

/// A link, or its text where it leads nowhere.
pub(super) fn render_link(out: &mut String, link: &Link) {
    let text = escape(&link.text);
    let _ = if link.href.is_empty() {
        write!(out, "<span>{text}</span>")
    } else {
        write!(out, "<a href=\"{}\">{text}</a>", escape(&link.href))
    };
}

pub(super) fn render_time(when: &When) -> String {
    format!(
        "<time datetime=\"{}\">{}</time>",
        escape(&when.iso),
        escape(&when.text)
    )
}

pub(super) fn render_pill(class: &str, word: &str) -> String {
    format!("<span class=\"pill {class}\">{}</span>", escape(word))
}

/// A name that may be broken after its separators, where a line has no room for all of it.
pub(super) fn render_breakable_name(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    for part in text.split_inclusive(['/', '_', ':', '.', '-', ',', '[', '(']) {
        out.push_str(&escape(part));
        out.push_str("<wbr>");
    }
    out
}
