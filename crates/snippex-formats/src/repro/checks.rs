//! What a reproducer compares: values of up to 64 bits under masks, by name.

use super::Reproducer;
use crate::snip;
use snippex_core::diff::Field;
use snippex_core::effects::{BlockEffects, Mask, Precision};
use snippex_core::state::{Components, GPR_NAMES, rflags};

/// Where a value is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckedPlace {
    Gpr(usize),
    Flags,
    Control,
    Status,
    Tags,
    Mxcsr,
    /// Counted from the top of the stack that is expected.
    Stack(usize),
    Vector(usize),
    Opmask(usize),
    /// At this run-time address, a multiple of 8.
    Memory(u64),
    FaultAddress,
}

/// One comparison.
#[derive(Clone, Debug)]
pub(super) struct ReproCheck {
    pub(super) name: String,
    pub(super) place: CheckedPlace,
    /// Bytes from the beginning of the place; a multiple of 8.
    pub(super) offset: usize,
    /// The bits that count.
    pub(super) mask: u64,
    /// Their values.
    pub(super) expected: u64,
}

/// What `reproducer` compares, the end itself apart.
pub(super) fn build_checks(reproducer: &Reproducer<'_>) -> Vec<ReproCheck> {
    let end = &reproducer.expected.state;
    let effects = BlockEffects::new(&reproducer.case.block);
    let mask = effects.mask_at_endpoint(reproducer.case, &reproducer.expected.endpoint, end);
    let mut builder = Builder {
        reproducer,
        mask: &mask,
        checks: Vec::new(),
    };
    if reproducer.fields.is_empty() {
        builder.everything();
    } else {
        reproducer.fields.iter().for_each(|field| builder.field(*field));
    }
    let mut checks = builder.checks;
    checks.retain(|check| check.mask != 0);
    for check in &mut checks {
        check.expected &= check.mask;
    }
    checks
}

struct Builder<'r, 'a> {
    reproducer: &'r Reproducer<'a>,
    mask: &'r Mask,
    checks: Vec<ReproCheck>,
}

impl Builder<'_, '_> {
    /// All that was found to differ.
    fn field(&mut self, field: Field) {
        match field {
            Field::Gpr { register } => self.gpr(usize::from(register)),
            Field::Flag { flag } => self.flags(flag),
            Field::Vector {
                register,
                first,
                last,
                ..
            } => self.vector(usize::from(register), usize::from(first), usize::from(last)),
            Field::Opmask { register } => self.opmask(usize::from(register)),
            Field::Mxcsr => self.mxcsr(),
            Field::X87Control => self.control(),
            Field::X87Status => self.status(),
            Field::X87Tags => self.tags(),
            Field::X87Register { index } => self.stack(usize::from(index)),
            Field::Memory { address } => self.memory(address & !7),
            Field::FaultAddress => {
                if let snippex_core::observation::Endpoint::Signal(signal) = self.reproducer.expected.endpoint
                {
                    self.push(
                        "fault address".into(),
                        CheckedPlace::FaultAddress,
                        0,
                        u64::MAX,
                        signal.address,
                    );
                }
            }
            // The end is always compared; no instruction that runs in a case changes a base.
            Field::Endpoint | Field::FsBase | Field::GsBase => {}
        }
    }

    /// All that the block can have changed.
    fn everything(&mut self) {
        let covered = self.reproducer.covered;
        let needs = super::needs::Needs::from_block(&self.reproducer.case.block, &[]);
        (0..16).for_each(|register| self.gpr(register));
        self.flags(rflags::NAMES.iter().fold(0, |all, (_, flag)| all | flag));
        if needs.sse && covered.contains(Components::SSE) {
            let (registers, bytes) = match (needs.avx512, needs.avx) {
                (true, _) => (32, 64),
                (_, true) => (16, 32),
                _ => (16, 16),
            };
            (0..registers).for_each(|register| self.vector(register, 0, bytes - 1));
            self.mxcsr();
        }
        if needs.avx512 && covered.contains(Components::AVX512) {
            (0..8).for_each(|register| self.opmask(register));
        }
        if needs.x87 && covered.contains(Components::X87) {
            self.control();
            self.status();
            self.tags();
            (0..8).for_each(|register| self.stack(register));
        }
        let lines = &self.reproducer.expected.memory;
        for address in lines.iter().flat_map(|line| (line.address..).step_by(8).take(8)) {
            self.memory(address);
        }
    }

    fn push(&mut self, name: String, place: CheckedPlace, offset: usize, mask: u64, expected: u64) {
        let same = |check: &ReproCheck| check.place == place && check.offset == offset;
        match self.checks.iter_mut().find(|check| same(check)) {
            // Flags come one by one.
            Some(check) => check.mask |= mask,
            None => self.checks.push(ReproCheck {
                name,
                place,
                offset,
                mask,
                expected,
            }),
        }
    }

    fn gpr(&mut self, register: usize) {
        let open = self.mask.gpr[register].mask;
        let value = self.reproducer.expected.state.gpr[register];
        self.push(
            GPR_NAMES[register].to_owned(),
            CheckedPlace::Gpr(register),
            0,
            !open,
            value,
        );
    }

    fn flags(&mut self, flags: u64) {
        let value = self.reproducer.expected.state.rflags;
        let defined = flags & !self.mask.flag_bits();
        self.push("flags".to_owned(), CheckedPlace::Flags, 0, defined, value);
    }

