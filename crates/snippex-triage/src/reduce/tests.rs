use snippex_core::decode::block_decoder;
use std::sync::Arc;

use iced_x86::code_asm::*;
use proptest::prelude::*;

use super::*;
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::case::{PAGE_SIZE, Page, PageAccess, Placement};
use snippex_core::random::Random;
use snippex_core::state::{MachineState, X87State, rflags};

fn block(address: u64, build: impl FnOnce(&mut CodeAssembler)) -> Block {
    let mut assembler = CodeAssembler::new(64).unwrap();
    build(&mut assembler);
    let bytes = assembler.assemble(address).unwrap();
    Block {
        instruction_count: assembler.instructions().len() as u32,
        successors: vec![address + bytes.len() as u64],
        address,
        bytes,
        terminator: Terminator::FallThrough,
        origin: Origin::Symbol,
        unrunnable: None,
    }
}

/// A case full of random bits.
fn noisy(block: Block) -> Case {
    let mut random = Random::new(7);
    let mut state = MachineState::default();
    state.gpr.fill_with(|| random.next_u64());
    state.rflags |= rflags::CF | rflags::DF;
    for vector in state.vectors.as_flattened_mut() {
        *vector = random.next_u64() as u8;
    }
    state.x87 = X87State {
        control: 0x27f,
        status: 5 << 11 | 0x4041,
        tags: 0xff,
        st: [[0x5a; 10]; 8],
    };
    let page = |address| Page {
        address,
        access: PageAccess::ReadWrite,
        content: Arc::new([0xa5; PAGE_SIZE]),
    };
    Case {
        block: Arc::new(block),
        placement: Placement {
            image_base: 0x5_0000_0000,
            code_base: 0x5_4000_0000,
        },
        state,
        pages: [page(0x5_0000_1000), page(0x6_0000_0000)].into(),
    }
}

/// Reduces `case` as long as `shows` says that the bug shows. Also counts candidates and rounds.
fn reduce(case: Case, shows: impl Fn(&Case) -> bool) -> (Case, usize, usize) {
    assert!(shows(&case));
    let mut reducer = Reducer::new(case);
    let (mut tried, mut rounds) = (0, 0);
    loop {
        let candidates = reducer.next_candidates();
        if candidates.is_empty() {
            break;
        }
        assert!(candidates.len() <= MAX_CANDIDATES);
        tried += candidates.len();
        rounds += 1;
        let kept: Vec<bool> = candidates.iter().map(&shows).collect();
        reducer.record_outcomes(&kept);
    }
    assert!(shows(reducer.case()));
    (reducer.case().clone(), tried, rounds)
}

fn lines(case: &Case) -> Vec<String> {
    let mut decoder = block_decoder(&case.block);
    decoder
        .iter()
        .map(|instruction| instruction.to_string())
        .collect()
}

#[test]
fn everything_that_does_not_matter_goes() {
    let block = block(0x4321, |a| {
        a.mov(rax, rcx).unwrap();
        a.db(&[0x48, 0x8d, 0x15, 0x77, 0, 0, 0]).unwrap(); // lea rdx, [rip + 0x77]
        a.add(ecx, 0x1234_5678).unwrap();
    });
    // Only bit 3 of RCX and CF matter.
    let shows = |case: &Case| {
        lines(case).last().is_some_and(|line| line.starts_with("add ecx"))
            && case.state.gpr[1] & 8 != 0
            && case.state.rflags & rflags::CF != 0
    };
    let mut case = noisy(block);
    case.state.gpr[1] |= 8;
    let (reduced, tried, rounds) = reduce(case, shows);
    let mut plain = MachineState::default();
    plain.gpr[1] = 8;
    plain.rflags |= rflags::CF;
    assert_eq!(reduced.state, plain);
    assert_eq!(
        (lines(&reduced), reduced.pages.len()),
        (vec!["add ecx,0".to_owned()], 0)
    );
    assert_eq!(
        (reduced.block.address, reduced.block.instruction_count),
        (0x1000, 1)
    );
    assert!(
        tried < 600 && rounds < 60,
        "{tried} candidates in {rounds} rounds"
    );
}

