//! Which corners the generated blocks meet, as numbers: of how many forms there could be, how many do.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{
    EncodingKind, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register, RflagsBits,
};
use serde::Serialize;
use snippex_core::block::Block;
use snippex_core::case::{PAGE_SIZE, Placement};
use snippex_core::decode::{block_decoder, refused_bytes};
use snippex_core::group::VectorState;
use snippex_core::seed::{Roles, StartCorner, Style, X87Pair, start_states, vector_pool};

use super::form::Form;
use super::form_of;
use super::prefixes::{ADDRESS_SIZE, wants_address_size};
use super::stage::Stage;

/// What the start states of a check follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartRequest {
    /// Source of everything random.
    pub seed: u64,
    /// Start states of each block.
    pub states: u32,
}

/// How many of the things that have a corner meet it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// Those that meet it.
    pub reached: u64,
    /// All that could.
    pub of: u64,
}

/// Of each corner, by its name in words, what meets it.
pub(super) fn corners_of_blocks<'b>(
    blocks: impl Iterator<Item = &'b Block>,
    starts: StartRequest,
) -> BTreeMap<&'static str, Reached> {
    let mut count = CornerCount {
        starts,
        pool: vector_pool(starts.seed, Style::Corners).to_vec(),
        factory: InstructionInfoFactory::new(),
        forms: BTreeMap::new(),
        registers: BTreeMap::new(),
        pairs: BTreeMap::new(),
    };
    for block in blocks.filter(|block| refused_bytes(block).is_none()) {
        match (Stage::of_block(block), form_of(block)) {
            (Stage::Single, Some(form)) => count.add_single(block, form),
            (Stage::Placed, Some(form)) => count.add_placed(block, form),
            _ => (),
        }
    }
    count.finish()
}

