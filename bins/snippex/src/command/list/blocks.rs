//! Stored blocks as a table, a page at a time.

use std::collections::HashMap;

use cli_kit::{Failure, Table};
use snippex_blocks::select::{Filter, block_features};
use snippex_core::decode::intel_decoder;
use snippex_store::{BinaryId, Selection, StoreHandle, StoredBlock};

use super::answer_program;
use crate::app::App;
use crate::args::ListArgs;
use crate::hints::OrUserError;
use snippex_core::words::kebab_case;
use snippex_report::{BlockView, format_count, format_number};
use snippex_session::{page_of_blocks, scope_of_selection};

pub(super) fn print_blocks(
    app: &App<'_>,
    store: &StoreHandle,
    args: &ListArgs,
    filter: &Filter,
    limit: usize,
) -> Result<(), Failure> {
    let binary = scope_of_selection(store, &args.selection, args.binary.as_deref()).or_user_error()?;
    let names = names(store)?;
    let total = {
        let selection = args.selection.clone();
        store
            .call_and_wait(async move |store| store.count_blocks(&selection, binary).await)
            .or_user_error()?
    };
    let (found, more) = first_matching(store, &args.selection, binary, filter, limit)?;
    let name = |block: &StoredBlock| names.get(&block.binary).map_or("?", String::as_str);
    let views = found
        .iter()
        .map(|block| BlockView::new(block.number.0, &block.block, name(block)));
    if answer_program(app, views)? {
        return Ok(());
    }
    if found.is_empty() {
        app.printer.print_warning(format_args!(
            "none of {} match; relax the filters, or see --binaries",
            format_count(total, "block")
        ));
        return Ok(());
    }
    app.printer.print_line(table(&found, app.printer.width()))?;
    // Without a binary the total is that of all binaries, whichever the blocks on this page are of.
    let of = match (binary, names.len()) {
        (None, 2..) => String::new(),
        _ => format!(" of {}", name(&found[0])),
    };
    let (shown, total) = (format_number(found.len() as u64), format_count(total, "block"));
    app.printer.print_note(format_args!("{shown} of {total}{of}"));
    if more && let Some(next) = next_page(args, &found) {
        app.printer.print_note(format_args!("next: {next}"));
    }
    Ok(())
}

/// The command that goes on where this one stopped.
fn next_page(args: &ListArgs, found: &[StoredBlock]) -> Option<String> {
    let rest = args.selection.remaining_after(found.last()?.number)?;
    let binary = match &args.binary {
        Some(binary) => format!(" --binary {binary}"),
        None => String::new(),
    };
    let limit = args.limit.map(|limit| format!(" -n {limit}")).unwrap_or_default();
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
        let page = page_of_blocks(store, selection, binary, after).or_user_error()?;
        let Some(last) = page.last() else {
            return Ok((found, false));
        };
        after = Some(last.number);
        for block in page
            .into_iter()
            .filter(|block| filter.matches_block(&block.block))
        {
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
    const MIN: usize = 16;
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
    let code = (room >= MIN).then_some("code");
    let mut table = Table::new(NAMES.into_iter().chain(code));
    for column in NUMBERS {
        table = table.align_right(column);
    }
    for (block, row) in blocks.iter().zip(rows) {
        table.add_row(
            row.into_iter()
                .chain(code.map(|_| mnemonics(&block.block.bytes, room))),
        );
    }
    table
}

fn row(stored: &StoredBlock) -> [String; 8] {
    let block = &stored.block;
    let features = block_features(&block.bytes, block.address);
    let end = kebab_case(&block.terminator);
    let kinds: Vec<&str> = features.kinds.names().filter(|kind| *kind != "branch").collect();
    [
        stored.number.to_string(),
        format!("{:#x}", block.address),
        block.bytes.len().to_string(),
        block.instruction_count.to_string(),
        match &block.unrunnable {
            Some(reason) => format!("{end} ({})", kebab_case(reason)),
            None => end,
        },
        kebab_case(&block.origin),
        kinds.join(","),
        features.memory_operands.to_string(),
    ]
}

/// The mnemonics of a block in at most `room` characters.
fn mnemonics(bytes: &[u8], room: usize) -> String {
    let mut text = String::new();
    for instruction in &mut intel_decoder(bytes, 0) {
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
    let binaries = store
        .call_and_wait(async |store| store.list_binaries().await)
        .or_user_error()?;
    Ok(binaries
        .into_iter()
        .map(|binary| (binary.id, binary.binary.name))
        .collect())
}
