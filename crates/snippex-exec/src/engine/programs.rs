//! Running whole programs: many in a process, each in memory of its own. 32-bit ones are for [`program_32`].

use snippex_core::observation::{Endpoint, Signal};
use snippex_core::state::Components;
use snippex_formats::conformance::{ProgramEnd, TestMode, TestProgram};
use snippex_runner::layout::{AT_RIP_READ, EXIT_FAULT};

use super::attempts::{Attempt, By};
use super::{EngineError, RunnerEngine, program_32};
use crate::end_state::EndState;
use crate::guest_space::AddressSpace;
use crate::plan::Library;
use crate::program_plan::{LaidOut, ProgramPlan, count_fitting_programs};
use crate::results::{EXIT_DIED, EXIT_HUNG, EXIT_UNMAPPABLE, Unsupported};

/// What an engine made of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramOutcome {
    /// It ran, for better or worse.
    Ended(Box<ProgramEnd>),
    /// It was not run: neither an error nor a difference.
    Unsupported(Unsupported),
}

/// As [`super::Engine::run_programs`].
pub(super) fn run_test_programs(
    engine: &mut RunnerEngine,
    programs: &[TestProgram],
) -> Result<Vec<ProgramOutcome>, EngineError> {
    let mut outcomes: Vec<Option<ProgramOutcome>> = vec![None; programs.len()];
    for (program, outcome) in programs.iter().zip(&mut outcomes) {
        if program.mode == TestMode::Bits32 {
            *outcome = Some(program_32::run_program_32(engine, program)?);
        }
    }
    if outcomes.iter().any(Option::is_none) {
        run_programs_64(engine, programs, &mut outcomes)?;
    }
    let complete = "every program has been laid out and run";
    Ok(outcomes
        .into_iter()
        .map(|outcome| outcome.expect(complete))
        .collect())
}

/// Runs those of `programs` that have no outcome.
fn run_programs_64(
    engine: &mut RunnerEngine,
    programs: &[TestProgram],
    outcomes: &mut [Option<ProgramOutcome>],
) -> Result<(), EngineError> {
    if !engine.space.is_empty() {
        // Blocks have mapped what programs may want.
        engine.process = None;
        engine.space = AddressSpace::default();
    }
    // What blocks keep in the file is overwritten.
    engine.library = Library::new();
    let mut laid_out = Vec::new();
    let wanted = programs.iter().zip(&mut *outcomes);
    for (program, outcome) in wanted.filter(|(_, outcome)| outcome.is_none()) {
        match program.page_extents() {
            Ok(extents) => laid_out.push(LaidOut { program, extents }),
            Err(_) => *outcome = Some(ProgramOutcome::Unsupported(Unsupported::Address)),
        }
    }
    let mut rest = &laid_out[..];
    let mut places = outcomes.iter_mut().filter(|outcome| outcome.is_none());
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(count_fitting_programs(rest));
        for (outcome, place) in run_batch(engine, batch)?.into_iter().zip(&mut places) {
            *place = Some(outcome);
        }
        rest = after;
    }
    Ok(())
}

fn run_batch(engine: &mut RunnerEngine, batch: &[LaidOut<'_>]) -> Result<Vec<ProgramOutcome>, EngineError> {
    let mut plan = ProgramPlan::write_programs(&mut engine.shared, batch);
    engine.line_count = 0;
    let end = batch.len() as u32;
    let mut first = 0;
    while first < end {
        match attempt(engine, &mut plan, first, end)? {
            Attempt::Done => break,
            Attempt::Refused { step } => {
                let program = plan.program_of_step(step).unwrap_or(first);
                mark(engine, &plan, program, EXIT_UNMAPPABLE, 0);
                first = program + 1;
            }
            Attempt::Died { run, exit, signal } if exit == EXIT_HUNG => {
                mark(engine, &plan, run, exit, signal);
                first = run + 1;
            }
            // Alone in a fresh process: an earlier program may have done the damage.
            Attempt::Died { run, .. } => {
                if let Attempt::Died { exit, signal, .. } = attempt(engine, &mut plan, run, run + 1)? {
                    mark(engine, &plan, run, exit, signal);
                }
                first = run + 1;
            }
            // The guilty one is not known: each alone.
            Attempt::Corrupted => {
                for run in first..end {
                    engine.process = None;
                    match attempt(engine, &mut plan, run, run + 1)? {
                        Attempt::Done => {}
                        Attempt::Refused { .. } => mark(engine, &plan, run, EXIT_UNMAPPABLE, 0),
                        Attempt::Died { exit, signal, .. } => mark(engine, &plan, run, exit, signal),
                        Attempt::Corrupted => mark(engine, &plan, run, EXIT_DIED, 0),
                    }
                }
                break;
            }
        }
    }
    let components = engine.identity.components;
    let ends = plan.end_states(&engine.shared);
    let outcomes = batch.iter().enumerate();
    Ok(outcomes
        .map(|(index, laid_out)| outcome(ends.get(index), laid_out.program, components))
        .collect())
}

fn attempt(
    engine: &mut RunnerEngine,
    plan: &mut ProgramPlan,
    first: u32,
    end: u32,
) -> Result<Attempt, EngineError> {
    engine.ensure_process()?;
    engine.mapped = plan.write_mapping_steps(&mut engine.shared, &engine.mapped, first, end);
    engine.ring_doorbell(By::Process, first, end)
}

fn mark(engine: &mut RunnerEngine, plan: &ProgramPlan, program: u32, exit: u32, signal: u32) {
    let output = &mut plan.outputs_mut(&mut engine.shared)[program as usize];
    output.exit = exit;
    output.fault.signal = signal;
}

fn outcome(run: EndState<'_>, program: &TestProgram, components: Components) -> ProgramOutcome {
    let output = run.output;
    let endpoint = match output.exit {
        EXIT_UNMAPPABLE => return ProgramOutcome::Unsupported(Unsupported::Address),
        EXIT_FAULT => Endpoint::Signal(Signal {
            number: output.fault.signal as u8,
            code: output.fault.code,
            rip: output.fault.rip,
            address: output.fault.address,
            write: output.fault.error & 2 != 0,
        }),
        EXIT_HUNG => Endpoint::Hung,
        EXIT_DIED => Endpoint::EngineDied {
            signal: (output.fault.signal != 0).then_some(output.fault.signal as i32),
        },
        _ => Endpoint::EngineDied { signal: None },
    };
    let mut end = ProgramEnd {
        endpoint,
        at_rip: None,
        state: program.state.clone(),
        covered: Components::ALL,
    };
    if output.exit == EXIT_FAULT {
        run.apply_to_state(&mut end.state, components);
        end.at_rip = (output.at_rip & AT_RIP_READ != 0).then_some(output.at_rip as u8);
    }
    ProgramOutcome::Ended(Box::new(end))
}
