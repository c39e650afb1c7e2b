//! Lowering: a block's bytes made ready to execute at another address, with its exits leading into the runner.
//!
//! The body is copied; displacements relative to RIP are adjusted to reach the loaded image. The terminator is
//! executed as it is, but its direct targets become exit stubs: a conditional branch is widened to 32 bits (its
//! condition is what matters), a call still pushes its return address, an indirect branch goes where it goes.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};
use snippex_core::address_space::{CODE_DISTANCE, PAD_COUNT, PAD_SIZE, PADS};
use snippex_core::block::{Block, Terminator};
use snippex_core::case::Placement;
use snippex_runner::layout::{HEADER_BASE, Header, STUB_SIZE};
use thiserror::Error;

/// Number of the exit that a fall-through or a direct branch takes.
pub(crate) const EXIT_NEXT: u32 = 0;
/// Number of the exit for a taken conditional branch.
pub(crate) const EXIT_TAKEN: u32 = 1;
/// Numbers of the landing pads start here.
pub(crate) const EXIT_PADS: u32 = 0x100;

/// Why a block cannot be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LowerError {
    /// Extraction marked the block.
    #[error("the block depends on more than its case: {0:?}")]
    Unrunnable(snippex_core::block::Unrunnable),
    /// Its bytes do not decode, or its terminator is not what the block says.
    #[error("the block's bytes do not decode as the block says")]
    Malformed,
    /// A displacement relative to RIP does not reach from where the code executes.
    #[error("an operand relative to RIP is out of reach")]
    OutOfReach,
}

/// A block ready to execute.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// Run-time address of the first byte.
    pub address: u64,
    /// Code and exit stubs.
    pub bytes: Vec<u8>,
    /// Run-time targets of the direct exits: next, taken.
    pub targets: [u64; 2],
    /// Offset in `bytes` at which the exit stubs start.
    pub stubs: usize,
}

impl Lowered {
    /// Run-time address that control has when it leaves by exit `number`.
    #[must_use]
    pub fn target(&self, number: u32) -> Option<u64> {
        match number {
            EXIT_NEXT | EXIT_TAKEN => Some(self.targets[number as usize]),
            _ => {
                let pad = u64::from(number.checked_sub(EXIT_PADS)?);
                (pad < PAD_COUNT).then(|| PADS + pad * PAD_SIZE)
            }
        }
    }

    /// End of the bytes, exclusive.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.address.wrapping_add(self.bytes.len() as u64)
    }
}

/// Appends a stub that notes `exit` and goes to the capture routine, touching no register, flag or stack.
pub(crate) fn push_stub(bytes: &mut Vec<u8>, exit: u32) {
    let slot =
        |offset: usize| u32::try_from(HEADER_BASE + offset as u64).expect("the header lies below 2 GiB");
    let start = bytes.len();
    // mov dword ptr [exit], imm32
    bytes.extend([0xc7, 0x04, 0x25]);
    bytes.extend(slot(std::mem::offset_of!(Header, exit)).to_le_bytes());
    bytes.extend(exit.to_le_bytes());
    // jmp qword ptr [capture]
    bytes.extend([0xff, 0x24, 0x25]);
    bytes.extend(slot(std::mem::offset_of!(Header, capture)).to_le_bytes());
    debug_assert_eq!(bytes.len() - start, STUB_SIZE);
}

/// Lowers `block` for `placement`.
///
/// # Errors
/// When the block cannot be executed, and why.
pub fn lower(block: &Block, placement: Placement) -> Result<Lowered, LowerError> {
    if let Some(reason) = block.unrunnable {
        return Err(LowerError::Unrunnable(reason));
    }
    let address = block.address.wrapping_add(placement.code_base);
    let mut bytes = block.bytes.clone();
    let mut decoder = Decoder::with_ip(64, &block.bytes, block.address, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let mut last = 0;
    while decoder.can_decode() {
        last = decoder.position();
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            return Err(LowerError::Malformed);
        }
        let is_last = !decoder.can_decode();
        if !is_last && !matches!(instruction.flow_control(), FlowControl::Next) {
            return Err(LowerError::Malformed);
        }
        if instruction.is_ip_rel_memory_operand() {
            let offset = decoder.get_constant_offsets(&instruction).displacement_offset();
            let at = last + offset;
            let field = bytes.get_mut(at..at + 4).ok_or(LowerError::Malformed)?;
            let old = i32::from_le_bytes(field.try_into().expect("four bytes"));
            let distance = placement.image_base.wrapping_sub(placement.code_base) as i64;
            let new = i32::try_from(i64::from(old) + distance).map_err(|_| LowerError::OutOfReach)?;
            field.copy_from_slice(&new.to_le_bytes());
        }
    }
    if bytes.is_empty() {
        return Err(LowerError::Malformed);
    }
    let next = address.wrapping_add(block.bytes.len() as u64);
    let branch = || match instruction.op0_kind() {
        OpKind::NearBranch64 => Ok(instruction.near_branch64().wrapping_add(placement.code_base)),
        _ => Err(LowerError::Malformed),
    };
    let (targets, stubs) = match block.terminator {
        Terminator::FallThrough => {
            let stubs = bytes.len();
            push_stub(&mut bytes, EXIT_NEXT);
            ([next, next], stubs)
        }
        Terminator::Jcc => {
            let target = branch()?;
            bytes.truncate(last);
            // Jcc rel32 over the first stub to the second.
            let condition = instruction.condition_code() as u8;
            let code = jcc_opcode(condition).ok_or(LowerError::Malformed)?;
            bytes.extend([0x0f, code]);
            bytes.extend((STUB_SIZE as u32).to_le_bytes());
            let stubs = bytes.len();
            push_stub(&mut bytes, EXIT_NEXT);
            push_stub(&mut bytes, EXIT_TAKEN);
            ([next, target], stubs)
        }
        Terminator::Loop => {
            let target = branch()?;
            // Only an 8-bit form exists; the displacement is the last byte.
            *bytes.last_mut().expect("not empty") = STUB_SIZE as u8;
            let stubs = bytes.len();
            push_stub(&mut bytes, EXIT_NEXT);
            push_stub(&mut bytes, EXIT_TAKEN);
            ([next, target], stubs)
        }
        Terminator::Jmp => {
            let target = branch()?;
            bytes.truncate(last);
            bytes.extend([0xe9, 0, 0, 0, 0]);
            let stubs = bytes.len();
            push_stub(&mut bytes, EXIT_NEXT);
            ([target, target], stubs)
        }
        Terminator::Call => {
            let target = branch()?;
            // The displacement is the last four bytes; keeping the length keeps the return address.
            let at = bytes
                .len()
                .checked_sub(4)
                .filter(|&at| at > last)
                .ok_or(LowerError::Malformed)?;
            bytes[at..].fill(0);
            let stubs = bytes.len();
            push_stub(&mut bytes, EXIT_NEXT);
            ([target, target], stubs)
        }
        Terminator::IndirectJmp | Terminator::IndirectCall | Terminator::Ret | Terminator::Trap => {
            let stubs = bytes.len();
            ([next, next], stubs)
        }
        Terminator::Syscall => return Err(LowerError::Unrunnable(snippex_core::block::Unrunnable::Syscall)),
    };
    Ok(Lowered {
        address,
        bytes,
        targets,
        stubs,
    })
}

