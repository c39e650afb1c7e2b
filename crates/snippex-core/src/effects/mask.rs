//! Which bits of an end state are open, and by which rule each is.
//!
//! The same type is the abstract state of the data flow (after each instruction) and its result (after the
//! last). It knows nothing of instructions; `flow` changes it and `diff` reads it.

use super::rules::{Rule, RuleSet};

/// Open bits of a register of up to 64 units (bits of a general register, bytes of a vector), and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bits {
    /// A set bit is an open unit.
    pub mask: u64,
    /// Why. Empty exactly when `mask` is 0.
    pub rules: RuleSet,
}

impl Bits {
    /// Nothing is open.
    pub const NONE: Self = Self {
        mask: 0,
        rules: RuleSet::EMPTY,
    };

    /// `mask` is open because of `rules`.
    #[must_use]
    pub fn new(mask: u64, rules: RuleSet) -> Self {
        if mask == 0 || rules.is_empty() {
            Self::NONE
        } else {
            Self { mask, rules }
        }
    }

    /// Whether nothing is open.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.mask == 0
    }

    /// What is open in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            mask: self.mask | other.mask,
            rules: self.rules.union(other.rules),
        }
    }

    /// The part inside `mask`.
    #[must_use]
    pub fn within(self, mask: u64) -> Self {
        Self::new(self.mask & mask, self.rules)
    }
}

/// By how much two implementations of an approximation may differ in an x87 register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorBound {
    /// Which approximation it is.
    pub rule: Rule,
    /// Units in the last place of the larger result: each may be off by half of them.
    pub ulps: u8,
    /// Exponent of an argument that was reduced by an approximation of pi, which adds an error of its own.
    pub reduced: Option<i16>,
}

/// What may be said about an 80-bit x87 register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Every bit is defined.
    #[default]
    Exact,
    /// The value is defined up to an error.
    Approximate(ErrorBound),
    /// Nothing is defined.
    Open(RuleSet),
}

impl Precision {
    /// The rules that make it other than exact.
    #[must_use]
    pub const fn rules(self) -> RuleSet {
        match self {
            Self::Exact => RuleSet::EMPTY,
            Self::Approximate(bound) => RuleSet::from_rule(bound.rule),
            Self::Open(rules) => rules,
        }
    }
}

/// Lanes of a vector register that hold an approximation that nothing has computed with yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approximation {
    /// Number of the vector register.
    pub register: u8,
    /// A set bit is a byte of the register.
    pub bytes: u64,
    /// Bytes of one element: 2, 4 or 8.
    pub element: u8,
    /// Which approximation it is.
    pub rule: Rule,
}

/// Open bits of one byte of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenByte {
    /// Run-time address.
    pub address: u64,
    /// A set bit is open.
    pub mask: u8,
    /// Why.
    pub rules: RuleSet,
}

/// Whether an instruction faults may depend on an open bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFault {
    /// Index of the instruction in the block.
    pub instruction: usize,
    /// Why.
    pub rules: RuleSet,
}

/// Every open bit of an end state, of written memory and of the endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    /// General registers in encoding order, a unit a bit.
    pub gpr: [Bits; 16],
    /// RFLAGS: the rules for each bit position below 22.
    pub flags: [RuleSet; 22],
    /// Vector registers, a unit a byte.
    pub vectors: [Bits; 32],
    /// Lanes that are compared with a tolerance.
    pub approximations: Vec<Approximation>,
    /// Opmask registers, a unit a bit.
    pub opmask: [Bits; 8],
    /// x87 registers by *physical* number.
    pub st: [Precision; 8],
    /// x87 status word: the rules for each bit.
    pub status: [RuleSet; 16],
    /// x87 control word, a unit a bit.
    pub control: Bits,
    /// x87 abridged tags by physical number, a unit a bit.
    pub tags: Bits,
    /// MXCSR, a unit a bit.
    pub mxcsr: Bits,
    /// FS and GS base.
    pub bases: [RuleSet; 2],
    /// Open bytes of memory, in ascending order of address.
    pub memory: Vec<OpenByte>,
    /// Set when open data was stored at an address that the analysis does not know: any byte may be open.
    pub anywhere: RuleSet,
    /// Set when the target of the terminator depends on an open bit.
    pub target: RuleSet,
    /// Instructions whose fault depends on an open bit.
    pub faults: Vec<OpenFault>,
}

