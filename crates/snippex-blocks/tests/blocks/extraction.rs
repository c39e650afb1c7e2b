//! What extraction finds in small programs whose blocks are known.

use crate::support::{CODE, Elf, RODATA, assemble, pe};
use iced_x86::code_asm::*;
use iced_x86::{Code, Instruction, MemoryOperand, Register};
use snippex_blocks::binary::{Image, ImageError};
use snippex_blocks::extract::{Statistics, extract_blocks};
use snippex_core::block::{Block, Origin, Terminator, Unrunnable};

/// All blocks of a file.
fn blocks(file: &[u8]) -> (Vec<Block>, Statistics) {
    let image = Image::parse(file).expect("the file is well formed");
    let index = extract_blocks(&image);
    (index.iter().collect(), *index.statistics())
}

/// Offsets of blocks found by control flow.
fn offsets(blocks: &[Block]) -> Vec<u64> {
    let found = blocks.iter().filter(|block| block.origin != Origin::Sweep);
    found.map(|block| block.address - CODE).collect()
}

#[test]
fn a_branch_makes_three_blocks_with_their_successors() {
    // test rax,rax; je +2; inc eax; ret
    let (blocks, _) = blocks(&Elf::new(vec![0x48, 0x85, 0xc0, 0x74, 0x02, 0xff, 0xc0, 0xc3]).build());
    assert_eq!(blocks.len(), 3);
    let [entry, middle, last] = &blocks[..] else {
        unreachable!("three blocks")
    };
    assert_eq!(
        (entry.origin, entry.terminator, entry.instruction_count),
        (Origin::Entry, Terminator::Jcc, 2)
    );
    assert_eq!(entry.successors, [CODE + 7, CODE + 5]);
    assert_eq!(
        (middle.origin, middle.terminator),
        (Origin::AfterTerminator, Terminator::FallThrough)
    );
    assert_eq!(middle.successors, [CODE + 7]);
    assert_eq!(
        (last.origin, last.terminator),
        (Origin::BranchTarget, Terminator::Ret)
    );
    assert_eq!(last.bytes, [0xc3]);
}

#[test]
fn nothing_is_code_behind_a_call_that_never_returns() {
    let mut code = assemble(|a| {
        let mut abort = a.create_label();
        let mut fine = a.create_label();
        a.call(fine)?;
        a.call(abort)?;
        a.db(&[0x06, 0x07, 0x0e, 0x16])?; // does not decode
        a.set_label(&mut abort)?;
        a.ud2()?;
        a.set_label(&mut fine)?;
        a.ret()
    });
    code.extend([0xcc; 8]);
    let (blocks, statistics) = blocks(&Elf::new(code).build());
    assert_eq!(offsets(&blocks), [0, 5, 14, 16]);
    assert_eq!(statistics.never_returning_calls, 1);
    assert_eq!(blocks.len(), 4, "padding and data are no blocks: {blocks:#?}");
}

#[test]
fn mutual_recursion_that_reaches_a_return_returns() {
    let code = assemble(|a| {
        let (mut even, mut odd, mut done) = (a.create_label(), a.create_label(), a.create_label());
        a.call(even)?;
        a.ret()?;
        a.set_label(&mut even)?;
        a.dec(eax)?;
        a.je(done)?;
        a.call(odd)?;
        a.set_label(&mut done)?;
        a.ret()?;
        a.set_label(&mut odd)?;
        a.call(even)?;
        a.ret()
    });
    let (blocks, statistics) = blocks(&Elf::new(code).build());
    assert_eq!(statistics.never_returning_calls, 0);
    assert_eq!(
        blocks
            .iter()
            .filter(|block| block.terminator == Terminator::Ret)
            .count(),
        3
    );
}

/// A `switch` over four cases; the table is at `table`, and holds distances from itself.
fn switch(table: u64) -> Vec<u8> {
    assemble(|a| {
        let mut default = a.create_label();
        a.cmp(edi, 3)?;
        a.ja(default)?;
        a.mov(edi, edi)?;
        let operand = MemoryOperand::with_base_displ(Register::RIP, table as i64);
        a.add_instruction(Instruction::with2(Code::Lea_r64_m, Register::RDX, operand)?)?;
        a.movsxd(rax, dword_ptr(rdx + rdi * 4))?;
        a.add(rax, rdx)?;
        a.jmp(rax)?;
        for value in 0..4 {
            a.mov(eax, value)?;
            a.ret()?;
        }
        a.set_label(&mut default)?;
        a.ret()
    })
}

fn table(entries: &[u64], base: u64) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|&entry| (CODE + entry).wrapping_sub(base).to_le_bytes()[..4].to_vec())
        .collect()
}

