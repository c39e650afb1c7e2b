//! Causes between a sentence of the manual and the family of an instruction: the same aspect of many instructions, which an
//! engine computes in one place.

use super::CauseId;
use snippex_core::observation::{SIGBUS, SIGSEGV};
use snippex_core::state::rflags;

use crate::signature::{BitSide, BugKind, DifferingPart, Signature, StatusWord};

/// An instruction is refused.
const SIGILL: u8 = 4;

/// What a general cause is about, for its title.
const TITLES: [(&str, &str); 6] = [
    ("engine.exits", "Instructions make the engine exit"),
    ("instruction.refused", "Instructions are refused"),
    (
        "prefix.refused",
        "Prefixes without effect make instructions invalid",
    ),
    (
        "memory.extra-sigsegv",
        "Operands in memory: SIGSEGV for no reason",
    ),
    ("memory.fault-address", "Page faults report another address"),
    ("memory.extra-sigbus", "Operands in memory: SIGBUS for no reason"),
];

/// The cause of a field that no pattern matches, where the aspect says more than the instruction.
pub(super) fn general_cause(signature: &Signature, field: &str) -> Option<CauseId> {
    // What is refused rightly has a name of its own.
    if signature.form.encoding.starts_with("INVALID") {
        return None;
    }
    let part = DifferingPart::parse(field)?;
    let (family, aspect) = match signature.kind {
        BugKind::SpuriousFault | BugKind::DifferentFault => fault(signature, part)?,
        BugKind::EngineDied => ("engine", field.to_lowercase().replace(' ', "-")),
        _ if signature.kind.is_in_state() => status_bit(part).or_else(|| kept_flag(signature, part))?,
        _ => return None,
    };
    Some(CauseId::of_family(family, &aspect))
}

/// Of faults: an instruction that is refused, and accesses that fault.
fn fault(signature: &Signature, part: DifferingPart) -> Option<(&'static str, String)> {
    let refused = part.raised_signal() == Some(SIGILL);
    let in_memory = signature.form.text.split([' ', ',']).any(is_memory);
    Some(match part {
        _ if refused && has_simd_prefix(signature) => ("prefix", "refused".to_owned()),
        _ if refused => ("instruction", "refused".to_owned()),
        DifferingPart::ExtraSignal(SIGSEGV) if in_memory => ("memory", "extra-sigsegv".to_owned()),
        DifferingPart::ExtraSignal(SIGBUS) if in_memory => ("memory", "extra-sigbus".to_owned()),
        DifferingPart::FaultAddress => ("memory", "fault-address".to_owned()),
        _ => return None,
    })
}

/// Whether a prefix is there that belongs to other instructions with the same opcode.
fn has_simd_prefix(signature: &Signature) -> bool {
    let mut prefixes = signature.form.encoding.split('+').skip(1);
    prefixes.any(|prefix| matches!(prefix, "66" | "f2" | "f3" | "lost-rex"))
}

/// `m128` of a form's text.
fn is_memory(word: &str) -> bool {
    let width = word.strip_prefix('m').unwrap_or_default();
    !width.is_empty() && width.bytes().all(|byte| byte.is_ascii_digit())
}

/// Of exception flags in a status word: which, and whether it is missing.
fn status_bit(part: DifferingPart) -> Option<(&'static str, String)> {
    let DifferingPart::Status(side, word, bit) = part else {
        return None;
    };
    let family = match word {
        StatusWord::X87 => "x87",
        StatusWord::Mxcsr => "mxcsr",
    };
    let side = match side {
        BitSide::Missing => "no",
        BitSide::Extra => "extra",
        BitSide::Either => return None,
    };
    Some((family, format!("{side}-{}", bit.name().to_lowercase())))
}

/// Of flags that few instructions write and all others keep (SDM vol. 1, section 3.4.3): which is not kept.
fn kept_flag(signature: &Signature, part: DifferingPart) -> Option<(&'static str, String)> {
    let loads = ["popf", "iret"]
        .iter()
        .any(|name| signature.form.text.starts_with(name));
    let name = match part {
        DifferingPart::Flag(rflags::NT) => "nt",
        DifferingPart::Flag(rflags::AC) => "ac",
        DifferingPart::Flag(rflags::ID) => "id",
        _ => return None,
    };
    (!loads).then(|| ("flags", format!("{name}-not-kept")))
}

/// The title of a general cause, if it is one.
pub(super) fn general_title(name: &str) -> Option<String> {
    if let Some((_, title)) = TITLES.iter().find(|(known, _)| *known == name) {
        return Some((*title).to_owned());
    }
    let (family, aspect) = name.split_once('.')?;
    match (
        family,
        aspect.strip_suffix("-not-kept"),
        aspect.strip_prefix("dies-of-"),
    ) {
        ("flags", Some(flag), _) => return Some(format!("{} is not kept", flag.to_uppercase())),
        ("engine", _, Some(signal)) => {
            return Some(format!(
                "Instructions make the engine die of {}",
                signal.to_uppercase()
            ));
        }
        _ => {}
    }
    let word = match family {
        "x87" => "x87 status",
        "mxcsr" => "MXCSR",
        _ => return None,
    };
    let (side, bit) = aspect.split_once('-')?;
    let seen = match side {
        "no" => "is not set",
        "extra" => "is set for no reason",
        _ => return None,
    };
    Some(format!("{word}: {} {seen}", bit.to_uppercase()))
}
