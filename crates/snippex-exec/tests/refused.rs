//! Encodings that processors refuse, run on the CPU and under qemu-user.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use snippex_core::diff::Tolerance;
use snippex_core::observation::Endpoint;
use snippex_core::seed::Style;
use snippex_core::state::MachineState;
use snippex_exec::RunOutcome;
use snippex_exec::check::{CheckJob, CheckOptions, CheckReport, check_blocks};
use snippex_exec::engine::{Engine, EngineError, EngineSpec, RunnerEngine};
use snippex_exec::reduce::{Reduced, ReductionLimits, reduce_case};

const PLACEMENT: Placement = Placement {
    image_base: 0x2_0000_0000,
    code_base: 0x2_1d60_0000,
};

fn block(address: u64, bytes: &[u8], count: u32, terminator: Terminator) -> Block {
    Block {
        address,
        bytes: bytes.to_vec(),
        instruction_count: count,
        terminator,
        successors: vec![],
        origin: Origin::Generated,
        unrunnable: None,
    }
}

fn native() -> RunnerEngine {
    RunnerEngine::start(EngineSpec::native()).unwrap()
}

fn qemu() -> RunnerEngine {
    let spec = EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask test does");
    RunnerEngine::start(spec).unwrap()
}

#[test]
fn the_cpu_says_what_is_refused_and_where() {
    let mut too_long = vec![0x90];
    too_long.extend([0x2e; 15]);
    too_long.push(0x90);
    for (bytes, signal) in [
        // nop; lock mov [rdi], eax and the like
        (&[0x90_u8, 0xf0, 0x89, 0x07][..], 4),
        (&[0x90, 0x8e, 0xc8], 4),
        (&[0x90, 0xc5, 0xfd, 0x6e, 0xc0], 4),
        (&[0x90, 0x66, 0xc5, 0xf0, 0x58, 0xc1], 4),
        (&too_long, 11),
    ] {
        let case = Case {
            block: Arc::new(block(0x1000, bytes, 2, Terminator::Trap)),
            placement: PLACEMENT,
            state: MachineState::default(),
            pages: [].into(),
        };
        let mut native = native();
        let groups = [snippex_core::group::Group::from_case(&case)];
        let results = native.run(&groups).unwrap();
        let RunOutcome::Ran(end) = results.outcome(0, 0) else {
            panic!("{bytes:02x?} is not run");
        };
        let Endpoint::Signal(raised) = end.endpoint else {
            panic!("{bytes:02x?}: {:?}", end.endpoint);
        };
        assert_eq!(
            (raised.number, raised.rip),
            (signal, PLACEMENT.code_base + 0x1001),
            "{bytes:02x?}"
        );
    }
}

#[test]
fn an_engine_that_executes_them_is_found_and_the_bug_named() {
    // Both are executed by qemu-user 7.2.
    let blocks = [
        Arc::new(block(0x1000, &[0xf0, 0x89, 0xc3], 1, Terminator::Trap)),
        Arc::new(block(0x2000, &[0xc5, 0xfd, 0x6e, 0xc0], 1, Terminator::Trap)),
    ];
    let boxed = |engine: RunnerEngine| -> Result<Box<dyn Engine>, EngineError> { Ok(Box::new(engine)) };
    let job = CheckJob {
        image: None,
        placement: PLACEMENT,
        reference: &|| boxed(native()),
        subject: &|| boxed(qemu()),
        style: Style::Corners,
        options: CheckOptions {
            states: 4,
            tolerance: Tolerance::qemu_user(),
            ..CheckOptions::default()
        },
    };
    let (sender, receiver) = sync_channel(64);
    check_blocks(&job, &blocks, &sender, &AtomicBool::new(false)).unwrap();
    drop(sender);
    let mut causes: Vec<String> = receiver
        .into_iter()
        .filter_map(CheckReport::into_block_report)
        .flat_map(|report| report.findings)
        .flat_map(|finding| finding.attributions)
        .map(|attribution| attribution.cause.to_string())
        .collect();
    causes.sort();
    assert_eq!(causes, ["invalid-lock", "invalid-vector-length"]);
}

/// Four thousand starts of a block that stores through pointers which it loads do not fit one batch.
#[test]
fn a_block_of_many_starts_is_run_in_parts() {
    // mov rax, [rax+0x18]; mov [rax], rdx
    let bytes = [0x48, 0x8b, 0x40, 0x18, 0x48, 0x89, 0x10];
    let blocks = [Arc::new(block(0x1000, &bytes, 2, Terminator::FallThrough))];
    let boxed = |engine: RunnerEngine| -> Result<Box<dyn Engine>, EngineError> { Ok(Box::new(engine)) };
    let job = CheckJob {
        image: None,
        placement: PLACEMENT,
        reference: &|| boxed(native()),
        subject: &|| boxed(native()),
        style: Style::Compiled,
        options: CheckOptions {
            states: 4096,
            ..CheckOptions::default()
        },
    };
    let (sender, receiver) = sync_channel(64);
    check_blocks(&job, &blocks, &sender, &AtomicBool::new(false)).unwrap();
    drop(sender);
    let report = receiver
        .into_iter()
        .find_map(CheckReport::into_block_report)
        .unwrap();
    assert_eq!((report.runs, report.matched), (4096, 4096));
    let writable = report
        .pages
        .iter()
        .filter(|(_, access)| *access == PageAccess::ReadWrite);
    assert!(writable.count() > 4, "{:?}", report.pages);
}

/// A REX without effect in front of an instruction that is wrong for another reason is not its cause.
#[test]
fn a_prefix_that_changes_nothing_is_not_the_cause() {
    let causes = |bytes: &[u8]| {
        let mut content = [0; PAGE_SIZE];
        content[0x938..0x93c].copy_from_slice(&[1, 0, 0, 0x10]);
        let mut state = MachineState::default();
        (state.gpr[10], state.gpr[15]) = (0x14, 0x3_1000_08e8);
        (state.x87.control, state.x87.tags) = (0x7f, 1);
        state.x87.st[0] = [0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0];
        let case = Case {
            block: Arc::new(block(0x1000, bytes, 1, Terminator::FallThrough)),
            placement: PLACEMENT,
            state,
            pages: [Page {
                address: 0x3_1000_0000,
                access: PageAccess::Read,
                content: Arc::new(content),
            }]
            .into(),
        };
        let reduced = reduce_case(
            &case,
            &mut native(),
            &mut qemu(),
            &Tolerance::qemu_user(),
            ReductionLimits::default(),
        );
        match reduced.unwrap() {
            Reduced::Bugs(bugs) => bugs.iter().map(|bug| bug.cause.to_string()).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    // fimul dword ptr [r15+r10*4]
    let plain = causes(&[0x43, 0xda, 0x0c, 0x97]);
    assert_eq!(causes(&[0x43, 0x43, 0xda, 0x0c, 0x97]), plain);
    assert!(!plain.contains(&"lost-rex".to_owned()), "{plain:?}");
}
