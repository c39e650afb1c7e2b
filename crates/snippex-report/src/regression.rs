//! What a check says against a baseline: for people, for programs, and as annotations of GitHub's workflows.

mod junit;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cli_kit::Table;
use cli_kit::style::{BAD, FAINT, GOOD, UNSURE};
use serde::Serialize;

pub use junit::render_regression_junit;

use crate::{format_count, format_number};

/// Changes of a kind that are shown to people.
const SHOWN: usize = 25;

/// How a block differs from what was expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeName {
    /// It passed and fails now.
    Regressed,
    /// It fails by other causes.
    OtherCause,
    /// It is new and brings a new bug.
    NewBug,
    /// It failed and passes now.
    Fixed,
    /// It is worse, and that is accepted.
    Accepted,
}

impl ChangeName {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regressed => "regressed",
            Self::OtherCause => "other-cause",
            Self::NewBug => "new-bug",
            Self::Fixed => "fixed",
            Self::Accepted => "accepted",
        }
    }
}

/// A block that differs.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeView {
    /// How.
    pub change: ChangeName,
    /// The block by its bytes, as in the baseline.
    pub key: String,
    /// Its number in the database.
    pub block: i64,
    /// Name of a binary that has it.
    pub binary: String,
    /// Address in the file, as `0x401000`.
    pub address: String,
    /// Causes that were recorded.
    pub before: BTreeSet<String>,
    /// Causes that show now.
    pub now: BTreeSet<String>,
    /// Approvals that are over.
    pub expired: Vec<String>,
}

impl ChangeView {
    /// What happened, in a sentence without its end.
    #[must_use]
    pub fn describe_change(&self) -> String {
        let list = |causes: &BTreeSet<String>| {
            let words: Vec<&str> = causes.iter().map(String::as_str).collect();
            if words.is_empty() {
                "an unknown cause".to_owned()
            } else {
                words.join(", ")
            }
        };
        let mut text = match self.change {
            ChangeName::Regressed => format!("passed before and fails now by {}", list(&self.now)),
            ChangeName::OtherCause => format!(
                "failed by {} and fails by {} now",
                list(&self.before),
                list(&self.now)
            ),
            ChangeName::NewBug => format!(
                "is new and fails by {}, which no block did before",
                list(&self.now)
            ),
            ChangeName::Fixed => format!("failed by {} and passes now", list(&self.before)),
            ChangeName::Accepted => format!("fails by {}, which is accepted", list(&self.now)),
        };
        if !self.expired.is_empty() {
            text += &format!(" (it was accepted; over: {})", self.expired.join(", "));
        }
        text
    }
}

/// A check against a baseline.
#[derive(Clone, Debug, Serialize)]
pub struct RegressionView {
    /// What the verdicts are of, in words.
    pub section: String,
    /// Number of the run in the database.
    pub run: i64,
    /// Whether nothing is worse than it should be, nor better without being allowed to.
    pub passed: bool,
    /// Blocks that differ, the worst first.
    pub changes: Vec<ChangeView>,
    /// Blocks that are as expected.
    pub stable: u64,
    /// Blocks of which nothing is recorded.
    pub new: u64,
    /// Blocks that are recorded and were not met.
    pub gone: u64,
    /// Approvals that nothing needs.
    pub idle_approvals: Vec<String>,
}

/// The comparison for people.
#[must_use]
pub fn render_regression(view: &RegressionView, width: Option<u16>) -> String {
    let mut text = String::new();
    let mut table = Table::new(["change", "key", "block", "binary", "address", "what"])
        .align_right(2)
        .fit(width);
    for change in view.changes.iter().take(SHOWN) {
        let style = match change.change {
            ChangeName::Regressed | ChangeName::OtherCause | ChangeName::NewBug => BAD,
            ChangeName::Fixed => GOOD,
            ChangeName::Accepted => UNSURE,
        };
        table.add_row([
            format!("{style}{}{style:#}", change.change.as_str()),
            change.key.clone(),
            change.block.to_string(),
            change.binary.clone(),
            change.address.clone(),
            change.describe_change(),
        ]);
    }
    if !view.changes.is_empty() {
        writeln!(text, "{table}").expect("writing to a string cannot fail");
    }
    if view.changes.len() > SHOWN {
        writeln!(
            text,
            " ... and {} more; --format json has all",
            view.changes.len() - SHOWN
        )
        .expect("writing to a string cannot fail");
    }
    for idle in &view.idle_approvals {
        writeln!(text, "{FAINT}nothing needs the approval of {idle}{FAINT:#}")
            .expect("writing to a string cannot fail");
    }
    let (style, verdict) = if view.passed {
        (GOOD, "as expected")
    } else {
        (BAD, "not as expected")
    };
    text + &format!(
        "{style}{verdict}{style:#}: {}; {} stable, {} new, {} gone ({})\n",
        format_count(view.changes.len() as u64, "change"),
        format_number(view.stable),
        format_number(view.new),
        format_number(view.gone),
        view.section
    )
}

/// Annotations of a workflow of GitHub, a line each: <https://docs.github.com/actions/reference/workflow-commands>.
#[must_use]
pub fn render_github_annotations(view: &RegressionView) -> String {
    let mut text = String::new();
    for change in &view.changes {
        let level = match change.change {
            ChangeName::Regressed | ChangeName::OtherCause | ChangeName::NewBug => "error",
            ChangeName::Fixed => "warning",
            ChangeName::Accepted => "notice",
        };
        let title = property(&format!("{}: {}", view.section, change.change.as_str()));
        let message = format!(
            "block {} at {} of {} {}",
            change.key,
            change.address,
            change.binary,
            change.describe_change()
        );
        writeln!(text, "::{level} title={title}::{}", data(&message))
            .expect("writing to a string cannot fail");
    }
    text
}

/// Text behind the second pair of colons.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_escaped() {
        let change = ChangeView {
            change: ChangeName::Regressed,
            key: "aa".to_owned(),
            block: 1,
            binary: "50%\nof".to_owned(),
            address: "0x1".to_owned(),
            before: BTreeSet::new(),
            now: BTreeSet::from(["x.flags".to_owned()]),
            expired: vec!["x.flags".to_owned()],
        };
        let view = RegressionView {
            section: "a, b".to_owned(),
            run: 1,
            passed: false,
            changes: vec![change],
            stable: 0,
            new: 0,
            gone: 0,
            idle_approvals: Vec::new(),
        };
        assert_eq!(
            render_github_annotations(&view),
            "::error title=a%2C b%3A regressed::block aa at 0x1 of 50%25%0Aof passed before and fails now by x.flags (it was \
             accepted; over: x.flags)\n"
        );
    }
}
