//! Differing parts of the state as values. In signatures, databases and reports they stand as their text.

use std::fmt;

use snippex_core::observation::signal_name;
use snippex_core::state::{GPR_NAMES, rflags};

/// A word of status or control bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusWord {
    /// The x87 status word.
    X87,
    /// MXCSR.
    Mxcsr,
}

/// A bit or field of a status word, by the name that the manuals give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the manuals' own names")]
pub enum StatusBit {
    Ie,
    De,
    Ze,
    Oe,
    Ue,
    Pe,
    Sf,
    Es,
    C0,
    C1,
    C2,
    C3,
    Top,
    Busy,
    Daz,
    Im,
    Dm,
    Zm,
    Om,
    Um,
    Pm,
    Rc,
    Fz,
    Reserved,
}

/// Which side has a bit that only ever gets set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitSide {
    /// The reference has it, the engine does not.
    Missing,
    /// The engine has it, the reference does not.
    Extra,
    /// The bit is set and cleared, and which side has it says nothing.
    Either,
}

/// Which part of a register differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterPart {
    /// Bits that the operand names.
    Named,
    /// Only bits above those that the operand names.
    Upper,
    /// Of an x87 register, sign and exponent alone.
    Exponent,
}

/// A differing part of the state, named by its part in the instruction at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferingPart {
    /// An explicit register operand, by its index.
    Operand(u32, RegisterPart),
    /// The top of the x87 stack.
    StackTop(RegisterPart),
    /// Another register of the x87 stack.
    StackRegister(RegisterPart),
    /// The base of a memory operand.
    Base,
    /// The index of a memory operand.
    Index,
    /// A general register that the instruction uses without naming it, by its number.
    ImpliedRegister(usize),
    /// A general register that the instruction has nothing to do with.
    OtherRegister,
    /// A vector register that it has nothing to do with.
    OtherVector,
    /// A mask register that it has nothing to do with.
    OtherOpmask,
    /// The base of FS.
    FsBase,
    /// The base of GS.
    GsBase,
    /// A status flag, as its bit of RFLAGS.
    Flag(u64),
    /// A bit of a status word.
    Status(BitSide, StatusWord, StatusBit),
    /// The x87 control word.
    X87Control,
    /// The tags of the x87 registers.
    X87Tags,
    /// Memory.
    Memory,
    /// The address of a page fault.
    FaultAddress,
    /// The engine does not raise a signal.
    MissingSignal(u8),
    /// The engine raises a signal for no reason.
    ExtraSignal(u8),
    /// The engine raises the first signal instead of the second.
    OtherSignal(u8, u8),
    /// The same signal at another instruction.
    SignalElsewhere(u8),
    /// The engine is killed by a signal.
    DiesOf(u8),
    /// The engine exits.
    Exits,
    /// The engine does not end.
    Hangs,
    /// Control goes elsewhere.
    Target,
    /// The ends differ in a way that has no other name.
    Endpoint,
}

/// Bits of the two words by name.
const BITS: [(&str, StatusBit); 24] = [
    ("IE", StatusBit::Ie),
    ("DE", StatusBit::De),
    ("ZE", StatusBit::Ze),
    ("OE", StatusBit::Oe),
    ("UE", StatusBit::Ue),
    ("PE", StatusBit::Pe),
    ("SF", StatusBit::Sf),
    ("ES", StatusBit::Es),
    ("C0", StatusBit::C0),
    ("C1", StatusBit::C1),
    ("C2", StatusBit::C2),
    ("C3", StatusBit::C3),
    ("TOP", StatusBit::Top),
    ("B", StatusBit::Busy),
    ("DAZ", StatusBit::Daz),
    ("IM", StatusBit::Im),
    ("DM", StatusBit::Dm),
    ("ZM", StatusBit::Zm),
    ("OM", StatusBit::Om),
    ("UM", StatusBit::Um),
    ("PM", StatusBit::Pm),
    ("RC", StatusBit::Rc),
    ("FZ", StatusBit::Fz),
    ("reserved", StatusBit::Reserved),
];

