//! An engine with FEX-Emu's habits, made of this processor: none of
//! them is taken for a bug, and a bug planted among them is found.
#![expect(clippy::unwrap_used, reason = "tests")]

use snippex_core::observation::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, Signal};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use iced_x86::code_asm::*;
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic};
use snippex_core::address_space::{CODE_DISTANCE, IMAGE_BASE};
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use snippex_core::diff::Tolerance;
use snippex_core::observation::{ChangedLine, Endpoint, Observation};
use snippex_core::state::{Components, Vector, rflags};
use snippex_exec::RunOutcome;
use snippex_exec::check::{BlockReport, CheckJob, CheckOptions, CheckReport, CheckSummary, check_blocks};
use snippex_exec::engine::{Engine, EngineError, EngineSpec, MockEngine, RunnerEngine};
use snippex_exec::engine_check::check_engine_under;

const SI_KERNEL: i32 = 128;
/// Denormal operands count as zero (MXCSR).
const DAZ: u32 = 1 << 6;
/// IE, C0 to C3 and TOP: what FEX keeps of the x87 status word.
const X87_STATUS_KEPT: u16 = 0x7f01;

fn native() -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(RunnerEngine::start(EngineSpec::native())?))
}

/// This processor as FEX would show it: no AVX-512.
fn host() -> Result<Box<dyn Engine>, EngineError> {
    let spec = EngineSpec {
        leaves_out: Components::AVX512,
        ..EngineSpec::native()
    };
    Ok(Box::new(RunnerEngine::start(spec)?))
}

fn fex_like() -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(MockEngine::from_engine(
        "fex-like",
        host()?,
        |case, outcome| {
            if let RunOutcome::Ran(observation) = outcome {
                cannot_reset(case, observation);
                habits(case, observation);
            }
        },
    )))
}

/// A page with translated code is write-protected, and the kernel's own writes into it fail with EFAULT: where data
/// shares a page with code, what was there before a run cannot be put back.
fn cannot_reset(case: &Case, observation: &mut Observation) {
    let code = case.code_address() & !0xfff..case.code_address() + case.block.bytes.len() as u64;
    let shared = case
        .pages
        .iter()
        .find(|page| page.access == PageAccess::ReadWrite && code.contains(&page.address));
    if let Some(page) = shared {
        observation.memory = vec![ChangedLine {
            address: page.address,
            bytes: [0xee; 64],
        }];
    }
}

/// As [`fex_like`], with IMUL leaving CF and OF clear.
fn with_a_bug() -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(MockEngine::from_engine(
        "fex-like",
        host()?,
        |case, outcome| {
            if let RunOutcome::Ran(observation) = outcome {
                if decode(case).last().map(Instruction::mnemonic) == Some(Mnemonic::Imul) {
                    observation.state.rflags &= !(rflags::CF | rflags::OF);
                }
                habits(case, observation);
            }
        },
    )))
}

fn decode(case: &Case) -> Vec<Instruction> {
    let block = &case.block;
    let address = block.address + case.placement.code_base;
    Decoder::with_ip(64, &block.bytes, address, DecoderOptions::NONE)
        .into_iter()
        .collect()
}

