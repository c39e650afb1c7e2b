//! Examples that the generated sweep found: `snippex check --generated`.

use snippex_core::diff::DivergenceKind;
use snippex_core::observation::Endpoint;
use snippex_core::state::rflags::{AF, CF, OF, PF, SF, ZF};

use super::{Example, FALL, ONE, READ_ONLY, push, signal};

const INFINITY: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f];
/// TOP 7 with one register in use, as after one push.
const TOP_7: u16 = 7 << 11;

/// RDI points to the middle of a writable page, behind which there is none.
pub(super) fn examples() -> Vec<Example> {
    let mut examples = integer();
    examples.extend(vector());
    examples.extend(x87());
    examples
}

fn integer() -> Vec<Example> {
    vec![
        Example {
            name: "ADCX and ADOX spoil other flags",
            bytes: &[0x66, 0x45, 0x0f, 0x38, 0xf6, 0xe4], // adcx r12d, r12d
            terminator: FALL,
            prepare: |s, _| {
                s.gpr[12] = 0x2744_10a8_0730_2c54;
                s.rflags |= CF | PF | SF | OF;
            },
            right: |o| o.state.rflags == 0x202 | PF | SF | OF && o.state.gpr[12] == 0x0e60_58a9,
            kind: DivergenceKind::Flag,
        },
        Example {
            name: "BLSI inverts the carry",
            bytes: &[0xc4, 0xe2, 0x68, 0xf3, 0xdb], // blsi edx, ebx
            terminator: FALL,
            prepare: |s, _| s.gpr[3] = 6,
            right: |o| o.state.rflags & CF != 0 && o.state.gpr[2] == 2,
            kind: DivergenceKind::Flag,
        },
        Example {
            name: "BSF and BSR of zero clear the upper half",
            bytes: &[0x0f, 0xbc, 0xc1], // bsf eax, ecx
            terminator: FALL,
            prepare: |s, _| s.gpr[0] = 0x1234_5678_8765_4321,
            right: |o| o.state.gpr[0] == 0x1234_5678_8765_4321 && o.state.rflags & ZF != 0,
            kind: DivergenceKind::Register,
        },
        Example {
            name: "an operand-size prefix beats REX.W in MOVBE and CRC32",
            bytes: &[0x66, 0x48, 0x0f, 0x38, 0xf0, 0x07], // movbe rax, [rdi]
            terminator: FALL,
            prepare: |_, page| page[0x800..0x808].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]),
            right: |o| o.state.gpr[0] == 0x0102_0304_0506_0708,
            kind: DivergenceKind::Register,
        },
        Example {
            name: "flags are lost when an unaligned locked access faults",
            bytes: &[0xf0, 0x01, 0x87, 0xfe, 0x07, 0, 0], // lock add [rdi + 0x7fe], eax
            terminator: FALL,
            prepare: |s, _| s.rflags |= CF | AF | ZF | SF,
            right: |o| signal(o, 11) && o.state.rflags & (CF | AF | ZF | SF) == CF | AF | ZF | SF,
            kind: DivergenceKind::Flag,
        },
        Example {
            name: "CLFLUSH does not touch memory",
            bytes: &[0x0f, 0xae, 0xbf, 0, 0x10, 0, 0], // clflush [rdi + 0x1000]
            terminator: FALL,
            prepare: |_, _| (),
            right: |o| signal(o, 11),
            kind: DivergenceKind::MissingFault,
        },
    ]
}

