//! Rulings on encodings that have to be refused.

use snippex_core::decode::Refusal;

use super::{BugPattern, DivergenceFacts};
use crate::signature::BugKind;

/// Every pattern of this table.
pub(super) const RULES: &[BugPattern] = &[
    BugPattern {
        id: "invalid-lock",
        title: "LOCK is accepted in front of what cannot be locked",
        what: "LOCK in front of anything but the listed read-modify-write instructions with memory as destination raises #UD",
        reference: "SDM vol. 2, LOCK, Description",
        matches: |e, _| executes(e, Refusal::Lock),
    },
    BugPattern {
        id: "invalid-length",
        title: "Instructions of more than 15 bytes are executed",
        what: "an instruction of more than 15 bytes raises #GP(0)",
        reference: "SDM vol. 2, section 2.3.11; vol. 3, section 6.15, interrupt 13",
        matches: |e, _| executes(e, Refusal::TooLong),
    },
    BugPattern {
        id: "invalid-vex-prefix",
        title: "66, F2, F3 and REX are accepted in front of VEX",
        what: "66, F2, F3, LOCK or REX in front of VEX or EVEX raise #UD",
        reference: "SDM vol. 2, sections 2.3.2 to 2.3.4",
        matches: |e, _| executes(e, Refusal::VexPrefix),
    },
    BugPattern {
        id: "invalid-vector-length",
        title: "Vector lengths are accepted that an instruction does not have",
        what: "VEX.L or EVEX.L'L with a value that the instruction does not have raises #UD",
        reference: "SDM vol. 2, section 2.4, exception types 4, 5 and 7, and the encodings of each instruction",
        matches: |e, _| executes(e, Refusal::VectorLength),
    },
    BugPattern {
        id: "invalid-vex-w",
        title: "VEX.W is not checked",
        what: "W with a value that the instruction does not have raises #UD",
        reference: "SDM vol. 2, section 3.1.1.2, Opcode Column in the Instruction Summary Table (W0 and W1)",
        matches: |e, _| executes(e, Refusal::WideBit),
    },
    BugPattern {
        id: "invalid-vex-vvvv",
        title: "VEX.vvvv is not checked where there is no such operand",
        what: "VEX.vvvv of an instruction without that operand has to be 1111, or #UD is raised",
        reference: "SDM vol. 2, section 2.3.5.6",
        matches: |e, _| executes(e, Refusal::UnusedOperand),
    },
    BugPattern {
        id: "invalid-reserved-bits",
        title: "Reserved bits of VEX and EVEX are not checked",
        what: "reserved bits and maps, and masks or rounding that the instruction does not have, raise #UD",
        reference: "SDM vol. 2, sections 2.3.6 and 2.7.11",
        matches: |e, _| executes(e, Refusal::ReservedBits),
    },
    BugPattern {
        id: "invalid-operand-kind",
        title: "Registers are accepted where the operand has to be in memory, or the other way round",
        what: "ModRM.mod that names an operand the instruction does not take raises #UD",
        reference: "SDM vol. 2, section 3.1.1.3, and the encodings of each instruction",
        matches: |e, _| executes(e, Refusal::OperandKind),
    },
    BugPattern {
        id: "invalid-digit",
        title: "Digits of ModRM.reg are accepted that are not assigned",
        what: "an opcode extension or a register number in ModRM.reg that is not assigned raises #UD",
        reference: "SDM vol. 2, appendix A.4, table A-6, and the encodings of each instruction",
        matches: |e, _| executes(e, Refusal::Digit),
    },
    BugPattern {
        id: "invalid-opcode",
        title: "Opcodes are executed that are not assigned",
        what: "an opcode that is not assigned raises #UD",
        reference: "SDM vol. 2, appendix A; vol. 3, section 6.15, interrupt 6",
        matches: |e, _| executes(e, Refusal::Opcode),
    },
];

/// Whether the subject executes an encoding that the reference refuses for this reason.
fn executes(e: &DivergenceFacts<'_>, refusal: Refusal) -> bool {
    let executed = matches!(
        e.signature.kind,
        BugKind::MissingFault | BugKind::DifferentFault | BugKind::WrongBranch
    );
    // A branch that is executed leads anywhere, and so may end the engine.
    let astray =
        matches!(e.signature.kind, BugKind::EngineHung | BugKind::EngineDied) && e.is_refused_branch();
    (executed || astray) && e.refusal() == Some(refusal)
}
