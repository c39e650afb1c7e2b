use std::sync::Arc;

use super::*;
use crate::signature::SignatureId;
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, Placement};
use snippex_core::diff::{Comparison, Tolerance, compare_observations};
use snippex_core::observation::{Endpoint, Observation, Signal};
use snippex_core::state::{Components, MachineState, rflags};

/// What is behind the difference that `change` makes at the end of one instruction, started as `start` says.
fn causes(
    bytes: &[u8],
    start: impl FnOnce(&mut MachineState),
    change: impl FnOnce(&mut Observation, &mut Observation),
) -> Vec<(String, String)> {
    let mut state = MachineState::default();
    start(&mut state);
    let block = Block {
        address: 0x1000,
        bytes: bytes.to_vec(),
        instruction_count: 1,
        terminator: Terminator::FallThrough,
        successors: vec![],
        origin: Origin::Sweep,
        unrunnable: None,
    };
    let case = Case {
        block: Arc::new(block),
        placement: Placement {
            image_base: 0,
            code_base: 0,
        },
        state,
        pages: Arc::new([]),
    };
    let mut expected = Observation {
        endpoint: Endpoint::Exit {
            target: case.block.end_address(),
        },
        state: case.state.clone(),
        memory: vec![],
    };
    let mut actual = expected.clone();
    change(&mut expected, &mut actual);
    let compared = compare_observations(&case, &expected, &actual, Components::ALL, &Tolerance::none());
    let Comparison::Diverged(divergence) = compared else {
        panic!("{compared:?}");
    };
    let signature = Signature::from_divergence(&case.block, 0, &divergence).unwrap();
    let facts = DivergenceFacts::new(&signature, &case, &expected, &divergence.differences).unwrap();
    attribute_causes(&facts)
        .into_iter()
        .map(|attribution| {
            (
                attribution.cause.to_string(),
                attribution.signature.fields.join(" "),
            )
        })
        .collect()
}

fn plain(_: &mut MachineState) {}

fn pairs(found: &[(String, String)]) -> Vec<(&str, &str)> {
    found
        .iter()
        .map(|(cause, fields)| (&cause[..], &fields[..]))
        .collect()
}

fn float(lane: &mut [u8], value: u64) {
    lane[..8].copy_from_slice(&value.to_le_bytes());
}

const NAN: u64 = 0x7ff8_0000_0000_0001;

#[test]
fn a_case_that_shows_two_bugs_has_a_share_of_each() {
    // addsd xmm0, xmm1
    let found = causes(&[0xf2, 0x0f, 0x58, 0xc1], plain, |expected, actual| {
        expected.state.mxcsr |= 2;
        float(&mut expected.state.vectors[0], NAN);
        float(&mut actual.state.vectors[0], NAN + 1);
    });
    assert_eq!(
        pairs(&found),
        [("mxcsr-de", "no mxcsr.DE"), ("nan-operand", "op0")]
    );
    // The same field for another reason.
    let found = causes(&[0xf2, 0x0f, 0x58, 0xc1], plain, |expected, actual| {
        float(&mut expected.state.vectors[0], NAN);
        float(&mut actual.state.vectors[0], 5);
    });
    assert_eq!(pairs(&found), [("add.result", "op0")]);
}

/// What is behind this result of an instruction on XMM0, in its lowest double, where another was right.
fn causes_of_double(bytes: &[u8], mxcsr: u32, expected_value: u64, actual_value: u64) -> Vec<String> {
    let found = causes(
        bytes,
        |state| state.mxcsr = mxcsr,
        |expected, actual| {
            float(&mut expected.state.vectors[0], expected_value);
            float(&mut actual.state.vectors[0], actual_value);
        },
    );
    found.into_iter().map(|(cause, _)| cause).collect()
}