impl Mask {
    /// Whether every bit of the end state is defined.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.registers_are_clean() && self.memory.is_empty() && self.anywhere.is_empty()
    }

    fn registers_are_clean(&self) -> bool {
        self.gpr
            .iter()
            .chain(&self.vectors)
            .chain(&self.opmask)
            .all(|bits| bits.is_none())
            && self
                .flags
                .iter()
                .chain(&self.status)
                .chain(&self.bases)
                .all(|rules| rules.is_empty())
            && self.approximations.is_empty()
            && self.st.iter().all(|st| *st == Precision::Exact)
            && self.control.is_none()
            && self.tags.is_none()
            && self.mxcsr.is_none()
    }

    /// Open bits of RFLAGS.
    #[must_use]
    pub fn flag_bits(&self) -> u64 {
        open_positions(&self.flags)
    }

    /// Open bits of the x87 status word.
    #[must_use]
    pub fn status_bits(&self) -> u16 {
        u16::try_from(open_positions(&self.status)).expect("there are 16 positions")
    }

    /// Why the bits of `flags` are open.
    #[must_use]
    pub fn flag_rules(&self, flags: u64) -> RuleSet {
        rules_at(&self.flags, flags)
    }

    /// Why the bits of `status` are open.
    #[must_use]
    pub fn status_rules(&self, status: u16) -> RuleSet {
        rules_at(&self.status, u64::from(status))
    }

    /// Open bits of the byte at `address`.
    #[must_use]
    pub fn memory_at(&self, address: u64) -> (u8, RuleSet) {
        self.memory
            .binary_search_by_key(&address, |byte| byte.address)
            .map_or((0, RuleSet::EMPTY), |index| {
                (self.memory[index].mask, self.memory[index].rules)
            })
    }

    pub(super) fn set_flags(&mut self, flags: u64, rules: RuleSet) {
        set_positions(&mut self.flags, flags, rules);
    }

    pub(super) fn add_flags(&mut self, flags: u64, rules: RuleSet) {
        add_positions(&mut self.flags, flags, rules);
    }

    pub(super) fn set_status(&mut self, status: u16, rules: RuleSet) {
        set_positions(&mut self.status, u64::from(status), rules);
    }

    pub(super) fn add_status(&mut self, status: u16, rules: RuleSet) {
        add_positions(&mut self.status, u64::from(status), rules);
    }

    /// The open bytes of vector `register` within `bytes`, approximated ones included.
    pub(super) fn open_vector_bytes(&self, register: usize, bytes: u64) -> Bits {
        let open = self.vectors[register].within(bytes);
        self.approximations
            .iter()
            .filter(|lanes| usize::from(lanes.register) == register)
            .fold(open, |open, lanes| {
                open.union(Bits::new(lanes.bytes & bytes, RuleSet::from_rule(lanes.rule)))
            })
    }

    /// Replaces what is known about `bytes` of vector `register`; other bytes stay.
    pub(super) fn set_vector(&mut self, register: usize, bytes: u64, open: Bits) {
        self.vectors[register] = self.vectors[register].within(!bytes).union(open.within(bytes));
        if !self.approximations.is_empty() {
            for lanes in &mut self.approximations {
                if usize::from(lanes.register) == register {
                    lanes.bytes &= !bytes;
                }
            }
            self.approximations.retain(|lanes| lanes.bytes != 0);
        }
    }

    /// Replaces the open bits of `size` bytes from `address`; bit `i` of byte `n` is unit `8 * n + i`.
    pub(super) fn set_memory(&mut self, address: u64, size: usize, open: impl Fn(usize) -> (u8, RuleSet)) {
        for offset in 0..size {
            let address = address.wrapping_add(offset as u64);
            let (mask, rules) = open(offset);
            match (
                self.memory.binary_search_by_key(&address, |byte| byte.address),
                mask,
            ) {
                (Ok(index), 0) => drop(self.memory.remove(index)),
                (Ok(index), mask) => self.memory[index] = OpenByte { address, mask, rules },
                (Err(_), 0) => {}
                (Err(index), mask) => self.memory.insert(index, OpenByte { address, mask, rules }),
            }
        }
    }

    /// Open bits of up to 8 bytes of memory as a number, and why.
    pub(super) fn memory_bits(&self, address: u64, size: usize) -> Bits {
        if self.memory.is_empty() {
            return Bits::NONE;
        }
        (0..size.min(8)).fold(Bits::NONE, |bits, offset| {
            let (mask, rules) = self.memory_at(address.wrapping_add(offset as u64));
            bits.union(Bits::new(u64::from(mask) << (8 * offset), rules))
        })
    }

    /// Bytes of memory with an open bit, a unit a byte, for up to 64 bytes; and why any of `size` is open.
    pub(super) fn memory_bytes(&self, address: u64, size: usize) -> Bits {
        let mut bits = Bits::NONE;
        for byte in &self.memory {
            let offset = byte.address.wrapping_sub(address);
            if offset < size as u64 {
                bits.mask |= 1 << offset.min(63);
                bits.rules |= byte.rules;
            }
        }
        bits
    }
}

fn open_positions(positions: &[RuleSet]) -> u64 {
    (0..).zip(positions).fold(0, |mask, (bit, rules)| {
        mask | (u64::from(!rules.is_empty()) << bit)
    })
}

fn rules_at(positions: &[RuleSet], mask: u64) -> RuleSet {
    (0..)
        .zip(positions)
        .filter(|(bit, _)| mask & (1 << *bit) != 0)
        .fold(RuleSet::EMPTY, |all, (_, rules)| all.union(*rules))
}

fn set_positions(positions: &mut [RuleSet], mut mask: u64, rules: RuleSet) {
    while mask != 0 {
        if let Some(position) = positions.get_mut(mask.trailing_zeros() as usize) {
            *position = rules;
        }
        mask &= mask - 1;
    }
}

fn add_positions(positions: &mut [RuleSet], mut mask: u64, rules: RuleSet) {
    while mask != 0 {
        if let Some(position) = positions.get_mut(mask.trailing_zeros() as usize) {
            *position |= rules;
        }
        mask &= mask - 1;
    }
}
