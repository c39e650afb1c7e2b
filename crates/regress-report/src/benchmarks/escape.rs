//! Untrusted text in GitHub's workflow commands: names of benchmarks come from pull requests of strangers.

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
        assert_eq!(workflow_command("a%\n::error::x", false), "a%25%0A::error::x");
        assert_eq!(workflow_command("a:b,c", true), "a%3Ab%2Cc");
    }
}