#[test]
fn a_result_that_is_rounded_otherwise_is_the_rounding_mode_unless_it_is_to_nearest() {
    const UP: u32 = 0x5f80;
    const NEAREST: u32 = 0x1f80;
    let (one, next) = (1f64.to_bits(), 1f64.next_up().to_bits());
    let of = |mxcsr, expected, actual| causes_of_double(&[0xf2, 0x0f, 0x58, 0xc1], mxcsr, expected, actual);
    assert_eq!(of(UP, next, one), ["rounding-mode"]);
    assert_eq!(of(UP, 1 << 63, 0), ["rounding-mode"], "the sign of a zero");
    assert_eq!(of(NEAREST, next, one), ["add.result"]);
    assert_eq!(of(UP, 2f64.to_bits(), one), ["add.result"]);
    // NaNs are not rounded.
    assert_eq!(of(UP, NAN, NAN + 1), ["nan-operand"]);
}

#[test]
fn what_max_and_min_make_of_nans_and_zeros_has_a_cause_of_its_own() {
    // maxsd xmm0, xmm1
    let of = |expected, actual| causes_of_double(&[0xf2, 0x0f, 0x5f, 0xc1], 0x1f80, expected, actual);
    assert_eq!(of(1f64.to_bits(), NAN), ["max-min-nan"]);
    assert_eq!(
        of(NAN, NAN + 1),
        ["max-min-nan"],
        "of two NaNs the second, not the first"
    );
    assert_eq!(of(0, 1 << 63), ["max-min-nan"]);
    assert_eq!(of(1f64.to_bits(), 2f64.to_bits()), ["max.result"]);
}

#[test]
fn a_conversion_out_of_range_is_told_from_one_that_is_wrong() {
    let of = |bytes: &[u8], expected_value, actual_value| {
        let found = causes(bytes, plain, |expected, actual| {
            expected.state.gpr[1] = expected_value;
            actual.state.gpr[1] = actual_value;
        });
        found.into_iter().map(|(cause, _)| cause).collect::<Vec<_>>()
    };
    // cvttsd2si ecx, xmm1; cvttsd2si rcx, xmm1
    let (narrow, wide) = (&[0xf2, 0x0f, 0x2c, 0xc9][..], &[0xf2, 0x48, 0x0f, 0x2c, 0xc9][..]);
    assert_eq!(of(narrow, 1 << 31, 0x7fff_ffff), ["conversion-range"]);
    assert_eq!(of(wide, 1 << 63, u64::MAX >> 1), ["conversion-range"]);
    assert_eq!(of(wide, 1 << 31, 5), ["cvttsd2si.result"]);
    assert_eq!(of(narrow, 7, 8), ["cvttsd2si.result"]);
}

#[test]
fn forms_of_one_instruction_have_one_cause() {
    let result = |bytes: &[u8]| {
        let found = causes(bytes, plain, |_, actual| {
            actual.state.gpr[0] ^= 1;
            actual.state.vectors[0][0] ^= 1;
        });
        found.into_iter().map(|(cause, _)| cause).collect::<Vec<_>>()
    };
    // vfmadd132pd ymm0, ymm1, ymm2; vfmadd231ss xmm0, xmm1, xmm2
    assert_eq!(result(&[0xc4, 0xe2, 0xf5, 0x98, 0xc2]), ["fmadd.result"]);
    assert_eq!(result(&[0xc4, 0xe2, 0x71, 0xb9, 0xc2]), ["fmadd.result"]);
    // paddb xmm0, xmm1; vpaddb xmm0, xmm0, xmm1
    assert_eq!(result(&[0x66, 0x0f, 0xfc, 0xc1]), ["paddb.result"]);
    assert_eq!(result(&[0xc5, 0xf9, 0xfc, 0xc1]), ["paddb.result"]);
    // lock xadd [rdi], eax; add al, cl
    assert_eq!(result(&[0xf0, 0x0f, 0xc1, 0x07]), ["xadd.result"]);
    assert_eq!(result(&[0x00, 0xc8]), ["add.result"]);
}

