//! `snippex compare`: two stored observations, or both sides of a divergence, side by side.

use cli_kit::style::{BAD, FAINT, GOOD, UNSURE};
use cli_kit::{ExitStatus, Failure, Format};
use serde::Serialize;
use serde_json::json;
use snippex_core::case::Case;
use snippex_core::diff::{Comparison, Difference, InconclusiveReason, Value, compare_observations};
use snippex_core::observation::Observation;
use snippex_store::{BlockNumber, DivergenceId, EngineId, StoreHandle};

use crate::app::App;
use crate::args::{CompareArgs, HexFormatArg};
use crate::hints::OrUserError;
use snippex_core::words::difference_sentence;
use snippex_core::words::kebab_case;
use snippex_report::disassembly::{Disassembler, Syntax};
use snippex_report::ends::EndsView;
use snippex_report::format_count;
use snippex_report::state::{MemoryLine, MemoryOptions, View, memory_lines};

/// The answer for programs.
#[derive(Debug, Serialize)]
struct CompareReport {
    block: BlockNumber,
    state: u32,
    /// The engine that is taken as right; the first of the ends.
    expected: String,
    actual: String,
    comparison: serde_json::Value,
    /// The bits of each difference that count.
    differing_bits: Vec<DifferingBits>,
    /// Lines of memory that an end changed.
    memory: Vec<MemoryLine>,
    #[serde(flatten)]
    ends: EndsView,
}

/// The bits of one difference that count.
#[derive(Debug, Serialize)]
struct DifferingBits {
    /// The part of the state, such as `rax`.
    name: String,
    /// Their positions, from 0, the lowest; in bytes, from the lowest of the first.
    bits: Vec<u32>,
}

impl DifferingBits {
    fn of(difference: &Difference) -> Self {
        let bytes = match &difference.differing {
            Value::Number(number) => number.to_le_bytes().to_vec(),
            Value::Bytes(bytes) => bytes.clone(),
            Value::None | Value::Endpoint(_) => Vec::new(),
        };
        let set = |bit: &u32| bytes[*bit as usize / 8] >> (bit % 8) & 1 != 0;
        Self {
            name: difference.name.clone(),
            bits: (0..bytes.len() as u32 * 8).filter(set).collect(),
        }
    }
}

/// What is compared.
struct Sides {
    block: BlockNumber,
    state_index: u32,
    case: Case,
    expected: (EngineId, Observation),
    actual: (EngineId, Observation),
    /// What a check found out.
    found: Option<ComparedCase>,
}

/// What a check that ran the block's prefixes knows better than a comparison of the ends can guess.
struct ComparedCase {
    kind: String,
    /// Form of the instruction at which the engines part.
    begins_at: Option<String>,
}

pub(crate) fn run(app: &App<'_>, args: &CompareArgs) -> Result<ExitStatus, Failure> {
    let store = app.existing_store()?;
    let sides = sides(&store, args)?;
    print_sides(app, &store, &sides, args)
}

/// Prints both sides of a stored divergence as `compare --divergence` does.
pub(crate) fn print_divergence(app: &App<'_>, store: &StoreHandle, id: DivergenceId) -> Result<(), Failure> {
    let args = CompareArgs {
        expected: None,
        actual: None,
        divergence: Some(id),
        show_all_registers: false,
        masked: false,
        flag_detail: false,
        hex_format: HexFormatArg::default(),
        memory_region: None,
        memory_diff_only: false,
    };
    print_sides(app, store, &sides(store, &args)?, &args).map(drop)
}

fn print_sides(
    app: &App<'_>,
    store: &StoreHandle,
    sides: &Sides,
    args: &CompareArgs,
) -> Result<ExitStatus, Failure> {
    let (reference, subject) = (sides.expected.0, sides.actual.0);
    let (reference, subject) = store
        .call_and_wait(async move |store| {
            Ok((
                store.load_engine(reference).await?,
                store.load_engine(subject).await?,
            ))
        })
        .or_user_error()?;
    let covered = reference.components.intersection(subject.components);
    let tolerance = app.engines.tolerance(&subject.name);
    let comparison = compare_observations(
        &sides.case,
        &sides.expected.1,
        &sides.actual.1,
        covered,
        &tolerance,
    );
    let memory = MemoryOptions {
        format: args.hex_format.into(),
        region: args.memory_region.clone(),
        differing_only: args.memory_diff_only,
    };
    if app.format == Format::Human {
        let block = &sides.case.block;
        app.printer.print_line(format_args!(
            "block {} at {:#x}, start state {}",
            sides.block, block.address, sides.state_index
        ))?;
        for line in Disassembler::new(Syntax::Intel)
            .or_user_error()?
            .disassemble_block(block)
        {
            app.printer.print_line(format_args!(
                "  {FAINT}{}  {:22}{FAINT:#}  {}",
                line.address, line.bytes, line.text
            ))?;
        }
        let view = View {
            case: &sides.case,
            ends: vec![
                (reference.name, &sides.expected.1),
                (subject.name, &sides.actual.1),
            ],
            covered,
            comparison: Some(&comparison),
            all: args.show_all_registers,
            masked: args.masked,
            flag_detail: args.flag_detail,
            memory: memory.clone(),
            color: app.printer.has_color(),
            width: app.printer.width(),
        };
        app.printer.print_line(format_args!(
            "\n{}\n\n{}",
            view.render_text(),
            told(
                &comparison,
                sides.found.as_ref(),
                args.masked || args.show_all_registers
            )
        ))?;
    } else {
        let differing_bits = match &comparison {
            Comparison::Diverged(divergence) => {
                divergence.differences.iter().map(DifferingBits::of).collect()
            }
            _ => Vec::new(),
        };
        let mut compared = json!(comparison);
        if let Some(found) = &sides.found
            && let Some(class) = compared.pointer_mut("/detail/class")
        {
            let culprit = found.begins_at.as_ref().map(|form| json!({"form": form}));
            *class = json!({"kind": found.kind, "culprit": culprit});
        }
        let ends = [
            (reference.name.clone(), &sides.expected.1),
            (subject.name.clone(), &sides.actual.1),
        ];
        let document = CompareReport {
            block: sides.block,
            state: sides.state_index,
            expected: reference.name,
            actual: subject.name,
            comparison: compared,
            differing_bits,
            memory: memory_lines(
                &sides.case,
                &[&sides.expected.1, &sides.actual.1],
                Some(&comparison),
                &memory,
            ),
            ends: EndsView::new(&sides.case, covered, ends),
        };
        match app.format {
            Format::Jsonl => app.printer.print_json_line(&document)?,
            _ => app.printer.print_json(&document)?,
        }
    }
    Ok(ExitStatus::from_found(matches!(
        comparison,
        Comparison::Diverged(_)
    )))
}

