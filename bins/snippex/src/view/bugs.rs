//! Bugs for people and programs.

use std::collections::BTreeMap;

use cli_kit::Table;
use cli_kit::style::{BAD, FAINT, GOOD, HEADING, UNSURE};
use serde::Serialize;
use snippex_core::ruling::{Ruling, Side};
use snippex_core::signature::Signature;

use super::{grouped, several};

/// An engine that a bug shows in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SeenOn {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) configuration: Vec<String>,
    pub(crate) runs: u64,
}

/// Why a bug is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct KnownView {
    pub(crate) issue: String,
    pub(crate) note: String,
}

/// A bug for programs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BugView {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    /// Mnemonic and operand kinds of the instruction at fault.
    pub(crate) instruction: String,
    pub(crate) encoding: String,
    pub(crate) fields: Vec<String>,
    /// Diverging runs and blocks.
    pub(crate) runs: u64,
    pub(crate) blocks: u64,
    /// Milliseconds since the Unix epoch.
    pub(crate) first_seen: i64,
    pub(crate) engines: Vec<SeenOn>,
    pub(crate) known: Option<KnownView>,
    /// Whether there is a reduced case, and in how many fresh processes it showed.
    pub(crate) reduced: bool,
    pub(crate) confirmations: u32,
    /// The instructions of the case.
    pub(crate) example: Vec<String>,
    /// Content address of the case.
    pub(crate) case: Option<String>,
    /// The sentence of the manual that decides, and who is right by it.
    pub(crate) ruling: Option<&'static Ruling>,
    pub(crate) right: Option<Side>,
    #[serde(skip)]
    pub(crate) signature: Signature,
}

impl BugView {
    fn is_flaky(&self) -> bool {
        self.reduced && self.confirmations < snippex_exec::reduce::CONFIRMATIONS
    }

    /// What is not certain about it.
    fn remark(&self) -> &'static str {
        match (self.reduced, self.is_flaky()) {
            (false, _) => "not reduced",
            (true, true) => "flaky",
            _ => "",
        }
    }
}

/// Bugs that one sentence of the manual decides, or one alone.
#[derive(Debug)]
struct Line<'b> {
    title: String,
    bugs: Vec<&'b BugView>,
}

impl Line<'_> {
    fn runs(&self) -> u64 {
        self.bugs.iter().map(|bug| bug.runs).sum()
    }

    fn blocks(&self) -> u64 {
        self.bugs.iter().map(|bug| bug.blocks).sum()
    }
}

/// The list, at most `limit` lines of it (0 for all), known bugs apart. `each` gives every signature a line.
pub(crate) fn list(bugs: &[BugView], each: bool, limit: usize, width: Option<u16>) -> String {
    let (known, new): (Vec<&BugView>, Vec<&BugView>) = bugs.iter().partition(|bug| bug.known.is_some());
    let mut text = String::new();
    if !new.is_empty() {
        text += &table(&lines(&new, each), limit, width);
    }
    if !known.is_empty() {
        let gap = if text.is_empty() { "" } else { "\n\n" };
        text += &format!("{gap}{HEADING}Known{HEADING:#}\n");
        let mut table = Table::new(Vec::<String>::new()).right(3).fit(width);
        for bug in &known {
            let (issue, note) = bug
                .known
                .as_ref()
                .map_or(("", ""), |known| (&known.issue, &known.note));
            table.row([
                bug.id.clone(),
                bug.signature.to_string(),
                format!("{FAINT}{issue} {note}{FAINT:#}"),
                grouped(bug.runs),
            ]);
        }
        text += &super::untitled(&table);
    }
    text
}