/// Second opcode byte of `Jcc rel32` for iced's condition number, which is not the encoding's.
fn jcc_opcode(condition: u8) -> Option<u8> {
    use iced_x86::ConditionCode as C;
    const ORDER: [C; 16] = [
        C::o,
        C::no,
        C::b,
        C::ae,
        C::e,
        C::ne,
        C::be,
        C::a,
        C::s,
        C::ns,
        C::p,
        C::np,
        C::l,
        C::ge,
        C::le,
        C::g,
    ];
    ORDER
        .iter()
        .position(|&code| code as u8 == condition)
        .map(|position| 0x80 + position as u8)
}

/// The landing pads: one stub each.
pub(crate) fn pads() -> Vec<u8> {
    let mut bytes = Vec::new();
    for pad in 0..PAD_COUNT {
        bytes.resize((pad * PAD_SIZE) as usize, 0xcc);
        push_stub(&mut bytes, EXIT_PADS + pad as u32);
    }
    bytes.resize((PAD_COUNT * PAD_SIZE) as usize, 0xcc);
    bytes
}

const _: () = assert!(
    CODE_DISTANCE < 1 << 31,
    "operands relative to RIP must reach back to the image"
);

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::*;
    use snippex_core::block::Origin;

    use super::*;

    fn block(terminator: Terminator, build: impl FnOnce(&mut CodeAssembler)) -> Block {
        let mut assembler = CodeAssembler::new(64).unwrap();
        build(&mut assembler);
        Block {
            address: 0x1000,
            bytes: assembler.assemble(0x1000).unwrap(),
            instruction_count: 0,
            terminator,
            successors: vec![],
            origin: Origin::Symbol,
            unrunnable: None,
        }
    }

    fn placement() -> Placement {
        Placement {
            image_base: 0x2_0000_0000,
            code_base: 0x2_4000_0000,
        }
    }

    #[test]
    fn every_condition_keeps_its_meaning() {
        for opcode in 0x70..=0x7f_u8 {
            let block = Block {
                bytes: vec![opcode, 0x10],
                ..block(Terminator::Jcc, |_| ())
            };
            let lowered = lower(&block, placement()).unwrap();
            assert_eq!(lowered.bytes[..2], [0x0f, opcode + 0x10]);
            assert_eq!(lowered.targets, [0x2_4000_1002, 0x2_4000_1012]);
        }
    }

    #[test]
    fn operands_relative_to_rip_still_reach_the_image() {
        // mov rax, [rip + 0x2000]
        let block = Block {
            bytes: vec![0x48, 0x8b, 0x05, 0x00, 0x20, 0, 0],
            ..block(Terminator::FallThrough, |_| ())
        };
        let lowered = lower(&block, placement()).unwrap();
        let instruction = Decoder::with_ip(64, &lowered.bytes, lowered.address, 0).decode();
        assert_eq!(instruction.ip_rel_memory_address(), 0x2_0000_1007 + 0x2000);
    }

    #[test]
    fn a_call_keeps_its_length() {
        let block = block(Terminator::Call, |a| a.call(0x5000_u64).unwrap());
        let lowered = lower(&block, placement()).unwrap();
        assert_eq!(lowered.stubs, 5);
        assert_eq!(lowered.targets[0], 0x2_4000_5000);
        assert_eq!(lowered.bytes[..5], [0xe8, 0, 0, 0, 0]);
    }

    #[test]
    fn what_is_not_a_block_is_refused() {
        let two = block(Terminator::FallThrough, |a| {
            a.ret().unwrap();
            a.nop().unwrap();
        });
        assert_eq!(lower(&two, placement()).unwrap_err(), LowerError::Malformed);
        let empty = Block {
            bytes: vec![],
            ..two.clone()
        };
        assert_eq!(lower(&empty, placement()).unwrap_err(), LowerError::Malformed);
        let garbage = Block {
            bytes: vec![0x06],
            ..two
        };
        assert_eq!(lower(&garbage, placement()).unwrap_err(), LowerError::Malformed);
    }
}
