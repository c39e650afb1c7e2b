//! Whether bytes that nothing vouches for read like a function a compiler wrote.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::code::{CodeRegions, Position};
use snippex_core::block::Terminator;
use snippex_core::decode::{Control, control_flow, intel_decoder, machine_part, unrunnable_reason};

/// Instructions looked at.
const LIMIT: usize = 48;

/// Whether the code at `position` decodes, up to its first way out, to instructions that compilers write and that
/// agree with what is already known to be code.
pub(super) fn plausible_function(code: &CodeRegions<'_>, position: Position) -> bool {
    if code.is_instruction(position) {
        return true;
    }
    let bytes = code.bytes_from(position);
    if code.is_covered(position) || bytes.starts_with(&[0, 0]) || bytes.starts_with(&[0xcc]) {
        return false;
    }
    let address = code.address_of(position);
    let mut decoder = intel_decoder(bytes, address);
    let mut instruction = Instruction::default();
    for count in 0..LIMIT {
        if !decoder.can_decode() {
            return false;
        }
        decoder.decode_out(&mut instruction);
        let Some(at) = code.position_of(instruction.ip()) else {
            return false;
        };
        if instruction.is_invalid() || code.is_interior(at) {
            return false;
        }
        if code.is_instruction(at) {
            return true;
        }
        if is_odd_instruction(&instruction) || (count == 0 && !first(&instruction)) {
            return false;
        }
        let Control::End(terminator) = control_flow(&instruction) else {
            continue;
        };
        let direct = matches!(
            terminator,
            Terminator::Jcc | Terminator::Loop | Terminator::Jmp | Terminator::Call
        );
        if direct
            && code
                .position_of(instruction.near_branch_target())
                .is_none_or(|target| code.is_interior(target))
        {
            return false;
        }
        match terminator {
            Terminator::Ret | Terminator::Jmp | Terminator::IndirectJmp => return true,
            Terminator::Trap => return count > 0,
            _ => {}
        }
    }
    true
}

/// Instructions with which functions begin.
fn first(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    match instruction.mnemonic() {
        M::Endbr64
        | M::Push
        | M::Mov
        | M::Lea
        | M::Xor
        | M::Test
        | M::Cmp
        | M::Movzx
        | M::Movsxd
        | M::Movsx => true,
        M::Jmp | M::Call | M::Ret | M::And | M::Or | M::Add | M::Shl | M::Shr | M::Imul | M::Nop | M::Neg => {
            true
        }
        M::Sub => true,
        _ => instruction.op_count() > 0 && instruction.op0_register().is_vector_register(),
    }
}

/// Instructions that data decodes to, and that compilers do not write.
pub(super) fn is_odd_instruction(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    let mnemonic = matches!(
        instruction.mnemonic(),
        M::Loop
            | M::Loope
            | M::Loopne
            | M::Jrcxz
            | M::Jecxz
            | M::Xlatb
            | M::Enter
            | M::Cmc
            | M::Stc
            | M::Clc
            | M::Std
            | M::Lahf
            | M::Sahf
            | M::Insb
            | M::Insd
            | M::Outsb
            | M::Outsd
            | M::Lodsb
            | M::Lodsd
            | M::Scasd
            | M::Cmpsd
            | M::Pushfq
            | M::Popfq
            | M::Wait
            | M::Rcl
            | M::Rcr
    );
    let segment = matches!(
        instruction.segment_prefix(),
        Register::CS | Register::DS | Register::ES | Register::SS
    );
    // 00 00 is `add [rax],al`, and every run of zeros decodes to it.
    let zeros = instruction.mnemonic() == M::Add
        && instruction.op0_kind() == OpKind::Memory
        && instruction.op1_register() == Register::AL
        && instruction.memory_base() == Register::RAX
        && instruction.memory_displacement64() == 0;
    let short_stack = instruction.stack_pointer_increment() % 8 != 0;
    mnemonic
        || segment && instruction.mnemonic() != M::Nop
        || zeros
        || short_stack
        || unrunnable_reason(instruction).is_some_and(|why| why != snippex_core::block::Unrunnable::Syscall)
        || machine_part(instruction.code()).is_some() && !is_asked_by_programs(instruction)
}

/// Whether programs ask the machine in this way: for its identity, the time, random numbers.
fn is_asked_by_programs(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    matches!(
        instruction.mnemonic(),
        M::Cpuid
            | M::Rdtsc
            | M::Rdtscp
            | M::Rdrand
            | M::Rdseed
            | M::Rdpid
            | M::Xgetbv
            | M::Rdfsbase
            | M::Rdgsbase
    )
}