fn lines<'b>(bugs: &[&'b BugView], each: bool) -> Vec<Line<'b>> {
    let mut groups: BTreeMap<String, Line<'b>> = BTreeMap::new();
    for bug in bugs {
        let (key, title) = match bug.ruling.filter(|_| !each) {
            Some(ruling) => (ruling.id.to_owned(), ruling.title.to_owned()),
            None => (bug.id.clone(), bug.signature.to_string()),
        };
        let line = groups.entry(key).or_insert_with(|| Line {
            title,
            bugs: Vec::new(),
        });
        line.bugs.push(bug);
    }
    let mut lines: Vec<Line<'b>> = groups.into_values().collect();
    for line in &mut lines {
        // The example is the most frequent one that is reduced and certain.
        line.bugs.sort_by_key(|bug| {
            (
                !bug.reduced,
                bug.is_flaky(),
                std::cmp::Reverse((bug.blocks, bug.runs)),
            )
        });
    }
    lines.sort_by_key(|line| std::cmp::Reverse((line.blocks(), line.runs())));
    lines
}

fn table(lines: &[Line<'_>], limit: usize, width: Option<u16>) -> String {
    let mut table = Table::new(["bug", "what is wrong", "forms", "blocks", "runs", "example"])
        .right(2)
        .right(3)
        .right(4)
        .fit(width);
    let shown = if limit == 0 { lines.len() } else { limit };
    for line in lines.iter().take(shown) {
        let example = line.bugs[0];
        let remark = match example.remark() {
            "" => String::new(),
            remark => format!(" {UNSURE}({remark}){UNSURE:#}"),
        };
        table.row([
            example.id.clone(),
            format!("{BAD}{}{BAD:#}{remark}", line.title),
            grouped(line.bugs.len() as u64),
            grouped(line.blocks()),
            grouped(line.runs()),
            example.example.join("; "),
        ]);
    }
    let mut text = table.to_string();
    if lines.len() > shown {
        let more = grouped((lines.len() - shown) as u64);
        text += &format!("\n {FAINT}... and {more} more: --limit 0 lists all{FAINT:#}");
    }
    text
}

/// How many there are, in words.
pub(crate) fn count(bugs: &[BugView]) -> String {
    let new: Vec<&BugView> = bugs.iter().filter(|bug| bug.known.is_none()).collect();
    let mut text = several(lines(&new, false).len() as u64, "bug");
    if !new.is_empty() {
        text += &format!(" in {}", several(new.len() as u64, "instruction form"));
    }
    let known = bugs.len() - new.len();
    if known > 0 {
        text += &format!(", {known} known");
    }
    text
}

/// One bug in full, but its case.
pub(crate) fn full(bug: &BugView, differences: &[String]) -> String {
    let mut text = format!("{HEADING}{}{HEADING:#}  {}\n", bug.id, bug.signature);
    let mut row = |name: &str, value: &str| text += &format!("  {FAINT}{name:<12}{FAINT:#} {value}\n");
    row("encoding", &bug.encoding);
    row(
        "met",
        &format!(
            "in {} of {}",
            several(bug.runs, "run"),
            several(bug.blocks, "block")
        ),
    );
    for engine in &bug.engines {
        row("engine", &format!("{} {}", engine.name, engine.version));
        row("", &format!("{FAINT}{}{FAINT:#}", engine.configuration.join(" ")));
    }
    if let Some(known) = &bug.known {
        row("known", &format!("{} {}", known.issue, known.note));
    }
    let certainty = match bug.remark() {
        "" => format!("{GOOD}confirmed{GOOD:#} in {} fresh processes", bug.confirmations),
        "flaky" => format!(
            "{UNSURE}flaky{UNSURE:#}: it showed in {} of {} fresh processes",
            bug.confirmations,
            snippex_exec::reduce::CONFIRMATIONS
        ),
        other => format!("{UNSURE}{other}{UNSURE:#}: the case is as it was met"),
    };
    row("", &certainty);
    for difference in differences {
        row("wrong", difference);
    }
    match (bug.ruling, bug.right) {
        (Some(ruling), Some(side)) => {
            let side = match side {
                Side::Reference => "the reference is right",
                Side::Tested => "the tested engine is right",
            };
            row("manual", &format!("{side}: {}", ruling.what));
            row("", &format!("{FAINT}{}{FAINT:#}", ruling.reference));
        }
        _ => row(
            "manual",
            "no rule that snippex knows decides; the reference is taken as right",
        ),
    }
    text
}
