//! The one-instruction examples of docs/known-divergences.md: on the CPU they do what the manual says, and on qemu-user
//! they either match or differ in just what the document names.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod machine;
mod rare;
mod refused;
mod swept;
mod vector;

use std::sync::Arc;
use std::time::Duration;

use snippex_core::address_space::{ARENA, CODE_DISTANCE, IMAGE_BASE, STACK};
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use snippex_core::decode::instructions_in;
use snippex_core::diff::{Comparison, DivergenceKind, Tolerance, compare_observations};
use snippex_core::group::Group;
use snippex_core::observation::{Endpoint, Observation};
use snippex_core::state::{MachineState, RSP, rflags};
use snippex_exec::RunOutcome;
use snippex_exec::engine::{Engine, EngineSpec, RunnerEngine};
use snippex_exec::reduce::{Reduced, ReductionLimits, reduce_case};

const PLACEMENT: Placement = Placement {
    image_base: IMAGE_BASE,
    code_base: IMAGE_BASE + CODE_DISTANCE,
};
const CODE: u64 = PLACEMENT.code_base + 0x1000;

struct Example {
    /// Heading in the document.
    name: &'static str,
    bytes: &'static [u8],
    terminator: Terminator,
    prepare: fn(&mut MachineState, &mut [u8; PAGE_SIZE]),
    /// What the CPU does.
    right: fn(&Observation) -> bool,
    /// What differs where an emulator is wrong.
    kind: DivergenceKind,
}

fn signal(observation: &Observation, number: u8) -> bool {
    matches!(observation.endpoint, Endpoint::Signal(signal) if signal.number == number && signal.rip == CODE)
}

/// ST(0) in use, holding `bytes`.
fn push(state: &mut MachineState, bytes: [u8; 10]) {
    state.x87.status = 7 << 11;
    state.x87.tags = 0x80;
    state.x87.st[0] = bytes;
}

const ONE: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f];
const FALL: Terminator = Terminator::FallThrough;

/// Every example: those that real code showed, and those of the generated sweep.
fn examples() -> Vec<Example> {
    let mut examples = met();
    examples.extend(swept::examples());
    examples.extend(machine::examples());
    examples.extend(rare::examples());
    examples.extend(vector::examples());
    examples.extend(refused::examples());
    examples
}