#[test]
fn memory_keeps_the_byte_that_matters_at_a_plain_address() {
    let block = block(0x4321, |a| {
        a.nop().unwrap();
        a.mov(eax, dword_ptr(rbx + 4 * rcx + 0x20)).unwrap();
    });
    let mut case = noisy(block);
    (case.state.gpr[3], case.state.gpr[1]) = (0x6_0000_0100, 3);
    // The instruction has to read a byte with bit 2 set, wherever that lies.
    let shows = |case: &Case| {
        let (_, instruction, _) = code::last_instruction(&case.block).unwrap();
        let address = instruction.virtual_address(1, 0, |register, _, _| {
            Some(if register.is_gpr() {
                case.state.gpr[register.number()]
            } else {
                0
            })
        });
        let Some(address) = address.filter(|_| format!("{:?}", instruction.code()) == "Mov_r32_rm32") else {
            return false;
        };
        let page = case.pages.iter().find(|page| page.address == address & !0xfff);
        page.is_some_and(|page| page.content[address as usize & 0xfff] & 4 != 0)
    };
    let (reduced, ..) = reduce(case, shows);
    assert_eq!(lines(&reduced), ["mov eax,[rbx]"]);
    assert_eq!(reduced.pages.len(), 1);
    assert!(
        reduced.pages[0].address < 0x3_2000_0000,
        "{:#x}",
        reduced.pages[0].address
    );
    let ones: u32 = reduced.pages[0]
        .content
        .iter()
        .map(|byte| byte.count_ones())
        .sum();
    assert_eq!(ones, 1);
    assert_eq!(reduced.state.gpr.iter().filter(|value| **value != 0).count(), 1);
}

#[test]
fn an_earlier_instruction_that_matters_stays() {
    let block = block(0x4321, |a| {
        a.db(&[0x48, 0x8d, 0x15, 0x77, 0, 0, 0]).unwrap(); // lea rdx, [rip + 0x77]
        a.inc(rax).unwrap();
        a.db(&[0x48, 0x8d, 0x35, 0x77, 0, 0, 0]).unwrap(); // lea rsi, [rip + 0x77]
        a.adc(rcx, rcx).unwrap();
    });
    let case = noisy(block);
    let target = lines(&case)[2].clone();
    let shows = |candidate: &Case| {
        let lines = lines(candidate);
        lines.contains(&target) && lines.last().is_some_and(|line| line == "adc rcx,rcx")
    };
    let (reduced, ..) = reduce(case, shows);
    assert_eq!(lines(&reduced), [target, "adc rcx,rcx".to_owned()]);
}

#[test]
fn an_earlier_instruction_that_matters_becomes_the_simplest_that_does() {
    let block = block(0x4321, |a| {
        a.nop().unwrap();
        a.imul_2(rcx, qword_ptr(rbx + 8 * rdx + 0x44)).unwrap();
        a.db(&[0x48, 0x8d, 0x35, 0x77, 0, 0, 0]).unwrap(); // lea rsi, [rip + 0x77]
        a.vpaddd(ymm1, ymm2, ymmword_ptr(rdi + 0x20)).unwrap();
        a.adc(rcx, rcx).unwrap();
    });
    let target = lines(&noisy(block.clone()))[2].clone();
    // Something has to write RCX, something YMM1, and an address stays where it was.
    let writes = |line: &str, register: &str| {
        line.split_once(' ')
            .is_some_and(|(_, operands)| operands.split(',').next() == Some(register))
    };
    let shows = |case: &Case, full: bool| {
        let lines = lines(case);
        let count = lines.len() - 1;
        let before = &lines[..count];
        let wide = if full { "rcx" } else { "ecx" };
        before
            .iter()
            .any(|line| writes(line, "rcx") || writes(line, wide))
            && before
                .iter()
                .any(|line| writes(line, "ymm1") || writes(line, "xmm1"))
            && before.contains(&target)
            && lines[count] == "adc rcx,rcx"
    };
    let (reduced, ..) = reduce(noisy(block.clone()), |case| shows(case, false));
    let simple = ["mov ecx,0", &target, "pxor xmm1,xmm1", "adc rcx,rcx"];
    assert_eq!(lines(&reduced), simple);
    // All 64 bits of it: a multiplication that needs no memory.
    let (reduced, ..) = reduce(noisy(block), |case| shows(case, true));
    assert_eq!(lines(&reduced)[0], "imul rcx,rbx");
}

