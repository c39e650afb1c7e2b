//! Open faults and targets, and what a fault leaves open.

use iced_x86::code_asm::*;

use super::*;
use crate::observation::Signal;
use crate::state::rflags::AF;

#[test]
fn a_branch_on_an_undefined_flag_leaves_the_target_open() {
    let branch = mask(|a| {
        a.mul(rbx)?;
        a.jz(ADDRESS + 0x40)
    });
    assert_eq!(branch.target, rules(&[Rule::MultiplyFlags]));
    let defined = mask(|a| {
        a.mul(rbx)?;
        a.jb(ADDRESS + 0x40)
    });
    assert!(defined.target.is_empty());
}

#[test]
fn an_open_address_leaves_the_fault_open() {
    let mask = mask(|a| {
        a.mul(rbx)?;
        a.setz(cl)?;
        a.mov(rdx, qword_ptr(rsi + rcx))
    });
    assert_eq!(
        mask.faults,
        [OpenFault {
            instruction: 2,
            rules: rules(&[Rule::MultiplyFlags])
        }]
    );
    assert_eq!(mask.gpr[2].mask, u64::MAX);
}

#[test]
fn a_signal_ends_the_flow_before_its_instruction() {
    let case = case(
        block(|a| {
            a.and(rax, rbx)?;
            a.vmovups(ymmword_ptr(rsi + 0xef0), ymm1)?;
            a.mul(rbx)
        }),
        0,
    );
    let effects = BlockEffects::new(&case.block);
    let signal = |rip| {
        Endpoint::Signal(Signal {
            number: 11,
            code: 1,
            rip: case.code_address() + rip,
            address: 0x10_2000,
            write: true,
        })
    };
    let mask = effects.mask_at_endpoint(&case, &signal(3), &case.state);
    assert_eq!(mask.flag_bits(), AF);
    // 32 bytes across a page may have been written in part.
    assert_eq!(mask.memory.len(), 32);
    assert!(
        mask.memory
            .iter()
            .all(|byte| byte.rules == rules(&[Rule::PartialStore]))
    );
    assert_eq!(effects.completed_instructions(&case, &signal(0)), 0);
    assert_eq!(
        effects.completed_instructions(&case, &Endpoint::Exit { target: 0 }),
        3
    );
    assert_eq!(effects.completed_instructions(&case, &signal(0x1000)), 3);
}

#[test]
fn a_gather_that_faults_leaves_its_registers_open() {
    // vpgatherdd xmm1, [rsi + xmm2 * 4], xmm3
    let bytes = vec![0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x96];
    let case = case(
        Block {
            bytes,
            ..block(CodeAssembler::nop)
        },
        0,
    );
    let signal = Signal {
        number: 11,
        code: 1,
        rip: case.code_address(),
        address: 8,
        write: false,
    };
    let mask = BlockEffects::new(&case.block).mask_at_endpoint(&case, &Endpoint::Signal(signal), &case.state);
    assert!(mask.vectors[1].rules.contains(Rule::PartialGather));
    assert!(mask.vectors[3].rules.contains(Rule::PartialGather));
    assert!(mask.vectors[2].is_none());
}

#[test]
fn a_division_by_an_open_value_may_fault() {
    let mask = mask(|a| {
        a.mul(rbx)?;
        a.setz(cl)?;
        a.div(cl)
    });
    assert_eq!(
        mask.faults,
        [OpenFault {
            instruction: 2,
            rules: rules(&[Rule::MultiplyFlags])
        }]
    );
}

#[test]
fn a_near_return_with_an_operand_size_prefix_goes_where_the_vendor_likes() {
    let of = |bytes: &[u8]| {
        let case = case(
            Block {
                bytes: bytes.to_vec(),
                ..block(CodeAssembler::nop)
            },
            0,
        );
        BlockEffects::new(&case.block).mask_at_endpoint(&case, &Endpoint::Exit { target: 0 }, &case.state)
    };
    let narrow = of(&[0x66, 0xc2, 0x08, 0x00]);
    assert_eq!(narrow.target, rules(&[Rule::NarrowBranch]));
    assert_eq!(narrow.gpr[4].mask, u64::MAX);
    assert_eq!(
        narrow.faults,
        [OpenFault {
            instruction: 0,
            rules: rules(&[Rule::NarrowBranch])
        }]
    );
    assert!(of(&[0xc2, 0x08, 0x00]).is_clean());
    // 66h as part of the immediate is no prefix.
    assert!(of(&[0xc2, 0x66, 0x66]).target.is_empty());
}
