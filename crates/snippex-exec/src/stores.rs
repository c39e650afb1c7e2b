//! Where a block stores to, as far as its start state says.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};
use snippex_core::block::Block;
use snippex_core::case::Placement;
use snippex_core::decode::block_decoder;
use snippex_core::group::Start;
use snippex_core::seed::{Linear, MemoryUse, Roles};
use snippex_runner::layout::LINE;

/// Most stores of a block, neighbours being one: each takes time in every run.
const MAX_STORES: usize = 8;
/// Most bytes of a store.
const MAX_SIZE: u64 = 256;

/// Memory that a block may store to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Store {
    address: Linear,
    /// FS or GS, whose base is added.
    segment: Option<Register>,
    /// Bytes, at least one.
    size: u64,
}

impl Store {
    /// Most lines that it may touch.
    pub(crate) fn most_lines(&self) -> usize {
        (self.size as usize).div_ceil(LINE) + 1
    }

    /// Appends the lines that it touches in a run from `start`.
    pub(crate) fn append_touched_lines(&self, start: &Start, lines: &mut Vec<u64>) {
        const MASK: u64 = !(LINE as u64 - 1);
        let base = match self.segment {
            None => 0,
            Some(Register::FS) => start.fs_base,
            Some(_) => start.gs_base,
        };
        let first = self.address.value_for(&start.gpr).wrapping_add(base);
        let last = first.wrapping_add(self.size - 1) & MASK;
        let mut line = first & MASK;
        lines.push(line);
        while line != last {
            line = line.wrapping_add(LINE as u64);
            lines.push(line);
        }
    }

    /// Makes it span `next` as well, which begins behind it, if that is near in all runs.
    fn join(&mut self, next: &Self) -> bool {
        if (&self.address.terms, self.segment) != (&next.address.terms, next.segment) {
            return false;
        }
        let distance = next.address.constant.wrapping_sub(self.address.constant) as u64;
        let size = self.size.max(distance.saturating_add(next.size));
        let near = distance <= self.size + LINE as u64 && size <= MAX_SIZE;
        if near {
            self.size = size;
        }
        near
    }
}

/// All stores of `block` at `placement`, those next to each other as one. `None` when there are many, or one of them may go
/// where the start state alone does not say.
pub(crate) fn find_stores(block: &Block, placement: Placement) -> Option<Vec<Store>> {
    if reaches_further(block) {
        return None;
    }
    let roles = Roles::from_block(block, placement);
    if roles.vector_index {
        return None;
    }
    let written = roles.memory.iter().filter(|memory| memory.written);
    let mut stores: Vec<Store> = written.map(store).collect::<Option<_>>()?;
    stores.sort_by(|a, b| {
        let key = |store: &Store| (store.segment, store.address.constant);
        (&a.address.terms, key(a)).cmp(&(&b.address.terms, key(b)))
    });
    let mut joined: Vec<Store> = Vec::with_capacity(stores.len());
    for store in stores {
        if !joined.last_mut().is_some_and(|last| last.join(&store)) {
            joined.push(store);
        }
    }
    (joined.len() <= MAX_STORES).then_some(joined)
}

/// Whether an instruction stores more or elsewhere than its operand says.
fn reaches_further(block: &Block) -> bool {
    use Mnemonic::{Btc, Btr, Bts, Enter};
    let mut decoder = block_decoder(block);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        // Where an engine that executes a refused encoding stores to is not known.
        if instruction.is_invalid() {
            return true;
        }
        let repeated = instruction.has_rep_prefix() || instruction.has_repne_prefix();
        let bit_offset =
            matches!(instruction.mnemonic(), Btc | Btr | Bts) && instruction.op1_kind() == OpKind::Register;
        if repeated && instruction.is_string_instruction() || bit_offset || instruction.mnemonic() == Enter {
            return true;
        }
    }
    false
}

fn store(memory: &MemoryUse) -> Option<Store> {
    let mut address = memory.address.clone().filter(|address| !address.narrowed)?;
    address.terms.sort_unstable();
    (1..=LINE).contains(&memory.size).then_some(Store {
        address,
        segment: memory.segment,
        size: memory.size as u64,
    })
}

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::*;
    use snippex_core::block::{Origin, Terminator};

    use super::*;

    fn of(build: impl FnOnce(&mut CodeAssembler)) -> Option<Vec<(i64, u64)>> {
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
        let found = find_stores(&block, placement)?;
        Some(
            found
                .iter()
                .map(|store| (store.address.constant, store.size))
                .collect(),
        )
    }

    #[test]
    fn neighbours_are_one_store() {
        let pushes = of(|a| {
            a.push(rbx).unwrap();
            a.push(rbp).unwrap();
            a.sub(rsp, 0x18).unwrap();
            a.mov(dword_ptr(rsp), 1).unwrap();
        });
        assert_eq!(pushes, Some(vec![(-0x28, 0x28)]));
        let apart = of(|a| {
            a.mov(qword_ptr(rdi + 0x200), rax).unwrap();
            a.mov(qword_ptr(rdi), rax).unwrap();
            a.mov(byte_ptr(rsi), al).unwrap();
        });
        assert_eq!(apart, Some(vec![(0, 1), (0, 8), (0x200, 8)]));
    }

    #[test]
    fn a_store_across_a_line_touches_two() {
        let store = Store {
            address: Linear {
                terms: vec![(7, 1), (1, 8)],
                constant: 0x3c,
                narrowed: false,
            },
            segment: Some(Register::FS),
            size: 8,
        };
        let mut start = Start {
            gpr: [0; 16],
            rflags: 0,
            fs_base: 0x4000,
            gs_base: 0,
            vectors: 0,
        };
        (start.gpr[7], start.gpr[1]) = (0x1000, 0x10);
        let mut lines = Vec::new();
        store.append_touched_lines(&start, &mut lines);
        assert_eq!(lines, [0x5080, 0x50c0]);
        assert!(lines.len() <= store.most_lines());
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
