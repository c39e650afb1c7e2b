//! A C program for one instruction, as short as what people write into a report by hand: it loads the registers that the
//! instruction uses, and looks at what was found to differ.
//!
//! Most cases that were reduced can be said so. The others (branches, the stack, segments, AVX-512, state after a signal, a
//! whole state that is compared) are for the long program.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use iced_x86::{Instruction, InstructionInfoFactory, Register, UsedRegister};
use snippex_core::block::Terminator;
use snippex_core::case::{Case, PageAccess};
use snippex_core::decode::block_instructions;
use snippex_core::observation::Endpoint;
use snippex_core::state::{GPR_NAMES, MachineState, RSP, rflags};

use super::Reproducer;
use super::checks::{CheckedPlace, ReproCheck};
use super::memory::{MemoryPiece, format_byte_list, memory_pieces, page_of, protection_flags};
use super::program::ReproProgram;
use super::registers::fx_image;
use super::spelling::{depends_on_address, render_instruction};

/// Lines of the whole program.
const LONGEST: usize = 40;
/// Lines of title and notes, for which there has to be room.
const HEADING: usize = 4;
/// Columns of a line.
const WIDTH: usize = 116;
/// Where FXSAVE puts the status word.
const FX_STATUS: usize = 2;
/// Registers that a C function has to leave as they were.
const KEPT: [usize; 6] = [3, 5, 12, 13, 14, 15];

/// The program; `None` when the case needs the long one.
pub(super) fn render_short_program(program: &ReproProgram<'_, '_>) -> Option<String> {
    let short = ShortProgram::new(program)?;
    let text = short.render();
    (text.lines().count() <= LONGEST).then_some(text)
}

struct ShortProgram<'p, 'r, 'a> {
    program: &'p ReproProgram<'r, 'a>,
    reproducer: &'p Reproducer<'a>,
    bytes: Vec<u8>,
    comment: String,
    /// General registers that are loaded, and vector registers of 32 bytes.
    loaded: BTreeSet<usize>,
    vectors: Vec<usize>,
    /// Addresses of the pages that it may touch.
    pages: Vec<u64>,
    /// The signal that has to come.
    signal: Option<u8>,
}

impl<'p, 'r, 'a> ShortProgram<'p, 'r, 'a> {
    fn new(program: &'p ReproProgram<'r, 'a>) -> Option<Self> {
        let reproducer = program.reproducer;
        let case = reproducer.case;
        let mut instructions = block_instructions(&case.block);
        let (found, None) = (instructions.next()?, instructions.next()) else {
            return None;
        };
        let instruction = found.instruction;
        let end = case.code_address() + case.block.bytes.len() as u64;
        let signal = match reproducer.expected.endpoint {
            Endpoint::Exit { target } if target == end => None,
            Endpoint::Signal(signal) if signal.rip == case.code_address() => Some(signal.number),
            _ => return None,
        };
        let needs = &program.needs;
        let elsewhere = needs.avx512 || needs.bases || case.state.x87.top() != 0;
        let stays = matches!(case.block.terminator, Terminator::FallThrough | Terminator::Trap);
        let moves = !stays || depends_on_address(&instruction);
        if elsewhere || moves || signal.is_some() && !program.checks.is_empty() {
            return None;
        }
        let pages = touched_pages(case, &instruction);
        let (mut loaded, vectors) = used_registers(&instruction)?;
        loaded.extend(program.checks.iter().filter_map(|check| match check.place {
            CheckedPlace::Gpr(register) => Some(register),
            _ => None,
        }));
        let checked = program.checks.iter().filter_map(|check| match check.place {
            CheckedPlace::Vector(register) => Some(register),
            _ => None,
        });
        let vectors: BTreeSet<usize> = vectors.into_iter().chain(checked).collect();
        (!loaded.contains(&RSP)).then(|| Self {
            program,
            reproducer,
            bytes: found.bytes.to_vec(),
            comment: render_instruction(&instruction),
            loaded,
            vectors: if needs.avx {
                vectors.into_iter().collect()
            } else {
                Vec::new()
            },
            pages,
            signal,
        })
    }

    fn render(&self) -> String {
        let mut text = self.includes();
        text += &self.state();
        text += &self.routine();
        if let Some(signal) = self.signal {
            text += &handler(signal);
        }
        text += "int main(void)\n{\n";
        text += &self.memory();
        match self.signal {
            Some(_) => {
                text += "    static struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };\n    \
                         for (int signal = SIGILL; signal <= SIGSEGV; signal++)\n        sigaction(signal, &action, NULL);\n    \
                         run();\n    puts(\"WRONG: no signal\");\n    return 1;\n}\n";
            }
            None => text += &self.verdict(),
        }
        self.heading(LONGEST.saturating_sub(text.lines().count())) + &text
    }

