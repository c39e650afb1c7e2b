//! Blocks that ask the machine or load segment registers: what they leave behind does not reach the next run, two runs
//! on one processor agree, and what an emulator does otherwise in the defined part is seen.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use iced_x86::code_asm::*;
use snippex_blocks::generate::{Form, GenerationRequest, Sequences, of_form};
use snippex_core::address_space::{ARENA, CODE_DISTANCE, FS_BASE, GS_BASE, IMAGE_BASE};
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use snippex_core::decode::machine_part;
use snippex_core::diff::Tolerance;
use snippex_core::group::Group;
use snippex_core::observation::{Endpoint, Observation};
use snippex_core::seed::Style;
use snippex_core::state::MachineState;
use snippex_exec::RunOutcome;
use snippex_exec::check::{CheckJob, CheckOptions, CheckReport, CheckSummary, check_blocks};
use snippex_exec::engine::{Engine, EngineError, EngineSpec, RunnerEngine};

const PLACEMENT: Placement = Placement {
    image_base: IMAGE_BASE,
    code_base: IMAGE_BASE + CODE_DISTANCE,
};

fn native() -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(RunnerEngine::start(EngineSpec::native())?))
}

fn qemu() -> Result<Box<dyn Engine>, EngineError> {
    let spec = EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask test does");
    Ok(Box::new(RunnerEngine::start(spec)?))
}

/// A case of some code with RAX, at a place of its own; FS and GS point to a page of ones.
fn case(number: u64, accumulator: u64, build: impl FnOnce(&mut CodeAssembler)) -> Case {
    let mut assembler = CodeAssembler::new(64).unwrap();
    build(&mut assembler);
    let address = 0x1000 + 0x100 * number;
    let bytes = assembler.assemble(address).unwrap();
    let mut state = MachineState {
        fs_base: FS_BASE,
        gs_base: GS_BASE,
        ..MachineState::default()
    };
    state.gpr[0] = accumulator;
    state.gpr[7] = ARENA;
    let page = |address: u64| Page {
        address,
        access: PageAccess::ReadWrite,
        content: Arc::new([0x11; PAGE_SIZE]),
    };
    Case {
        block: Arc::new(Block {
            address,
            instruction_count: assembler.instructions().len() as u32,
            successors: vec![address + bytes.len() as u64],
            bytes,
            terminator: Terminator::FallThrough,
            origin: Origin::Generated,
            unrunnable: None,
        }),
        placement: PLACEMENT,
        state,
        pages: [page(ARENA), page(FS_BASE & !0xfff), page(GS_BASE & !0xfff)].into(),
    }
}

fn run(engine: &mut dyn Engine, cases: &[Case]) -> Vec<Observation> {
    let groups: Vec<Group> = cases.iter().map(Group::from_case).collect();
    let results = engine.run(&groups).unwrap();
    (0..cases.len())
        .map(|index| match results.outcome(index, 0) {
            RunOutcome::Ran(observation) => *observation,
            RunOutcome::Unsupported(reason) => panic!("{reason}"),
        })
        .collect()
}

#[test]
fn selectors_and_bases_do_not_reach_the_next_run() {
    let loads = |number, selector| {
        case(number, selector, |a| {
            a.mov(ds, eax).unwrap();
            a.mov(es, eax).unwrap();
            a.mov(fs, eax).unwrap();
            a.mov(gs, eax).unwrap();
        })
    };
    let reads = |number| {
        case(number, 0, |a| {
            a.mov(rax, ptr(0).fs()).unwrap();
            a.mov(rbx, ptr(0).gs()).unwrap();
            a.mov(ecx, ds).unwrap();
            a.mov(edx, fs).unwrap();
        })
    };
    let cases = [
        loads(0, 3),
        reads(1),
        loads(2, 0x2b),
        reads(3),
        loads(4, 0xfff8),
        reads(5),
    ];
    for mut engine in [native().unwrap(), qemu().unwrap()] {
        let seen = run(engine.as_mut(), &cases);
        // Null selectors and Linux's own are taken, what no table has faults.
        assert!(
            matches!(seen[0].endpoint, Endpoint::Exit { .. }),
            "{:?}",
            seen[0].endpoint
        );
        assert!(
            matches!(seen[2].endpoint, Endpoint::Exit { .. }),
            "{:?}",
            seen[2].endpoint
        );
        assert!(
            matches!(seen[4].endpoint, Endpoint::Signal(_)),
            "{:?}",
            seen[4].endpoint
        );
        for read in [1, 3, 5] {
            let gpr = &seen[read].state.gpr;
            let ones = 0x1111_1111_1111_1111;
            assert_eq!((gpr[0], gpr[3], gpr[1], gpr[2]), (ones, ones, 0, 0), "run {read}");
        }
    }
}

