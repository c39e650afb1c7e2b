//! Data among the code of a real library: OpenSSL keeps tables beside the assembly that reads them.

use snippex_blocks::binary::Image;
use snippex_blocks::extract::extract_blocks;
use snippex_core::block::{Block, Origin};

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/libcrypto.so.3";

/// Constants that no instruction stream contains by chance: the first round constants of SHA-256 and SHA-512, the
/// first entries of the AES tables as pairs of equal words, the shuffle mask that swaps the bytes of words, and a
/// credit line.
fn tables() -> Vec<(&'static str, Vec<u8>)> {
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let longs = |longs: &[u64]| {
        longs
            .iter()
            .flat_map(|long| long.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    vec![
        (
            "SHA-256",
            words(&[0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5]),
        ),
        ("SHA-512", longs(&[0x428a_2f98_d728_ae22, 0x7137_4491_23ef_65cd])),
        (
            "AES",
            words(&[0xa563_63c6, 0xa563_63c6, 0x847c_7cf8, 0x847c_7cf8]),
        ),
        (
            "byte swap",
            words(&[0x0001_0203, 0x0405_0607, 0x0809_0a0b, 0x0c0d_0e0f]),
        ),
        ("credit", b"CRYPTOGAMS by <".to_vec()),
    ]
}

#[test]
fn tables_between_the_code_of_libcrypto_are_no_blocks_of_control_flow() {
    let data = std::fs::read(LIBRARY).unwrap_or_else(|error| {
        panic!("this test needs {LIBRARY} (apt-get install libssl3 or libssl3t64): {error}")
    });
    let image = Image::parse(&data).unwrap();
    let index = extract_blocks(&image);
    let blocks: Vec<Block> = index
        .iter()
        .filter(|block| block.origin != Origin::Sweep)
        .collect();
    assert!(blocks.len() > 50_000, "{} blocks", blocks.len());
    for (name, bytes) in tables() {
        let mut anywhere = data.windows(bytes.len()).filter(|window| *window == bytes);
        assert!(
            anywhere.next().is_some(),
            "no {name} table in the file: the constants of this test are wrong"
        );
        // Newer versions keep them in read-only data, where nothing can mistake them.
        for range in image.code_ranges() {
            let code = image.bytes_in_range(range.clone()).unwrap();
            let places = code
                .windows(bytes.len())
                .enumerate()
                .filter(|(_, window)| *window == bytes);
            for (offset, _) in places {
                let (start, end) = (
                    range.start + offset as u64,
                    range.start + (offset + bytes.len()) as u64,
                );
                let after = blocks.partition_point(|block| block.end_address() <= start);
                let wrong = blocks.get(after).filter(|block| block.address < end);
                assert!(wrong.is_none(), "{name} table at {start:#x} in {wrong:x?}");
            }
        }
    }
}

/// Privileged instructions and undecodable bytes are what data looks like when it is taken for code.
#[test]
fn control_flow_in_libcrypto_meets_nothing_a_user_program_would_not_run() {
    use snippex_core::block::Unrunnable;
    let data = std::fs::read(LIBRARY).unwrap_or_else(|error| {
        panic!("this test needs {LIBRARY} (apt-get install libssl3 or libssl3t64): {error}")
    });
    let image = Image::parse(&data).unwrap();
    let index = extract_blocks(&image);
    let odd = index.entries().filter(|entry| {
        let reasons = [
            Unrunnable::Privileged,
            Unrunnable::FarTransfer,
            Unrunnable::Invalid,
        ];
        entry.origin != Origin::Sweep && entry.unrunnable.is_some_and(|reason| reasons.contains(&reason))
    });
    assert_eq!(odd.count(), 0);
}

/// Where the two decoders differ, the bytes are data.
#[cfg(feature = "capstone")]
#[test]
fn the_second_decoder_agrees_on_what_control_flow_found() {
    let data = std::fs::read(LIBRARY).unwrap_or_else(|error| {
        panic!("this test needs {LIBRARY} (apt-get install libssl3 or libssl3t64): {error}")
    });
    let image = Image::parse(&data).unwrap();
    let opinion = snippex_blocks::extract::second_opinion(&extract_blocks(&image), usize::MAX).unwrap();
    assert!(opinion.instructions > 500_000);
    // Capstone lacks AVX-IFMA, which newer libraries use: that is no disagreement about what is code.
    let newer = opinion.examples.iter().filter(|found| {
        let instruction = iced_x86::Decoder::new(64, &found.bytes, 0).decode();
        instruction
            .cpuid_features()
            .contains(&iced_x86::CpuidFeature::AVX_IFMA)
    });
    let newer = newer.count() as u64;
    assert_eq!(opinion.disagreements - newer, opinion.in_sweep, "{opinion:x?}");
    let few = snippex_blocks::extract::second_opinion(&extract_blocks(&image), 5).unwrap();
    assert!(few.examples.len() <= 5);
}