    /// Title and notes in at most `room` lines, first what is wrong; then how it is built.
    fn heading(&self, room: usize) -> String {
        let all = self.program.render_heading("//");
        let lines: Vec<&str> = all.lines().filter(|line| *line != "//").collect();
        let (start, rest) = lines.split_at(lines.len().min(2));
        let wrong = rest.iter().position(|line| line.starts_with("// Wrong on "));
        let (before, wrong) = rest.split_at(wrong.unwrap_or(rest.len()));
        let shown = room.max(HEADING) - 1;
        let kept = start.iter().chain(wrong).chain(before).take(shown);
        let mut text: String = kept.map(|line| format!("{line}\n")).collect();
        text +=
            "// gcc -O1 -o repro THIS_FILE.c; exit code 0: as expected, anything else: not as expected.\n";
        text
    }

    fn includes(&self) -> String {
        let mut headers = vec!["stdint.h", "stdio.h", "string.h"];
        if !self.pages.is_empty() {
            headers.push("sys/mman.h");
        }
        if self.signal.is_some() {
            headers.extend(["signal.h", "unistd.h"]);
        }
        headers
            .iter()
            .map(|header| format!("#include <{header}>\n"))
            .collect()
    }

    /// What is loaded: FXSAVE's image, general registers in encoding order with RFLAGS behind them, YMM registers.
    fn state(&self) -> String {
        let state = &self.reproducer.case.state;
        let needs = &self.program.needs;
        let mut start = state.clone();
        if !needs.x87 {
            start.x87 = snippex_core::state::X87State::INITIAL;
        }
        if !needs.sse {
            (start.vectors, start.mxcsr) = ([[0; 64]; 32], snippex_core::state::MXCSR_INITIAL);
        }
        let mut image = fx_image(&start);
        image[FX_STATUS..FX_STATUS + 2].copy_from_slice(&start.x87.status.to_le_bytes());
        let mut text = array("_Alignas(64) uint64_t fx_end[64], fx[64]", &words(&image));
        let mut general: Vec<u64> = (0..16)
            .map(|register| match self.loaded.contains(&register) {
                true => state.gpr[register],
                false => 0,
            })
            .collect();
        general.push(state.rflags);
        text += &array("uint64_t gpr_end[17], gpr[17]", &general);
        if !self.vectors.is_empty() {
            text += &array(
                &format!("uint64_t ymm_end[{0}], ymm[{0}]", 4 * self.vectors.len()),
                &self.vector_words(state),
            );
        }
        text
    }

    fn vector_words(&self, state: &MachineState) -> Vec<u64> {
        let registers = self.vectors.iter();
        registers
            .flat_map(|register| words(&state.vectors[*register][..32]))
            .collect()
    }

    /// Loads, the instruction, and stores of what is compared.
    fn routine(&self) -> String {
        let mut before: Vec<String> = KEPT
            .iter()
            .filter(|register| self.loaded.contains(register))
            .map(|register| format!("push %{}", GPR_NAMES[*register]))
            .collect();
        let kept = before.clone();
        before.push("fxrstor64 fx(%rip)".to_owned());
        let vectors = || self.vectors.iter().enumerate();
        before
            .extend(vectors().map(|(at, register)| format!("vmovups ymm+{}(%rip), %ymm{register}", 32 * at)));
        before.extend(["push gpr+128(%rip)".to_owned(), "popfq".to_owned()]);
        let loads = self.loaded.iter();
        before.extend(
            loads.map(|register| format!("mov gpr+{}(%rip), %{}", 8 * register, GPR_NAMES[*register])),
        );
        let mut after: Vec<String> = self
            .loaded
            .iter()
            .map(|register| format!("mov %{}, gpr_end+{}(%rip)", GPR_NAMES[*register], 8 * register))
            .collect();
        after.extend(["pushfq", "pop gpr_end+128(%rip)", "push $0x202", "popfq"].map(str::to_owned));
        after.push("fxsave64 fx_end(%rip)".to_owned());
        after.extend(
            vectors().map(|(at, register)| format!("vmovups %ymm{register}, ymm_end+{}(%rip)", 32 * at)),
        );
        after.push("fninit".to_owned());
        let popped = kept.iter().rev().map(|push| push.replace("push", "pop"));
        after.extend(popped);
        after.push("ret".to_owned());
        format!(
            "void run(void);\n{}__asm__(\"run:\\n\"\n{}        \"instruction: .byte {}\\n\" // {}\n{}    );\n",
            self.signal.map_or("", |_| "extern const char instruction[];\n"),
            statements(&before),
            format_byte_list(&self.bytes),
            self.comment,
            statements(&after)
        )
    }