#[test]
fn an_instruction_can_be_wrong_in_several_aspects() {
    // add eax, ecx
    let found = causes(&[0x01, 0xc8], plain, |_, actual| {
        actual.state.gpr[0] = 1;
        actual.state.rflags |= rflags::CF | rflags::OF;
    });
    assert_eq!(
        pairs(&found),
        [("add.flags", "flags.CF flags.OF"), ("add.result", "op0")]
    );
    let found = causes(&[0x01, 0xc8], plain, |_, actual| {
        actual.endpoint = Endpoint::Signal(Signal {
            number: 4,
            code: 1,
            rip: 0x1000,
            address: 0,
            write: false,
        });
    });
    assert_eq!(pairs(&found), [("instruction.refused", "extra SIGILL")]);
}

#[test]
fn a_stack_fault_is_behind_all_that_differs() {
    // fadd st(0), st(1) with an empty stack
    let found = causes(&[0xd8, 0xc1], plain, |expected, actual| {
        expected.state.x87.status = 0x41;
        expected.state.x87.st[0] = [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff];
        expected.state.x87.tags = 1;
        actual.state.x87.status = 0x220;
    });
    let [(cause, fields)] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(cause, "x87-underflow");
    assert_eq!(fields, "extra fsw.PE fsw.C1 ftw no fsw.IE no fsw.SF st(0)");
    // The flags were set before: the empty register tells.
    let found = causes(
        &[0xd9, 0xe0], // fchs
        |start| start.x87.status = 0x41,
        |_, actual| actual.state.x87.st[0][0] ^= 1,
    );
    assert_eq!(pairs(&found), [("x87-underflow", "st(0)")]);
    // And with a register in use it is something else.
    let found = causes(
        &[0xd9, 0xe0],
        |start| (start.x87.status, start.x87.tags) = (0x41, 1),
        |_, actual| actual.state.x87.st[0][0] ^= 1,
    );
    assert_eq!(pairs(&found), [("fchs.result", "st(0)")]);
}

#[test]
fn only_a_locked_access_that_faults_on_memory_loses_flags_by_its_pattern() {
    let signal = |number, rip| {
        Endpoint::Signal(Signal {
            number,
            code: 1,
            rip,
            address: 2,
            write: true,
        })
    };
    let lost = |bytes: &[u8], number| {
        let found = causes(bytes, plain, |expected, actual| {
            expected.endpoint = signal(number, 0x1000);
            actual.endpoint = signal(number, 0x1000);
            expected.state.rflags |= rflags::CF;
        });
        let [(cause, fields)] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(fields, "flags.CF");
        cause.clone()
    };
    for (bytes, number, cause) in [
        (&[0xf0, 0x01, 0x07][..], 11, "locked-fault-flags"), // lock add [rdi], eax
        (&[0xf0, 0x01, 0x07], 7, "locked-fault-flags"),
        (&[0x87, 0x16], 11, "locked-fault-flags"), // xchg [rsi], edx
        (&[0x01, 0x07], 11, "add.flags"),          // add [rdi], eax
        (&[0xd0, 0x1f], 11, "rotate-fault-flags"), // rcr byte [rdi], 1
        (&[0xf0, 0x01, 0x07], 4, "add.flags"),
        (&[0xf7, 0xf1], 8, "div.flags"),  // div ecx
        (&[0x87, 0xd1], 5, "xchg.flags"), // xchg ecx, edx
    ] {
        assert_eq!(lost(bytes, number), cause, "{bytes:x?} with signal {number}");
    }
}

#[test]
fn a_lost_rex_prefix_is_not_to_blame_for_exception_flags() {
    // rex.b movss-like: 41 f3 0f 58 c1, addss with REX in front of F3
    let found = causes(&[0x41, 0xf3, 0x0f, 0x58, 0xc1], plain, |expected, actual| {
        expected.state.mxcsr |= 2;
        actual.state.vectors[0][0] = 1;
    });
    assert_eq!(pairs(&found), [("lost-rex", "op0"), ("mxcsr-de", "no mxcsr.DE")]);
}

