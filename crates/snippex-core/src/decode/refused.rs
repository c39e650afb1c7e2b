//! Encodings that no processor is documented to execute: LOCK on what cannot be locked, reserved bits and digits, lengths
//! beyond 15 bytes. They raise #UD (SDM vol. 3, section 6.15, interrupt 6), or #GP when they are too long.
//!
//! A block may end in one: it takes all bytes that are left, since the decoder cannot tell where it would end.

use iced_x86::Instruction;

use super::encoding_layout::{EncodingLayout, EncodingPrefix};
use super::{intel_decoder, lenient_decoder, unrunnable_reason};
use crate::block::{Block, Unrunnable};
use crate::effects::instruction_form;

/// Most bytes of an instruction (SDM vol. 2, section 2.3.11).
pub const MAX_LENGTH: usize = 15;

/// Why an encoding is refused: what has to change so that it is an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// LOCK in front of what cannot be locked.
    Lock,
    /// More than 15 bytes.
    TooLong,
    /// 66, F2, F3 or REX in front of VEX, EVEX or XOP.
    VexPrefix,
    /// A vector length that the instruction does not have.
    VectorLength,
    /// A value of W that the instruction does not have.
    WideBit,
    /// vvvv of an instruction without that operand is not 1111.
    UnusedOperand,
    /// Another reserved bit of VEX, EVEX or XOP, a mask or a rounding that the instruction does not have.
    ReservedBits,
    /// A register where the operand has to be in memory, or the other way round.
    OperandKind,
    /// A digit in ModRM.reg that is not assigned.
    Digit,
    /// An opcode that is not assigned.
    Opcode,
}

impl Refusal {
    /// Every one with its name in encodings of signatures and in names of bugs.
    pub const NAMES: [(&'static str, Self); 10] = [
        ("lock", Self::Lock),
        ("too-long", Self::TooLong),
        ("vex-prefix", Self::VexPrefix),
        ("vector-length", Self::VectorLength),
        ("vex-w", Self::WideBit),
        ("vex-vvvv", Self::UnusedOperand),
        ("reserved-bits", Self::ReservedBits),
        ("operand-kind", Self::OperandKind),
        ("reserved-digit", Self::Digit),
        ("opcode", Self::Opcode),
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, refusal)| *refusal == self);
        found.map_or("", |(name, _)| name)
    }

    /// Why `bytes`, which do not decode, are refused: the smallest change after which they decode.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let Some(layout) = EncodingLayout::of_bytes(bytes) else {
            return if bytes.len() > MAX_LENGTH {
                Self::TooLong
            } else {
                Self::Opcode
            };
        };
        let changes: [(Self, Vec<Vec<u8>>); 10] = [
            // With LOCK, where that may stand.
            (
                Self::TooLong,
                too_long(bytes, &layout).into_iter().take(1).collect(),
            ),
            (Self::Lock, vec![without(bytes, &layout, |byte| byte == 0xf0)]),
            (Self::TooLong, too_long(bytes, &layout)),
            (Self::VexPrefix, plain_vex(bytes, &layout)),
            (Self::VectorLength, layout.with_other_lengths(bytes)),
            (Self::WideBit, layout.with_other_width(bytes)),
            (Self::UnusedOperand, layout.with_unused_operand(bytes)),
            (Self::ReservedBits, layout.with_reserved_bits(bytes)),
            (Self::OperandKind, layout.with_other_operand(bytes)),
            (Self::Digit, layout.with_other_digits(bytes)),
        ];
        changes
            .iter()
            .find(|(_, changed)| changed.iter().any(|changed| decodes(changed)))
            .map_or(Self::Opcode, |(refusal, _)| *refusal)
    }
}

/// `bytes` without the prefixes that `test` picks.
fn without(bytes: &[u8], layout: &EncodingLayout, test: impl Fn(u8) -> bool) -> Vec<u8> {
    let (prefixes, rest) = bytes.split_at(layout.prefixes);
    let kept = prefixes.iter().copied().filter(|byte| !test(*byte));
    kept.chain(rest.iter().copied()).collect()
}

/// What is too long with one of each prefix only.
fn too_long(bytes: &[u8], layout: &EncodingLayout) -> Vec<Vec<u8>> {
    if bytes.len() <= MAX_LENGTH {
        return Vec::new();
    }
    let (prefixes, rest) = bytes.split_at(layout.prefixes);
    let mut once = prefixes.to_vec();
    once.sort_unstable();
    once.dedup();
    once.extend(rest);
    vec![once, rest.to_vec()]
}

fn plain_vex(bytes: &[u8], layout: &EncodingLayout) -> Vec<Vec<u8>> {
    if layout.prefix == EncodingPrefix::None {
        return Vec::new();
    }
    let forbidden = |byte: u8| matches!(byte, 0x40..=0x4f | 0x66 | 0xf2 | 0xf3);
    vec![without(bytes, layout, forbidden)]
}

