//! Memory operands: every addressing mode.

use iced_x86::{Instruction, Register};

use super::operands::Registers;
use snippex_core::random::Random;

/// How an address is formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Base,
    BaseDisp8,
    BaseDisp32,
    Indexed(u32),
    IndexedDisp8(u32),
    IndexOnly(u32),
    RipRelative,
    Absolute,
    Stack,
    /// RBP and R13 have no form without a displacement, RSP and R12 none without an index byte.
    Odd,
    /// Relative to FS or GS.
    Segment,
    /// The address-size prefix: 32 bits of base, and of base and index.
    Short,
    ShortIndexed,
}

const MODES: [Mode; 20] = [
    Mode::Base,
    Mode::BaseDisp8,
    Mode::Indexed(1),
    Mode::RipRelative,
    Mode::Base,
    Mode::IndexedDisp8(8),
    Mode::BaseDisp32,
    Mode::Stack,
    Mode::Segment,
    Mode::Indexed(4),
    Mode::Short,
    Mode::Base,
    Mode::Odd,
    Mode::IndexOnly(2),
    Mode::Absolute,
    Mode::IndexedDisp8(2),
    Mode::ShortIndexed,
    Mode::Indexed(2),
    Mode::BaseDisp8,
    Mode::IndexOnly(8),
];

impl Mode {
    /// The mode of variant `variant` of form number `form`: each form goes through all of them, from another start.
    pub(super) fn for_variant(form: u64, variant: u32) -> Self {
        let start = (form % MODES.len() as u64) as usize;
        MODES[(start * 7 + variant as usize) % MODES.len()]
    }
}

/// A page below 4 GiB that no other area uses.
const LOW: u64 = 0x2468_1000;

/// Gives `instruction` a memory operand. `alignment` is a power of two that displacements keep to.
pub(super) fn set_memory_operand(
    instruction: &mut Instruction,
    mode: Mode,
    registers: &Registers,
    alignment: u64,
    random: &mut Random,
) {
    let mask = !(alignment as i64 - 1);
    let short = (i64::from(random.next_u64() as i8) & mask).clamp(-128, 127);
    let long = i64::from(random.next_u64() as i32 >> 4) & mask;
    let base = registers.choose_base(random);
    let index = registers.index(random, base);
    let narrow = |register: Register| {
        let number = register as u32 - Register::RAX as u32;
        Register::try_from((Register::EAX as u32 + number) as usize).expect("there are 16 of each")
    };
    let (base, index, scale, displacement, size) = match mode {
        Mode::Base => (base, Register::None, 1, 0, 0),
        Mode::BaseDisp8 => (base, Register::None, 1, short, 1),
        Mode::BaseDisp32 => (base, Register::None, 1, long, 8),
        Mode::Indexed(scale) => (base, index, scale, 0, 0),
        Mode::IndexedDisp8(scale) => (base, index, scale, short, 1),
        Mode::IndexOnly(scale) => (Register::None, index, scale, (LOW as i64 + short) & mask, 8),
        Mode::RipRelative => {
            let target = instruction.ip().wrapping_add((long >> 8 & mask).cast_unsigned());
            (Register::RIP, Register::None, 1, (target.cast_signed()) & mask, 8)
        }
        Mode::Absolute => (
            Register::None,
            Register::None,
            1,
            (LOW as i64 + 0x800 + short) & mask,
            8,
        ),
        Mode::Stack => (Register::RSP, Register::None, 1, short, 1),
        Mode::Odd => {
            let odd = [Register::RBP, Register::R12, Register::R13][random.next_below(3) as usize];
            if registers.allows_register(odd) {
                let displaced = odd != Register::R12;
                (odd, Register::None, 1, 0, u32::from(displaced))
            } else {
                (base, Register::None, 1, 0, 0)
            }
        }
        Mode::Segment => {
            let segment = if random.next_below(2) == 0 {
                Register::FS
            } else {
                Register::GS
            };
            instruction.set_segment_prefix(segment);
            (base, Register::None, 1, short, 1)
        }
        Mode::Short => (narrow(base), Register::None, 1, short, 1),
        Mode::ShortIndexed => (narrow(base), narrow(index), 4, long, 4),
    };
    instruction.set_memory_base(base);
    instruction.set_memory_index(index);
    instruction.set_memory_index_scale(scale);
    instruction.set_memory_displacement64(displacement.cast_unsigned());
    instruction.set_memory_displ_size(size);
    if matches!(mode, Mode::Short | Mode::ShortIndexed) {
        instruction.set_memory_displacement64(u64::from(displacement as u32));
    }
}
