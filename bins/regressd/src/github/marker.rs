//! The hidden first line by which our comments and issues are found again.

/// An HTML comment that nobody sees. What is not plain in `parts` is left out: it must not end the comment.
#[must_use]
pub fn marker(kind: &str, parts: &[&str]) -> String {
    let mut text = format!("<!-- regressd:{kind}");
    for part in parts {
        text.push(':');
        text.extend(
            part.chars()
                .filter(|c| c.is_ascii_alphanumeric() || "_./".contains(*c))
                .take(100),
        );
    }
    text.push_str(" -->");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_the_marker() {
        assert_eq!(
            marker("comment", &["x --> <b>", "main"]),
            "<!-- regressd:comment:xb:main -->"
        );
    }
}
