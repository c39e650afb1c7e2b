//! `snippex bugs`: what was found, by cause and by signature.

mod baseline;
mod diff;
mod known;

use cli_kit::style::HEADING;
use cli_kit::{ExitStatus, Failure, Format};
use serde::Serialize;
use serde_json::json;
use snippex_formats::snip::Snip;
use snippex_store::{BugExample, KnownBug, StoredBug, UnixMillis};
use snippex_triage::cause::BugName;

use crate::app::App;
use crate::args::{BugsArgs, BugsCommand, KnownCommand};
use crate::bug_views::{bug_views, signature_view};
use crate::hints::OrUserError;
use crate::stored_scope::require_stored;
use snippex_core::words::difference_sentence;
use snippex_report::bugs::{
    SignatureView, full_signature, render_bug_count, render_bug_list, render_bug_signatures, render_full_bug,
    render_signature_list,
};
use snippex_report::format_count;
use snippex_report::state::{MemoryOptions, View};
use snippex_session::{Bugs, ComparedExample, Wanted};

/// Signatures of a bug that is shown in full.
const PARTS: usize = 12;

pub(crate) fn run(app: &App<'_>, args: &BugsArgs) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let load = || Bugs::load_from_store(&store, &app.engines).or_user_error();
    let emulator = args.emulator.as_deref();
    // An entry of the list may be about an engine that is still to be run, if it can be named.
    if emulator.is_none_or(|name| app.engines.find_entry(name).is_none()) || args.command.is_none() {
        require_stored(&store, args.run, emulator)?;
    }
    match &args.command {
        None if args.signatures => print_signatures(app, &load()?, args),
        None => print_list(app, &load()?, args),
        Some(BugsCommand::Show { bug }) => {
            // Of all that there is, only this one is read.
            let (bugs, name) = Bugs::load_one_bug(&store, &app.engines, bug).or_user_error()?;
            show(app, &bugs, &name, emulator)
        }
        Some(BugsCommand::Diff { before, after }) => diff::run(app, &load()?, before, after, args.signatures),
        Some(BugsCommand::Known {
            command: None | Some(KnownCommand::List),
        }) => known::print_known_bugs(app, &load()?),
        Some(BugsCommand::Known {
            command:
                Some(KnownCommand::Add {
                    bugs: names,
                    issue,
                    note,
                    replace,
                }),
        }) => {
            let bugs = load()?;
            let entry = |bug| KnownBug {
                bug,
                engine: emulator.unwrap_or_default().to_owned(),
                issue: issue.clone(),
                note: note.clone(),
                added: UnixMillis::now(),
            };
            known::for_each_name(app, names, "added", |name| {
                known::add_known_bug(
                    &store,
                    &bugs,
                    &entry(bugs.find_bug_name(name).or_user_error()?),
                    *replace,
                )
            })
        }
        Some(BugsCommand::Known {
            command: Some(KnownCommand::Write(file)),
        }) => baseline::write_known(app, &load()?, &file.baseline),
        Some(BugsCommand::Known {
            command: Some(KnownCommand::Read(file)),
        }) => baseline::read_known(app, &store, &load()?, &file.baseline),
        Some(BugsCommand::Known {
            command: Some(KnownCommand::Remove { bugs: names }),
        }) => {
            let bugs = load()?;
            known::for_each_name(app, names, "removed", |name| {
                known::remove_known_bug(&store, &bugs, name, emulator)
            })
        }
    }
}

fn wanted(args: &BugsArgs) -> Wanted<'_> {
    Wanted {
        run: args.run,
        emulator: args.emulator.as_deref(),
    }
}

fn print_list(app: &App<'_>, bugs: &Bugs<'_>, args: &BugsArgs) -> Result<ExitStatus, Failure> {
    let views = bug_views(&bugs.list_bugs(wanted(args)).or_user_error()?).or_user_error()?;
    app.print_list(&views, || {
        if views.is_empty() {
            app.printer.print_line("no bug was found yet")
        } else {
            app.printer
                .print_line(render_bug_list(&views, args.limit, app.printer.width()))?;
            app.printer.print_note(format_args!(
                "{}; one in full: snippex bugs show NAME",
                render_bug_count(&views)
            ));
            Ok(())
        }
    })?;
    Ok(ExitStatus::NothingFound)
}

