//! Bugs for people and programs.

mod full;

use cli_kit::Table;
use cli_kit::style::{BAD, FAINT, GOOD, HEADING, UNSURE};
use serde::Serialize;
use snippex_triage::cause::CauseId;
use snippex_triage::pattern::BugPattern;
use snippex_triage::reduce::CONFIRMATIONS;
use snippex_triage::signature::{Signature, SignatureId};
use std::collections::{BTreeMap, BTreeSet};

use crate::{format_count, format_number};

pub use full::{full_signature, render_bug_signatures, render_full_bug};

/// Columns when the output is no terminal.
const WIDTH: u16 = 100;
/// Longest text about a start state in a list; the rest stands in `bugs show`.
const LONGEST_STATE: usize = 160;

/// An engine that a bug shows in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeenOn {
    /// What the user calls it.
    pub name: String,
    /// As it says itself.
    pub version: String,
    /// What it was started with.
    pub configuration: Vec<String>,
    /// Runs that diverged by it.
    pub runs: u64,
}

/// Why a bug is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownView {
    /// Where it is reported.
    pub issue: String,
    /// What else was said.
    pub note: String,
    /// Milliseconds since the Unix epoch.
    pub added: i64,
}

/// A case that shows a bug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExampleView {
    /// The signature that it shows.
    pub signature: SignatureId,
    /// Its instructions.
    pub code: Vec<String>,
    /// Their bytes, which tell encodings and prefixes.
    pub bytes: String,
    /// What it starts with, where that is not zero or as after reset.
    pub state: Vec<String>,
    /// Its content address.
    pub case: String,
    /// Whether it was reduced.
    pub reduced: bool,
    /// In how many fresh processes the example showed.
    pub confirmations: u32,
}

/// A bug for programs.
#[derive(Clone, Debug, Serialize)]
pub struct BugView {
    /// Its name.
    pub id: CauseId,
    /// What is wrong, in words.
    pub title: String,
    /// Diverging runs.
    pub runs: u64,
    /// In how many ways it shows: forms of instructions with the fields that differ.
    pub signatures: usize,
    /// Forms of instructions that show it.
    pub forms: usize,
    /// Milliseconds since the Unix epoch.
    pub first_seen: i64,
    /// The engines that it showed on.
    pub engines: Vec<SeenOn>,
    /// Missing when it is new.
    pub known: Option<KnownView>,
    /// Its plainest case.
    pub example: Option<ExampleView>,
    /// The sentence of the manual that decides.
    pub pattern: Option<&'static BugPattern>,
    /// `reference` when the manual decides.
    pub right: Option<&'static str>,
}

/// One way in which a bug shows, for programs.
#[derive(Clone, Debug, Serialize)]
pub struct SignatureView {
    /// Names it.
    pub id: SignatureId,
    /// The bug that it is of.
    pub bug: CauseId,
    /// What kind of divergence it is.
    pub kind: &'static str,
    /// Mnemonic and operand kinds of the instruction at fault.
    pub instruction: String,
    /// Encoding and prefixes of that instruction.
    pub encoding: String,
    /// What differs.
    pub fields: Vec<String>,
    /// Diverging runs.
    pub runs: u64,
    /// Blocks that show it.
    pub blocks: u64,
    /// Milliseconds since the Unix epoch.
    pub first_seen: i64,
    /// The engines that it showed on.
    pub engines: Vec<SeenOn>,
    /// Missing when it is new.
    pub known: Option<KnownView>,
    /// Whether its example was reduced.
    pub reduced: bool,
    /// In how many fresh processes the example showed.
    pub confirmations: u32,
    /// All of it.
    #[serde(skip)]
    pub signature: Signature,
}

/// How sure an example is, in words.
fn certainty(reduced: bool, confirmations: u32) -> String {
    match (reduced, confirmations) {
        (false, _) => format!("{UNSURE}not reduced{UNSURE:#}"),
        (true, CONFIRMATIONS) => format!("{GOOD}confirmed{GOOD:#}"),
        (true, _) => format!("{UNSURE}flaky, {confirmations} of {CONFIRMATIONS}{UNSURE:#}"),
    }
}

