//! Whole programs on real engines, among blocks, in one process.
#![expect(clippy::unwrap_used, reason = "tests")]

use snippex_core::observation::Endpoint;
use snippex_exec::Unsupported;
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

/// `mov eax, [0xe0000000]; inc dword [0xe0000000]; inc eax; push edi; pop esi; hlt`, where `inc eax` is a REX prefix in 64-bit
/// code.
fn counts_in_32_bits() -> TestProgram {
    let mut program = TestProgram::from_flat_code_32(vec![
        0xa1, 0, 0, 0, 0xe0, 0xff, 0x05, 0, 0, 0, 0xe0, 0x40, 0x57, 0x5e, 0xf4,
    ]);
    program.data.push((0xe000_0000, vec![7]));
    program.state.gpr[4] = 0xc000_1000;
    program.state.gpr[7] = 0x1234_5678;
    program
}

#[test]
fn programs_of_64_and_32_bits_run_in_one_list() {
    // jmp $
    let forever = TestProgram::from_flat_code_32(vec![0xeb, 0xfe]);
    // xor ebx, ebx; mov eax, 1; int 0x80
    let exits = TestProgram::from_flat_code_32(vec![0x31, 0xdb, 0xb8, 1, 0, 0, 0, 0xcd, 0x80]);
    // mov eax, [0x20]
    let faults = TestProgram::from_flat_code_32(vec![0xa1, 0x20, 0, 0, 0]);
    let programs = [
        counts_in_32_bits(),
        returns(3),
        forever,
        exits,
        faults,
        counts_in_32_bits(),
    ];
    for engine in &mut engines() {
        let ends = ends(engine, &programs);
        for end in [&ends[0], &ends[5]] {
            assert!(end.has_halted(), "{end:?}");
            assert_eq!((end.state.gpr[0], end.state.gpr[6]), (8, 0x1234_5678));
        }
        assert!(ends[1].has_halted() && ends[1].state.gpr[0] == 3);
        assert_eq!(ends[2].endpoint, Endpoint::Hung);
        assert_eq!(ends[3].endpoint, Endpoint::EngineDied { signal: None });
        let Endpoint::Signal(signal) = ends[4].endpoint else {
            panic!("{:?}", ends[4]);
        };
        assert_eq!((signal.number, signal.rip, signal.address), (11, 0x1_0000, 0x20));
    }
}

#[test]
fn an_engine_without_a_program_for_32_bits_says_so() {
    // Nobody knows what an emulator of this name has.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("emulator");
    std::fs::write(&program, "#!/bin/sh\nexec qemu-x86_64 -cpu max \"$@\"\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let spec = EngineSpec::from_command("mine", &format!("{} {{runner}}", program.display())).unwrap();
    let mut engine = RunnerEngine::start(spec).unwrap();
    let outcomes = engine.run_programs(&[counts_in_32_bits(), returns(3)]).unwrap();
    assert_eq!(outcomes[0], ProgramOutcome::Unsupported(Unsupported::Programs32));
    assert!(matches!(&outcomes[1], ProgramOutcome::Ended(end) if end.has_halted()));
}