#[test]
fn a_written_base_is_part_of_the_end_state_and_of_no_other_run() {
    let writes = case(0, 0x1234, |a| a.wrfsbase(rax).unwrap());
    let reads = case(1, 0, |a| a.mov(rax, ptr(0).fs()).unwrap());
    // The runner under qemu cannot read bases: nothing is known of the first one's end but that it does not last.
    for (engine, end) in [(native(), 0x1234), (qemu(), FS_BASE)] {
        let seen = run(engine.unwrap().as_mut(), &[writes.clone(), reads.clone()]);
        assert_eq!((seen[0].state.fs_base, seen[0].state.gs_base), (end, GS_BASE));
        assert_eq!(
            (seen[1].state.fs_base, seen[1].state.gpr[0]),
            (FS_BASE, 0x1111_1111_1111_1111)
        );
    }
}

/// A check of every form that asks the machine, against `subject`: the sums, how many forms there are, and at which
/// ones a difference begins, those apart that are a missing alignment check.
fn sweep(
    subject: fn() -> Result<Box<dyn Engine>, EngineError>,
    tolerance: Tolerance,
) -> (CheckSummary, usize, Vec<String>) {
    const SIGBUS: u8 = 7;
    let request = GenerationRequest {
        seed: 3,
        per_form: Some(12),
        sequences: Sequences::None,
        ..GenerationRequest::default()
    };
    let forms: Vec<Form> = Form::all()
        .filter(|form| machine_part(form.code()).is_some() && form.skip_reason().is_none())
        .collect();
    let blocks: Vec<Arc<Block>> = forms
        .iter()
        .flat_map(|&form| of_form(&request, form))
        .map(Arc::new)
        .collect();
    let job = CheckJob {
        image: None,
        placement: PLACEMENT,
        style: Style::Corners,
        reference: &native,
        subject: &subject,
        options: CheckOptions {
            tolerance,
            reduce: None,
            ..CheckOptions::default()
        },
    };
    let (sender, receiver) = sync_channel(64);
    let mut summary = CheckSummary::default();
    let mut culprits = Vec::new();
    std::thread::scope(|scope| {
        let work = scope.spawn(|| check_blocks(&job, &blocks, &{ sender }, &AtomicBool::new(false)));
        for report in receiver.into_iter().filter_map(CheckReport::into_block_report) {
            summary.add_report(&report);
            let real = report.findings.iter().filter(|finding| {
                !matches!(finding.expected.endpoint, Endpoint::Signal(signal) if signal.number == SIGBUS)
            });
            culprits.extend(
                real.filter_map(|finding| Some(finding.divergence.class.culprit.as_ref()?.form.clone())),
            );
        }
        work.join().unwrap().unwrap();
    });
    (summary, forms.len(), culprits)
}

#[test]
fn no_form_that_asks_the_machine_differs_from_itself() {
    let (summary, forms, _) = sweep(native, Tolerance::none());
    assert!(forms > 70, "{forms}");
    assert_eq!(summary.diverged, 0, "{summary:?}");
    assert!(summary.matched > 30_000, "{summary:?}");
}

#[test]
fn under_qemu_they_differ_where_it_is_wrong_only() {
    let (_, _, culprits) = sweep(qemu, Tolerance::qemu_user());
    let of = |name: &str| culprits.iter().filter(|form| form.starts_with(name)).count();
    // No check for canonical addresses; MXCSR goes with SSE alone.
    assert!(of("wrfsbase") > 0 && of("xsave") > 0, "{culprits:?}");
    // What the machine decides is no difference.
    for name in ["cpuid", "rdtsc", "xgetbv", "lar", "lsl", "sgdt", "sidt", "rdpmc"] {
        assert_eq!(of(name), 0, "{name}: {culprits:?}");
    }
}
