//! `snippex list`: stored blocks, binaries, runs and divergences as tables.

use std::collections::HashMap;
use std::time::Duration;

use cli_kit::{ExitStatus, Failure, Format, Table, units};
use serde_json::json;
use snippex_core::decode::decoder;
use snippex_core::select::{Filter, features};
use snippex_store::{BinaryId, RunId, Selection, StoreHandle, StoredBlock, Timestamp};

use crate::app::App;
use crate::args::{DEFAULT_LIMIT, ListArgs};
use crate::blocks;
use crate::tell::OrTell;
use crate::view::{BlockView, grouped, several, word};

pub(crate) fn run(app: &App<'_>, args: &ListArgs) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let limit = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit as usize
    };
    if args.binaries {
        binaries(app, &store, limit)?;
    } else if args.runs {
        runs(app, &store, args.limit)?;
    } else if let Some(run) = args.divergences {
        divergences(app, &store, run, limit)?;
    } else {
        let filter = args.filter.options().check().or_tell()?;
        list_blocks(app, &store, args, &filter, limit)?;
    }
    Ok(ExitStatus::NothingFound)
}

fn list_blocks(
    app: &App<'_>,
    store: &StoreHandle,
    args: &ListArgs,
    filter: &Filter,
    limit: usize,
) -> Result<(), Failure> {
    let binary = blocks::scope(store, &args.selection, args.binary.as_deref())?;
    let names = names(store)?;
    let total = {
        let selection = args.selection.clone();
        store
            .call(async move |store| store.count_blocks(&selection, binary).await)
            .or_tell()?
    };
    let (found, more) = first_matching(store, &args.selection, binary, filter, limit)?;
    let name = |block: &StoredBlock| names.get(&block.binary).map_or("?", String::as_str);
    let views = found
        .iter()
        .map(|block| BlockView::new(block.number.0, &block.block, name(block)));
    match app.format {
        Format::Json => return app.printer.json(&views.collect::<Vec<_>>()),
        Format::Jsonl => {
            return views
                .into_iter()
                .try_for_each(|view| app.printer.json_line(&view));
        }
        Format::Human => {}
    }
    if found.is_empty() {
        app.printer.warn(format_args!(
            "none of {} match; relax the filters, or see --binaries",
            several(total, "block")
        ));
        return Ok(());
    }
    app.printer.line(table(&found, app.printer.width()))?;
    // Without a binary the total is that of all binaries, whichever the blocks on this page are of.
    let of = match (binary, names.len()) {
        (None, 2..) => String::new(),
        _ => format!(" of {}", name(&found[0])),
    };
    let (shown, total) = (grouped(found.len() as u64), several(total, "block"));
    app.printer.note(format_args!("{shown} of {total}{of}"));
    if more && let Some(next) = next_page(args, &found) {
        app.printer.note(format_args!("next: {next}"));
    }
    Ok(())
}

/// The command that goes on where this one stopped.
fn next_page(args: &ListArgs, found: &[StoredBlock]) -> Option<String> {
    let rest = args.selection.after(found.last()?.number)?;
    let binary = match &args.binary {
        Some(binary) => format!(" --binary {binary}"),
        None => String::new(),
    };
    let limit = match args.limit {
        DEFAULT_LIMIT => String::new(),
        limit => format!(" -n {limit}"),
    };
    Some(format!("snippex list {rest}{binary}{limit}{}", args.filter))
}

/// The first `limit` selected blocks that match, and whether there may be more.
fn first_matching(
    store: &StoreHandle,
    selection: &Selection,
    binary: Option<BinaryId>,
    filter: &Filter,
    limit: usize,
) -> Result<(Vec<StoredBlock>, bool), Failure> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = blocks::page(store, selection, binary, after)?;
        let Some(last) = page.last() else {
            return Ok((found, false));
        };
        after = Some(last.number);
        for block in page.into_iter().filter(|block| filter.matches(&block.block)) {
            if found.len() == limit {
                return Ok((found, true));
            }
            found.push(block);
        }
    }
}

