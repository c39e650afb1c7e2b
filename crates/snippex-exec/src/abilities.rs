//! What an engine can and cannot do, in words: one small case for each thing in which emulators are known to stay
//! behind a processor.
//!
//! None of it keeps an engine from being compared; that is for [`crate::engine_check`].

use snippex_core::address_space::ARENA;
use snippex_core::block::Terminator;
use snippex_core::case::{Case, PageAccess};
use snippex_core::group::Group;
use snippex_core::observation::{Endpoint, Observation};
use snippex_core::observation::{SIGBUS, SIGFPE, SIGSEGV};
use snippex_core::state::{Components, rflags};
use snippex_formats::conformance::TestProgram;

use crate::engine::{Engine, EngineError, ProgramOutcome};
use crate::engine_check::build_case;
use crate::results::RunOutcome;

/// One thing that an engine can or cannot do.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Ability {
    /// What it is, such as `division by zero raises SIGFPE`.
    pub what: &'static str,
    /// Whether the engine does it.
    pub can: bool,
    /// What happened instead, when it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
}

struct Probe {
    what: &'static str,
    case: Case,
    check: fn(&Observation) -> bool,
}

/// Tries everything.
///
/// # Errors
/// When the engine cannot be used.
pub fn probe_abilities(engine: &mut dyn Engine) -> Result<Vec<Ability>, EngineError> {
    let components = engine.identity().components;
    let parts = [
        (Components::AVX, "256-bit vector registers (AVX) are compared"),
        (
            Components::AVX512,
            "512-bit vector and mask registers (AVX-512) are compared",
        ),
        (
            Components::SEGMENT_BASES,
            "the bases of FS and GS are compared at the end",
        ),
    ];
    let mut found: Vec<Ability> = parts
        .into_iter()
        .map(|(component, what)| Ability {
            what,
            can: components.contains(component),
            instead: (!components.contains(component)).then(|| "it does not have them".into()),
        })
        .collect();
    for probe in probes() {
        let groups = [Group::from_case(&probe.case)];
        let (can, instead) = match engine.run(&groups)?.outcome(0, 0) {
            RunOutcome::Unsupported(reason) => (false, reason.to_string()),
            RunOutcome::Ran(observation) => ((probe.check)(&observation), describe(&observation)),
        };
        found.push(Ability {
            what: probe.what,
            can,
            instead: (!can).then_some(instead),
        });
    }
    found.extend(programs(engine)?);
    Ok(found)
}

fn describe(observation: &Observation) -> String {
    match observation.endpoint {
        Endpoint::Exit { .. } => format!(
            "it went on, MXCSR {:#x}, x87 status {:#x}",
            observation.state.mxcsr, observation.state.x87.status
        ),
        Endpoint::Signal(signal) => format!(
            "signal {}, code {}, address {:#x}",
            signal.number, signal.code, signal.address
        ),
        Endpoint::Hung => "it did not end".into(),
        Endpoint::EngineDied { .. } => "the engine died".into(),
    }
}

fn signals(observation: &Observation, number: u8) -> bool {
    matches!(observation.endpoint, Endpoint::Signal(signal) if signal.number == number)
}

