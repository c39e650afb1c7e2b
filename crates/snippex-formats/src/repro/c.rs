//! One C file that gcc and clang compile for x86-64 Linux.

use std::fmt::Write as _;

use super::Reproducer;
use super::checks::CheckedPlace;
use super::impossible::Impossible;
use super::memory::{PIECE, format_byte_list, memory_pieces, protection_flags};
use super::program::name_of;
use super::program::{ReproProgram, Syntax};
use super::short::render_short_program;

const TEMPLATE: &str = include_str!("template.c");

pub(super) fn render_c_program(reproducer: &Reproducer<'_>) -> Result<String, Impossible> {
    let program = ReproProgram::new(reproducer)?;
    if let Some(text) = render_short_program(&program) {
        return Ok(text);
    }
    let pieces = memory_pieces(reproducer.case);
    let (area, area_size) = program.code_area();
    let targets: Vec<String> = program
        .code
        .targets
        .iter()
        .map(|target| format!("{target:#x}"))
        .collect();
    let end: Vec<String> = program.end.iter().map(|word| format!("{word:#x}")).collect();
    // C has no arrays without elements: an unused one stands in for none.
    let or_none = |text: String| {
        if text.is_empty() {
            "    { 0 }\n".to_owned()
        } else {
            text
        }
    };
    let values = [
        ("@HEADING@", program.render_heading("//")),
        ("@CODE@", format!("{:#x}", program.code.address)),
        ("@ENVIRONMENT@", environment(&program)),
        ("@ROUTINE@", quoted(&program.render_routine(&Syntax::GNU))),
        ("@START@", or_none(start(&program))),
        ("@BYTES@", code(&program)),
        ("@STUBS@", program.code.stubs.to_string()),
        ("@INDIRECT@", u8::from(program.is_indirect()).to_string()),
        ("@TARGETS@", targets.join(", ")),
        ("@PAGES@", or_none(pages(reproducer))),
        ("@PAGE_COUNT@", reproducer.case.pages.len().to_string()),
        ("@PIECE@", PIECE.to_string()),
        ("@PIECE_COUNT@", pieces.len().to_string()),
        (
            "@PIECES@",
            or_none(
                pieces
                    .iter()
                    .map(|piece| {
                        format!(
                            "    {{ {:#x}, {}, {{ {} }} }},\n",
                            piece.address,
                            piece.bytes.len(),
                            format_byte_list(piece.bytes)
                        )
                    })
                    .collect(),
            ),
        ),
        ("@END@", end.join(", ")),
        ("@CHECKS@", or_none(checks(&program))),
        ("@CHECK_COUNT@", program.checks.len().to_string()),
        ("@AREA@", format!("{area:#x}")),
        ("@AREA_SIZE@", format!("{area_size:#x}")),
    ];
    // The heading last: nothing that stands in it is taken for a mark.
    Ok(values
        .iter()
        .rev()
        .fold(TEMPLATE.to_owned(), |text, (mark, value)| {
            text.replace(mark, value)
        }))
}

/// Lines of assembler as strings in C.
fn quoted(routine: &str) -> String {
    routine
        .lines()
        .map(|line| format!("        \"{line}\\n\"\n"))
        .collect()
}

fn environment(program: &ReproProgram<'_, '_>) -> String {
    program.environment.map_or_else(String::new, |bytes| {
        format!(
            "// For FLDENV: the x87 status word with TOP.\nunsigned char repro_environment[28] = {{ {} }};\n",
            format_byte_list(&bytes)
        )
    })
}

fn start(program: &ReproProgram<'_, '_>) -> String {
    let mut text = String::new();
    for (offset, value) in program.start_words() {
        writeln!(
            text,
            "    {{ {offset:#05x}, {value:#x} }}, // {}",
            name_of(offset)
        )
        .expect("writing to a string cannot fail");
    }
    text
}

fn code(program: &ReproProgram<'_, '_>) -> String {
    let mut text = String::new();
    for line in program.code_lines() {
        let hole = if line.exit.is_some() {
            ", 0, 0, 0, 0, 0, 0, 0, 0"
        } else {
            ""
        };
        writeln!(
            text,
            "    {}{hole}, // {}",
            format_byte_list(&line.bytes),
            line.comment
        )
        .expect("writing to a string cannot fail");
    }
    text
}

fn pages(reproducer: &Reproducer<'_>) -> String {
    let page = |page: &snippex_core::case::Page| {
        format!(
            "    {{ {:#x}, {} }},\n",
            page.address,
            protection_flags(page.access)
        )
    };
    reproducer.case.pages.iter().map(page).collect()
}

fn checks(program: &ReproProgram<'_, '_>) -> String {
    let mut text = String::new();
    for check in &program.checks {
        let at = match (ReproProgram::state_offset(check), check.place) {
            (Some(offset), _) => format!("repro_end + {offset:#x}"),
            (None, CheckedPlace::Memory(address)) => format!("(const void *){address:#x}"),
            (None, _) => continue,
        };
        writeln!(
            text,
            "    {{ \"{}\", {at}, {:#x}, {:#x} }},",
            check.name, check.mask, check.expected
        )
        .expect("writing to a string cannot fail");
    }
    text
}
