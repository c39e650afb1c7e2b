//! Rulings on segment bases and images of the extended state.

use iced_x86::Mnemonic as M;
use snippex_core::observation::SIGSEGV;

use super::BugPattern;
use super::integer::misses_signal;
use crate::signature::{BugKind, DifferingPart};

/// Every pattern of this table.
pub(super) const RULES: &[BugPattern] = &[
    BugPattern {
        id: "base-not-canonical",
        title: "WRFSBASE and WRGSBASE take addresses that are not canonical",
        what: "a base that is not canonical raises #GP(0)",
        reference: "SDM vol. 2, WRFSBASE/WRGSBASE, 64-Bit Mode Exceptions",
        matches: |e, _| matches!(e.mnemonic(), M::Wrfsbase | M::Wrgsbase) && misses_signal(e, SIGSEGV),
    },
    BugPattern {
        id: "selector-fault",
        title: "LAR, LSL, VERR and VERW fault on selectors without a descriptor",
        what: "a selector that names no accessible descriptor clears ZF and raises nothing",
        reference: "SDM vol. 2, LAR, LSL and VERR/VERW, Description",
        matches: |e, _| {
            matches!(e.mnemonic(), M::Lar | M::Lsl | M::Verr | M::Verw) && e.is_kind(BugKind::SpuriousFault)
        },
    },
    BugPattern {
        id: "xsave-mxcsr",
        title: "XSAVE of AVX alone leaves MXCSR out",
        what: "MXCSR is saved when SSE or AVX is asked for",
        reference: "SDM vol. 1, section 13.7",
        matches: |e, field| matches!(e.mnemonic(), M::Xsave | M::Xsave64) && field == DifferingPart::Memory,
    },
    BugPattern {
        id: "xrstor-mxcsr",
        title: "XRSTOR takes MXCSR from the image only with SSE",
        what: "the standard form of XRSTOR loads MXCSR when SSE or AVX is asked for, whatever XSTATE_BV says",
        reference: "SDM vol. 1, section 13.8.1",
        matches: |e, field| matches!(e.mnemonic(), M::Xrstor | M::Xrstor64) && field.is_mxcsr(),
    },
];
