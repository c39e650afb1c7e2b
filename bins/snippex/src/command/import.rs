//! `snippex import`: a bundle of `snippex export json` into the database.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use cli_kit::{ExitStatus, Failure, Format, OrFail};
use serde_json::{Map, json};
use snippex_exec::engine::OwnFolder;
use snippex_report::data_table::{DataTable, Figure};
use snippex_report::format_count;
use snippex_store::{ImportReport, Location, StoreHandle};

use crate::app::App;
use crate::args::ImportArgs;
use crate::hints::OrUserError;

pub(crate) fn run(app: &App<'_>, args: &ImportArgs) -> Result<ExitStatus, Failure> {
    let source = open(&args.bundle)?;
    let dry_run = args.dry_run;
    // Nothing is made by a dry run, no empty database either.
    let location = app.database_location()?;
    let is_new = location.file().is_some_and(|path| !path.exists());
    app.tidy_up_when_killed()?;
    let scratch = OwnFolder::new("import-").or_fail("cannot make a folder for a dry run")?;
    let store = if dry_run && is_new {
        StoreHandle::open(&Location::from(scratch.path().join("dry-run.db").as_path())).or_user_error()?
    } else {
        app.open_store()?
    };
    let imported = store.call_and_wait(async move |store| Ok(store.import_bundle(source, dry_run).await));
    let imported = imported.or_user_error().and_then(OrUserError::or_user_error);
    if let (Err(_), true, Some(path)) = (&imported, is_new, location.file()) {
        drop(store);
        remove_database(path);
    }
    let report = imported?;
    show(app, &report, dry_run)?;
    Ok(ExitStatus::NothingFound)
}

/// Removes a database that was made for a bundle that cannot be taken; what stays of it does no harm.
fn remove_database(path: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(ending);
        drop(fs::remove_file(file));
    }
}

fn open(path: &Path) -> Result<Box<dyn Read + Send>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).or_fail_with(|| format!("cannot read {}", path.display()));
    let file = file
        .map_err(|failure| failure.hint("name a file of `snippex export json`, or - for standard input"))?;
    Ok(Box::new(file))
}

fn show(app: &App<'_>, report: &ImportReport, dry_run: bool) -> Result<(), Failure> {
    if app.format != Format::Human {
        let sections = report.sections.iter().map(|(section, counts)| {
            let counts = json!({"records": counts.records, "added": counts.added});
            (section.key().to_owned(), counts)
        });
        let document = json!({
            "dry_run": dry_run,
            "sections": sections.collect::<Map<_, _>>(),
            "contradicting_known_bugs": report.contradicting_known_bugs,
        });
        return match app.format {
            Format::Json => app.printer.print_json(&document),
            _ => app.printer.print_json_line(&document),
        };
    }
    let mut table = DataTable::new(["part", "records", "added", "there_already"]);
    for (section, counts) in report.sections.iter().filter(|(_, counts)| counts.records > 0) {
        table.push(vec![
            Figure::Text(section.key().replace('_', " ")),
            Figure::Count(counts.records),
            Figure::Count(counts.added),
            Figure::Count(counts.records.saturating_sub(counts.added)),
        ]);
    }
    if table.is_empty() {
        app.printer.print_line("the bundle is empty")?;
    } else {
        app.printer.print_line(table.render_text(app.printer.width()))?;
    }
    if report.contradicting_known_bugs > 0 {
        app.printer.print_warning(format_args!(
            "{} left out: the list here names another issue for the same; see `snippex bugs known`",
            format_count(report.contradicting_known_bugs, "known bug")
        ));
    }
    if dry_run {
        app.printer.print_note("nothing was added: this was a dry run");
    }
    Ok(())
}
