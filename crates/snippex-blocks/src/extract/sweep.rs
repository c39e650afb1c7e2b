//! Linear sweep over what control flow did not reach. What it finds may be data.

use iced_x86::{Instruction, Mnemonic};

use super::code::{CodeRegions, Position};
use super::plausible::is_odd_instruction;
use super::trace::Tracer;
use snippex_core::block::{Origin, Terminator};
use snippex_core::decode::{Control, control_flow, intel_decoder};

/// Fills every gap of the code; padding is skipped.
pub(super) fn sweep_gaps(tracer: &mut Tracer<'_, '_>) {
    let mut targets = Vec::new();
    for region in tracer.code.regions.clone() {
        let mut position = region.base;
        while position < region.end_position() {
            let start = tracer
                .code
                .find_position(position, region.end_position(), |code, at| !code.is_covered(at));
            let end = tracer
                .code
                .find_position(start, region.end_position(), CodeRegions::is_covered);
            fill_gap(&mut tracer.code, start, end, &mut targets);
            position = end;
        }
    }
    // A branch within swept code splits it, but never what control flow found.
    for target in targets {
        if tracer.code.is_swept(target) && tracer.code.is_instruction(target) {
            tracer.code.mark_leader(target, Origin::Sweep);
        }
    }
}

/// Where functions begin, most likely.
const ALIGNMENT: u64 = 16;

/// What was decoded since the last padding before an aligned address: a function, or a table.
#[derive(Default)]
struct Stretch {
    /// Blocks, each as its instructions' places and lengths.
    blocks: Vec<Vec<(Position, usize)>>,
    targets: Vec<Position>,
    /// It has bytes that do not decode, or decode to what nobody writes: all of it is data, most likely.
    is_data: bool,
}

impl Stretch {
    /// Ends it: what it has is code unless something spoke against that.
    fn take_as_code(&mut self, code: &mut CodeRegions<'_>, targets: &mut Vec<Position>) {
        let ended = std::mem::take(self);
        if ended.is_data {
            return;
        }
        for block in ended.blocks {
            code.mark_leader(block[0].0, Origin::Sweep);
            for (at, length) in block {
                code.mark_swept(at, length);
            }
        }
        targets.extend(ended.targets);
    }
}

/// Decodes one gap block by block. A block that runs out of the gap into the middle of an instruction is dropped, and so is a
/// whole stretch between paddings in which something is no code.
fn fill_gap(code: &mut CodeRegions<'_>, start: Position, end: Position, targets: &mut Vec<Position>) {
    let mut block: Vec<(Position, usize)> = Vec::new();
    let mut stretch = Stretch::default();
    let mut position = start;
    let mut decoder = intel_decoder(
        &code.bytes_from(start)[..(end - start) as usize],
        code.address_of(start),
    );
    let mut instruction = Instruction::default();
    while position < end {
        if block.is_empty() {
            let padding = padding(&code.bytes_from(position)[..(end - position) as usize]);
            if padding > 0 {
                position += padding as Position;
                if code.address_of(position).is_multiple_of(ALIGNMENT) {
                    stretch.take_as_code(code, targets);
                }
                continue;
            }
        }
        decoder
            .set_position((position - start) as usize)
            .expect("the position lies in the gap");
        decoder.set_ip(code.address_of(position));
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            stretch.is_data = true;
            block.clear();
            position += 1;
            continue;
        }
        stretch.is_data |= is_odd_instruction(&instruction);
        block.push((position, instruction.len()));
        position += instruction.len() as Position;
        let control = control_flow(&instruction);
        let joins = position == end && end < code.len() && code.is_leader(end);
        if control != Control::Next || joins {
            if let Control::End(Terminator::Jcc | Terminator::Jmp | Terminator::Loop | Terminator::Call) =
                control
            {
                let target = code.position_of(instruction.near_branch_target());
                stretch.targets.extend(target);
            }
            stretch.blocks.push(std::mem::take(&mut block));
        }
    }
    stretch.take_as_code(code, targets);
}

/// Bytes of padding that `bytes` begin with: NOPs, INT3, zeros.
fn padding(bytes: &[u8]) -> usize {
    let same = |value: u8| bytes.iter().take_while(|&&byte| byte == value).count();
    match bytes.first() {
        Some(0xcc | 0x90) => same(bytes[0]),
        // Two zeros decode to an addition; one alone begins an instruction as well, but never a block.
        Some(0) => same(0),
        Some(0x66 | 0x0f | 0x2e | 0xf3) => {
            let instruction = intel_decoder(&bytes[..bytes.len().min(15)], 0).decode();
            if instruction.mnemonic() == Mnemonic::Nop {
                instruction.len()
            } else {
                0
            }
        }
        _ => 0,
    }
}
