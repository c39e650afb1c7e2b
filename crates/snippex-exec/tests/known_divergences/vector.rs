//! Of SSE: what emulators on ARM64 do otherwise, and qemu-user does not.

use snippex_core::diff::DivergenceKind;

use super::{Example, FALL};

/// To the next number below.
const ROUND_DOWN: u32 = 1 << 13;
const SIGNALLING_NAN: u32 = 0x7f80_0001;

pub(super) fn examples() -> Vec<Example> {
    vec![
        Example {
            name: "MXCSR.RC is not obeyed",
            bytes: &[0xf2, 0x0f, 0x51, 0xc1], // sqrtsd xmm0, xmm1
            terminator: FALL,
            prepare: |s, _| {
                s.mxcsr |= ROUND_DOWN;
                s.vectors[1][..8].copy_from_slice(&2_f64.to_le_bytes());
            },
            right: |o| {
                // The nearest is above the root.
                let below = 2_f64.sqrt().next_down();
                o.state.vectors[0][..8] == below.to_le_bytes()
            },
            kind: DivergenceKind::Vector,
        },
        Example {
            name: "MAX and MIN of NaNs and zeros do not give the second source",
            bytes: &[0x0f, 0x5f, 0xc1], // maxps xmm0, xmm1
            terminator: FALL,
            prepare: |s, _| {
                s.vectors[0][..4].copy_from_slice(&SIGNALLING_NAN.to_le_bytes());
                s.vectors[1][..4].copy_from_slice(&1_f32.to_le_bytes());
            },
            right: |o| o.state.vectors[0][..4] == 1_f32.to_le_bytes(),
            kind: DivergenceKind::Vector,
        },
        Example {
            name: "numbers that no integer holds are converted to another value",
            bytes: &[0xf2, 0x0f, 0x2c, 0xc9], // cvttsd2si ecx, xmm1
            terminator: FALL,
            prepare: |s, _| s.vectors[1][..8].copy_from_slice(&2_f64.powi(40).to_le_bytes()),
            right: |o| o.state.gpr[1] == 1 << 31,
            kind: DivergenceKind::Register,
        },
    ]
}
