//! A page that says one thing: nothing is here, sign in, try again.

use std::fmt::Write as _;

use super::frame::{Frame, Link, render_link};
use report_kit::escape::escape_html as escape;

/// The view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessagePage {
    /// What is the matter.
    pub heading: String,
    /// What to do about it, a paragraph each.
    pub paragraphs: Vec<String>,
    /// Commands to copy, if they help.
    pub commands: Vec<String>,
    /// Where to go on.
    pub links: Vec<Link>,
    /// A form for a token, if signing in helps.
    pub form: Option<TokenForm>,
}

/// A form that sends a token, or with no token asked for only a button.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenForm {
    /// Where it is sent.
    pub action: String,
    /// The page to come back to.
    pub next: String,
    /// Whether a token is asked for.
    pub asks: bool,
    /// What is on the button.
    pub button: String,
}

/// The page.
#[must_use]
pub fn render_message_page(frame: &Frame, page: &MessagePage) -> String {
    let mut out = String::new();
    render_message_body(&mut out, page);
    frame.wrap_body(&out)
}

/// The message alone, for pages that have nothing to show yet.
pub(super) fn render_message_body(out: &mut String, page: &MessagePage) {
    let _ = write!(
        out,
        "<section class=\"message\"><h1>{}</h1>",
        escape(&page.heading)
    );
    for paragraph in &page.paragraphs {
        let _ = write!(out, "<p>{}</p>", escape(paragraph));
    }
    if !page.commands.is_empty() {
        let _ = write!(out, "<pre>{}</pre>", escape(&page.commands.join("\n")));
    }
    if let Some(form) = &page.form {
        token_form(out, form);
    }
    if !page.links.is_empty() {
        out.push_str("<p class=\"links\">");
        for way in &page.links {
            render_link(out, way);
        }
        out.push_str("</p>");
    }
    out.push_str("</section>\n");
}

fn token_form(out: &mut String, form: &TokenForm) {
    let asks = if form.asks {
        "<input type=\"password\" name=\"token\" aria-label=\"Token\" placeholder=\"Token\" autocomplete=\"current-password\" required maxlength=\"4096\">"
    } else {
        ""
    };
    let _ = write!(
        out,
        "<form class=\"token\" action=\"{}\" method=\"post\"><input type=\"hidden\" name=\"next\" value=\"{}\">{asks}<button>{}</button></form>",
        escape(&form.action),
        escape(&form.next),
        escape(&form.button)
    );
}
