//! Registers by name: `NAME = VALUE` into a machine state, and the lines for where two states differ.

use super::error::SnipProblem;
use snippex_core::state::{GPR_NAMES, MachineState, X87State, rflags};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Gpr(usize),
    /// By the names of flags.
    Flags,
    /// As a number.
    Rflags,
    FsBase,
    GsBase,
    Mxcsr,
    Control,
    Status,
    Tags,
    /// Counted from the top of the stack.
    Stack(usize),
    /// The lowest so many bytes of a vector register.
    Vector(usize, usize),
    Opmask(usize),
}

impl Place {
    /// The place called `name`.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        if let Some(index) = GPR_NAMES.iter().position(|known| *known == name) {
            return Some(Self::Gpr(index));
        }
        Some(match name {
            "flags" => Self::Flags,
            "rflags" => Self::Rflags,
            "fsbase" => Self::FsBase,
            "gsbase" => Self::GsBase,
            "mxcsr" => Self::Mxcsr,
            "fcw" => Self::Control,
            "fsw" => Self::Status,
            "ftw" => Self::Tags,
            _ => {
                let (kind, number) = name.split_at_checked(name.find(|c: char| c.is_ascii_digit())?)?;
                let index: usize = number.parse().ok().filter(|_| number.len() <= 2)?;
                // One spelling of each: not `xmm01`.
                if number.len() == 2 && number.starts_with('0') {
                    return None;
                }
                match (kind, index) {
                    ("st", 0..8) => Self::Stack(index),
                    ("k", 0..8) => Self::Opmask(index),
                    ("xmm", 0..32) => Self::Vector(index, 16),
                    ("ymm", 0..32) => Self::Vector(index, 32),
                    ("zmm", 0..32) => Self::Vector(index, 64),
                    _ => return None,
                }
            }
        })
    }

    /// What must not be given twice: the register, whatever the width.
    pub(super) fn whole_register(self) -> Self {
        match self {
            Self::Vector(index, _) => Self::Vector(index, 0),
            Self::Flags => Self::Rflags,
            other => other,
        }
    }

    /// Bits of its value.
    fn bits(self) -> u32 {
        match self {
            Self::Control | Self::Status => 16,
            Self::Tags => 8,
            Self::Mxcsr => 32,
            Self::Stack(_) => 80,
            Self::Vector(_, bytes) => 8 * bytes as u32,
            _ => 64,
        }
    }

    /// Puts `words`, as they stand after the `=`, into `state`.
    pub(super) fn set_from_words(self, state: &mut MachineState, words: &[&str]) -> Result<(), SnipProblem> {
        if self == Self::Flags {
            state.rflags = flags(words)?;
            return Ok(());
        }
        let &[word, ..] = words else {
            return Err(SnipProblem::Missing("a value after `=`"));
        };
        if let Some(surplus) = words.get(1) {
            return Err(SnipProblem::Surplus((*surplus).to_owned()));
        }
        let bytes = wide_number(word, self.bits())?;
        let number = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
        match self {
            Self::Gpr(index) => state.gpr[index] = number,
            Self::Flags | Self::Rflags => state.rflags = number,
            Self::FsBase => state.fs_base = number,
            Self::GsBase => state.gs_base = number,
            Self::Mxcsr => state.mxcsr = number as u32,
            Self::Control => state.x87.control = number as u16,
            Self::Status => state.x87.status = number as u16,
            Self::Tags => state.x87.tags = number as u8,
            Self::Stack(index) => state.x87.st[index].copy_from_slice(&bytes[..10]),
            Self::Vector(index, width) => state.vectors[index][..width].copy_from_slice(&bytes[..width]),
            Self::Opmask(index) => state.opmask[index] = number,
        }
        Ok(())
    }
}

/// RFLAGS of a user thread in which these flags are set, and the interrupt flag, which always is.
fn flags(words: &[&str]) -> Result<u64, SnipProblem> {
    match words {
        [] => Err(SnipProblem::Missing("a flag after `=`, or `none`,")),
        ["none"] => Ok(rflags::INITIAL),
        names => names.iter().try_fold(rflags::INITIAL, |all, name| {
            let known = rflags::NAMES
                .iter()
                .find(|(known, _)| known == name)
                .ok_or_else(|| SnipProblem::Flag((*name).to_owned()))?;
            if all & known.1 != 0 && known.1 != rflags::IF {
                return Err(SnipProblem::Twice((*name).to_owned()));
            }
            Ok(all | known.1)
        }),
    }
}

/// A number of up to 512 bits, lowest byte first.
fn wide_number(word: &str, bits: u32) -> Result<[u8; 64], SnipProblem> {
    let wrong = || SnipProblem::Number(word.to_owned());
    let mut bytes = [0; 64];
    let Some(digits) = word.strip_prefix("0x") else {
        let number = super::line::parse_number(word)?;
        if bits < 64 && number >> bits != 0 {
            return Err(too_wide(word, bits));
        }
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        return Ok(bytes);
    };
    let mut count = 0;
    for digit in digits.bytes().rev().filter(|digit| *digit != b'_') {
        let value = char::from(digit).to_digit(16).ok_or_else(wrong)? as u8;
        if value != 0 && count >= bits / 4 {
            return Err(too_wide(word, bits));
        }
        if value != 0 {
            bytes[count as usize / 2] |= value << (4 * (count % 2));
        }
        count += 1;
    }
    if count == 0 { Err(wrong()) } else { Ok(bytes) }
}

