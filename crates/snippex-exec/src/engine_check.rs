//! The test that every engine passes: cases whose end state follows from the manual, one for each thing that the rest
//! of the crate relies on.
//!
//! An engine that fails here is not wired up right (or is so wrong that comparing blocks on it is no use). Subtler
//! errors of an emulator are what [`crate::check`] is for.

use std::sync::Arc;

use snippex_core::address_space::{ARENA, CODE_DISTANCE, IMAGE_BASE, STACK};
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use snippex_core::diff::{ExcusedBits, Tolerance};
use snippex_core::group::Group;
use snippex_core::observation::{Endpoint, Observation};
use snippex_core::seed::{Style, vector_pool};
use snippex_core::state::{Components, MachineState, RSP, rflags};

use crate::engine::{Engine, EngineError};
use crate::results::RunOutcome;

const PLACEMENT: Placement = Placement {
    image_base: IMAGE_BASE,
    code_base: IMAGE_BASE + CODE_DISTANCE,
};
const ADDRESS: u64 = 0x1000;
const STATE_AT_FAULT: &str = "a register keeps what was in it when a run faults";
pub(crate) const CODE: u64 = PLACEMENT.code_base + ADDRESS;

/// One thing an engine must do.
#[derive(Clone, Debug)]
pub struct CheckFailure {
    /// What was tried.
    pub name: &'static str,
    /// What happened instead.
    pub problem: String,
}

type Expectation = fn(&Case, &Observation) -> Result<(), String>;

struct Test {
    name: &'static str,
    case: Case,
    expect: Expectation,
}

/// Runs all tests of the engine check on `engine`; empty when it passes.
///
/// # Errors
/// When the engine cannot be used.
pub fn check_engine(engine: &mut dyn Engine) -> Result<Vec<CheckFailure>, EngineError> {
    check_engine_under(engine, &Tolerance::none())
}

/// As [`check_engine`], for an engine that documents to do some things otherwise.
///
/// # Errors
/// When the engine cannot be used.
pub fn check_engine_under(
    engine: &mut dyn Engine,
    tolerance: &Tolerance,
) -> Result<Vec<CheckFailure>, EngineError> {
    let components = engine.identity().components;
    let mut excused = tolerance.excused_bits();
    // Bits without a name are not compared anywhere.
    let named = rflags::NAMES.iter().fold(0, |all, (_, flag)| all | flag);
    excused.flags |= !named;
    let mut failures = Vec::new();
    for (test, fresh) in tests().iter().flat_map(|test| [(test, false), (test, true)]) {
        if test.name == STATE_AT_FAULT && tolerance.is_imprecise_at_signals() {
            continue;
        }
        let group = [Group::from_case(&test.case)];
        let results = if fresh {
            engine.run_fresh(&group)?
        } else {
            engine.run(&group)?
        };
        let result = match results.outcome(0, 0) {
            RunOutcome::Ran(mut observation) => {
                let before = test.case.state.rflags;
                let found = &mut observation.state.rflags;
                *found = *found & !excused.flags | before & excused.flags;
                (test.expect)(&test.case, &observation)
            }
            RunOutcome::Unsupported(reason) => Err(reason.to_string()),
        };
        failures.extend(result.err().map(|problem| CheckFailure {
            name: test.name,
            problem: if fresh {
                format!("in a process of its own: {problem}")
            } else {
                problem
            },
        }));
    }
    // Every vector, x87 and opmask register survives the way in and out.
    let nop = build_case(Terminator::FallThrough, &[0x90], |_| ());
    let starts = vector_pool(1, Style::Compiled).len();
    let group = Group {
        vector_pool: vector_pool(1, Style::Compiled),
        ..Group::from_case(&nop)
    };
    let group = Group {
        starts: (0..starts)
            .map(|index| snippex_core::group::Start {
                vectors: index as u32,
                ..group.starts[0]
            })
            .collect(),
        ..group
    };
    let groups = [group];
    let results = engine.run(&groups)?;
    for index in 0..starts {
        // An engine may say that it cannot load a state; if it runs, all it covers must be there.
        if let RunOutcome::Ran(observation) = results.outcome(0, index)
            && let Err(problem) = same_state(
                &groups[0].start_state(index),
                &observation.state,
                components,
                excused,
            )
        {
            failures.push(CheckFailure {
                name: "a state goes in and comes out unchanged",
                problem,
            });
            break;
        }
    }
    Ok(failures)
}