#[test]
fn jump_tables_lead_to_their_cases() {
    let code = switch(RODATA);
    let cases: Vec<u64> = (0..4)
        .map(|case| code.len() as u64 - 1 - 6 * (4 - case))
        .collect();
    let mut rodata = table(&cases, RODATA);
    rodata.extend([0xee; 64]);
    let (blocks, statistics) = blocks(
        &Elf {
            rodata,
            ..Elf::new(code)
        }
        .build(),
    );
    assert_eq!(statistics.jump_tables, 1);
    let found = blocks.iter().filter(|block| block.origin == Origin::JumpTable);
    assert_eq!(found.map(|block| block.address - CODE).collect::<Vec<_>>(), cases);
    assert!(blocks.iter().all(|block| block.origin != Origin::Sweep));
}

/// As [`switch`], without a comparison: the compiler knows that the byte at RDI is one of `cases`, each of which holds
/// instructions inside its constant.
fn unguarded_switch(table: u64, cases: u64) -> Vec<u8> {
    assemble(|a| {
        a.movzx(eax, byte_ptr(rdi))?;
        let operand = MemoryOperand::with_base_displ(Register::RIP, table as i64);
        a.add_instruction(Instruction::with2(Code::Lea_r64_m, Register::RCX, operand)?)?;
        a.movsxd(rax, dword_ptr(rcx + rax * 4))?;
        a.add(rax, rcx)?;
        a.jmp(rax)?;
        for case in 0..cases {
            a.mov(rax, 0x1122_3344_5566_7788_u64 + case)?;
            a.ret()?;
        }
        Ok(())
    })
}

#[test]
fn a_table_without_a_bound_ends_where_another_begins() {
    // call the second; then the first one, both tables side by side.
    let first = unguarded_switch(RODATA - 5, 3);
    let length = first.len() as u64;
    let second = unguarded_switch(RODATA + 12 - 5 - length, 3);
    let mut code = [&[0xe8][..], &(length as u32).to_le_bytes()].concat();
    code.extend(&first);
    code.extend(&second);
    let cases = |start: u64| -> Vec<u64> { (0..3).map(|case| start + length - 11 * (3 - case)).collect() };
    let mut rodata = table(&cases(5), RODATA);
    rodata.extend(table(&cases(5 + length), RODATA + 12));
    let file = Elf {
        rodata,
        ..Elf::new(code)
    };
    let (blocks, statistics) = blocks(&file.build());
    assert_eq!(statistics.jump_tables, 2);
    let found = blocks.iter().filter(|block| block.origin == Origin::JumpTable);
    let expected = [cases(5), cases(5 + length)].concat();
    assert_eq!(
        found.map(|block| block.address - CODE).collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn of_two_ways_to_read_the_same_bytes_the_better_founded_one_stays() {
    // Nothing says how long the table is; what follows it leads into the constant of its second case, and to what only it leads to.
    let mut code = assemble(|a| {
        let operand = MemoryOperand::with_base_displ(Register::RIP, RODATA as i64);
        a.add_instruction(Instruction::with2(Code::Lea_r64_m, Register::RCX, operand)?)?;
        a.movsxd(rax, dword_ptr(rcx + rdi * 4))?;
        a.add(rax, rcx)?;
        a.jmp(rax)?;
        for case in 0..2 {
            a.mov(rax, 0x1122_3344_5566_7788_u64 + case)?;
            a.ret()?;
        }
        Ok(())
    });
    let cases = [code.len() as u64 - 22, code.len() as u64 - 11];
    code.extend([0xcc; 5]);
    let alone = code.len() as u64;
    code.extend([0xb8, 5, 0, 0, 0, 0xc3]);
    // 44 33 22 and 11 C3 are instructions, too, the last of which has the RET in it.
    let rodata = table(&[cases[0], cases[1], cases[1] + 6, alone], RODATA);
    let (blocks, _) = blocks(
        &Elf {
            rodata,
            ..Elf::new(code)
        }
        .build(),
    );
    let found = blocks.iter().map(|block| (block.address - CODE, block.origin));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            (0, Origin::Entry),
            (cases[0], Origin::JumpTable),
            (cases[1], Origin::JumpTable),
            (alone, Origin::Sweep)
        ]
    );
}

#[test]
fn code_that_jumps_behind_a_prefix_is_read_in_both_ways() {
    // je behind the LOCK; lock dec dword [rdi]; ret
    let (blocks, _) = blocks(&Elf::new(vec![0x74, 1, 0xf0, 0xff, 0x0f, 0xc3]).build());
    let found = blocks
        .iter()
        .map(|block| (block.address - CODE, block.bytes.len()));
    assert_eq!(found.collect::<Vec<_>>(), [(0, 2), (2, 4), (3, 3)]);
}

