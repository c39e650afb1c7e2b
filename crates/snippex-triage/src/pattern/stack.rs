//! Rulings on the x87 stack and the MMX registers, which share it.

use iced_x86::Mnemonic as M;
use snippex_core::observation::SIGFPE;

use super::BugPattern;
use super::integer::misses_signal;
use crate::signature::{DifferingPart, StatusBit};

const C1: u16 = 1 << 9;

/// Every pattern of this table.
pub(super) const RULES: &[BugPattern] = &[
    BugPattern {
        id: "x87-unmasked",
        title: "Unmasked x87 exceptions are not delivered",
        what: "a pending unmasked x87 exception is delivered as #MF before the next waiting instruction",
        reference: "SDM vol. 1, sections 8.3.12 and 8.7",
        matches: |e, _| !e.is_vector() && misses_signal(e, SIGFPE),
    },
    BugPattern {
        id: "cvtpi2pd-state",
        title: "CVTPI2PD from memory enters the MMX state",
        what: "with an operand in memory CVTPI2PD leaves the x87 state alone",
        reference: "SDM vol. 2, CVTPI2PD, Description",
        matches: |e, field| e.mnemonic() == M::Cvtpi2pd && e.has_memory() && is_stack(field),
    },
    BugPattern {
        id: "emms-top",
        title: "EMMS leaves TOP",
        what: "EMMS sets TOP to 0",
        reference: "SDM vol. 3, section 12.2, table 12-2",
        matches: |e, field| e.mnemonic() == M::Emms && field.is_x87_bit(StatusBit::Top),
    },
    BugPattern {
        id: "mmx-fault-state",
        title: "MMX instructions that fault have entered the MMX state",
        what: "a fault leaves TOP and the tags as they were",
        reference: "SDM vol. 3, section 6.5",
        matches: |e, field| e.reference_signal().is_some() && is_stack(field),
    },
    BugPattern {
        id: "mmx-exponent",
        title: "MMX writes leave the exponent",
        what: "writing an MMX register sets bits 64 to 79 of the x87 register to ones",
        reference: "SDM vol. 3, section 12.2 (MMX state and register aliasing)",
        matches: |e, field| e.is_mmx() && e.in_state() && field.is_exponent(),
    },
    BugPattern {
        id: "mmx-shift-rex-b",
        title: "MMX shifts with REX.B write past the registers",
        what: "REX.B is ignored where a register field names an MMX register",
        reference: "SDM vol. 2, section 2.2.1.2",
        matches: |e, _| {
            e.is_mmx() && e.has_rex_bits(1) && !e.has_memory() && is_immediate_shift(e.mnemonic())
        },
    },
    BugPattern {
        id: "mmx-rex-b",
        title: "REX.B counts in MMX register operands",
        what: "REX.R and REX.B are ignored where a register field names an MMX register",
        reference: "SDM vol. 2, section 2.2.1.2",
        matches: |e, _| e.is_mmx() && e.has_rex_bits(5) && !e.has_memory(),
    },
    BugPattern {
        id: "x87-underflow",
        title: "X87 stack underflow is not detected",
        what: "reading an empty register sets IE and SF and clears C1; masked, the result is the indefinite NaN",
        reference: "SDM vol. 1, section 8.5.1.1",
        matches: |e, _| e.in_state() && e.stack_fault() && e.expected.state.x87.status & C1 == 0,
    },
    BugPattern {
        id: "x87-overflow",
        title: "X87 stack overflow is not detected",
        what: "loading into a register that is not empty sets IE, SF and C1; masked, the result is the indefinite NaN",
        reference: "SDM vol. 1, section 8.5.1.1",
        matches: |e, _| e.in_state() && e.stack_fault(),
    },
    BugPattern {
        id: "x87-store-tag",
        title: "FST and FSTP leave the destination's tag empty",
        what: "a register that is written is no longer empty",
        reference: "SDM vol. 2, FST/FSTP, Description; vol. 1, section 8.1.7",
        matches: |e, field| {
            let stores = matches!(e.mnemonic(), M::Fst | M::Fstp | M::Fstpnce);
            stores && e.in_state() && field == DifferingPart::X87Tags
        },
    },
];

/// TOP and the tags.
fn is_stack(field: DifferingPart) -> bool {
    field.is_x87_bit(StatusBit::Top) || field == DifferingPart::X87Tags
}

fn is_immediate_shift(mnemonic: M) -> bool {
    matches!(
        mnemonic,
        M::Psrlw | M::Psraw | M::Psllw | M::Psrld | M::Psrad | M::Pslld | M::Psrlq | M::Psllq
    )
}
