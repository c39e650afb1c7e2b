//! Rulings on prefixes that are lost, over-reads and addresses.

use iced_x86::Mnemonic as M;

use super::{BugPattern, DivergenceFacts};
use crate::signature::BugKind;

/// Every pattern of this table.
pub(super) const RULES: &[BugPattern] = &[
    BugPattern {
        id: "fma-over-read",
        title: "Scalar FMA loads sixteen bytes",
        what: "a scalar operation loads one element",
        reference: "SDM vol. 2, VFMADD132SD and relatives",
        matches: |e, _| {
            let name = e.mnemonic_name();
            let scalar = name.starts_with("vf") && (name.ends_with("sd") || name.ends_with("ss"));
            scalar && over_reads(e)
        },
    },
    BugPattern {
        id: "cvtdq2pd-over-read",
        title: "CVTDQ2PD loads sixteen bytes",
        what: "CVTDQ2PD loads eight bytes",
        reference: "SDM vol. 2, CVTDQ2PD",
        matches: |e, _| matches!(e.mnemonic(), M::Cvtdq2pd | M::Vcvtdq2pd) && over_reads(e),
    },
    BugPattern {
        id: "partial-store",
        title: "A store that faults has stored a part",
        what: "a fault leaves memory as it was before the instruction",
        reference: "SDM vol. 3, section 6.5",
        matches: |e, field| e.reference_signal().is_some() && e.in_state() && field == "memory",
    },
    BugPattern {
        id: "gather-wrap",
        title: "Gathers do not wrap addresses at 32 bits",
        what: "an effective address is truncated to the address size",
        reference: "SDM vol. 1, section 3.3.7",
        matches: |e, _| e.mnemonic_name().contains("gather") && e.has_extra_prefix("a32"),
    },
];

/// Whether the subject faults where the reference does not, or elsewhere.
fn over_reads(e: &DivergenceFacts<'_>) -> bool {
    e.is_kind(BugKind::SpuriousFault) || e.is_kind(BugKind::DifferentFault)
}
