//! What a format takes as markup, taken out of text.

use std::fmt::Write as _;

/// Text for HTML and SVG, also within quoted attributes.
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\r' | '\t' => escaped.push(letter),
            // Not allowed in XML 1.0 in any form; a reader should see that there was something.
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Text for GitHub's Markdown, in a paragraph or a cell of a table: nothing of it is markup, mentions nobody and links
/// nowhere. Line breaks become spaces.
#[must_use]
pub fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        match letter {
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            // Within a word it is no emphasis.
            '_' if !before.is_alphanumeric() => escaped.push_str("\\_"),
            // Lists begin so.
            '+' | '-' if before == ' ' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // Mentions notify somebody, and numbers of issues link to them. GitHub looks for both in the text that is left when
            // Markdown and entities are resolved, so neither a backslash nor `&#64;` keeps it from finding them; a character of no
            // width does. It keeps headings from being some, too.
            '@' | '#' => {
                escaped.push(letter);
                escaped.push('\u{200b}');
            }
            // So that neither `https://` nor `www.` becomes a link.
            ':' if text[at..].starts_with("://") => escaped.push_str(":\u{200b}"),
            '\n' | '\r' | '\t' => escaped.push(' '),
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(letter),
        }
        before = if matches!(letter, '\n' | '\r' | '\t') {
            ' '
        } else {
            letter
        };
    }
    escaped.replace("www.", "www\u{200b}.")
}

/// Text as code in a line of Markdown: whatever it holds, it stays code. In a cell of a table bars have to be escaped besides.
#[must_use]
pub fn code_span(text: &str) -> String {
    let text = text.replace(['\n', '\r', '\t'], " ");
    let fence = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Text as a block of code in Markdown, whatever fences it holds.
#[must_use]
pub fn code_block(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let mut block = String::new();
    let _ = write!(
        block,
        "{fence}{language}\n{}\n{fence}",
        text.trim_end_matches('\n')
    );
    block
}

/// The most backticks in a row.
fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`')
        .map(str::len)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_of_html_is_text() {
        assert_eq!(
            escape_html("<a href='x' title=\"y\">&\0"),
            "&lt;a href=&#39;x&#39; title=&quot;y&quot;&gt;&amp;\u{fffd}"
        );
    }

    #[test]
    fn nothing_of_a_name_is_markdown_or_notifies_anybody() {
        assert_eq!(escape_markdown("a|b_c*d _e_"), "a\\|b_c\\*d \\_e_");
        assert_eq!(escape_markdown("@user"), "@\u{200b}user");
        assert_eq!(escape_markdown("# x\n- y"), "#\u{200b} x \\- y");
        assert_eq!(escape_markdown("see #12"), "see #\u{200b}12");
        assert_eq!(escape_markdown("<img>"), "&lt;img&gt;");
        assert_eq!(
            escape_markdown("https://a www.b"),
            "https:\u{200b}//a www\u{200b}.b"
        );
        assert_eq!(escape_markdown("rcx: 1"), "rcx: 1");
    }

    #[test]
    fn code_stays_code() {
        assert_eq!(code_span("mov eax, 1"), "`mov eax, 1`");
        assert_eq!(code_span("a`b"), "``a`b``");
        assert_eq!(code_span("`"), "`` ` ``");
        assert_eq!(code_block("text", "x\n```\ny\n"), "````text\nx\n```\ny\n````");
    }
}
