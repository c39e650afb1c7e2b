//! One NASM file for a static Linux program.

use std::fmt::Write as _;

use super::Reproducer;
use super::checks::CheckedPlace;
use super::impossible::Impossible;
use super::memory::{format_byte_list, memory_pieces, protection_flags};
use super::program::{ReproProgram, Syntax, at, name_of};

const TEMPLATE: &str = include_str!("template.asm");

pub(super) fn render_nasm_program(reproducer: &Reproducer<'_>) -> Result<String, Impossible> {
    let program = ReproProgram::new(reproducer)?;
    let targets: Vec<String> = program
        .code
        .targets
        .iter()
        .map(|target| format!("{target:#x}"))
        .collect();
    let stubs_size = program.code.bytes.len() - program.code.stubs;
    let (pieces, piece_bytes) = memory(reproducer);
    let (checks, names) = checks(&program);
    let environment = program.environment.map_or_else(String::new, |bytes| {
        format!(
            "; For FLDENV: the x87 status word with TOP.\nrepro_environment: db {}\n",
            format_byte_list(&bytes)
        )
    });
    let values = [
        ("@HEADING@", program.render_heading(";")),
        ("@CODE@", format!("{:#x}", program.code.address)),
        ("@ENVIRONMENT@", environment),
        ("@ROUTINE@", program.render_routine(&Syntax::NASM)),
        ("@START@", start(&program)),
        ("@BYTES@", code(&program)),
        ("@STUBS@", program.code.stubs.to_string()),
        ("@STUBS_SIZE@", stubs_size.to_string()),
        ("@INDIRECT@", u8::from(program.is_indirect()).to_string()),
        ("@TARGETS@", targets.join(", ")),
        ("@PAGES@", pages(&program)),
        ("@PIECES@", pieces),
        ("@PIECE_BYTES@", piece_bytes),
        ("@CHECKS@", checks),
        ("@NAMES@", names),
        ("@SIZE@", format!("{:#x}", at::SIZE)),
    ];
    // The heading last: nothing that stands in it is taken for a mark.
    Ok(values
        .iter()
        .rev()
        .fold(TEMPLATE.to_owned(), |text, (mark, value)| {
            text.replace(mark, value)
        }))
}

/// The start state, a word or a run of zeros a line.
fn start(program: &ReproProgram<'_, '_>) -> String {
    let mut text = String::new();
    let mut reached = 0;
    for (offset, value) in program.start_words() {
        if offset > reached {
            text += &format!("    times {} dq 0\n", (offset - reached) / 8);
        }
        text += &format!("    dq {value:#x} ; {}\n", name_of(offset));
        reached = offset + 8;
    }
    text + &format!("    times {} dq 0\n", (at::SIZE - reached) / 8)
}

fn code(program: &ReproProgram<'_, '_>) -> String {
    let mut text = String::new();
    for line in program.code_lines() {
        writeln!(
            text,
            "    db {} ; {}",
            format_byte_list(&line.bytes),
            line.comment
        )
        .expect("writing to a string cannot fail");
        if let Some(exit) = line.exit {
            text += &format!("    dq repro_exit_{exit}\n");
        }
    }
    text
}

/// The pages of the case, and those of the code.
fn pages(program: &ReproProgram<'_, '_>) -> String {
    let (area, size) = program.code_area();
    let mut text = format!("    dq {area:#x}, {size:#x}, 5 ; code\n");
    for page in program.reproducer.case.pages.iter() {
        text += &format!(
            "    dq {:#x}, 0x1000, {}\n",
            page.address,
            protection_flags(page.access)
        );
    }
    text
}

/// The table of what is copied where, and the bytes.
fn memory(reproducer: &Reproducer<'_>) -> (String, String) {
    let address = reproducer.case.code_address();
    let mut table = format!("    dq {address:#x}, code.end - code, code\n");
    let mut bytes = String::new();
    for (index, piece) in memory_pieces(reproducer.case).iter().enumerate() {
        table += &format!(
            "    dq {:#x}, {}, piece_{index}\n",
            piece.address,
            piece.bytes.len()
        );
        bytes += &format!("piece_{index}: db {}\n", format_byte_list(piece.bytes));
    }
    (table, bytes)
}

/// The table of comparisons, and the names in it. How it ended comes first.
fn checks(program: &ReproProgram<'_, '_>) -> (String, String) {
    let ends = [
        (at::KIND, "end (0: it goes on, 1: signal)"),
        (at::SIGNAL, "signal"),
        (at::RIP, "rip"),
    ];
    let mut rows = Vec::new();
    for ((offset, name), value) in ends.into_iter().zip(program.end) {
        rows.push((
            format!("repro_end + {offset:#x}"),
            u64::MAX,
            value,
            name.to_owned(),
        ));
    }
    for check in &program.checks {
        let at = match (ReproProgram::state_offset(check), check.place) {
            (Some(offset), _) => format!("repro_end + {offset:#x}"),
            (None, CheckedPlace::Memory(address)) => format!("{address:#x}"),
            (None, _) => continue,
        };
        rows.push((at, check.mask, check.expected, check.name.clone()));
    }
    let (mut table, mut names) = (String::new(), String::new());
    for (index, (at, mask, value, name)) in rows.into_iter().enumerate() {
        let words = if name == "flags" {
            flags(mask, value)
        } else {
            String::new()
        };
        table += &format!("    dq {at}, {mask:#x}, {value:#x}, name_{index}{words}\n");
        names += &format!("name_{index}: db \"{name}\", 0\n");
    }
    (table, names)
}

/// The flags that are compared and those that are expected, as a comment.
fn flags(mask: u64, value: u64) -> String {
    let names = |bits: u64| {
        let names: Vec<&str> = snippex_core::state::rflags::NAMES
            .iter()
            .filter(|(_, flag)| bits & flag != 0)
            .map(|(name, _)| *name)
            .collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(" ")
        }
    };
    format!(" ; of {}: {}", names(mask), names(value))
}