#[test]
fn the_value_that_was_met_stands_for_what_computed_it() {
    let block = block(0x4321, |a| {
        a.lea(rcx, qword_ptr(rbx + 8 * rdx + 0x44)).unwrap();
        a.adc(rcx, rcx).unwrap();
    });
    let mut before = MachineState::default();
    before.gpr[1] = 0x1234_5678_9abc;
    let mut reducer = Reducer::new(noisy(block)).with_state_before(Some(before));
    let shows = |case: &Case| {
        let lines = lines(case);
        lines.len() == 2 && !lines[0].ends_with(",0")
    };
    loop {
        let candidates = reducer.next_candidates();
        if candidates.is_empty() {
            break;
        }
        reducer.record_outcomes(&candidates.iter().map(shows).collect::<Vec<_>>());
    }
    assert!(
        lines(reducer.case())[0].starts_with("mov rcx,"),
        "{:?}",
        lines(reducer.case())
    );
}

#[test]
fn redundant_prefixes_go() {
    let mut block = block(0x1000, |a| a.nop().unwrap());
    // ds gs inc eax
    block.bytes = vec![0x3e, 0x65, 0xff, 0xc0];
    let (reduced, ..) = reduce(noisy(block), |case| {
        lines(case).last().is_some_and(|line| line == "inc eax")
    });
    assert_eq!(reduced.block.bytes, [0xff, 0xc0]);
}

#[test]
fn the_x87_stack_keeps_its_order_when_top_is_reset() {
    let block = block(0x1000, |a| a.fsqrt().unwrap());
    let mut case = noisy(block);
    case.state.x87.tags = 1 << 5;
    let (reduced, ..) = reduce(case, |case| !case.state.x87.is_empty(0));
    assert_eq!((reduced.state.x87.tags, reduced.state.x87.top()), (1, 0));
    assert_eq!(reduced.state.x87.control, snippex_core::state::FCW_INITIAL);
}

#[test]
fn a_block_can_be_cut_at_both_ends() {
    let block = block(0x1000, |a| {
        a.push(rax).unwrap();
        a.inc(rax).unwrap();
        a.ret().unwrap();
    });
    let block = Block {
        terminator: Terminator::Ret,
        ..block
    };
    let ends = instruction_ends(&block);
    assert_eq!(ends, [1, 4, 5]);
    let first = block_prefix(&block, 4, 2);
    assert_eq!(
        (first.bytes.len(), first.terminator),
        (4, Terminator::FallThrough)
    );
    assert_eq!(block_prefix(&block, 5, 3), block);
    let case = noisy(block);
    let observation = snippex_core::observation::Observation {
        endpoint: snippex_core::observation::Endpoint::Exit { target: 0 },
        state: MachineState::default(),
        memory: vec![snippex_core::observation::ChangedLine {
            address: 0x6_0000_0040,
            bytes: [1; 64],
        }],
    };
    let rest = starting_at(&case, 4, 2, &observation);
    assert_eq!((rest.block.address, &rest.block.bytes[..]), (0x1004, &[0xc3][..]));
    assert_eq!(rest.block.terminator, Terminator::Ret);
    assert_eq!(
        (rest.pages[1].content[0x3f], rest.pages[1].content[0x40]),
        (0xa5, 1)
    );
}

proptest! {
    /// Whatever matters, the search ends, and the result still shows the bug.
    #[test]
    fn the_search_ends(mask in any::<u64>(), register in 0..16_usize, byte in 0..64_usize) {
        let block = block(0x4321, |a| {
            a.add(rax, rcx).unwrap();
            a.add(rax, rcx).unwrap();
        });
        let mut case = noisy(block);
        case.state.gpr[register] |= mask;
        case.state.vectors[3][byte] |= 1;
        let shows = |case: &Case| case.state.gpr[register] & mask == mask && case.state.vectors[3][byte] & 1 != 0;
        let (reduced, tried, _) = reduce(case, shows);
        prop_assert_eq!(reduced.state.gpr[register], mask);
        prop_assert!(tried < 3000);
    }
}
