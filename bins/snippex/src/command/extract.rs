//! `snippex extract`: find the blocks of programs and store them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use cli_kit::{ExitStatus, Failure, Format, OrFail, units};
use serde::Serialize;
use serde_json::{Value, json};
use snippex_blocks::extract::{BlockIndex, Statistics, extract_blocks};
use snippex_blocks::select::select_blocks;
use snippex_core::block::Block;
use snippex_core::words::escape_control;

use crate::app::App;
use crate::args::ExtractArgs;
use crate::choosing::{build_target_choice, selection_view, warn_of_choice};
use crate::hints::{OrUserError, UserError};
use snippex_report::selection::SelectionView;
use snippex_report::{self as report, BlockView, format_count, format_number};
use snippex_session::{
    BinaryFile, NamedProgram, ProgramName, SessionError, StoredSelection, TargetChoice, each_program,
    store_blocks,
};

/// The answer for programs.
#[derive(Debug, Serialize)]
struct ExtractReport<'a> {
    binary: &'a str,
    path: &'a str,
    sha256: &'a str,
    format: &'a str,
    size: u64,
    blocks: usize,
    matching: usize,
    chosen: usize,
    /// Blocks stored that were not there before; missing in a dry run.
    stored_new: Option<u64>,
    first_number: Option<i64>,
    last_number: Option<i64>,
    statistics: Statistics,
    #[serde(skip_serializing_if = "Option::is_none")]
    selection: Option<&'a SelectionView>,
}

pub(crate) fn run(app: &App<'_>, args: &ExtractArgs) -> Result<ExitStatus, Failure> {
    let choice = build_target_choice(&args.filter, &args.select, args.seed)?;
    let may_be_several = |name: &PathBuf| ProgramName::parse(name).may_name_several();
    let several = args.binaries.len() > 1 || args.binaries.iter().any(may_be_several);
    let mut answers = Vec::new();
    let mut status = ExitStatus::NothingFound;
    each_program(&args.binaries, |NamedProgram { path, file }| {
        let usable = file.and_then(|file| file.parse_image().map(drop).map(|()| file));
        match usable {
            Ok(file) => answers.push(extract_one(app, args, &choice, &file)?),
            Err(error) if several => {
                status = ExitStatus::CouldNot;
                answers.push(leave_out(app, &path, &error)?);
            }
            Err(error) => return Err(error.user_error()),
        }
        Ok(())
    })?;
    if app.format == Format::Json {
        match &answers[..] {
            [answer] if !several => app.printer.print_json(answer)?,
            answers => app.printer.print_json(&answers)?,
        }
    }
    Ok(status)
}

/// Says of one of several programs why it cannot be used.
fn leave_out(app: &App<'_>, path: &Path, error: &SessionError) -> Result<Value, Failure> {
    let path = escape_control(&path.to_string_lossy()).into_owned();
    let problem = error.user_error().to_string();
    let answer = json!({"path": path, "problem": problem});
    match app.format {
        Format::Json => {}
        Format::Jsonl => app.printer.print_json_line(&answer)?,
        Format::Human => app
            .printer
            .print_line(format_args!("{path}: left out: {problem}"))?,
    }
    Ok(answer)
}

/// Extracts and stores the blocks of one program, and tells about it; what is to stand in an answer of one document is given back.
fn extract_one(
    app: &App<'_>,
    args: &ExtractArgs,
    choice: &TargetChoice,
    file: &BinaryFile,
) -> Result<Value, Failure> {
    let image = file.parse_image().or_user_error()?;
    let progress = app.printer.start_progress("extracting", None);
    progress.set_message(file.path());
    let started = Instant::now();
    let index = extract_blocks(&image);
    let elapsed = started.elapsed();
    let selection = select_blocks(&index, &choice.filter, &choice.request);
    warn_of_choice(app, file, index.len(), selection.numbers.len());
    let binary = file.to_new_binary(&image);
    let blocks: Vec<Block> = selection
        .numbers
        .iter()
        .filter_map(|&number| index.get(number))
        .collect();
    let (added, blocks) = if args.dry_run || blocks.is_empty() {
        (None, blocks)
    } else {
        progress.set_message(format_args!(
            "storing {}",
            format_count(blocks.len() as u64, "block")
        ));
        let (added, blocks) = store_blocks(&app.open_store()?, &binary, blocks).or_user_error()?;
        (Some(added), blocks)
    };
    drop(progress);
    let selection = StoredSelection::new(selection, added.as_ref());
    let view = choice.keep_report.then(|| selection_view(&selection));
    let numbers = added
        .as_ref()
        .map(|added| added.numbers.iter().map(|number| number.0));
    let answer = ExtractReport {
        binary: &binary.name,
        path: &binary.path,
        sha256: &binary.sha256,
        format: &binary.format,
        size: binary.size,
        blocks: index.len(),
        matching: selection.report.matching,
        chosen: blocks.len(),
        stored_new: added.as_ref().map(|added| added.new),
        first_number: numbers.clone().and_then(Iterator::min),
        last_number: numbers.and_then(Iterator::max),
        statistics: *index.statistics(),
        selection: view.as_ref(),
    };
    match app.format {
        Format::Json => {}
        Format::Jsonl => {
            for (number, block) in added.iter().flat_map(|added| &added.numbers).zip(&blocks) {
                app.printer
                    .print_json_line(&BlockView::new(number.0, block, &binary.name))?;
            }
            app.printer.print_json_line(&answer)?;
        }
        Format::Human => {
            let size = units::format_bytes(binary.size);
            let took = units::format_duration(elapsed);
            app.printer.print_line(format_args!(
                "{}: {} in {size}, found in {took}",
                binary.path,
                format_count(index.len() as u64, "block")
            ))?;
            app.printer.print_line(origins(&index))?;
            app.printer.print_line(summary_text(&answer, args.dry_run))?;
            if args.select.selection_report {
                let report =
                    report::selection::render_selection_report(&selection.report, app.printer.width());
                app.printer.print_text(format_args!("\n{report}"))?;
            }
        }
    }
    serde_json::to_value(&answer).or_fail("cannot write the answer as JSON")
}

fn origins(index: &BlockIndex<'_, '_>) -> String {
    let statistics = index.statistics();
    let share = report::format_percent(statistics.sweep_bytes, statistics.code_bytes);
    let unrunnable = index.entries().filter(|entry| entry.unrunnable.is_some()).count() as u64;
    format!(
        "  {}, {}, {}\n  {share} of the code found by linear sweep; {} cannot be run",
        format_count(statistics.functions, "function"),
        format_count(statistics.instructions, "instruction"),
        format_count(statistics.jump_tables, "jump table"),
        format_count(unrunnable, "block"),
    )
}

fn summary_text(answer: &ExtractReport<'_>, dry_run: bool) -> String {
    let (matching, chosen) = (
        format_number(answer.matching as u64),
        format_count(answer.chosen as u64, "block"),
    );
    match (answer.first_number, answer.last_number, answer.stored_new) {
        (Some(first), Some(last), Some(new)) => {
            format!(
                "stored {chosen} ({} new) of {matching} matching, numbers {first} to {last}",
                format_number(new)
            )
        }
        _ if dry_run => format!("{matching} match, {chosen} would be stored"),
        _ => "nothing stored".to_owned(),
    }
}