#[test]
fn without_evidence_the_signature_has_to_do() {
    let signature = |kind, text: &str, fields: &[&str]| Signature {
        kind,
        form: crate::signature::CodeForm {
            text: text.to_owned(),
            encoding: "Code".to_owned(),
        },
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
    };
    let names = |signature: &Signature| {
        let attributions = of_signature(signature);
        attributions
            .into_iter()
            .map(|attribution| (attribution.cause.to_string(), attribution.signature.kind))
            .collect::<Vec<_>>()
    };
    let mixed = signature(BugKind::WrongValue, "fisubr m16", &["no fsw.IE", "st(0)"]);
    assert_eq!(
        names(&mixed),
        [
            ("fsub.result".to_owned(), BugKind::WrongValue),
            ("x87.no-ie".to_owned(), BugKind::WrongValue)
        ]
    );
    let flags = signature(BugKind::WrongValue, "repe cmpsb", &["flags.ZF", "rcx"]);
    assert_eq!(names(&flags)[0], ("cmpsb.flags".to_owned(), BugKind::Flag));
    let dead = signature(
        BugKind::EngineDied,
        "vroundsd xmm, xmm, xmm, imm8",
        &["dies of SIGABRT"],
    );
    assert_eq!(
        names(&dead),
        [("engine.dies-of-sigabrt".to_owned(), BugKind::EngineDied)]
    );
}

#[test]
fn names_say_what_they_are_about_and_are_read_back() {
    let cause: CauseId = "mxcsr-de".parse().unwrap();
    assert_eq!(cause.title(), "MXCSR.DE is not set");
    assert!(cause.pattern().is_some());
    for (name, title) in [
        ("fprem.result", "FPREM: wrong result"),
        ("cmp.no-sigsegv", "CMP: no SIGSEGV"),
        ("test.extra-sigill", "TEST: SIGILL for no reason"),
        ("round.dies", "ROUND: the engine dies"),
        ("once-was-a-rule", "once-was-a-rule"),
    ] {
        let cause: CauseId = name.parse().unwrap();
        assert_eq!(
            (cause.to_string(), cause.title()),
            (name.to_owned(), title.to_owned())
        );
    }
    for wrong in ["", "fprem", "Fprem.result", "a b-c", "-x", "../x"] {
        assert_eq!(wrong.parse::<CauseId>(), Err(ParseCauseIdError), "{wrong}");
    }
    // No name of a cause can be taken for the id of a signature.
    for rule in all_bug_patterns() {
        assert!(rule.id.parse::<CauseId>().is_ok(), "{}", rule.id);
        assert!(rule.id.parse::<SignatureId>().is_err(), "{}", rule.id);
    }
    assert!(matches!("mxcsr-de".parse(), Ok(BugName::Cause(_))));
    assert!(matches!("9db7dd7cb2".parse(), Ok(BugName::Signature(_))));
}

fn raises(end: &mut Observation, number: u8) {
    end.endpoint = Endpoint::Signal(Signal {
        number,
        code: 0,
        rip: 0x1000,
        address: 0,
        write: false,
    });
}

#[test]
fn what_has_to_be_refused_is_sorted_by_what_is_not_checked() {
    for (bytes, cause) in [
        (&[0xf0_u8, 0x89, 0x07][..], "invalid-lock"),
        (&[0xc5, 0xfd, 0x6e, 0xc0], "invalid-vector-length"),
        (&[0x8e, 0xc8], "invalid-digit"),
        (&[0x8d, 0xc1], "invalid-operand-kind"),
    ] {
        let found = causes(bytes, plain, |expected, _| raises(expected, 4));
        assert_eq!(pairs(&found), [(cause, "no SIGILL")], "{bytes:02x?}");
    }
    let dies = causes(&[0x8e, 0xc8], plain, |expected, actual| {
        raises(expected, 4);
        actual.endpoint = Endpoint::EngineDied { signal: None };
    });
    assert_eq!(pairs(&dies), [("invalid-mov.dies", "exits")]);
    let name: CauseId = dies[0].0.parse().unwrap();
    assert_eq!(name.title(), "Invalid encoding of MOV: the engine dies");
}