fn print_signatures(app: &App<'_>, bugs: &Bugs<'_>, args: &BugsArgs) -> Result<ExitStatus, Failure> {
    let views = signature_views(bugs, &bugs.load_stored_bugs(wanted(args)).or_user_error()?);
    app.print_list(&views, || {
        if views.is_empty() {
            app.printer.print_line("no bug was found yet")
        } else {
            app.printer
                .print_line(render_signature_list(&views, args.limit, app.printer.width()))?;
            app.printer
                .print_note(format_count(views.len() as u64, "signature"));
            Ok(())
        }
    })?;
    Ok(ExitStatus::NothingFound)
}

/// The most frequent first.
fn signature_views(bugs: &Bugs<'_>, stored: &[StoredBug]) -> Vec<SignatureView> {
    let mut views: Vec<SignatureView> = stored
        .iter()
        .map(|bug| signature_view(&bugs.of_signature(bug)))
        .collect();
    views.sort_by_key(|view| std::cmp::Reverse((view.runs, view.reduced)));
    views
}

fn show(
    app: &App<'_>,
    bugs: &Bugs<'_>,
    name: &BugName,
    emulator: Option<&str>,
) -> Result<ExitStatus, Failure> {
    let wanted = Wanted { run: None, emulator };
    let stored = bugs.of_name(name, wanted).or_user_error()?;
    let Some(first) = stored.first() else {
        return Err(Failure::new(format!(
            "bug {name} was not met on {}",
            emulator.unwrap_or_default()
        ))
        .hint("leave --emulator out"));
    };
    let all: Vec<&StoredBug> = stored.iter().collect();
    let example = bugs
        .best_example(&all)
        .or_user_error()?
        .map(|(_, example)| example);
    let differences = example
        .as_ref()
        .map(|example| bugs.example_differences(example))
        .unwrap_or_default();
    let ends = example
        .as_ref()
        .filter(|_| app.format == Format::Human)
        .and_then(|example| Some(ends_text(app, &bugs.compare_example(example)?, example)));
    let snip = example.map(|example| as_snip(example, first));
    let width = app.printer.width();
    let sentences: Vec<String> = differences.iter().map(difference_sentence).collect();
    let views = signature_views(bugs, &stored);
    let (text, view) = match name {
        BugName::Cause(cause) => {
            let view = &bug_views(&[bugs.of_cause(cause, &all).or_user_error()?]).or_user_error()?[0];
            let text = render_full_bug(view, &sentences, width);
            let parts = render_bug_signatures(&views, PARTS);
            let text = format!("{text}\n{HEADING}Where it shows{HEADING:#}\n{parts}\n");
            (text, as_json(view))
        }
        BugName::Signature(_) => (full_signature(&views[0], &sentences, width), as_json(&views[0])),
    };
    if app.format == Format::Human {
        app.printer.print_text(text)?;
        if let Some(ends) = ends {
            app.printer
                .print_line(format_args!("\n{HEADING}How it ends{HEADING:#}\n{ends}"))?;
        }
        if let Some(snip) = snip {
            app.printer
                .print_text(format_args!("\n{HEADING}The case{HEADING:#}\n{snip}"))?;
        }
    } else {
        let mut document = json!({"bug": view, "differences": differences, "snip": snip});
        if matches!(name, BugName::Cause(_)) {
            document["signatures"] = as_json(&views);
        }
        match app.format {
            Format::Jsonl => app.printer.print_json_line(&document)?,
            _ => app.printer.print_json(&document)?,
        }
    }
    Ok(ExitStatus::NothingFound)
}

/// The example on both engines, side by side.
fn ends_text(app: &App<'_>, compared: &ComparedExample, example: &BugExample) -> String {
    let view = View {
        case: &example.case,
        ends: vec![
            (compared.reference.clone(), &example.expected),
            (compared.subject.clone(), &example.actual),
        ],
        covered: compared.covered,
        comparison: Some(&compared.comparison),
        all: false,
        masked: false,
        flag_detail: false,
        memory: MemoryOptions::default(),
        color: app.printer.has_color(),
        width: app.printer.width(),
    };
    view.render_text()
}

fn as_json(view: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(view).expect("plain data is JSON")
}

fn as_snip(example: BugExample, bug: &StoredBug) -> String {
    let mut snip = Snip::from_case(example.case);
    snip.title = bug.attribution.cause.title();
    snip.render_text()
}