fn habits(case: &Case, observation: &mut Observation) {
    let end = case.block.end_address().wrapping_add(case.placement.code_base);
    let copies_mxcsr = decode(case)
        .iter()
        .any(|instruction| instruction.mnemonic() == Mnemonic::Stmxcsr);
    let first = decode(case)[0];
    if first.mnemonic() == Mnemonic::Lar {
        // It knows no segments.
        observation.endpoint = Endpoint::Signal(Signal {
            number: SIGILL,
            code: 1,
            address: case.code_address(),
            rip: case.code_address(),
            write: false,
        });
    }
    if let Endpoint::Signal(signal) = observation.endpoint {
        let missing = match signal.number {
            // Neither #DE nor an unmasked floating-point exception, no alignment fault of SSE or AC.
            SIGFPE | SIGBUS => true,
            // Nor of areas for FXSAVE, nor for an address whose highest byte makes it non-canonical.
            SIGSEGV => {
                let by_top_byte = case.state.gpr[7] << 8 >> 8 < 1 << 47;
                let goes_on = match first.mnemonic() {
                    Mnemonic::Movaps | Mnemonic::Fxsave => true,
                    Mnemonic::Bts => by_top_byte,
                    _ => false,
                };
                signal.code == SI_KERNEL && goes_on
            }
            _ => false,
        };
        if missing {
            observation.endpoint = Endpoint::Exit { target: end };
            if decode(case)[0].mnemonic() == Mnemonic::Div {
                observation.state.gpr[2] = case.state.gpr[0];
                observation.state.gpr[0] = 0;
            }
        }
    }
    match &mut observation.endpoint {
        Endpoint::Signal(signal) => {
            // CR2 and error bits are absent, addresses differ, registers are stale, RF never is set.
            signal.address = 0;
            signal.write = false;
            if signal.number != SIGTRAP {
                signal.code = 1;
            }
            for register in &mut observation.state.gpr {
                *register ^= 0x5a5a_0000_1111_0000;
            }
            observation.state.vectors[3] = [0x77; 64];
            observation.state.rflags = 1 << 31 | rflags::CF;
            observation.memory.clear();
        }
        // A jump to 0 ends it.
        Endpoint::Exit { target: 0 } => {
            observation.endpoint = Endpoint::EngineDied { signal: Some(11) };
        }
        _ => observation.state.rflags |= 1 << 31,
    }
    if let Endpoint::Signal(signal) = &mut observation.endpoint
        && first.mnemonic() == Mnemonic::Xchg
    {
        // RIP is that of the block's beginning.
        signal.rip = case.code_address();
    }
    let state = &mut observation.state;
    if first.mnemonic() == Mnemonic::Divps {
        without_afp(&mut state.vectors[0]);
    }
    if first.mnemonic() == Mnemonic::Mulss && case.state.mxcsr & DAZ != 0 {
        state.vectors[4][0] ^= 1;
    }
    state.mxcsr &= !0x3f;
    state.x87.status &= X87_STATUS_KEPT;
    for index in 0..8 {
        if state.x87.is_empty(index) {
            state.x87.st[usize::from(index)] = [0; 10];
        }
    }
    if copies_mxcsr {
        // What it stores is without the flags as well.
        for line in &mut observation.memory {
            for byte in line.bytes.iter_mut().step_by(4) {
                *byte &= !0x3f;
            }
        }
    }
}

/// The NaN that arithmetic makes is positive on ARM.
fn without_afp(vector: &mut Vector) {
    for lane in vector[..16].chunks_exact_mut(4) {
        if lane == 0xffc0_0000_u32.to_le_bytes() {
            lane[3] = 0x7f;
        }
    }
}

fn block(number: u64, terminator: Terminator, build: impl FnOnce(&mut CodeAssembler)) -> Arc<Block> {
    let mut assembler = CodeAssembler::new(64).unwrap();
    build(&mut assembler);
    let address = 0x1000 + number * 0x1000;
    let bytes = assembler.assemble(address).unwrap();
    let count = Decoder::with_ip(64, &bytes, address, DecoderOptions::NONE)
        .into_iter()
        .count();
    let next = address + bytes.len() as u64;
    Arc::new(Block {
        address,
        bytes,
        instruction_count: count as u32,
        terminator,
        successors: vec![next],
        origin: Origin::Entry,
        unrunnable: None,
    })
}

