//! Examples among the instructions that ask the machine: segment bases and images of the extended state.

use snippex_core::diff::DivergenceKind;

use super::{Example, FALL, signal};

/// MXCSR in an XSAVE image.
const MXCSR: usize = 24;

pub(super) fn examples() -> Vec<Example> {
    vec![
        Example {
            name: "WRFSBASE and WRGSBASE take addresses that are not canonical",
            bytes: &[0xf3, 0x48, 0x0f, 0xae, 0xd0], // wrfsbase rax
            terminator: FALL,
            prepare: |s, _| s.gpr[0] = 1 << 63,
            right: |o| signal(o, 11),
            kind: DivergenceKind::MissingFault,
        },
        Example {
            name: "XSAVE of AVX alone leaves MXCSR out",
            bytes: &[0x0f, 0xae, 0x27], // xsave [rdi]
            terminator: FALL,
            // From the start of the page, so that all of the image lies in it.
            prepare: |s, _| {
                s.gpr[0] = 4;
                s.gpr[7] &= !0xfff;
            },
            right: |o| {
                let first = o.memory.iter().find(|line| line.address & 0xfff == 0);
                first.is_some_and(|line| line.bytes[MXCSR..MXCSR + 2] == 0x1f80_u16.to_le_bytes())
            },
            kind: DivergenceKind::Memory,
        },
        Example {
            name: "XRSTOR takes MXCSR from the image only with SSE",
            bytes: &[0x0f, 0xae, 0x2f], // xrstor [rdi]
            terminator: FALL,
            // SSE is asked for, and the image has none.
            prepare: |s, page| {
                s.gpr[0] = 2;
                s.gpr[7] &= !0xfff;
                page[MXCSR..MXCSR + 2].copy_from_slice(&0x1fc0_u16.to_le_bytes());
            },
            right: |o| o.state.mxcsr == 0x1fc0,
            kind: DivergenceKind::Mxcsr,
        },
    ]
}