/// Parts without anything that varies.
const PLAIN: [(&str, DifferingPart); 15] = [
    ("base", DifferingPart::Base),
    ("index", DifferingPart::Index),
    ("other register", DifferingPart::OtherRegister),
    ("other vector", DifferingPart::OtherVector),
    ("other opmask", DifferingPart::OtherOpmask),
    ("fs.base", DifferingPart::FsBase),
    ("gs.base", DifferingPart::GsBase),
    ("fcw", DifferingPart::X87Control),
    ("ftw", DifferingPart::X87Tags),
    ("memory", DifferingPart::Memory),
    ("fault address", DifferingPart::FaultAddress),
    ("exits", DifferingPart::Exits),
    ("hangs", DifferingPart::Hangs),
    ("target", DifferingPart::Target),
    ("endpoint", DifferingPart::Endpoint),
];

impl StatusWord {
    fn name(self) -> &'static str {
        match self {
            Self::X87 => "fsw",
            Self::Mxcsr => "mxcsr",
        }
    }
}

impl StatusBit {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = BITS.iter().find(|(_, bit)| *bit == self);
        found.map_or("", |(name, _)| name)
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        let found = BITS.iter().find(|(known, _)| *known == name);
        found.map(|(_, bit)| *bit)
    }
}

impl DifferingPart {
    /// The part that stands as `text` in a signature. `None` for what no version of this crate has written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((_, part)) = PLAIN.iter().find(|(name, _)| *name == text) {
            return Some(*part);
        }
        if let Some(register) = GPR_NAMES.iter().position(|name| *name == text) {
            return Some(Self::ImpliedRegister(register));
        }
        if let Some(flag) = text.strip_prefix("flags.") {
            let found = rflags::NAMES.iter().find(|(name, _)| *name == flag);
            return found.map(|(_, bit)| Self::Flag(*bit));
        }
        parse_register(text)
            .or_else(|| parse_status(text))
            .or_else(|| parse_signal(text))
    }

    /// Whether it is a status flag.
    #[must_use]
    pub fn is_flag(self) -> bool {
        matches!(self, Self::Flag(_))
    }

    /// Whether it is a bit of the x87 status word.
    #[must_use]
    pub fn is_x87_status(self) -> bool {
        matches!(self, Self::Status(_, StatusWord::X87, _))
    }

    /// Whether it is a bit of MXCSR.
    #[must_use]
    pub fn is_mxcsr(self) -> bool {
        matches!(self, Self::Status(_, StatusWord::Mxcsr, _))
    }

    /// Whether it is `bit` of the x87 status word, on whichever side it is set.
    #[must_use]
    pub fn is_x87_bit(self, bit: StatusBit) -> bool {
        matches!(self, Self::Status(_, StatusWord::X87, found) if found == bit)
    }

    /// Whether it is a register of the x87 stack, or its exponent alone.
    #[must_use]
    pub fn is_stack_register(self) -> bool {
        matches!(self, Self::StackTop(_) | Self::StackRegister(_))
    }

    /// Whether it is sign and exponent of an x87 register alone.
    #[must_use]
    pub fn is_exponent(self) -> bool {
        let (Self::Operand(_, part) | Self::StackTop(part) | Self::StackRegister(part)) = self else {
            return false;
        };
        part == RegisterPart::Exponent
    }

    /// The signal that the engine raises where it should not, or instead of another.
    #[must_use]
    pub fn raised_signal(self) -> Option<u8> {
        match self {
            Self::ExtraSignal(signal) | Self::OtherSignal(signal, _) => Some(signal),
            _ => None,
        }
    }
}

fn parse_register(text: &str) -> Option<DifferingPart> {
    let (name, part) = match text.rsplit_once('.') {
        Some((name, "upper")) => (name, RegisterPart::Upper),
        Some((name, "exponent")) => (name, RegisterPart::Exponent),
        _ => (text, RegisterPart::Named),
    };
    Some(match name {
        "st(0)" => DifferingPart::StackTop(part),
        "st(i)" => DifferingPart::StackRegister(part),
        _ => DifferingPart::Operand(name.strip_prefix("op")?.parse().ok()?, part),
    })
}

fn parse_status(text: &str) -> Option<DifferingPart> {
    let (side, rest) = match text.split_once(' ') {
        Some(("no", rest)) => (BitSide::Missing, rest),
        Some(("extra", rest)) => (BitSide::Extra, rest),
        Some(_) => return None,
        None => (BitSide::Either, text),
    };
    let (word, bit) = rest.split_once('.')?;
    let word = [StatusWord::X87, StatusWord::Mxcsr]
        .into_iter()
        .find(|known| known.name() == word)?;
    Some(DifferingPart::Status(side, word, StatusBit::from_name(bit)?))
}

