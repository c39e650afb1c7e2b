//! Integer rules and the ways of open bits through integer code.

use iced_x86::code_asm::*;

use super::*;
use crate::state::rflags::{AF, CF, OF, PF, SF, STATUS, ZF};

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
fn cmov_on_an_undefined_flag_opens_its_destination() {
    let mask = mask(|a| {
        a.div(rbx)?;
        a.cmovz(ecx, edx)
    });
    assert_eq!(mask.gpr[1], Bits::new(0xffff_ffff, rules(&[Rule::DivideFlags])));
}

#[test]
fn bsf_of_zero_leaves_its_destination_alone() {
    let scan = |source: u32| {
        mask(move |a| {
            a.mov(ebx, source)?;
            a.bsf(eax, ebx)
        })
    };
    // The SDM's footnote is about older processors; AMD's manual and every processor of today agree.
    assert_eq!(scan(0).gpr[0], Bits::NONE);
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
    let mask =
        BlockEffects::new(&case.block).mask_at_endpoint(&case, &Endpoint::Exit { target: 0 }, &case.state);
    assert_eq!(mask.gpr[0], Bits::new(u64::MAX, rules(&[Rule::Bswap16])));
}

#[test]
fn counts_and_addresses_come_from_memory_of_the_case_too() {
    // The page holds 0x11 everywhere: the count is 17, beyond the width.
    let relative = mask(|a| {
        a.mov(ecx, dword_ptr(DATA + 0x10))?;
        a.shl(ax, cl)
    });
    assert_eq!(relative.flag_bits(), AF | OF | CF);
    let stored = mask(|a| {
        a.mov(qword_ptr(rsi), 1)?;
        a.mov(rcx, qword_ptr(rsi))?;
        a.shl(rax, cl)
    });
    assert_eq!(stored.flag_bits(), AF);
    let pushed = mask(|a| {
        a.push(1)?;
        a.pop(rcx)?;
        a.shl(rax, cl)
    });
    assert_eq!(pushed.flag_bits(), AF);
}

#[test]
fn a_rip_relative_load_reads_the_image_where_it_lies() {
    let mut case = case(
        block(|a| {
            a.mov(cl, byte_ptr(DATA - 0x1000))?;
            a.shl(al, cl)
        }),
        0,
    );
    // mov cl, [rip + x]: the file says one page below, the image lies one page higher.
    let displacement = (DATA - 0x1000).wrapping_sub(ADDRESS + 6) as u32;
    let mut bytes = vec![0x8a, 0x0d];
    bytes.extend(displacement.to_le_bytes());
    bytes.extend([0xd2, 0xe0]);
    case.block = Arc::new(Block {
        bytes,
        ..(*case.block).clone()
    });
    case.placement.image_base = 0x1000;
    let mask =
        BlockEffects::new(&case.block).mask_at_endpoint(&case, &Endpoint::Exit { target: 0 }, &case.state);
    assert_eq!(mask.flag_bits(), AF | OF | CF, "count 17 of the image");
}

#[test]
fn high_bytes_and_extensions_keep_the_place_of_a_bit() {
    let mask = mask(|a| {
        a.imul_2(rax, rbx)?;
        a.setz(dh)?;
        a.movzx(ecx, dh)?;
        a.movsx(ebp, dh)?;
        a.bswap(rdx)?;
        a.cmp(rax, rbx)
    });
    assert_eq!(mask.gpr[1].mask, 1);
    assert_eq!(mask.gpr[5].mask, 1);
    assert_eq!(mask.gpr[2].mask, 1 << 48);
}