impl BugView {
    /// Whether there is a reduced example that showed each time.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        let example = self.example.as_ref();
        example.is_some_and(|example| example.reduced && example.confirmations == CONFIRMATIONS)
    }
}

/// The list, at most `limit` bugs of it (0 for all), known ones apart.
#[must_use]
pub fn render_bug_list(bugs: &[BugView], limit: usize, width: Option<u16>) -> String {
    let (known, new): (Vec<&BugView>, Vec<&BugView>) = bugs.iter().partition(|bug| bug.known.is_some());
    let width = usize::from(width.unwrap_or(WIDTH));
    let shown = if limit == 0 { new.len() } else { limit };
    let several = has_several_engines(bugs);
    let mut entries: Vec<String> = new
        .iter()
        .take(shown)
        .enumerate()
        .map(|(index, bug)| entry(index + 1, bug, several, width))
        .collect();
    if new.len() > shown {
        let more = format_number((new.len() - shown) as u64);
        entries.push(format!(
            " {FAINT}... and {more} more: --limit 0 lists all{FAINT:#}"
        ));
    }
    if !known.is_empty() {
        let lines: Vec<String> = known.iter().map(|bug| known_line(bug)).collect();
        entries.push(format!("{HEADING}Known{HEADING:#}\n{}", lines.join("\n")));
    }
    entries.join("\n")
}

/// One bug: what is wrong, the plainest case, the manual's sentence.
fn entry(number: usize, bug: &BugView, several_engines: bool, width: usize) -> String {
    let mut text = format!(
        "{number:>3}. {BAD}{}{BAD:#}  {HEADING}{}{HEADING:#}\n",
        bug.title, bug.id
    );
    let mut counts = format_count(bug.runs, "run");
    counts += &format!(", {}", format_count(bug.signatures as u64, "signature"));
    if let Some(example) = &bug.example {
        counts += &format!(", {}", certainty(example.reduced, example.confirmations));
        text += &wrapped(&shortly(example), width, 5);
    }
    if let Some(pattern) = bug.pattern {
        text += &wrapped(&format!("{} ({})", pattern.what, pattern.reference), width, 5);
    }
    if several_engines {
        text += &wrapped(&format!("on {}", engine_counts(bug)), width, 5);
    }
    text + &format!("     {FAINT}{counts}{FAINT:#}")
}

/// Whether bugs of more than one engine, or of more than one version of it, are among `bugs`.
fn has_several_engines(bugs: &[BugView]) -> bool {
    let engines = bugs.iter().flat_map(|bug| &bug.engines).map(engine_label);
    engines.collect::<BTreeSet<_>>().len() > 1
}

/// The engines that a bug showed on, each with its runs.
fn engine_counts(bug: &BugView) -> String {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for seen in &bug.engines {
        *counts.entry(engine_label(seen)).or_default() += seen.runs;
    }
    let texts: Vec<String> = counts
        .into_iter()
        .map(|(engine, runs)| format!("{engine} ({})", format_count(runs, "run")))
        .collect();
    texts.join(", ")
}

/// Name and number of the version of an engine: `qemu-x86_64 7.2.22`.
fn engine_label(seen: &SeenOn) -> String {
    let is_number =
        |word: &&str| word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.');
    match seen.version.split([' ', '-', '(']).find(is_number) {
        Some(number) => format!("{} {number}", seen.name),
        None => seen.name.clone(),
    }
}

fn known_line(bug: &BugView) -> String {
    let (issue, note) = bug
        .known
        .as_ref()
        .map_or(("", ""), |known| (&known.issue, &known.note));
    format!(
        "     {}  {HEADING}{}{HEADING:#}  {}  {FAINT}{issue} {note}{FAINT:#}",
        bug.title,
        bug.id,
        format_count(bug.runs, "run")
    )
}