#[test]
fn an_aspect_that_many_instructions_share_is_one_cause() {
    type Change = fn(&mut Observation, &mut Observation);
    let cases: [(&[u8], Change, &str, &str); 6] = [
        // cmpxchg8b [rdi] behind an operand-size prefix
        (
            &[0x66, 0x0f, 0xc7, 0x0f],
            |_, actual| raises(actual, 4),
            "prefix.refused",
            "Prefixes without effect make instructions invalid",
        ),
        // popcnt eax, ecx
        (
            &[0xf3, 0x0f, 0xb8, 0xc1],
            |_, actual| raises(actual, 4),
            "instruction.refused",
            "Instructions are refused",
        ),
        // mov eax, [rdi], at an address that no page ends before
        (
            &[0x8b, 0x07],
            |_, actual| raises(actual, 11),
            "memory.extra-sigsegv",
            "Operands in memory: SIGSEGV for no reason",
        ),
        // fcom dword ptr [rdi]
        (
            &[0xd8, 0x17],
            |_, actual| actual.state.x87.status |= 2,
            "x87.extra-de",
            "x87 status: DE is set for no reason",
        ),
        // mov eax, ecx
        (
            &[0x89, 0xc8],
            |expected, _| expected.state.rflags |= rflags::NT,
            "flags.nt-not-kept",
            "NT is not kept",
        ),
        (
            &[0x89, 0xc8],
            |_, actual| actual.endpoint = Endpoint::EngineDied { signal: Some(6) },
            "engine.dies-of-sigabrt",
            "Instructions make the engine die of SIGABRT",
        ),
    ];
    for (bytes, change, cause, title) in cases {
        let found = causes(bytes, plain, change);
        assert_eq!(found[0].0, cause, "{bytes:02x?}");
        let name: CauseId = cause.parse().unwrap();
        assert_eq!(name.title(), title);
    }
}

#[test]
fn what_is_disproved_has_another_cause() {
    // nop with a REX that is not right in front of it: r8 differs.
    let bytes = [0x43, 0x43, 0xda, 0x0c, 0x97];
    let found = causes(&bytes, plain, |_, actual| actual.state.gpr[15] = 1);
    assert_eq!(found[0].0, "lost-rex");
    // A refused instruction counts nothing.
    let found = causes(&bytes, plain, |_, actual| raises(actual, 4));
    assert_eq!(found[0].0, "prefix.refused");
}

/// `movq xmm0, [rdi]` at the end of a page, and `fldenv [rdi]` in one that can be read only.
#[test]
fn faults_on_memory_are_sorted_by_what_was_touched() {
    use snippex_core::case::{PAGE_SIZE, Page, PageAccess};
    let found = |bytes: &[u8], address: u64| {
        let state = MachineState::default();
        let case = Case {
            block: Arc::new(Block {
                address: 0x1000,
                bytes: bytes.to_vec(),
                instruction_count: 1,
                terminator: Terminator::FallThrough,
                successors: vec![],
                origin: Origin::Sweep,
                unrunnable: None,
            }),
            placement: Placement {
                image_base: 0,
                code_base: 0,
            },
            state: state.clone(),
            pages: Arc::new([Page {
                address: 0x7000,
                access: PageAccess::Read,
                content: Arc::new([0; PAGE_SIZE]),
            }]),
        };
        let expected = Observation {
            endpoint: Endpoint::Exit {
                target: case.block.end_address(),
            },
            state,
            memory: vec![],
        };
        let mut actual = expected.clone();
        actual.endpoint = Endpoint::Signal(Signal {
            number: 11,
            code: 1,
            rip: 0x1000,
            address,
            write: false,
        });
        let compared = compare_observations(&case, &expected, &actual, Components::ALL, &Tolerance::none());
        let Comparison::Diverged(divergence) = compared else {
            panic!("{compared:?}");
        };
        let signature = Signature::from_divergence(&case.block, 0, &divergence).unwrap();
        let facts = DivergenceFacts::new(&signature, &case, &expected, &divergence.differences).unwrap();
        attribute_causes(&facts)[0].cause.to_string()
    };
    assert_eq!(found(&[0xf3, 0x0f, 0x7e, 0x07], 0x8000), "operand-over-read");
    assert_eq!(found(&[0xf3, 0x0f, 0x7e, 0x07], 0x9000), "memory.extra-sigsegv");
    assert_eq!(found(&[0xd9, 0x27], 0x7000), "environment-access");
}
