//! Prefixes that an instruction does not need: redundant, ignored, or changing the address size.

use iced_x86::{Encoder, EncodingKind, FlowControl, Instruction, OpCodeOperandKind, OpKind};

use super::form::Form;
use snippex_core::random::Random;

pub(super) const ADDRESS_SIZE: u8 = 0x67;
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
            1 => vec![ADDRESS_SIZE],
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

/// Whether `form` is a branch, a call, a return or a string instruction: what an emulator translates by itself, and where it may
/// take the address-size prefix for something else.
pub(super) fn wants_address_size(form: Form) -> bool {
    use OpCodeOperandKind as K;
    let info = form.code().op_code();
    let is_string = |kind: &K| matches!(kind, K::seg_rSI | K::es_rDI | K::seg_rDI | K::seg_rBX_al);
    let leaves = !matches!(
        form.code().flow_control(),
        FlowControl::Next | FlowControl::Interrupt | FlowControl::Exception
    );
    leaves || info.op_kinds().iter().any(is_string)
}

/// `instruction`, whose bytes are `bytes`, with an address-size prefix in front; `None` where that makes another form of it.
/// A relative operand leads to where it did.
pub(super) fn add_address_size(
    form: Form,
    instruction: &Instruction,
    bytes: &[u8],
    address: u64,
) -> Option<Vec<u8>> {
    let moved = if instruction.op0_kind() == OpKind::NearBranch64 {
        let mut encoder = Encoder::new(64);
        encoder.encode(instruction, address + 1).ok()?;
        encoder.take_buffer()
    } else {
        bytes.to_vec()
    };
    let prefixed = [&[ADDRESS_SIZE], &moved[..]].concat();
    (prefixed.len() <= LONGEST && form.is_of(&prefixed, address)).then_some(prefixed)
}
