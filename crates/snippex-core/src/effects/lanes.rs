//! Vector and MMX instructions, through which open bytes pass lane by lane.

use iced_x86::{Mnemonic, OpKind};

use super::decoded::Decoded;
use super::flow::{Flow, Inputs, MXCSR_FLAGS, MemoryAccess, is_read_access};
use super::mask::{Approximation, Bits};
use super::rules::{Rule, RuleSet};
use super::undefined;
use super::vector::{self, VectorShape};

impl Flow<'_> {
    pub(super) fn apply_vector_rule(&mut self, decoded: &Decoded, accesses: &[MemoryAccess], inputs: Inputs) {
        let instruction = &decoded.instruction;
        let destination = instruction.op0_register();
        let fine = decoded.shape != VectorShape::Generic && instruction.op0_kind() == OpKind::Register;
        if !fine || instruction.is_broadcast() && self.dirty {
            if !self.store_vector(decoded, accesses) {
                self.apply_coarse_rule(decoded, accesses, inputs);
                self.raise(decoded, inputs.all);
            }
            if let Some((bytes, rule)) = undefined::open_vector(instruction) {
                let open = self
                    .read_register(destination)
                    .union(Bits::new(bytes, RuleSet::from_rule(rule)));
                self.write_register(destination, open.mask, open.rules);
            }
            return;
        }
        let Some((register, _)) = vector::vector_register_bytes(destination) else {
            return self.apply_coarse_rule(decoded, accesses, inputs);
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
                .open_result_bytes(first, rest, width)
                .union(Bits::new(u64::MAX, steered))
                .union(merged)
        } else {
            Bits::NONE
        };
        let copied = self.copied_approximations(decoded);
        self.apply_coarse_rule(decoded, accesses, Inputs::default());
        self.mask.set_vector(register, vector::low_byte_mask(width), open);
        let lanes = decoded.shape.approximated_lanes(register as u8, width);
        for mut lanes in lanes.into_iter().chain(copied) {
            lanes.register = register as u8;
            lanes.bytes &= vector::low_byte_mask(width) & !open.mask;
            if lanes.bytes != 0 {
                self.mask.approximations.push(lanes);
            }
        }
        self.raise(decoded, open.rules);
    }

    /// Approximated lanes that a register move takes along.
    fn copied_approximations(&self, decoded: &Decoded) -> Vec<Approximation> {
        let instruction = &decoded.instruction;
        let source = vector::vector_register_bytes(instruction.op1_register());
        match source {
            Some((source, _))
                if decoded.shape == VectorShape::Copy && instruction.op1_kind() == OpKind::Register =>
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
    fn vector_sources(&self, decoded: &Decoded, accesses: &[MemoryAccess]) -> (Bits, Bits) {
        let instruction = &decoded.instruction;
        let operand = |index| match instruction.op_kind(index) {
            OpKind::Register => {
                let register = instruction.op_register(index);
                let exact = decoded.shape == VectorShape::Copy;
                match vector::vector_register_bytes(register) {
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
                    VectorShape::Scalar(_) | VectorShape::Approximates { scalar: true, .. }
                );
                let reads_first = scalar
                    || decoded.registers.iter().any(|used| {
                        is_read_access(used.access()) && used.register() == instruction.op0_register()
                    });
                (if reads_first { operand(0) } else { Bits::NONE }, operand(1))
            }
        }
    }

    /// Stores of vector registers keep their open bytes apart. Whether it was one.
    fn store_vector(&mut self, decoded: &Decoded, accesses: &[MemoryAccess]) -> bool {
        let instruction = &decoded.instruction;
        let [access] = accesses else { return false };
        if !self.dirty
            || decoded.shape != VectorShape::Copy
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
        if !rules.is_empty() && decoded.raises {
            self.mask.mxcsr = self.mask.mxcsr.union(Bits::new(MXCSR_FLAGS, rules));
        }
    }

    /// MMX instructions set TOP to 0 and every tag to valid. 3DNow! has reciprocals.
    pub(super) fn apply_mmx_rule(&mut self, decoded: &Decoded) {
        use Mnemonic as M;
        self.top = Some(0);
        self.exponents = [None; 8];
        self.mask.tags = Bits::NONE;
        self.mask.set_status(7 << 11, RuleSet::EMPTY);
        let instruction = &decoded.instruction;
        if matches!(
            instruction.mnemonic(),
            M::Pfrcp | M::Pfrcpv | M::Pfrsqrt | M::Pfrsqrtv
        ) {
            self.write_register(
                instruction.op0_register(),
                u64::MAX,
                RuleSet::from_rule(Rule::Reciprocal3dNow),
            );
        }
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
