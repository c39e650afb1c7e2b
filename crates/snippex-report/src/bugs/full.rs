//! One bug, or one of its signatures, in full.

use cli_kit::Table;
use cli_kit::style::{FAINT, GOOD, HEADING, UNSURE};
use snippex_triage::pattern::BugPattern;
use snippex_triage::reduce::CONFIRMATIONS;

use super::{BugView, KnownView, SeenOn, SignatureView, WIDTH, wrapped};
use crate::{format_count, format_number, render_headerless_table};

/// One bug in full, but its case.
#[must_use]
pub fn render_full_bug(bug: &BugView, differences: &[String], width: Option<u16>) -> String {
    let mut text = format!("{HEADING}{}{HEADING:#}  {}\n", bug.id, bug.title);
    let met = format!(
        "in {} of {}, in {}",
        format_count(bug.runs, "run"),
        format_count(bug.forms as u64, "instruction form"),
        format_count(bug.signatures as u64, "signature")
    );
    text += &rows(
        &met,
        &bug.engines,
        bug.known.as_ref(),
        bug.example
            .as_ref()
            .map(|example| (example.reduced, example.confirmations)),
    );
    text += &wrong(differences);
    text + &manual(bug.pattern, width)
}

/// One signature in full, but its case.
#[must_use]
pub fn full_signature(view: &SignatureView, differences: &[String], width: Option<u16>) -> String {
    let mut text = format!("{HEADING}{}{HEADING:#}  {}\n", view.id, view.signature);
    text += &row("bug", &format!("{}  {}", view.bug, view.bug.title()));
    text += &row("encoding", &view.encoding);
    let met = format!(
        "in {} of {}",
        format_count(view.runs, "run"),
        format_count(view.blocks, "block")
    );
    let certain = Some((view.reduced, view.confirmations));
    text += &rows(&met, &view.engines, view.known.as_ref(), certain);
    text += &wrong(differences);
    text + &manual(view.bug.pattern(), width)
}

fn row(name: &str, value: &str) -> String {
    format!("  {FAINT}{name:<10}{FAINT:#} {value}\n")
}

fn rows(met: &str, engines: &[SeenOn], known: Option<&KnownView>, certain: Option<(bool, u32)>) -> String {
    let mut text = row("met", met);
    for engine in engines {
        text += &row("engine", &format!("{} {}", engine.name, engine.version));
        if !engine.configuration.is_empty() {
            text += &row("", &format!("{FAINT}{}{FAINT:#}", engine.configuration.join(" ")));
        }
    }
    if let Some(known) = known {
        text += &row("known", &format!("{} {}", known.issue, known.note));
    }
    let certain = match certain {
        None => "no case is stored".to_owned(),
        Some((true, CONFIRMATIONS)) => {
            format!("{GOOD}confirmed{GOOD:#} in {CONFIRMATIONS} fresh processes")
        }
        Some((true, confirmations)) => format!(
            "{UNSURE}flaky{UNSURE:#}: it showed in {confirmations} of {CONFIRMATIONS} fresh processes"
        ),
        Some((false, _)) => format!("{UNSURE}not reduced{UNSURE:#}: it is as it was met"),
    };
    text + &row("example", &certain)
}

fn wrong(differences: &[String]) -> String {
    differences
        .iter()
        .map(|difference| row("wrong", difference))
        .collect()
}

fn manual(pattern: Option<&BugPattern>, width: Option<u16>) -> String {
    let text = match pattern {
        Some(pattern) => {
            let edition = pattern
                .manual_edition()
                .map_or_else(String::new, |edition| format!("; edition {edition}"));
            format!(
                "the reference is right: {} ({}{edition})",
                pattern.what, pattern.reference
            )
        }
        None => "no sentence that snippex knows decides; the reference is taken as right".to_owned(),
    };
    let wrapped = wrapped(&text, usize::from(width.unwrap_or(WIDTH)), 13);
    format!("  {FAINT}{:<10}{FAINT:#} {}", "manual", wrapped.trim_start())
}

/// The signatures of a bug that is shown in full.
#[must_use]
pub fn render_bug_signatures(views: &[SignatureView], limit: usize) -> String {
    let mut table = Table::new(Vec::<String>::new()).align_right(1);
    for view in views.iter().take(limit) {
        table.add_row([
            view.id.to_string(),
            format_number(view.runs),
            view.signature.to_string(),
        ]);
    }
    let mut text = render_headerless_table(&table);
    if views.len() > limit {
        let more = format_number((views.len() - limit) as u64);
        text += &format!("\n {FAINT}... and {more} more: snippex bugs --signatures{FAINT:#}");
    }
    text
}
