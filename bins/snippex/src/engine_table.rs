//! Several engines in one check: each is compared with the reference in a run of its own, and one table says which of them
//! show a bug.

use std::collections::{BTreeMap, BTreeSet};

use cli_kit::{ExitStatus, Failure, Table};
use serde::Serialize;
use snippex_report::check::CheckSummary;
use snippex_report::format_number;
use snippex_session::{CheckTarget, EnginePair, Generated, ReadPrograms, read_programs};

use crate::app::App;
use crate::args::CheckArgs;
use crate::checking::{self, Answer};
use crate::hints::OrUserError;
use crate::{choosing, generating};

/// A bug with the runs in which each engine shows it.
#[derive(Debug, Serialize)]
struct BugRow {
    id: String,
    title: String,
    /// Diverging runs, by the name of the engine; those without are not there.
    runs: BTreeMap<String, u64>,
    known: bool,
}

/// The whole answer, for programs.
#[derive(Debug, Serialize)]
struct ComparedEngines<'a> {
    /// The most widespread bugs first.
    bugs: Vec<BugRow>,
    /// As each engine's own check has it, in the order in which they were named.
    checks: &'a [CheckSummary],
}

/// Checks every engine that is named, and prints one table.
pub(crate) fn run(app: &App<'_>, args: &CheckArgs) -> Result<ExitStatus, Failure> {
    refuse_what_does_not_go_together(args)?;
    // What cannot be started is to be told before any work is done.
    let pairs = start_all(app, args)?;
    let mut checks = Vec::new();
    let mut status = ExitStatus::NothingFound;
    for pair in &pairs {
        let answer = check_one(app, args, pair)?;
        checks.push(answer.summary);
        match answer.status {
            ExitStatus::NothingFound => {}
            found => status = found,
        }
        if matches!(status, ExitStatus::Interrupted | ExitStatus::ReaderGone) {
            break;
        }
    }
    let compared = ComparedEngines {
        bugs: bug_rows(&checks),
        checks: &checks,
    };
    app.print_answer(&compared, || {
        let text = text(&compared, app.printer.width());
        app.printer.print_line(text)?;
        Ok(())
    })?;
    Ok(status)
}

fn refuse_what_does_not_go_together(args: &CheckArgs) -> Result<(), Failure> {
    let engines = &args.engine.emulator;
    let different: BTreeSet<&String> = engines.iter().collect();
    if different.len() < engines.len() {
        return Err(Failure::new("the same engine is named twice").hint("name each of them once"));
    }
    if args.run.detail || args.run.exports.is_asked() {
        return Err(Failure::new("--detail and reports are of one engine")
            .hint("name one engine, or ask afterwards: `snippex report`, `snippex compare`"));
    }
    Ok(())
}

fn start_all(app: &App<'_>, args: &CheckArgs) -> Result<Vec<EnginePair>, Failure> {
    let names = args.engine.emulator.iter();
    names
        .map(|name| {
            let subject = app.engine_names().choose_engine(name).or_user_error()?;
            checking::start_pair(app, subject, &args.run)
        })
        .collect()
}

fn check_one(app: &App<'_>, args: &CheckArgs, pair: &EnginePair) -> Result<Answer, Failure> {
    app.printer
        .print_note(format_args!("{}:", pair.subject_identity().name_and_version()));
    let store = app.open_store()?;
    if args.generated {
        let made = Generated::new(generating::build_generation_request(
            &args.generate,
            args.run.seed,
        )?);
        let targets = [CheckTarget::Generated(made)];
        return checking::find_answer(app, &store, "check", pair, &args.run, targets, false);
    }
    let choice = choosing::build_target_choice(&args.filter, &args.select, args.run.seed)?;
    let programs = read_programs(&args.binaries)
        .and_then(ReadPrograms::require_all)
        .or_user_error()?
        .into_iter();
    let targets = programs.map(|program| CheckTarget::Program(program, &choice));
    checking::find_answer(app, &store, "check", pair, &args.run, targets, false)
}

fn engine_of(check: &CheckSummary) -> &str {
    check.engines.last().map_or("", |engine| &engine.name)
}

/// Every bug that one of the checks has met.
fn bug_rows(checks: &[CheckSummary]) -> Vec<BugRow> {
    let mut rows: BTreeMap<String, BugRow> = BTreeMap::new();
    for check in checks {
        for bug in &check.bugs {
            let id = bug.id.to_string();
            let row = rows.entry(id.clone()).or_insert_with(|| BugRow {
                id,
                title: bug.title.clone(),
                runs: BTreeMap::new(),
                known: bug.known.is_some(),
            });
            row.runs.insert(engine_of(check).to_owned(), bug.runs);
        }
    }
    let mut rows: Vec<BugRow> = rows.into_values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.runs.len(), row.runs.values().sum::<u64>())));
    rows
}

fn text(compared: &ComparedEngines<'_>, width: Option<u16>) -> String {
    let mut engines =
        Table::new(["engine", "runs", "match", "diverged", "inconclusive", "not run"]).fit(width);
    for check in compared.checks {
        let mut cells = vec![engine_of(check).to_owned()];
        let counts = [
            check.runs,
            check.matched,
            check.diverged,
            check.inconclusive,
            check.unsupported,
        ];
        cells.extend(counts.map(format_number));
        engines.add_row(cells);
    }
    let names = compared.checks.iter().map(engine_of);
    let mut bugs = Table::new(["bug", "what is wrong"].into_iter().chain(names)).fit(width);
    for row in &compared.bugs {
        let found = compared
            .checks
            .iter()
            .map(|check| match row.runs.get(engine_of(check)) {
                Some(runs) => format_number(*runs),
                None => "-".to_owned(),
            });
        let known = if row.known { " (known)" } else { "" };
        let named = [row.id.clone(), format!("{}{known}", row.title)];
        bugs.add_row(named.into_iter().chain(found));
    }
    if compared.bugs.is_empty() {
        return format!("{engines}\n\nno engine differs from the reference");
    }
    format!("{engines}\n\nRuns in which each bug shows\n{bugs}\n\none bug in full: snippex bugs show BUG")
}
