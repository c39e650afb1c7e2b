//! How large the numbers in x87 registers are, where that can be told.
//!
//! Trigonometric results of small arguments can be compared; those of large ones depend on how many bits of pi
//! an implementation has.

use iced_x86::Mnemonic;

use super::decoded::Decoded;
use super::flow::{Flow, MemoryAccess, is_write_access};
use crate::state::X87State;

impl Flow<'_> {
    /// Exponent of ST(0) after a load, where it can be told.
    pub(super) fn moved_exponent(&self, decoded: &Decoded, accesses: &[MemoryAccess]) -> Option<i32> {
        let instruction = &decoded.instruction;
        match (instruction.mnemonic(), accesses.first()) {
            (Mnemonic::Fld, Some(access)) => {
                let load = |at: u64, size| {
                    Some(self.known.memory_value(access.address?.wrapping_add(at), size)? as i32)
                };
                match access.size {
                    4 => Some(((load(2, 2)? >> 7) & 0xff) - 127),
                    8 => Some(((load(6, 2)? >> 4) & 0x7ff) - 1023),
                    _ => Some((load(8, 2)? & 0x7fff) - 16383),
                }
            }
            (Mnemonic::Fld | Mnemonic::Fxch, None) => {
                self.exponents[self.physical_register(instruction.op1_register().number())?]
            }
            (Mnemonic::Fchs | Mnemonic::Fabs, _) => self.exponents[self.physical_register(0)?],
            // Integers of 16 bits reach 2^15, longer ones further than the small arguments go.
            (Mnemonic::Fldz | Mnemonic::Fld1 | Mnemonic::Fldpi, _) => Some(1),
            _ => None,
        }
    }

    /// Forgets what is written; pushes are set afterwards.
    pub(super) fn forget_exponents(&mut self, decoded: &Decoded) {
        for used in decoded
            .registers
            .iter()
            .filter(|used| is_write_access(used.access()) && used.register().is_st())
        {
            match self.physical_register(used.register().number()) {
                Some(physical) => self.exponents[physical] = None,
                None => self.exponents = [None; 8],
            }
        }
        if decoded.instruction.fpu_stack_increment_info().increment() < 0 {
            match self.physical_register(7) {
                Some(physical) => self.exponents[physical] = None,
                None => self.exponents = [None; 8],
            }
        }
    }
}

/// Unbiased exponents of the registers at the start, by physical number.
pub(super) fn start_exponents(x87: &X87State) -> [Option<i32>; 8] {
    std::array::from_fn(|physical| {
        let st = x87.st[(physical + 8 - usize::from(x87.top())) & 7];
        Some((i32::from(u16::from_le_bytes([st[8], st[9]])) & 0x7fff) - 16383)
    })
}
