//! The data flow: what one instruction does to the open bits.
//!
//! The general rule is coarse and safe: when any input of an instruction is open, all of its outputs are, and
//! when none is, its outputs are defined. Instructions through which open bits commonly pass are exact to the
//! bit (`integer`), to the lane (`vector`) or to the field (`x87`, `stored`).

use iced_x86::{Code, MemorySize, Mnemonic, OpAccess, OpKind, Register, UsedMemory};

use super::decoded::{Decoded, Unit};
use super::known::{self, Known};
use super::mask::{Bits, Mask, OpenFault, Precision};
use super::rules::{Rule, RuleSet};
use super::undefined::{self, FlagEffect};
use super::vector::{self, Shape};
use crate::case::Case;
use crate::state::{MXCSR_INITIAL, rflags};

/// Exception masks of MXCSR.
const MXCSR_MASKS: u32 = 0x1f80;
/// Exception flags of MXCSR.
const MXCSR_FLAGS: u64 = 0x3f;

/// The state of the analysis between two instructions.
pub(super) struct Flow<'a> {
    pub(super) case: &'a Case,
    pub(super) mask: Mask,
    pub(super) known: Known<'a>,
    /// Physical number of ST(0), if known.
    pub(super) top: Option<u8>,
    /// Unbiased exponent of each x87 register by physical number, where it is known.
    pub(super) exponents: [Option<i32>; 8],
    /// Whether a conditional x87 push (FPTAN, FSINCOS) is taken to have happened.
    pub(super) pushes: bool,
    /// Whether the run ended with C2 set: an FPREM was left incomplete.
    pub(super) incomplete: bool,
    /// False as long as nothing at all is open, which lets most instructions off lightly.
    dirty: bool,
    index: usize,
}

/// One memory access of an instruction with its address, when that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) address: Option<u64>,
    /// Bytes; 0 when unknown.
    pub(super) size: usize,
    pub(super) reads: bool,
    pub(super) writes: bool,
    /// The write may not happen or not cover all bytes.
    pub(super) partial: bool,
}

/// What goes into an instruction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inputs {
    /// Rules of every open input, addresses included.
    pub(super) all: RuleSet,
    /// Rules of open address registers.
    pub(super) address: RuleSet,
}

impl<'a> Flow<'a> {
    pub(super) fn new(case: &'a Case, pushes: bool, incomplete: bool) -> Self {
        Self {
            case,
            mask: Mask::default(),
            known: Known::new(case),
            top: Some(case.state.x87.top()),
            exponents: super::x87::start_exponents(&case.state.x87),
            pushes,
            incomplete,
            dirty: false,
            index: 0,
        }
    }

    /// Carries the state over one instruction that completes.
    pub(super) fn step(&mut self, decoded: &Decoded) {
        let accesses: Vec<Access> = decoded
            .memory
            .iter()
            .map(|memory| self.access(decoded, memory))
            .collect();
        let inputs = if self.dirty {
            self.inputs(decoded, &accesses)
        } else {
            Inputs::default()
        };
        if !inputs.all.is_empty() || is_masked_store(decoded) {
            self.note_fault(decoded, inputs);
            self.note_target(decoded, inputs);
        }
        match decoded.unit {
            Unit::X87 => self.x87(decoded, &accesses, inputs.all),
            _ if self.stored_image(decoded, &accesses, inputs.all) => {}
            Unit::Mmx => {
                self.mmx();
                self.general(decoded, &accesses, inputs);
            }
            Unit::Vector => self.vector(decoded, &accesses, inputs),
            Unit::Integer => {
                if !(self.dirty && self.integer(decoded, &accesses, inputs)) {
                    self.general(decoded, &accesses, inputs);
                }
            }
        }
        self.learn(decoded, &accesses);
        self.dirty = !self.mask.is_clean();
        self.index += 1;
    }

