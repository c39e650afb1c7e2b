//! Whole programs on real engines, among blocks, in one process.
#![expect(clippy::unwrap_used, reason = "tests")]

use snippex_core::observation::Endpoint;
use snippex_exec::engine::{Engine, EngineSpec, ProgramOutcome, RunnerEngine};
use snippex_exec::engine_check::check_engine;
use snippex_formats::conformance::{Area, ProgramEnd, TestProgram};

fn engines() -> [RunnerEngine; 2] {
    let qemu = EngineSpec::from_preset("qemu-x86_64").unwrap();
    let start = |spec| {
        let patience = std::time::Duration::from_secs(1);
        RunnerEngine::start(EngineSpec { patience, ..spec }).unwrap()
    };
    [start(EngineSpec::native()), start(qemu)]
}

fn ends(engine: &mut RunnerEngine, programs: &[TestProgram]) -> Vec<ProgramEnd> {
    let outcomes = engine.run_programs(programs).unwrap();
    let ended = |outcome| match outcome {
        ProgramOutcome::Ended(end) => *end,
        ProgramOutcome::Unsupported(reason) => panic!("{reason}"),
    };
    outcomes.into_iter().map(ended).collect()
}

/// `mov eax, N; hlt`
fn returns(number: u8) -> TestProgram {
    TestProgram::from_flat_code(vec![0xb8, number, 0, 0, 0, 0xf4])
}

#[test]
fn programs_at_one_address_do_not_see_each_other_and_a_bad_one_costs_only_itself() {
    // inc dword [0x10020]; mov eax, [0x10020]; mov [0xe0000000], eax; hlt
    let changes = vec![
        0xff, 0x04, 0x25, 0x20, 0, 1, 0, 0x8b, 0x04, 0x25, 0x20, 0, 1, 0, 0x89, 0x04, 0x25, 0, 0, 0, 0xe0,
        0xf4,
    ];
    let mut stores = TestProgram::from_flat_code(changes);
    stores.areas.push(Area {
        address: 0x5_0000_0000,
        size: 1 << 32,
    });
    // mov eax, [0xe0000000]; hlt
    let loads = TestProgram::from_flat_code(vec![0x8b, 0x04, 0x25, 0, 0, 0, 0xe0, 0xf4]);
    let forever = TestProgram::from_flat_code(vec![0xeb, 0xfe]);
    // xor edi, edi; mov eax, 231; syscall
    let exits = TestProgram::from_flat_code(vec![0x31, 0xff, 0xb8, 231, 0, 0, 0, 0x0f, 0x05]);
    // mov [0x70100000], eax (the header of the runner); hlt
    let corrupts = TestProgram::from_flat_code(vec![0x89, 0x04, 0x25, 0, 0, 0x10, 0x70, 0xf4]);
    let mut programs = vec![
        returns(1),
        stores.clone(),
        loads,
        forever,
        exits,
        stores,
        corrupts,
        returns(7),
    ];
    programs.extend((0..100).map(returns));
    for engine in &mut engines() {
        let ends = ends(engine, &programs);
        let rax: Vec<u64> = ends.iter().map(|end| end.state.gpr[0]).collect();
        assert_eq!((rax[0], rax[1], rax[2], rax[5], rax[7]), (1, 1, 0, 1, 7));
        assert_eq!(ends[3].endpoint, Endpoint::Hung);
        assert_eq!(ends[4].endpoint, Endpoint::EngineDied { signal: None });
        assert!(!ends[3].has_halted() && !ends[4].has_halted());
        for (number, end) in ends[8..].iter().enumerate() {
            assert!(
                end.has_halted() && end.state.gpr[0] == number as u64,
                "{number}: {end:?}"
            );
        }
        // The same engine still runs blocks, and programs after them.
        assert!(check_engine(engine).unwrap().is_empty());
        assert_eq!(self::ends(engine, &[returns(9)])[0].state.gpr[0], 9);
    }
}

#[test]
fn what_cannot_be_mapped_is_unsupported() {
    let mut program = returns(1);
    program.areas.push(Area {
        address: 0x7000_0000,
        size: 1,
    });
    let [mut native, _] = engines();
    let outcomes = native.run_programs(&[program, returns(2)]).unwrap();
    assert!(matches!(outcomes[0], ProgramOutcome::Unsupported(_)));
    assert!(matches!(&outcomes[1], ProgramOutcome::Ended(end) if end.has_halted()));
}
