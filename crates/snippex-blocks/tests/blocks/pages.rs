//! Pages of an image against what the loader leaves in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::support::{CODE, DATA, Elf, PE_BASE, RODATA, WORDS};
use snippex_blocks::binary::Image;

fn word(page: &[u8; 4096], at: usize) -> u64 {
    u64::from_le_bytes(page[at..at + 8].try_into().expect("eight bytes"))
}

#[test]
fn pages_hold_bytes_zero_fill_and_relocations() {
    let elf = Elf {
        rodata: vec![7; 100],
        relative: vec![(WORDS, CODE + 5), (WORDS + 12, RODATA)],
        words: [0x11_u64; 4].iter().flat_map(|word| word.to_le_bytes()).collect(),
        relr: vec![WORDS + 24],
        bss: 0x3000,
        ..Elf::new(vec![0x90, 0xc3])
    };
    let file = elf.build();
    let image = Image::parse(&file).unwrap();
    assert!(image.position_independent());
    assert_eq!(image.address_range(), CODE..DATA + 0x820 + 0x3000);
    let base = 0x7000_0000_0000;
    let code = image.page_at(CODE, base).unwrap();
    assert_eq!(code[..2], [0x90, 0xc3]);
    assert_eq!(image.page_at(RODATA + 50, base).unwrap()[..100], [7; 100]);
    let data = image.page_at(DATA, base).unwrap();
    assert_eq!(word(&data, 0x800), base + CODE + 5);
    assert_eq!(
        word(&data, 0x80c),
        base + RODATA,
        "unaligned slots are relocated as well"
    );
    assert_eq!(word(&data, 0x818), base + 0x11, "RELR adds the base to the word");
    assert!(data[0x820..].iter().all(|&byte| byte == 0));
    assert!(
        image
            .page_at(DATA + 0x3000, base)
            .unwrap()
            .iter()
            .all(|&byte| byte == 0)
    );
    assert!(image.page_at(DATA + 0x4000, base).is_none());
    assert!(image.page_at(0, base).is_none() && image.page_at(u64::MAX, base).is_none());
    assert_eq!(word(&image.page_at(DATA, 0).unwrap(), 0x800), CODE + 5);
    let writable: Vec<_> = image
        .segments()
        .iter()
        .map(|s| (s.address, s.writable, s.executable))
        .collect();
    assert_eq!(
        writable,
        [(CODE, false, true), (RODATA, false, false), (DATA, true, false)]
    );
}

#[test]
fn a_relocated_word_may_lie_across_two_pages() {
    let elf = Elf {
        relative: vec![(DATA + 0xffc, 0x1122_3344_5566)],
        words: vec![0xaa; 0x1000],
        ..Elf::new(vec![0xc3])
    };
    let file = elf.build();
    let image = Image::parse(&file).unwrap();
    assert_eq!(image.page_at(DATA, 0).unwrap()[0xffc..], [0x66, 0x55, 0x44, 0x33]);
    assert_eq!(
        image.page_at(DATA + 0x1000, 0).unwrap()[..5],
        [0x22, 0x11, 0, 0, 0xaa]
    );
}

#[test]
fn pe_pages_are_rebased() {
    let mut code = vec![0xc3; 8];
    code.extend((PE_BASE + CODE).to_le_bytes());
    let file = crate::support::pe(&code, &[(0, 1)], &[8]);
    let image = Image::parse(&file).unwrap();
    assert!(image.position_independent());
    let page = image.page_at(PE_BASE + CODE, 0x1000_0000).unwrap();
    assert_eq!(word(&page, 8), PE_BASE + CODE + 0x1000_0000);
    assert_eq!(page[16..], [0; 4096 - 16]);
    assert_eq!(image.page_at(PE_BASE, 0).unwrap()[..2], *b"MZ");
    assert_eq!(image.relative_base(), PE_BASE);
}

/// Every page of the C library that the loader has finished with must be what the image says.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
fn pages_are_what_the_loader_left_of_the_c_library() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let lines: Vec<Vec<&str>> = maps
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let library: Vec<_> = lines
        .iter()
        .filter(|line| line.last().is_some_and(|path| path.contains("/libc.so")))
        .collect();
    assert!(
        !library.is_empty(),
        "this test needs a dynamically linked C library:\n{maps}"
    );
    let path = library[0][library[0].len() - 1];
    let file = std::fs::read(path).unwrap();
    let image = Image::parse(&file).unwrap();
    let range = |line: &[&str]| {
        let (start, end) = line[0].split_once('-').expect("a range");
        (
            u64::from_str_radix(start, 16).unwrap(),
            u64::from_str_radix(end, 16).unwrap(),
        )
    };
    let base = range(library[0]).0;
    let memory = File::open("/proc/self/mem").unwrap();
    let (mut pages, mut words, mut different) = (0, 0, 0);
    for line in library
        .iter()
        .filter(|line| line[1].starts_with('r') && !line[1].contains('w'))
    {
        let (start, end) = range(line);
        let relocated = image
            .segments()
            .iter()
            .any(|s| s.writable && (start - base) + 0x1000 > s.address);
        for address in (start..end).step_by(4096) {
            let mut loaded = [0; 4096];
            memory.read_exact_at(&mut loaded, address).unwrap();
            let page = image.page_at(address - base, base).unwrap();
            pages += 1;
            if !relocated {
                assert_eq!(*page, loaded, "page {:#x} of {path}", address - base);
                continue;
            }
            for at in (0..4096).step_by(8) {
                // Imports, indirect functions and offsets of thread-local storage are not for the image to
                // know; the dynamic section, which the loader rewrites, is within the few that may differ.
                let slot = address - base + at as u64;
                if page[at..at + 8] != [0; 8] && image.import_at(slot).is_none() {
                    words += 1;
                    different += usize::from(page[at..at + 8] != loaded[at..at + 8]);
                }
            }
        }
    }
    assert!(pages > 300 && words > 1000, "{pages} pages, {words} words");
    assert!(different * 50 < words, "{different} of {words} words differ");
}