    /// Marks what an instruction that faults may have changed all the same.
    pub(super) fn fault(&mut self, decoded: &Decoded, page_fault: Option<u64>) {
        let accesses: Vec<Access> = decoded
            .memory
            .iter()
            .map(|memory| self.access(decoded, memory))
            .collect();
        let inputs = self.inputs(decoded, &accesses);
        self.note_fault(decoded, inputs);
        self.note_target(decoded, inputs);
        let gathers = decoded.memory.iter().any(|memory| memory.vsib_size() != 0);
        let rule = if gathers {
            Rule::PartialGather
        } else {
            Rule::PartialStore
        };
        for access in accesses
            .iter()
            .filter(|access| access.writes && (access.size > 8 || gathers))
        {
            match (access.address, page_fault) {
                (Some(address), _) if access.size > 0 => {
                    self.mask
                        .set_memory(address, access.size, |_| (0xff, RuleSet::of(rule)));
                }
                (None, Some(fault)) if access.size > 0 && !gathers => {
                    let size = access.size.min(1 << 12);
                    let start = fault.wrapping_sub(size as u64);
                    self.mask
                        .set_memory(start, 2 * size, |_| (0xff, RuleSet::of(rule)));
                }
                _ => self.mask.anywhere |= RuleSet::of(rule),
            }
        }
        if gathers {
            for used in decoded.registers.iter().filter(|used| writes(used.access())) {
                self.write_register(used.register(), u64::MAX, RuleSet::of(rule));
            }
        }
    }

    fn access(&self, decoded: &Decoded, memory: &UsedMemory) -> Access {
        let instruction = &decoded.instruction;
        let repeated = instruction.is_string_instruction()
            && (instruction.has_rep_prefix() || instruction.has_repne_prefix());
        let size = match memory.memory_size() {
            _ if repeated || memory.vsib_size() != 0 => 0,
            MemorySize::Fxsave_512Byte | MemorySize::Fxsave64_512Byte => 512,
            MemorySize::Xsave | MemorySize::Xsave64 => super::stored::XSAVE_SIZE,
            size => size.size(),
        };
        Access {
            address: self.bit_string_address(decoded, memory),
            size,
            reads: reads(memory.access()),
            writes: writes(memory.access()),
            partial: size == 0
                || matches!(memory.access(), OpAccess::CondWrite | OpAccess::ReadCondWrite)
                || instruction.has_op_mask(),
        }
    }

    /// Address of an access. BT and its like with a register index reach beyond their operand.
    fn bit_string_address(&self, decoded: &Decoded, memory: &UsedMemory) -> Option<u64> {
        let instruction = &decoded.instruction;
        let address = self.known.address(instruction, memory)?;
        let indexed = matches!(
            instruction.mnemonic(),
            Mnemonic::Bt | Mnemonic::Btc | Mnemonic::Btr | Mnemonic::Bts
        ) && instruction.op1_kind() == OpKind::Register;
        if !indexed {
            return Some(address);
        }
        let size = instruction.op1_register().size();
        let index = known::sign_extend(self.known.register(instruction.op1_register())?, size).cast_signed();
        let unit = 8 * size as i64;
        Some(address.wrapping_add((index.div_euclid(unit) * size as i64).cast_unsigned()))
    }

    fn inputs(&self, decoded: &Decoded, accesses: &[Access]) -> Inputs {
        let mut inputs = Inputs::default();
        for memory in &decoded.memory {
            for register in [memory.base(), memory.index()] {
                inputs.address |= self.read_register(register).rules;
            }
            inputs.address |= match memory.segment() {
                Register::FS => self.mask.bases[0],
                Register::GS => self.mask.bases[1],
                _ => RuleSet::EMPTY,
            };
        }
        inputs.all |= inputs.address;
        for used in decoded.registers.iter().filter(|used| reads(used.access())) {
            inputs.all |= self.read_register(used.register()).rules;
        }
        inputs.all |= self.mask.flag_rules(decoded.flags_read);
        for access in accesses.iter().filter(|access| access.reads) {
            inputs.all |= self.read_memory(*access).rules;
        }
        if decoded.unit == Unit::Vector {
            // Rounding mode, denormals-are-zero and flush-to-zero steer arithmetic.
            inputs.all |= self.mask.mxcsr.within(!MXCSR_FLAGS).rules;
        }
        inputs
    }

    /// Open bits of a register of any kind: bits of general and opmask registers, bytes of vectors.
    pub(super) fn read_register(&self, register: Register) -> Bits {
        if let Some((index, shift, mask)) = known::place(register) {
            let bits = self.mask.gpr[index];
            Bits::new((bits.mask >> shift) & mask, bits.rules)
        } else if let Some((index, bytes)) = vector::place(register) {
            self.mask.vector(index, bytes)
        } else if register.is_k() {
            self.mask.opmask[register.number()]
        } else if register.is_st() {
            let rules = self.read_st(register.number());
            Bits::new(u64::MAX, rules)
        } else if register.is_mm() {
            Bits::new(u64::MAX, self.mask.st[register.number()].rules())
        } else {
            Bits::NONE
        }
    }

