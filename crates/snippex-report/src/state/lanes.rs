//! Vectors as lanes of the type that the instruction works on.

use iced_x86::{Instruction, InstructionInfoFactory, MemorySize, OpAccess};
use snippex_core::block::Block;
use snippex_core::decode::block_decoder;

/// Type of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneType {
    /// IEEE binary32.
    Float32,
    /// IEEE binary64.
    Float64,
    /// Whole numbers of so many bytes: 1, 2, 4 or 8.
    Integer(u8),
}

/// A lane that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DifferingLane {
    /// From 0, the lowest.
    pub index: usize,
    /// On the reference.
    pub expected: String,
    /// On the subject.
    pub actual: String,
    /// How they differ: `1 ulp`, `sign of a NaN`, `+3, xor 0x7`.
    pub distance: String,
}

impl LaneType {
    /// Bytes of a lane.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Float64 => 8,
            Self::Integer(size) => usize::from(size),
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Float32 => "float32".to_owned(),
            Self::Float64 => "float64".to_owned(),
            Self::Integer(size) => format!("int{}", u32::from(size) * 8),
        }
    }

    /// The type of the lanes of vector register `number` at the end of `block`, with the mnemonic of the instruction that
    /// says so: the last that writes the register.
    #[must_use]
    pub fn of_register(block: &Block, number: usize) -> Option<(Self, String)> {
        let mut factory = InstructionInfoFactory::new();
        let instructions: Vec<Instruction> = block_decoder(block).iter().collect();
        let writer = instructions.iter().rev().find(|instruction| {
            let used = factory.info(instruction).used_registers();
            used.iter().any(|used| {
                let register = used.register();
                let written = !matches!(
                    used.access(),
                    OpAccess::Read | OpAccess::CondRead | OpAccess::None
                );
                written && register.is_vector_register() && register.number() == number
            })
        })?;
        let mnemonic = format!("{:?}", writer.mnemonic()).to_lowercase();
        Self::of_memory(writer.op_code().memory_size())
            .or_else(|| Self::of_mnemonic(&mnemonic))
            .map(|kind| (kind, mnemonic))
    }

    fn of_memory(size: MemorySize) -> Option<Self> {
        Some(match size.element_type() {
            MemorySize::Float32 => Self::Float32,
            MemorySize::Float64 => Self::Float64,
            MemorySize::Int8 | MemorySize::UInt8 => Self::Integer(1),
            MemorySize::Int16 | MemorySize::UInt16 => Self::Integer(2),
            MemorySize::Int32 | MemorySize::UInt32 => Self::Integer(4),
            MemorySize::Int64 | MemorySize::UInt64 => Self::Integer(8),
            _ => return None,
        })
    }

    /// By the end of the mnemonic, as the manuals name instructions.
    fn of_mnemonic(mnemonic: &str) -> Option<Self> {
        for (end, kind) in [
            ("ps", Self::Float32),
            ("ss", Self::Float32),
            ("pd", Self::Float64),
            ("sd", Self::Float64),
            ("b", Self::Integer(1)),
            ("w", Self::Integer(2)),
            ("d", Self::Integer(4)),
            ("q", Self::Integer(8)),
        ] {
            if mnemonic.ends_with(end) {
                return Some(kind);
            }
        }
        None
    }

    /// The lanes of two vectors of the same length that differ.
    #[must_use]
    pub fn differing_lanes(self, expected: &[u8], actual: &[u8]) -> Vec<DifferingLane> {
        let size = self.size();
        let pairs = expected.chunks_exact(size).zip(actual.chunks_exact(size));
        pairs
            .enumerate()
            .filter(|(_, (expected, actual))| expected != actual)
            .map(|(index, (expected, actual))| {
                let (expected, actual) = (unsigned(expected), unsigned(actual));
                DifferingLane {
                    index,
                    expected: self.text(expected),
                    actual: self.text(actual),
                    distance: self.distance(expected, actual),
                }
            })
            .collect()
    }

    fn text(self, bits: u64) -> String {
        match self {
            Self::Float32 => {
                let value = f32::from_bits(bits as u32);
                if value.is_nan() {
                    nan_text(self, bits)
                } else {
                    format!("{value:?}")
                }
            }
            Self::Float64 => {
                let value = f64::from_bits(bits);
                if value.is_nan() {
                    nan_text(self, bits)
                } else {
                    format!("{value:?}")
                }
            }
            Self::Integer(size) => signed(bits, size).to_string(),
        }
    }

    fn distance(self, expected: u64, actual: u64) -> String {
        let Some((fraction, width)) = self.float_layout() else {
            let Self::Integer(size) = self else {
                return String::new();
            };
            let delta = i128::from(signed(actual, size)) - i128::from(signed(expected, size));
            return format!("{delta:+}, xor {:#x}", expected ^ actual);
        };
        let sign = 1_u64 << (width - 1);
        let is_nan = |bits: u64| bits & (sign - 1) > exponent_mask(fraction, width);
        match (is_nan(expected), is_nan(actual)) {
            (true, true) if (expected ^ actual) == sign => "sign of a NaN".to_owned(),
            (true, true) => "payload of a NaN".to_owned(),
            (true, false) => "a number, not a NaN".to_owned(),
            (false, true) => "a NaN, not a number".to_owned(),
            (false, false) if (expected ^ actual) == sign => "sign".to_owned(),
            (false, false) => {
                let rank = |bits: u64| {
                    let size = i128::from(bits & (sign - 1));
                    if bits & sign == 0 { size } else { -size }
                };
                let distance = rank(expected).abs_diff(rank(actual));
                if distance == 1 {
                    "1 ulp".to_owned()
                } else {
                    format!("{distance} ulps")
                }
            }
        }
    }

    /// Bits of the fraction and of all of a floating-point number.
    fn float_layout(self) -> Option<(u32, u32)> {
        match self {
            Self::Float32 => Some((23, 32)),
            Self::Float64 => Some((52, 64)),
            Self::Integer(_) => None,
        }
    }
}

