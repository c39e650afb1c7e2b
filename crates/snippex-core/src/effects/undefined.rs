//! Which flags and destinations an integer instruction leaves open, by mnemonic and count.
//!
//! iced-x86's own table of undefined flags knows neither counts in CL nor the operand's width; a test walks its
//! whole instruction list to show that ours covers at least as much.

use iced_x86::{Instruction, Mnemonic, OpKind};

use super::rules::Rule;
use crate::state::rflags;

/// What an instruction does to RFLAGS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FlagEffect {
    /// Flags with an open value, each with its rule.
    pub(super) open: [Option<(u64, Rule)>; 3],
    /// The instruction may leave all flags as they were (a count of 0 cannot be ruled out).
    pub(super) may_keep: bool,
    /// The instruction certainly leaves all flags as they were.
    pub(super) keeps: bool,
}

const BMI: u64 = rflags::AF | rflags::PF;
const SCAN: u64 = rflags::OF | rflags::SF | rflags::AF | rflags::PF;

/// The flags that `instruction` leaves open. `count` is the value of a shift's count operand, if it is known.
pub(super) fn flag_effect(instruction: &Instruction, count: Option<u64>) -> FlagEffect {
    use Mnemonic as M;
    let simple = |flags, rule| FlagEffect {
        open: [Some((flags, rule)), None, None],
        ..FlagEffect::default()
    };
    match instruction.mnemonic() {
        M::And | M::Or | M::Xor | M::Test => simple(rflags::AF, Rule::LogicAf),
        M::Andn | M::Blsi | M::Blsmsk | M::Blsr | M::Bzhi => simple(BMI, Rule::BmiFlags),
        M::Blcfill
        | M::Blci
        | M::Blcic
        | M::Blcmsk
        | M::Blcs
        | M::Blsfill
        | M::Blsic
        | M::T1mskc
        | M::Tzmsk => simple(BMI, Rule::BmiFlags),
        M::Bextr => simple(BMI | rflags::SF, Rule::BmiFlags),
        M::Lzcnt | M::Tzcnt | M::Tzcnti => simple(SCAN, Rule::CountZerosFlags),
        M::Bsf | M::Bsr => simple(SCAN | rflags::CF, Rule::BitScanFlags),
        M::Bt | M::Btc | M::Btr | M::Bts => simple(SCAN, Rule::BitTestFlags),
        M::Mul | M::Imul => simple(
            rflags::SF | rflags::ZF | rflags::AF | rflags::PF,
            Rule::MultiplyFlags,
        ),
        M::Div | M::Idiv => simple(rflags::STATUS, Rule::DivideFlags),
        M::Shl | M::Sal | M::Shr | M::Sar | M::Rol | M::Ror | M::Rcl | M::Rcr | M::Shld | M::Shrd => {
            counted(instruction, count)
        }
        _ => FlagEffect::default(),
    }
}

/// Shifts and rotates: what is open depends on the count after masking.
fn counted(instruction: &Instruction, count: Option<u64>) -> FlagEffect {
    use Mnemonic as M;
    let width = operand_bits(instruction);
    let count = count.map(|count| masked_count(count, width));
    if count == Some(0) {
        return FlagEffect {
            keeps: true,
            ..FlagEffect::default()
        };
    }
    let not_one = count != Some(1);
    let reaches = |limit: u64| width < 32 && count.is_none_or(|count| count >= limit);
    let open = match instruction.mnemonic() {
        M::Rol | M::Ror | M::Rcl | M::Rcr => [not_one.then_some((rflags::OF, Rule::RotateOf)), None, None],
        M::Shld | M::Shrd if reaches(width + 1) => [Some((rflags::STATUS, Rule::DoubleShift)), None, None],
        mnemonic => [
            Some((rflags::AF, Rule::ShiftAf)),
            not_one.then_some((rflags::OF, Rule::ShiftOf)),
            // The manual leaves CF open for SHL and SHR only: SAR has copies of the sign to shift out.
            (matches!(mnemonic, M::Shl | M::Sal | M::Shr) && reaches(width))
                .then_some((rflags::CF, Rule::ShiftCf)),
        ],
    };
    FlagEffect {
        open,
        may_keep: count.is_none(),
        keeps: false,
    }
}

/// Whether the destination itself may be undefined, with the bits of it that are.
pub(super) fn open_destination(
    instruction: &Instruction,
    operand: impl Fn(u32) -> Option<u64>,
) -> Option<(u64, Rule)> {
    use Mnemonic as M;
    let width = operand_bits(instruction);
    match instruction.mnemonic() {
        M::Shld | M::Shrd if width == 16 => {
            let count = operand(2).map(|count| masked_count(count, width));
            count
                .is_none_or(|count| count > 16)
                .then_some((0xffff, Rule::DoubleShift))
        }
        // Of the result nothing is said, the rest of the register included.
        M::Bswap if width == 16 => Some((u64::MAX, Rule::Bswap16)),
        _ => None,
    }
}

/// The operand that holds the count of a shift or rotate.
pub(super) fn count_operand(instruction: &Instruction) -> Option<u32> {
    use Mnemonic as M;
    match instruction.mnemonic() {
        M::Shl | M::Sal | M::Shr | M::Sar | M::Rol | M::Ror | M::Rcl | M::Rcr => Some(1),
        M::Shld | M::Shrd => Some(2),
        _ => None,
    }
}

fn masked_count(count: u64, width: u64) -> u64 {
    count & if width == 64 { 0x3f } else { 0x1f }
}

/// Width of the first operand in bits; 64 when it has none.
pub(super) fn operand_bits(instruction: &Instruction) -> u64 {
    let size = match instruction.op0_kind() {
        OpKind::Register => instruction.op0_register().size(),
        OpKind::Memory => instruction.memory_size().size(),
        _ => 8,
    };
    if size == 0 { 64 } else { 8 * size as u64 }
}

/// Bytes of a vector destination that an instruction leaves open.
pub(super) fn open_vector(instruction: &Instruction) -> Option<(u64, Rule)> {
    let upper = 0xff00;
    let mnemonic = instruction.mnemonic();
    if !matches!(mnemonic, Mnemonic::Extrq | Mnemonic::Insertq) {
        return None;
    }
    // Length and index are the last two immediates, or in a register, where they are not known.
    let count = instruction.op_count();
    let field = (count >= 3)
        .then(|| {
            Some((
                instruction.try_immediate(count - 2).ok()? & 63,
                instruction.try_immediate(count - 1).ok()? & 63,
            ))
        })
        .flatten();
    let inside = field.is_some_and(|(length, index)| (if length == 0 { 64 } else { length }) + index <= 64);
    Some((if inside { upper } else { 0xffff }, Rule::Sse4aUpper))
}