/// Whether `bytes` begin with an instruction.
fn decodes(bytes: &[u8]) -> bool {
    !bytes.is_empty() && !intel_decoder(bytes, 0).decode().is_invalid()
}

/// What `bytes` would be if nothing were reserved, as a careless decoder reads them. `None` when they are nothing at all.
#[must_use]
pub fn decode_leniently(bytes: &[u8], address: u64) -> Option<Instruction> {
    let instruction = lenient_decoder(bytes, address).decode();
    (!instruction.is_invalid()).then_some(instruction)
}

/// How long the refused encoding at the start of `bytes` is taken to be: as a decoder reads it that minds no reserved bit,
/// else as far as the decoder came. `None` when they begin with an instruction.
#[must_use]
pub fn measure_refused(bytes: &[u8]) -> Option<usize> {
    let instruction = intel_decoder(bytes, 0).decode();
    if bytes.is_empty() || !instruction.is_invalid() {
        return None;
    }
    let length = decode_leniently(bytes, 0).map_or(instruction.len(), |instruction| instruction.len());
    Some(length.clamp(1, bytes.len()))
}

/// A refused encoding in words: `invalid lock mov m32, r32`, or its bytes up to ModRM's digit where it is like nothing.
#[must_use]
pub fn refused_text(bytes: &[u8]) -> String {
    let layout = EncodingLayout::of_bytes(bytes);
    let own = layout.map_or(0, |layout| layout.prefixes);
    // What is too long is told without its prefixes.
    let whole = if bytes.len() > MAX_LENGTH {
        &bytes[own..]
    } else {
        bytes
    };
    if let Some(instruction) = decode_leniently(whole, 0) {
        return format!("invalid {}", instruction_form(&instruction));
    }
    let Some(layout) = layout else {
        return format!("invalid {}", spaced(bytes));
    };
    let mut text = format!("invalid {}", spaced(&bytes[..=layout.opcode]));
    if let Some(modrm) = bytes.get(layout.modrm()) {
        let operand = if *modrm >= 0xc0 { "r" } else { "m" };
        text += &format!(" /{} {operand}", modrm >> 3 & 7);
    }
    text
}

fn spaced(bytes: &[u8]) -> String {
    let all: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    all.join(" ")
}

/// Why a block that ends in `bytes`, which do not decode, is not run; `None` when it can be. An engine that executes them
/// all the same must not leave the process: so they may not look like a system call, or like what changes state that cannot
/// be put back. What is privileged faults, which harms nothing. Nor may makers differ in whether they refuse it.
#[must_use]
pub fn refused_reason(bytes: &[u8]) -> Option<Unrunnable> {
    let Some(layout) = EncodingLayout::of_bytes(bytes) else {
        return bytes.is_empty().then_some(Unrunnable::Invalid);
    };
    if is_nop_of_one_maker(bytes, &layout) {
        return Some(Unrunnable::HostDependent);
    }
    let mut readings = vec![bytes.to_vec(), bytes[layout.prefixes..].to_vec()];
    let opcode: &[u8] = bytes.get(layout.opcode..).unwrap_or_default();
    if layout.prefix != EncodingPrefix::None {
        // A decoder that forgets the prefix sees an opcode of another map.
        readings.push(opcode.to_vec());
        readings.push([&[0x0f], opcode].concat());
    }
    readings
        .iter()
        .filter_map(|bytes| decode_leniently(bytes, 0))
        .filter_map(|instruction| unrunnable_reason(&instruction))
        .find(|reason| {
            matches!(
                reason,
                Unrunnable::Syscall | Unrunnable::StateNotCovered | Unrunnable::FarTransfer
            )
        })
}

/// Whether it is `0F 0D /r` with a register, which is a reserved NOP on Intel's processors (SDM vol. 2, appendix A, table A-3),
/// while AMD documents its prefetches with operands in memory only (APM vol. 3, PREFETCH). LOCK is refused by all.
fn is_nop_of_one_maker(bytes: &[u8], layout: &EncodingLayout) -> bool {
    let (prefixes, rest) = bytes.split_at(layout.prefixes);
    matches!(rest, [0x0f, 0x0d, 0xc0..=0xff, ..]) && !prefixes.contains(&0xf0)
}

/// An instruction of a block with its bytes.
#[derive(Clone, Copy, Debug)]
pub struct BlockInstruction<'b> {
    /// The instruction; not valid when it is refused.
    pub instruction: Instruction,
    /// Distance of its first byte from the block's.
    pub offset: usize,
    /// Its bytes. Of a refused one, all that are left.
    pub bytes: &'b [u8],
}

impl BlockInstruction<'_> {
    /// Distance of the byte behind it from the block's first.
    #[must_use]
    pub fn end(&self) -> usize {
        self.offset + self.bytes.len()
    }
}

/// The instructions of `block`; a refused one is the last.
pub fn block_instructions(block: &Block) -> impl Iterator<Item = BlockInstruction<'_>> {
    instructions_in(&block.bytes, block.address)
}