    /// Replaces the open bits of a register, as [`Self::read_register`] counts them.
    pub(super) fn write_register(&mut self, register: Register, mask: u64, rules: RuleSet) {
        let open = Bits::new(mask, rules);
        if let Some((index, shift, width)) = known::place(register) {
            let old = if register.size() >= 4 {
                Bits::NONE
            } else {
                self.mask.gpr[index].within(!(width << shift))
            };
            self.mask.gpr[index] = old.union(Bits::new((open.mask & width) << shift, open.rules));
        } else if let Some((index, bytes)) = vector::place(register) {
            self.mask.set_vector(index, bytes, open);
        } else if register.is_k() {
            self.mask.opmask[register.number()] = open;
        } else if register.is_mm() {
            self.mask.st[register.number()] = open_precision(open.rules);
        }
    }

    /// Open bytes of a memory access.
    pub(super) fn read_memory(&self, access: Access) -> Bits {
        let everywhere = Bits::new(u64::MAX, self.mask.anywhere);
        match access.address {
            Some(address) if access.size > 0 => {
                everywhere.union(self.mask.memory_bytes(address, access.size))
            }
            _ => self.mask.memory.iter().fold(everywhere, |bits, byte| {
                bits.union(Bits::new(u64::MAX, byte.rules))
            }),
        }
    }

    /// Replaces the open bits of a memory access; `open` gives those of each byte.
    pub(super) fn write_memory(&mut self, access: Access, open: impl Fn(usize) -> (u8, RuleSet)) {
        match access.address {
            Some(address) if access.size > 0 && !access.partial => {
                self.mask.set_memory(address, access.size, open);
            }
            Some(address) if access.size > 0 => {
                let old: Vec<_> = (0..access.size as u64)
                    .map(|at| self.mask.memory_at(address.wrapping_add(at)))
                    .collect();
                self.mask.set_memory(address, access.size, |at| {
                    let (mask, rules) = open(at);
                    (mask | old[at].0, rules.union(old[at].1))
                });
            }
            _ => {
                // Where it goes is not known: closed data may still leave open bytes as they were.
                for at in 0..access.size.max(1) {
                    self.mask.anywhere |= open(at).1;
                }
            }
        }
    }

    /// The coarse rule, for everything that no finer one takes.
    pub(super) fn general(&mut self, decoded: &Decoded, accesses: &[Access], inputs: Inputs) {
        let mut rules = inputs.all;
        if let Some(rule) = undefined::host_rule(&decoded.instruction) {
            rules |= RuleSet::of(rule);
        }
        if self.dirty || !rules.is_empty() {
            for used in decoded.registers.iter().filter(|used| writes(used.access())) {
                let register = used.register();
                let kept = match used.access() {
                    OpAccess::CondWrite | OpAccess::ReadCondWrite => self.read_register(register),
                    _ => Bits::NONE,
                };
                let open = Bits::new(u64::MAX, rules).union(kept);
                self.write_register(register, open.mask, open.rules);
            }
            for access in accesses.iter().filter(|access| access.writes) {
                let rules = rules.union(if access.address.is_none() {
                    inputs.address
                } else {
                    RuleSet::EMPTY
                });
                self.write_memory(*access, |_| (if rules.is_empty() { 0 } else { 0xff }, rules));
            }
        }
        self.flags(decoded, rules);
        self.open_destination(decoded, accesses);
    }

    /// Sets the flags that an instruction writes, from the rules of what they are computed from.
    pub(super) fn flags(&mut self, decoded: &Decoded, rules: RuleSet) {
        let effect = self.flag_effect(decoded);
        if effect.keeps {
            return;
        }
        if self.dirty || !rules.is_empty() {
            if effect.may_keep {
                self.mask.add_flags(decoded.flags_computed, rules);
            } else {
                self.mask.set_flags(decoded.flags_computed, rules);
                self.mask.set_flags(decoded.flags_fixed, RuleSet::EMPTY);
            }
        }
        for (flags, rule) in effect.open.into_iter().flatten() {
            self.mask.add_flags(flags, RuleSet::of(rule));
        }
    }

