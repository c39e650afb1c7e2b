//! `snippex bugs known`: the list of bugs that are known.

use std::collections::BTreeSet;

use cli_kit::{ExitStatus, Failure, Format};
use serde_json::json;
use snippex_store::{KnownBug, StoreHandle};
use snippex_triage::cause::BugName;

use crate::app::App;
use crate::hints::OrUserError;
use snippex_session::{Bugs, Wanted};

/// Prints it.
pub(super) fn print_known_bugs(app: &App<'_>, bugs: &Bugs<'_>) -> Result<ExitStatus, Failure> {
    let row = |entry: &KnownBug| {
        json!({"bug": entry.bug, "engine": entry.engine, "issue": entry.issue, "note": entry.note,
            "added": entry.added})
    };
    match app.format {
        Format::Json => app
            .printer
            .print_json(&bugs.known_bugs().iter().map(row).collect::<Vec<_>>())?,
        Format::Jsonl => bugs
            .known_bugs()
            .iter()
            .try_for_each(|entry| app.printer.print_json_line(&row(entry)))?,
        Format::Human if bugs.known_bugs().is_empty() => {
            app.printer.print_line("no bug is marked as known")?;
        }
        Format::Human => {
            let mut table = cli_kit::Table::new(["bug", "engine", "issue", "note"]).fit(app.printer.width());
            for entry in bugs.known_bugs() {
                let engine = if entry.engine.is_empty() {
                    "every"
                } else {
                    &entry.engine
                };
                table.add_row([&entry.bug.to_string(), engine, &entry.issue, &entry.note]);
            }
            app.printer.print_line(table)?;
        }
    }
    Ok(ExitStatus::NothingFound)
}

pub(super) fn add_known_bug(
    store: &StoreHandle,
    bugs: &Bugs<'_>,
    entry: &KnownBug,
    replace: bool,
) -> Result<BugName, Failure> {
    // A bug and its signatures are reported in one place, unless somebody insists.
    let related = related(bugs, &entry.bug)?;
    let other = bugs
        .known_bugs()
        .iter()
        .find(|known| related.contains(&known.bug) && known.contradicts(entry));
    if let Some(other) = other.filter(|_| !replace) {
        let relation = match entry.bug {
            BugName::Cause(_) => "a signature of it",
            BugName::Signature(_) => "the bug that it is of",
        };
        return Err(Failure::new(format!(
            "{relation}, {}, is known as {} already, not as {}",
            other.bug, other.issue, entry.issue
        ))
        .hint("give --replace to have both entries"));
    }
    let added = {
        let entry = entry.clone();
        store
            .call_and_wait(async move |store| store.add_known(&entry, replace).await)
            .or_user_error()?
    };
    added.map_err(|contradiction| {
        let known = contradiction.known;
        let (name, scope) = (&entry.bug, scope(&known.engine));
        let failure = Failure::new(format!(
            "bug {name} is known as {} on {scope} already, not as {}",
            known.issue, entry.issue
        ));
        if known.engine == entry.engine {
            failure.hint("give --replace to change the entry")
        } else {
            failure.hint(format!(
                "both would hold for one engine: remove the other first, `snippex bugs known remove {name}`"
            ))
        }
    })?;
    Ok(entry.bug.clone())
}

fn scope(engine: &str) -> &str {
    if engine.is_empty() { "every engine" } else { engine }
}

/// The signatures of a bug, or the bugs that a signature is of.
fn related(bugs: &Bugs<'_>, name: &BugName) -> Result<Vec<BugName>, Failure> {
    let stored = bugs.of_name(name, Wanted::default()).or_user_error()?;
    Ok(stored
        .into_iter()
        .map(|bug| match name {
            BugName::Cause(_) => BugName::Signature(bug.attribution.signature.id()),
            BugName::Signature(_) => BugName::Cause(bug.attribution.cause),
        })
        .collect())
}

pub(super) fn remove_known_bug(
    store: &StoreHandle,
    bugs: &Bugs<'_>,
    text: &str,
    emulator: Option<&str>,
) -> Result<BugName, Failure> {
    // Entries outlive their bugs.
    let text = text.to_lowercase();
    let names: BTreeSet<&BugName> = bugs.known_bugs().iter().map(|entry| &entry.bug).collect();
    let exact = names.iter().find(|name| name.to_string() == text);
    let mut starting = names
        .iter()
        .filter(|name| !text.is_empty() && name.to_string().starts_with(&text));
    let name = match (exact, starting.next(), starting.next()) {
        (Some(name), _, _) | (None, Some(name), None) => (*name).clone(),
        _ => {
            return Err(
                Failure::new(format!("{text} is not one bug of the list of known ones"))
                    .hint("see `snippex bugs known list`"),
            );
        }
    };
    let (engine, removing) = (emulator.map(str::to_owned), name.clone());
    let removed = store
        .call_and_wait(async move |store| store.remove_known(&removing, engine.as_deref()).await)
        .or_user_error()?;
    if removed == 0 {
        return Err(Failure::new(format!("{text} is not known for this engine")).hint("leave --emulator out"));
    }
    Ok(name)
}

/// Does `work` for each name; what fails is told, and the rest goes on.
pub(super) fn for_each_name(
    app: &App<'_>,
    names: &[String],
    done: &str,
    work: impl Fn(&str) -> Result<BugName, Failure>,
) -> Result<ExitStatus, Failure> {
    let mut failed = Vec::new();
    for name in names {
        match work(name) {
            Ok(bug) if app.format == Format::Human => {
                app.printer.print_line(format_args!("{done} {bug}"))?;
            }
            Ok(bug) => app.printer.print_json_line(&json!({"bug": bug, "done": done}))?,
            Err(failure) => failed.push(failure),
        }
    }
    let Some(last) = failed.pop() else {
        return Ok(ExitStatus::NothingFound);
    };
    for failure in &failed {
        app.printer.print_failure(failure);
    }
    Err(last)
}