/// Instruction and start state in a line, cut when they are long.
fn shortly(example: &ExampleView) -> String {
    let code = example.code.join("; ");
    if !example.reduced {
        // As it was met: every register holds something.
        return code;
    }
    let code = format!("{code}  ({})", example.bytes);
    let state = example.state.join(", ");
    match state.char_indices().nth(LONGEST_STATE) {
        _ if state.is_empty() => code,
        None => format!("{code}  with  {state}"),
        Some((end, _)) => format!("{code}  with  {} ...", &state[..end]),
    }
}

/// `text` in lines of at most `width`, each behind `indent` spaces.
fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    let limit = width.saturating_sub(indent + 1).max(20);
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > limit {
            lines += &format!("{:indent$}{}\n", "", line.trim_end());
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines + &format!("{:indent$}{line}\n", "")
}

/// The list in a line each, at most `limit` of them, for the end of a check.
#[must_use]
pub fn render_bug_table(bugs: &[BugView], limit: usize, width: Option<u16>) -> String {
    if bugs.is_empty() {
        return String::new();
    }
    let several = has_several_engines(bugs);
    let mut head = vec!["bug", "what is wrong", "runs", "signatures", ""];
    if several {
        head.push("engine");
    }
    let mut table = Table::new(head).align_right(2).align_right(3).fit(width);
    let (known, new): (Vec<&BugView>, Vec<&BugView>) = bugs.iter().partition(|bug| bug.known.is_some());
    for bug in new.iter().take(limit) {
        let example = bug.example.as_ref();
        let mut row = vec![
            bug.id.to_string(),
            format!("{BAD}{}{BAD:#}", bug.title),
            format_number(bug.runs),
            format_number(bug.signatures as u64),
            example.map_or_else(String::new, |example| {
                certainty(example.reduced, example.confirmations)
            }),
        ];
        if several {
            row.push(engine_counts(bug));
        }
        table.add_row(row);
    }
    let mut parts = Vec::new();
    if !new.is_empty() {
        parts.push(table.to_string());
    }
    if new.len() > limit {
        let more = format_number((new.len() - limit) as u64);
        parts.push(format!(" {FAINT}... and {more} more: snippex bugs{FAINT:#}"));
    }
    if !known.is_empty() {
        parts.push(format!(" {HEADING}Known{HEADING:#}"));
        parts.extend(known.iter().map(|bug| known_line(bug)));
    }
    parts.join("\n")
}

/// Signatures in a line each, at most `limit` of them (0 for all).
#[must_use]
pub fn render_signature_list(views: &[SignatureView], limit: usize, width: Option<u16>) -> String {
    let shown = if limit == 0 { views.len() } else { limit };
    let mut table = Table::new(["signature", "what differs", "runs", "bug", ""])
        .align_right(2)
        .fit(width);
    for view in views.iter().take(shown) {
        let known = match &view.known {
            Some(known) => format!(" {FAINT}known: {}{FAINT:#}", known.issue),
            None => String::new(),
        };
        table.add_row([
            view.id.to_string(),
            view.signature.to_string(),
            format_number(view.runs),
            view.bug.to_string(),
            certainty(view.reduced, view.confirmations) + &known,
        ]);
    }
    let mut text = table.to_string();
    if views.len() > shown {
        let more = format_number((views.len() - shown) as u64);
        text += &format!("\n {FAINT}... and {more} more: --limit 0 lists all{FAINT:#}");
    }
    text
}

/// How many there are, in words.
#[must_use]
pub fn render_bug_count(bugs: &[BugView]) -> String {
    let (known, new): (Vec<&BugView>, Vec<&BugView>) = bugs.iter().partition(|bug| bug.known.is_some());
    let mut text = format_count(new.len() as u64, "bug");
    if !new.is_empty() {
        let confirmed = new.iter().filter(|bug| bug.is_confirmed()).count();
        let signatures: usize = new.iter().map(|bug| bug.signatures).sum();
        text += &format!(
            ", {} confirmed, in {}",
            format_number(confirmed as u64),
            format_count(signatures as u64, "signature")
        );
    }
    if !known.is_empty() {
        text += &format!(", {} known", known.len());
    }
    text
}