    /// Pages with what is not zero in them. Shared, as if there were threads: some emulators translate locked instructions
    /// otherwise when nothing is.
    fn memory(&self) -> String {
        let case = self.reproducer.case;
        let mut text = String::new();
        for address in &self.pages {
            writeln!(
                text,
                "    mmap((void *){address:#x}, 4096, 3, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);"
            )
            .expect("writing to a string cannot fail");
        }
        let is_there = |address: u64| self.pages.contains(&page_of(address));
        for piece in memory_pieces(case).iter().filter(|piece| is_there(piece.address)) {
            text += &copy(piece);
        }
        let read_only = case.pages.iter().filter(|page| page.access == PageAccess::Read);
        for page in read_only.filter(|page| is_there(page.address)) {
            writeln!(
                text,
                "    mprotect((void *){:#x}, 4096, {});",
                page.address,
                protection_flags(page.access)
            )
            .expect("writing to a string cannot fail");
        }
        text
    }

    fn verdict(&self) -> String {
        let mut text = String::from(
            "    run();\n    int wrong = 0;\n    const struct { const char *name; const void *at; uint64_t mask, expected; } checks[] = {\n",
        );
        for check in self.program.checks.iter().flat_map(split_flags) {
            let Some(at) = self.place(&check) else { continue };
            writeln!(
                text,
                "        {{ \"{}\", {at}, {:#x}, {:#x} }},",
                check.name, check.mask, check.expected
            )
            .expect("writing to a string cannot fail");
        }
        if self.program.checks.is_empty() {
            // That it goes on is all that counts.
            text += "        { \"it goes on\", fx, 0, 0 },\n";
        }
        text + "    };\n    for (unsigned i = 0; i < sizeof checks / sizeof *checks; i++) {\n        \
                uint64_t value;\n        memcpy(&value, checks[i].at, 8);\n        \
                wrong |= (value &= checks[i].mask) != checks[i].expected;\n        \
                printf(\"%s %s: expected %#lx - result %#lx\\n\", value == checks[i].expected ? \"ok   \" : \"WRONG\", \
                checks[i].name, checks[i].expected, value);\n    }\n    return wrong;\n}\n"
    }

    /// Where a value is at the end.
    fn place(&self, check: &ReproCheck) -> Option<String> {
        if let CheckedPlace::Memory(address) = check.place {
            return Some(format!("(void *){address:#x}"));
        }
        if let CheckedPlace::Vector(register) = check.place
            && let Some(at) = self.vectors.iter().position(|loaded| *loaded == register)
        {
            return Some(format!("ymm_end + {}", (32 * at + check.offset) / 8));
        }
        let offset = ReproProgram::state_offset(check)?;
        Some(match check.place {
            CheckedPlace::Gpr(_) | CheckedPlace::Flags => format!("gpr_end + {}", offset / 8),
            _ => format!("(char *)fx_end + {}", offset - super::program::at::FX),
        })
    }
}

/// What a case of one instruction has to do with.
pub(super) struct TouchedParts {
    /// General registers, by number.
    pub(super) registers: BTreeSet<usize>,
    /// Addresses of pages.
    pub(super) pages: Vec<u64>,
}

impl TouchedParts {
    /// `None` when there are several instructions, or all that can change is compared.
    pub(super) fn of_one_instruction(reproducer: &Reproducer<'_>) -> Option<Self> {
        let mut instructions = block_instructions(&reproducer.case.block);
        let (found, None) = (instructions.next()?, instructions.next()) else {
            return None;
        };
        if reproducer.fields.is_empty() || depends_on_address(&found.instruction) {
            return None;
        }
        let (registers, _) = used_registers(&found.instruction)?;
        Some(Self {
            registers,
            pages: touched_pages(reproducer.case, &found.instruction),
        })
    }
}

