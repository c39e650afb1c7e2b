//! Reduction on real engines and on ones with planted bugs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Instant;

use iced_x86::code_asm::*;
use snippex_core::address_space::{ARENA, STACK};
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use snippex_core::diff::Tolerance;
use snippex_core::observation::Endpoint;
use snippex_core::random::Random;
use snippex_core::state::{MachineState, RSP, rflags};
use snippex_exec::RunOutcome;
use snippex_exec::engine::{Engine, EngineSpec, MockEngine, RunnerEngine};
use snippex_exec::reduce::{Bug, CONFIRMATIONS, Reduced, ReductionLimits, reduce_case};

/// A case of `block` in which every register and all memory is random, and pointers lead to memory.
fn noisy(build: impl FnOnce(&mut CodeAssembler)) -> Case {
    let mut assembler = CodeAssembler::new(64).unwrap();
    build(&mut assembler);
    let bytes = assembler.assemble(0x4_3210).unwrap();
    let block = Block {
        address: 0x4_3210,
        instruction_count: assembler.instructions().len() as u32,
        successors: vec![0x4_3210 + bytes.len() as u64],
        bytes,
        terminator: Terminator::FallThrough,
        origin: Origin::Symbol,
        unrunnable: None,
    };
    let mut random = Random::new(3);
    let mut state = MachineState::default();
    state.gpr.fill_with(|| random.next_u64());
    random.fill_bytes(state.vectors.as_flattened_mut());
    state.rflags |= rflags::CF | rflags::SF | rflags::DF;
    (state.gpr[RSP], state.gpr[7], state.gpr[6]) = (STACK + 0x7f8, ARENA + 0x5_0123, ARENA + 0x5_0800);
    let mut page = |address| {
        let mut content = [0; PAGE_SIZE];
        random.fill_bytes(&mut content);
        Page {
            address,
            access: PageAccess::ReadWrite,
            content: Arc::new(content),
        }
    };
    Case {
        block: Arc::new(block),
        placement: Placement {
            image_base: 0x2_0000_0000,
            code_base: 0x2_1d60_0000,
        },
        state,
        pages: [page(STACK), page(ARENA + 0x5_0000)].into(),
    }
}

fn native() -> RunnerEngine {
    RunnerEngine::start(EngineSpec::native()).unwrap()
}

