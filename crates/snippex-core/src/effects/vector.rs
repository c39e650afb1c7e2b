//! How open bytes pass through vector instructions, and which of them approximate.

use iced_x86::{Instruction, Mnemonic, Register};

use super::mask::{Approximation, Bits};
use super::rules::Rule;

/// How the bytes of a vector result depend on the bytes of its sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VectorShape {
    /// Every byte of the result may depend on every byte of every source.
    Generic,
    /// The result is the last operand, byte for byte.
    Copy,
    /// Each element of the result depends on the same element of each source. Bytes of an element.
    Lanes(u8),
    /// Only the lowest element is computed; the other bytes are those of the first source.
    Scalar(u8),
    /// As `Lanes` or `Scalar`, and the result approximates.
    Approximates { element: u8, scalar: bool, rule: Rule },
    /// A dot product, whose NaN is open. Bytes of an element.
    DotProduct(u8),
}

impl VectorShape {
    pub(super) fn from_instruction(instruction: &Instruction) -> Self {
        use Mnemonic as M;
        let approximates = |element, scalar, rule| Self::Approximates {
            element,
            scalar,
            rule,
        };
        match instruction.mnemonic() {
            M::Movaps
            | M::Movapd
            | M::Movups
            | M::Movupd
            | M::Movdqa
            | M::Movdqu
            | M::Lddqu
            | M::Movntdqa
            | M::Movntps
            | M::Movntpd
            | M::Movntdq
            | M::Vmovaps
            | M::Vmovapd
            | M::Vmovups
            | M::Vmovupd
            | M::Vmovdqa
            | M::Vmovdqu
            | M::Vlddqu
            | M::Vmovntdqa
            | M::Vmovntps
            | M::Vmovntpd
            | M::Vmovntdq
                if !instruction.has_op_mask() =>
            {
                Self::Copy
            }
            M::Andps
            | M::Andpd
            | M::Andnps
            | M::Andnpd
            | M::Orps
            | M::Orpd
            | M::Xorps
            | M::Xorpd
            | M::Pand
            | M::Pandn
            | M::Por
            | M::Pxor
            | M::Vandps
            | M::Vandpd
            | M::Vandnps
            | M::Vandnpd
            | M::Vorps
            | M::Vorpd
            | M::Vxorps
            | M::Vxorpd
            | M::Vpand
            | M::Vpandn
            | M::Vpor
            | M::Vpxor
            | M::Paddb
            | M::Psubb
            | M::Pcmpeqb
            | M::Pcmpgtb
            | M::Pminub
            | M::Pmaxub
            | M::Vpaddb
            | M::Vpsubb
            | M::Pavgb
            | M::Vpminub
            | M::Vpmaxub => Self::Lanes(1),
            M::Paddw | M::Psubw | M::Pcmpeqw | M::Pcmpgtw | M::Vpaddw | M::Vpsubw | M::Pmullw | M::Pmulhw => {
                Self::Lanes(2)
            }
            M::Addps
            | M::Subps
            | M::Mulps
            | M::Divps
            | M::Minps
            | M::Maxps
            | M::Sqrtps
            | M::Paddd
            | M::Psubd
            | M::Pcmpeqd
            | M::Pcmpgtd
            | M::Vaddps
            | M::Vsubps
            | M::Vmulps
            | M::Vdivps
            | M::Vminps
            | M::Vmaxps
            | M::Vsqrtps
            | M::Vpaddd
            | M::Vpsubd
            | M::Cmpps
            | M::Cvtdq2ps
            | M::Cvtps2dq
            | M::Cvttps2dq => Self::Lanes(4),
            M::Addpd
            | M::Subpd
            | M::Mulpd
            | M::Divpd
            | M::Minpd
            | M::Maxpd
            | M::Sqrtpd
            | M::Paddq
            | M::Psubq
            | M::Vaddpd
            | M::Vsubpd
            | M::Vmulpd
            | M::Vdivpd
            | M::Vminpd
            | M::Vmaxpd
            | M::Vsqrtpd
            | M::Vpaddq
            | M::Vpsubq
            | M::Cmppd => Self::Lanes(8),
            M::Addss
            | M::Subss
            | M::Mulss
            | M::Divss
            | M::Minss
            | M::Maxss
            | M::Sqrtss
            | M::Vaddss
            | M::Vsubss
            | M::Vmulss
            | M::Vdivss
            | M::Vminss
            | M::Vmaxss
            | M::Vsqrtss
            | M::Roundss
            | M::Cmpss => Self::Scalar(4),
            M::Addsd
            | M::Subsd
            | M::Mulsd
            | M::Divsd
            | M::Minsd
            | M::Maxsd
            | M::Sqrtsd
            | M::Vaddsd
            | M::Vsubsd
            | M::Vmulsd
            | M::Vdivsd
            | M::Vminsd
            | M::Vmaxsd
            | M::Vsqrtsd
            | M::Roundsd => Self::Scalar(8),
            M::Rcpps | M::Rsqrtps | M::Vrcpps | M::Vrsqrtps => approximates(4, false, Rule::Reciprocal11),
            M::Rcpss | M::Rsqrtss | M::Vrcpss | M::Vrsqrtss => approximates(4, true, Rule::Reciprocal11),
            M::Vrcp14ps | M::Vrsqrt14ps => approximates(4, false, Rule::Reciprocal14),
            M::Vrcp14pd | M::Vrsqrt14pd => approximates(8, false, Rule::Reciprocal14),
            M::Vrcp14ss | M::Vrsqrt14ss => approximates(4, true, Rule::Reciprocal14),
            M::Vrcp14sd | M::Vrsqrt14sd => approximates(8, true, Rule::Reciprocal14),
            M::Vrcp28ps | M::Vrsqrt28ps | M::Vexp2ps => approximates(4, false, Rule::Reciprocal28),
            M::Vrcp28pd | M::Vrsqrt28pd | M::Vexp2pd => approximates(8, false, Rule::Reciprocal28),
            M::Vrcp28ss | M::Vrsqrt28ss => approximates(4, true, Rule::Reciprocal28),
            M::Vrcp28sd | M::Vrsqrt28sd => approximates(8, true, Rule::Reciprocal28),
            M::Vrcpph | M::Vrsqrtph => approximates(2, false, Rule::ReciprocalHalf),
            M::Vrcpsh | M::Vrsqrtsh => approximates(2, true, Rule::ReciprocalHalf),
            M::Dpps | M::Vdpps => Self::DotProduct(4),
            M::Dppd | M::Vdppd => Self::DotProduct(8),
            _ => Self::Generic,
        }
    }