/// The instructions that `bytes` at `address` are; a refused one is the last.
pub fn instructions_in(bytes: &[u8], address: u64) -> impl Iterator<Item = BlockInstruction<'_>> {
    let mut decoder = intel_decoder(bytes, address);
    let mut refused = false;
    std::iter::from_fn(move || {
        if refused || !decoder.can_decode() {
            return None;
        }
        let offset = decoder.position();
        let instruction = decoder.decode();
        refused = instruction.is_invalid();
        let end = if refused { bytes.len() } else { decoder.position() };
        Some(BlockInstruction {
            instruction,
            offset,
            bytes: &bytes[offset..end],
        })
    })
}

/// The bytes of the refused encoding that `block` ends in, if it does.
#[must_use]
pub fn refused_bytes(block: &Block) -> Option<&[u8]> {
    let last = block_instructions(block).last()?;
    last.instruction.is_invalid().then_some(last.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_has_to_change() {
        for (bytes, expected) in [
            (&[0xf0_u8, 0x89, 0x07][..], Refusal::Lock),
            // lock cmpxchg8b with seven prefixes more than it needs: LOCK may stand there
            (
                &[
                    0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0xf0, 0x48, 0x0f, 0xc7, 0x0d, 0x47, 0x8b, 0x07,
                    0x00,
                ],
                Refusal::TooLong,
            ),
            (&[0xf0, 0x0f, 0x58, 0xc1], Refusal::Lock),
            (&[0x8e, 0xc8], Refusal::Digit),
            (&[0xc5, 0xfd, 0x6e, 0xc0], Refusal::VectorLength),
            // VPERMQ with W clear, VMOVD with vvvv 1110, VADDPS behind 66.
            (&[0xc4, 0xe3, 0x7d, 0x00, 0xc1, 0x00], Refusal::WideBit),
            (&[0xc5, 0xf1, 0x6e, 0xc0], Refusal::UnusedOperand),
            (&[0x66, 0xc5, 0xf0, 0x58, 0xc1], Refusal::VexPrefix),
            // LEA of a register.
            (&[0x8d, 0xc1], Refusal::OperandKind),
            (&[0x0f, 0x04], Refusal::Opcode),
            (&[0x06], Refusal::Opcode),
        ] {
            assert!(!decodes(bytes), "{bytes:02x?}");
            assert_eq!(Refusal::of_bytes(bytes), expected, "{bytes:02x?}");
        }
        let mut long = vec![0x2e; 15];
        long.push(0x90);
        assert_eq!(Refusal::of_bytes(&long), Refusal::TooLong);
    }

    #[test]
    fn what_a_careless_engine_takes_for_a_system_call_is_not_run() {
        for bytes in [
            &[0xf0_u8, 0x0f, 0x05][..],
            &[0xf0, 0xcd, 0x80],
            &[0xf0, 0x0f, 0x34],
            &[0xc5, 0xf8, 0x05, 0x00],
            &[0xc4, 0xe1, 0xf8, 0x05, 0x00],
            &[0xf0, 0x0f, 0x01, 0xef],
        ] {
            assert!(!decodes(bytes), "{bytes:02x?}");
            assert!(refused_reason(bytes).is_some(), "{bytes:02x?}");
        }
        let mut long = vec![0x66; 15];
        long.extend([0x0f, 0x05]);
        assert_eq!(refused_reason(&long), Some(Unrunnable::Syscall));
        assert_eq!(refused_reason(&[0xf0, 0x89, 0x07]), None);
        // PREFETCHW with a register: Intel's processors do nothing, with and without prefixes.
        for bytes in [&[0x0f, 0x0d, 0xc8][..], &[0x66, 0x48, 0x0f, 0x0d, 0xff]] {
            assert_eq!(
                refused_reason(bytes),
                Some(Unrunnable::HostDependent),
                "{bytes:02x?}"
            );
        }
        for bytes in [
            &[0xf0, 0x0f, 0x0d, 0xc8][..],
            &[0x0f, 0x0d, 0x08],
            &[0xc5, 0x0f, 0x0d, 0xc8],
        ] {
            assert_ne!(
                refused_reason(bytes),
                Some(Unrunnable::HostDependent),
                "{bytes:02x?}"
            );
        }
        assert_eq!(refused_reason(&[0x8e, 0xc8]), None);
        // VMOVD with VEX.L, whose opcode is OUTSB without VEX.
        assert_eq!(refused_reason(&[0xc5, 0xfd, 0x6e, 0xc0]), None);
    }

    #[test]
    fn a_refused_encoding_takes_the_rest() {
        let mut bytes = vec![0x90];
        bytes.extend([0x2e; 17]);
        bytes.push(0x90);
        let all: Vec<_> = instructions_in(&bytes, 0x1000)
            .map(|found| (found.offset, found.end()))
            .collect();
        assert_eq!(all, [(0, 1), (1, 19)]);
    }
}