fn qemu() -> RunnerEngine {
    RunnerEngine::start(EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask test does"))
        .unwrap()
}

fn bugs(case: &Case, subject: &mut dyn Engine) -> Vec<Bug> {
    let started = Instant::now();
    match reduce_case(
        case,
        &mut native(),
        subject,
        &Tolerance::qemu_user(),
        ReductionLimits::default(),
    )
    .unwrap()
    {
        Reduced::Bugs(bugs) => {
            for bug in &bugs {
                println!(
                    "{} {} tried {} in {:?}",
                    bug.signature.id(),
                    bug.signature,
                    bug.tried,
                    started.elapsed()
                );
            }
            bugs
        }
        other => panic!("{other:?}"),
    }
}

fn text(case: &Case) -> Vec<String> {
    let mut decoder = iced_x86::Decoder::with_ip(64, &case.block.bytes, case.block.address, 0);
    decoder
        .iter()
        .map(|instruction| instruction.to_string())
        .collect()
}

/// Parts of the start state that are not as after reset.
fn odd(case: &Case) -> usize {
    let plain = MachineState::default();
    let state = &case.state;
    let vectors = state
        .vectors
        .as_flattened()
        .iter()
        .filter(|byte| **byte != 0)
        .count();
    state.gpr.iter().filter(|value| **value != 0).count()
        + vectors
        + usize::from(state.rflags != plain.rflags)
        + usize::from(state.mxcsr != plain.mxcsr)
        + usize::from(state.x87 != plain.x87)
        + case
            .pages
            .iter()
            .flat_map(|page| page.content.iter())
            .filter(|byte| **byte != 0)
            .count()
}

#[test]
fn a_planted_bug_is_found_in_a_long_block() {
    let case = noisy(|a| {
        a.push(rbx).unwrap();
        a.mov(rax, qword_ptr(rdi)).unwrap();
        a.add(rax, rcx).unwrap();
        a.imul_2(r9, r10).unwrap();
        a.mov(qword_ptr(rsi + 8), r9).unwrap();
        a.lea(rcx, qword_ptr(rcx + rdx * 4 + 7)).unwrap();
    });
    let found = bugs(&case, &mut MockEngine::with_planted_bug().unwrap());
    let [bug] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(
        bug.signature.to_string(),
        "imul r64, r64: flag (flags.CF, flags.OF)"
    );
    assert_eq!(text(&bug.case), ["imul r9,r10"]);
    assert_eq!(
        (bug.confirmed, bug.complete, bug.instructions),
        (CONFIRMATIONS, true, 6)
    );
    // Two factors whose product is too large, and nothing else.
    assert_eq!(
        (odd(&bug.case), bug.case.pages.len()),
        (2, 0),
        "{:x?}",
        bug.case.state.gpr
    );
}

#[test]
fn bugs_of_qemu_are_reduced_to_one_instruction_and_a_plain_state() {
    let case = noisy(|a| {
        a.push(rbx).unwrap();
        a.addsd(xmm5, xmm9).unwrap();
        a.mov(qword_ptr(rsi + 8), r9).unwrap();
        a.movq(rax, xmm5).unwrap();
    });
    let mut case = case;
    case.state.vectors[9][..8].copy_from_slice(&0x000f_1234_0000_5678_u64.to_le_bytes());
    case.state.vectors[5][..8].copy_from_slice(&1_f64.to_le_bytes());
    let mut qemu = qemu();
    let started = Instant::now();
    let found = bugs(&case, &mut qemu);
    let time = started.elapsed();
    let [bug] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(
        bug.signature.to_string(),
        "addsd xmm, xmm: wrong-value (no mxcsr.DE)"
    );
    assert_eq!(
        (text(&bug.case), odd(&bug.case)),
        (vec!["addsd xmm5,xmm9".to_owned()], 1)
    );
    assert!(!bug.is_flaky() && bug.complete);
    // A typical block takes less than a second on a machine that does nothing else.
    assert!(time.as_secs() < 10, "{time:?}");

    // Another register, another denormal, other instructions around it: the same bug.
    let mut other = noisy(|a| a.addsd(xmm1, xmm2).unwrap());
    other.state.vectors[2][..8].copy_from_slice(&(1_u64 << 63 | 77).to_le_bytes());
    other.state.vectors[1][..8].copy_from_slice(&(-1e300_f64).to_le_bytes());
    assert_eq!(bugs(&other, &mut qemu)[0].signature, bug.signature);
}

#[test]
fn what_prepares_a_bug_is_made_simple() {
    // An engine that goes wrong only where the factor was computed in the same block, as an optimiser does.
    let mut subject = MockEngine::from_engine("optimising", Box::new(native()), |case, outcome| {
        let lines = text(case);
        let computed = lines.iter().rev().skip(1).any(|line| {
            let destination = line
                .split_once(' ')
                .map_or("", |(_, rest)| rest.split(',').next().unwrap_or(""));
            matches!(destination, "rcx" | "ecx")
        });
        if let RunOutcome::Ran(observation) = outcome
            && lines.last().is_some_and(|line| line.starts_with("imul"))
            && computed
        {
            observation.state.rflags ^= rflags::CF | rflags::OF;
        }
    });
    let case = noisy(|a| {
        a.push(rbx).unwrap();
        a.mov(rcx, qword_ptr(rdi + 0x38)).unwrap();
        a.lea(rcx, qword_ptr(rcx + rdx * 4 + 7)).unwrap();
        a.add(r9, r10).unwrap();
        a.imul_2(r9, rcx).unwrap();
    });
    let started = Instant::now();
    let found = bugs(&case, &mut subject);
    let time = started.elapsed();
    let [bug] = &found[..] else { panic!("{found:#?}") };
    let lines = text(&bug.case);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with("mov ecx,") && lines[1] == "imul r9,rcx",
        "{lines:?}"
    );
    assert!(
        !bug.is_flaky() && bug.complete && bug.case.pages.is_empty(),
        "{bug:?}"
    );
    assert!(time.as_secs() < 10, "{time:?}");
}

