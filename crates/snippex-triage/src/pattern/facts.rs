//! A divergence as patterns see it: the instruction at fault, the state it met, its right end and what differs from it.

use snippex_core::decode::{
    Refusal, block_instructions, decode_leniently, loads_x87_status, locks_memory, refused_bytes,
};
use snippex_core::observation::{SIGBUS, SIGSEGV};
use std::borrow::Cow;

use iced_x86::{
    CpuidFeature, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
};

use super::nearness::{is_near, is_relatively_near};
use crate::signature::{BugKind, DifferingPart, Signature};
use snippex_core::case::{Case, PAGE, PageAccess};
use snippex_core::diff::{Difference, Field, Value};
use snippex_core::effects::BlockEffects;
use snippex_core::extended::Extended;
use snippex_core::observation::{Endpoint, Observation, Signal};
use snippex_core::state::X87State;

/// x87 status: invalid operation and stack fault.
const STACK_FAULT: u16 = 0x41;

/// A divergence of a case whose last instruction is at fault. Rulings are sure of themselves when it is the only one:
/// then the case's state is the one that the instruction met.
#[derive(Debug)]
pub struct DivergenceFacts<'e> {
    pub(super) instruction: Instruction,
    effects: Cow<'e, BlockEffects>,
    index: usize,
    pub(super) signature: &'e Signature,
    pub(super) case: &'e Case,
    pub(super) expected: &'e Observation,
    differences: &'e [Difference],
}

impl<'e> DivergenceFacts<'e> {
    /// The facts of `case`, at fault in its last instruction. `None` when that does not decode.
    #[must_use]
    pub fn new(
        signature: &'e Signature,
        case: &'e Case,
        expected: &'e Observation,
        differences: &'e [Difference],
    ) -> Option<Self> {
        let effects = Cow::Owned(BlockEffects::new(&case.block));
        Self::with(effects, signature, case, expected, differences)
    }

    /// The same for who has the effects of the block already.
    #[must_use]
    pub fn from_effects(
        effects: &'e BlockEffects,
        signature: &'e Signature,
        case: &'e Case,
        expected: &'e Observation,
        differences: &'e [Difference],
    ) -> Option<Self> {
        Self::with(Cow::Borrowed(effects), signature, case, expected, differences)
    }

    fn with(
        effects: Cow<'e, BlockEffects>,
        signature: &'e Signature,
        case: &'e Case,
        expected: &'e Observation,
        differences: &'e [Difference],
    ) -> Option<Self> {
        let block = &case.block;
        let instruction = block_instructions(block).last()?.instruction;
        Some(Self {
            instruction,
            index: effects.instruction_count().checked_sub(1)?,
            effects,
            signature,
            case,
            expected,
            differences,
        })
    }

