use std::sync::Arc;

use super::*;
use snippex_core::block::{Origin, Terminator};
use snippex_core::case::{Case, Placement};
use snippex_core::diff::{Comparison, Tolerance, compare_observations};
use snippex_core::observation::{Endpoint, Observation, Signal};
use snippex_core::state::{Components, MachineState, rflags};

fn case(bytes: &[u8]) -> Case {
    let block = Block {
        address: 0x1000,
        bytes: bytes.to_vec(),
        instruction_count: 1,
        terminator: Terminator::FallThrough,
        successors: vec![],
        origin: Origin::Sweep,
        unrunnable: None,
    };
    Case {
        block: Arc::new(block),
        placement: Placement {
            image_base: 0,
            code_base: 0,
        },
        state: MachineState::default(),
        pages: Arc::new([]),
    }
}

/// The signature of one instruction whose end differs as `change` says.
fn signature(bytes: &[u8], change: impl FnOnce(&mut Observation, &mut Observation)) -> Signature {
    let case = case(bytes);
    let mut expected = Observation {
        endpoint: Endpoint::Exit {
            target: case.block.end_address(),
        },
        state: MachineState::default(),
        memory: vec![],
    };
    let mut actual = expected.clone();
    change(&mut expected, &mut actual);
    match compare_observations(&case, &expected, &actual, Components::ALL, &Tolerance::none()) {
        Comparison::Diverged(divergence) => Signature::from_divergence(&case.block, 0, &divergence).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn fault(number: u8) -> Endpoint {
    Endpoint::Signal(Signal {
        number,
        code: 1,
        rip: 0x1000,
        address: 0,
        write: false,
    })
}

#[test]
fn neither_register_numbers_nor_values_matter() {
    // add rbx, rcx; add r9, r15
    let a = signature(&[0x48, 0x01, 0xcb], |_, actual| actual.state.gpr[3] = 5);
    let b = signature(&[0x4d, 0x01, 0xf9], |expected, _| expected.state.gpr[9] = 1 << 40);
    assert_eq!((&a, a.id()), (&b, b.id()));
    assert_eq!(a.to_string(), "add r64, r64: wrong-value (op0)");
    let a = signature(&[0x0f, 0x58, 0xc1], |_, actual| actual.state.vectors[0][3] = 1);
    let b = signature(&[0x45, 0x0f, 0x58, 0xfe], |_, actual| {
        actual.state.vectors[15][9] = 7;
    });
    assert_eq!(a, b);
}

#[test]
fn width_encoding_and_prefixes_matter() {
    let flag = |bytes: &[u8]| signature(bytes, |_, actual| actual.state.rflags |= rflags::CF);
    let forms: [&[u8]; 6] = [
        &[0xa8, 1],
        &[0xf6, 0xc0, 1],
        &[0xf6, 0xc8, 1],
        &[0x84, 0xc0],
        &[0x85, 0xc0],
        &[0x3e, 0x85, 0xc0],
    ];
    let mut ids: Vec<_> = forms.iter().map(|bytes| flag(bytes).id()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), forms.len());
    assert_eq!(
        flag(&[0x3e, 0x85, 0xc0]).to_string(),
        "test r32, r32 [null-segment]: flag (flags.CF)"
    );
    // REX.W in front of a segment prefix does not count.
    assert_eq!(
        flag(&[0x48, 0x3e, 0x85, 0xc0]).form.encoding,
        "Test_rm32_r32+lost-rex"
    );
    // A prefix that makes the instruction what it is, is no other prefix.
    assert_eq!(flag(&[0x66, 0x85, 0xc0]).form.encoding, "Test_rm16_r16");
}

#[test]
fn sticky_flags_say_which_side_has_them() {
    let missing = signature(&[0x0f, 0x58, 0xc1], |expected, _| expected.state.mxcsr |= 2);
    let extra = signature(&[0x0f, 0x58, 0xc1], |_, actual| actual.state.mxcsr |= 2);
    assert_eq!(
        (&missing.fields[0][..], &extra.fields[0][..]),
        ("no mxcsr.DE", "extra mxcsr.DE")
    );
    assert_ne!(missing.id(), extra.id());
    // fsqrt
    let status = signature(&[0xd9, 0xfa], |expected, actual| {
        expected.state.x87.status = 0x41;
        actual.state.x87.status = 1 << 11;
    });
    assert_eq!(status.fields, ["fsw.TOP", "no fsw.IE", "no fsw.SF"]);
}

#[test]
fn what_is_beyond_an_operand_is_told_apart() {
    // add eax, ecx: the upper half is wrong; vaddps xmm0, xmm0, xmm1: so are the upper lanes.
    let upper = signature(&[0x01, 0xc8], |_, actual| actual.state.gpr[0] = 1 << 32);
    assert_eq!(upper.fields, ["op0.upper"]);
    let upper = signature(&[0xc5, 0xf8, 0x58, 0xc1], |_, actual| {
        actual.state.vectors[0][16] = 1;
    });
    assert_eq!(upper.fields, ["op0.upper"]);
    // cmpxchg [rdi], ecx writes EAX, which no operand names.
    let implied = signature(&[0x0f, 0xb1, 0x0f], |_, actual| actual.state.gpr[0] = 1);
    assert_eq!(implied.fields, ["rax"]);
    let other = signature(&[0x01, 0xc8], |_, actual| actual.state.gpr[8] = 1);
    assert_eq!(other.fields, ["other register"]);
}

#[test]
fn faults_and_deaths_are_kinds_of_their_own() {
    let missing = signature(&[0x0f, 0x58, 0xc1], |expected, _| expected.endpoint = fault(8));
    assert_eq!(
        (missing.kind, &missing.fields[0][..]),
        (BugKind::MissingFault, "no SIGFPE")
    );
    let spurious = signature(&[0x0f, 0x58, 0xc1], |_, actual| actual.endpoint = fault(4));
    assert_eq!(
        (spurious.kind, &spurious.fields[0][..]),
        (BugKind::SpuriousFault, "extra SIGILL")
    );
    let died = signature(&[0x0f, 0x58, 0xc1], |_, actual| {
        actual.endpoint = Endpoint::EngineDied { signal: Some(6) };
    });
    assert_eq!(
        (died.kind, &died.fields[0][..]),
        (BugKind::EngineDied, "dies of SIGABRT")
    );
    let hung = signature(&[0x0f, 0x58, 0xc1], |_, actual| actual.endpoint = Endpoint::Hung);
    assert_eq!(hung.kind, BugKind::EngineHung);
}

#[test]
fn ids_are_stable_and_read_back() {
    let signature = signature(&[0x0f, 0x58, 0xc1], |expected, _| expected.state.mxcsr |= 2);
    let id = signature.id();
    // Ids stand in lists of known bugs: whoever changes what they are made of raises their version.
    assert_eq!(id.to_string(), "9db7dd7cb2");
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!("9db7".parse::<SignatureId>(), Err(ParseSignatureIdError));
    for (name, kind) in BugKind::NAMES {
        assert_eq!((BugKind::from_name(name), kind.name()), (Some(kind), name));
        assert_eq!(serde_json::to_value(kind).unwrap(), name);
    }
}