#[test]
fn constants_between_functions_are_no_blocks() {
    let jump = |length: u32| [&[0xe9][..], &length.to_le_bytes()].concat();
    // The first constants of SHA-256 (FIPS 180-4, section 4.2.2), some of which decode.
    let constants: Vec<u8> = [
        0x428a_2f98_u32,
        0x7137_4491,
        0xb5c0_fbcf,
        0xe9b5_dba5,
        0x3956_c25b,
        0x59f1_11f1,
        0x923f_82a4,
        0xab1c_5ed5,
        0xd807_aa98,
        0x1283_5b01,
        0x2431_85be,
        0x550c_7dc3,
        0x72be_5d74,
        0x80de_b1fe,
        0x9bdc_06a7,
        0xc19b_f174,
    ]
    .iter()
    .flat_map(|word| word.to_le_bytes())
    .collect();
    let mut code = jump(constants.len() as u32 + 11);
    code.resize(16, 0xcc);
    code.extend(&constants);
    code.push(0xc3);
    let found = blocks(&Elf::new(code.clone()).build()).0;
    let swept = |blocks: &[Block]| {
        blocks
            .iter()
            .filter(|block| block.origin == Origin::Sweep)
            .count()
    };
    assert_eq!((found.len(), swept(&found)), (2, 0), "{found:#?}");
    // What compilers write is found there all the same: mov eax, 1; ret, and padding up to the next function.
    let function = [&[0xb8, 1, 0, 0, 0, 0xc3][..], &[0xcc; 10]].concat();
    code.splice(16..16, function);
    code[1] += 16;
    let found = blocks(&Elf::new(code).build()).0;
    assert_eq!((found.len(), swept(&found)), (3, 1), "{found:#?}");
}

#[test]
fn a_section_table_that_means_nothing_is_not_trusted() {
    let elf = Elf {
        symbols: vec![(0, 1, 2)],
        ..Elf::new(vec![0x90, 0xc3])
    };
    let mut file = elf.build();
    let table = u64::from_le_bytes(file[0x28..0x30].try_into().unwrap()) as usize;
    for (index, byte) in file[table..].iter_mut().enumerate() {
        *byte = (index * 37 + 11) as u8;
    }
    let (found, _) = blocks(&file);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].origin, Origin::Entry);
}

#[test]
fn a_jump_table_inside_the_code_is_data() {
    let length = switch(CODE).len() as u64;
    let mut code = switch(CODE + length);
    assert_eq!(code.len() as u64, length);
    let cases: Vec<u64> = (0..4).map(|case| length - 1 - 6 * (4 - case)).collect();
    code.extend(table(&cases, CODE + length));
    let (blocks, statistics) = blocks(&Elf::new(code).build());
    assert_eq!(statistics.jump_tables, 1);
    assert!(
        blocks.iter().all(|block| block.end_address() <= CODE + length),
        "{blocks:#?}"
    );
}

#[test]
fn objects_named_in_code_are_no_blocks() {
    // ret, then a table that decodes: `push rax; ret` four times.
    let mut code = vec![0xc3];
    code.extend([0x50, 0xc3].repeat(4));
    let plain = blocks(&Elf::new(code.clone()).build()).0;
    assert_eq!(
        plain.iter().filter(|block| block.origin == Origin::Sweep).count(),
        4
    );
    let symbols = vec![(1, 8, 1)];
    let named = blocks(
        &Elf {
            symbols,
            ..Elf::new(code)
        }
        .build(),
    )
    .0;
    assert_eq!(named.len(), 1);
}

#[test]
fn relocated_pointers_and_symbols_are_starts() {
    // Three functions of `mov eax,1; ret` with padding between.
    let function = [0xb8, 1, 0, 0, 0, 0xc3];
    let mut code = Vec::new();
    (0..3).for_each(|_| {
        code.extend(function);
        code.resize(code.len().next_multiple_of(16), 0xcc);
    });
    let elf = Elf {
        relative: vec![(crate::support::WORDS, CODE + 16)],
        words: vec![0; 8],
        symbols: vec![(32, 6, 2)],
        ..Elf::new(code)
    };
    let (blocks, _) = blocks(&elf.build());
    let origins: Vec<_> = blocks
        .iter()
        .map(|block| (block.address - CODE, block.origin))
        .collect();
    assert_eq!(
        origins,
        [(0, Origin::Entry), (16, Origin::Relocation), (32, Origin::Symbol)]
    );
}

