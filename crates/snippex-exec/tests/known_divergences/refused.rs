//! Examples of encodings that processors refuse, and of what later versions of qemu-user get wrong.

use snippex_core::block::Terminator;
use snippex_core::diff::DivergenceKind;
use snippex_core::observation::Endpoint;

use super::{CODE, Example, FALL, signal};

/// What the sweep shows of encodings that raise #UD, and of those that are too long.
pub(super) fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = REFUSED
        .iter()
        .map(|&(name, bytes)| refused(name, bytes, |o| signal(o, 4)))
        .collect();
    examples.push(refused(
        "instructions of more than 15 bytes are executed",
        &[
            0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x2e, 0x90,
        ],
        |o| signal(o, 11),
    ));
    examples.extend(later());
    examples
}

const REFUSED: [(&str, &[u8]); 9] = [
    // lock mov [rdi], eax
    (
        "LOCK is accepted in front of what cannot be locked",
        &[0xf0, 0x89, 0x07],
    ),
    // vaddps xmm0, xmm1, xmm1 behind an operand-size prefix
    (
        "66, F2, F3 and REX are accepted in front of VEX",
        &[0x66, 0xc5, 0xf0, 0x58, 0xc1],
    ),
    // vmovd with VEX.L
    (
        "vector lengths are accepted that an instruction does not have",
        &[0xc5, 0xfd, 0x6e, 0xc0],
    ),
    // vperm2f128 with VEX.W
    ("VEX.W is not checked", &[0xc4, 0xe3, 0xf5, 0x06, 0xc2, 0x00]),
    // vmovd with vvvv 1110
    (
        "VEX.vvvv is not checked where there is no such operand",
        &[0xc5, 0xf1, 0x6e, 0xc0],
    ),
    // vaddps in map 5
    (
        "reserved bits of VEX and EVEX are not checked",
        &[0xc4, 0xe5, 0x70, 0x58, 0xc1],
    ),
    // lea of a register
    (
        "registers are accepted where the operand has to be in memory, or the other way round",
        &[0x8d, 0xc1],
    ),
    // mov cs, ax
    (
        "digits of ModRM.reg are accepted that are not assigned",
        &[0x8e, 0xc8],
    ),
    ("opcodes are executed that are not assigned", &[0x0f, 0x04]),
];

fn refused(
    name: &'static str,
    bytes: &'static [u8],
    right: fn(&snippex_core::observation::Observation) -> bool,
) -> Example {
    Example {
        name,
        bytes,
        terminator: Terminator::Trap,
        prepare: |_, _| (),
        right,
        kind: DivergenceKind::MissingFault,
    }
}

/// Bugs of qemu-user 10.0 and 11.1 that 7.2 does not have, and one that all have.
fn later() -> Vec<Example> {
    vec![
        Example {
            name: "RCL and RCR of 8 and 16 bits rotate by another count",
            bytes: &[0x66, 0xc1, 0xd0, 0x11], // rcl ax, 17
            terminator: FALL,
            prepare: |s, _| s.gpr[0] = 0x1234,
            right: |o| o.state.gpr[0] == 0x1234,
            kind: DivergenceKind::Register,
        },
        Example {
            name: "FPREM and FPREM1 report another quotient",
            bytes: &[0xd9, 0xf5], // fprem1, 11 by 7: 2
            terminator: FALL,
            prepare: |s, _| {
                s.x87.tags = 3;
                s.x87.st[0] = [0, 0, 0, 0, 0, 0, 0, 0xb0, 0x02, 0x40];
                s.x87.st[1] = [0, 0, 0, 0, 0, 0, 0, 0xe0, 0x01, 0x40];
            },
            right: |o| o.state.x87.status & 0x4700 == 0x4000,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "RDTSCP and RDPID with an operand-size prefix write 16 bits",
            bytes: &[0x66, 0x0f, 0x01, 0xf9], // rdtscp
            terminator: FALL,
            prepare: |s, _| s.gpr[1] = 1 << 32,
            right: |o| o.state.gpr[1] >> 32 == 0,
            kind: DivergenceKind::Register,
        },
        Example {
            name: "LAR, LSL, VERR and VERW fault on selectors without a descriptor",
            bytes: &[0x0f, 0x00, 0xe0], // verr ax
            terminator: FALL,
            prepare: |s, _| s.gpr[0] = 4,
            right: |o| matches!(o.endpoint, Endpoint::Exit { target } if target == CODE + 3),
            kind: DivergenceKind::SpuriousFault,
        },
        Example {
            name: "gathers report the page fault of another element",
            bytes: &[0xc4, 0xe2, 0x59, 0x90, 0x0c, 0x9f], // vpgatherdd xmm1, [rdi+xmm3*4], xmm4
            terminator: FALL,
            prepare: |s, _| {
                s.gpr[7] = 0x3_5000_0000;
                s.vectors[4][3] = 0x80;
                s.vectors[4][7] = 0x80;
            },
            right: |o| signal(o, 11),
            kind: DivergenceKind::FaultAddress,
        },
    ]
}