    /// The signature of the whole divergence.
    #[must_use]
    pub fn signature(&self) -> &'e Signature {
        self.signature
    }

    pub(super) fn is_kind(&self, kind: BugKind) -> bool {
        self.signature.kind == kind
    }

    /// Whether nothing runs before the instruction at fault, so that the case's state is the one that it meets.
    pub(super) fn is_alone(&self) -> bool {
        self.index == 0
    }

    /// Why the instruction at fault is refused, if it is no instruction at all.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        refused_bytes(&self.case.block).map(Refusal::of_bytes)
    }

    /// Whether it is refused, and a decoder that minds no reserved bit takes it for a branch.
    pub(super) fn is_refused_branch(&self) -> bool {
        let lenient = refused_bytes(&self.case.block).and_then(|bytes| decode_leniently(bytes, 0));
        lenient.is_some_and(|instruction| instruction.flow_control() != FlowControl::Next)
    }

    pub(super) fn in_state(&self) -> bool {
        self.signature.kind.is_in_state()
    }

    pub(super) fn mnemonic(&self) -> Mnemonic {
        self.instruction.mnemonic()
    }

    /// The mnemonic in lower case.
    pub(super) fn mnemonic_name(&self) -> String {
        format!("{:?}", self.mnemonic()).to_lowercase()
    }

    /// Whether this part of the state differs as well.
    pub(super) fn has_part(&self, part: DifferingPart) -> bool {
        self.signature.parts().any(|found| found == part)
    }

    /// Whether it is of SSE or AVX or one of their relatives, whatever registers it has.
    pub(super) fn is_vector(&self) -> bool {
        let is = |feature: &CpuidFeature| {
            let name = format!("{feature:?}");
            [
                "SSE", "SSSE", "AVX", "FMA", "F16C", "AES", "VAES", "PCLMUL", "VPCLMUL",
            ]
            .iter()
            .any(|family| name.starts_with(family))
        };
        let features = self.instruction.cpuid_features();
        // FISTTP came with SSE3.
        let has_x87 = features.contains(&CpuidFeature::FPU);
        self.effects.is_vector(self.index) || !has_x87 && features.iter().any(is)
    }

    pub(super) fn is_x87(&self) -> bool {
        self.effects.is_floating_point(self.index) && !self.is_vector() && !self.is_mmx()
    }

    pub(super) fn is_mmx(&self) -> bool {
        self.register_operands().any(Register::is_mm)
    }

    /// Whether the x87 registers that differ hold the right numbers but for the error of computing with fewer bits, 23 at
    /// least: of the results, and of the argument where that is `periodic`.
    pub(super) fn x87_results_are_near(&self, periodic: bool) -> bool {
        let argument = Extended::from_bytes(&self.x87_state().st[0]).to_f64().abs();
        let mut pairs = self.differences.iter().filter_map(|difference| {
            let number = |value: &Value| match value {
                Value::Bytes(bytes) => Some(Extended::from_bytes(bytes.as_slice().try_into().ok()?)),
                _ => None,
            };
            let is_register = matches!(difference.field, Field::X87Register { .. });
            let numbers = number(&difference.expected).zip(number(&difference.actual));
            numbers.filter(|_| is_register)
        });
        pairs.all(|(expected, actual)| {
            is_relatively_near(expected, actual) || periodic && is_near(expected, actual, argument)
        })
    }

    /// Whether an operand is in memory.
    pub(super) fn has_memory(&self) -> bool {
        (0..self.instruction.op_count()).any(|at| self.instruction.op_kind(at) == OpKind::Memory)
    }

    /// Whether it is a string instruction behind a repeat prefix.
    pub(super) fn is_repeated(&self) -> bool {
        let repeats = self.instruction.has_rep_prefix() || self.instruction.has_repne_prefix();
        repeats && self.instruction.is_string_instruction()
    }

    /// Whether it locks its operand in memory: by the prefix, or as XCHG by itself.
    pub(super) fn is_locked(&self) -> bool {
        locks_memory(&self.instruction)
    }

    /// Whether the reference faults at this instruction, on its operand in memory.
    pub(super) fn faults_on_memory(&self) -> bool {
        let here = self.instruction.ip().wrapping_add(self.case.placement.code_base);
        let on_memory = |signal: Signal| matches!(signal.number, SIGBUS | SIGSEGV) && signal.rip == here;
        self.has_memory() && self.reference_signal().is_some_and(on_memory)
    }

    /// What may be done with the page that `address` lies in; `None` when the case has none there.
    pub(super) fn page_access(&self, address: u64) -> Option<PageAccess> {
        let page = address & !(PAGE - 1);
        let found = self.case.pages.iter().find(|known| known.address == page);
        found.map(|page| page.access)
    }

    /// Explicit register operands.
    pub(super) fn register_operands(&self) -> impl Iterator<Item = Register> {
        (0..self.instruction.op_count())
            .filter(|at| self.instruction.op_kind(*at) == OpKind::Register)
            .map(|at| self.instruction.op_register(at))
    }

    /// Whether the instruction has a prefix that is no part of its encoding, by the name it has in signatures.
    pub(super) fn has_extra_prefix(&self, prefix: &str) -> bool {
        let prefixes = self.signature.form.encoding.split_once('+');
        prefixes.is_some_and(|(_, prefixes)| prefixes.split('+').any(|found| found == prefix))
    }

    /// Whether a REX prefix right in front of the opcode has one of these bits (8 is W, 4 is R, 2 is X, 1 is B).
    pub(super) fn has_rex_bits(&self, bits: u8) -> bool {
        let last = self.prefixes().last();
        last.is_some_and(|byte| byte & 0xf0 == 0x40 && byte & bits != 0)
    }

    /// Whether a REX prefix that stands elsewhere has one of these bits.
    pub(super) fn loses_rex(&self, bits: u8) -> bool {
        let (_, before) = self.prefixes().split_last().unwrap_or((&0, &[]));
        before.iter().any(|byte| byte & 0xf0 == 0x40 && byte & bits != 0)
    }

    /// Legacy and REX prefixes.
    fn prefixes(&self) -> &[u8] {
        let bytes = &self.case.block.bytes;
        let is_prefix = |byte: &&u8| {
            matches!(
                byte,
                0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3
            )
        };
        let own = &bytes[bytes.len().saturating_sub(self.instruction.len())..];
        &own[..own.iter().take_while(is_prefix).count()]
    }

    /// The signal of the reference.
    pub(super) fn reference_signal(&self) -> Option<Signal> {
        match self.expected.endpoint {
            Endpoint::Signal(signal) => Some(signal),
            _ => None,
        }
    }

    /// The signal of the subject, where the ends differ.
    pub(super) fn subject_signal(&self) -> Option<Signal> {
        let mut ends = self.differences.iter().map(|difference| &difference.actual);
        ends.find_map(|actual| match actual {
            Value::Endpoint(Endpoint::Signal(signal)) => Some(*signal),
            _ => None,
        })
    }

    /// The signal of the reference that the subject does not raise, or raises otherwise.
    pub(super) fn missing_signal(&self) -> Option<Signal> {
        let missing = matches!(
            self.signature.kind,
            BugKind::MissingFault | BugKind::DifferentFault
        );
        self.reference_signal().filter(|_| missing)
    }

    /// The x87 state that the instruction met.
    pub(super) fn x87_state(&self) -> &'e X87State {
        &self.case.state.x87
    }

    /// Exceptions that the instruction has raised on the reference and that are not masked.
    pub(super) fn unmasked_x87(&self) -> u16 {
        let end = &self.expected.state.x87;
        end.status & !end.control & 0x3f
    }

    /// Whether the reference met a stack fault in this instruction: both flags are set there, and one was not before,
    /// or a register that the instruction reads is empty, or one that it pushes to is not.
    pub(super) fn stack_fault(&self) -> bool {
        let (before, after) = (self.x87_state(), self.expected.state.x87.status);
        if after & STACK_FAULT != STACK_FAULT || !self.is_x87() || loads_x87_status(self.mnemonic()) {
            return false;
        }
        let is_used = |index: u8| before.tags & (1 << ((before.top() + index) & 7)) != 0;
        let pushes = self.instruction.fpu_stack_increment_info().increment() < 0;
        before.status & STACK_FAULT != STACK_FAULT
            || self.reads_st().any(|index| !is_used(index))
            || pushes && is_used(7)
    }

    /// Stack registers that the instruction reads.
    fn reads_st(&self) -> impl Iterator<Item = u8> {
        let mut factory = InstructionInfoFactory::new();
        let used = factory.info(&self.instruction).used_registers().to_vec();
        used.into_iter()
            .filter(|used| used.register().is_st())
            .filter(|used| {
                matches!(
                    used.access(),
                    OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
                )
            })
            .map(|used| used.register().number() as u8)
    }

    /// Values of the general registers that differ, expected and actual.
    pub(super) fn differing_registers(&self) -> impl Iterator<Item = (u64, u64)> {
        self.differences
            .iter()
            .filter(|difference| matches!(difference.field, Field::Gpr { .. }))
            .filter_map(|difference| match (&difference.expected, &difference.actual) {
                (Value::Number(expected), Value::Number(actual)) => Some((*expected, *actual)),
                _ => None,
            })
    }

    /// Values of the differing elements of `size` bytes of `field` (an operand or memory), expected and actual.
    pub(super) fn differing_elements(&self, size: usize) -> impl Iterator<Item = (u64, u64)> {
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u64::from(*byte))
        };
        self.differences
            .iter()
            .filter(|difference| matches!(difference.field, Field::Vector { .. } | Field::Memory { .. }))
            .filter_map(|difference| match (&difference.expected, &difference.actual) {
                (Value::Bytes(expected), Value::Bytes(actual)) => Some((expected, actual)),
                _ => None,
            })
            .flat_map(move |(expected, actual)| expected.chunks(size).zip(actual.chunks(size)))
            .filter(|(expected, actual)| expected != actual)
            .map(move |(expected, actual)| (number(expected), number(actual)))
    }
}
