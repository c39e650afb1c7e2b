//! The verdicts, and what the comparison promises whatever the states are.

use iced_x86::code_asm::*;
use proptest::prelude::*;

use super::*;
use crate::case::Case;
use crate::effects::Rule;
use crate::effects::tests::{DATA, block, case};
use crate::observation::{ChangedLine, Endpoint, LINE_SIZE, Observation, Signal};
use crate::state::{Components, rflags};

fn made(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Case {
    case(block(write), 0)
}

fn observation(case: &Case) -> Observation {
    Observation {
        endpoint: Endpoint::Exit { target: 0x40_2000 },
        state: case.state.clone(),
        memory: Vec::new(),
    }
}

fn signal(case: &Case, number: u8, offset: u64) -> Endpoint {
    Endpoint::Signal(Signal {
        number,
        code: 1,
        rip: case.code_address() + offset,
        address: DATA,
        write: false,
    })
}

fn verdict(case: &Case, expected: &Observation, actual: &Observation) -> Comparison {
    compare_observations(case, expected, actual, Components::ALL, &Tolerance::none())
}

fn divergence(comparison: Comparison) -> Divergence {
    match comparison {
        Comparison::Diverged(divergence) => divergence,
        other => panic!("not diverged: {other:?}"),
    }
}

#[test]
fn a_register_that_differs_is_named_with_its_writer() {
    let case = made(|a| {
        a.add(rax, rbx)?;
        a.mov(rdx, rax)
    });
    let expected = observation(&case);
    let mut actual = expected.clone();
    actual.state.gpr[0] = 8;
    let divergence = divergence(verdict(&case, &expected, &actual));
    assert_eq!(divergence.class.kind, DivergenceKind::Register);
    assert_eq!(
        divergence.class.culprit,
        Some(Culprit {
            instruction: 0,
            form: "add r64, r64".into()
        })
    );
    assert_eq!(divergence.differences.len(), 1);
    assert_eq!(divergence.differences[0].name, "rax");
    assert_eq!(divergence.differences[0].differing, Value::Number(8));
}

#[test]
fn the_culprit_is_the_earliest_writer_and_no_copy() {
    let case = made(|a| {
        a.mulss(xmm3, xmm2)?;
        a.movaps(xmm1, xmm3)?;
        a.movq(rax, xmm1)?;
        a.add(rax, 1)
    });
    let expected = observation(&case);
    let mut actual = expected.clone();
    actual.state.gpr[0] = 1;
    assert_eq!(
        divergence(verdict(&case, &expected, &actual))
            .class
            .culprit
            .unwrap()
            .form,
        "add r64, imm"
    );
    actual.state.vectors[1][0] = 1;
    let class = divergence(verdict(&case, &expected, &actual)).class;
    assert_eq!(
        (class.kind, class.culprit.unwrap().form.as_str()),
        (DivergenceKind::Vector, "mulss xmm, xmm")
    );
}

#[test]
fn an_undefined_flag_is_noted_and_a_defined_one_is_not() {
    let case = made(|a| a.and(rax, rbx));
    let expected = observation(&case);
    let mut actual = expected.clone();
    actual.state.rflags ^= rflags::AF;
    let Comparison::Match(noted) = verdict(&case, &expected, &actual) else {
        panic!("AF is undefined")
    };
    assert_eq!(noted.rules.get(&Rule::LogicAf), Some(&1));
    actual.state.rflags ^= rflags::ZF;
    let divergence = divergence(verdict(&case, &expected, &actual));
    assert_eq!(divergence.differences.len(), 1);
    assert_eq!(divergence.differences[0].name, "ZF");
    assert_eq!(divergence.noted.rules.get(&Rule::LogicAf), Some(&1));
}

#[test]
fn endpoints_come_first_and_have_kinds() {
    let case = made(|a| {
        a.mov(rax, qword_ptr(rsi))?;
        a.mov(rbx, qword_ptr(rdi))
    });
    let exit = observation(&case);
    let fault = Observation {
        endpoint: signal(&case, 11, 3),
        ..exit.clone()
    };
    let kind =
        |expected: &Observation, actual: &Observation| divergence(verdict(&case, expected, actual)).class;
    assert_eq!(kind(&exit, &fault).kind, DivergenceKind::SpuriousFault);
    assert_eq!(kind(&exit, &fault).culprit.unwrap().instruction, 1);
    assert_eq!(kind(&fault, &exit).kind, DivergenceKind::MissingFault);
    let other = Observation {
        endpoint: signal(&case, 7, 3),
        ..exit.clone()
    };
    assert_eq!(kind(&fault, &other).kind, DivergenceKind::DifferentFault);
    let hung = Observation {
        endpoint: Endpoint::Hung,
        ..exit.clone()
    };
    assert_eq!(kind(&exit, &hung).kind, DivergenceKind::EngineHung);
    assert_eq!(
        verdict(&case, &hung, &exit),
        Comparison::Inconclusive(InconclusiveReason::ExpectedHung)
    );
    let elsewhere = Observation {
        endpoint: Endpoint::Exit { target: 1 },
        ..exit.clone()
    };
    assert_eq!(kind(&exit, &elsewhere).kind, DivergenceKind::WrongBranch);
}

#[test]
fn a_wrong_branch_is_put_down_to_what_decided_it() {
    let wrong = |write: fn(&mut CodeAssembler) -> Result<(), IcedError>| {
        let case = made(write);
        let expected = observation(&case);
        let actual = Observation {
            endpoint: Endpoint::Exit { target: 1 },
            ..expected.clone()
        };
        let class = divergence(verdict(&case, &expected, &actual)).class;
        assert_eq!(class.kind, DivergenceKind::WrongBranch);
        class.culprit.unwrap().form
    };
    let compared = wrong(|a| {
        a.fucomi(st0, st1)?;
        a.mov(rax, rbx)?;
        a.jp(0x40_2000)
    });
    assert_eq!(compared, "fucomi st, st");
    let computed = wrong(|a| {
        a.bswap(rdx)?;
        a.mov(rax, rdx)?;
        a.jmp(rax)
    });
    assert_eq!(computed, "bswap r64");
    assert_eq!(wrong(|a| a.jp(0x40_2000)), "jp rel");
}

#[test]
fn a_branch_on_an_undefined_flag_is_inconclusive() {
    let case = made(|a| {
        a.mul(rbx)?;
        a.jz(0x40_2000)
    });
    let expected = observation(&case);
    let actual = Observation {
        endpoint: Endpoint::Exit { target: 1 },
        ..expected.clone()
    };
    let Comparison::Inconclusive(InconclusiveReason::OpenEndpoint { rules, .. }) =
        verdict(&case, &expected, &actual)
    else {
        panic!("ZF is undefined after MUL");
    };
    assert!(rules.contains(Rule::MultiplyFlags));
}

#[test]
fn the_address_of_a_page_fault_counts_beyond_the_operand() {
    let case = made(|a| a.mov(rax, qword_ptr(rsi)));
    let at = |address| {
        let mut observation = observation(&case);
        let rip = case.code_address();
        observation.endpoint = Endpoint::Signal(Signal {
            number: 11,
            code: 1,
            rip,
            address,
            write: false,
        });
        observation
    };
    assert!(matches!(
        verdict(&case, &at(0x1000), &at(0x1004)),
        Comparison::Match(_)
    ));
    assert_eq!(
        divergence(verdict(&case, &at(0x1000), &at(0x1008))).class.kind,
        DivergenceKind::FaultAddress
    );
}

#[test]
fn memory_differences_are_runs_of_bytes() {
    let case = made(|a| a.mov(qword_ptr(rsi), rax));
    let expected = observation(&case);
    let mut bytes = [0x11; LINE_SIZE];
    bytes[3..5].fill(0x22);
    let actual = Observation {
        memory: vec![ChangedLine {
            address: DATA + 0x100,
            bytes,
        }],
        ..expected.clone()
    };
    let divergence = divergence(verdict(&case, &expected, &actual));
    assert_eq!(divergence.class.kind, DivergenceKind::Memory);
    assert_eq!(divergence.differences.len(), 1);
    assert_eq!(
        divergence.differences[0].field,
        Field::Memory {
            address: DATA + 0x103
        }
    );
    assert_eq!(divergence.differences[0].expected, Value::Bytes(vec![0x11, 0x11]));
    // A line that is reported although nothing in it changed makes no difference.
    let untouched = ChangedLine {
        address: DATA,
        bytes: [0x11; LINE_SIZE],
    };
    let same = Observation {
        memory: vec![untouched],
        ..expected.clone()
    };
    assert!(matches!(verdict(&case, &expected, &same), Comparison::Match(noted) if noted.is_empty()));
}

#[test]
fn documented_deviations_are_not_divergences() {
    let case = made(|a| a.div(rbx));
    let mut expected = observation(&case);
    let mut actual = expected.clone();
    actual.state.mxcsr |= 0x20;
    let fex = Tolerance::for_fex();
    let comparison = compare_observations(&case, &expected, &actual, Components::ALL, &fex);
    assert!(
        matches!(comparison, Comparison::Match(noted) if noted.deviations.contains_key("fex-mxcsr-flags"))
    );
    expected.endpoint = signal(&case, 8, 0);
    let comparison = compare_observations(&case, &expected, &actual, Components::ALL, &fex);
    assert!(
        matches!(comparison, Comparison::Inconclusive(InconclusiveReason::Deviation { id, .. }) if id == "fex-no-sigfpe")
    );
    // qemu does deliver the divide error.
    let comparison = compare_observations(
        &case,
        &expected,
        &actual,
        Components::ALL,
        &Tolerance::qemu_user(),
    );
    assert_eq!(divergence(comparison).class.kind, DivergenceKind::MissingFault);
    // At a signal FEX promises number and RIP only.
    actual = Observation {
        endpoint: expected.endpoint,
        ..actual
    };
    actual.state.gpr[3] = 1;
    let comparison = compare_observations(&case, &expected, &actual, Components::ALL, &fex);
    assert!(
        matches!(comparison, Comparison::Match(noted) if noted.deviations.contains_key("fex-fault-state"))
    );
}

#[test]
fn what_an_engine_lacks_is_not_compared() {
    let case = made(CodeAssembler::nop);
    let expected = observation(&case);
    let mut actual = expected.clone();
    actual.state.vectors[3][20] = 1;
    actual.state.vectors[20][0] = 1;
    let sse = Components::GENERAL.union(Components::SSE);
    assert!(matches!(
        compare_observations(&case, &expected, &actual, sse, &Tolerance::none()),
        Comparison::Match(_)
    ));
    let avx = sse.union(Components::AVX);
    let divergence = divergence(compare_observations(
        &case,
        &expected,
        &actual,
        avx,
        &Tolerance::none(),
    ));
    assert_eq!(divergence.differences.len(), 1);
    assert_eq!(divergence.differences[0].name, "ymm3");
    assert_eq!(
        divergence.differences[0].field,
        Field::Vector {
            register: 3,
            first: 20,
            last: 20
        }
    );
}

#[test]
fn results_serialise_with_hexadecimal_values_and_rule_names() {
    let case = made(|a| a.and(rax, rbx));
    let expected = observation(&case);
    let mut actual = expected.clone();
    actual.state.rflags ^= rflags::AF;
    actual.state.gpr[0] = u64::MAX;
    let json = serde_json::to_value(verdict(&case, &expected, &actual)).unwrap();
    assert_eq!(json["outcome"], "diverged");
    assert_eq!(json["detail"]["differences"][0]["actual"], "0xffffffffffffffff");
    assert_eq!(json["detail"]["noted"]["rules"]["logic-af"], 1);
    assert_eq!(json["detail"]["class"]["kind"], "register");
}

#[test]
fn approximations_agree_within_their_bounds_and_diverge_beyond() {
    let case = made(|a| a.rcpss(xmm3, xmm1));
    let with = |value: f32| {
        let mut observation = observation(&case);
        observation.state.vectors[3][..4].copy_from_slice(&value.to_le_bytes());
        observation
    };
    let near = verdict(&case, &with(0.5), &with(0.5001));
    assert!(matches!(near, Comparison::Match(noted) if noted.rules.contains_key(&Rule::Reciprocal11)));
    assert_eq!(
        divergence(verdict(&case, &with(0.5), &with(0.51))).class.kind,
        DivergenceKind::Vector
    );
    let mut upper = with(0.5);
    upper.state.vectors[3][4] = 1;
    assert_eq!(
        divergence(verdict(&case, &with(0.5), &upper)).class.kind,
        DivergenceKind::Vector
    );
}

#[test]
fn an_x87_result_agrees_in_its_first_bits_only_when_it_approximates() {
    let last_bit = |write: fn(&mut CodeAssembler) -> Result<(), IcedError>| {
        let case = made(write);
        let mut expected = observation(&case);
        expected.state.x87.st[0] = [1, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f];
        let mut actual = expected.clone();
        actual.state.x87.st[0][0] = 0;
        verdict(&case, &expected, &actual)
    };
    assert!(matches!(last_bit(CodeAssembler::f2xm1), Comparison::Match(_)));
    assert_eq!(
        divergence(last_bit(CodeAssembler::fsqrt)).class.kind,
        DivergenceKind::X87
    );
}

#[test]
fn a_wrong_top_is_one_difference_not_nine() {
    let case = made(CodeAssembler::nop);
    let mut expected = observation(&case);
    for (value, st) in (1..).zip(&mut expected.state.x87.st) {
        st[0] = value;
    }
    let mut actual = expected.clone();
    actual.state.x87.status = 1 << 11;
    actual.state.x87.st.rotate_left(1);
    let divergence = divergence(verdict(&case, &expected, &actual));
    assert_eq!(divergence.differences.len(), 1);
    assert_eq!(divergence.differences[0].field, Field::X87Status);
}

#[test]
fn memory_that_open_data_may_have_reached_is_inconclusive() {
    let case = made(|a| {
        a.imul_2(rax, rbx)?;
        a.setz(dl)?;
        a.mov(byte_ptr(rax), dl)
    });
    let expected = observation(&case);
    let mut bytes = [0x11; LINE_SIZE];
    bytes[0] = 0;
    let mut actual = Observation {
        memory: vec![ChangedLine { address: DATA, bytes }],
        ..expected.clone()
    };
    let comparison = verdict(&case, &expected, &actual);
    assert!(matches!(
        comparison,
        Comparison::Inconclusive(InconclusiveReason::OpenMemory { .. })
    ));
    // Another difference still counts.
    actual.state.gpr[5] = 1;
    assert_eq!(
        divergence(verdict(&case, &expected, &actual)).differences.len(),
        1
    );
}

#[test]
fn memory_that_an_engine_needs_itself_is_no_missing_fault() {
    let case = made(|a| a.mov(rax, qword_ptr(rsi)));
    let faulting_at = |address, code| Observation {
        endpoint: Endpoint::Signal(Signal {
            number: 11,
            code,
            rip: case.code_address(),
            address,
            write: false,
        }),
        ..observation(&case)
    };
    let judge = |address, code| {
        let (expected, actual) = (faulting_at(address, code), observation(&case));
        compare_observations(
            &case,
            &expected,
            &actual,
            Components::ALL,
            &Tolerance::qemu_user(),
        )
    };
    let excused = |comparison| matches!(comparison, Comparison::Inconclusive(InconclusiveReason::Deviation { id, .. }) if id == "qemu-own-memory");
    assert!(excused(judge(0x40_0000_4000, 1)));
    assert!(excused(judge(0x40_ffff_ffff, 2)));
    // Next to it, and where no page is at fault.
    assert!(!excused(judge(0x3f_ffff_ffff, 1)));
    assert!(!excused(judge(0x41_0000_0000, 1)));
    assert!(!excused(judge(0x40_0000_4000, 128)));
}

#[test]
fn a_missing_alignment_fault_is_excused_for_vector_instructions_only() {
    let fault = |case: &Case| Observation {
        endpoint: Endpoint::Signal(Signal {
            number: 11,
            code: 128,
            rip: case.code_address(),
            address: 0,
            write: false,
        }),
        ..observation(case)
    };
    let judge = |case: &Case| {
        compare_observations(
            case,
            &fault(case),
            &observation(case),
            Components::ALL,
            &Tolerance::for_fex(),
        )
    };
    let vector = made(|a| a.movaps(xmm1, xmmword_ptr(rsi + 1)));
    assert!(
        matches!(judge(&vector), Comparison::Inconclusive(InconclusiveReason::Deviation { id, .. }) if id == "fex-no-sse-alignment")
    );
    let integer = made(|a| a.mov(rax, qword_ptr(rsi + 1)));
    assert_eq!(
        divergence(judge(&integer)).class.kind,
        DivergenceKind::MissingFault
    );
}

#[test]
fn signals_are_compared_by_number_and_place_with_the_state_before_them() {
    let case = made(|a| {
        a.and(rax, rbx)?;
        a.mov(rax, qword_ptr(rsi))
    });
    let at = |code, address| {
        let rip = case.code_address() + 3;
        let endpoint = Endpoint::Signal(Signal {
            number: 11,
            code,
            rip,
            address,
            write: false,
        });
        Observation {
            endpoint,
            ..observation(&case)
        }
    };
    let expected = at(128, 0);
    let mut actual = at(1, 0x1234);
    actual.state.rflags ^= rflags::AF | rflags::RF;
    let Comparison::Match(noted) = verdict(&case, &expected, &actual) else {
        panic!("all of it is open")
    };
    for rule in [Rule::SignalInfo, Rule::SignalFlags, Rule::LogicAf] {
        assert!(noted.rules.contains_key(&rule), "{rule:?}");
    }
    actual.state.gpr[0] = 1;
    assert_eq!(
        divergence(verdict(&case, &expected, &actual)).class.kind,
        DivergenceKind::Register
    );
}

/// Flips one bit of the state; the index covers registers, flags, vectors, x87, MXCSR and opmasks.
fn flip(observation: &mut Observation, index: usize) {
    let state = &mut observation.state;
    match index {
        0..1024 => state.gpr[index / 64] ^= 1 << (index % 64),
        1024..1030 => {
            let flags = [
                rflags::CF,
                rflags::PF,
                rflags::AF,
                rflags::ZF,
                rflags::SF,
                rflags::OF,
            ];
            state.rflags ^= flags[index - 1024];
        }
        1030..1062 => state.mxcsr ^= 1 << (index - 1030),
        1062..1078 => state.x87.control ^= 1 << (index - 1062),
        1078..1094 => state.x87.status ^= 1 << (index - 1078),
        1094..1102 => state.x87.tags ^= 1 << (index - 1094),
        1102..1742 => state.x87.st[(index - 1102) / 80][(index - 1102) % 80 / 8] ^= 1 << (index % 8),
        1742..2254 => state.opmask[(index - 1742) / 64] ^= 1 << (index % 64),
        _ => {
            let bit = index - 2254;
            state.vectors[bit / 512][bit % 512 / 8] ^= 1 << (bit % 8);
        }
    }
}
const BITS: usize = 2254 + 32 * 512;

proptest! {
    #[test]
    fn equal_observations_match(flips in proptest::collection::vec(0..BITS, 0..20)) {
        let case = made(|a| a.and(rax, rbx));
        let mut one = observation(&case);
        flips.iter().for_each(|index| flip(&mut one, *index));
        prop_assert_eq!(verdict(&case, &one, &one.clone()), Comparison::Match(Noted::default()));
    }

    /// With nothing open every single bit counts, in both directions.
    #[test]
    fn every_defined_bit_counts(index in 0..BITS) {
        let case = made(CodeAssembler::nop);
        let one = observation(&case);
        let mut other = one.clone();
        flip(&mut other, index);
        prop_assert!(matches!(verdict(&case, &one, &other), Comparison::Diverged(_)), "bit {}", index);
        prop_assert!(matches!(verdict(&case, &other, &one), Comparison::Diverged(_)), "bit {}", index);
    }

    /// Bits that the mask calls open never make a divergence, alone or together.
    #[test]
    fn open_bits_never_count(flags in 0..64usize, time in any::<u32>()) {
        let case = made(|a| {
            a.div(rdx)?;
            a.mov(ebx, 0)?;
            a.mul(rsi)?;
            a.rdtsc()?;
            a.bsf(ecx, ebx)
        });
        let one = observation(&case);
        let mut other = one.clone();
        (0..6).filter(|bit| flags & (1 << bit) != 0).for_each(|bit| flip(&mut other, 1024 + bit));
        if flags & (1 << 3) != 0 {
            flip(&mut other, 1024 + 3);
        }
        // RDTSC leaves its 32 bits open, and clears those above.
        other.state.gpr[0] ^= u64::from(time);
        prop_assert!(matches!(verdict(&case, &one, &other), Comparison::Match(_)));
        other.state.gpr[0] ^= 1 << 40;
        prop_assert!(matches!(verdict(&case, &one, &other), Comparison::Diverged(_)));
    }
}

#[test]
fn a_fault_address_made_of_undefined_flags_is_no_difference() {
    // IMUL leaves SF, ZF, AF and PF undefined; LAHF makes an address of them.
    let case = made(|a| {
        a.imul_2(esi, ecx)?;
        a.lahf()?;
        a.xor(byte_ptr(rax * 8), bl)
    });
    let mut expected = observation(&case);
    expected.endpoint = signal(&case, 11, 4);
    let mut actual = expected.clone();
    if let Endpoint::Signal(signal) = &mut actual.endpoint {
        signal.address += 0x20000;
    }
    let outcome = verdict(&case, &expected, &actual);
    assert!(
        matches!(&outcome, Comparison::Match(noted) if noted.rules.contains_key(&Rule::MultiplyFlags)),
        "{outcome:?}"
    );
}
