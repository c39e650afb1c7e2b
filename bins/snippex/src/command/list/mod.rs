//! `snippex list`: stored blocks, binaries, runs, divergences and observations as tables.

mod blocks;
mod results;

use cli_kit::{ExitStatus, Failure, Format, Table, units};
use serde::Serialize;
use serde_json::json;
use snippex_store::StoreHandle;

use crate::app::App;
use crate::args::ListArgs;
use crate::hints::OrUserError;
use snippex_report::format_number;

pub(crate) fn run(app: &App<'_>, args: &ListArgs) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let limit = row_limit(app.format, args.limit);
    if args.binaries {
        binaries(app, &store, limit)?;
    } else if args.runs {
        results::print_runs(app, &store, limit)?;
    } else if let Some(run) = args.divergences {
        results::print_divergences(app, &store, run, limit)?;
    } else if let Some(run) = args.observations {
        results::print_observations(app, &store, run, limit)?;
    } else {
        let filter = args.filter.to_filter_options().into_filter().or_user_error()?;
        blocks::print_blocks(app, &store, args, &filter, limit)?;
    }
    Ok(ExitStatus::NothingFound)
}

/// Rows of a list for people. A program gets all: it cannot see that some are missing.
const PAGE_FOR_PEOPLE: u32 = 50;

/// How many rows to show when `typed` was asked for; 0 means all.
fn row_limit(format: Format, typed: Option<u32>) -> usize {
    let rows = match (typed, format) {
        (Some(rows), _) => rows,
        (None, Format::Human) => PAGE_FOR_PEOPLE,
        (None, Format::Json | Format::Jsonl) => 0,
    };
    if rows == 0 { usize::MAX } else { rows as usize }
}

fn binaries(app: &App<'_>, store: &StoreHandle, limit: usize) -> Result<(), Failure> {
    let mut binaries = store
        .call_and_wait(async |store| store.list_binaries().await)
        .or_user_error()?;
    let more = binaries.len() > limit;
    binaries.truncate(limit);
    let views = binaries.iter().map(|binary| {
        let of = &binary.binary;
        json!({"name": of.name, "path": of.path, "sha256": of.sha256, "format": of.format, "size": of.size,
            "blocks": binary.blocks})
    });
    if answer_program(app, views)? {
        return Ok(());
    }
    let mut table = Table::new(["name", "blocks", "size", "format", "sha256", "path"])
        .align_right(1)
        .align_right(2);
    for binary in &binaries {
        let of = &binary.binary;
        let (blocks, size) = (format_number(binary.blocks), units::format_bytes(of.size));
        table.add_row([&of.name, &blocks, &size, &of.format, &of.sha256[..12], &of.path]);
    }
    app.printer.print_line(table)?;
    say_if_more(app, more);
    Ok(())
}

/// Prints `views` as one document or a line each when the answer is for a program. Whether it was.
fn answer_program<T: Serialize>(app: &App<'_>, mut views: impl Iterator<Item = T>) -> Result<bool, Failure> {
    match app.format {
        Format::Json => app.printer.print_json(&views.collect::<Vec<_>>())?,
        Format::Jsonl => views.try_for_each(|view| app.printer.print_json_line(&view))?,
        Format::Human => return Ok(false),
    }
    Ok(true)
}

fn say_if_more(app: &App<'_>, more: bool) {
    if more {
        app.printer.print_note("there are more: --limit 0 lists all");
    }
}