fn probes() -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut add = |what, case, check| probes.push(Probe { what, case, check });
    let fall = Terminator::FallThrough;
    // divss xmm0, xmm1: one by zero.
    let by_zero = |mxcsr: u32| {
        build_case(fall, &[0xf3, 0x0f, 0x5e, 0xc1], |b| {
            b.state.mxcsr = mxcsr;
            b.state.vectors[0][..4].copy_from_slice(&1.0_f32.to_le_bytes());
        })
    };
    add(
        "an integer division by zero raises SIGFPE",
        build_case(fall, &[0xf7, 0xf1], |b| b.set_register(0, 7)),
        |o| signals(o, SIGFPE),
    );
    add("an unmasked SSE exception raises SIGFPE", by_zero(0x1d80), |o| {
        signals(o, SIGFPE)
    });
    add("MXCSR keeps exception flags", by_zero(0x1f80), |o| {
        o.state.mxcsr & 4 != 0
    });
    add(
        "reserved bits in LDMXCSR raise SIGSEGV",
        build_case(fall, &[0x0f, 0xae, 0x17], |b| {
            b.set_register(7, ARENA);
            b.add_page(ARENA, PageAccess::Read, 0xff);
        }),
        |o| signals(o, SIGSEGV),
    );
    add(
        "a misaligned SSE operand raises SIGSEGV",
        build_case(fall, &[0x0f, 0x28, 0x07], |b| {
            b.set_register(7, ARENA + 1);
            b.add_page(ARENA, PageAccess::Read, 0);
        }),
        |o| signals(o, SIGSEGV),
    );
    add(
        "a misaligned operand with the AC flag raises SIGBUS",
        build_case(fall, &[0x8b, 0x07], |b| {
            b.set_register(7, ARENA + 1);
            b.add_page(ARENA, PageAccess::Read, 0);
            b.state.rflags |= rflags::AC;
        }),
        |o| signals(o, SIGBUS),
    );
    add(
        "a page fault tells its address",
        build_case(fall, &[0x8b, 0x07], |b| b.set_register(7, ARENA + 0x123)),
        |o| matches!(o.endpoint, Endpoint::Signal(signal) if signal.address == ARENA + 0x123),
    );
    add(
        "registers at a signal are those of the instruction that faults",
        build_case(fall, &[0x48, 0xff, 0xc0, 0x8b, 0x0f], |b| {
            b.set_register(0, 41);
            b.set_register(7, ARENA);
        }),
        |o| signals(o, SIGSEGV) && o.state.gpr[0] == 42,
    );
    add(
        "x87 registers keep 64 bits of a significand",
        // fldpi
        build_case(fall, &[0xd9, 0xeb], |_| ()),
        |o| o.state.x87.st[0] == [0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40],
    );
    add(
        "the x87 stack notices that it is empty",
        // fld st(0)
        build_case(fall, &[0xd9, 0xc0], |_| ()),
        |o| o.state.x87.status & 0x41 == 0x41,
    );
    add(
        "the x87 stack can start at any register",
        build_case(fall, &[0x90], |b| {
            b.state.x87.status = 3 << 11;
            b.state.x87.tags = 1 << 3;
            b.state.x87.st[0] = [1, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f];
        }),
        |o| o.state.x87.top() == 3 && o.state.x87.st[0][0] == 1,
    );
    probes
}

/// Whole programs, one that changes its own code, and one of 32-bit code.
fn programs(engine: &mut dyn Engine) -> Result<Vec<Ability>, EngineError> {
    // mov eax, 1; mov byte [0x10001], 2; cmp eax, 2; jne 0x10000; hlt
    let changes = [
        0xb8, 1, 0, 0, 0, 0xc6, 0x04, 0x25, 1, 0, 1, 0, 2, 0x83, 0xf8, 2, 0x75, 0xee, 0xf4,
    ];
    let tried = [
        (
            "whole programs run until hlt",
            TestProgram::from_flat_code(vec![0xb8, 2, 0, 0, 0, 0xf4]),
        ),
        (
            "code that changes itself runs",
            TestProgram::from_flat_code(changes.to_vec()),
        ),
        (
            "32-bit programs run until hlt",
            // mov eax, 12h; aam, which is no instruction of 64-bit code; movzx eax, ah; inc eax; hlt
            TestProgram::from_flat_code_32(vec![
                0xb8, 0x12, 0, 0, 0, 0xd4, 0x0a, 0x0f, 0xb6, 0xc4, 0x40, 0xf4,
            ]),
        ),
    ];
    let list: Vec<TestProgram> = tried.iter().map(|(_, program)| program.clone()).collect();
    let outcomes = engine.run_programs(&list)?;
    let judged = tried.into_iter().zip(outcomes).map(|((what, _), outcome)| {
        let instead = match outcome {
            ProgramOutcome::Unsupported(reason) => Some(reason.to_string()),
            ProgramOutcome::Ended(end) if end.has_halted() && end.state.gpr[0] == 2 => None,
            ProgramOutcome::Ended(end) => Some(format!("{:x?}", end.endpoint)),
        };
        Ability {
            what,
            can: instead.is_none(),
            instead,
        }
    });
    Ok(judged.collect())
}