    /// The flag effect with the count that is known here.
    pub(super) fn flag_effect(&self, decoded: &Decoded) -> FlagEffect {
        let instruction = &decoded.instruction;
        let count = undefined::count_operand(instruction)
            .and_then(|operand| self.known.operand(instruction, operand, None));
        undefined::flag_effect(instruction, count)
    }

    /// Marks an undefined destination.
    pub(super) fn open_destination(&mut self, decoded: &Decoded, accesses: &[Access]) {
        let instruction = &decoded.instruction;
        let address = accesses.first().and_then(|access| access.address);
        let open = undefined::open_destination(instruction, |operand| {
            self.known.operand(instruction, operand, address)
        });
        let Some((mask, rule)) = open else { return };
        if instruction.op0_kind() == OpKind::Register {
            // The mask may reach beyond the operand: into the upper half that a 32-bit write clears.
            let register = instruction.op0_register().full_register();
            let old = self.read_register(register);
            let open = old.union(Bits::new(mask, RuleSet::of(rule)));
            self.write_register(register, open.mask, open.rules);
        } else if let Some(access) = accesses.iter().find(|access| access.writes) {
            self.write_memory(*access, |_| (0xff, RuleSet::of(rule)));
        }
    }

    fn vector(&mut self, decoded: &Decoded, accesses: &[Access], inputs: Inputs) {
        let instruction = &decoded.instruction;
        let destination = instruction.op0_register();
        let fine = decoded.shape != Shape::Generic && instruction.op0_kind() == OpKind::Register;
        if !fine || instruction.is_broadcast() && self.dirty {
            if !self.store_vector(decoded, accesses) {
                self.general(decoded, accesses, inputs);
                self.raise(decoded, inputs.all);
            }
            return;
        }
        let Some((register, _)) = vector::place(destination) else {
            return self.general(decoded, accesses, inputs);
        };
        let width = destination.size();
        let open = if self.dirty && !clears(decoded) {
            let (first, rest) = self.vector_sources(decoded, accesses);
            let steered = self.mask.mxcsr.within(!MXCSR_FLAGS).rules.union(inputs.address);
            let merged = if instruction.has_op_mask() {
                self.read_register(destination).union(Bits::new(
                    u64::MAX,
                    self.read_register(instruction.op_mask()).rules,
                ))
            } else {
                Bits::NONE
            };
            decoded
                .shape
                .spread(first, rest, width)
                .union(Bits::new(u64::MAX, steered))
                .union(merged)
        } else {
            Bits::NONE
        };
        let copied = self.copied_approximations(decoded);
        self.general(decoded, accesses, Inputs::default());
        self.mask.set_vector(register, vector::bytes(width), open);
        let lanes = decoded.shape.approximation(register as u8, width);
        for mut lanes in lanes.into_iter().chain(copied) {
            lanes.register = register as u8;
            lanes.bytes &= vector::bytes(width) & !open.mask;
            if lanes.bytes != 0 {
                self.mask.approximations.push(lanes);
            }
        }
        self.raise(decoded, open.rules);
    }