    /// Which bytes of the result are open, given the open bytes of the sources.
    pub(super) fn open_result_bytes(self, first: Bits, rest: Bits, width: usize) -> Bits {
        let all = low_byte_mask(width);
        match self {
            Self::Copy => rest.within(all),
            Self::Lanes(element)
            | Self::Approximates {
                element,
                scalar: false,
                ..
            } => {
                let open = first.union(rest);
                Bits::new(widen(open.mask, element) & all, open.rules)
            }
            Self::Scalar(element)
            | Self::Approximates {
                element,
                scalar: true,
                ..
            } => {
                let low = low_byte_mask(usize::from(element));
                let computed = first.within(low).union(rest.within(low));
                let low = if computed.is_none() { 0 } else { low };
                first
                    .within(all & !low_byte_mask(usize::from(element)))
                    .union(Bits::new(low, computed.rules))
            }
            Self::Generic | Self::DotProduct(_) => {
                let open = first.union(rest);
                Bits::new(if open.is_none() { 0 } else { all }, open.rules)
            }
        }
    }

    /// The lanes of vector `register`, `width` bytes, that hold an approximation afterwards.
    pub(super) fn approximated_lanes(self, register: u8, width: usize) -> Option<Approximation> {
        match self {
            Self::Approximates {
                element,
                scalar,
                rule,
            } => {
                let width = if scalar { usize::from(element) } else { width };
                Some(Approximation {
                    register,
                    bytes: low_byte_mask(width),
                    element,
                    rule,
                })
            }
            Self::DotProduct(element) => Some(Approximation {
                register,
                bytes: low_byte_mask(width),
                element,
                rule: Rule::DotProductNan,
            }),
            _ => None,
        }
    }
}

/// Number and bytes of a vector register of any width.
pub(super) fn vector_register_bytes(register: Register) -> Option<(usize, u64)> {
    register
        .is_vector_register()
        .then(|| (register.number(), low_byte_mask(register.size())))
}

/// A mask of the low `count` bytes.
pub(super) fn low_byte_mask(count: usize) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// Every byte of each element that has a byte in `open`.
fn widen(open: u64, element: u8) -> u64 {
    let lane = low_byte_mask(usize::from(element));
    (0..64)
        .step_by(usize::from(element).max(1))
        .map(|low| lane << low)
        .filter(|lane| open & lane != 0)
        .fold(0, |all, lane| all | lane)
}

/// Open bytes of a vector's low 8 bytes as open bits.
pub(super) fn bytes_to_bits(open: Bits) -> Bits {
    let mask = (0..8)
        .filter(|byte| open.mask & (1 << byte) != 0)
        .fold(0, |mask, byte| mask | 0xff << (8 * byte));
    Bits::new(mask, open.rules)
}