/// One block for each habit, and some without any.
fn blocks() -> Vec<Arc<Block>> {
    type Build = fn(&mut CodeAssembler);
    let list: &[(Terminator, Build)] = &[
        (Terminator::FallThrough, |a| a.div(ecx).unwrap()),
        (Terminator::FallThrough, |a| a.divps(xmm0, xmm1).unwrap()),
        (Terminator::FallThrough, |a| a.sqrtsd(xmm2, xmm3).unwrap()),
        (Terminator::FallThrough, |a| {
            a.movaps(xmm0, xmmword_ptr(rdi + 4)).unwrap();
        }),
        (Terminator::FallThrough, |a| {
            a.mov(qword_ptr(rdi), rax).unwrap();
            a.mov(rbx, qword_ptr(0x20)).unwrap();
        }),
        (Terminator::FallThrough, |a| {
            a.fld1().unwrap();
            a.fadd_2(st0, st1).unwrap();
        }),
        (Terminator::FallThrough, |a| {
            a.mulss(xmm4, xmm5).unwrap();
            a.stmxcsr(dword_ptr(rdi)).unwrap();
        }),
        (Terminator::FallThrough, |a| {
            a.fld1().unwrap();
            a.fnstsw(ax).unwrap();
        }),
        (Terminator::Trap, |a| a.int3().unwrap()),
        (Terminator::Trap, |a| a.ud2().unwrap()),
        (Terminator::IndirectJmp, |a| a.jmp(rax).unwrap()),
        (Terminator::IndirectJmp, |a| {
            a.xor(eax, eax).unwrap();
            a.jmp(rax).unwrap();
        }),
        (Terminator::FallThrough, |a| {
            a.fxsave(ptr(rdi + 4)).unwrap();
        }),
        (Terminator::FallThrough, |a| {
            a.bts(rdi, 62).unwrap();
            a.mov(rbx, qword_ptr(rdi)).unwrap();
        }),
        (Terminator::FallThrough, |a| {
            a.xchg(rax, rbx).unwrap();
            a.mov(rcx, qword_ptr(0x20)).unwrap();
        }),
        (Terminator::FallThrough, |a| a.lar(eax, ecx).unwrap()),
        (Terminator::FallThrough, |a| a.add(rax, rbx).unwrap()),
        (Terminator::FallThrough, |a| a.vpaddd(ymm1, ymm2, ymm3).unwrap()),
        (Terminator::FallThrough, |a| a.imul_2(rax, rbx).unwrap()),
    ];
    list.iter()
        .enumerate()
        .map(|(number, (terminator, build))| block(number as u64, *terminator, build))
        .collect()
}

fn run(subject: fn() -> Result<Box<dyn Engine>, EngineError>, tolerance: Tolerance) -> Vec<BlockReport> {
    run_blocks(subject, tolerance, &blocks())
}

fn run_blocks(
    subject: fn() -> Result<Box<dyn Engine>, EngineError>,
    tolerance: Tolerance,
    blocks: &[Arc<Block>],
) -> Vec<BlockReport> {
    let job = CheckJob {
        image: None,
        placement: Placement {
            image_base: IMAGE_BASE,
            code_base: IMAGE_BASE + CODE_DISTANCE,
        },
        style: snippex_core::seed::Style::Compiled,
        reference: &native,
        subject: &subject,
        options: CheckOptions {
            states: 128,
            tolerance,
            ..CheckOptions::default()
        },
    };
    let (sender, receiver) = sync_channel(64);
    check_blocks(&job, blocks, &sender, &AtomicBool::new(false)).unwrap();
    drop(sender);
    let mut reports: Vec<BlockReport> = receiver
        .into_iter()
        .filter_map(CheckReport::into_block_report)
        .collect();
    reports.sort_by_key(|report| report.index);
    reports
}

fn culprits(reports: &[BlockReport]) -> BTreeSet<String> {
    let findings = reports.iter().flat_map(|report| &report.findings);
    findings
        .map(|finding| {
            let culprit = finding.divergence.class.culprit.as_ref();
            culprit.map_or_else(String::new, |culprit| culprit.form.clone())
        })
        .collect()
}

#[test]
fn no_habit_is_a_bug_and_each_is_listed() {
    let reports = run(fex_like, Tolerance::for_fex());
    assert_eq!(culprits(&reports), BTreeSet::new());
    let mut summary = CheckSummary::default();
    reports.iter().for_each(|report| summary.add_report(report));
    assert_eq!(summary.diverged, 0);
    let listed: BTreeSet<String> = summary
        .inconclusive
        .keys()
        .filter_map(|reason| match reason {
            snippex_exec::check::Inconclusive::Deviation(id) => Some(id.clone()),
            _ => None,
        })
        .chain(summary.deviations.keys().cloned())
        .collect();
    for id in [
        "fex-no-sigfpe",
        "fex-no-sse-alignment",
        "fex-death-at-null",
        "fex-fault-state",
        "fex-mxcsr-flags",
        "fex-no-save-area-alignment",
        "fex-top-byte",
        "fex-no-segments",
        "fex-fault-rip",
        "fex-denormals",
        "fex-nan-sign",
        "fex-x87-status",
        "fex-x87-empty",
    ] {
        assert!(listed.contains(id), "{id} is not among {listed:?}");
    }
    assert!(
        summary.matched > 0 && summary.unsupported_runs() == 0,
        "{summary:?}"
    );
}

