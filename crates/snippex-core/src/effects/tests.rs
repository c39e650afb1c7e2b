//! The rules one by one, over code assembled for the purpose, and the table against iced-x86's own.

use std::sync::Arc;

use iced_x86::code_asm::*;
use iced_x86::{Code, Instruction, OpKind, Register};
use proptest::prelude::*;

use super::*;
use crate::block::{Origin, Terminator};
use crate::case::{Access, PAGE_SIZE, Page, Placement};
use crate::observation::Signal;
use crate::state::rflags::{AF, CF, OF, PF, SF, STATUS, ZF};

pub(crate) const ADDRESS: u64 = 0x40_1000;
pub(crate) const DATA: u64 = 0x10_0000;

/// A block of assembled code.
pub(crate) fn block(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Block {
    let mut assembler = CodeAssembler::new(64).unwrap();
    write(&mut assembler).unwrap();
    let instruction_count = assembler.instructions().len() as u32;
    Block {
        address: ADDRESS,
        bytes: assembler.assemble(ADDRESS).unwrap(),
        instruction_count,
        terminator: Terminator::FallThrough,
        successors: Vec::new(),
        origin: Origin::Sweep,
        unrunnable: None,
    }
}

/// A case of `block` with two data pages at [`DATA`], RSI, RDI and RSP pointing into them, and RCX of `count`.
pub(crate) fn case(block: Block, count: u64) -> Case {
    let page = |address| Page {
        address,
        access: Access::ReadWrite,
        content: Arc::new([0x11; PAGE_SIZE]),
    };
    let mut state = MachineState::default();
    state.gpr[1] = count;
    state.gpr[4] = DATA + 0x800;
    state.gpr[6] = DATA + 0x100;
    state.gpr[7] = DATA + 0x200;
    Case {
        block: Arc::new(block),
        placement: Placement {
            image_base: 0,
            code_base: 0x1000_0000,
        },
        state,
        pages: Arc::new([page(DATA), page(DATA + PAGE_SIZE as u64)]),
    }
}

fn mask_with(count: u64, write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Mask {
    let case = case(block(write), count);
    BlockEffects::new(&case.block).mask(&case, &Endpoint::Exit { target: 0 }, &case.state)
}

fn mask(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Mask {
    mask_with(0, write)
}

fn rules(list: &[Rule]) -> RuleSet {
    list.iter().copied().collect()
}

#[test]
fn flags_of_single_instructions() {
    type Write = fn(&mut CodeAssembler) -> Result<(), IcedError>;
    let table: &[(&str, Write, u64)] = &[
        ("and", |a| a.and(rax, rbx), AF),
        ("test", |a| a.test(eax, 7), AF),
        ("xor", |a| a.xor(eax, eax), AF),
        ("add", |a| a.add(rax, rbx), 0),
        ("cmp", |a| a.cmp(rax, rbx), 0),
        ("andn", |a| a.andn(rax, rbx, rdx), AF | PF),
        ("bextr", |a| a.bextr(rax, rbx, rdx), AF | PF | SF),
        ("blsr", |a| a.blsr(rax, rbx), AF | PF),
        ("bzhi", |a| a.bzhi(rax, rbx, rdx), AF | PF),
        ("tzcnt", |a| a.tzcnt(rax, rbx), OF | SF | AF | PF),
        ("popcnt", |a| a.popcnt(rax, rbx), 0),
        ("bsf", |a| a.bsf(rax, rbx), STATUS & !ZF),
        ("bt", |a| a.bt(rax, 3), OF | SF | AF | PF),
        ("mul", |a| a.mul(rbx), SF | ZF | AF | PF),
        ("imul", |a| a.imul_3(rax, rbx, 7), SF | ZF | AF | PF),
        ("div", |a| a.div(rbx), STATUS),
        ("shl 1", |a| a.shl(rax, 1), AF),
        ("shl 3", |a| a.shl(rax, 3), AF | OF),
        ("shl 8-bit by 8", |a| a.shl(al, 8), AF | OF | CF),
        ("sar 8-bit by 8", |a| a.sar(al, 8), AF | OF),
        ("shl 32-bit by 32", |a| a.shl(eax, 32), 0),
        ("rol 1", |a| a.rol(rax, 1), 0),
        ("rol 2", |a| a.rol(rax, 2), OF),
        ("shld 16-bit by 17", |a| a.shld(ax, bx, 17), STATUS),
        ("shld 16-bit by 16", |a| a.shld(ax, bx, 16), AF | OF),
        ("shrd 64-bit by 3", |a| a.shrd(rax, rbx, 3), AF | OF),
        ("cmpxchg8b", |a| a.cmpxchg8b(qword_ptr(rsi)), 0),
        ("ptest", |a| a.ptest(xmm0, xmm1), 0),
        ("ucomiss", |a| a.ucomiss(xmm0, xmm1), 0),
    ];
    for (name, write, flags) in table {
        let mask = mask(write);
        assert_eq!(mask.flag_bits(), *flags, "{name}");
        assert!(
            mask.gpr
                .iter()
                .enumerate()
                .all(|(i, bits)| bits.is_none() || name.contains("17") && i == 0),
            "{name}"
        );
    }
}

#[test]
fn a_shift_by_cl_uses_the_count_of_the_start_state() {
    let shift = |a: &mut CodeAssembler| a.shl(rax, cl);
    assert_eq!(mask_with(0, shift).flag_bits(), 0);
    assert_eq!(mask_with(64, shift).flag_bits(), 0);
    assert_eq!(mask_with(1, shift).flag_bits(), AF);
    assert_eq!(mask_with(2, shift).flag_bits(), AF | OF);
    let unknown = |a: &mut CodeAssembler| {
        a.imul_2(rcx, rbx)?;
        a.add(rdx, rdx)?;
        a.shl(rax, cl)
    };
    assert_eq!(mask_with(0, unknown).flag_bits(), AF | OF);
    let constant = |a: &mut CodeAssembler| {
        a.mov(ecx, 1)?;
        a.shl(rax, cl)
    };
    assert_eq!(mask_with(7, constant).flag_bits(), AF);
}

#[test]
fn a_shift_by_an_unknown_count_keeps_what_was_open() {
    let mask = mask(|a| {
        a.imul_2(rcx, rbx)?;
        a.shl(rax, cl)
    });
    assert_eq!(mask.flag_rules(ZF), rules(&[Rule::MultiplyFlags]));
    assert_eq!(mask.flag_rules(AF), rules(&[Rule::MultiplyFlags, Rule::ShiftAf]));
}

#[test]
fn an_undefined_flag_dies_when_it_is_overwritten() {
    let mask = mask(|a| {
        a.and(rax, rbx)?;
        a.add(rax, 1)
    });
    assert_eq!(mask, Mask::default());
}

#[test]
fn setcc_leaves_one_bit_of_one_byte_open() {
    let mask = mask(|a| {
        a.imul_2(rax, rbx)?;
        a.setz(dl)?;
        a.cmp(rax, rbx)
    });
    assert_eq!(mask.gpr[2], Bits::new(1, rules(&[Rule::MultiplyFlags])));
    assert_eq!(mask.flag_bits(), 0);
    let masked = self::mask(|a| {
        a.imul_2(rax, rbx)?;
        a.setz(dl)?;
        a.and(dl, 0xfe)?;
        a.cmp(rax, rbx)
    });
    assert!(masked.is_clean());
}

#[test]
fn adc_spreads_an_open_carry_over_the_whole_register() {
    let mask = mask(|a| {
        a.bsf(rax, rbx)?;
        a.adc(edx, 0)
    });
    assert_eq!(mask.gpr[2], Bits::new(0xffff_ffff, rules(&[Rule::BitScanFlags])));
    assert_eq!(mask.flag_bits(), STATUS);
}

#[test]
fn lahf_and_sahf_carry_flags_by_bit() {
    let open = |a: &mut CodeAssembler| {
        a.test(rax, rax)?;
        a.lahf()?;
        a.cmp(rbx, rdx)
    };
    assert_eq!(mask(open).gpr[0].mask, AF << 8);
    let back = mask(|a| {
        open(a)?;
        a.sahf()
    });
    assert_eq!(back.flag_bits(), AF);
}

#[test]
fn pushf_opens_memory_and_pop_brings_it_back() {
    let mask = mask(|a| {
        a.and(rax, rbx)?;
        a.pushfq()?;
        a.pop(rdx)?;
        a.cmp(rax, rbx)
    });
    assert_eq!(mask.gpr[2].mask, AF);
    assert_eq!(
        mask.memory,
        [OpenByte {
            address: DATA + 0x7f8,
            mask: 0x10,
            rules: rules(&[Rule::LogicAf])
        }]
    );
}

#[test]
fn an_open_bit_stored_at_an_unknown_address_may_be_anywhere() {
    let mask = mask(|a| {
        a.imul_2(rax, rbx)?;
        a.setz(dl)?;
        a.mov(byte_ptr(rax), dl)
    });
    assert_eq!(mask.anywhere, rules(&[Rule::MultiplyFlags]));
}

#[test]
fn a_clean_store_over_open_memory_closes_it() {
    let mask = mask(|a| {
        a.imul_2(rax, rbx)?;
        a.setz(byte_ptr(rsi))?;
        a.mov(qword_ptr(rsi), rbp)?;
        a.cmp(rax, rbx)
    });
    assert!(mask.is_clean(), "{mask:?}");
}

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
fn cmov_on_an_undefined_flag_opens_its_destination() {
    let mask = mask(|a| {
        a.div(rbx)?;
        a.cmovz(ecx, edx)
    });
    assert_eq!(mask.gpr[1], Bits::new(0xffff_ffff, rules(&[Rule::DivideFlags])));
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
fn bsf_of_zero_leaves_only_the_upper_half_open() {
    let scan = |source: u32| {
        mask(move |a| {
            a.mov(ebx, source)?;
            a.bsf(eax, ebx)
        })
    };
    assert_eq!(
        scan(0).gpr[0],
        Bits::new(0xffff_ffff_0000_0000, rules(&[Rule::BitScanUpper]))
    );
    assert_eq!(scan(5).gpr[0], Bits::NONE);
    assert_eq!(mask(|a| a.bsf(rax, rbx)).gpr[0], Bits::NONE);
}

#[test]
fn sixteen_bit_double_shifts_beyond_the_width_are_undefined() {
    let mask = mask_with(20, |a| a.shld(word_ptr(rsi), ax, cl));
    assert_eq!(mask.memory.len(), 2);
    assert_eq!(mask.flag_bits(), STATUS);
    assert!(mask_with(5, |a| a.shld(word_ptr(rsi), ax, cl)).memory.is_empty());
}

#[test]
fn bswap_of_16_bits_is_undefined() {
    let case = case(
        Block {
            bytes: vec![0x66, 0x0f, 0xc8],
            ..block(CodeAssembler::nop)
        },
        0,
    );
    let mask = BlockEffects::new(&case.block).mask(&case, &Endpoint::Exit { target: 0 }, &case.state);
    assert_eq!(mask.gpr[0], Bits::new(0xffff, rules(&[Rule::Bswap16])));
}

#[test]
fn reciprocals_are_approximate_until_something_computes_with_them() {
    let scalar = mask(|a| a.rcpss(xmm3, xmm1));
    assert_eq!(
        scalar.approximations,
        [Approximation {
            register: 3,
            bytes: 0xf,
            element: 4,
            rule: Rule::Reciprocal11
        }]
    );
    let moved = mask(|a| {
        a.vrsqrtps(ymm3, ymm1)?;
        a.vmovaps(ymm4, ymm3)?;
        a.vxorps(ymm3, ymm3, ymm3)
    });
    assert_eq!(
        moved.approximations,
        [Approximation {
            register: 4,
            bytes: 0xffff_ffff,
            element: 4,
            rule: Rule::Reciprocal11
        }]
    );
    let used = mask(|a| {
        a.rcpss(xmm3, xmm1)?;
        a.mulss(xmm3, xmm2)
    });
    assert_eq!(used.vectors[3], Bits::new(0xf, rules(&[Rule::Reciprocal11])));
    assert_eq!(used.mxcsr.mask, 0x3f);
    let gone = mask(|a| {
        a.rcpps(xmm3, xmm1)?;
        a.movaps(xmm3, xmm2)
    });
    assert!(gone.is_clean());
}

#[test]
fn x87_codes_are_undefined_after_arithmetic_and_defined_after_compares() {
    assert_eq!(mask(|a| a.fadd_2(st0, st1)).status_bits(), 0x4500);
    assert_eq!(mask(CodeAssembler::fld1).status_bits(), 0x4500);
    assert_eq!(mask(|a| a.fcom(qword_ptr(rsi))).status_bits(), 0);
    assert_eq!(mask(|a| a.fcomi(st0, st1)).status_bits(), 0);
    let stored = mask(|a| {
        a.fmul_2(st0, st1)?;
        a.fnstsw(ax)
    });
    assert_eq!(stored.gpr[0], Bits::new(0x4500, rules(&[Rule::X87Codes])));
    let compared = mask(|a| {
        a.fmul_2(st0, st1)?;
        a.fcom(qword_ptr(rsi))?;
        a.fnstsw(ax)
    });
    assert_eq!(compared.gpr[0], Bits::NONE);
}

#[test]
fn x87_approximations_follow_the_stack() {
    // TOP is 0 at the start: FLD1 pushes to physical 7, FYL2X pops to 0 and leaves its result there.
    let log = mask(|a| {
        a.fld1()?;
        a.fxch(st0, st1)?;
        a.fyl2x()
    });
    assert_eq!(log.st[0], Precision::Approximate(Rule::X87Transcendental));
    assert_eq!(log.st[7], Precision::Exact);
    let popped = mask(|a| {
        a.f2xm1()?;
        a.fstp(qword_ptr(rsi))
    });
    assert_eq!(popped.memory.len(), 8);
    let sine = mask(CodeAssembler::fsin);
    assert_eq!(sine.st[0], Precision::Approximate(Rule::X87Trigonometric));
    assert!(sine.status_rules(1 << 9).contains(Rule::X87Rounding));
}

#[test]
fn fptan_pushes_only_when_the_end_state_says_so() {
    let case = case(block(CodeAssembler::fptan), 0);
    let effects = BlockEffects::new(&case.block);
    let mut end = case.state.clone();
    let unpushed = effects.mask(&case, &Endpoint::Exit { target: 0 }, &end);
    end.x87.status = 7 << 11;
    let pushed = effects.mask(&case, &Endpoint::Exit { target: 0 }, &end);
    assert_ne!(pushed.st[0], Precision::Exact);
    assert_eq!(pushed.st[7], Precision::Exact);
    assert_eq!(unpushed.st[7], Precision::Exact);
}

#[test]
fn stored_environments_leave_pointers_open_and_fields_defined() {
    let mask = mask(|a| a.fnstenv(ptr(rsi)));
    let at = DATA + 0x100;
    assert_eq!(mask.memory_at(at), (0, RuleSet::EMPTY));
    assert_eq!(mask.memory_at(at + 4), (0, RuleSet::EMPTY));
    assert_eq!(mask.memory_at(at + 12), (0xff, rules(&[Rule::X87Pointers])));
    assert_eq!(mask.memory_at(at + 28), (0, RuleSet::EMPTY));
    let saved = self::mask(|a| a.fxsave(ptr(rsi)));
    assert_eq!(saved.memory_at(at + 8), (0xff, rules(&[Rule::X87Pointers])));
    assert_eq!(saved.memory_at(at + 24), (0, RuleSet::EMPTY));
    assert_eq!(saved.memory_at(at + 28), (0xff, rules(&[Rule::MxcsrMask])));
    assert_eq!(saved.memory_at(at + 160), (0, RuleSet::EMPTY));
}

#[test]
fn an_environment_stored_and_loaded_again_stays_defined() {
    let mask = mask(|a| {
        a.fnstenv(ptr(rsi))?;
        a.fldenv(ptr(rsi))
    });
    assert_eq!(mask.status_bits(), 0);
    assert!(mask.control.is_none() && mask.st.iter().all(|st| *st == Precision::Exact));
}

#[test]
fn host_dependent_results_are_open() {
    let mask = mask(CodeAssembler::rdtsc);
    assert_eq!(mask.gpr[0], Bits::new(u64::MAX, rules(&[Rule::HostIdentity])));
    assert!(
        self::mask(|a| a.lsl(eax, ebx)).gpr[0]
            .rules
            .contains(Rule::Selector)
    );
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
    let mask = effects.mask(&case, &signal(3), &case.state);
    assert_eq!(mask.flag_bits(), AF);
    // 32 bytes across a page may have been written in part.
    assert_eq!(mask.memory.len(), 32);
    assert!(
        mask.memory
            .iter()
            .all(|byte| byte.rules == rules(&[Rule::PartialStore]))
    );
    assert_eq!(effects.completed(&case, &signal(0)), 0);
    assert_eq!(effects.completed(&case, &Endpoint::Exit { target: 0 }), 3);
    assert_eq!(effects.completed(&case, &signal(0x1000)), 3);
}

#[test]
fn our_table_covers_every_flag_that_iced_calls_undefined() {
    for code in Code::values().filter(|code| *code != Code::INVALID) {
        let mut instruction = Instruction::default();
        instruction.set_code(code);
        for operand in 0..instruction.op_count().min(4) {
            instruction.set_op_kind(operand, OpKind::Register);
            instruction.set_op_register(operand, Register::BL);
        }
        instruction.set_immediate8(3);
        if is_outside_user_mode(&instruction) {
            continue;
        }
        let undefined = decoded::to_rflags(instruction.rflags_undefined());
        let ours = undefined::flag_effect(&instruction, None)
            .open
            .into_iter()
            .flatten()
            .fold(0, |all, (flags, _)| all | flags);
        assert_eq!(undefined & !ours, 0, "{code:?}");
    }
}

/// Decimal adjustment does not exist in 64-bit mode; moves to control and debug registers are privileged.
fn is_outside_user_mode(instruction: &Instruction) -> bool {
    use iced_x86::Mnemonic as M;
    matches!(
        instruction.mnemonic(),
        M::Aaa | M::Aad | M::Aam | M::Aas | M::Daa | M::Das | M::Mov
    )
}

/// A few instructions to chain at random; none leaves the block or touches memory out of the pages.
fn arbitrary_code() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<Vec<u8>> = [
        block(|a| a.and(rax, rbx)),
        block(|a| a.mul(rbx)),
        block(|a| a.setz(dl)),
        block(|a| a.adc(rdx, rax)),
        block(CodeAssembler::lahf),
        block(CodeAssembler::pushfq),
        block(|a| a.pop(rbx)),
        block(|a| a.shl(rax, cl)),
        block(|a| a.cmovz(rcx, rdx)),
        block(|a| a.mov(qword_ptr(rsi), rdx)),
        block(|a| a.mov(rax, qword_ptr(rsi))),
        block(|a| a.rcpps(xmm1, xmm2)),
        block(|a| a.mulps(xmm2, xmm1)),
        block(CodeAssembler::fsin),
        block(CodeAssembler::fld1),
        block(|a| a.fnstsw(ax)),
        block(|a| a.movups(xmmword_ptr(rdi), xmm2)),
        block(|a| a.stmxcsr(dword_ptr(rdi))),
        block(|a| a.fnstenv(ptr(rdi))),
        block(|a| a.add(rax, rdx)),
    ]
    .into_iter()
    .map(|block| block.bytes)
    .collect();
    proptest::collection::vec(proptest::sample::select(pieces), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// A register that is overwritten by a constant is defined, whatever came before.
    #[test]
    fn overwriting_closes(bytes in arbitrary_code()) {
        let mut bytes = bytes;
        bytes.extend(block(|a| {
            a.mov(eax, 5)?;
            a.xorps(xmm1, xmm1)?;
            a.fninit()?;
            a.add(eax, eax)
        }).bytes);
        let case = case(Block { bytes, ..block(CodeAssembler::nop) }, 3);
        let mask = BlockEffects::new(&case.block).mask(&case, &Endpoint::Exit { target: 0 }, &case.state);
        prop_assert_eq!(mask.gpr[0], Bits::NONE);
        prop_assert_eq!(mask.vectors[1], Bits::NONE);
        prop_assert_eq!(mask.flag_bits(), 0);
        prop_assert_eq!(mask.status_bits(), 0);
    }

    /// Every open bit has a rule and every rule an open bit.
    #[test]
    fn masks_and_rules_go_together(bytes in arbitrary_code()) {
        let case = case(Block { bytes, ..block(CodeAssembler::nop) }, 3);
        let mask = BlockEffects::new(&case.block).mask(&case, &Endpoint::Exit { target: 0 }, &case.state);
        for bits in mask.gpr.iter().chain(&mask.vectors).chain(&mask.opmask).chain([&mask.mxcsr, &mask.control]) {
            prop_assert_eq!(bits.mask == 0, bits.rules.is_empty());
        }
        for byte in &mask.memory {
            prop_assert!(byte.mask != 0 && !byte.rules.is_empty());
        }
    }

    /// Any bytes at all are analysed without a panic.
    #[test]
    fn any_bytes_are_analysed(bytes in proptest::collection::vec(any::<u8>(), 0..60), count: u64, rip in 0u64..80) {
        let case = case(Block { bytes, ..block(CodeAssembler::nop) }, count);
        let effects = BlockEffects::new(&case.block);
        let signal = Signal { number: 11, code: 1, rip: case.code_address() + rip, address: count, write: false };
        for endpoint in [Endpoint::Exit { target: 0 }, Endpoint::Signal(signal)] {
            let mask = effects.mask(&case, &endpoint, &case.state);
            prop_assert!(mask.memory.is_sorted_by_key(|byte| byte.address));
        }
    }
}
