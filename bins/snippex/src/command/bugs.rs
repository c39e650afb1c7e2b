//! `snippex bugs`: what was found, by signature.

use std::collections::BTreeSet;

use cli_kit::style::{BAD, FAINT, GOOD, HEADING};
use cli_kit::{ExitStatus, Failure, Format};
use serde_json::json;
use snippex_core::signature::SignatureId;
use snippex_core::snip::Snip;
use snippex_store::{KnownBug, StoreHandle, StoredBug, Timestamp};

use crate::app::App;
use crate::args::{BugsArgs, BugsCommand, KnownCommand};
use crate::bugs::Bugs;
use crate::tell::OrTell;
use crate::view::bugs::{BugView, count, full, list};
use crate::view::difference::sentence;

pub(crate) fn run(app: &App<'_>, args: &BugsArgs) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let bugs = Bugs::read(&store)?;
    let emulator = args.emulator.as_deref();
    match &args.command {
        None => print_list(app, &bugs, args),
        Some(BugsCommand::Show { bug }) => show(app, &bugs, bug, emulator),
        Some(BugsCommand::Diff { before, after }) => diff(app, &store, &bugs, before, after),
        Some(BugsCommand::Known(KnownCommand::List)) => known(app, &bugs),
        Some(BugsCommand::Known(KnownCommand::Add {
            bugs: ids,
            issue,
            note,
            replace,
        })) => {
            let entry = |signature| KnownBug {
                signature,
                engine: emulator.unwrap_or_default().to_owned(),
                issue: issue.clone(),
                note: note.clone(),
                added: Timestamp::now(),
            };
            each(app, ids, "added", |id| {
                add(&store, entry(bugs.find(id)?.signature.id()), *replace)
            })
        }
        Some(BugsCommand::Known(KnownCommand::Remove { bugs: ids })) => {
            each(app, ids, "removed", |id| remove(&store, &bugs, id, emulator))
        }
    }
}

fn print_list(app: &App<'_>, bugs: &Bugs<'_>, args: &BugsArgs) -> Result<ExitStatus, Failure> {
    let views = bugs.views(args.run, args.emulator.as_deref())?;
    match app.format {
        Format::Json => app.printer.json(&views)?,
        Format::Jsonl => views.iter().try_for_each(|view| app.printer.json_line(view))?,
        Format::Human if views.is_empty() => app.printer.line("no bug was found yet")?,
        Format::Human => {
            app.printer
                .line(list(&views, args.all, args.limit, app.printer.width()))?;
            app.printer.note(format_args!(
                "{}; one in full: snippex bugs show BUG",
                count(&views)
            ));
        }
    }
    Ok(ExitStatus::NothingFound)
}

fn show(app: &App<'_>, bugs: &Bugs<'_>, id: &str, emulator: Option<&str>) -> Result<ExitStatus, Failure> {
    let stored = bugs.of_engine(bugs.find(id)?, emulator).ok_or_else(|| {
        Failure::new(format!(
            "bug {id} was not met on {}",
            emulator.unwrap_or_default()
        ))
        .hint("leave --emulator out")
    })?;
    let (view, example) = bugs.view(&stored)?;
    let differences = example
        .as_ref()
        .map(|example| bugs.differences(example))
        .unwrap_or_default();
    let snip = example.map(|example| {
        let mut snip = Snip::of(example.case);
        snip.title = view.signature.to_string();
        snip.text()
    });
    if app.format == Format::Human {
        let sentences: Vec<String> = differences.iter().map(sentence).collect();
        app.printer.text(full(&view, &sentences))?;
        if let Some(snip) = snip {
            app.printer
                .text(format_args!("\n{HEADING}The case{HEADING:#}\n{snip}"))?;
        }
    } else {
        let document = json!({"bug": view, "differences": differences, "snip": snip});
        match app.format {
            Format::Jsonl => app.printer.json_line(&document)?,
            _ => app.printer.json(&document)?,
        }
    }
    Ok(ExitStatus::NothingFound)
}