/// A block that stores into the page it lies in, as code with data in it does.
fn stores_beside_itself() -> Arc<Block> {
    block(40, Terminator::FallThrough, |a| {
        a.db(&[0x48, 0x89, 0x05, 0x40, 0, 0, 0]).unwrap(); // mov [rip + 0x40], rax
    })
}

#[test]
fn no_case_asks_the_kernel_to_write_into_a_page_of_code() {
    // Code lies a distance away from the image that it reads and writes, so that what it stores is put back.
    let reports = run_blocks(fex_like, Tolerance::for_fex(), &[stores_beside_itself()]);
    assert_eq!(culprits(&reports), BTreeSet::new());
    assert!(
        reports[0].matched > 0 && reports[0].diverged == 0,
        "{:?}",
        reports[0]
    );
    // Were it otherwise, this engine would show it.
    let together = Case {
        block: stores_beside_itself(),
        placement: Placement {
            image_base: IMAGE_BASE,
            code_base: IMAGE_BASE,
        },
        state: snippex_core::state::MachineState::default(),
        pages: [Page {
            address: (IMAGE_BASE + stores_beside_itself().address) & !0xfff,
            access: PageAccess::ReadWrite,
            content: Arc::new([0; PAGE_SIZE]),
        }]
        .into(),
    };
    let mut observation = Observation {
        endpoint: Endpoint::Exit { target: 0 },
        state: together.state.clone(),
        memory: Vec::new(),
    };
    cannot_reset(&together, &mut observation);
    assert_eq!(observation.memory.len(), 1);
}

#[test]
fn a_planted_bug_is_found_among_the_habits_and_nothing_else_is() {
    let reports = run(with_a_bug, Tolerance::for_fex());
    assert_eq!(culprits(&reports), BTreeSet::from(["imul r64, r64".to_owned()]));
}

#[test]
fn without_the_list_of_deviations_the_habits_do_show() {
    let reports = run(fex_like, Tolerance::none());
    assert!(culprits(&reports).len() > 5, "{:?}", culprits(&reports));
}

#[test]
fn it_conforms_under_what_it_documents() {
    let mut engine = fex_like().unwrap();
    let failures = check_engine_under(engine.as_mut(), &Tolerance::for_fex()).unwrap();
    assert!(failures.is_empty(), "{failures:#?}");
}

/// An engine that loads x87 registers in no way that is known, unless TOP is 0.
fn without_top() -> Result<Box<dyn Engine>, EngineError> {
    let spec = EngineSpec {
        loads_x87_top: false,
        leaves_out: Components::AVX512,
        ..EngineSpec::native()
    };
    Ok(Box::new(RunnerEngine::start(spec)?))
}

#[test]
fn a_start_state_excludes_an_engine_only_from_blocks_that_touch_what_it_cannot_load() {
    let blocks = [
        block(50, Terminator::FallThrough, |a| a.add(rax, rbx).unwrap()),
        block(51, Terminator::FallThrough, |a| {
            a.mov(qword_ptr(rdi), rax).unwrap();
        }),
        block(52, Terminator::FallThrough, |a| {
            a.vpaddd(ymm1, ymm2, ymm3).unwrap();
        }),
        block(53, Terminator::FallThrough, |a| a.fadd_2(st0, st1).unwrap()),
    ];
    let reports = run_blocks(without_top, Tolerance::none(), &blocks);
    for report in &reports[..3] {
        assert_eq!(
            (report.matched, &report.unsupported),
            (report.runs, &None),
            "{report:?}"
        );
    }
    let (reason, left_out) = reports[3].unsupported.as_ref().unwrap();
    assert_eq!(
        reason.to_string(),
        "the engine cannot load the start state: x87 TOP is not 0"
    );
    assert!(*left_out > 0 && *left_out < reports[3].runs, "{:?}", reports[3]);
    // Where the order is found out, nothing is left out.
    for report in run_blocks(host, Tolerance::none(), &blocks) {
        assert_eq!(
            (report.matched, &report.unsupported),
            (report.runs, &None),
            "{report:?}"
        );
    }
}