#[test]
fn alignment_behind_a_branch_belongs_to_no_block() {
    // je +12; 14 bytes of NOP up to offset 16; ret
    let mut code = vec![0x74, 0x0e];
    code.extend([0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0, 0x0f, 0x1f, 0x44, 0, 0]);
    code.push(0xc3);
    assert_eq!(offsets(&blocks(&Elf::new(code).build()).0), [0, 16]);
}

#[test]
fn a_block_ends_in_what_processors_refuse() {
    for (refused, length) in [
        (&[0xf0_u8, 0x89, 0x07][..], 3),
        (&[0x8e, 0xc8], 2),
        (&[0xc5, 0xfd, 0x6e, 0xc0], 4),
    ] {
        let mut code = vec![0xb8, 1, 0, 0, 0]; // mov eax, 1
        code.extend(refused);
        code.push(0xc3);
        let block = blocks(&Elf::new(code).build()).0[0].clone();
        assert_eq!(block.unrunnable, None, "{refused:02x?}");
        assert_eq!(
            (block.instruction_count, block.terminator),
            (2, Terminator::Trap),
            "{refused:02x?}"
        );
        assert_eq!(block.bytes[5..], refused[..length], "{refused:02x?}");
    }
}

#[test]
fn what_cannot_be_run_says_why() {
    let reason = |code: &[u8]| {
        let mut code = code.to_vec();
        code.push(0xc3);
        blocks(&Elf::new(code).build()).0[0].unrunnable
    };
    assert_eq!(reason(&[0x0f, 0x05]), Some(Unrunnable::Syscall));
    assert_eq!(reason(&[0xcd, 0x80]), Some(Unrunnable::Syscall));
    assert_eq!(reason(&[0xf1]), Some(Unrunnable::HostDependent)); // int1
    assert_eq!(reason(&[0x66, 0xc3]), Some(Unrunnable::HostDependent)); // ret with an operand-size prefix
    assert_eq!(reason(&[0x0f, 0x01, 0xef]), Some(Unrunnable::StateNotCovered)); // wrpkru
    assert_eq!(
        reason(&[0xc7, 0xf8, 0, 0, 0, 0]),
        Some(Unrunnable::StateNotCovered)
    ); // xbegin
    assert_eq!(reason(&[0xec]), Some(Unrunnable::Privileged)); // in al,dx
    assert_eq!(reason(&[0x0f, 0x01, 0xf8]), Some(Unrunnable::Privileged)); // swapgs
    assert_eq!(reason(&[0xfa]), Some(Unrunnable::Privileged)); // cli
    assert_eq!(reason(&[0xcb]), Some(Unrunnable::FarTransfer)); // retf
    // What a careless engine takes for a system call.
    assert_eq!(reason(&[0x90, 0xf0, 0x0f, 0x05]), Some(Unrunnable::Syscall));
    for fine in [
        &[0x9c, 0x9d][..],
        &[0x0f, 0xae, 0x00],
        &[0xf4],
        &[0x0f, 0x0b],
        &[0xcc],
        &[0x65, 0x8b, 0x00],
        &[0x0f, 0xa2],             // cpuid
        &[0x0f, 0x31],             // rdtsc
        &[0x0f, 0xc7, 0xf0],       // rdrand eax
        &[0x0f, 0x01, 0xd0],       // xgetbv
        &[0x0f, 0x01, 0xee],       // rdpkru
        &[0x8e, 0xe0],             // mov fs,eax
        &[0xf3, 0x0f, 0xae, 0xd0], // wrfsbase eax
        &[0x0f, 0xae, 0x20],       // xsave [rax]
        &[0xcd, 0x03],             // int 3, in two bytes
    ] {
        assert_eq!(reason(fine), None, "{fine:x?}");
    }
}

#[test]
fn a_pe_file_gives_the_functions_of_its_unwind_table() {
    let mut code = vec![0x31, 0xc0, 0xc3]; // xor eax,eax; ret
    code.resize(16, 0xcc);
    code.extend([0xff, 0xc0, 0xc3]); // inc eax; ret
    let (blocks, _) = blocks(&pe(&code, &[(0, 3), (16, 19)], &[]));
    let found: Vec<_> = blocks
        .iter()
        .map(|block| (block.address - crate::support::PE_BASE, block.origin))
        .collect();
    assert_eq!(found, [(CODE, Origin::Entry), (CODE + 16, Origin::UnwindInfo)]);
}

