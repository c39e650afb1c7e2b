//! A test in the form of FEX-Emu's own unit tests: a JSON header in `%ifdef CONFIG`, then NASM source that ends in HLT.
//!
//! The harness maps the test at 0x10000 and scratch memory at 0xe0000000, starts with all registers zero, and compares
//! the registers that `RegData` lists. Values that it cannot list (flags, MXCSR, memory, parts of registers) are brought
//! into general registers that are free, under their masks, after the block.

mod after;
mod before;
mod block;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use iced_x86::CpuidFeature;

use super::Reproducer;
use super::checks::{CheckedPlace, build_checks};
use super::impossible::Impossible;
use super::memory::{memory_pieces, page_of};
use super::needs::Needs;
use super::short::TouchedParts;
use snippex_core::case::PAGE_SIZE;
use snippex_core::observation::Endpoint;

/// In the scratch memory that every test has: a stack for the test itself.
const SCRATCH: u64 = 0xe000_9000;
/// Columns of a line of the header.
const WIDTH: usize = 116;
/// Where the harness puts the test, up to where it can reach.
const TEST: std::ops::Range<u64> = 0x1_0000..0x10_0000;

pub(super) fn render_fex_test(reproducer: &Reproducer<'_>) -> Result<String, Impossible> {
    let case = reproducer.case;
    match reproducer.expected.endpoint {
        Endpoint::Exit { .. } => {}
        Endpoint::Signal(signal) => return Err(Impossible::Signal(signal.number)),
        Endpoint::Hung | Endpoint::EngineDied { .. } => return Err(Impossible::NoEnd),
    }
    if case.pages.iter().any(|page| TEST.contains(&page.address)) {
        return Err(Impossible::Position(
            "memory of the case lies where the test has to",
        ));
    }
    let mut checks = build_checks(reproducer);
    if reproducer.fields.is_empty() {
        // There is no room for registers that stay as they are.
        checks.retain(|check| !after::is_unchanged(check, &case.state));
    }
    let needs = Needs::from_block(&case.block, &checks);
    let features = host_features(&needs)?;
    let block = block::build_block_text(reproducer)?;
    // Of one instruction whose differences are known only what it uses has to be there.
    let touched = TouchedParts::of_one_instruction(reproducer);
    let checked = |register: usize| {
        checks
            .iter()
            .any(|check| check.place == CheckedPlace::Gpr(register))
    };
    let is_used = |register: usize| {
        let touched = touched.as_ref();
        touched.is_none_or(|touched| touched.registers.contains(&register)) || checked(register)
    };
    let is_there = |page: u64| {
        touched
            .as_ref()
            .is_none_or(|touched| touched.pages.contains(&page))
    };
    let before = before::build_before_part(case, &needs, &block, is_used)?;
    let after = after::build_after_part(reproducer, &checks, &block)?;
    if after.registers.is_empty() && reproducer.fields.is_empty() {
        return Err(Impossible::NothingToCompare);
    }

    let mut text = String::from("%ifdef CONFIG\n{\n");
    let mut entries = vec![object("RegData", &after.registers)];
    let mut regions = BTreeMap::new();
    let mut data = BTreeMap::new();
    for page in case.pages.iter().filter(|page| is_there(page.address)) {
        for address in block.page_places(page.address) {
            regions.insert(address, format!("\"{PAGE_SIZE}\""));
        }
    }
    for piece in memory_pieces(case)
        .into_iter()
        .filter(|piece| is_there(page_of(piece.address)))
    {
        let bytes: Vec<String> = piece.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let page = page_of(piece.address);
        for address in block.page_places(page) {
            data.insert(
                address + (piece.address - page),
                format!("\"{}\"", bytes.join(" ")),
            );
        }
    }
    let numbered = |map: BTreeMap<u64, String>| -> Vec<(String, String)> {
        let entry = |(address, value): (u64, String)| (format!("{address:#x}"), value);
        map.into_iter().map(entry).collect()
    };
    if !regions.is_empty() {
        entries.push(object("MemoryRegions", &numbered(regions)));
    }
    if !data.is_empty() {
        entries.push(object("MemoryData", &numbered(data)));
    }
    if !features.is_empty() {
        let names: Vec<String> = features.iter().map(|name| format!("\"{name}\"")).collect();
        entries.push(format!("  \"HostFeatures\": [{}]", names.join(", ")));
    }
    writeln!(text, "{}\n}}\n%endif\n\nbits 64\n", entries.join(",\n"))
        .expect("writing to a string cannot fail");
    text += &reproducer.heading(";");
    // One instruction between what loads and what looks needs no words.
    let (question, compared) = match snippex_core::decode::block_instructions(&case.block).count() {
        1 => ("", ""),
        _ => ("\n; The instructions in question.\n", "\n; What is compared.\n"),
    };
    for part in [&before.code, question, &block.code, compared, &after.code] {
        text += part;
    }
    text += "hlt\n";
    if !before.data.is_empty() {
        write!(text, "\nalign 4096\n{}", before.data).expect("writing to a string cannot fail");
    }
    Ok(text)
}

/// `"name": { ... }` of JSON.
fn object(name: &str, entries: &[(String, String)]) -> String {
    let lines: Vec<String> = entries
        .iter()
        .map(|(key, value)| format!("    \"{key}\": {value}"))
        .collect();
    let one_line: Vec<&str> = lines.iter().map(|line| line.trim_start()).collect();
    let one_line = format!("  \"{name}\": {{ {} }}", one_line.join(", "));
    if lines.is_empty() {
        return format!("  \"{name}\": {{}}");
    }
    if one_line.len() <= WIDTH {
        return one_line;
    }
    format!("  \"{name}\": {{\n{}\n  }}", lines.join(",\n"))
}

/// The features that a test can ask for, by the names that FEX's header has.
fn host_features(needs: &Needs) -> Result<Vec<&'static str>, Impossible> {
    use CpuidFeature as F;
    if needs.avx512 {
        return Err(Impossible::Feature("AVX-512".to_owned()));
    }
    let mut names = Vec::new();
    if needs.avx {
        names.push("AVX");
    }
    if needs.bases {
        names.push("FSGSBASE");
    }
    names.extend(needs.features.iter().filter_map(|feature| {
        Some(match feature {
            F::SSSE3 => "SSSE3",
            F::SSE4_1 => "SSE4.1",
            F::SSE4_2 => "SSE4.2",
            F::SSE4A => "SSE4A",
            F::D3NOW | F::D3NOWEXT => "3DNOW",
            F::AES => "AES",
            F::PCLMULQDQ => "PCLMUL",
            F::BMI1 => "BMI1",
            F::BMI2 => "BMI2",
            F::SHA => "SHA",
            F::MOVBE => "MOVBE",
            F::ADX => "ADX",
            F::CLWB => "CLWB",
            F::CLFLUSHOPT => "CLFLOPT",
            _ => return None,
        })
    }));
    names.dedup();
    Ok(names)
}