fn too_wide(word: &str, bits: u32) -> SnipProblem {
    SnipProblem::Width {
        value: word.chars().take(80).collect(),
        bits,
    }
}

/// A register that is not as before: name, value, and what the value means.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) comment: String,
}

/// The registers in which `state` is not as `before`.
pub(super) fn changed_register_lines(before: &MachineState, state: &MachineState) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String, comment: String| {
        lines.push(Line {
            name: name.to_owned(),
            value,
            comment,
        });
    };
    for (index, name) in GPR_NAMES.iter().enumerate() {
        if before.gpr[index] != state.gpr[index] {
            line(name, format_grouped_hex(state.gpr[index]), String::new());
        }
    }
    if before.rflags != state.rflags {
        match flag_names(state.rflags) {
            Some(names) => line("flags", names, String::new()),
            None => line("rflags", format_grouped_hex(state.rflags), String::new()),
        }
    }
    for (name, before, value) in [
        ("fsbase", before.fs_base, state.fs_base),
        ("gsbase", before.gs_base, state.gs_base),
    ] {
        if before != value {
            line(name, format_grouped_hex(value), String::new());
        }
    }
    for (index, (before, value)) in before.vectors.iter().zip(&state.vectors).enumerate() {
        if let Some(last) = (0..64).rev().find(|&byte| before[byte] != value[byte]) {
            let (kind, width) = match last {
                0..16 => ("xmm", 16),
                16..32 => ("ymm", 32),
                _ => ("zmm", 64),
            };
            line(
                &format!("{kind}{index}"),
                wide_hex(&value[..width]),
                String::new(),
            );
        }
    }
    for (index, (before, value)) in before.opmask.iter().zip(&state.opmask).enumerate() {
        if before != value {
            line(&format!("k{index}"), format_grouped_hex(*value), String::new());
        }
    }
    if before.mxcsr != state.mxcsr {
        line("mxcsr", format!("{:#x}", state.mxcsr), mxcsr_words(state.mxcsr));
    }
    x87_lines(&before.x87, &state.x87, &mut line);
    lines
}

fn x87_lines(before: &X87State, state: &X87State, line: &mut impl FnMut(&str, String, String)) {
    if before.control != state.control {
        line("fcw", format!("{:#x}", state.control), String::new());
    }
    if before.status != state.status {
        line("fsw", format!("{:#x}", state.status), status_words(state.status));
    }
    if before.tags != state.tags {
        line("ftw", format!("{:#04x}", state.tags), String::new());
    }
    for (index, (before, value)) in before.st.iter().zip(&state.st).enumerate() {
        if before != value {
            line(&format!("st{index}"), wide_hex(value), String::new());
        }
    }
}

/// The names of the flags in `value`; `None` when it is not what a list of names stands for.
pub(crate) fn flag_names(value: u64) -> Option<String> {
    let named = rflags::NAMES.iter().fold(0, |all, (_, flag)| all | flag);
    if value & !named != rflags::INITIAL & !named || value & rflags::IF == 0 {
        return None;
    }
    let names: Vec<&str> = rflags::NAMES
        .iter()
        .filter(|(_, flag)| value & flag != 0 && *flag != rflags::IF)
        .map(|(name, _)| *name)
        .collect();
    Some(if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(" ")
    })
}

/// The bits of MXCSR that are not as after reset, by name (SDM vol. 1, figure 10-3).
fn mxcsr_words(value: u32) -> String {
    const NAMES: [&str; 16] = [
        "IE", "DE", "ZE", "OE", "UE", "PE", "DAZ", "IM", "DM", "ZM", "OM", "UM", "PM", "", "", "FTZ",
    ];
    let mut words: Vec<String> = (0..16)
        .filter(|bit| value & (1 << bit) != 0 && !(7..=14).contains(bit))
        .map(|bit| NAMES[bit].to_owned())
        .collect();
    words.extend(
        (7..13)
            .filter(|bit| value & (1 << bit) == 0)
            .map(|bit| format!("{} clear", NAMES[bit])),
    );
    words.extend(match (value >> 13) & 3 {
        0 => None,
        1 => Some("round down".to_owned()),
        2 => Some("round up".to_owned()),
        _ => Some("round to zero".to_owned()),
    });
    words.join(", ")
}

/// The x87 status word in words (SDM vol. 1, figure 8-4).
fn status_words(value: u16) -> String {
    const NAMES: [(u16, &str); 13] = [
        (0, "IE"),
        (1, "DE"),
        (2, "ZE"),
        (3, "OE"),
        (4, "UE"),
        (5, "PE"),
        (6, "SF"),
        (7, "ES"),
        (8, "C0"),
        (9, "C1"),
        (10, "C2"),
        (14, "C3"),
        (15, "B"),
    ];
    let mut text = format!("TOP {}", (value >> 11) & 7);
    for (bit, name) in NAMES {
        if value & (1 << bit) != 0 {
            text += &format!(", {name}");
        }
    }
    text
}

/// `0x` and digits, in groups of four when there are more than eight.
pub(crate) fn format_grouped_hex(value: u64) -> String {
    wide_hex(&value.to_le_bytes())
}

/// A number whose lowest byte comes first.
fn wide_hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect();
    let digits = digits.trim_start_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    if digits.len() <= 8 {
        return format!("0x{digits}");
    }
    let mut text = "0x".to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(4) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}