fn vector() -> Vec<Example> {
    vec![
        Example {
            name: "PCMPESTRI and PCMPESTRM ignore REX.W",
            bytes: &[0x66, 0x48, 0x0f, 0x3a, 0x61, 0xca, 0], // pcmpestri xmm1, xmm2, 0 with REX.W
            terminator: FALL,
            // As 32 bits the first length is zero.
            prepare: |s, _| {
                s.gpr[0] = 1 << 32;
                s.gpr[2] = 16;
            },
            right: |o| o.state.gpr[1] == 0 && o.state.rflags & CF != 0,
            kind: DivergenceKind::Register,
        },
        Example {
            name: "REX.B counts in MMX register operands",
            bytes: &[0x41, 0x0f, 0xc5, 0xd4, 0], // pextrw edx, mm4, 0
            terminator: FALL,
            prepare: |s, _| s.x87.st[4][..2].copy_from_slice(&[0x34, 0x12]),
            right: |o| o.state.gpr[2] == 0x1234,
            kind: DivergenceKind::Register,
        },
        Example {
            name: "MMX shifts with REX.B write past the registers",
            bytes: &[0x41, 0x0f, 0x72, 0xe5, 31], // psrad mm5, 31
            terminator: FALL,
            prepare: |s, _| s.x87.st[5] = [0, 0, 0, 0x80, 0, 0, 0, 0x80, 0, 0],
            right: |o| o.state.x87.st[5] == [0xff; 10] && o.state.mxcsr == 0x1f80,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "CVTPI2PD from memory enters the MMX state",
            bytes: &[0x66, 0x0f, 0x2a, 0x0f], // cvtpi2pd xmm1, [rdi]
            terminator: FALL,
            prepare: |s, _| push(s, ONE),
            right: |o| o.state.x87.status == TOP_7 && o.state.x87.tags == 0x80,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "MMX instructions that fault have entered the MMX state",
            bytes: &[0x0f, 0xfc, 0x8f, 0, 0x10, 0, 0], // paddb mm1, [rdi + 0x1000]
            terminator: FALL,
            prepare: |s, _| push(s, ONE),
            right: |o| signal(o, 11) && o.state.x87.status == TOP_7 && o.state.x87.tags == 0x80,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "scalar FMA loads sixteen bytes",
            bytes: &[0xc4, 0xe2, 0xe9, 0x99, 0x8f, 0xf8, 0x07, 0, 0], // vfmadd132sd xmm1, xmm2, [rdi + 0x7f8]
            terminator: FALL,
            prepare: |_, _| (),
            right: |o| matches!(o.endpoint, Endpoint::Exit { .. }),
            kind: DivergenceKind::SpuriousFault,
        },
        Example {
            name: "CVTDQ2PD loads sixteen bytes",
            bytes: &[0xf3, 0x0f, 0xe6, 0x8f, 0xf8, 0x07, 0, 0], // cvtdq2pd xmm1, [rdi + 0x7f8]
            terminator: FALL,
            prepare: |_, _| (),
            right: |o| matches!(o.endpoint, Endpoint::Exit { .. }),
            kind: DivergenceKind::SpuriousFault,
        },
        Example {
            name: "bytes behind an operand in memory are read",
            bytes: &[0xc5, 0xf5, 0xf1, 0x87, 0xf0, 0x07, 0, 0], // vpsllw ymm0, ymm1, [rdi + 0x7f0]
            terminator: FALL,
            prepare: |_, _| (),
            right: |o| matches!(o.endpoint, Endpoint::Exit { .. }),
            kind: DivergenceKind::SpuriousFault,
        },
        Example {
            name: READ_ONLY,
            bytes: &[0xd9, 0x27], // fldenv [rdi], of what is there already
            terminator: FALL,
            prepare: |_, page| {
                page[0x800..0x802].copy_from_slice(&0x37f_u16.to_le_bytes());
                page[0x808..0x80a].fill(0xff);
            },
            right: |o| matches!(o.endpoint, Endpoint::Exit { .. }),
            kind: DivergenceKind::SpuriousFault,
        },
        Example {
            name: "gathers do not wrap addresses at 32 bits",
            bytes: &[0x67, 0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x17], // vpgatherdd xmm1, [edi + xmm2], xmm3
            terminator: FALL,
            prepare: |s, _| {
                s.vectors[2][..4].copy_from_slice(&(-0x2000_0000_i32).to_le_bytes());
                s.vectors[3][..16].fill(0xff);
            },
            right: |o| matches!(o.endpoint, Endpoint::Signal(signal) if signal.address == 0xf000_0800),
            kind: DivergenceKind::FaultAddress,
        },
        Example {
            name: "VCVTPH2PS heeds DAZ",
            bytes: &[0xc4, 0xe2, 0x79, 0x13, 0xca], // vcvtph2ps xmm1, xmm2
            terminator: FALL,
            prepare: |s, _| {
                s.mxcsr |= 1 << 6;
                s.vectors[2][0] = 1;
            },
            right: |o| o.state.vectors[1][..4] == 2_f32.powi(-24).to_le_bytes(),
            kind: DivergenceKind::Vector,
        },
        Example {
            name: "VCVTPS2PH heeds FTZ",
            bytes: &[0xc4, 0xe3, 0x79, 0x1d, 0xd1, 0], // vcvtps2ph xmm1, xmm2, 0
            terminator: FALL,
            prepare: |s, _| {
                s.mxcsr |= 1 << 15;
                s.vectors[2][..4].copy_from_slice(&2_f32.powi(-24).to_le_bytes());
            },
            right: |o| o.state.vectors[1][..2] == [1, 0],
            kind: DivergenceKind::Vector,
        },
        Example {
            name: "FTZ flushes what rounds up to a normal number",
            bytes: &[0xf3, 0x0f, 0x59, 0xc1], // mulss xmm0, xmm1
            terminator: FALL,
            // (1 - 2^-23) * (1 + 2^-23) * 2^-126 rounds to 2^-126.
            prepare: |s, _| {
                s.mxcsr |= 1 << 15;
                s.vectors[0][..4].copy_from_slice(&0x3f7f_fffe_u32.to_le_bytes());
                s.vectors[1][..4].copy_from_slice(&0x0080_0001_u32.to_le_bytes());
            },
            right: |o| o.state.vectors[0][..4] == f32::MIN_POSITIVE.to_le_bytes(),
            kind: DivergenceKind::Vector,
        },
        Example {
            name: "VAESDEC and VAESENC mix the halves of YMM",
            bytes: &[0xc4, 0xe2, 0x6d, 0xde, 0xcb], // vaesdec ymm1, ymm2, ymm3
            terminator: FALL,
            prepare: |s, _| {
                s.vectors[2][16..32].copy_from_slice(&std::array::from_fn::<u8, 16, _>(|i| i as u8));
            },
            right: |o| {
                // What AESDEC of the bytes 0 to 15 and a key of zeros gives.
                const UPPER: [u8; 16] = [
                    0x13, 0xa3, 0x96, 0x1c, 0x2e, 0x19, 0x29, 0x6e, 0x17, 0x4f, 0xf2, 0xb2, 0xc6, 0xbd, 0x9b,
                    0x51,
                ];
                o.state.vectors[1][16..32] == UPPER
            },
            kind: DivergenceKind::Vector,
        },
        Example {
            name: "VROUNDSS and VROUNDSD with VEX.L make qemu abort",
            bytes: &[0xc4, 0xe3, 0x6d, 0x0a, 0xcb, 0], // vroundss xmm1, xmm2, xmm3, 0 with VEX.L = 1
            terminator: FALL,
            prepare: |_, _| (),
            right: |o| matches!(o.endpoint, Endpoint::Exit { .. }),
            kind: DivergenceKind::EngineDied,
        },
    ]
}

