//! Instructions that an emulator computes by the same code, by name.

use super::CauseId;
use crate::signature::{BugKind, DifferingPart, Signature};

/// The cause of a field that no pattern matches: the family of the instruction, and what is wrong with it.
pub(super) fn family_cause(signature: &Signature, field: &str) -> CauseId {
    CauseId::of_family(&family(&signature.form.text), &aspect(signature.kind, field))
}

/// What is wrong, in a word.
fn aspect(kind: BugKind, field: &str) -> String {
    match kind {
        BugKind::MissingFault | BugKind::SpuriousFault => {
            // `no SIGBUS`, `extra SIGILL`
            field.to_lowercase().replace(' ', "-")
        }
        BugKind::DifferentFault => "fault".to_owned(),
        BugKind::WrongBranch => "target".to_owned(),
        BugKind::EngineDied => "dies".to_owned(),
        BugKind::EngineHung => "hangs".to_owned(),
        BugKind::WrongValue | BugKind::Flag | BugKind::Memory => {
            let aspect = match DifferingPart::parse(field) {
                Some(DifferingPart::Flag(_)) => "flags",
                Some(DifferingPart::Status(..) | DifferingPart::X87Control | DifferingPart::X87Tags) => {
                    "status"
                }
                _ => "result",
            };
            aspect.to_owned()
        }
    }
}

/// The mnemonic of `form` without what tells operand types, widths and encodings apart.
fn family(form: &str) -> String {
    if let Some(encoding) = form.strip_prefix("invalid ") {
        return refused_family(encoding);
    }
    let mut words = form
        .split([' ', ','])
        .skip_while(|word| matches!(*word, "lock" | "rep" | "repe" | "repne" | "xacquire" | "xrelease"));
    let mnemonic = words.next().unwrap_or("unknown");
    let is_vector = words.any(|word| word.contains("mm")) && !mnemonic.starts_with('f');
    match mnemonic {
        _ if is_vector => vector(mnemonic),
        _ if mnemonic.starts_with('f') => x87(mnemonic).to_owned(),
        _ => mnemonic.to_owned(),
    }
}

/// What a refused encoding looks like: `invalid-mov`, `invalid-0f-04`.
fn refused_family(encoding: &str) -> String {
    let words: Vec<&str> = encoding.split_whitespace().collect();
    let is_byte = |word: &&&str| word.len() == 2 && u8::from_str_radix(word, 16).is_ok();
    let opcode: Vec<&str> = words.iter().take_while(is_byte).copied().collect();
    match opcode[..] {
        [] => format!("invalid-{}", family(encoding)),
        _ => format!("invalid-{}", opcode.join("-")),
    }
}

/// `vfmadd132sd` and `vfmadd231ps` are one; so are `addps` and `vaddsd`.
fn vector(mnemonic: &str) -> String {
    let name = mnemonic.strip_prefix('v').unwrap_or(mnemonic);
    let name = name.strip_suffix("64").unwrap_or(name);
    let float = ["ps", "pd", "ss", "sd"];
    let name = float
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .filter(|rest| rest.len() > 2 && !rest.starts_with('p') && !rest.starts_with("cvt"))
        .unwrap_or(name);
    let name = ["132", "213", "231"]
        .iter()
        .find_map(|order| name.strip_suffix(order))
        .unwrap_or(name);
    name.to_owned()
}

/// Operations with popping, reversed and integer forms.
fn x87(mnemonic: &str) -> &str {
    match mnemonic {
        "faddp" | "fiadd" => "fadd",
        "fmulp" | "fimul" => "fmul",
        "fsubp" | "fsubr" | "fsubrp" | "fisub" | "fisubr" => "fsub",
        "fdivp" | "fdivr" | "fdivrp" | "fidiv" | "fidivr" => "fdiv",
        "fcomp" | "fcompp" | "ficom" | "ficomp" | "fucom" | "fucomp" | "fucompp" => "fcom",
        "fcomip" | "fucomi" | "fucomip" => "fcomi",
        "fstp" | "fstpnce" => "fst",
        "fistp" | "fisttp" => "fist",
        "fcmovb" | "fcmove" | "fcmovbe" | "fcmovu" | "fcmovnb" | "fcmovne" | "fcmovnbe" | "fcmovnu" => {
            "fcmov"
        }
        "fld1" | "fldl2t" | "fldl2e" | "fldpi" | "fldlg2" | "fldln2" | "fldz" => "fldconst",
        "fxrstor64" => "fxrstor",
        "fxsave64" => "fxsave",
        other => other,
    }
}
