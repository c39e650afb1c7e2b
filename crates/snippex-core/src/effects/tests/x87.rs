//! The x87 unit: codes, approximations, stored images.

use iced_x86::code_asm::*;

use super::*;

#[test]
fn x87_codes_are_undefined_after_arithmetic_and_defined_after_compares() {
    assert_eq!(mask(|a| a.fadd_2(st0, st1)).status_bits(), 0x4500);
    assert_eq!(mask(CodeAssembler::fld1).status_bits(), 0x4500);
    assert_eq!(mask(|a| a.fcom(qword_ptr(rsi))).status_bits(), 0);
    assert_eq!(mask(|a| a.fcomi(st0, st1)).status_bits(), 0);
    let stored = mask(|a| {
        a.fmul_2(st0, st1)?;
        a.fnstsw(ax)
    });
    assert_eq!(stored.gpr[0], Bits::new(0x4500, rules(&[Rule::X87Codes])));
    let compared = mask(|a| {
        a.fmul_2(st0, st1)?;
        a.fcom(qword_ptr(rsi))?;
        a.fnstsw(ax)
    });
    assert_eq!(compared.gpr[0], Bits::NONE);
}

#[test]
fn x87_approximations_follow_the_stack() {
    // TOP is 0 at the start: FLD1 pushes to physical 7, FYL2X pops to 0 and leaves its result there.
    let log = mask(|a| {
        a.fld1()?;
        a.fxch(st0, st1)?;
        a.fyl2x()
    });
    let approximate = |rule, reduced| {
        Precision::Approximate(ErrorBound {
            rule,
            ulps: 2,
            reduced,
        })
    };
    assert_eq!(log.st[0], approximate(Rule::X87Transcendental, None));
    assert_eq!(log.st[7], Precision::Exact);
    let popped = mask(|a| {
        a.f2xm1()?;
        a.fstp(qword_ptr(rsi))
    });
    assert_eq!(popped.memory.len(), 8);
    let sine = mask(CodeAssembler::fsin);
    assert!(
        matches!(sine.st[0], Precision::Approximate(bound) if bound.rule == Rule::X87Trigonometric),
        "{:?}",
        sine.st[0]
    );
    assert!(sine.status_rules(1 << 9).contains(Rule::X87Rounding));
}

#[test]
fn fptan_pushes_only_when_the_end_state_says_so() {
    let case = case(block(CodeAssembler::fptan), 0);
    let effects = BlockEffects::new(&case.block);
    let mut end = case.state.clone();
    let unpushed = effects.mask_at_endpoint(&case, &Endpoint::Exit { target: 0 }, &end);
    end.x87.status = 7 << 11;
    let pushed = effects.mask_at_endpoint(&case, &Endpoint::Exit { target: 0 }, &end);
    assert_ne!(pushed.st[0], Precision::Exact);
    assert_eq!(pushed.st[7], Precision::Exact);
    assert_eq!(unpushed.st[7], Precision::Exact);
}

#[test]
fn stored_environments_leave_pointers_open_and_fields_defined() {
    let mask = mask(|a| a.fnstenv(ptr(rsi)));
    let at = DATA + 0x100;
    assert_eq!(mask.memory_at(at), (0, RuleSet::EMPTY));
    assert_eq!(mask.memory_at(at + 4), (0, RuleSet::EMPTY));
    assert_eq!(mask.memory_at(at + 12), (0xff, rules(&[Rule::X87Pointers])));
    assert_eq!(mask.memory_at(at + 28), (0, RuleSet::EMPTY));
    let saved = self::mask(|a| a.fxsave(ptr(rsi)));
    assert_eq!(saved.memory_at(at + 8), (0xff, rules(&[Rule::X87Pointers])));
    assert_eq!(saved.memory_at(at + 24), (0, RuleSet::EMPTY));
    assert_eq!(saved.memory_at(at + 28), (0xff, rules(&[Rule::MxcsrMask])));
    assert_eq!(saved.memory_at(at + 160), (0, RuleSet::EMPTY));
}

#[test]
fn an_environment_stored_and_loaded_again_stays_defined() {
    let mask = mask(|a| {
        a.fnstenv(ptr(rsi))?;
        a.fldenv(ptr(rsi))
    });
    assert_eq!(mask.status_bits(), 0);
    assert_eq!(mask.control.rules, rules(&[Rule::ReservedControl]));
    assert!(mask.st.iter().all(|st| *st == Precision::Exact));
}

#[test]
fn a_control_word_from_memory_has_open_reserved_bits() {
    let mask = mask(|a| a.fldcw(word_ptr(rsi)));
    assert_eq!(mask.control, Bits::new(0xe0c0, rules(&[Rule::ReservedControl])));
}

#[test]
fn a_sine_is_as_sure_as_its_argument_is_known() {
    let mut case = case(block(CodeAssembler::fsin), 0);
    let of = |case: &Case| {
        BlockEffects::new(&case.block).mask_at_endpoint(case, &Endpoint::Exit { target: 0 }, &case.state)
    };
    let mut bound = |exponent: u16, control: u16| {
        case.state.x87.st[0][8..].copy_from_slice(&(16383_u16.wrapping_add(exponent)).to_le_bytes());
        case.state.x87.control = control;
        match of(&case).st[0] {
            Precision::Approximate(bound) => (bound.ulps, bound.reduced),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(bound(0x21, 0x37f), (2, Some(0x21)));
    assert_eq!(bound(0, 0xf7f), (3, Some(0)));
    // Below a quarter of pi nothing is reduced.
    assert_eq!(bound(u16::MAX - 1, 0x37f), (2, None));
    // A computed argument is of any size.
    let computed = mask(|a| {
        a.fmul_2(st0, st1)?;
        a.fsin()
    });
    assert_eq!(computed.st[0], Precision::Open(rules(&[Rule::X87LargeArgument])));
}

#[test]
fn an_incomplete_remainder_is_open_and_a_complete_one_is_not() {
    let mut case = case(block(CodeAssembler::fprem), 0);
    let of = |case: &Case| {
        BlockEffects::new(&case.block).mask_at_endpoint(case, &Endpoint::Exit { target: 0 }, &case.state)
    };
    assert_eq!(of(&case).st[0], Precision::Exact);
    case.state.x87.status = 1 << 10;
    assert_eq!(
        of(&case).st[0],
        Precision::Open(rules(&[Rule::X87PartialRemainder]))
    );
}

#[test]
fn emms_and_mmx_set_top_and_tags() {
    let mask = mask(|a| {
        a.f2xm1()?;
        a.paddb(mm3, mm4)?;
        a.movq(mm0, mm1)
    });
    assert_eq!(mask.st[0], Precision::Exact);
    assert_eq!(mask.st[3], Precision::Exact);
}