/// A register file, and an operand that names one of it.
type Operand = (&'static str, Form, u32);

struct CornerCount {
    starts: StartRequest,
    pool: Vec<VectorState>,
    factory: InstructionInfoFactory,
    /// By corner and form, whether the form meets it.
    forms: BTreeMap<(&'static str, Form), bool>,
    /// By operand, how many registers there are, and the numbers of those that it was.
    registers: BTreeMap<Operand, (u64, BTreeSet<usize>)>,
    pairs: BTreeMap<Form, BTreeSet<X87Pair>>,
}

impl CornerCount {
    fn add_form(&mut self, corner: &'static str, form: Form, is_met: bool) {
        *self.forms.entry((corner, form)).or_default() |= is_met;
    }

    fn add_single(&mut self, block: &Block, form: Form) {
        const PLACEMENT: Placement = Placement {
            image_base: 0,
            code_base: 0,
        };
        let roles = Roles::from_block(block, PLACEMENT);
        let meets = |corner: StartCorner, starts: StartRequest| corner.is_met(&roles, starts.states as usize);
        let instructions: Vec<Instruction> = block_decoder(block).into_iter().collect();
        let Some(instruction) = instructions.iter().find(|found| found.code() == form.code()) else {
            return;
        };
        if !roles.memory.is_empty() {
            for (name, corner) in [
                ("operand ends at the end of a page", StartCorner::OperandAtPageEnd),
                (
                    "operand begins at the start of a page",
                    StartCorner::OperandAtPageStart,
                ),
            ] {
                self.add_form(name, form, meets(corner, self.starts));
            }
        }
        if instruction.rflags_read() & STATUS != 0 {
            for (name, corner) in [
                ("flags are all clear where they are read", StartCorner::FlagsClear),
                ("flags are all set where they are read", StartCorner::FlagsSet),
            ] {
                self.add_form(name, form, meets(corner, self.starts));
            }
        }
        if is_atomic(instruction) {
            for (name, corner) in [
                ("atomic operand across 16 bytes", StartCorner::OperandAcrossChunk),
                ("atomic operand across 64 bytes", StartCorner::OperandAcrossLine),
                ("atomic operand across 4096 bytes", StartCorner::OperandAcrossPage),
            ] {
                let can_cross = roles.memory.iter().any(|memory| memory.size > 1);
                if can_cross {
                    self.add_form(name, form, meets(corner, self.starts));
                }
            }
        }
        if wants_address_size(form) && !counts_by_rcx(instruction) {
            let has_prefix = has_address_size(block, instruction);
            self.add_form(
                "address-size prefix before branches, calls, strings",
                form,
                has_prefix,
            );
        }
        self.add_registers(instruction, form);
        if let Some(other) = self.other_register(instruction) {
            let count = self.starts.states as usize;
            let states = start_states(self.starts.seed, Style::Corners, block, &roles, count);
            let pairs = states
                .iter()
                .filter_map(|start| X87Pair::of_state(&self.pool[start.vectors as usize].x87, other));
            self.pairs.entry(form).or_default().extend(pairs);
        }
    }

    fn add_placed(&mut self, block: &Block, form: Form) {
        let (start, last) = (block.address, block.end_address() - 1);
        let across = |size: u64| start / size != last / size;
        let page = across(PAGE_SIZE as u64);
        let name = if page {
            "code across a page"
        } else {
            "code across a line"
        };
        self.add_form(name, form, across(64));
    }

    /// Explicit operands that are registers, the vector that is an index, and the mask.
    fn add_registers(&mut self, instruction: &Instruction, form: Form) {
        let vectors = match form.code().encoding() {
            EncodingKind::EVEX => 32,
            _ => 16,
        };
        let operands = (0..instruction.op_count())
            .filter(|&operand| instruction.op_kind(operand) == OpKind::Register)
            .map(|operand| (REGISTERS, operand, instruction.op_register(operand)));
        let masks = instruction
            .has_op_mask()
            .then(|| (MASKS, 0, instruction.op_mask()));
        let index = instruction
            .is_vsib()
            .then(|| (INDICES, 0, instruction.memory_index()));
        // Of x87 registers pairs are counted, and of segment registers not all can be loaded.
        let is_counted = |register: Register| !register.is_st() && !register.is_segment_register();
        for (name, operand, register) in operands.chain(masks).chain(index) {
            let count = match register {
                _ if name == MASKS => 7,
                _ if register.is_vector_register() => vectors,
                _ if register.is_mm() || register.is_k() => 8,
                _ => 16,
            };
            if is_counted(register) {
                let number = register.full_register().number();
                let (_, seen) = self
                    .registers
                    .entry((name, form, operand))
                    .or_insert((count, BTreeSet::new()));
                seen.insert(number);
            }
        }
    }

    /// The number of the x87 register that an instruction reads besides ST(0).
    fn other_register(&mut self, instruction: &Instruction) -> Option<usize> {
        let used = self.factory.info(instruction).used_registers();
        let is_read = |access| matches!(access, OpAccess::Read | OpAccess::ReadWrite);
        let read: BTreeSet<usize> = used
            .iter()
            .filter(|used| used.register().is_st() && is_read(used.access()))
            .map(|used| used.register().number())
            .collect();
        let other = read.iter().copied().find(|&number| number != 0);
        other.filter(|_| read.contains(&0))
    }

    fn finish(self) -> BTreeMap<&'static str, Reached> {
        let mut corners: BTreeMap<&'static str, Reached> = BTreeMap::new();
        let mut add = |name, reached: usize, of: u64| {
            let corner = corners.entry(name).or_default();
            corner.reached += reached as u64;
            corner.of += of;
        };
        for ((name, _), is_met) in self.forms {
            add(name, usize::from(is_met), 1);
        }
        for ((name, ..), (count, seen)) in self.registers {
            // An operand that is always the same register is one that the instruction implies.
            if seen.len() > 1 {
                add(name, seen.len(), count);
            }
        }
        for pairs in self.pairs.values() {
            add(PAIRS, pairs.len(), X87Pair::COUNT as u64);
        }
        corners
    }
}

const REGISTERS: &str = "registers in each operand";
const MASKS: &str = "registers as a mask";
const INDICES: &str = "vectors as an index";
const PAIRS: &str = "x87 operand pairs, each precision and rounding";

/// The flags that arithmetic sets.
const STATUS: u32 =
    RflagsBits::OF | RflagsBits::SF | RflagsBits::ZF | RflagsBits::AF | RflagsBits::CF | RflagsBits::PF;

fn is_atomic(instruction: &Instruction) -> bool {
    let stores = instruction.op_count() > 0 && instruction.op0_kind() == OpKind::Memory;
    stores && (instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg)
}

/// Loops that count by RCX: with the prefix they count by ECX, which is another form.
fn counts_by_rcx(instruction: &Instruction) -> bool {
    let counts = instruction.is_loop() || instruction.is_loopcc() || instruction.is_jcx_short();
    counts && instruction.op_code().address_size() == 64
}

fn has_address_size(block: &Block, instruction: &Instruction) -> bool {
    let start = (instruction.ip() - block.address) as usize;
    let bytes = &block.bytes[start..start + instruction.len()];
    let is_prefix = |byte: &&u8| {
        matches!(
            **byte,
            0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3
        )
    };
    bytes
        .iter()
        .take_while(is_prefix)
        .any(|byte| *byte == ADDRESS_SIZE)
}