fn parse_signal(text: &str) -> Option<DifferingPart> {
    let number = |name: &str| (1..=64).find(|number| signal_name(i32::from(*number)) == name);
    if let Some((raised, expected)) = text.split_once(", not ") {
        return Some(DifferingPart::OtherSignal(number(raised)?, number(expected)?));
    }
    if let Some(name) = text.strip_suffix(" elsewhere") {
        return Some(DifferingPart::SignalElsewhere(number(name)?));
    }
    for (prefix, part) in [
        ("no ", DifferingPart::MissingSignal as fn(u8) -> DifferingPart),
        ("extra ", DifferingPart::ExtraSignal),
        ("dies of ", DifferingPart::DiesOf),
    ] {
        if let Some(signal) = text.strip_prefix(prefix).and_then(number) {
            return Some(part(signal));
        }
    }
    None
}

impl fmt::Display for RegisterPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Named => "",
            Self::Upper => ".upper",
            Self::Exponent => ".exponent",
        })
    }
}

impl fmt::Display for DifferingPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |signal: &u8| signal_name(i32::from(*signal));
        match self {
            Self::Operand(index, part) => write!(f, "op{index}{part}"),
            Self::StackTop(part) => write!(f, "st(0){part}"),
            Self::StackRegister(part) => write!(f, "st(i){part}"),
            Self::ImpliedRegister(register) => f.write_str(GPR_NAMES[*register]),
            Self::Flag(flag) => {
                let found = rflags::NAMES.iter().find(|(_, known)| known == flag);
                write!(f, "flags.{}", found.map_or("?", |(name, _)| name))
            }
            Self::Status(side, word, bit) => {
                let side = match side {
                    BitSide::Missing => "no ",
                    BitSide::Extra => "extra ",
                    BitSide::Either => "",
                };
                write!(f, "{side}{}.{}", word.name(), bit.name())
            }
            Self::MissingSignal(signal) => write!(f, "no {}", name(signal)),
            Self::ExtraSignal(signal) => write!(f, "extra {}", name(signal)),
            Self::OtherSignal(raised, expected) => write!(f, "{}, not {}", name(raised), name(expected)),
            Self::SignalElsewhere(signal) => write!(f, "{} elsewhere", name(signal)),
            Self::DiesOf(signal) => write!(f, "dies of {}", name(signal)),
            plain => {
                let found = PLAIN.iter().find(|(_, part)| part == plain);
                f.write_str(found.map_or("", |(name, _)| name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_read_back_as_it_was_written() {
        let registers = [RegisterPart::Named, RegisterPart::Upper, RegisterPart::Exponent];
        let mut parts: Vec<DifferingPart> = PLAIN.iter().map(|(_, part)| *part).collect();
        parts.extend((0..16).map(DifferingPart::ImpliedRegister));
        parts.extend(rflags::NAMES.iter().map(|(_, flag)| DifferingPart::Flag(*flag)));
        for part in registers {
            parts.extend((0..5).map(|index| DifferingPart::Operand(index, part)));
            parts.extend([DifferingPart::StackTop(part), DifferingPart::StackRegister(part)]);
        }
        for side in [BitSide::Missing, BitSide::Extra, BitSide::Either] {
            for word in [StatusWord::X87, StatusWord::Mxcsr] {
                parts.extend(
                    BITS.iter()
                        .map(|(_, bit)| DifferingPart::Status(side, word, *bit)),
                );
            }
        }
        for signal in [4, 5, 6, 7, 8, 9, 11, 31] {
            parts.extend([
                DifferingPart::MissingSignal(signal),
                DifferingPart::ExtraSignal(signal),
                DifferingPart::OtherSignal(signal, 11),
                DifferingPart::SignalElsewhere(signal),
                DifferingPart::DiesOf(signal),
            ]);
        }
        for part in parts {
            let text = part.to_string();
            assert_eq!(DifferingPart::parse(&text), Some(part), "{text}");
        }
        for other in [
            "",
            "op",
            "opx",
            "no",
            "flags.XX",
            "no mxcsr.QQ",
            "extra signal",
            "st(9)",
        ] {
            assert_eq!(DifferingPart::parse(other), None, "{other}");
        }
    }
}
