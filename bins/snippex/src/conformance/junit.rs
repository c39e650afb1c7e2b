//! The answer as JUnit XML, which CI systems show: failures by test, what was left out as skipped.

use std::fmt::Write as _;

use super::report::{Status, SuiteView};

/// The whole document.
pub(crate) fn document(suite: &SuiteView) -> String {
    let mut cases = String::new();
    let (mut failures, mut errors, mut skipped) = (0, 0, 0);
    for test in &suite.tests {
        let (folder, file) = test.name.rsplit_once('/').unwrap_or(("", &test.name));
        let class = match folder {
            "" => suite.engine.name.clone(),
            folder => format!("{}.{}", suite.engine.name, folder.replace('/', ".")),
        };
        let reason = test.reason.as_deref().unwrap_or("");
        let _ = write!(
            cases,
            "    <testcase classname=\"{}\" name=\"{}\"",
            escaped(&class),
            escaped(file)
        );
        let element = match test.status {
            Status::Passed => None,
            Status::Failed => {
                failures += 1;
                Some(("failure", reason.to_owned()))
            }
            Status::UnexpectedPass => {
                failures += 1;
                Some(("failure", "it passed, but a list says that it fails".to_owned()))
            }
            Status::Broken => {
                errors += 1;
                Some(("error", reason.to_owned()))
            }
            Status::KnownFailure => {
                skipped += 1;
                Some(("skipped", format!("known failure: {reason}")))
            }
            Status::Unsupported | Status::NotRun => {
                skipped += 1;
                Some(("skipped", reason.to_owned()))
            }
        };
        match element {
            None => cases.push_str("/>\n"),
            Some((name, message)) => {
                let _ = writeln!(
                    cases,
                    ">\n      <{name} message=\"{}\"/>\n    </testcase>",
                    escaped(&message)
                );
            }
        }
    }
    let totals = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{:.3}\"",
        suite.total, suite.elapsed_s
    );
    let engine = escaped(&format!("{} {}", suite.engine.name, suite.engine.version));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"snippex conformance\" {totals}>\n  \
         <testsuite name=\"{engine}\" {totals}>\n{cases}  </testsuite>\n</testsuites>\n"
    )
}

/// As the value of an attribute. Characters that XML does not allow become a question mark.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' | '\r' => escaped.push(' '),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('?'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_or_reason_breaks_the_document() {
        assert_eq!(
            escaped("<a href=\"x&y\">\u{1}\n"),
            "&lt;a href=&quot;x&amp;y&quot;&gt;? "
        );
    }
}