    fn mxcsr(&mut self) {
        let open = self.mask.mxcsr.mask;
        let value = u64::from(self.reproducer.expected.state.mxcsr);
        self.push(
            "mxcsr".to_owned(),
            CheckedPlace::Mxcsr,
            0,
            0xffff_ffff & !open,
            value,
        );
    }

    fn control(&mut self) {
        let value = u64::from(self.reproducer.expected.state.x87.control);
        let defined = 0xffff & !self.mask.control.mask;
        self.push("fcw".to_owned(), CheckedPlace::Control, 0, defined, value);
    }

    fn status(&mut self) {
        let value = u64::from(self.reproducer.expected.state.x87.status);
        let defined = 0xffff & !u64::from(self.mask.status_bits());
        self.push("fsw".to_owned(), CheckedPlace::Status, 0, defined, value);
    }

    fn tags(&mut self) {
        let value = u64::from(self.reproducer.expected.state.x87.tags);
        let defined = 0xff & !self.mask.tags.mask;
        self.push("ftw".to_owned(), CheckedPlace::Tags, 0, defined, value);
    }

    fn stack(&mut self, index: usize) {
        let x87 = &self.reproducer.expected.state.x87;
        let physical = (usize::from(x87.top()) + index) & 7;
        // Of an estimate, sign and exponent count, and where it is what is wrong all but the last bits.
        let field = Field::X87Register { index: index as u8 };
        let significand = match self.mask.st[physical] {
            Precision::Exact => u64::MAX,
            Precision::Approximate(_) if self.reproducer.fields.contains(&field) => u64::MAX << 5,
            Precision::Approximate(_) => 0,
            Precision::Open(_) => return,
        };
        let (low, high) = x87.st[index].split_at(8);
        let low = u64::from_le_bytes(low.try_into().expect("eight bytes"));
        let high = u64::from(u16::from_le_bytes(high.try_into().expect("two bytes")));
        let name = format!("st{index}");
        self.push(
            format!("{name} significand"),
            CheckedPlace::Stack(index),
            0,
            significand,
            low,
        );
        self.push(
            format!("{name} sign and exponent"),
            CheckedPlace::Stack(index),
            8,
            0xffff,
            high,
        );
    }

    fn vector(&mut self, register: usize, first: usize, last: usize) {
        let bytes = &self.reproducer.expected.state.vectors[register];
        let open = self.mask.vectors[register].mask;
        let kind = match last {
            0..16 => "xmm",
            16..32 => "ymm",
            _ => "zmm",
        };
        for chunk in first / 8..=last / 8 {
            let mut mask = [0xff; 8];
            for (index, byte) in mask.iter_mut().enumerate() {
                if open & (1 << (8 * chunk + index)) != 0 {
                    *byte = 0;
                }
            }
            let mask = u64::from_le_bytes(mask) & self.without_estimates(register, chunk);
            let value = u64::from_le_bytes(bytes[8 * chunk..8 * chunk + 8].try_into().expect("eight bytes"));
            let high = 64 * chunk + 63;
            let name = format!("{kind}{register} bits {}..{high}", 64 * chunk);
            self.push(name, CheckedPlace::Vector(register), 8 * chunk, mask, value);
        }
    }

    /// All bits, but of elements that are estimates only sign and exponent.
    fn without_estimates(&self, register: usize, chunk: usize) -> u64 {
        let lanes = self.mask.approximations.iter();
        lanes
            .filter(|lanes| usize::from(lanes.register) == register)
            .fold(u64::MAX, |mask, lanes| {
                let kept: &[u8] = match lanes.element {
                    2 => &[0, 0xfc],
                    4 => &[0, 0, 0x80, 0xff],
                    _ => &[0, 0, 0, 0, 0, 0, 0xf0, 0xff],
                };
                let byte = |index: usize| {
                    let is_estimate = lanes.bytes & (1 << (8 * chunk + index)) != 0;
                    if is_estimate {
                        kept[index % kept.len()]
                    } else {
                        0xff
                    }
                };
                mask & u64::from_le_bytes(std::array::from_fn(byte))
            })
    }

    fn opmask(&mut self, register: usize) {
        let open = self.mask.opmask[register].mask;
        let value = self.reproducer.expected.state.opmask[register];
        self.push(
            format!("k{register}"),
            CheckedPlace::Opmask(register),
            0,
            !open,
            value,
        );
    }

    fn memory(&mut self, address: u64) {
        let line = address & !63;
        let lines = &self.reproducer.expected.memory;
        let bytes = lines
            .binary_search_by_key(&line, |line| line.address)
            .map_or_else(
                |_| snip::initial_line_at(self.reproducer.case, line),
                |index| lines[index].bytes,
            );
        let at = (address - line) as usize;
        let value = u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let open = |index: u64| !self.mask.memory_at(address + index).0;
        let mask = u64::from_le_bytes(std::array::from_fn(|index| open(index as u64)));
        // Beyond the pages of the case there is nothing to look at.
        let mapped = self
            .reproducer
            .case
            .pages
            .iter()
            .any(|page| page.address == address & !0xfff);
        self.push(
            format!("[{address:#x}]"),
            CheckedPlace::Memory(address),
            0,
            if mapped { mask } else { 0 },
            value,
        );
    }
}
