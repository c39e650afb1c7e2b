//! What the machine decides is open, and nothing else of the same instruction.

use super::*;
use crate::decode::machine_part;
use crate::observation::Signal;
use crate::state::rflags::{CF, ZF};

const LOW_32: u64 = 0xffff_ffff;

/// The mask of `bytes` after `change` to the start state.
fn of(bytes: &[u8], change: impl FnOnce(&mut Case)) -> Mask {
    let mut case = case(
        Block {
            bytes: bytes.to_vec(),
            ..block(CodeAssembler::nop)
        },
        0,
    );
    change(&mut case);
    BlockEffects::new(&case.block).mask_at_endpoint(&case, &Endpoint::Exit { target: 0 }, &case.state)
}

/// Sets `size` bytes of memory at RSI.
fn store(case: &mut Case, at: u64, value: u64, size: usize) {
    let mut pages = case.pages.to_vec();
    let offset = (0x100 + at) as usize;
    Arc::make_mut(&mut pages[0].content)[offset..offset + size].copy_from_slice(&value.to_le_bytes()[..size]);
    case.pages = pages.into();
}

fn open(mask: &Mask) -> Vec<(usize, u64)> {
    let open = mask.gpr.iter().enumerate();
    open.filter(|(_, bits)| !bits.is_none())
        .map(|(register, bits)| (register, bits.mask))
        .collect()
}

#[test]
fn every_form_that_is_about_the_machine_has_a_rule() {
    use iced_x86::{Code, OpCodeOperandKind as K, OpKind, Register};
    for code in Code::values().filter(|&code| code.op_code().mode64() && machine_part(code).is_some()) {
        if crate::decode::unrunnable_form(code).is_some() || code.mnemonic() == iced_x86::Mnemonic::Fsetpm {
            continue;
        }
        let mut instruction = iced_x86::Instruction::default();
        instruction.set_code(code);
        for (operand, kind) in (0..).zip(code.op_code().op_kinds()) {
            if matches!(kind, K::seg_reg | K::fs | K::gs) {
                instruction.set_op_kind(operand, OpKind::Register);
                instruction.set_op_register(operand, Register::FS);
            }
        }
        assert!(
            crate::effects::host::host_rule(&instruction).is_some(),
            "{code:?}"
        );
    }
}

#[test]
fn identity_time_and_random_numbers_are_open_in_their_32_bits() {
    assert_eq!(
        open(&of(&[0x0f, 0xa2], |_| ())), // cpuid
        [(0, LOW_32), (1, LOW_32), (2, LOW_32), (3, LOW_32)]
    );
    assert_eq!(open(&of(&[0x0f, 0x31], |_| ())), [(0, LOW_32), (2, LOW_32)]); // rdtsc
    assert_eq!(
        open(&of(&[0x0f, 0x01, 0xf9], |_| ())), // rdtscp
        [(0, LOW_32), (1, LOW_32), (2, LOW_32)]
    );
    assert_eq!(open(&of(&[0xf3, 0x0f, 0xc7, 0xfb], |_| ())), [(3, LOW_32)]); // rdpid rbx
    let number = of(&[0x66, 0x0f, 0xc7, 0xf3], |_| ()); // rdrand bx
    assert_eq!((open(&number), number.flag_bits()), (vec![(3, 0xffff)], CF));
    let number = of(&[0x48, 0x0f, 0xc7, 0xfb], |_| ()); // rdseed rbx
    assert_eq!((open(&number), number.flag_bits()), (vec![(3, u64::MAX)], CF));
    assert_eq!(open(&of(&[0x0f, 0x01, 0xee], |_| ())), [(0, LOW_32)]); // rdpkru
}

#[test]
fn extended_control_registers_are_there_or_not_by_number() {
    let read = |number| of(&[0x0f, 0x01, 0xd0], |case| case.state.gpr[1] = number);
    assert_eq!(open(&read(0)), [(0, LOW_32), (2, LOW_32)]);
    assert!(read(0).faults.is_empty() && read(2).faults.is_empty());
    assert_eq!(read(1).faults[0].rules, rules(&[Rule::HostIdentity]));
}

#[test]
fn a_null_selector_has_no_descriptor_to_ask_about() {
    // lar ebx, eax; verr ax
    for code in [&[0x0f, 0x02, 0xd8][..], &[0x0f, 0x00, 0xe0]] {
        assert!(of(code, |case| case.state.gpr[0] = 3).is_clean());
    }
    let asked = of(&[0x0f, 0x02, 0xd8], |case| case.state.gpr[0] = 0x2b);
    // Whether the upper half is cleared depends on the descriptor.
    assert_eq!((open(&asked), asked.flag_bits()), (vec![(3, u64::MAX)], ZF));
    let asked = of(&[0x66, 0x0f, 0x03, 0xd8], |case| case.state.gpr[0] = 0x2b); // lsl bx, ax
    assert_eq!((open(&asked), asked.flag_bits()), (vec![(3, 0xffff)], ZF));
    let asked = of(&[0x0f, 0x00, 0xe8], |case| case.state.gpr[0] = 0x2b); // verw ax
    assert_eq!((open(&asked), asked.flag_bits()), (vec![], ZF));
}

