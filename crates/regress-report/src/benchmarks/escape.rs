//! Untrusted text in other languages: names of benchmarks come from pull requests of strangers.

/// Text for HTML and SVG, also within quoted attributes.
pub(crate) fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Not allowed in XML 1.0 in any form.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

/// Text for a cell of a Markdown table on GitHub: no markup, no mention of a person, no link.
///
/// GitHub looks for mentions and issue numbers in the text that is left when Markdown and entities are resolved, so
/// that neither a backslash nor `&#64;` keeps it from finding them. An invisible space after the sign does.
pub(super) fn escape_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '@' => out.push_str("@\u{200b}"),
            '#' => out.push_str("\\#\u{200b}"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            ':' => out.push_str("&#58;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A value of a GitHub workflow command, and with `property` a value of one of its properties.
pub(super) fn workflow_command(text: &str, property: bool) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    if property {
        text.replace(':', "%3A").replace(',', "%2C")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        assert_eq!(
            escape_html("<b a='\"'>&\u{1}"),
            "&lt;b a=&#39;&quot;&#39;&gt;&amp;\u{fffd}"
        );
        assert_eq!(
            escape_markdown("a|b @me #1 [x](http://y)\n<i>"),
            "a\\|b @\u{200b}me \\#\u{200b}1 \\[x\\](http&#58;//y) &lt;i&gt;"
        );
        assert_eq!(workflow_command("a%\n::error::x", false), "a%25%0A::error::x");
        assert_eq!(workflow_command("a:b,c", true), "a%3Ab%2Cc");
    }
}
