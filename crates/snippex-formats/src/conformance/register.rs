//! The registers that a test can name.

use crate::conformance::ProgramEnd;
use snippex_core::observation::Endpoint;
use snippex_core::state::{Components, GPR_NAMES};

/// A register as tests name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Register {
    /// The address at which the program ended.
    Rip,
    /// A general register, by its number in the encoding.
    Gpr(u8),
    /// XMM0..15; four values are those of the YMM register.
    Xmm(u8),
    /// A *physical* x87 or MMX register: 64 bits of significand, then sign and exponent.
    Mm(u8),
    /// Base of FS.
    Fs,
    /// Base of GS.
    Gs,
}

impl Register {
    /// The register called `name`, in either case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        if let Some(number) = GPR_NAMES.iter().position(|known| *known == name) {
            return Some(Self::Gpr(number as u8));
        }
        let numbered = |prefix: &str, count: u8| {
            let digits = name.strip_prefix(prefix)?;
            let number: u8 = digits.parse().ok()?;
            (number < count && number.to_string() == digits).then_some(number)
        };
        match name.as_str() {
            "rip" => Some(Self::Rip),
            "fs" => Some(Self::Fs),
            "gs" => Some(Self::Gs),
            _ => numbered("xmm", 16)
                .map(Self::Xmm)
                .or_else(|| numbered("mm", 8).map(Self::Mm)),
        }
    }

    /// Every register, in the order in which tests list them.
    pub fn all() -> impl Iterator<Item = Self> {
        let ends = [Self::Rip, Self::Fs, Self::Gs];
        (0..16)
            .map(Self::Gpr)
            .chain((0..16).map(Self::Xmm))
            .chain((0..8).map(Self::Mm))
            .chain(ends)
    }

    /// Whether a 32-bit program has it: R8 to R15, XMM8 to 15 and the bases of FS and GS are of 64-bit mode.
    #[must_use]
    pub const fn exists_in_32_bits(self) -> bool {
        match self {
            Self::Gpr(number) | Self::Xmm(number) => number < 8,
            Self::Rip | Self::Mm(_) => true,
            Self::Fs | Self::Gs => false,
        }
    }

    /// Most 64-bit values that a test can list for it.
    #[must_use]
    pub const fn max_values(self) -> usize {
        match self {
            Self::Xmm(_) => 4,
            Self::Mm(_) => 2,
            _ => 1,
        }
    }

    /// The part of the state that holds the first `count` values.
    #[must_use]
    pub const fn component_for(self, count: usize) -> Components {
        match self {
            Self::Rip | Self::Gpr(_) => Components::GENERAL,
            Self::Xmm(_) if count > 2 => Components::AVX,
            Self::Xmm(_) => Components::SSE,
            Self::Mm(_) => Components::X87,
            Self::Fs | Self::Gs => Components::SEGMENT_BASES,
        }
    }

    /// Its value at the end of a program: [`Self::max_values`] numbers.
    #[must_use]
    pub fn values_at_end(self, end: &ProgramEnd) -> Vec<u64> {
        let state = &end.state;
        match self {
            Self::Rip => vec![match end.endpoint {
                Endpoint::Signal(signal) => signal.rip,
                Endpoint::Exit { target } => target,
                Endpoint::Hung | Endpoint::EngineDied { .. } => 0,
            }],
            Self::Gpr(number) => vec![state.gpr[usize::from(number)]],
            Self::Fs => vec![state.fs_base],
            Self::Gs => vec![state.gs_base],
            Self::Xmm(number) => words(&state.vectors[usize::from(number)][..32]),
            Self::Mm(number) => {
                let stack = number.wrapping_sub(state.x87.top()) & 7;
                let mut bytes = [0; 16];
                bytes[..10].copy_from_slice(&state.x87.st[usize::from(stack)]);
                words(&bytes)
            }
        }
    }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().map(|word| u64::from_le_bytes(*word)).collect()
}

impl std::fmt::Display for Register {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rip => formatter.write_str("rip"),
            Self::Gpr(number) => formatter.write_str(GPR_NAMES[usize::from(*number)]),
            Self::Xmm(number) => write!(formatter, "xmm{number}"),
            Self::Mm(number) => write!(formatter, "mm{number}"),
            Self::Fs => formatter.write_str("fs"),
            Self::Gs => formatter.write_str("gs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_register_has_a_name_that_is_read_back() {
        for register in Register::all() {
            assert_eq!(Register::from_name(&register.to_string()), Some(register));
            assert_eq!(
                Register::from_name(&register.to_string().to_uppercase()),
                Some(register)
            );
        }
        for name in ["", "eax", "xmm16", "mm8", "xmm01", "mm", "xmm-1", "r16", "ymm0"] {
            assert_eq!(Register::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn mm_names_the_physical_register() {
        let mut end = ProgramEnd::default();
        end.state.x87.status = 7 << 11;
        end.state.x87.st[0] = [1, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f];
        // ST(0) with TOP 7 is physical register 7.
        assert_eq!(
            Register::Mm(7).values_at_end(&end),
            [0x8000_0000_0000_0001, 0x3fff]
        );
        assert_eq!(Register::Mm(0).values_at_end(&end), [0, 0]);
    }
}