/// RDI points to the middle of a writable page, RSP to the middle of another.
fn met() -> Vec<Example> {
    vec![
        Example {
            name: "MXCSR.DE is not set",
            bytes: &[0xf2, 0x0f, 0x58, 0xc1], // addsd xmm0, xmm1
            terminator: FALL,
            prepare: |s, _| s.vectors[1][..8].copy_from_slice(&1_u64.to_le_bytes()),
            right: |o| o.state.mxcsr == 0x1f82,
            kind: DivergenceKind::Mxcsr,
        },
        Example {
            name: "LDMXCSR accepts reserved bits",
            bytes: &[0x0f, 0xae, 0x17], // ldmxcsr [rdi]
            terminator: FALL,
            prepare: |_, page| page[0x800..0x804].copy_from_slice(&0x1_1f80_u32.to_le_bytes()),
            right: |o| signal(o, 11),
            kind: DivergenceKind::MissingFault,
        },
        Example {
            name: "unmasked SSE exceptions are not delivered",
            bytes: &[0xf2, 0x0f, 0x5e, 0xc1], // divsd xmm0, xmm1
            terminator: FALL,
            prepare: |s, _| {
                s.mxcsr = 0x1f80 & !(1 << 9);
                s.vectors[0][..8].copy_from_slice(&1_f64.to_le_bytes());
            },
            right: |o| signal(o, 8),
            kind: DivergenceKind::MissingFault,
        },
        Example {
            name: "NaN operands are chosen by the x87 rule",
            bytes: &[0xf2, 0x0f, 0x58, 0xc1], // addsd xmm0, xmm1
            terminator: FALL,
            prepare: |s, _| {
                s.vectors[0][..8].copy_from_slice(&0x7ff8_0000_0000_0001_u64.to_le_bytes());
                s.vectors[1][..8].copy_from_slice(&0x7ff8_0000_0000_0002_u64.to_le_bytes());
            },
            right: |o| o.state.vectors[0][..8] == 0x7ff8_0000_0000_0001_u64.to_le_bytes(),
            kind: DivergenceKind::Vector,
        },
        Example {
            name: "MAX and MIN ignore DAZ",
            bytes: &[0xf3, 0x0f, 0x5f, 0xc1], // maxss xmm0, xmm1
            terminator: FALL,
            prepare: |s, _| {
                s.mxcsr |= 1 << 6;
                s.vectors[0][..4].copy_from_slice(&0x8000_0001_u32.to_le_bytes());
                s.vectors[1][..4].copy_from_slice(&0x8000_0002_u32.to_le_bytes());
            },
            // Both are zeros, and then the second operand is the result, as zero.
            right: |o| o.state.vectors[0][..4] == 0x8000_0000_u32.to_le_bytes(),
            kind: DivergenceKind::Vector,
        },
        Example {
            name: "reciprocal estimates of denormals",
            bytes: &[0xf3, 0x0f, 0x52, 0xc1], // rsqrtss xmm0, xmm1
            terminator: FALL,
            prepare: |s, _| s.vectors[1][..4].copy_from_slice(&1_u32.to_le_bytes()),
            right: |o| o.state.vectors[0][..4] == f32::INFINITY.to_le_bytes(),
            kind: DivergenceKind::Vector,
        },
        Example {
            name: "misaligned SSE operands do not fault",
            bytes: &[0x0f, 0x54, 0x47, 0x01], // andps xmm0, [rdi + 1]
            terminator: FALL,
            prepare: |_, _| (),
            right: |o| signal(o, 11),
            kind: DivergenceKind::MissingFault,
        },
        Example {
            name: "FCOMI and FUCOMI leave OF, SF and AF",
            bytes: &[0xdb, 0xf0], // fcomi st, st(0)
            terminator: FALL,
            prepare: |s, _| {
                push(s, ONE);
                s.rflags |= rflags::OF | rflags::SF | rflags::AF;
            },
            right: |o| o.state.rflags & rflags::STATUS == rflags::ZF,
            kind: DivergenceKind::Flag,
        },
        Example {
            name: "x87 stack underflow is not detected",
            bytes: &[0xd9, 0xe0], // fchs, of an empty register
            terminator: FALL,
            prepare: |_, _| (),
            // IE and SF set, C1 clear, and the default NaN as result.
            right: |o| o.state.x87.status & 0x241 == 0x41 && o.state.x87.st[0][7..] == [0xc0, 0xff, 0xff],
            kind: DivergenceKind::X87,
        },
        Example {
            name: "x87 stack overflow is not detected",
            bytes: &[0xd9, 0xe8], // fld1, onto a full stack
            terminator: FALL,
            prepare: |s, _| {
                s.x87.tags = 0xff;
                s.x87.st = [ONE; 8];
            },
            right: |o| o.state.x87.status & 0x241 == 0x241,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "x87 denormal operands are not reported",
            bytes: &[0xd8, 0x07], // fadd dword [rdi]
            terminator: FALL,
            prepare: |s, page| {
                push(s, ONE);
                page[0x800] = 1;
            },
            right: |o| o.state.x87.status & 2 != 0,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "unmasked x87 exceptions are not delivered",
            bytes: &[0x9b], // fwait
            terminator: FALL,
            // IE is set, not masked, and not delivered yet.
            prepare: |s, _| (s.x87.status, s.x87.control) = (0x8081, 0x37e),
            right: |o| signal(o, 8),
            kind: DivergenceKind::MissingFault,
        },
        Example {
            name: "MMX writes leave the exponent",
            bytes: &[0x0f, 0xfc, 0xc1], // paddb mm0, mm1
            terminator: FALL,
            prepare: |_, _| (),
            right: |o| o.state.x87.st[0][8..] == [0xff, 0xff],
            kind: DivergenceKind::X87,
        },
        Example {
            name: "RET imm16 is sign-extended",
            bytes: &[0xc2, 0x00, 0x80], // ret 0x8000
            terminator: Terminator::Ret,
            prepare: |_, _| (),
            right: |o| o.state.gpr[RSP] == STACK + 0x800 + 8 + 0x8000,
            kind: DivergenceKind::Register,
        },
        Example {
            name: "REX counts in front of another prefix",
            bytes: &[0x48, 0x3e, 0xff, 0xc0], // rex.w ds inc eax
            terminator: FALL,
            prepare: |s, _| s.gpr[0] = 0xffff_ffff,
            right: |o| o.state.gpr[0] == 0,
            kind: DivergenceKind::Register,
        },
        Example {
            name: "F6 /1 and F7 /1 are refused",
            bytes: &[0xf6, 0xc8, 0x01], // test al, 1 in its second encoding
            terminator: FALL,
            prepare: |_, _| (),
            right: |o| o.state.rflags & rflags::ZF != 0,
            kind: DivergenceKind::SpuriousFault,
        },
        Example {
            name: "indirect branches to addresses that are not canonical",
            bytes: &[0xff, 0xe0], // jmp rax
            terminator: Terminator::IndirectJmp,
            prepare: |s, _| s.gpr[0] = 1 << 60,
            right: |o| signal(o, 11),
            kind: DivergenceKind::MissingFault,
        },
        Example {
            name: "alignment checking is ignored",
            bytes: &[0x9d, 0x8b, 0x47, 0x01], // popf; mov eax, [rdi + 1]
            terminator: FALL,
            prepare: |_, _| (),
            right: |o| matches!(o.endpoint, Endpoint::Signal(signal) if signal.number == 7),
            kind: DivergenceKind::MissingFault,
        },
        Example {
            name: "exception flags are set by an instruction that faults",
            bytes: &[0xdf, 0x1b], // fistp word [rbx]
            terminator: FALL,
            prepare: |s, _| {
                push(s, [0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0x3f]);
                s.gpr[3] = 8;
            },
            right: |o| signal(o, 11) && o.state.x87.status & 0x20 == 0,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "the precision control rounds what it does not apply to",
            bytes: &[0xdd, 0x07], // fld qword [rdi]
            terminator: FALL,
            prepare: |s, page| {
                s.x87.control = 0x7f;
                (page[0x802], page[0x806]) = (0x10, 0x10);
            },
            right: |o| o.state.x87.status & 0x20 == 0 && o.state.x87.st[0][3] == 0x80,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "FST and FSTP leave the destination's tag empty",
            bytes: &[0xdd, 0xd7], // fst st(7)
            terminator: FALL,
            prepare: |s, _| push(s, ONE),
            right: |o| o.state.x87.tags == 0xc0,
            kind: DivergenceKind::X87,
        },
        Example {
            name: "ENTER does not check the new top of the stack",
            bytes: &[0xc8, 0x00, 0x01, 0x00], // enter 0x100, 0
            terminator: FALL,
            prepare: |s, _| s.gpr[RSP] = STACK + 0x80,
            right: |o| signal(o, 11),
            kind: DivergenceKind::MissingFault,
        },
        Example {
            name: "Flags are lost when RCL or RCR faults",
            bytes: &[0x3d, 0, 0, 0, 1, 0xd0, 0x9f, 0, 0x10, 0, 0], // cmp eax, 0x1000000; rcr byte [rdi + 0x1000], 1
            terminator: FALL,
            prepare: |_, _| (),
            right: |o| {
                const LOST: u64 = rflags::CF | rflags::SF;
                let faults = matches!(o.endpoint, Endpoint::Signal(signal) if signal.rip == CODE + 5);
                faults && o.state.rflags & LOST == LOST
            },
            kind: DivergenceKind::Flag,
        },
    ]
}