/// A PE file whose code is RET, an instruction that nothing leads to, and the header of .NET with these flags and this size of native code.
fn assembly(flags: u32, native_size: u32) -> Vec<u8> {
    const HEADER_AT: usize = 16;
    let mut code = vec![0; HEADER_AT + 72];
    code[0] = 0xc3;
    code[1..7].copy_from_slice(&[0xb8, 1, 0, 0, 0, 0xc3]);
    code[HEADER_AT] = 72;
    code[HEADER_AT + 16..HEADER_AT + 20].copy_from_slice(&flags.to_le_bytes());
    code[HEADER_AT + 64..HEADER_AT + 68].copy_from_slice(&native_size.to_le_bytes());
    let mut file = pe(&code, &[(0, 1)], &[]);
    let directory = 0x98 + 112 + 8 * 14;
    file[directory..directory + 4].copy_from_slice(&(CODE as u32 + HEADER_AT as u32).to_le_bytes());
    file[directory + 4] = 72;
    file
}

#[test]
fn bytecode_of_dotnet_is_named_and_never_swept() {
    let error = |file: &[u8]| {
        Image::parse(file)
            .map(|_| ())
            .expect_err("there is no native code")
    };
    assert_eq!(error(&assembly(1, 0)), ImageError::Bytecode);
    // C++/CLI, and what was compiled ahead of time for Windows and for Linux.
    let mut linux = assembly(1, 64);
    linux[0x84..0x86].copy_from_slice(&(0x8664_u16 ^ 0x7b79).to_le_bytes());
    for file in [assembly(0, 0), assembly(1, 64), linux] {
        let (blocks, _) = blocks(&file);
        assert_eq!(blocks.len(), 1, "{blocks:?}");
        assert_eq!(blocks[0].bytes, [0xc3]);
    }
    // A directory that leads nowhere is no header.
    let mut lost = assembly(1, 0);
    lost[0x98 + 112 + 8 * 14 + 3] = 0xff;
    assert!(blocks(&lost).0.len() > 1);
}

#[test]
fn files_that_are_something_else_are_named() {
    let error = |file: &[u8]| {
        Image::parse(file)
            .map(|_| ())
            .expect_err("the file is no x86-64 program")
    };
    assert_eq!(
        error(b""),
        ImageError::UnknownFormat {
            found: "an empty file"
        }
    );
    assert_eq!(
        error(b"#!/bin/sh\n"),
        ImageError::UnknownFormat { found: "a script" }
    );
    assert!(error(b"!<arch>\n").to_string().contains("static library"));
    let mut kernel = pe(&[0xc3], &[], &[]);
    kernel[0x202..0x206].copy_from_slice(b"HdrS");
    assert!(error(&kernel).to_string().contains("compressed Linux kernel"));
    assert!(error(b"\x7fELF\x02\x01\x01").to_string().contains("truncated"));

    let file = Elf::new(vec![0xc3]).build();
    let changed = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        error(&file)
    };
    assert_eq!(
        changed(18, &[0xb7, 0]),
        ImageError::WrongMachine {
            found: "AArch64".to_owned()
        }
    );
    assert!(changed(18, &[3, 0]).to_string().contains("i386"));
    assert!(changed(4, &[1]).to_string().contains("x32"));
    assert_eq!(
        changed(16, &[1, 0]),
        ImageError::NotLinked {
            found: "an object file"
        }
    );
    // Program header of the code: offset, then size in the file, then size in memory.
    assert!(
        changed(64 + 8, &u64::MAX.to_le_bytes())
            .to_string()
            .contains("truncated")
    );
    assert!(changed(64 + 32, &[0xff; 16]).to_string().contains("truncated"));
    assert!(
        changed(64 + 16, &(u64::MAX - 8).to_le_bytes())
            .to_string()
            .contains("end of memory")
    );
    assert_eq!(changed(64 + 32, &[0; 16]), ImageError::NoCode);
    assert!(
        changed(64 + 40, &(1_u64 << 40).to_le_bytes())
            .to_string()
            .contains("overlap")
    );
    assert!(matches!(error(&file[..0x1000]), ImageError::Truncated { .. }));

    let program = pe(&[0xc3], &[], &[]);
    let mut arm = program.clone();
    arm[0x84..0x86].copy_from_slice(&0xaa64_u16.to_le_bytes());
    assert!(error(&arm).to_string().contains("AArch64"));
    let mut i386 = program.clone();
    i386[0x84..0x86].copy_from_slice(&0x14c_u16.to_le_bytes());
    assert!(error(&i386).to_string().contains("32-bit x86"));
    assert!(
        error(&program[..0x90]).to_string().contains("malformed")
            || error(&program[..0x82]).to_string().contains("truncated")
    );
}
