//! Documented deviations in where a run ends, as emulators on ARM have them: told by the instruction and the addresses that it
//! uses.

use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, Register};

use super::tolerance::Deviates;
use crate::case::Case;
use crate::decode::intel_decoder;
use crate::observation::{Endpoint, Observation, SIGBUS, SIGILL, SIGSEGV};
use crate::state::MachineState;

/// First bit of the byte of an address that ARM ignores.
const TOP_BYTE: u32 = 56;
/// First address that no program on x86-64 can have, four levels of pages provided.
const USER_END: u64 = 1 << 47;

/// Whether `deviates` is why `actual` is not how the reference ended, at instruction `parting` of the case's block.
pub(super) fn excuses(
    deviates: Deviates,
    case: &Case,
    parting: usize,
    expected: &Observation,
    actual: &Endpoint,
) -> bool {
    let instruction = || instruction_at(case, parting);
    match (deviates, &expected.endpoint, actual) {
        (Deviates::TopByteIgnored, Endpoint::Signal(signal), _) => {
            matches!(signal.number, SIGSEGV | SIGBUS)
                && instruction().is_some_and(|found| reaches_by_top_byte(&found, &expected.state))
        }
        (Deviates::NoSegments, _, Endpoint::Signal(signal)) => {
            signal.number == SIGILL && instruction().is_some_and(|found| is_about_segments(&found))
        }
        (Deviates::FaultRip, Endpoint::Signal(a), Endpoint::Signal(b)) => {
            let start = case.code_address();
            let block = start..start + case.block.bytes.len() as u64;
            a.number == b.number && block.contains(&a.rip) && block.contains(&b.rip)
        }
        _ => false,
    }
}

fn instruction_at(case: &Case, index: usize) -> Option<Instruction> {
    intel_decoder(&case.block.bytes, case.code_address())
        .into_iter()
        .nth(index)
}

/// Whether an address that the instruction uses, with the registers as it found them, would be a program's but for its
/// highest byte.
fn reaches_by_top_byte(instruction: &Instruction, state: &MachineState) -> bool {
    let mut factory = InstructionInfoFactory::new();
    let value = |register: Register| match register {
        Register::FS => Some(state.fs_base),
        Register::GS => Some(state.gs_base),
        other if other.is_segment_register() => Some(0),
        other if other.is_gpr() => {
            let whole = state.gpr[other.full_register().number()];
            Some(if other.is_gpr32() {
                whole & 0xffff_ffff
            } else {
                whole
            })
        }
        _ => None,
    };
    let info = factory.info(instruction);
    info.used_memory().iter().any(|memory| {
        let address = memory.virtual_address(0, |register, _, _| value(register));
        address.is_some_and(|address| {
            let rest = address & ((1 << TOP_BYTE) - 1);
            rest != address && rest < USER_END
        })
    })
}

fn is_about_segments(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    let asks = [M::Lar, M::Lsl, M::Verr, M::Verw, M::Lfs, M::Lgs, M::Lss];
    let loads =
        matches!(instruction.mnemonic(), M::Mov | M::Pop) && instruction.op0_register().is_segment_register();
    asks.contains(&instruction.mnemonic()) || loads
}

/// Whether an instruction of this form saves or loads a whole state at once.
pub(super) fn saves_state(form: &str) -> bool {
    ["fxsave", "fxrstor", "xsave", "xrstor"]
        .iter()
        .any(|name| form.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::intel_decoder;

    fn at(bytes: &[u8], rax: u64) -> bool {
        let mut state = MachineState::default();
        state.gpr[0] = rax;
        state.gpr[4] = 0x3000;
        let instruction = intel_decoder(bytes, 0x1000).decode();
        reaches_by_top_byte(&instruction, &state)
    }

    #[test]
    fn only_the_highest_byte_is_ignored() {
        // mov rbx, [rax+8]
        let load = [0x48, 0x8b, 0x58, 0x08];
        assert!(at(&load, 0x5a00_0000_1234_5000) && at(&load, 0x8000_0000_0000_0000));
        assert!(!at(&load, 0x1234_5000), "nothing to ignore");
        assert!(!at(&load, 0x0001_0000_0000_0000), "a bit that ARM looks at");
        assert!(!at(&load, 0xffff_8000_0000_0000), "the kernel's");
        // lea rbx, [rax+8] and hlt use no memory.
        assert!(!at(&[0x48, 0x8d, 0x58, 0x08], 1 << 63) && !at(&[0xf4], 1 << 63));
    }

    #[test]
    fn instructions_about_segments_are_known() {
        let about = |bytes: &[u8]| is_about_segments(&intel_decoder(bytes, 0).decode());
        assert!(about(&[0x0f, 0x02, 0xc0]) && about(&[0x8e, 0xe0]) && about(&[0x0f, 0xa1]));
        assert!(!about(&[0x89, 0xc0]) && !about(&[0x8c, 0xe0]));
    }
}
