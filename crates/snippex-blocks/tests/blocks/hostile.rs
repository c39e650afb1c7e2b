//! Mutated ELF and PE files: whatever the headers say, reading and extraction end, and what they give is coherent.
//!
//! A short run by default; `HOSTILE_CASES=100000 cargo test --release -p snippex-core --test blocks hostile` for
//! a long one.

use crate::support::{CODE, Elf, RODATA, WORDS};
use proptest::prelude::*;
use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_blocks::select::{Filter, SelectionRequest, Strategy as Choice, select_blocks};
use snippex_core::decode::intel_decoder;

/// An ELF file with one of everything the reader looks at.
fn elf() -> Vec<u8> {
    // cmp edi,3; ja default; lea rdx,[table]; movsxd rax,[rdx+rdi*4]; add rax,rdx; jmp rax; cases; default
    let mut code = vec![0x83, 0xff, 0x03, 0x77, 0x18, 0x48, 0x8d, 0x15];
    code.extend(((RODATA - CODE - 12) as u32).to_le_bytes());
    code.extend([0x48, 0x63, 0x04, 0xba, 0x48, 0x01, 0xd0, 0xff, 0xe0]);
    code.extend([
        0xe8, 0x07, 0, 0, 0, 0xc3, 0xc3, 0x90, 0xeb, 0x01, 0xc3, 0xc3, 0x0f, 0x0b,
    ]);
    code.extend([0xcc; 5]);
    code.extend([
        0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x05, 0xff, 0x25, 0x10, 0, 0, 0, 0x55, 0x5d, 0xc3,
    ]);
    let rodata: Vec<u8> = [21_u64, 26, 27, 31]
        .iter()
        .flat_map(|case| (CODE + case).wrapping_sub(RODATA).to_le_bytes()[..4].to_vec())
        .collect();
    Elf {
        rodata,
        relative: vec![(WORDS, CODE + 21), (WORDS + 8, CODE + 40)],
        relr: vec![WORDS + 16, 0b1111],
        words: vec![0x20; 64],
        bss: 0x2000,
        symbols: vec![(0, 21, 2), (40, 4, 2), (48, 2, 1)],
        ..Elf::new(code)
    }
    .build()
}

fn pe() -> Vec<u8> {
    let mut code = vec![
        0x31, 0xc0, 0x74, 0x01, 0xc3, 0xe8, 0xf6, 0xff, 0xff, 0xff, 0xc3, 0xcc, 0xcc,
    ];
    code.extend([0; 32]);
    crate::support::pe(&code, &[(0, 5), (5, 11)], &[16, 24])
}

/// One change of a file: where (heads and tails of tables most of all), and the bytes written there.
#[derive(Clone, Debug)]
enum Change {
    Byte(usize, u8),
    Half(usize, u16),
    Word(usize, u32),
    Long(usize, u64),
    Cut(usize),
}

fn place(length: usize) -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0..0x200_usize,
        2 => 0x1000..0x1080_usize,
        2 => 0x2000..0x2080_usize,
        2 => 0x3000..0x3080_usize,
        2 => length.saturating_sub(0x200)..length,
        1 => 0..length,
    ]
}

fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..0x20_0000_u64,
        (0..64_u32, -2..3_i64).prop_map(|(bit, near)| (1_u64 << bit).wrapping_add(near as u64)),
        (0..0x2000_u64).prop_map(|below| u64::MAX - below),
    ]
}

fn change(length: usize) -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (place(length), any::<u8>()).prop_map(|(at, value)| Change::Byte(at, value)),
        2 => (place(length), edge()).prop_map(|(at, value)| Change::Half(at & !1, value as u16)),
        3 => (place(length), edge()).prop_map(|(at, value)| Change::Word(at & !3, value as u32)),
        6 => (place(length), edge()).prop_map(|(at, value)| Change::Long(at & !7, value)),
        1 => (0..length).prop_map(Change::Cut),
    ]
}

fn apply(file: &mut Vec<u8>, change: &Change) {
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = file.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    match *change {
        Change::Byte(at, value) => put(at, &[value]),
        Change::Half(at, value) => put(at, &value.to_le_bytes()),
        Change::Word(at, value) => put(at, &value.to_le_bytes()),
        Change::Long(at, value) => put(at, &value.to_le_bytes()),
        Change::Cut(length) => file.truncate(length),
    }
}

