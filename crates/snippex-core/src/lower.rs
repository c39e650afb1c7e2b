//! Lowering: a block's bytes made ready to execute at another address, with its exits leading into stubs.
//!
//! The body is copied; displacements relative to RIP are adjusted to reach the loaded image. The terminator is
//! executed as it is, but its direct targets become exit stubs: a conditional branch is widened to 32 bits (its
//! condition is what matters), a call still pushes its return address, an indirect branch goes where it goes. What a
//! stub is made of is for whoever executes the code to say.

use crate::decode::block_decoder;
use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind};
use thiserror::Error;

use crate::block::{Block, Terminator, Unrunnable};
use crate::case::Placement;
use crate::decode::{loads_segment, refused_reason};

/// Number of the exit that a fall-through or a direct branch takes.
pub const EXIT_NEXT: u32 = 0;
/// Number of the exit for a taken conditional branch.
pub const EXIT_TAKEN: u32 = 1;

/// Why a block cannot be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LowerError {
    /// Extraction marked the block.
    #[error("the block depends on more than its case: {0:?}")]
    Unrunnable(Unrunnable),
    /// Its bytes do not decode, or its terminator is not what the block says.
    #[error("the block's bytes do not decode as the block says")]
    Malformed,
    /// A displacement relative to RIP does not reach from where the code executes.
    #[error("an operand relative to RIP is out of reach")]
    OutOfReach,
}

/// What stands where a block is left: code that touches no register, flag or stack.
#[derive(Clone, Copy, Debug)]
pub struct Stub {
    /// Its size in bytes, below 128.
    pub size: u8,
    /// Appends the stub for the exit of this number.
    pub push: fn(&mut Vec<u8>, u32),
}

/// A block ready to execute.
#[derive(Clone, Debug)]
pub struct Code {
    /// Run-time address of the first byte.
    pub address: u64,
    /// Code and exit stubs.
    pub bytes: Vec<u8>,
    /// Run-time targets of the direct exits: next, taken.
    pub targets: [u64; 2],
    /// Offset in `bytes` at which the exit stubs start.
    pub stubs: usize,
    /// Whether it may load segment registers, which are no part of a case and have to be put back, or write their bases
    /// behind the runner's back.
    pub loads_segments: bool,
}

/// Lowers `block` for `placement`.
///
/// # Errors
/// When the block cannot be executed, and why.
pub fn lower_block(block: &Block, placement: Placement, stub: Stub) -> Result<Code, LowerError> {
    if let Some(reason) = block.unrunnable {
        return Err(LowerError::Unrunnable(reason));
    }
    let address = block.address.wrapping_add(placement.code_base);
    let mut bytes = block.bytes.clone();
    let mut decoder = block_decoder(block);
    let mut instruction = Instruction::default();
    let mut last = 0;
    let mut loads_segments = false;
    let mut is_refused = false;
    while decoder.can_decode() {
        last = decoder.position();
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            check_refused_end(block, last)?;
            is_refused = true;
            break;
        }
        loads_segments |= loads_segment(&instruction)
            || matches!(instruction.mnemonic(), Mnemonic::Wrfsbase | Mnemonic::Wrgsbase);
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
            (stub.push)(&mut bytes, EXIT_NEXT);
            ([next, next], stubs)
        }
        Terminator::Jcc => {
            let target = branch()?;
            bytes.truncate(last);
            // Jcc rel32 over the first stub to the second.
            let condition = instruction.condition_code() as u8;
            let code = jcc_opcode(condition).ok_or(LowerError::Malformed)?;
            bytes.extend([0x0f, code]);
            bytes.extend(u32::from(stub.size).to_le_bytes());
            let stubs = bytes.len();
            (stub.push)(&mut bytes, EXIT_NEXT);
            (stub.push)(&mut bytes, EXIT_TAKEN);
            ([next, target], stubs)
        }
        Terminator::Loop => {
            let target = branch()?;
            // Only an 8-bit form exists; the displacement is the last byte.
            *bytes.last_mut().expect("not empty") = stub.size;
            let stubs = bytes.len();
            (stub.push)(&mut bytes, EXIT_NEXT);
            (stub.push)(&mut bytes, EXIT_TAKEN);
            ([next, target], stubs)
        }
        Terminator::Jmp => {
            let target = branch()?;
            bytes.truncate(last);
            bytes.extend([0xe9, 0, 0, 0, 0]);
            let stubs = bytes.len();
            (stub.push)(&mut bytes, EXIT_NEXT);
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
            (stub.push)(&mut bytes, EXIT_NEXT);
            ([target, target], stubs)
        }
        // An engine that executes what it has to refuse goes on behind it.
        Terminator::Trap if is_refused => {
            loads_segments = true;
            let stubs = bytes.len();
            (stub.push)(&mut bytes, EXIT_NEXT);
            ([next, next], stubs)
        }
        Terminator::IndirectJmp | Terminator::IndirectCall | Terminator::Ret | Terminator::Trap => {
            let stubs = bytes.len();
            ([next, next], stubs)
        }
        Terminator::Syscall => return Err(LowerError::Unrunnable(Unrunnable::Syscall)),
    };
    Ok(Code {
        address,
        bytes,
        targets,
        stubs,
        loads_segments,
    })
}

/// Whether `block` may end in an encoding that does not decode, at offset `start`.
fn check_refused_end(block: &Block, start: usize) -> Result<(), LowerError> {
    if block.terminator != Terminator::Trap {
        return Err(LowerError::Malformed);
    }
    refused_reason(&block.bytes[start..]).map_or(Ok(()), |reason| Err(LowerError::Unrunnable(reason)))
}

/// Second opcode byte of `Jcc rel32` for iced's condition number, which is not the encoding's.
pub fn jcc_opcode(condition: u8) -> Option<u8> {
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
