//! Instructions that an emulator computes by the same code, by name.

use super::CauseId;
use crate::signature::{BugKind, Signature};

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
            let status = ["fsw.", "mxcsr.", "fcw", "ftw"];
            if field.starts_with("flags.") {
                "flags".to_owned()
            } else if status.iter().any(|word| field.contains(word)) {
                "status".to_owned()
            } else {
                "result".to_owned()
            }
        }
    }
}

/// The mnemonic of `form` without what tells operand types, widths and encodings apart.
fn family(form: &str) -> String {
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
