//! The hidden first line by which our comments and issues are found again.

use std::fmt::Write as _;

/// Longest part; branch names may have so many.
const MAX_PART_BYTES: usize = 255;

/// An HTML comment that nobody sees: `<!-- program:kind:part -->`. What is not plain in `parts` is written as its bytes, so that it can neither end
/// the comment nor look like another part.
#[must_use]
pub fn hidden_marker(program: &str, kind: &str, parts: &[&str]) -> String {
    let mut text = format!("<!-- {program}:{kind}");
    for part in parts {
        text.push(':');
        for byte in part.bytes().take(MAX_PART_BYTES) {
            match byte {
                b'_' | b'.' | b'/' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => text.push(char::from(byte)),
                other => {
                    let _ = write!(text, "%{other:02x}");
                }
            }
        }
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
            hidden_marker("regressd", "issue", &["x --> <b>", "a-b"]),
            "<!-- regressd:issue:x%20%2d%2d%3e%20%3cb%3e:a%2db -->"
        );
    }
}
