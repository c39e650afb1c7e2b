//! Rulings on prefixes that are lost, over-reads and addresses.

use iced_x86::Mnemonic as M;
use snippex_core::case::{PAGE, PageAccess};
use snippex_core::observation::SIGSEGV;

use super::{BugPattern, DivergenceFacts};
use crate::signature::{BugKind, DifferingPart};

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
        id: "environment-access",
        title: "FLDENV and FRSTOR want memory that can be written",
        what: "loading the environment only reads its operand",
        reference: "SDM vol. 2, FLDENV and FRSTOR, Operation",
        matches: |e, field| {
            let loads = matches!(e.mnemonic(), M::Fldenv | M::Frstor);
            let refused = |address: u64| e.page_access(address) == Some(PageAccess::Read);
            loads && extra_fault(e, field).is_some_and(refused)
        },
    },
    BugPattern {
        id: "operand-over-read",
        title: "Bytes behind an operand in memory are read",
        what: "an operand in memory has as many bytes as the instruction names",
        reference: "SDM vol. 2, section 3.1.1.3 (m64, m128 and their like)",
        matches: |e, field| {
            // The page behind the one that the operand ends in.
            let behind = |address: u64| {
                let before = e.page_access(address.wrapping_sub(1)).is_some();
                before && e.page_access(address).is_none() && address.is_multiple_of(PAGE)
            };
            e.has_memory() && extra_fault(e, field).is_some_and(behind)
        },
    },
    BugPattern {
        id: "partial-store",
        title: "A store that faults has stored a part",
        what: "a fault leaves memory as it was before the instruction",
        reference: "SDM vol. 3, section 6.5",
        matches: |e, field| {
            // A repeated string instruction has done what it did before the fault.
            // What instructions before it have stored stays.
            let kept = !e.is_alone() || e.expected.memory.is_empty();
            e.reference_signal().is_some()
                && kept
                && e.in_state()
                && field == DifferingPart::Memory
                && !e.is_repeated()
        },
    },
    BugPattern {
        id: "gather-wrap",
        title: "Gathers do not wrap addresses at 32 bits",
        what: "an effective address is truncated to the address size",
        reference: "SDM vol. 1, section 3.3.7",
        matches: |e, _| e.mnemonic_name().contains("gather") && e.has_extra_prefix("a32"),
    },
    BugPattern {
        id: "gather-fault-address",
        title: "Gathers report the page fault of another element",
        what: "faults are delivered from right to left: that of the lowest element which faults comes first",
        reference: "SDM vol. 2, VGATHERDPS/VGATHERQPS and relatives, Description",
        matches: |e, field| e.mnemonic_name().contains("gather") && field == DifferingPart::FaultAddress,
    },
];

/// The address for which the subject raises SIGSEGV where the reference goes on.
fn extra_fault(e: &DivergenceFacts<'_>, field: DifferingPart) -> Option<u64> {
    let signal = e.subject_signal()?;
    (field == DifferingPart::ExtraSignal(SIGSEGV)).then_some(signal.address)
}

/// Whether the subject faults where the reference does not, or elsewhere.
fn over_reads(e: &DivergenceFacts<'_>) -> bool {
    e.is_kind(BugKind::SpuriousFault) || e.is_kind(BugKind::DifferentFault)
}
