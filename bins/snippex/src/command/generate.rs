//! `snippex generate`: blocks from the instruction set instead of from a program.

use cli_kit::{ExitStatus, Failure, Format};
use serde::Serialize;
use snippex_blocks::generate::StartRequest;

use crate::app::App;
use crate::args::GenerateArgs;
use crate::generating;
use crate::hints::OrUserError;
use snippex_report::coverage::{self, CoverageView};
use snippex_report::{BlockView, format_count, format_number};
use snippex_session::{Generated, SessionOptions, coverage_of_forms};

/// The answer for programs.
#[derive(Debug, Serialize)]
struct GenerateReport<'a> {
    binary: &'a str,
    sha256: &'a str,
    forms: usize,
    blocks: usize,
    seed: u64,
    /// Blocks stored that were not there before; missing in a dry run.
    stored_new: Option<u64>,
    first_number: Option<i64>,
    last_number: Option<i64>,
    /// What the reference could run of them.
    coverage: CoverageView<'a>,
}

pub(crate) fn run(app: &App<'_>, args: &GenerateArgs) -> Result<ExitStatus, Failure> {
    let request = generating::build_generation_request(&args.forms, args.seed)?;
    // Which forms can be run is the reference's to say.
    let reference = app
        .engine_names()
        .choose_engine(&app.settings.value.reference)
        .or_user_error()?
        .start_engine()
        .or_user_error()?;
    let cpu = &reference.identity().cpu;
    let mut made = Generated::new(request);
    let mut coverage = coverage_of_forms(
        &made.forms,
        None,
        &|feature| cpu.has_enabled_feature(feature),
        None,
    );
    let starts = StartRequest {
        seed: args.seed,
        states: SessionOptions::default().states,
    };
    coverage.add_blocks(made.blocks.iter(), starts);
    let binary = made.to_new_binary();
    let added = if args.dry_run {
        None
    } else {
        made.store_blocks(&app.open_store()?).or_user_error()?
    };
    let numbers = added
        .as_ref()
        .map(|added| added.numbers.iter().map(|number| number.0));
    let answer = GenerateReport {
        binary: &binary.name,
        sha256: &binary.sha256,
        forms: made.forms.len(),
        blocks: made.blocks.len(),
        seed: args.seed,
        stored_new: added.as_ref().map(|added| added.new),
        first_number: numbers.clone().and_then(Iterator::min),
        last_number: numbers.and_then(Iterator::max),
        coverage: CoverageView::new(&coverage),
    };
    match app.format {
        Format::Json => app.printer.print_json(&answer)?,
        Format::Jsonl => {
            for (number, block) in added.iter().flat_map(|added| &added.numbers).zip(&made.blocks) {
                app.printer
                    .print_json_line(&BlockView::new(number.0, block, &binary.name))?;
            }
            app.printer.print_json_line(&answer)?;
        }
        Format::Human => {
            app.printer
                .print_line(coverage::render_coverage(&coverage, app.printer.width()))?;
            app.printer.print_line(summary_text(&answer))?;
        }
    }
    Ok(ExitStatus::NothingFound)
}

fn summary_text(answer: &GenerateReport<'_>) -> String {
    let (blocks, forms) = (
        format_count(answer.blocks as u64, "block"),
        format_count(answer.forms as u64, "form"),
    );
    match (answer.first_number, answer.last_number, answer.stored_new) {
        (Some(first), Some(last), Some(new)) => format!(
            "stored {blocks} of {forms} ({} new) as {}, numbers {first} to {last}",
            format_number(new),
            answer.binary
        ),
        _ => format!("{blocks} of {forms} would be stored as {}", answer.binary),
    }
}
