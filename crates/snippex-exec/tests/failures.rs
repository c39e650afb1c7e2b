//! Engines that do not work, and runs that take their engine down.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, Placement};
use snippex_core::group::Group;
use snippex_core::observation::Endpoint;
use snippex_core::state::MachineState;
use snippex_exec::RunOutcome;
use snippex_exec::engine::{Engine, EngineError, EngineSpec, RunnerEngine};

fn start(command: &str) -> String {
    let mut spec = EngineSpec::from_command("broken", command).unwrap();
    spec.start_patience = Duration::from_millis(500);
    let error = RunnerEngine::start(spec).unwrap_err();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

#[test]
fn a_missing_program_is_named() {
    assert!(start("/no/such/emulator").contains("failed to start /no/such/emulator"));
}

#[test]
fn a_program_that_exits_at_once_is_reported_with_its_words() {
    let text = start("sh -c 'echo no license >&2; exit 3' {runner}");
    assert!(
        text.contains("exited with status 3") && text.contains("no license"),
        "{text}"
    );
}

#[test]
fn a_program_that_prints_garbage_is_reported_with_it() {
    let text = start("sh -c 'echo Welcome to emulator 1.0; sleep 5' {runner}");
    assert!(text.contains("Welcome"), "{text}");
}

#[test]
fn a_program_that_hangs_is_given_up() {
    assert!(start("sleep 60").contains("exited") || start("sh -c 'sleep 60' {runner}").contains("in time"));
}

#[test]
fn an_emulator_is_not_native() {
    let mut spec = EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask test does");
    spec.native = true;
    assert!(matches!(
        RunnerEngine::start(spec),
        Err(EngineError::NotNative { .. })
    ));
}

const ADDRESS: u64 = 0x1000;
const PLACEMENT: Placement = Placement {
    image_base: 0x2_0000_0000,
    code_base: 0x2_1d60_0000,
};

fn case(address: u64, terminator: Terminator, bytes: &[u8], rax: u64) -> Case {
    let block = Block {
        address,
        bytes: bytes.to_vec(),
        instruction_count: 1,
        terminator,
        successors: vec![],
        origin: Origin::Entry,
        unrunnable: None,
    };
    let mut state = MachineState::default();
    state.gpr[0] = rax;
    Case {
        block: Arc::new(block),
        placement: PLACEMENT,
        state,
        pages: [].into(),
    }
}

/// As [`outcome_among_innocents`], of a case that runs.
fn among_innocents(guilty: &Case) -> Endpoint {
    match outcome_among_innocents(guilty) {
        RunOutcome::Ran(observation) => observation.endpoint,
        RunOutcome::Unsupported(reason) => panic!("{reason}"),
    }
}

/// Runs `inc rax`, the guilty case, `inc rax` in one batch: both neighbours must be right.
fn outcome_among_innocents(guilty: &Case) -> RunOutcome {
    let mut spec = EngineSpec::native();
    spec.patience = Duration::from_millis(300);
    let mut engine = RunnerEngine::start(spec).unwrap();
    let innocent = |address| case(address, Terminator::FallThrough, &[0x48, 0xff, 0xc0], 41);
    let cases = [innocent(0x5000), guilty.clone(), innocent(0x7000)];
    let groups: Vec<Group> = cases.iter().map(Group::from_case).collect();
    let results = engine.run(&groups).unwrap();
    for index in [0, 2] {
        let RunOutcome::Ran(observation) = results.outcome(index, 0) else {
            panic!("supported")
        };
        assert_eq!(observation.state.gpr[0], 42);
    }
    results.outcome(1, 0)
}

#[test]
fn an_endless_loop_is_marked_and_the_batch_goes_on() {
    // jmp rax, to itself
    let guilty = case(
        ADDRESS,
        Terminator::IndirectJmp,
        &[0xff, 0xe0],
        PLACEMENT.code_base + ADDRESS,
    );
    assert_eq!(among_innocents(&guilty), Endpoint::Hung);
}

#[test]
fn a_fault_of_the_runner_is_none_of_the_engine_and_the_batch_goes_on() {
    // jmp rax, into the runner's own headers, which are not executable
    let guilty = case(ADDRESS, Terminator::IndirectJmp, &[0xff, 0xe0], 0x7000_0000);
    let RunOutcome::Unsupported(reason) = outcome_among_innocents(&guilty) else {
        panic!("it counts as run");
    };
    assert!(
        reason.to_string().contains("the runner itself raises a signal"),
        "{reason}"
    );
}

#[test]
fn a_run_that_overwrites_the_runner_is_marked_and_the_batch_goes_on() {
    let canary = 0x7010_0000 + std::mem::offset_of!(snippex_runner::layout::Header, canary) as u64;
    // mov [rax], rax
    let guilty = case(ADDRESS, Terminator::FallThrough, &[0x48, 0x89, 0x00], canary);
    assert!(matches!(among_innocents(&guilty), Endpoint::EngineDied { .. }));
}

#[test]
fn invalid_groups_are_refused() {
    let mut engine = RunnerEngine::start(EngineSpec::native()).unwrap();
    let mut reserved = case(ADDRESS, Terminator::FallThrough, &[0x90], 0);
    reserved.state.mxcsr = 0x1_0000;
    let mut trap = case(ADDRESS, Terminator::FallThrough, &[0x90], 0);
    trap.state.rflags |= 0x100;
    for case in [reserved, trap] {
        let groups = [Group::from_case(&case)];
        assert!(matches!(engine.run(&groups), Err(EngineError::Batch(_))));
    }
    let twice = case(ADDRESS, Terminator::FallThrough, &[0x90], 0);
    let groups = [Group::from_case(&twice), Group::from_case(&twice)];
    assert!(matches!(engine.run(&groups), Err(EngineError::Batch(_))));
    assert_eq!(snippex_exec::batch::split_into_batches(&groups).len(), 2);
}

#[test]
fn an_engine_that_is_updated_while_in_use_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("emulator");
    // What an update does: a new file in the place of the old one.
    let install = |version: &str| {
        let script =
            format!("#!/bin/sh\n[ \"$1\" = --version ] && {{ echo {version}; exit; }}\nexec \"$@\"\n");
        let new = folder.path().join("new");
        std::fs::write(&new, script).unwrap();
        std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(&new, &program).unwrap();
    };
    install("1.0");
    let command = format!("{} {{runner}}", program.display());
    let mut engine = RunnerEngine::start(EngineSpec::from_command("mine", &command).unwrap()).unwrap();
    assert_eq!(engine.identity().version, "1.0");
    // The same version again, as a reinstallation leaves it.
    install("1.0");
    engine.restart().unwrap();
    install("2.0");
    match engine.restart() {
        Err(EngineError::Changed { before, after, .. }) => {
            assert_eq!((&before[..], &after[..]), ("1.0", "2.0"));
        }
        other => panic!("{other:?}"),
    }
}