fn sides(store: &StoreHandle, args: &CompareArgs) -> Result<Sides, Failure> {
    if let Some(id) = args.divergence {
        let found = store
            .call_and_wait(async move |store| store.load_divergence(id).await)
            .or_user_error()?;
        return Ok(Sides {
            block: found.summary.block,
            state_index: found.summary.state_index,
            case: found.case,
            expected: (found.summary.reference, found.expected),
            actual: (found.summary.engine, found.actual),
            found: Some(ComparedCase {
                kind: found.summary.class,
                begins_at: found.summary.culprit,
            }),
        });
    }
    let (a, b) = args
        .expected
        .zip(args.actual)
        .expect("clap asks for both or a divergence");
    let read = |id| {
        store
            .call_and_wait(async move |store| store.load_observation(id).await)
            .or_user_error()
    };
    let (expected, actual) = (read(a)?, read(b)?);
    if expected.summary.case_id != actual.summary.case_id {
        return Err(Failure::new(format!(
            "observations {a} and {b} are of different cases: there is nothing to compare"
        ))
        .hint("run the same block with the same --seed and --states on both engines"));
    }
    Ok(Sides {
        block: expected.summary.block,
        state_index: expected.summary.state_index,
        case: expected.case,
        expected: (expected.summary.engine, expected.observation),
        actual: (actual.summary.engine, actual.observation),
        found: None,
    })
}

/// The verdict in words, and what the marks mean; with `masked` also the rules by which differences do not count.
fn told(comparison: &Comparison, found: Option<&ComparedCase>, masked: bool) -> String {
    match comparison {
        Comparison::Match(noted) if noted.is_empty() => format!("{GOOD}match{GOOD:#}: every bit agrees"),
        Comparison::Match(noted) => {
            let rules: Vec<&str> = noted.rules.keys().map(|rule| rule.info().id).collect();
            let mark = if masked {
                format!("{UNSURE}~{UNSURE:#} ")
            } else {
                String::new()
            };
            format!(
                "{GOOD}match{GOOD:#}: {mark}differs only where the manuals leave it open ({})",
                rules.join(", ")
            )
        }
        Comparison::Inconclusive(reason) => format!("{UNSURE}inconclusive{UNSURE:#}: {}", why(reason)),
        Comparison::Diverged(divergence) => {
            let class = &divergence.class;
            let kind = found.map_or_else(|| kebab_case(&class.kind), |found| found.kind.clone());
            // Without a check the last writer is a guess.
            let begins_at = found.and_then(|found| found.begins_at.as_ref());
            let culprit = match (begins_at, &class.culprit) {
                (Some(form), _) => format!(", beginning at {form}"),
                (None, Some(guess)) => {
                    format!(
                        ", probably by instruction {} ({})",
                        guess.instruction + 1,
                        guess.form
                    )
                }
                (None, None) => String::new(),
            };
            let count = format_count(divergence.differences.len() as u64, "difference");
            let mut text = format!("{BAD}diverged{BAD:#}: {kind}{culprit}; {BAD}!{BAD:#} marks {count}");
            for difference in &divergence.differences {
                text += &format!("\n  {}", difference_sentence(difference));
            }
            for rule in divergence.noted.rules.keys().filter(|_| masked) {
                text += &format!(
                    "\n  {UNSURE}~{UNSURE:#} {FAINT}{} ({}){FAINT:#}",
                    rule.info().what,
                    rule.info().reference
                );
            }
            text
        }
    }
}

fn why(reason: &InconclusiveReason) -> String {
    match reason {
        InconclusiveReason::ExpectedHung => "the run taken as right did not end".to_owned(),
        InconclusiveReason::ExpectedDied => "the engine taken as right died".to_owned(),
        InconclusiveReason::OpenEndpoint { .. } => {
            "a bit that the manuals leave open decides where the run ends".to_owned()
        }
        InconclusiveReason::OpenMemory { .. } => {
            "data that the manuals leave open was stored where it cannot be followed".to_owned()
        }
        InconclusiveReason::Deviation { id, .. } => {
            format!("the engine documents that it ends otherwise ({id})")
        }
    }
}
