//! How a run ended and what it left, read from what guest and host have noted of it.

use snippex_core::block::Terminator;
use snippex_core::group::Group;
use snippex_core::observation::{ChangedLine, Endpoint, Observation, Signal};
use snippex_core::observation::{SIGSEGV, SIGTRAP};
use snippex_core::state::Components;
use snippex_runner::layout::{EXIT_FAULT, EXIT_NONE, PAGE, RunOutput, WireLine};

use super::{
    EXIT_ABANDONED, EXIT_DIED, EXIT_HUNG, EXIT_RUNNER, EXIT_UNMAPPABLE, EXIT_X87_TOP, RUNNER_FAULT,
    RunOutcome, Unsupported, X87_TOP,
};
use crate::end_state::EndState;
use crate::guest_space::AddressSpace;
use crate::lower::{EXIT_NEXT, EXIT_PADS, EXIT_TAKEN, Lowered};

const TRAP_TRACE: i32 = 2;
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;

/// Pages that were out of reach for blocks that do not have them, though something was mapped there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ParkedPages<'e> {
    /// As the guest's address space remembers them.
    Space(&'e AddressSpace),
    /// Those that a run of the batch asked for, in ascending order.
    Listed(&'e [u64]),
}

impl ParkedPages<'_> {
    pub(crate) fn contains_page(self, page: u64) -> bool {
        match self {
            Self::Space(space) => space.was_parked(page),
            Self::Listed(pages) => pages.binary_search(&page).is_ok(),
        }
    }

    /// Those among the pages that `outputs` faulted at, in ascending order: no others are ever asked for.
    pub(super) fn asked_for(self, outputs: &[RunOutput]) -> Vec<u64> {
        let faulted = outputs.iter().filter(|output| is_access_fault(output));
        let mut pages: Vec<u64> = faulted
            .map(|output| output.fault.address & !(PAGE - 1))
            .filter(|&page| self.contains_page(page))
            .collect();
        pages.sort_unstable();
        pages.dedup();
        pages
    }
}

/// Whether the run ended at a page that is mapped and out of reach.
fn is_access_fault(output: &RunOutput) -> bool {
    output.exit == EXIT_FAULT && output.fault.signal == u32::from(SIGSEGV) && output.fault.code == SEGV_ACCERR
}

pub(super) fn read_endpoint(
    group: &Group,
    lowered: &Lowered,
    output: &RunOutput,
    parked: ParkedPages<'_>,
) -> Option<Endpoint> {
    Some(match output.exit {
        EXIT_UNMAPPABLE | EXIT_X87_TOP | EXIT_ABANDONED | EXIT_RUNNER => return None,
        EXIT_HUNG => Endpoint::Hung,
        EXIT_DIED => Endpoint::EngineDied {
            signal: (output.fault.signal != 0).then_some(output.fault.signal as i32),
        },
        EXIT_NONE => Endpoint::EngineDied { signal: None },
        EXIT_FAULT => signal(group, lowered, output, parked),
        exit => match lowered.exit_target(exit) {
            Some(target) => Endpoint::Exit { target },
            // No stub says so: something else wrote there.
            None => Endpoint::EngineDied { signal: None },
        },
    })
}

fn signal(group: &Group, lowered: &Lowered, output: &RunOutput, parked: ParkedPages<'_>) -> Endpoint {
    let fault = &output.fault;
    let end = lowered.address + lowered.stubs as u64;
    let inside = (lowered.address..end).contains(&fault.rip);
    let indirect = matches!(
        group.block.terminator,
        Terminator::Ret | Terminator::IndirectCall | Terminator::IndirectJmp
    );
    // Fetching the first instruction at the target faulted: the jump itself was done, and where to is known.
    if indirect && fault.signal == u32::from(SIGSEGV) && fault.address == fault.rip && !inside {
        return Endpoint::Exit { target: fault.rip };
    }
    // All around the blocks of a batch is INT3, where a case has nothing: the same.
    let before = fault.rip.wrapping_sub(1);
    if indirect
        && fault.signal == u32::from(SIGTRAP)
        && fault.code != TRAP_TRACE
        && !(lowered.address..lowered.end_address()).contains(&before)
    {
        return Endpoint::Exit { target: before };
    }
    let mut rip = fault.rip;
    if fault.signal == u32::from(SIGTRAP) && rip >= end && rip < lowered.end_address() {
        // TF, set by the block, traps on the first instruction of a stub: in the program, at the exit's target.
        let stub = (rip - end) as usize / snippex_runner::layout::STUB_SIZE;
        rip = lowered.targets[if stub == 0 { EXIT_NEXT } else { EXIT_TAKEN } as usize];
    }
    let mut code = fault.code;
    let page = fault.address & !(PAGE - 1);
    if fault.signal == u32::from(SIGSEGV)
        && code == SEGV_ACCERR
        && parked.contains_page(page)
        && group
            .pages
            .binary_search_by_key(&page, |page| page.address)
            .is_err()
    {
        // For the case nothing is mapped there.
        code = SEGV_MAPERR;
    }
    Endpoint::Signal(Signal {
        number: fault.signal as u8,
        code,
        rip,
        address: fault.address,
        write: fault.signal == u32::from(SIGSEGV) && fault.error & 2 != 0,
    })
}

pub(super) fn read_outcome(
    group: &Group,
    index: usize,
    lowered: &Lowered,
    end: EndState<'_>,
    lines: &[WireLine],
    parked: ParkedPages<'_>,
    components: Components,
) -> RunOutcome {
    let Some(endpoint) = read_endpoint(group, lowered, end.output, parked) else {
        return RunOutcome::Unsupported(match end.output.exit {
            EXIT_X87_TOP => Unsupported::State(X87_TOP.into()),
            EXIT_RUNNER => Unsupported::State(RUNNER_FAULT.into()),
            EXIT_ABANDONED => Unsupported::Abandoned,
            _ => Unsupported::Address,
        });
    };
    let mut state = group.start_state(index);
    let mut memory = Vec::new();
    if matches!(endpoint, Endpoint::Exit { .. } | Endpoint::Signal(_)) {
        end.apply_to_state(&mut state, components);
        memory.extend(lines.iter().map(|line| ChangedLine {
            address: line.address,
            bytes: line.bytes,
        }));
    }
    RunOutcome::Ran(Box::new(Observation {
        endpoint,
        state,
        memory,
    }))
}

const _: () = assert!(EXIT_PADS > EXIT_TAKEN);