/// General and vector registers that `instruction` uses, by number. `None` for those that only other programs can load.
fn used_registers(instruction: &Instruction) -> Option<(BTreeSet<usize>, BTreeSet<usize>)> {
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(instruction);
    let registers = info.used_registers().iter().map(UsedRegister::register);
    let memory = info
        .used_memory()
        .iter()
        .flat_map(|used| [used.base(), used.index()]);
    let (mut general, mut vectors) = (BTreeSet::new(), BTreeSet::new());
    for register in registers.chain(memory) {
        if register.is_vector_register() {
            vectors.insert(register.number());
        } else if register.is_gpr() {
            general.insert(register.full_register().number());
        } else if register.is_segment_register() || matches!(register, Register::None) {
            // The segments of a program are there.
        } else if register.is_k() || register.is_cr() || register.is_dr() {
            return None;
        }
    }
    Some((general, vectors))
}

/// The pages of `case` that its only instruction can touch: none when it has no memory, and not the one of a stack that it does
/// not use.
fn touched_pages(case: &Case, instruction: &Instruction) -> Vec<u64> {
    let mut factory = InstructionInfoFactory::new();
    if factory.info(instruction).used_memory().is_empty() {
        return Vec::new();
    }
    let uses_stack = used_registers(instruction).is_none_or(|(registers, _)| registers.contains(&RSP));
    let stack = page_of(case.state.gpr[RSP]);
    let others = case
        .state
        .gpr
        .iter()
        .enumerate()
        .filter(|(register, _)| *register != RSP);
    let is_reached = others.map(|(_, value)| page_of(*value)).any(|page| page == stack);
    let pages = case.pages.iter().map(|page| page.address);
    pages
        .filter(|page| uses_stack || *page != stack || is_reached)
        .collect()
}

/// A handler that says whether it is the right signal at the instruction.
fn handler(signal: u8) -> String {
    format!(
        "static void handler(int signal, siginfo_t *info, void *context)\n{{\n    (void)info;\n    \
         __asm__ volatile(\"sub $128, %rsp; push $0x202; popfq; add $128, %rsp\"); // DF and AC are still those of the case.\n    \
         const char *at = (const char *)((const uint64_t *)context)[21]; // RIP in Linux's frame\n    \
         int right = signal == {signal} && at == instruction;\n    \
         printf(\"%s: signal %d, %ld bytes from the instruction, expected {signal} at it\\n\", right ? \"ok\" : \"WRONG\", \
         signal, (long)(at - instruction));\n    fflush(stdout);\n    _exit(!right);\n}}\n"
    )
}

/// Strings of assembler, as many statements a line as there is room for.
fn statements(list: &[String]) -> String {
    let mut lines = vec![String::new()];
    for statement in list {
        let line = lines.last().map_or(0, String::len);
        if line > 0 && line + statement.len() + 2 > WIDTH - 14 {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                *line += "; ";
            }
            *line += statement;
        }
    }
    lines
        .iter()
        .map(|line| format!("        \"{line}\\n\"\n"))
        .collect()
}

/// A C array of which only what is not zero is named.
fn array(declaration: &str, words: &[u64]) -> String {
    let set = words.iter().enumerate().filter(|(_, word)| **word != 0);
    let set: Vec<String> = set
        .map(|(index, word)| format!("[{index}] = {word:#x}"))
        .collect();
    let mut text = format!("{declaration} = {{");
    let mut column = text.len();
    if set.is_empty() {
        text += " 0";
    }
    for (index, word) in set.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        if column + word.len() + 2 > WIDTH {
            text += &format!("{comma}\n    {word}");
            column = 4 + word.len();
        } else {
            text += &format!("{comma} {word}");
            column += word.len() + 2;
        }
    }
    text + " };\n"
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let word = |chunk: &[u8]| {
        chunk
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    bytes.chunks_exact(8).map(word).collect()
}

/// A piece of memory, filled.
fn copy(piece: &MemoryPiece<'_>) -> String {
    let bytes: String = piece.bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    format!(
        "    memcpy((void *){:#x}, \"{bytes}\", {});\n",
        piece.address,
        piece.bytes.len()
    )
}

/// A check of flags as one for each flag, by its name.
fn split_flags(check: &ReproCheck) -> Vec<ReproCheck> {
    if check.place != CheckedPlace::Flags {
        return vec![check.clone()];
    }
    let compared = rflags::NAMES.iter().filter(|(_, flag)| check.mask & flag != 0);
    compared
        .map(|(name, flag)| ReproCheck {
            name: (*name).to_owned(),
            mask: *flag,
            expected: check.expected & flag,
            ..check.clone()
        })
        .collect()
}