/// The example whose operand lies in a page that can only be read.
const READ_ONLY: &str = "FLDENV and FRSTOR want memory that can be written";

fn case(example: &Example) -> Case {
    let mut state = MachineState::default();
    let mut content = [0; PAGE_SIZE];
    state.gpr[7] = ARENA + 0x800;
    state.gpr[RSP] = STACK + 0x800;
    (example.prepare)(&mut state, &mut content);
    // What POPF takes: AC set. RET goes to a page that is not there.
    let mut stack = [0; PAGE_SIZE];
    stack[0x800..0x808].copy_from_slice(&(rflags::AC | rflags::INITIAL).to_le_bytes());
    let page = |address, content| Page {
        address,
        access: match address {
            ARENA if example.name == READ_ONLY => PageAccess::Read,
            _ => PageAccess::ReadWrite,
        },
        content: Arc::new(content),
    };
    let block = Block {
        address: 0x1000,
        bytes: example.bytes.to_vec(),
        instruction_count: instructions_in(example.bytes, 0x1000).count() as u32,
        terminator: example.terminator,
        successors: vec![],
        origin: Origin::Entry,
        unrunnable: None,
    };
    Case {
        block: Arc::new(block),
        placement: PLACEMENT,
        state,
        pages: [
            page(IMAGE_BASE + 0x2000, [0; PAGE_SIZE]),
            page(STACK, stack),
            page(ARENA, content),
        ]
        .into(),
    }
}

