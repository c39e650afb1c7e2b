//! Proof of patterns: the case with the one thing changed that a pattern is about.
//!
//! A pattern about a prefix, a bit of REX, or a bit of a control word holds only if the difference goes away when that one
//! thing is changed. What the changed case shows is for whoever can run it; here it is made.

use std::sync::Arc;

use snippex_core::case::Case;
use snippex_core::decode::{BlockInstruction, block_instructions, intel_decoder};
use snippex_core::state::rflags;

use crate::reduce::replace_block_bytes;

const MXCSR_DAZ: u32 = 1 << 6;
const MXCSR_FTZ: u32 = 1 << 15;
/// Rounding control.
const MXCSR_RC: u32 = 3 << 13;
/// x87 control: precision of 64 bits.
const EXTENDED: u16 = 0x300;
const REX_W: u8 = 8;

/// `case`, whose last instruction is at fault, without what the pattern called `id` is about. `None` when the pattern is
/// about no single thing, or the case does not have it.
#[must_use]
pub fn counterfactual_case(id: &str, case: &Case) -> Option<Case> {
    let mut changed = case.clone();
    let state = &mut changed.state;
    match id {
        "lost-rex" => return without_prefixes(case, |byte, is_last| byte & 0xf0 == 0x40 && !is_last),
        "operand-size-rex-w" | "base-operand-size" | "rdtscp-operand-size" => {
            return without_prefixes(case, |byte, _| byte == 0x66);
        }
        "mmx-shift-rex-b" => return without_rex_bits(case, 1),
        "mmx-rex-b" => return without_rex_bits(case, 5),
        "x87-image-rex-w" => return without_rex_bits(case, REX_W),
        "alignment-check" => state.rflags &= !rflags::AC,
        "max-min-daz" | "half-daz" => state.mxcsr &= !MXCSR_DAZ,
        "half-ftz" => state.mxcsr &= !MXCSR_FTZ,
        "rounding-mode" => state.mxcsr &= !MXCSR_RC,
        "x87-precision-operands" => state.x87.control |= EXTENDED,
        _ => return None,
    }
    (changed.state != case.state).then_some(changed)
}

/// The last instruction of `case`, if it can move: nothing in it is relative to RIP.
fn last_movable(case: &Case) -> Option<BlockInstruction<'_>> {
    let last = block_instructions(&case.block).last()?;
    let relative = last.instruction.is_ip_rel_memory_operand() || last.instruction.near_branch_target() != 0;
    (!last.instruction.is_invalid() && !relative).then_some(last)
}

/// Number of legacy and REX prefixes that `bytes` begin with.
fn prefix_count(bytes: &[u8]) -> usize {
    let is_prefix = |byte: &&u8| {
        matches!(
            byte,
            0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3
        )
    };
    bytes.iter().take_while(is_prefix).count()
}

/// Without the prefixes of the last instruction that `test` picks: of each it is told the byte, and whether it is the last.
fn without_prefixes(case: &Case, test: impl Fn(u8, bool) -> bool) -> Option<Case> {
    let last = last_movable(case)?;
    let count = prefix_count(last.bytes);
    let kept = last
        .bytes
        .iter()
        .enumerate()
        .filter(|(at, byte)| *at >= count || !test(**byte, at + 1 == count))
        .map(|(_, byte)| *byte);
    with_last(case, &last, kept.collect())
}

/// With these bits clear in the REX prefix of the last instruction.
fn without_rex_bits(case: &Case, bits: u8) -> Option<Case> {
    let last = last_movable(case)?;
    let at = prefix_count(last.bytes).checked_sub(1)?;
    let mut bytes = last.bytes.to_vec();
    if bytes[at] & 0xf0 != 0x40 {
        return None;
    }
    bytes[at] &= !bits;
    with_last(case, &last, bytes)
}

/// With other bytes for the last instruction, which stays what it is.
fn with_last(case: &Case, last: &BlockInstruction<'_>, bytes: Vec<u8>) -> Option<Case> {
    let decoded = intel_decoder(&bytes, last.instruction.ip()).decode();
    if bytes == last.bytes || decoded.mnemonic() != last.instruction.mnemonic() {
        return None;
    }
    let mut all = case.block.bytes[..last.offset].to_vec();
    all.extend(bytes);
    let block = replace_block_bytes(&case.block, all, case.block.instruction_count)?;
    Some(Case {
        block: Arc::new(block),
        ..case.clone()
    })
}

#[cfg(test)]
mod tests {
    use snippex_core::block::{Block, Origin, Terminator};
    use snippex_core::case::Placement;
    use snippex_core::state::MachineState;

    use super::*;

    fn case(bytes: &[u8]) -> Case {
        let block = Block {
            address: 0x1000,
            bytes: bytes.to_vec(),
            instruction_count: 1,
            terminator: Terminator::FallThrough,
            successors: vec![],
            origin: Origin::Sweep,
            unrunnable: None,
        };
        Case {
            block: Arc::new(block),
            placement: Placement {
                image_base: 0,
                code_base: 0,
            },
            state: MachineState::default(),
            pages: Arc::new([]),
        }
    }

    #[test]
    fn the_one_thing_is_changed() {
        let changed = |id: &str, bytes: &[u8]| {
            counterfactual_case(id, &case(bytes)).map(|changed| changed.block.bytes.clone())
        };
        // fimul dword ptr [r15+r10*4] behind a REX that does not count
        let fimul = changed("lost-rex", &[0x43, 0x43, 0xda, 0x0c, 0x97]);
        assert_eq!(fimul, Some(vec![0x43, 0xda, 0x0c, 0x97]));
        // movbe with both
        let movbe = changed("operand-size-rex-w", &[0x66, 0x48, 0x0f, 0x38, 0xf0, 0x07]);
        assert_eq!(movbe, Some(vec![0x48, 0x0f, 0x38, 0xf0, 0x07]));
        // psraw mm5, 16 with REX.B
        let shift = changed("mmx-shift-rex-b", &[0x47, 0x0f, 0x71, 0xe5, 0x10]);
        assert_eq!(shift, Some(vec![0x46, 0x0f, 0x71, 0xe5, 0x10]));
        // Without it there is nothing to change; what is relative to RIP cannot move.
        assert_eq!(changed("lost-rex", &[0x43, 0xda, 0x0c, 0x97]), None);
        assert_eq!(changed("lost-rex", &[0x43, 0x3e, 0x8b, 0x05, 0, 0, 0, 0]), None);
        assert_eq!(changed("x87-underflow", &[0xd9, 0xe0]), None);
    }

    #[test]
    fn modes_are_changed_where_they_are_set() {
        let mut maximum = case(&[0x0f, 0x5f, 0xc1]);
        assert!(counterfactual_case("max-min-daz", &maximum).is_none());
        maximum.state.mxcsr |= MXCSR_DAZ;
        let changed = counterfactual_case("max-min-daz", &maximum).map(|changed| changed.state.mxcsr);
        assert_eq!(changed, Some(0x1f80));
        maximum.state.mxcsr = 0x7f80;
        let changed = counterfactual_case("rounding-mode", &maximum).map(|changed| changed.state.mxcsr);
        assert_eq!(changed, Some(0x1f80));
    }
}
