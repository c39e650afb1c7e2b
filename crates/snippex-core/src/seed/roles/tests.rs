use iced_x86::code_asm::*;

use super::*;
use crate::block::Origin;
use crate::seed::Linear;

fn roles(terminator: Terminator, build: impl FnOnce(&mut CodeAssembler)) -> Roles {
    let mut assembler = CodeAssembler::new(64).unwrap();
    build(&mut assembler);
    let bytes = assembler.assemble(0x1000).unwrap();
    let block = Block {
        address: 0x1000,
        instruction_count: 0,
        bytes,
        terminator,
        successors: vec![],
        origin: Origin::Symbol,
        unrunnable: None,
    };
    Roles::from_block(
        &block,
        Placement {
            image_base: 0,
            code_base: 0,
        },
    )
}

#[test]
fn a_copied_base_is_traced_to_its_start_value() {
    let roles = roles(Terminator::FallThrough, |a| {
        a.mov(rax, rdi).unwrap();
        a.add(rax, 0x10).unwrap();
        a.mov(dword_ptr(rax + rsi * 4 + 8), edx).unwrap();
    });
    assert_eq!(
        roles.roles[7],
        Role::Base {
            displacement: 0x18,
            aligned: false,
            pinned: false
        }
    );
    assert_eq!(roles.roles[6], Role::Index);
    assert_eq!(roles.roles[2], Role::Data);
    assert_eq!(roles.memory.len(), 1);
    assert!(roles.memory[0].written);
    assert!(!roles.follows_pointers);
}

#[test]
fn the_slot_of_a_return_is_found_through_pops() {
    let roles = roles(Terminator::Ret, |a| {
        a.add(rsp, 0x18).unwrap();
        a.pop(rbx).unwrap();
        a.pop(rbp).unwrap();
        a.ret().unwrap();
    });
    let slot = roles.target_slot.expect("a return loads its target");
    assert_eq!(
        slot.address,
        Some(Linear {
            terms: vec![(4, 1)],
            constant: 0x28,
            narrowed: false
        })
    );
}

#[test]
fn references_relative_to_rip_reach_the_loaded_image() {
    // mov rax, [rip + 0x10]
    let block = Block {
        address: 0x1000,
        bytes: vec![0x48, 0x8b, 0x05, 0x10, 0, 0, 0],
        instruction_count: 1,
        terminator: Terminator::FallThrough,
        successors: vec![],
        origin: Origin::Symbol,
        unrunnable: None,
    };
    let roles = Roles::from_block(
        &block,
        Placement {
            image_base: 0x2_0000_0000,
            code_base: 0,
        },
    );
    assert_eq!(
        roles.memory[0].address.as_ref().unwrap().value_for(&[0; 16]),
        0x2_0000_1017
    );
}

#[test]
fn pointer_chasing_is_seen() {
    let roles = roles(Terminator::IndirectCall, |a| {
        a.mov(rax, qword_ptr(rdi)).unwrap();
        a.call(qword_ptr(rax + 0x18)).unwrap();
    });
    assert!(roles.follows_pointers);
    assert!(matches!(roles.roles[7], Role::Base { .. }));
}

#[test]
fn counts_have_roles_of_their_own() {
    let shift = roles(Terminator::FallThrough, |a| a.shl(rax, cl).unwrap());
    assert_eq!(shift.roles[1], Role::ShiftCount);
    let string = roles(Terminator::FallThrough, |a| a.rep().movsb().unwrap());
    assert_eq!(string.roles[1], Role::RepeatCount);
    assert!(matches!(string.roles[6], Role::Base { .. }));
    assert!(matches!(string.roles[7], Role::Base { .. }));
    let division = roles(Terminator::FallThrough, |a| a.div(rcx).unwrap());
    assert_eq!(division.roles[2], Role::DividendHigh);
    assert_eq!(division.roles[1], Role::Division);
    let jump = roles(Terminator::IndirectJmp, |a| a.jmp(rax).unwrap());
    assert_eq!(jump.roles[0], Role::JumpTarget { displacement: 0 });
}
