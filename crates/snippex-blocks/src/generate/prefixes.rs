//! Prefixes that an instruction does not need: redundant, ignored, or changing the address size.

use iced_x86::{EncodingKind, Instruction, OpKind};

use super::form::Form;
use snippex_core::random::Random;

const LONGEST: usize = 15;
const SEGMENTS: [u8; 6] = [0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65];

/// `bytes`, an instruction of `form`, with prefixes in front that leave it of this form; as it was if there are none.
pub(super) fn add_neutral_prefixes(
    form: Form,
    instruction: &Instruction,
    bytes: Vec<u8>,
    address: u64,
    random: &mut Random,
) -> Vec<u8> {
    let legacy = form.code().op_code().encoding() == EncodingKind::Legacy;
    let memory = (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
    // A segment base is added to addresses that are made for none, so seldom.
    let segments = if memory && random.next_below(4) != 0 { 4 } else { 6 };
    for _ in 0..4 {
        let segment = SEGMENTS[random.next_below(segments) as usize];
        let mut prefixes: Vec<u8> = match random.next_below(if legacy { 8 } else { 2 }) {
            0 => vec![segment],
            1 => vec![0x67],
            2 => vec![0x66],
            3 => vec![0xf2],
            4 => vec![0xf3],
            // REX counts only right in front of the opcode (SDM vol. 2, section 2.2.1). That is a matter of decoding
            // alone: a few forms show it as well as all.
            5 if (form.code() as u64).is_multiple_of(256) => {
                vec![0x40 | random.next_below(16) as u8, segment]
            }
            5 | 6 => vec![0x40 | random.next_below(16) as u8],
            _ => vec![0x66, segment],
        };
        prefixes.extend(&bytes);
        // Relative operands move along with the length: those are left alone.
        let moves = instruction.is_ip_rel_memory_operand() || instruction.op0_kind() == OpKind::NearBranch64;
        if !moves && prefixes.len() <= LONGEST && form.is_of(&prefixes, address) {
            return prefixes;
        }
    }
    bytes
}
