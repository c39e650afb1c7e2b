//! What need not be written because the code tells it, and what a CPU's answer says on every CPU.

use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::Case;
use snippex_core::decode::{Control, control_flow, instructions_in, intel_decoder};
use snippex_core::effects::{BlockEffects, Precision};
use snippex_core::observation::Observation;

/// The block that these bytes are at this address, if nothing else is said.
pub(super) fn derive_block(address: u64, bytes: Vec<u8>) -> Block {
    let instructions: Vec<_> = instructions_in(&bytes, address)
        .map(|found| found.instruction)
        .collect();
    let last = instructions.last();
    let terminator = last.map_or(Terminator::FallThrough, |last| match control_flow(last) {
        // What does not decode is refused by the processor.
        _ if last.is_invalid() => Terminator::Trap,
        Control::Next => Terminator::FallThrough,
        Control::End(terminator) => terminator,
    });
    let mut block = Block {
        address,
        instruction_count: u32::try_from(instructions.len()).unwrap_or(u32::MAX),
        terminator,
        successors: Vec::new(),
        origin: Origin::Entry,
        unrunnable: None,
        bytes,
    };
    block.successors = derive_successors(&block);
    block
}

/// Where control goes from `block`, as its terminator and its last instruction tell.
pub(super) fn derive_successors(block: &Block) -> Vec<u64> {
    let target = || {
        let mut decoder = intel_decoder(&block.bytes, block.address);
        decoder.iter().last().map(|last| last.near_branch_target())
    };
    match block.terminator {
        Terminator::FallThrough | Terminator::Syscall => vec![block.end_address()],
        Terminator::Jcc | Terminator::Loop => target().into_iter().chain([block.end_address()]).collect(),
        Terminator::Jmp | Terminator::Call => target().into_iter().collect(),
        Terminator::IndirectJmp | Terminator::IndirectCall | Terminator::Ret | Terminator::Trap => Vec::new(),
    }
}

/// `observation` with every open bit as it was at the start.
pub(super) fn reset_open_bits(case: &Case, mut observation: Observation) -> Observation {
    let effects = BlockEffects::new(&case.block);
    let mask = effects.mask_at_endpoint(case, &observation.endpoint, &observation.state);
    let (start, end) = (&case.state, &mut observation.state);
    for (register, open) in mask.gpr.iter().enumerate() {
        merge(&mut end.gpr[register], start.gpr[register], open.mask);
    }
    for (register, open) in mask.opmask.iter().enumerate() {
        merge(&mut end.opmask[register], start.opmask[register], open.mask);
    }
    merge(&mut end.rflags, start.rflags, mask.flag_bits());
    for (register, open) in mask.vectors.iter().enumerate() {
        for byte in (0..64).filter(|byte| open.mask & (1 << byte) != 0) {
            end.vectors[register][byte] = start.vectors[register][byte];
        }
    }
    let word = |end: u16, start: u16, open: u64| {
        let mut word = u64::from(end);
        merge(&mut word, u64::from(start), open);
        word as u16
    };
    let top = end.x87.top();
    end.x87.status = word(end.x87.status, start.x87.status, u64::from(mask.status_bits()));
    end.x87.control = word(end.x87.control, start.x87.control, mask.control.mask);
    end.x87.tags = word(u16::from(end.x87.tags), u16::from(start.x87.tags), mask.tags.mask) as u8;
    end.mxcsr = (end.mxcsr & !(mask.mxcsr.mask as u32)) | (start.mxcsr & mask.mxcsr.mask as u32);
    for (physical, precision) in (0u8..).zip(mask.st) {
        if matches!(precision, Precision::Open(_)) {
            let place = |top: u8| usize::from(physical.wrapping_sub(top) & 7);
            end.x87.st[place(top)] = start.x87.st[place(start.x87.top())];
        }
    }
    observation.memory.retain_mut(|line| {
        let before = initial_line_at(case, line.address);
        for (offset, byte) in line.bytes.iter_mut().enumerate() {
            let (open, _) = mask.memory_at(line.address + offset as u64);
            *byte = (*byte & !open) | (before[offset] & open);
        }
        line.bytes != before
    });
    observation
}

/// Takes the bits of `from` where `mask` is set.
fn merge(into: &mut u64, from: u64, mask: u64) {
    *into = (*into & !mask) | (from & mask);
}

/// The line of memory at `address` as the case has it; zeros where it has none.
pub(crate) fn initial_line_at(case: &Case, address: u64) -> [u8; 64] {
    let base = address & !0xfff;
    let page = case.pages.binary_search_by_key(&base, |page| page.address);
    page.map_or([0; 64], |index| {
        let offset = (address & 0xfc0) as usize;
        case.pages[index].content[offset..offset + 64]
            .try_into()
            .expect("a line lies in one page")
    })
}
