//! `snippex disasm`: the instructions of stored blocks.

use std::collections::HashMap;

use cli_kit::style::{FAINT, HEADING, UNSURE};
use cli_kit::{ExitStatus, Failure, Format};
use serde::Serialize;
use snippex_store::StoredBlock;

use crate::app::App;
use crate::args::DisasmArgs;
use crate::hints::OrUserError;
use snippex_core::words::kebab_case;
use snippex_report::disassembly::{Disassembler, Exit, Line, block_exits};
use snippex_report::{BlockView, format_count};
use snippex_session::load_blocks;

/// A block with its instructions, for programs.
#[derive(Debug, Serialize)]
struct DisasmReport<'a> {
    block: BlockView<'a>,
    instructions: Vec<Line>,
    exits: Vec<Exit>,
}

pub(crate) fn run(app: &App<'_>, args: &DisasmArgs) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let blocks =
        load_blocks(&store, &args.blocks.selection, args.blocks.binary.as_deref()).or_user_error()?;
    let binaries = store
        .call_and_wait(async |store| store.list_binaries().await)
        .or_user_error()?;
    let names: HashMap<_, _> = binaries
        .into_iter()
        .map(|binary| (binary.id, binary.binary.name))
        .collect();
    let disassembler = Disassembler::new(args.syntax.into()).or_user_error()?;
    let answer = |stored: &StoredBlock| {
        let lines = disassembler.disassemble_block(&stored.block);
        (
            lines,
            block_exits(&stored.block),
            names.get(&stored.binary).map_or("?", String::as_str).to_owned(),
        )
    };
    let mut documents = Vec::new();
    for (index, stored) in blocks.iter().enumerate() {
        let (instructions, exits, name) = answer(stored);
        if app.format == Format::Human {
            let gap = if index == 0 { "" } else { "\n" };
            app.printer.print_text(format_args!(
                "{gap}{}",
                text(stored, &instructions, &exits, &name)
            ))?;
            continue;
        }
        let block = BlockView::new(stored.number.0, &stored.block, &name);
        let document = DisasmReport {
            block,
            instructions,
            exits,
        };
        if app.format == Format::Jsonl {
            app.printer.print_json_line(&document)?;
        } else {
            documents.push(serde_json::to_value(&document).expect("plain data is JSON"));
        }
        if app.printer.reader_is_gone() {
            break;
        }
    }
    if app.format == Format::Json {
        app.printer.print_json(&documents)?;
    }
    Ok(ExitStatus::NothingFound)
}

fn text(stored: &StoredBlock, lines: &[Line], exits: &[Exit], name: &str) -> String {
    let block = &stored.block;
    let mut text = format!(
        "{HEADING}block {}{HEADING:#}  {name} at {:#x}, {} in {}, found by {}\n",
        stored.number,
        block.address,
        format_count(u64::from(block.instruction_count), "instruction"),
        format_count(block.bytes.len() as u64, "byte"),
        kebab_case(&block.origin),
    );
    let digits = lines.iter().map(|line| line.address.len() - 2).max().unwrap_or(0);
    let longest = lines
        .iter()
        .map(|line| line.bytes.len() / 2 * 3)
        .max()
        .unwrap_or(0)
        .min(33);
    for line in lines {
        let address = &line.address[2..];
        let pairs: Vec<&str> = (0..line.bytes.len() / 2)
            .map(|pair| &line.bytes[2 * pair..2 * pair + 2])
            .collect();
        let bytes = pairs.join(" ");
        text += &format!(
            "  {FAINT}{address:>digits$}{FAINT:#}  {FAINT}{bytes:<longest$}{FAINT:#}  {}\n",
            line.text
        );
    }
    let exits: Vec<String> = exits
        .iter()
        .map(|exit| match &exit.address {
            Some(address) => format!("{} to {address}", exit.kind),
            None if exit.kind == "jumps" || exit.kind == "calls" => {
                format!("{} where the run tells", exit.kind)
            }
            None => exit.kind.to_owned(),
        })
        .collect();
    text += &format!("  {FAINT}->{FAINT:#} {}\n", exits.join(", "));
    if let Some(reason) = &block.unrunnable {
        text += &format!("  {UNSURE}not run{UNSURE:#}: {}\n", kebab_case(reason));
    }
    text
}