    /// Approximated lanes that a register move takes along.
    fn copied_approximations(&self, decoded: &Decoded) -> Vec<super::mask::Approximation> {
        let instruction = &decoded.instruction;
        let source = vector::place(instruction.op1_register());
        match source {
            Some((source, _))
                if decoded.shape == Shape::Copy && instruction.op1_kind() == OpKind::Register =>
            {
                self.mask
                    .approximations
                    .iter()
                    .filter(|lanes| usize::from(lanes.register) == source)
                    .copied()
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// Open bytes of the first source (the one that gives a scalar its upper bytes) and of the others.
    fn vector_sources(&self, decoded: &Decoded, accesses: &[Access]) -> (Bits, Bits) {
        let instruction = &decoded.instruction;
        let operand = |index| match instruction.op_kind(index) {
            OpKind::Register => {
                let register = instruction.op_register(index);
                let exact = decoded.shape == Shape::Copy;
                match vector::place(register) {
                    Some((number, bytes)) if exact => self.mask.vectors[number].within(bytes),
                    _ => self.read_register(register),
                }
            }
            OpKind::Memory => accesses
                .iter()
                .find(|access| access.reads)
                .map_or(Bits::NONE, |access| self.read_memory(*access)),
            _ => Bits::NONE,
        };
        let immediate = |index| !matches!(instruction.op_kind(index), OpKind::Register | OpKind::Memory);
        match instruction.op_count() {
            3.. if !immediate(2) => (operand(1), operand(2)),
            0 | 1 => (operand(0), Bits::NONE),
            _ => {
                let scalar = matches!(
                    decoded.shape,
                    Shape::Scalar(_) | Shape::Approximates { scalar: true, .. }
                );
                let reads_first = scalar
                    || decoded
                        .registers
                        .iter()
                        .any(|used| reads(used.access()) && used.register() == instruction.op0_register());
                (if reads_first { operand(0) } else { Bits::NONE }, operand(1))
            }
        }
    }

    /// Stores of vector registers keep their open bytes apart. Whether it was one.
    fn store_vector(&mut self, decoded: &Decoded, accesses: &[Access]) -> bool {
        let instruction = &decoded.instruction;
        let [access] = accesses else { return false };
        if !self.dirty
            || decoded.shape != Shape::Copy
            || !access.writes
            || access.partial
            || access.address.is_none()
        {
            return false;
        }
        let open = self.read_register(instruction.op1_register());
        self.write_memory(*access, |at| {
            if open.mask & (1 << at.min(63)) != 0 {
                (0xff, open.rules)
            } else {
                (0, RuleSet::EMPTY)
            }
        });
        true
    }

    /// Open operands of arithmetic leave the exception flags open.
    fn raise(&mut self, decoded: &Decoded, rules: RuleSet) {
        if !rules.is_empty() && decoded.shape.may_raise() {
            self.mask.mxcsr = self.mask.mxcsr.union(Bits::new(MXCSR_FLAGS, rules));
        }
    }

    /// MMX instructions set TOP to 0 and every tag to valid.
    fn mmx(&mut self) {
        self.top = Some(0);
        self.exponents = [None; 8];
        self.mask.tags = Bits::NONE;
        self.mask.set_status(7 << 11, RuleSet::EMPTY);
    }

    /// Whether the instruction faults may depend on open bits.
    fn note_fault(&mut self, decoded: &Decoded, inputs: Inputs) {
        let instruction = &decoded.instruction;
        let unmasked =
            u64::from(self.case.state.mxcsr & MXCSR_MASKS) != u64::from(MXCSR_INITIAL & MXCSR_MASKS);
        let traps = match instruction.mnemonic() {
            Mnemonic::Div
            | Mnemonic::Idiv
            | Mnemonic::Ldmxcsr
            | Mnemonic::Vldmxcsr
            | Mnemonic::Fxrstor
            | Mnemonic::Fxrstor64
            | Mnemonic::Xrstor
            | Mnemonic::Xrstor64
            | Mnemonic::Maskmovdqu
            | Mnemonic::Vmaskmovdqu
            | Mnemonic::Maskmovq => true,
            _ => match decoded.unit {
                Unit::Vector => unmasked || decoded.memory.iter().any(|memory| memory.vsib_size() != 0),
                Unit::X87 => self.case.state.x87.control & 0x3f != 0x3f || !self.mask.control.is_none(),
                _ => instruction.is_string_instruction() && !instruction.is_stack_instruction(),
            },
        };
        let mut rules = if traps { inputs.all } else { inputs.address };
        if is_masked_store(decoded) {
            rules |= RuleSet::of(Rule::MaskedAccessFault);
        }
        if !rules.is_empty() {
            self.mask.faults.push(OpenFault {
                instruction: self.index,
                rules,
            });
        }
    }

    fn note_target(&mut self, decoded: &Decoded, inputs: Inputs) {
        use iced_x86::FlowControl as F;
        match decoded.instruction.flow_control() {
            F::Next | F::Interrupt | F::Exception => {}
            F::IndirectBranch
            | F::IndirectCall
            | F::Return
            | F::ConditionalBranch
            | F::UnconditionalBranch
            | F::Call
            | F::XbeginXabortXend => {
                let conditional = self.mask.flag_rules(decoded.flags_read);
                let rules = match decoded.instruction.flow_control() {
                    F::ConditionalBranch => conditional.union(inputs.all),
                    F::UnconditionalBranch | F::Call => RuleSet::EMPTY,
                    _ => inputs.all,
                };
                self.mask.target |= rules;
            }
        }
    }

    /// Follows the values that later addresses and counts may need.
    fn learn(&mut self, decoded: &Decoded, accesses: &[Access]) {
        let instruction = &decoded.instruction;
        let address = accesses.first().and_then(|access| access.address);
        let result = self.known.result(instruction, address);
        let stack = self.known.stack_pointer();
        let loaded = match accesses {
            [access] if access.reads => access.address.and_then(|at| self.known.load(at, access.size)),
            _ => None,
        };
        let pushed = (instruction.mnemonic() == Mnemonic::Push)
            .then(|| self.known.operand(instruction, 0, address))
            .flatten();
        let returns_to = instruction.next_ip().wrapping_add(self.case.placement.code_base);
        for access in accesses.iter().filter(|access| access.writes) {
            let whole = !access.partial && accesses.len() == 1;
            let value = match instruction.mnemonic() {
                Mnemonic::Push => pushed,
                Mnemonic::Call => Some(returns_to),
                _ => result,
            };
            let extent = access
                .address
                .filter(|_| access.size > 0)
                .map(|address| (address, access.size));
            self.known.store(extent, value.filter(|_| whole));
        }
        for used in decoded.registers.iter().filter(|used| writes(used.access())) {
            self.known.set_register(used.register(), None);
        }
        match instruction.mnemonic() {
            Mnemonic::Wrfsbase | Mnemonic::Wrgsbase => self.known.forget_bases(),
            Mnemonic::Pop if instruction.op0_kind() == OpKind::Register => {
                self.known.set_register(
                    Register::RSP,
                    stack.map(|stack| stack.wrapping_add(instruction.stack_pointer_increment() as u64)),
                );
                self.known.set_register(instruction.op0_register(), loaded);
            }
            Mnemonic::Leave | Mnemonic::Enter | Mnemonic::Ret => {}
            _ if instruction.is_stack_instruction() && instruction.code() != Code::INVALID => {
                let moved = i64::from(instruction.stack_pointer_increment()).cast_unsigned();
                self.known
                    .set_register(Register::RSP, stack.map(|stack| stack.wrapping_add(moved)));
            }
            _ if instruction.op0_kind() == OpKind::Register => {
                self.known.set_register(
                    instruction.op0_register(),
                    result.or_else(|| self.unwritten(decoded)),
                );
            }
            _ => {}
        }
    }

    /// The first operand of an instruction that only reads it keeps its value.
    fn unwritten(&self, decoded: &Decoded) -> Option<u64> {
        let register = decoded.instruction.op0_register();
        let written = decoded
            .registers
            .iter()
            .any(|used| writes(used.access()) && used.register().full_register() == register.full_register());
        if written {
            None
        } else {
            self.known.register(register)
        }
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }
}

/// Comparing or subtracting a vector register with itself gives a constant.
fn clears(decoded: &Decoded) -> bool {
    use Mnemonic as M;
    let instruction = &decoded.instruction;
    let (a, b) = if instruction.op_count() == 3 {
        (1, 2)
    } else {
        (0, 1)
    };
    let same = instruction.op_kind(a) == OpKind::Register
        && instruction.op_kind(b) == OpKind::Register
        && instruction.op_register(a) == instruction.op_register(b);
    same && matches!(
        instruction.mnemonic(),
        M::Pxor
            | M::Vpxor
            | M::Xorps
            | M::Xorpd
            | M::Vxorps
            | M::Vxorpd
            | M::Pandn
            | M::Vpandn
            | M::Psubb
            | M::Psubw
            | M::Psubd
            | M::Psubq
            | M::Vpsubb
            | M::Vpsubw
            | M::Vpsubd
            | M::Vpsubq
            | M::Pcmpeqb
            | M::Pcmpeqw
            | M::Pcmpeqd
            | M::Pcmpgtb
            | M::Pcmpgtw
            | M::Pcmpgtd
    )
}

/// MASKMOVQ and MASKMOVDQU.
fn is_masked_store(decoded: &Decoded) -> bool {
    matches!(
        decoded.instruction.mnemonic(),
        Mnemonic::Maskmovq | Mnemonic::Maskmovdqu | Mnemonic::Vmaskmovdqu
    )
}

pub(super) fn reads(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

pub(super) fn writes(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

pub(super) fn open_precision(rules: RuleSet) -> Precision {
    if rules.is_empty() {
        Precision::Exact
    } else {
        Precision::Open(rules)
    }
}

/// The status flags, whose order the stored image of FLAGS shares.
pub(super) const FLAG_IMAGE: u64 = rflags::STATUS | rflags::DF | rflags::NT | rflags::AC | rflags::ID;