/// The blocks in columns; their mnemonics last, as far as there is room.
fn table(blocks: &[StoredBlock], width: Option<u16>) -> Table {
    const NAMES: [&str; 8] = [
        "block", "address", "bytes", "instr", "ends in", "found by", "kinds", "mem",
    ];
    const NUMBERS: [usize; 5] = [0, 1, 2, 3, 7];
    /// Fewer characters say nothing.
    const LEAST: usize = 16;
    let rows: Vec<[String; 8]> = blocks.iter().map(row).collect();
    let taken: usize = (0..NAMES.len())
        .map(|column| {
            rows.iter()
                .map(|row| row[column].len())
                .max()
                .unwrap_or(0)
                .max(NAMES[column].len())
                + 2
        })
        .sum();
    let room = width.map_or(60, |width| usize::from(width).saturating_sub(taken + 2));
    let code = (room >= LEAST).then_some("code");
    let mut table = Table::new(NAMES.into_iter().chain(code));
    for column in NUMBERS {
        table = table.right(column);
    }
    for (block, row) in blocks.iter().zip(rows) {
        table.row(
            row.into_iter()
                .chain(code.map(|_| mnemonics(&block.block.bytes, room))),
        );
    }
    table
}

fn row(stored: &StoredBlock) -> [String; 8] {
    let block = &stored.block;
    let features = features(&block.bytes, block.address);
    let end = word(&block.terminator);
    let kinds: Vec<&str> = features.kinds.names().filter(|kind| *kind != "branch").collect();
    [
        stored.number.to_string(),
        format!("{:#x}", block.address),
        block.bytes.len().to_string(),
        block.instruction_count.to_string(),
        match &block.unrunnable {
            Some(reason) => format!("{end} ({})", word(reason)),
            None => end,
        },
        word(&block.origin),
        kinds.join(","),
        features.memory_operands.to_string(),
    ]
}

/// The mnemonics of a block in at most `room` characters.
fn mnemonics(bytes: &[u8], room: usize) -> String {
    let mut text = String::new();
    for instruction in &mut decoder(bytes, 0) {
        let name = format!("{:?}", instruction.mnemonic()).to_lowercase();
        if text.len() + name.len() + 3 > room {
            return text + " ..";
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&name);
    }
    text
}

fn names(store: &StoreHandle) -> Result<HashMap<BinaryId, String>, Failure> {
    let binaries = store.call(async |store| store.binaries().await).or_tell()?;
    Ok(binaries
        .into_iter()
        .map(|binary| (binary.id, binary.binary.name))
        .collect())
}

fn binaries(app: &App<'_>, store: &StoreHandle, limit: usize) -> Result<(), Failure> {
    let mut binaries = store.call(async |store| store.binaries().await).or_tell()?;
    let more = binaries.len() > limit;
    binaries.truncate(limit);
    let views = binaries.iter().map(|binary| {
        let of = &binary.binary;
        json!({"name": of.name, "path": of.path, "sha256": of.sha256, "format": of.format, "size": of.size,
            "blocks": binary.blocks})
    });
    match app.format {
        Format::Json => app.printer.json(&views.collect::<Vec<_>>()),
        Format::Jsonl => views
            .into_iter()
            .try_for_each(|view| app.printer.json_line(&view)),
        Format::Human => {
            let mut table = Table::new(["name", "blocks", "size", "format", "sha256", "path"])
                .right(1)
                .right(2);
            for binary in &binaries {
                let of = &binary.binary;
                let (blocks, size) = (grouped(binary.blocks), units::bytes(of.size));
                table.row([&of.name, &blocks, &size, &of.format, &of.sha256[..12], &of.path]);
            }
            app.printer.line(table)?;
            say_if_more(app, more);
            Ok(())
        }
    }
}

fn say_if_more(app: &App<'_>, more: bool) {
    if more {
        app.printer.note("there are more: --limit 0 lists all");
    }
}

