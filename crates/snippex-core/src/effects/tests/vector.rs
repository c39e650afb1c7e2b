//! Approximations and lanes.

use iced_x86::code_asm::*;

use super::*;

#[test]
fn reciprocals_are_approximate_until_something_computes_with_them() {
    let scalar = mask(|a| a.rcpss(xmm3, xmm1));
    assert_eq!(
        scalar.approximations,
        [Approximation {
            register: 3,
            bytes: 0xf,
            element: 4,
            rule: Rule::Reciprocal11
        }]
    );
    let moved = mask(|a| {
        a.vrsqrtps(ymm3, ymm1)?;
        a.vmovaps(ymm4, ymm3)?;
        a.vxorps(ymm3, ymm3, ymm3)
    });
    assert_eq!(
        moved.approximations,
        [Approximation {
            register: 4,
            bytes: 0xffff_ffff,
            element: 4,
            rule: Rule::Reciprocal11
        }]
    );
    let used = mask(|a| {
        a.rcpss(xmm3, xmm1)?;
        a.mulss(xmm3, xmm2)
    });
    assert_eq!(used.vectors[3], Bits::new(0xf, rules(&[Rule::Reciprocal11])));
    assert_eq!(used.mxcsr.mask, 0x3f);
    let gone = mask(|a| {
        a.rcpps(xmm3, xmm1)?;
        a.movaps(xmm3, xmm2)
    });
    assert!(gone.is_clean());
}

#[test]
fn extrq_leaves_the_upper_half_open() {
    let inside = mask(|a| a.extrq_3(xmm1, 8, 16));
    assert_eq!(inside.vectors[1], Bits::new(0xff00, rules(&[Rule::Sse4aUpper])));
    let beyond = mask(|a| a.extrq_3(xmm1, 32, 48));
    assert_eq!(beyond.vectors[1].mask, 0xffff);
}

#[test]
fn a_vex_move_of_an_approximation_clears_the_upper_lanes() {
    let mask = mask(|a| {
        a.vrcpps(ymm3, ymm1)?;
        a.vmovaps(xmm3, xmm3)
    });
    assert_eq!(mask.approximations.len(), 1);
    assert_eq!(mask.approximations[0].bytes, 0xffff);
    assert!(mask.vectors[3].is_none());
}

#[test]
fn open_lanes_stay_in_their_lanes() {
    let mask = mask(|a| {
        a.rcpss(xmm1, xmm0)?;
        a.addps(xmm2, xmm1)?;
        a.movups(xmmword_ptr(rsi), xmm2)
    });
    assert_eq!(mask.vectors[2].mask, 0xf);
    assert_eq!(mask.memory.len(), 4);
}
