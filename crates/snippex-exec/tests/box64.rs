//! box64 for real: `SNIPPEX_TEST_BOX64` names a program that runs it, perhaps under qemu-user. `cargo xtask test --only arm64`
//! fetches those of Debian and runs these tests with each.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::thread;

use iced_x86::code_asm::*;
use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_core::address_space::{ARENA, CODE_DISTANCE, IMAGE_BASE, place_image};
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use snippex_core::group::Group;
use snippex_core::observation::Observation;
use snippex_core::state::MachineState;
use snippex_exec::RunOutcome;
use snippex_exec::check::{BlockReport, CheckJob, CheckOptions, CheckReport, CheckSummary, check_blocks};
use snippex_exec::engine::{Engine, EngineEntry, EngineError, EngineTable, RunnerEngine, RunnerStyle};
use snippex_exec::engine_check::check_engine_under;

const PLACEMENT: Placement = Placement {
    image_base: IMAGE_BASE,
    code_base: IMAGE_BASE + CODE_DISTANCE,
};
const NEEDS: &str = "needs box64: cargo xtask test --only arm64";

/// The preset, with the program that the environment names, and one whose runner makes system calls.
fn table() -> EngineTable {
    let program = std::env::var("SNIPPEX_TEST_BOX64").expect(NEEDS);
    let here = EngineEntry {
        command: Some(format!("{program} {{arguments}} {{runner}}")),
        version: Some(format!("{program} --version")),
        ..EngineEntry::default()
    };
    let calls_nobody = EngineEntry {
        like: Some("box64".to_owned()),
        runner: Some(RunnerStyle::Static),
        ..here.clone()
    };
    EngineTable::new([("box64".to_owned(), here), ("static".to_owned(), calls_nobody)])
}

fn start(name: &str) -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(RunnerEngine::start(
        table().resolve_spec(name).unwrap(),
    )?))
}

#[test]
#[ignore = "needs box64: cargo xtask test --only arm64"]
fn it_can_be_compared_in_each_way_of_running_code() {
    for name in ["box64", "box64/interpreter", "box64/accurate"] {
        let mut engine = start(name).unwrap();
        let tolerance = table().tolerance(name);
        let failures = check_engine_under(engine.as_mut(), &tolerance).unwrap();
        assert!(failures.is_empty(), "{name}: {failures:#?}");
        let lacking = &engine.identity().lacking;
        assert!(
            lacking.len() == 1 && lacking[0].contains("x87"),
            "{name}: {lacking:?}"
        );
        assert_eq!(engine.identity().cpu.emulator(), Some("Box64"));
    }
}

#[test]
#[ignore = "needs box64: cargo xtask test --only arm64"]
fn what_a_program_without_libc_cannot_do_is_told_before_it_does_harm() {
    // Some versions end at the first system call that they do not know.
    match start("static") {
        Ok(engine) => {
            let lacking = engine.identity().lacking.join("; ");
            assert!(
                lacking.contains("preadv") && lacking.contains("a fault"),
                "{lacking}"
            );
        }
        Err(error) => assert!(error.to_string().contains("did not run the runner"), "{error}"),
    }
}