/// Reads, extracts and asks for pages; checks that the answers agree with each other.
fn examine(file: &[u8]) -> Result<(), TestCaseError> {
    let Ok(image) = Image::parse(file) else {
        return Ok(());
    };
    let range = image.address_range();
    for address in [
        range.start,
        range.end - 1,
        range.start.wrapping_sub(1),
        CODE,
        RODATA,
        WORDS,
        0,
        u64::MAX,
    ] {
        let page = address & !0xfff;
        let mapped = image
            .segments()
            .iter()
            .any(|s| s.address < page.saturating_add(0x1000) && page < s.end_address());
        // The end of a segment's last page may be there without a byte of the segment on it, never the other way.
        prop_assert!(image.page_at(address, 0x5555_0000_0000).is_some() >= mapped);
    }
    let index = extract_blocks(&image);
    prop_assert!(index.len() as u64 <= index.statistics().code_bytes);
    let mut last = None;
    for (number, block) in index.iter().enumerate() {
        prop_assert!(last < Some(block.address));
        last = Some(block.address);
        prop_assert_eq!(index.find_block_at(block.address), Some(number));
        prop_assert!(image.is_code(block.address) && image.is_code(block.end_address() - 1));
        let decoded = intel_decoder(&block.bytes, block.address).iter().count();
        prop_assert_eq!(decoded as u32, block.instruction_count);
    }
    let request = SelectionRequest {
        strategy: Choice::Diverse,
        smart: true,
        count: Some(3),
        seed: 1,
    };
    let selection = select_blocks(&index, &Filter::default(), &request);
    prop_assert_eq!(selection.numbers.len(), index.len().min(3));
    Ok(())
}

fn cases() -> u32 {
    std::env::var("HOSTILE_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(2_000)
}

#[test]
fn the_unchanged_files_are_read() {
    for file in [elf(), pe()] {
        let image = Image::parse(&file).unwrap();
        assert!(extract_blocks(&image).len() >= 3);
    }
}

/// Code made to be slow: what is repeated, and how often to fill a megabyte.
fn slow_patterns() -> Vec<(&'static str, Vec<u8>)> {
    let fill = |pattern: &[u8]| pattern.repeat(0x10_0000 / pattern.len());
    vec![
        // lea rax,[rip+9]; ret; padding: each function takes the address of the next
        (
            "chain of addresses",
            fill(&[
                0x48, 0x8d, 0x05, 0x09, 0, 0, 0, 0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc,
            ]),
        ),
        // movsxd rax,[rdx+rdi*4]; add rax,rdx; je +2; jmp rax: tables without a base
        (
            "tables",
            fill(&[0x48, 0x63, 0x04, 0xba, 0x48, 0x01, 0xd0, 0x74, 0x02, 0xff, 0xe0]),
        ),
        // lea rdx,[rip-7]; the same: tables without an end
        (
            "endless tables",
            fill(&[
                0x48, 0x8d, 0x15, 0xf9, 0xff, 0xff, 0xff, 0x48, 0x63, 0x04, 0xba, 0x48, 0x01, 0xd0, 0x74,
                0x02, 0xff, 0xe0,
            ]),
        ),
        ("calls", fill(&[0xe8, 0, 0, 0, 1])),
        ("calls of the next", fill(&[0xe8, 1, 0, 0, 0, 0x90])),
        ("calls ahead", fill(&[0xe8, 0, 1, 0, 0, 0x75, 0x10])),
        ("branches", fill(&[0x74, 0x7f])),
        ("jumps into the middle", fill(&[0x74, 0xff, 0xc0])),
        ("NOPs", fill(&[0x0f, 0x1f, 0x00])),
        ("one block", fill(&[0xff, 0xc0])),
        ("undecodable", fill(&[0x06])),
    ]
}

#[test]
fn no_pattern_of_code_takes_more_than_linear_time() {
    for (name, code) in slow_patterns() {
        let file = Elf::new(code).build();
        let image = Image::parse(&file).unwrap();
        let started = std::time::Instant::now();
        let blocks = extract_blocks(&image).len();
        let elapsed = started.elapsed();
        // A quadratic pass over a megabyte takes minutes; the limit leaves room for a busy machine.
        assert!(elapsed.as_secs() < 10, "{name}: {elapsed:?} for {blocks} blocks");
        println!("{name}: {elapsed:?} for {blocks} blocks");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changed_elf_files_do_no_harm(changes in prop::collection::vec(change(elf().len()), 1..12)) {
        let mut file = elf();
        changes.iter().for_each(|change| apply(&mut file, change));
        examine(&file)?;
    }

    #[test]
    fn changed_pe_files_do_no_harm(changes in prop::collection::vec(change(pe().len()), 1..12)) {
        let mut file = pe();
        changes.iter().for_each(|change| apply(&mut file, change));
        examine(&file)?;
    }

    #[test]
    fn any_bytes_are_fine_as_code(code in prop::collection::vec(any::<u8>(), 1..300)) {
        let file = Elf::new(code).build();
        examine(&file)?;
    }
}
