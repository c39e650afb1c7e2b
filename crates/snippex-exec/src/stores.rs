//! Where a block stores to, as far as its start state says.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use snippex_core::block::Block;
use snippex_core::case::Placement;
use snippex_core::seed::{MemoryUse, Roles};
use snippex_runner::layout::{LINE, MAX_STORE_SIZE, MAX_STORES, STORE_FS, STORE_GS, WireStore};

/// All stores of `block` at `placement`, those next to each other as one. `None` when there are more than the guest takes,
/// or one of them may go where the start state alone does not say.
pub(crate) fn stores(block: &Block, placement: Placement) -> Option<Vec<WireStore>> {
    if reaches_further(block) {
        return None;
    }
    let roles = Roles::of(block, placement);
    if roles.vector_index {
        return None;
    }
    let written = roles.memory.iter().filter(|memory| memory.written);
    let mut stores: Vec<WireStore> = written.map(store).collect::<Option<_>>()?;
    stores.sort_by_key(|store| (place(store), store.constant as i64));
    let mut joined: Vec<WireStore> = Vec::with_capacity(stores.len());
    for store in stores {
        if !joined.last_mut().is_some_and(|last| join(last, &store)) {
            joined.push(store);
        }
    }
    (joined.len() <= MAX_STORES).then_some(joined)
}

/// Whether an instruction stores more or elsewhere than its operand says.
fn reaches_further(block: &Block) -> bool {
    use Mnemonic::{Btc, Btr, Bts, Enter};
    let mut decoder = Decoder::with_ip(64, &block.bytes, block.address, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let repeated = instruction.has_rep_prefix() || instruction.has_repne_prefix();
        let bit_offset =
            matches!(instruction.mnemonic(), Btc | Btr | Bts) && instruction.op1_kind() == OpKind::Register;
        if repeated && instruction.is_string_instruction() || bit_offset || instruction.mnemonic() == Enter {
            return true;
        }
    }
    false
}

fn store(memory: &MemoryUse) -> Option<WireStore> {
    let address = memory.address.as_ref().filter(|address| !address.narrowed)?;
    if !(1..=LINE).contains(&memory.size) {
        return None;
    }
    let mut store = WireStore {
        constant: address.constant as u64,
        coefficients: [0; 4],
        registers: [0; 4],
        terms: address.terms.len() as u32,
        size: memory.size as u32,
        segment: match memory.segment {
            None => 0,
            Some(Register::FS) => STORE_FS,
            Some(_) => STORE_GS,
        },
    };
    let mut terms = address.terms.clone();
    terms.sort_unstable();
    for (index, (register, coefficient)) in terms.into_iter().enumerate() {
        *store.registers.get_mut(index)? = register;
        store.coefficients[index] = coefficient as u64;
    }
    Some(store)
}

/// What stores have in common whose distance is the same in all runs.
fn place(store: &WireStore) -> ([u8; 4], [u64; 4], u32) {
    (store.registers, store.coefficients, store.segment)
}

/// Makes `last` span `next` as well, which begins behind it, if that is near.
fn join(last: &mut WireStore, next: &WireStore) -> bool {
    if place(last) != place(next) {
        return false;
    }
    let distance = next.constant.wrapping_sub(last.constant);
    let near = distance <= u64::from(last.size) + LINE as u64;
    let size = (distance.saturating_add(u64::from(next.size))).max(u64::from(last.size));
    if near && size <= u64::from(MAX_STORE_SIZE) {
        last.size = size as u32;
        return true;
    }
    false
}

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::*;
    use snippex_core::block::{Origin, Terminator};

    use super::*;

    fn of(build: impl FnOnce(&mut CodeAssembler)) -> Option<Vec<(u64, u32)>> {
        let mut assembler = CodeAssembler::new(64).unwrap();
        build(&mut assembler);
        let block = Block {
            address: 0x1000,
            bytes: assembler.assemble(0x1000).unwrap(),
            instruction_count: 1,
            terminator: Terminator::FallThrough,
            successors: vec![],
            origin: Origin::Symbol,
            unrunnable: None,
        };
        let placement = Placement {
            image_base: 0x2_0000_0000,
            code_base: 0x2_1d60_0000,
        };
        let found = stores(&block, placement)?;
        Some(found.iter().map(|store| (store.constant, store.size)).collect())
    }

    #[test]
    fn neighbours_are_one_store() {
        let pushes = of(|a| {
            a.push(rbx).unwrap();
            a.push(rbp).unwrap();
            a.sub(rsp, 0x18).unwrap();
            a.mov(dword_ptr(rsp), 1).unwrap();
        });
        assert_eq!(pushes, Some(vec![(0_u64.wrapping_sub(0x28), 0x28)]));
        let apart = of(|a| {
            a.mov(qword_ptr(rdi + 0x200), rax).unwrap();
            a.mov(qword_ptr(rdi), rax).unwrap();
            a.mov(byte_ptr(rsi), al).unwrap();
        });
        assert_eq!(apart, Some(vec![(0, 1), (0, 8), (0x200, 8)]));
    }

    #[test]
    fn what_the_start_state_does_not_say_is_not_guessed() {
        assert_eq!(
            of(|a| {
                a.mov(rax, qword_ptr(rdi)).unwrap();
                a.mov(qword_ptr(rax), rbx).unwrap();
            }),
            None
        );
        assert_eq!(of(|a| a.rep().stosb().unwrap()), None);
        assert_eq!(of(|a| a.bts(qword_ptr(rdi), rax).unwrap()), None);
        assert_eq!(of(|a| a.fxsave(ptr(rdi)).unwrap()), None);
        // Exact only while the index is small.
        assert_eq!(
            of(|a| {
                a.movsxd(rcx, ecx).unwrap();
                a.mov(qword_ptr(rdi + rcx * 8), rbx).unwrap();
            }),
            None
        );
    }
}