#[test]
fn of_a_stored_selector_only_its_16_bits_are_open() {
    assert_eq!(open(&of(&[0x48, 0x8c, 0xdb], |_| ())), [(3, 0xffff)]); // mov rbx, ds
    let bytes = |mask: &Mask| mask.memory.iter().map(|byte| byte.address).collect::<Vec<_>>();
    let stored = of(&[0x8c, 0x1e], |_| ()); // mov [rsi], ds
    assert_eq!(bytes(&stored), [DATA + 0x100, DATA + 0x101]);
    let pushed = of(&[0x0f, 0xa0], |_| ()); // push fs
    assert_eq!(bytes(&pushed), [DATA + 0x7f8, DATA + 0x7f9]);
}

#[test]
fn a_loaded_segment_leaves_its_base_open_and_faults_by_the_tables() {
    let load = |selector| of(&[0x8e, 0xe0], |case| case.state.gpr[0] = selector); // mov fs, eax
    let null = load(1);
    assert_eq!(null.bases, [rules(&[Rule::NullSelectorBase]), RuleSet::EMPTY]);
    assert!(null.faults.is_empty());
    let other = load(0x2b);
    assert_eq!(other.bases, [rules(&[Rule::Selector]), RuleSet::EMPTY]);
    assert_eq!(other.faults[0].rules, rules(&[Rule::Selector]));
    // mov ds, eax has no base to show in 64-bit mode.
    assert!(of(&[0x8e, 0xd8], |case| case.state.gpr[0] = 0x2b).is_clean());
    // pop gs of a null selector; lgs ebx, [rsi] of another.
    let popped = of(&[0x0f, 0xa9], |case| {
        case.state.gpr[4] = DATA + 0x100;
        store(case, 0, 2, 8);
    });
    assert_eq!(popped.bases[1], rules(&[Rule::NullSelectorBase]));
    let far = of(&[0x0f, 0xb5, 0x1e], |case| store(case, 4, 0x33, 2));
    assert_eq!((far.bases[1], open(&far)), (rules(&[Rule::Selector]), vec![]));
    // What is read through the segment afterwards depends on its base.
    let read = of(&[0x8e, 0xe0, 0x64, 0x48, 0x8b, 0x1e], |_| ()); // mov fs, eax; mov rbx, fs:[rsi]
    assert_eq!(open(&read), [(3, u64::MAX)]);
    assert_eq!(read.faults.last().unwrap().instruction, 1);
}

#[test]
fn written_bases_are_what_was_written() {
    let write = |value| of(&[0xf3, 0x48, 0x0f, 0xae, 0xd0], |case| case.state.gpr[0] = value); // wrfsbase rax
    assert!(write(0x1234).is_clean() && write(0x1234).faults.is_empty());
    assert!(write(1 << 63).faults.is_empty(), "canonical nowhere");
    assert_eq!(
        write(1 << 50).faults[0].rules,
        rules(&[Rule::HostIdentity]),
        "canonical with five levels of paging"
    );
    // and eax, ebx; lahf; wrfsbase rax; rdfsbase rcx
    let open_flag = [
        0x21, 0xd8, 0x9f, 0xf3, 0x48, 0x0f, 0xae, 0xd0, 0xf3, 0x48, 0x0f, 0xae, 0xc1,
    ];
    let passed_on = of(&open_flag, |_| ());
    assert_eq!(passed_on.bases[0], rules(&[Rule::LogicAf]));
    assert_eq!(passed_on.gpr[1].rules, rules(&[Rule::LogicAf]));
}

#[test]
fn prevented_instructions_may_fault_and_give_what_the_system_likes() {
    let table = of(&[0x0f, 0x01, 0x06], |_| ()); // sgdt [rsi]
    assert_eq!(table.memory.len(), 10);
    assert_eq!(table.faults[0].rules, rules(&[Rule::HostIdentity]));
    let word = of(&[0x66, 0x0f, 0x01, 0xe3], |_| ()); // smsw bx
    assert_eq!((open(&word), word.faults.len()), (vec![(3, 0xffff)], 1));
    // str ebx: Linux, in the processor's place, leaves the upper half alone.
    assert_eq!(open(&of(&[0x0f, 0x00, 0xcb], |_| ())), [(3, u64::MAX)]);
    // str [rsi] at the end of the last page: one byte may have been written.
    let mut case = case(
        Block {
            bytes: vec![0x0f, 0x00, 0x0e],
            ..block(CodeAssembler::nop)
        },
        0,
    );
    case.state.gpr[6] = DATA + 2 * PAGE_SIZE as u64 - 1;
    let signal = Signal {
        number: 11,
        code: 1,
        rip: case.code_address(),
        address: DATA + 2 * PAGE_SIZE as u64,
        write: true,
    };
    let faulted =
        BlockEffects::new(&case.block).mask_at_endpoint(&case, &Endpoint::Signal(signal), &case.state);
    assert_eq!(faulted.memory[0].rules, rules(&[Rule::Selector]));
}