fn x87() -> Vec<Example> {
    vec![
        Example {
            name: "FSIN and its like accept infinities",
            bytes: &[0xd9, 0xfe], // fsin
            terminator: FALL,
            prepare: |s, _| push(s, INFINITY),
            // IE, C2 clear, and the default NaN.
            right: |o| o.state.x87.status & 0x401 == 1 && o.state.x87.st[0][7..] == [0xc0, 0xff, 0xff],
            kind: DivergenceKind::X87,
        },
        Example {
            name: "FSIN and its like cut NaNs to doubles",
            bytes: &[0xd9, 0xff], // fcos
            terminator: FALL,
            prepare: |s, _| push(s, [1, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x7f]),
            right: |o| o.state.x87.st[0] == [1, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x7f],
            kind: DivergenceKind::X87,
        },
        Example {
            name: "X87 approximations are off by more than 1 ulp",
            bytes: &[0xd9, 0xfe], // fsin
            terminator: FALL,
            prepare: |s, _| push(s, ONE),
            // The sine of 1 is 0x0.d76a_a478_4867_7020_c7; processors give one of its neighbours.
            right: |o| {
                let (significand, top) = o.state.x87.st[0].split_at(8);
                let significand = u64::from_le_bytes(significand.try_into().unwrap());
                top == [0xfe, 0x3f] && significand.abs_diff(0xd76a_a478_4867_7021) <= 1
            },
            kind: DivergenceKind::X87,
        },
        Example {
            name: "C1 does not tell rounding and stack faults",
            bytes: &[0xd9, 0xe1], // fabs
            terminator: FALL,
            prepare: |s, _| {
                push(s, ONE);
                s.x87.status |= 1 << 9;
            },
            right: |o| o.state.x87.status & (1 << 9) == 0,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "ES and B do not follow the control word",
            bytes: &[0xd9, 0x2f], // fldcw [rdi]
            terminator: FALL,
            // IE is set; the new control word unmasks it.
            prepare: |s, page| {
                s.x87.status = 1;
                page[0x800..0x802].copy_from_slice(&0x037e_u16.to_le_bytes());
            },
            right: |o| o.state.x87.status & 0x8080 == 0x8080,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "FNSTENV does not mask exceptions",
            bytes: &[0xd9, 0x37], // fnstenv [rdi]
            terminator: FALL,
            prepare: |s, _| s.x87.control &= !4,
            right: |o| o.state.x87.control & 0x3f == 0x3f,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "FRSTOR with REX.W expects another layout",
            bytes: &[0x48, 0xdd, 0x27], // frstor [rdi] with REX.W
            terminator: FALL,
            prepare: |_, page| {
                page[0x800..0x802].copy_from_slice(&0x037f_u16.to_le_bytes());
                page[0x81c..0x826].copy_from_slice(&ONE);
            },
            right: |o| o.state.x87.st[0] == ONE,
            kind: DivergenceKind::X87,
        },
    ]
}