/// Bugs of one set of engines that the other does not show, and the other way round.
fn diff(
    app: &App<'_>,
    store: &StoreHandle,
    bugs: &Bugs<'_>,
    before: &str,
    after: &str,
) -> Result<ExitStatus, Failure> {
    let (old, new) = (bugs.engines_like(before)?, bugs.engines_like(after)?);
    if let Some(both) = old.iter().find(|id| new.contains(id)) {
        return Err(Failure::new(format!(
            "{before} and {after} both name {}",
            bugs.engine_name(*both)
        ))
        .hint("write more of the versions, or numbers such as #2; `snippex bugs diff x y` lists engines"));
    }
    let stored = store.call(async |store| store.bugs("", None).await).or_tell()?;
    let met =
        |bug: &StoredBug, engines: &[_]| bug.sightings.iter().any(|seen| engines.contains(&seen.engine));
    let views = |wanted: (bool, bool)| -> Result<Vec<BugView>, Failure> {
        let chosen = stored
            .iter()
            .filter(|bug| (met(bug, &old), met(bug, &new)) == wanted);
        chosen.map(|bug| Ok(bugs.view(bug)?.0)).collect()
    };
    let (fixed, appeared, stayed) = (
        views((true, false))?,
        views((false, true))?,
        views((true, true))?.len(),
    );
    let names = |ids: &[_]| {
        ids.iter()
            .map(|id| bugs.engine_name(*id))
            .collect::<BTreeSet<_>>()
    };
    let (old, new) = (names(&old), names(&new));
    let document = json!({"before": old, "after": new, "fixed": fixed, "new": appeared, "in_both": stayed});
    match app.format {
        Format::Json => app.printer.json(&document)?,
        Format::Jsonl => app.printer.json_line(&document)?,
        Format::Human => {
            let joined = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
            app.printer
                .line(format_args!("{FAINT}from{FAINT:#} {}", joined(old)))?;
            app.printer
                .line(format_args!("{FAINT}to{FAINT:#}   {}", joined(new)))?;
            for (style, title, views) in [(GOOD, "fixed", &fixed), (BAD, "new", &appeared)] {
                app.printer
                    .line(format_args!("\n{style}{title}{style:#}: {}", views.len()))?;
                if !views.is_empty() {
                    app.printer.line(list(views, true, 0, app.printer.width()))?;
                }
            }
            app.printer.line(format_args!("\nin both: {stayed}"))?;
            app.printer.note("a bug counts as fixed when no run on the newer engine has met it: run the same checks on both");
        }
    }
    Ok(ExitStatus::found(!appeared.is_empty()))
}

fn known(app: &App<'_>, bugs: &Bugs<'_>) -> Result<ExitStatus, Failure> {
    let row = |entry: &KnownBug| {
        json!({"bug": entry.signature, "engine": entry.engine, "issue": entry.issue, "note": entry.note,
            "added": entry.added})
    };
    match app.format {
        Format::Json => app
            .printer
            .json(&bugs.known().iter().map(row).collect::<Vec<_>>())?,
        Format::Jsonl => bugs
            .known()
            .iter()
            .try_for_each(|entry| app.printer.json_line(&row(entry)))?,
        Format::Human if bugs.known().is_empty() => app.printer.line("no bug is marked as known")?,
        Format::Human => {
            let mut table = cli_kit::Table::new(["bug", "engine", "issue", "note"]).fit(app.printer.width());
            for entry in bugs.known() {
                let engine = if entry.engine.is_empty() {
                    "every"
                } else {
                    &entry.engine
                };
                table.row([&entry.signature.to_string(), engine, &entry.issue, &entry.note]);
            }
            app.printer.line(table)?;
        }
    }
    Ok(ExitStatus::NothingFound)
}

fn add(store: &StoreHandle, entry: KnownBug, replace: bool) -> Result<SignatureId, Failure> {
    let id = entry.signature;
    let issue = entry.issue.clone();
    let added = store
        .call(async move |store| store.add_known(&entry, replace).await)
        .or_tell()?;
    added.map_err(|contradiction| {
        Failure::new(format!(
            "bug {id} is known as {} already, not as {issue}",
            contradiction.known.issue
        ))
        .hint("give --replace to change the entry")
    })?;
    Ok(id)
}

fn remove(
    store: &StoreHandle,
    bugs: &Bugs<'_>,
    id: &str,
    emulator: Option<&str>,
) -> Result<SignatureId, Failure> {
    // Entries outlive their bugs.
    let entries: BTreeSet<SignatureId> = bugs
        .known()
        .iter()
        .map(|entry| entry.signature)
        .filter(|signature| !id.is_empty() && signature.to_string().starts_with(&id.to_lowercase()))
        .collect();
    let mut entries = entries.into_iter();
    let (Some(signature), None) = (entries.next(), entries.next()) else {
        return Err(
            Failure::new(format!("{id} is not one bug of the list of known ones"))
                .hint("see `snippex bugs known list`"),
        );
    };
    let engine = emulator.map(str::to_owned);
    let removed = store
        .call(async move |store| store.remove_known(signature, engine.as_deref()).await)
        .or_tell()?;
    if removed == 0 {
        return Err(Failure::new(format!("{id} is not known for this engine")).hint("leave --emulator out"));
    }
    Ok(signature)
}

/// Does `work` for each id; what fails is told, and the rest goes on.
fn each(
    app: &App<'_>,
    ids: &[String],
    done: &str,
    work: impl Fn(&str) -> Result<SignatureId, Failure>,
) -> Result<ExitStatus, Failure> {
    let mut failed = Vec::new();
    for id in ids {
        match work(id) {
            Ok(signature) if app.format == Format::Human => {
                app.printer.line(format_args!("{done} {signature}"))?;
            }
            Ok(signature) => app.printer.json_line(&json!({"bug": signature, "done": done}))?,
            Err(failure) => failed.push(failure),
        }
    }
    let Some(last) = failed.pop() else {
        return Ok(ExitStatus::NothingFound);
    };
    for failure in &failed {
        app.printer.failure(failure);
    }
    Err(last)
}
