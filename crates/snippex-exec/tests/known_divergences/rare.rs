//! Examples of what the generated sweep shows rarely: faults half-way, NaNs, unusual encodings.

use snippex_core::address_space::{ARENA, IMAGE_BASE};
use snippex_core::diff::DivergenceKind;
use snippex_core::observation::Endpoint;

use super::{Example, FALL, push, signal};

const MINUS_ONE: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xbf];
const QUIET: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x7f];

/// RDI points to the middle of a writable page, behind which there is none.
pub(super) fn examples() -> Vec<Example> {
    let mut examples = faults();
    examples.extend(x87());
    examples.extend(encodings());
    examples
}

fn faults() -> Vec<Example> {
    vec![
        Example {
            name: "MXCSR flags are set by a store that faults",
            bytes: &[0xc4, 0xe3, 0x79, 0x1d, 0x8f, 0, 0x10, 0, 0, 0], // vcvtps2ph [rdi + 0x1000], xmm1, 0
            terminator: FALL,
            prepare: |s, _| s.vectors[1][0] = 1,
            right: |o| signal(o, 11) && o.state.mxcsr == 0x1f80,
            kind: DivergenceKind::Mxcsr,
        },
        Example {
            name: "a store that faults has stored a part",
            bytes: &[0x0f, 0xf7, 0xd3], // maskmovq mm2, mm3
            terminator: FALL,
            // The mask selects the last byte of the page and the second one behind it.
            prepare: |s, _| {
                s.gpr[7] = ARENA + 0xffe;
                s.x87.st[2][1] = 1;
                (s.x87.st[3][1], s.x87.st[3][3]) = (0x80, 0x80);
            },
            right: |o| signal(o, 11) && o.memory.is_empty(),
            kind: DivergenceKind::Memory,
        },
        Example {
            name: "FLDENV that faults has loaded a part",
            bytes: &[0x66, 0xd9, 0x27], // fldenv of 14 bytes, [rdi]
            terminator: FALL,
            prepare: |s, _| s.gpr[7] = ARENA + 0xffc,
            right: |o| signal(o, 11) && o.state.x87.control == 0x37f,
            kind: DivergenceKind::X87,
        },
    ]
}

fn x87() -> Vec<Example> {
    vec![
        Example {
            name: "EMMS leaves TOP",
            bytes: &[0x0f, 0x77], // emms
            terminator: FALL,
            prepare: |s, _| s.x87.status = 6 << 11,
            right: |o| o.state.x87.status == 0 && o.state.x87.tags == 0,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "unmasked x87 exceptions change the operands",
            bytes: &[0xd9, 0xfa], // fsqrt
            terminator: FALL,
            prepare: |s, _| {
                push(s, MINUS_ONE);
                s.x87.control &= !1;
            },
            right: |o| o.state.x87.st[0] == MINUS_ONE && o.state.x87.status & 0x8081 == 0x8081,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "FSIN and its like accept unsupported encodings",
            bytes: &[0xd9, 0xfe], // fsin
            terminator: FALL,
            // An unnormal: an exponent without the integer bit.
            prepare: |s, _| push(s, [0, 0, 0, 0, 0, 0, 0, 0, 2, 0]),
            right: |o| o.state.x87.status & 1 == 1 && o.state.x87.st[0][7..] == [0xc0, 0xff, 0xff],
            kind: DivergenceKind::X87,
        },
        Example {
            name: "FSCALE takes the NaN of ST(1)",
            bytes: &[0xd9, 0xfd], // fscale
            terminator: FALL,
            prepare: |s, _| {
                s.x87.tags = 3;
                s.x87.st[0] = [0, 0, 0, 0, 0, 0, 0, 0x84, 0xff, 0x7f];
                s.x87.st[1] = [1, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f];
            },
            // The one with the larger significand, made quiet.
            right: |o| o.state.x87.st[0] == [0, 0, 0, 0, 0, 0, 0, 0xc4, 0xff, 0x7f],
            kind: DivergenceKind::X87,
        },
        Example {
            name: "signalling NaNs in memory are made quiet before one is chosen",
            bytes: &[0xd8, 0x07], // fadd dword [rdi]
            terminator: FALL,
            prepare: |s, page| {
                push(s, QUIET);
                page[0x800..0x804].copy_from_slice(&0x7fa0_0000_u32.to_le_bytes());
            },
            right: |o| o.state.x87.st[0] == QUIET,
            kind: DivergenceKind::X87,
        },
    ]
}

fn encodings() -> Vec<Example> {
    vec![
        Example {
            name: "RIP-relative operands of SHLD and SHRD forget the immediate",
            bytes: &[0x0f, 0xa4, 0x2d, 0xf8, 0x17, 0, 0, 0x13], // shld [rip + 0x17f8], ebp, 0x13
            terminator: FALL,
            prepare: |s, _| s.gpr[5] = 0xffff_ffff,
            // To 0x2800 of the image: the block lies at 0x1000 and has eight bytes.
            right: |o| {
                let [line] = &o.memory[..] else { return false };
                line.address == IMAGE_BASE + 0x2800 && line.bytes[..4] == [0xff, 0xff, 7, 0]
            },
            kind: DivergenceKind::Memory,
        },
        Example {
            name: "RDFSBASE with an operand-size prefix reads 64 bits",
            bytes: &[0x66, 0xf3, 0x0f, 0xae, 0xcf], // rdgsbase edi
            terminator: FALL,
            prepare: |s, _| s.gs_base = 0x1_2345_6789,
            right: |o| o.state.gpr[7] == 0x2345_6789,
            kind: DivergenceKind::Register,
        },
        Example {
            name: "0F 18 /3 with a register is refused",
            bytes: &[0x0f, 0x18, 0xdb],
            terminator: FALL,
            prepare: |_, _| (),
            right: |o| matches!(o.endpoint, Endpoint::Exit { .. }),
            kind: DivergenceKind::SpuriousFault,
        },
        Example {
            name: "EXTRQ with immediates works on another register",
            bytes: &[0x66, 0x0f, 0x78, 0xc1, 0x20, 0x08], // extrq xmm1, 0x20, 8
            terminator: FALL,
            prepare: |s, _| s.vectors[1][..8].copy_from_slice(&0x1234_5678_9abc_def0_u64.to_le_bytes()),
            // 32 bits from bit 8. Intel's processors have no SSE4a.
            right: |o| {
                let extracted = u64::from_le_bytes(std::array::from_fn(|at| o.state.vectors[1][at]));
                extracted == 0x789a_bcde || signal(o, 4)
            },
            kind: DivergenceKind::Vector,
        },
    ]
}