pub(crate) fn build_case(terminator: Terminator, bytes: &[u8], prepare: impl FnOnce(&mut Builder)) -> Case {
    let mut builder = Builder {
        state: MachineState::default(),
        pages: Vec::new(),
    };
    builder.state.gpr[RSP] = STACK + 0x800;
    prepare(&mut builder);
    let block = Block {
        address: ADDRESS,
        bytes: bytes.to_vec(),
        instruction_count: 1,
        terminator,
        successors: vec![],
        origin: Origin::Entry,
        unrunnable: None,
    };
    builder.pages.sort_by_key(|page| page.address);
    Case {
        block: Arc::new(block),
        placement: PLACEMENT,
        state: builder.state,
        pages: builder.pages.into(),
    }
}

/// A case under construction.
pub(crate) struct Builder {
    pub(crate) state: MachineState,
    pages: Vec<Page>,
}

impl Builder {
    pub(crate) fn set_register(&mut self, register: usize, value: u64) {
        self.state.gpr[register] = value;
    }

    pub(crate) fn add_page(&mut self, address: u64, access: PageAccess, fill: u8) {
        self.pages.push(Page {
            address,
            access,
            content: Arc::new([fill; PAGE_SIZE]),
        });
    }
}

fn expect(condition: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(problem()) }
}

fn exits_to(observation: &Observation, target: u64) -> Result<(), String> {
    let found = observation.endpoint;
    expect(found == Endpoint::Exit { target }, || {
        format!("expected an exit to {target:#x}, found {found:x?}")
    })
}

fn signals(observation: &Observation, number: u8, rip: u64) -> Result<(), String> {
    match observation.endpoint {
        Endpoint::Signal(signal) if signal.number == number && signal.rip == rip => Ok(()),
        found => Err(format!("expected signal {number} at {rip:#x}, found {found:x?}")),
    }
}

fn same_state(
    expected: &MachineState,
    found: &MachineState,
    covered: Components,
    excused: ExcusedBits,
) -> Result<(), String> {
    expect(
        expected.gpr == found.gpr && (expected.rflags ^ found.rflags) & !excused.flags == 0,
        || "general registers changed".into(),
    )?;
    let has_x87 = covered.contains(Components::X87);
    let used = |state: &MachineState| {
        let mut x87 = state.x87;
        x87.status &= !excused.x87_status;
        for index in (0..8).filter(|&index| excused.empty_x87_registers && state.x87.is_empty(index)) {
            x87.st[usize::from(index)] = [0; 10];
        }
        (has_x87.then_some(x87), state.mxcsr & !excused.mxcsr)
    };
    expect(used(expected) == used(found), || {
        format!(
            "x87 or MXCSR changed: {:x?} to {:x?}",
            used(expected),
            used(found)
        )
    })?;
    let width = match covered {
        covered if covered.contains(Components::AVX512) => 64,
        covered if covered.contains(Components::AVX) => 32,
        _ => 16,
    };
    let registers = if width == 64 { 32 } else { 16 };
    let changed = (0..registers).find(|&n| expected.vectors[n][..width] != found.vectors[n][..width]);
    expect(changed.is_none(), || {
        format!("vector register {changed:?} changed")
    })?;
    let opmask = !covered.contains(Components::AVX512) || expected.opmask == found.opmask;
    expect(opmask, || "opmask registers changed".into())
}

fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    let mut add = |name, case, expect| tests.push(Test { name, case, expect });

    add(
        "a fall-through exits behind the block, with result and flags",
        build_case(Terminator::FallThrough, &[0x48, 0x01, 0xd8], |b| {
            b.set_register(0, i64::MAX as u64);
            b.set_register(3, 1);
        }),
        |_, o| {
            exits_to(o, CODE + 3)?;
            expect(o.state.gpr[0] == 1 << 63, || {
                format!("rax is {:#x}", o.state.gpr[0])
            })?;
            let flags = o.state.rflags & rflags::STATUS;
            expect(flags == rflags::PF | rflags::AF | rflags::SF | rflags::OF, || {
                format!("flags are {flags:#x}")
            })
        },
    );
    add(
        "a conditional branch is taken",
        build_case(Terminator::Jcc, &[0x74, 0x10], |b| b.state.rflags |= rflags::ZF),
        |_, o| exits_to(o, CODE + 0x12),
    );
    add(
        "a conditional branch is not taken",
        build_case(Terminator::Jcc, &[0x74, 0x10], |_| ()),
        |_, o| exits_to(o, CODE + 2),
    );
    add(
        "LOOP counts and branches",
        build_case(Terminator::Loop, &[0xe2, 0x10], |b| b.set_register(1, 2)),
        |_, o| {
            exits_to(o, CODE + 0x12)?;
            expect(o.state.gpr[1] == 1, || format!("rcx is {}", o.state.gpr[1]))
        },
    );
    add(
        "a direct jump",
        build_case(Terminator::Jmp, &[0xeb, 0x20], |_| ()),
        |_, o| exits_to(o, CODE + 0x22),
    );
    add(
        "a call pushes its return address",
        build_case(Terminator::Call, &[0xe8, 0x00, 0x01, 0, 0], |b| {
            b.add_page(STACK, PageAccess::ReadWrite, 0);
        }),
        |_, o| {
            exits_to(o, CODE + 0x105)?;
            let line = o.memory.iter().find(|line| line.address == STACK + 0x7c0);
            let pushed =
                line.map(|line| u64::from_le_bytes(line.bytes[56..].try_into().expect("eight bytes")));
            expect(pushed == Some(CODE + 5), || format!("pushed {pushed:x?}"))
        },
    );
    add(
        "a return to where nothing is",
        build_case(Terminator::Ret, &[0xc3], |b| {
            b.add_page(STACK, PageAccess::Read, 0x11);
        }),
        |_, o| {
            let target = 0x1111_1111_1111_1111;
            // Not canonical: hardware faults in RET, some emulators at the target.
            match o.endpoint {
                Endpoint::Signal(signal) if signal.number == 11 => Ok(()),
                Endpoint::Exit { target: found } if found == target => Ok(()),
                found => Err(format!("found {found:x?}")),
            }
        },
    );
    add(
        "an indirect jump to where nothing is",
        build_case(Terminator::IndirectJmp, &[0xff, 0xe0], |b| {
            b.set_register(0, 0x1234_5000);
        }),
        |_, o| exits_to(o, 0x1234_5000),
    );
    add(
        "an operand relative to RIP reaches the image",
        build_case(
            Terminator::FallThrough,
            &[0x48, 0x8b, 0x05, 0xf9, 0x0f, 0, 0],
            |b| {
                b.add_page(IMAGE_BASE + 0x2000, PageAccess::Read, 0x5a);
            },
        ),
        |_, o| {
            expect(o.state.gpr[0] == 0x5a5a_5a5a_5a5a_5a5a, || {
                format!("rax is {:#x}", o.state.gpr[0])
            })
        },
    );
    add(
        "a store across two pages is seen in both",
        build_case(Terminator::FallThrough, &[0x48, 0x89, 0x07], |b| {
            b.set_register(0, u64::MAX);
            b.set_register(7, ARENA + 0xffc);
            b.add_page(ARENA, PageAccess::ReadWrite, 0);
            b.add_page(ARENA + 0x1000, PageAccess::ReadWrite, 0);
        }),
        |_, o| {
            let found: Vec<_> = o.memory.iter().map(|line| line.address).collect();
            expect(found == [ARENA + 0xfc0, ARENA + 0x1000], || {
                format!("changed lines are {found:x?}")
            })
        },
    );
    add(
        "a load from where nothing is faults with its address",
        build_case(Terminator::FallThrough, &[0x8b, 0x07], |b| {
            b.set_register(7, ARENA + 0x123);
        }),
        |_, o| signals(o, 11, CODE),
    );
    add(
        "a store to a read-only page faults",
        build_case(Terminator::FallThrough, &[0x90, 0x89, 0x07], |b| {
            b.set_register(7, ARENA);
            b.add_page(ARENA, PageAccess::Read, 0);
        }),
        |_, o| signals(o, 11, CODE + 1),
    );
    add(
        "UD2 raises SIGILL",
        build_case(Terminator::Trap, &[0x0f, 0x0b], |_| ()),
        |_, o| signals(o, 4, CODE),
    );
    add(
        "INT3 raises SIGTRAP behind itself",
        build_case(Terminator::Trap, &[0xcc], |_| ()),
        |_, o| signals(o, 5, CODE + 1),
    );
    add(
        "all status flags and DF go in and come out",
        build_case(Terminator::FallThrough, &[0x90], |b| {
            b.state.rflags |= rflags::STATUS | rflags::DF;
        }),
        |case, o| {
            let found = o.state.rflags;
            expect(found == case.state.rflags, || format!("RFLAGS is {found:#x}"))
        },
    );
    add(
        STATE_AT_FAULT,
        build_case(Terminator::FallThrough, &[0x48, 0xff, 0xc0, 0x8b, 0x0f], |b| {
            b.set_register(0, 41);
            b.set_register(7, ARENA);
        }),
        |_, o| {
            signals(o, 11, CODE + 3)?;
            expect(o.state.gpr[0] == 42, || format!("rax is {}", o.state.gpr[0]))
        },
    );
    tests
}