#[test]
fn several_bugs_of_one_instruction_are_told_apart() {
    // One lane has a denormal, another two NaNs.
    let mut case = noisy(|a| a.addpd(xmm5, xmm9).unwrap());
    case.state.vectors[9][..8].copy_from_slice(&5_u64.to_le_bytes());
    case.state.vectors[5][..8].copy_from_slice(&1_f64.to_le_bytes());
    case.state.vectors[5][8..16].copy_from_slice(&0x7ff8_0000_0000_0001_u64.to_le_bytes());
    case.state.vectors[9][8..16].copy_from_slice(&0x7ff8_0000_0000_0002_u64.to_le_bytes());
    let mut names: Vec<String> = bugs(&case, &mut qemu())
        .iter()
        .map(|bug| bug.signature.to_string())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "addpd xmm, xmm: wrong-value (no mxcsr.DE)",
            "addpd xmm, xmm: wrong-value (op0)"
        ]
    );
}

#[test]
fn memory_operands_get_a_plain_address() {
    // A misaligned operand far away, and an index.
    let mut case = noisy(|a| {
        a.xor(eax, eax).unwrap();
        a.andps(xmm3, xmmword_ptr(rdi + rcx * 8 + 0x10)).unwrap();
    });
    case.state.gpr[1] = 2;
    let found = bugs(&case, &mut qemu());
    let [bug] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(
        bug.signature.to_string(),
        "andps xmm, m128: missing-fault (no SIGSEGV)"
    );
    assert_eq!(text(&bug.case), ["andps xmm3,[rdi]"]);
    assert_eq!(
        bug.case.pages.len(),
        1,
        "{:x?}",
        bug.case.pages.iter().map(|page| page.address).collect::<Vec<_>>()
    );
    assert_eq!(odd(&bug.case), 1);
}

#[test]
fn engines_that_agree_leave_nothing_to_reduce() {
    let case = noisy(|a| a.add(rax, rbx).unwrap());
    let reduced = reduce_case(
        &case,
        &mut native(),
        &mut qemu(),
        &Tolerance::none(),
        ReductionLimits::default(),
    )
    .unwrap();
    assert!(matches!(reduced, Reduced::Agrees), "{reduced:?}");
}

#[test]
fn a_bug_that_comes_and_goes_is_said_to_be_flaky() {
    let case = noisy(|a| a.add(rax, rbx).unwrap());
    // Every third time that the plainest case runs, it is right.
    let mut plain = 0;
    let mut subject = MockEngine::from_engine("flaky", Box::new(native()), move |case, outcome| {
        plain += u32::from(case.state == MachineState::default());
        if let RunOutcome::Ran(observation) = outcome
            && plain % 3 != 2
        {
            observation.state.gpr[0] ^= 1 << 7;
        }
    });
    let found = bugs(&case, &mut subject);
    assert!(found[0].is_flaky(), "{found:#?}");
}

#[test]
fn a_case_that_kills_the_engine_is_reduced_without_giving_the_engine_up() {
    let case = noisy(|a| {
        a.add(rax, rbx).unwrap();
        a.bswap(rdx).unwrap();
        a.sub(rcx, rbx).unwrap();
    });
    let mut subject = MockEngine::from_engine("dying", Box::new(native()), |case, outcome| {
        let bswap = case.block.bytes.windows(2).any(|bytes| bytes == [0x0f, 0xca]);
        if let RunOutcome::Ran(observation) = outcome
            && bswap
        {
            observation.endpoint = Endpoint::EngineDied { signal: Some(6) };
        }
    });
    let found = bugs(&case, &mut subject);
    assert_eq!(
        found[0].signature.to_string(),
        "bswap r64: engine-died (dies of SIGABRT)"
    );
    assert_eq!(
        (odd(&found[0].case), found[0].case.block.instruction_count),
        (0, 1)
    );
}
