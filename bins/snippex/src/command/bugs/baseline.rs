//! Known bugs and baselines: both say which failures are expected, one in the database, one in a repository.

use std::collections::BTreeMap;
use std::path::Path;

use cli_kit::{ExitStatus, Failure, Format};
use serde_json::json;
use snippex_report::format_count;
use snippex_session::{Approval, Approved, Bugs, current_utc_date};
use snippex_store::{KnownBug, StoreHandle, UnixMillis};
use snippex_triage::cause::BugName;

use super::known;
use crate::app::App;
use crate::baseline_file;

/// Writes the known bugs into the sections of a baseline that they hold for. An approval that is there keeps its reason and
/// its last day.
pub(super) fn write_known(app: &App<'_>, bugs: &Bugs<'_>, path: &Path) -> Result<ExitStatus, Failure> {
    let mut baseline = baseline_file::read_baseline(path)?;
    let mut written = 0;
    for entry in bugs.known_bugs() {
        let BugName::Cause(cause) = &entry.bug else {
            app.printer.print_warning(format_args!(
                "{} is left out: it is a signature, and a baseline accepts bugs by their names",
                entry.bug
            ));
            continue;
        };
        check_issue(entry)?;
        let mut is_written = false;
        let sections = baseline.sections.iter_mut();
        for (_, section) in sections.filter(|(key, _)| entry.covers_engine(&key.engine)) {
            let approval = section
                .approvals
                .entry(Approved::Bug(cause.to_string()))
                .or_insert_with(|| new_approval(entry));
            approval.issue = Some(entry.issue.clone());
            is_written = true;
        }
        if is_written {
            written += 1;
        } else {
            app.printer.print_warning(format_args!(
                "{} is left out: {} has no section for {}; `snippex regression record` makes one",
                entry.bug,
                path.display(),
                entry.engine
            ));
        }
    }
    baseline_file::write_baseline(path, &baseline)?;
    say(app, path, "wrote", "into", written)
}

fn new_approval(entry: &KnownBug) -> Approval {
    let note = entry.note.trim();
    Approval {
        reason: if note.is_empty() { "known bug" } else { note }.to_owned(),
        issue: Some(entry.issue.clone()),
        until: None,
    }
}

/// A word is all that fits into a line of the file.
fn check_issue(entry: &KnownBug) -> Result<(), Failure> {
    if entry.issue.is_empty() || entry.issue.contains(char::is_whitespace) {
        return Err(Failure::new(format!(
            "the issue of {} is {:?}, which is not one word",
            entry.bug, entry.issue
        ))
        .hint("give it an address: `snippex bugs known add BUG --issue URL --replace`"));
    }
    Ok(())
}

/// Adds to the list of known bugs what a baseline accepts today.
pub(super) fn read_known(
    app: &App<'_>,
    store: &StoreHandle,
    bugs: &Bugs<'_>,
    path: &Path,
) -> Result<ExitStatus, Failure> {
    let baseline = baseline_file::read_baseline(path)?;
    let mut entries: BTreeMap<(String, String), KnownBug> = BTreeMap::new();
    for (key, section) in &baseline.sections {
        for (approved, approval) in &section.approvals {
            let Approved::Bug(name) = approved else {
                continue;
            };
            if let Some(entry) = known_entry(app, name, &key.engine, approval) {
                entries.insert((name.clone(), key.engine.clone()), entry);
            }
        }
    }
    let mut added = 0;
    let mut failed = Vec::new();
    for entry in entries.values() {
        match known::add_known_bug(store, bugs, entry, false) {
            Ok(_) => added += 1,
            Err(failure) => failed.push(failure),
        }
    }
    let last = failed.pop();
    for failure in &failed {
        app.printer.print_failure(failure);
    }
    match last {
        Some(failure) => Err(failure),
        None => say(app, path, "read", "of", added),
    }
}

/// The entry for an approval; `None`, with a word about it, when there can be none.
fn known_entry(app: &App<'_>, name: &str, engine: &str, approval: &Approval) -> Option<KnownBug> {
    let left_out = |why: &str| {
        app.printer
            .print_warning(format_args!("{name} on {engine} is left out: {why}"));
        None
    };
    let Ok(bug) = name.parse::<BugName>() else {
        return left_out("that is no name of a bug");
    };
    if !approval.is_valid_on(current_utc_date()) {
        return left_out("its approval is over");
    }
    let Some(issue) = approval.issue.clone() else {
        return left_out("the baseline names no issue, which a known bug needs");
    };
    Some(KnownBug {
        bug,
        engine: engine.to_owned(),
        issue,
        note: approval.reason.clone(),
        added: UnixMillis::now(),
    })
}

fn say(app: &App<'_>, path: &Path, done: &str, word: &str, count: u64) -> Result<ExitStatus, Failure> {
    let view = json!({"baseline": path.display().to_string(), "known_bugs": count, "done": done});
    match app.format {
        Format::Human => app.printer.print_line(format_args!(
            "{done} {} {word} {}",
            format_count(count, "known bug"),
            path.display()
        ))?,
        Format::Json => app.printer.print_json(&view)?,
        Format::Jsonl => app.printer.print_json_line(&view)?,
    }
    Ok(ExitStatus::NothingFound)
}