fn block(number: u64, terminator: Terminator, build: impl FnOnce(&mut CodeAssembler)) -> Arc<Block> {
    let mut assembler = CodeAssembler::new(64).unwrap();
    build(&mut assembler);
    let address = 0x1000 + number * 0x1000;
    let count = assembler.instructions().len();
    let bytes = assembler.assemble(address).unwrap();
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

/// What compilers make, with loads, stores, flags and faults among it.
fn blocks() -> Vec<Arc<Block>> {
    type Build = fn(&mut CodeAssembler);
    let list: &[(Terminator, Build)] = &[
        (Terminator::FallThrough, |a| a.add(rax, rbx).unwrap()),
        (Terminator::FallThrough, |a| {
            a.mov(qword_ptr(rdi), rax).unwrap();
            a.mov(rbx, qword_ptr(rdi + 8)).unwrap();
        }),
        (Terminator::FallThrough, |a| a.vpaddd(ymm1, ymm2, ymm3).unwrap()),
        (Terminator::FallThrough, |a| {
            a.mov(ecx, dword_ptr(rsi + rcx * 4)).unwrap();
        }),
        (Terminator::FallThrough, |a| {
            a.push(rbx).unwrap();
            a.sub(rsp, 0x20).unwrap();
        }),
        (Terminator::Trap, |a| a.ud2().unwrap()),
        (Terminator::IndirectJmp, |a| a.jmp(rax).unwrap()),
        (Terminator::FallThrough, |a| a.div(ecx).unwrap()),
        (Terminator::FallThrough, |a| a.cvttsd2si(rax, xmm1).unwrap()),
        (Terminator::FallThrough, |a| a.divps(xmm0, xmm1).unwrap()),
    ];
    list.iter()
        .enumerate()
        .map(|(number, (terminator, build))| block(number as u64, *terminator, build))
        .collect()
}

/// What came of [`blocks`], and each way in which runs differ.
fn compare(reference: &'static str, subject: &'static str) -> (CheckSummary, Vec<String>) {
    compare_blocks((reference, subject), &blocks(), None, PLACEMENT)
}

/// What came of blocks of `image`, and each way in which runs differ.
fn compare_blocks(
    (reference, subject): (&'static str, &'static str),
    blocks: &[Arc<Block>],
    image: Option<&Image<'_>>,
    placement: Placement,
) -> (CheckSummary, Vec<String>) {
    let start_reference = || match reference {
        "native" => {
            Ok(Box::new(RunnerEngine::start(table().resolve_spec("native").unwrap())?) as Box<dyn Engine>)
        }
        name => start(name),
    };
    let start_subject = || start(subject);
    let job = CheckJob {
        image,
        placement,
        style: snippex_core::seed::Style::Compiled,
        reference: &start_reference,
        subject: &start_subject,
        options: CheckOptions {
            states: 32,
            tolerance: table().tolerance(subject),
            ..CheckOptions::default()
        },
    };
    let (sender, receiver) = sync_channel(64);
    let reports: Vec<BlockReport> = thread::scope(|scope| {
        let received = scope.spawn(|| {
            let reports = receiver.into_iter().filter_map(CheckReport::into_block_report);
            reports.collect()
        });
        check_blocks(&job, blocks, &sender, &AtomicBool::new(false)).unwrap();
        drop(sender);
        received.join().unwrap()
    });
    let mut summary = CheckSummary::default();
    reports.iter().for_each(|report| summary.add_report(report));
    let findings = reports.iter().flat_map(|report| &report.findings);
    let differing = findings.map(|finding| {
        let divergence = &finding.divergence;
        format!("{:?} {:?}", divergence.class, divergence.differences)
    });
    (summary, differing.collect())
}

#[test]
#[ignore = "needs box64: cargo xtask test --only arm64"]
fn code_of_compilers_runs_and_what_differs_is_documented() {
    let (summary, differing) = compare("native", "box64");
    let runs = summary.matched + summary.diverged + summary.unsupported_runs();
    assert!(summary.unsupported_runs() * 20 <= runs, "{summary:?}");
    assert_eq!(summary.diverged, 0, "{differing:#?}");
}

/// Runs `build` on box64 from a start with these x87 registers, of which the last `count` are full, and RDI in a page of its own.
fn run_x87(count: u8, build: impl FnOnce(&mut CodeAssembler)) -> Observation {
    let mut state = MachineState::default();
    state.gpr[7] = ARENA;
    let top = (8 - count) & 7;
    state.x87.status = u16::from(top) << 11;
    state.x87.tags = (0xff_u16 << (8 - count)) as u8;
    // ST(n) is 2 to the power of n.
    state.x87.st = std::array::from_fn(|index| {
        let [low, high] = (0x3fff + index as u16).to_le_bytes();
        [0, 0, 0, 0, 0, 0, 0, 0x80, low, high]
    });
    let page = Page {
        address: ARENA,
        access: PageAccess::ReadWrite,
        content: Arc::new([0; PAGE_SIZE]),
    };
    let groups = [Group::from_case(&Case {
        block: block(0, Terminator::FallThrough, build),
        placement: PLACEMENT,
        state,
        pages: Arc::new([page]),
    })];
    let mut engine = start("box64").unwrap();
    match engine.run(&groups).unwrap().outcome(0, 0) {
        RunOutcome::Ran(observation) => *observation,
        RunOutcome::Unsupported(reason) => panic!("{reason}"),
    }
}

#[test]
#[ignore = "needs box64: cargo xtask test --only arm64"]
fn x87_and_mmx_registers_are_loaded_wherever_the_top_of_the_stack_is() {
    for count in [8, 5, 1] {
        let end = run_x87(count, |a| {
            a.fadd_2(st0, st1).unwrap();
            a.fstp(qword_ptr(rdi)).unwrap();
        });
        // ST(1) is there in any case; whether it counts as empty box64 does not ask.
        assert_eq!(end.memory[0].bytes[..8], 3_f64.to_le_bytes(), "{count}");
    }
    let end = run_x87(8, |a| a.movq(qword_ptr(rdi), mm3).unwrap());
    assert_eq!(end.memory[0].bytes[..8], (1_u64 << 63).to_le_bytes());
}

#[test]
#[ignore = "needs box64: cargo xtask test --only arm64"]
fn of_a_program_nearly_all_runs_are_completed_that_the_processor_completes() {
    let program = std::fs::read("/bin/bash").unwrap();
    let image = Image::parse(&program).unwrap();
    let index = extract_blocks(&image);
    let runnable = index.iter().filter(|block| block.unrunnable.is_none());
    let blocks: Vec<Arc<Block>> = runnable.step_by(40).map(Arc::new).collect();
    let placement = place_image(&image.address_range(), image.position_independent()).unwrap();
    let judged = |subject: &'static str| {
        let (summary, _) = compare_blocks(("native", subject), &blocks, Some(&image), placement);
        let judged = summary.matched + summary.diverged;
        (judged, summary)
    };
    let (on_cpu, summary) = judged("native");
    assert!(on_cpu > 1_000, "{summary:?}");
    let (on_box64, summary) = judged("box64");
    assert!(
        on_box64 * 100 >= on_cpu * 95,
        "{on_box64} of {on_cpu}: {summary:?}"
    );
}

#[test]
#[ignore = "needs box64: cargo xtask test --only arm64"]
fn the_dynarec_is_compared_with_the_interpreter_where_there_is_no_processor() {
    let (summary, differing) = compare("box64/interpreter", "box64");
    // The interpreter leaves registers alone when a quotient does not fit, the dynarec cuts it: #DE by the manual.
    let unknown: Vec<&String> = differing
        .iter()
        .filter(|text| !text.contains("div r32"))
        .collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    assert!(!differing.is_empty() && summary.matched > 0, "{summary:?}");
}