fn exponent_mask(fraction: u32, width: u32) -> u64 {
    ((1 << (width - 1 - fraction)) - 1) << fraction
}

fn nan_text(kind: LaneType, bits: u64) -> String {
    let Some((fraction, width)) = kind.float_layout() else {
        return String::new();
    };
    let quiet = bits & (1 << (fraction - 1)) != 0;
    let sign = if bits >> (width - 1) == 0 { "" } else { "-" };
    let class = if quiet { "quiet" } else { "signalling" };
    let payload = bits & ((1 << (fraction - 1)) - 1);
    if payload == 0 {
        format!("{sign}NaN {class}")
    } else {
        format!("{sign}NaN {class} {payload:#x}")
    }
}

/// The number in at most eight bytes, lowest first.
fn unsigned(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The two's complement number in the low `size` bytes.
fn signed(bits: u64, size: u8) -> i64 {
    let unused = 64 - u32::from(size) * 8;
    (bits << unused).cast_signed() >> unused
}

#[cfg(test)]
mod tests {
    use super::*;
    use snippex_core::block::{Origin, Terminator};

    fn block(bytes: &[u8]) -> Block {
        Block {
            address: 0x1000,
            bytes: bytes.to_vec(),
            instruction_count: 1,
            terminator: Terminator::FallThrough,
            successors: vec![],
            origin: Origin::Generated,
            unrunnable: None,
        }
    }

    #[test]
    fn the_instruction_says_what_the_lanes_are() {
        let kind = |bytes: &[u8], register| LaneType::of_register(&block(bytes), register);
        let addps = [0x0f, 0x58, 0xc1];
        assert_eq!(kind(&addps, 0), Some((LaneType::Float32, "addps".to_owned())));
        assert_eq!(kind(&addps, 1), None, "it is only read");
        assert_eq!(
            kind(&[0x66, 0x0f, 0xfd, 0xc1], 0),
            Some((LaneType::Integer(2), "paddw".to_owned()))
        );
    }

    #[test]
    fn lanes_are_so_many_ulps_apart() {
        let bytes = |values: [f32; 4]| values.map(f32::to_le_bytes).concat();
        let differing = LaneType::Float32.differing_lanes(
            &bytes([1.0, 2.0, f32::NAN, 0.0]),
            &bytes([1.0, f32::from_bits(2_f32.to_bits() + 3), -f32::NAN, -0.0]),
        );
        let told: Vec<_> = differing
            .iter()
            .map(|lane| (lane.index, lane.distance.as_str()))
            .collect();
        assert_eq!(told, [(1, "3 ulps"), (2, "sign of a NaN"), (3, "sign")]);
        assert_eq!(differing[0].expected, "2.0");
    }

    #[test]
    fn whole_numbers_have_a_delta() {
        let differing = LaneType::Integer(1).differing_lanes(&[0x7f, 1], &[0x80, 1]);
        assert_eq!(differing.len(), 1);
        assert_eq!(
            (
                &*differing[0].expected,
                &*differing[0].actual,
                &*differing[0].distance
            ),
            ("127", "-128", "-255, xor 0xff")
        );
    }
}