#[test]
fn shadow_stacks_are_there_or_not() {
    let read = of(&[0xf3, 0x48, 0x0f, 0x1e, 0xc8], |_| ()); // rdsspq rax
    assert_eq!(read.gpr[0], Bits::new(u64::MAX, rules(&[Rule::ShadowStack])));
    assert!(read.faults.is_empty());
    let moved = of(&[0xf3, 0x48, 0x0f, 0xae, 0xe8], |_| ()); // incsspq rax
    assert_eq!(moved.faults[0].rules, rules(&[Rule::ShadowStack]));
}

#[test]
fn an_image_is_open_where_the_processor_may_choose() {
    // xsave64 [rsi]
    let saved = of(&[0x48, 0x0f, 0xae, 0x26], |case| case.state.gpr[0] = 7);
    let rule = |at: u64| saved.memory_at(DATA + 0x100 + at).1;
    assert_eq!(rule(512), rules(&[Rule::XstateBv]));
    assert!(rule(520).is_empty(), "the rest of the header is not written");
    assert!(rule(24).is_empty() && rule(160).is_empty() && rule(576).is_empty() && rule(831).is_empty());
    assert_eq!(rule(832), rules(&[Rule::XsaveLayout]));
    assert!(rule(2696).is_empty());
    let tiles = of(&[0x48, 0x0f, 0xae, 0x26], |case| case.state.gpr[0] = 7 | 1 << 18);
    assert_eq!(
        tiles.memory_at(DATA + 0x100 + 11007).1,
        rules(&[Rule::XsaveLayout])
    );
    // xsavec64 [rsi]: any part may be left out, and lie elsewhere.
    let compact = of(&[0x48, 0x0f, 0xc7, 0x26], |case| case.state.gpr[0] = 7);
    assert!(compact.memory_at(DATA + 0x100 + 160).1.contains(Rule::XstateBv));
}

#[test]
fn an_image_that_is_not_all_there_may_fault() {
    let saved = |at| {
        of(&[0x48, 0x0f, 0xae, 0x26], |case| case.state.gpr[6] = at) // xsave64 [rsi]
            .faults
    };
    assert!(saved(DATA).is_empty());
    let end = DATA + 2 * PAGE_SIZE as u64;
    assert_eq!(saved(end - 1024)[0].rules, rules(&[Rule::XsaveLayout]));
    assert!(saved(end - 2752).is_empty());
}

#[test]
fn a_header_that_every_processor_judges_alike_leaves_no_fault_open() {
    let restore = |components: u64, layout: u64| {
        of(&[0x48, 0x0f, 0xae, 0x2e], |case| {
            for at in 0..8 {
                store(case, 512 + 8 * at, 0, 8);
            }
            store(case, 512, components, 8);
            store(case, 520, layout, 8);
        })
        .faults
    };
    assert!(restore(3, 0).is_empty());
    assert!(restore(3, 1).is_empty(), "wrong everywhere");
    assert!(
        of(&[0x48, 0x0f, 0xae, 0x2e], |_| ())
            .control
            .rules
            .contains(Rule::ReservedControl)
    );
    assert_eq!(restore(1 << 9, 0)[0].rules, rules(&[Rule::XsaveLayout]));
    assert_eq!(restore(3, 1 << 63 | 3)[0].rules, rules(&[Rule::XsaveLayout]));
}

#[test]
fn a_fault_of_an_instruction_that_asks_is_open_as_its_success_is() {
    let mut case = case(
        Block {
            bytes: vec![0x8e, 0xe0], // mov fs, eax
            ..block(CodeAssembler::nop)
        },
        0,
    );
    let signal = Signal {
        number: 11,
        code: 0x80,
        rip: case.code_address(),
        address: 0,
        write: false,
    };
    for (selector, open) in [(0x2b, 1), (3, 0)] {
        case.state.gpr[0] = selector;
        let mask =
            BlockEffects::new(&case.block).mask_at_endpoint(&case, &Endpoint::Signal(signal), &case.state);
        assert_eq!(mask.faults.len(), open);
    }
}