/// What only AMD's processors show: Intel's set MXCSR's flags like qemu, and have no SSE4a.
const OF_AMD: [&str; 2] = [
    "MXCSR flags are set by a store that faults",
    "EXTRQ with immediates works on another register",
];

/// The examples that this processor can judge.
fn judged_examples(native: &RunnerEngine) -> impl Iterator<Item = Example> + use<> {
    let is_amd = native.identity().cpu.vendor == "AuthenticAMD";
    examples()
        .into_iter()
        .filter(move |example| is_amd || !OF_AMD.contains(&example.name))
}

/// Starts an engine that waits long: Linux makes locked accesses across lines wait for each other, those of all processes.
fn start(spec: EngineSpec) -> RunnerEngine {
    let patience = Duration::from_secs(60);
    RunnerEngine::start(EngineSpec { patience, ..spec }).unwrap()
}

fn run(engine: &mut dyn Engine, case: &Case) -> Observation {
    let groups = [Group::from_case(case)];
    match engine.run(&groups).unwrap().outcome(0, 0) {
        RunOutcome::Ran(observation) => *observation,
        RunOutcome::Unsupported(reason) => panic!("{reason}"),
    }
}

#[test]
fn the_cpu_does_what_the_manual_says() {
    let mut native = start(EngineSpec::native());
    for example in judged_examples(&native) {
        let observation = run(&mut native, &case(&example));
        assert!(
            (example.right)(&observation),
            "{}: {observation:x?}",
            example.name
        );
    }
}

#[test]
fn qemu_differs_only_in_what_the_document_names() {
    let mut native = start(EngineSpec::native());
    let spec = EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask test does");
    let mut qemu = start(spec);
    let covered = native
        .identity()
        .components
        .intersection(qemu.identity().components);
    for example in judged_examples(&native) {
        let case = case(&example);
        let (expected, actual) = (run(&mut native, &case), run(&mut qemu, &case));
        match compare_observations(&case, &expected, &actual, covered, &Tolerance::qemu_user()) {
            // A processor without the instruction has nothing to say.
            Comparison::Diverged(_) if signal(&expected, 4) => println!("lacking: {}", example.name),
            Comparison::Diverged(divergence) => {
                assert_eq!(
                    divergence.class.kind, example.kind,
                    "{}: {divergence:#?}",
                    example.name
                );
                println!("differs: {}", example.name);
            }
            Comparison::Match(_) => println!("agrees:  {}", example.name),
            Comparison::Inconclusive(reason) => panic!("{}: {reason:?}", example.name),
        }
    }
}

#[test]
fn the_document_names_every_example() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/known-divergences.md");
    let text = std::fs::read_to_string(path).unwrap();
    for example in examples() {
        assert!(
            text.contains(&format!("## {}", capitalised(example.name))),
            "{} is missing",
            example.name
        );
    }
}

/// What `snippex bugs` calls a bug stands in the document, and has an example.
#[test]
fn every_pattern_has_an_example() {
    let names: Vec<String> = examples()
        .iter()
        .map(|example| capitalised(example.name))
        .collect();
    for rule in snippex_triage::pattern::all_bug_patterns() {
        assert!(
            names.iter().any(|name| name == rule.title),
            "{}: {}",
            rule.id,
            rule.title
        );
    }
}

/// The example of a pattern shows what the pattern is about: where qemu differs, it is sorted so.
#[test]
fn examples_are_sorted_by_their_patterns() {
    let mut native = start(EngineSpec::native());
    let spec = EngineSpec::from_preset("qemu-x86_64").expect("install it: cargo xtask test does");
    let mut qemu = start(spec);
    for example in judged_examples(&native) {
        let Some(rule) =
            snippex_triage::pattern::all_bug_patterns().find(|rule| rule.title == capitalised(example.name))
        else {
            continue;
        };
        let found = reduce_case(
            &case(&example),
            &mut native,
            &mut qemu,
            &Tolerance::qemu_user(),
            ReductionLimits::default(),
        );
        match found.unwrap() {
            Reduced::Bugs(bugs) => assert!(
                bugs.iter().any(|bug| bug.cause.as_str() == rule.id),
                "{}: {:?}",
                rule.id,
                bugs.iter().map(|bug| bug.cause.as_str()).collect::<Vec<_>>()
            ),
            Reduced::Agrees => println!("agrees:  {}", example.name),
            other => println!("{}: {other:?}", example.name),
        }
    }
}

fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_uppercase() + rest
}