fn runs(app: &App<'_>, store: &StoreHandle, limit: u32) -> Result<(), Failure> {
    let limit = if limit == 0 { usize::MAX } else { limit as usize };
    let mut runs = store
        .call(async move |store| {
            let mut rows = Vec::new();
            for run in store.runs(None, one_more(limit)).await? {
                let totals = store.totals(run.id).await?;
                let mut engines = Vec::new();
                for engine in &run.run.engines {
                    engines.push(store.engine(*engine).await?.name);
                }
                rows.push((run, totals, engines));
            }
            Ok(rows)
        })
        .or_tell()?;
    let more = runs.len() > limit;
    runs.truncate(limit);
    let views = runs.iter().map(|(run, totals, engines)| {
        let sum = |of: fn(&snippex_store::Counts) -> u64| totals.iter().map(|(_, _, counts)| of(counts)).sum::<u64>();
        json!({"run": run.id, "command": run.run.command, "arguments": run.run.arguments, "status": run.status,
            "started_ms": run.run.started, "engines": engines, "seed": run.run.seed, "states": run.run.states_per_block,
            "runs": sum(|counts| counts.runs), "matched": sum(|counts| counts.matched),
            "diverged": sum(|counts| counts.diverged)})
    });
    match app.format {
        Format::Json => return app.printer.json(&views.collect::<Vec<_>>()),
        Format::Jsonl => {
            return views
                .into_iter()
                .try_for_each(|view| app.printer.json_line(&view));
        }
        Format::Human => {}
    }
    let mut table = Table::new(["run", "command", "ago", "status", "engines", "runs", "diverged"])
        .right(0)
        .right(2)
        .right(5)
        .right(6);
    for (run, totals, engines) in &runs {
        let done: u64 = totals.iter().map(|(_, _, counts)| counts.runs).sum();
        let diverged: u64 = totals.iter().map(|(_, _, counts)| counts.diverged).sum();
        let ago = Timestamp::now().0.saturating_sub(run.run.started.0);
        table.row([
            run.id.to_string(),
            run.run.command.clone(),
            units::duration(Duration::from_secs(ago.unsigned_abs() / 1000).max(Duration::from_secs(1))),
            word(&run.status),
            engines.join(", "),
            grouped(done),
            grouped(diverged),
        ]);
    }
    app.printer.line(table)?;
    say_if_more(app, more);
    Ok(())
}

/// Asks for one row more than is shown, to know whether there are more.
fn one_more(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1)
}

fn divergences(app: &App<'_>, store: &StoreHandle, run: Option<RunId>, limit: usize) -> Result<(), Failure> {
    let mut found = store
        .call(async move |store| {
            let run = match run {
                Some(run) => store.run(run).await?.id,
                None => match store.runs(None, 1).await?.first() {
                    Some(run) => run.id,
                    None => return Ok(Vec::new()),
                },
            };
            store.divergences(Some(run), None, None, one_more(limit)).await
        })
        .or_tell()?;
    let more = found.len() > limit;
    found.truncate(limit);
    let views = found.iter().map(|divergence| {
        let differences: serde_json::Value =
            serde_json::from_str(&divergence.differences).unwrap_or_default();
        json!({"divergence": divergence.id, "run": divergence.run, "block": divergence.block,
            "state": divergence.state_index, "class": divergence.class, "culprit": divergence.culprit,
            "case": divergence.case_id.to_string(), "differences": differences})
    });
    match app.format {
        Format::Json => return app.printer.json(&views.collect::<Vec<_>>()),
        Format::Jsonl => {
            return views
                .into_iter()
                .try_for_each(|view| app.printer.json_line(&view));
        }
        Format::Human => {}
    }
    if found.is_empty() {
        app.printer.note("no divergences in this run");
        return Ok(());
    }
    let mut table = Table::new(["divergence", "block", "state", "kind", "instruction"])
        .right(0)
        .right(1)
        .right(2);
    for divergence in &found {
        table.row([
            divergence.id.to_string(),
            divergence.block.to_string(),
            divergence.state_index.to_string(),
            divergence.class.clone(),
            divergence.culprit.clone().unwrap_or_default(),
        ]);
    }
    app.printer.line(table)?;
    say_if_more(app, more);
    app.printer.note("one in full: snippex compare --divergence N");
    Ok(())
}
