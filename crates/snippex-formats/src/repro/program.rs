//! What the C and the assembler program have in common: code with its exits, and the routine that loads a state, runs
//! the block and keeps how it ended, in either assembler's syntax.

use std::fmt::Write as _;

use super::checks::{CheckedPlace, ReproCheck, build_checks};
use super::impossible::Impossible;
use super::needs::Needs;
use super::{Reproducer, registers};
use crate::snip;
use snippex_core::lower::{Code, Stub, lower_block};
use snippex_core::observation::Endpoint;
use snippex_core::state::{GPR_NAMES, RSP, rflags};

/// Bytes of `jmp [rip]; .quad target`.
const STUB: usize = 14;

/// Offsets in the state that both programs use; `struct state` of the C program has the same.
pub(super) mod at {
    pub(in super::super) const RFLAGS: usize = 0x80;
    pub(in super::super) const KIND: usize = 0x88;
    pub(in super::super) const SIGNAL: usize = 0x90;
    pub(in super::super) const RIP: usize = 0x98;
    pub(in super::super) const ADDRESS: usize = 0xa0;
    pub(in super::super) const FS: usize = 0xa8;
    pub(in super::super) const GS: usize = 0xb0;
    pub(in super::super) const FRAME_FLAGS: usize = 0xb8;
    pub(in super::super) const FX: usize = 0x100;
    pub(in super::super) const VECTORS: usize = 0x300;
    pub(in super::super) const OPMASK: usize = 0xb00;
    pub(in super::super) const SIZE: usize = 0xb40;
}

/// A reproducer, taken apart for a program.
pub(super) struct ReproProgram<'r, 'a> {
    pub(super) reproducer: &'r Reproducer<'a>,
    pub(super) code: Code,
    pub(super) checks: Vec<ReproCheck>,
    pub(super) needs: Needs,
    pub(super) environment: Option<[u8; 28]>,
    /// Kind (0 an exit, 1 a signal), signal, RIP.
    pub(super) end: [u64; 3],
}

/// A part of the code with what it says.
pub(super) struct CodeLine {
    pub(super) bytes: Vec<u8>,
    pub(super) comment: String,
    /// Index of the exit when this is a stub: its last eight bytes are an address to fill in.
    pub(super) exit: Option<usize>,
}

impl<'r, 'a> ReproProgram<'r, 'a> {
    pub(super) fn new(reproducer: &'r Reproducer<'a>) -> Result<Self, Impossible> {
        let case = reproducer.case;
        let stub = Stub {
            size: STUB as u8,
            push: |bytes, exit| {
                bytes.extend([0xff, 0x25, 0, 0, 0, 0]);
                bytes.extend(u64::from(exit).to_le_bytes());
            },
        };
        let end = match reproducer.expected.endpoint {
            Endpoint::Exit { target } => [0, 0, target],
            Endpoint::Signal(signal) => [1, u64::from(signal.number), signal.rip],
            Endpoint::Hung | Endpoint::EngineDied { .. } => return Err(Impossible::NoEnd),
        };
        if case.state.rflags & rflags::TF != 0 {
            return Err(Impossible::TrapFlag);
        }
        let checks = build_checks(reproducer);
        let needs = Needs::from_block(&case.block, &checks);
        Ok(Self {
            reproducer,
            code: lower_block(&case.block, case.placement, stub)?,
            environment: needs
                .x87
                .then(|| registers::environment_image(&case.state.x87))
                .flatten(),
            checks,
            needs,
            end,
        })
    }

    /// The code, an instruction or stub a line.
    pub(super) fn code_lines(&self) -> Vec<CodeLine> {
        let instructions = snip::disassemble_block(&self.reproducer.case.block);
        let body = &self.code.bytes[..self.code.stubs];
        let mut lines = Vec::new();
        let mut start = 0;
        for (index, (bytes, text)) in instructions.iter().enumerate() {
            // A terminator may have become longer.
            let last = index + 1 == instructions.len();
            let end = if last { body.len() } else { start + bytes.len() };
            lines.push(CodeLine {
                bytes: body[start..end].to_vec(),
                comment: text.clone(),
                exit: None,
            });
            start = end;
        }
        let stubs = self.code.bytes[self.code.stubs..].chunks_exact(STUB);
        lines.extend(stubs.enumerate().map(|(exit, bytes)| CodeLine {
            bytes: bytes[..STUB - 8].to_vec(),
            comment: format!("goes on to {}", snip::format_grouped_hex(self.code.targets[exit])),
            exit: Some(exit),
        }));
        lines
    }

    /// Title, notes and what the CPU has to have, each line behind `mark`.
    pub(super) fn render_heading(&self, mark: &str) -> String {
        let features = self.needs.feature_names();
        let needs = match &features[..] {
            [] => String::new(),
            names => format!("{mark} Needs a CPU with {}.\n", names.join(", ")),
        };
        self.reproducer.heading(mark) + &needs
    }

    /// Whether the block leaves by an address that it computes.
    pub(super) fn is_indirect(&self) -> bool {
        use snippex_core::block::Terminator as T;
        matches!(
            self.reproducer.case.block.terminator,
            T::Ret | T::IndirectCall | T::IndirectJmp
        )
    }

    /// The pages that the code lies in: address and length.
    pub(super) fn code_area(&self) -> (u64, u64) {
        let start = self.code.address & !0xfff;
        let end = (self.code.address + self.code.bytes.len() as u64 + 0xfff) & !0xfff;
        (start, end.wrapping_sub(start))
    }

    /// Offset of a check's value in the state; `None` when it is in memory.
    pub(super) fn state_offset(check: &ReproCheck) -> Option<usize> {
        Some(match check.place {
            CheckedPlace::Gpr(register) => 8 * register,
            CheckedPlace::Flags => at::RFLAGS,
            CheckedPlace::FaultAddress => at::ADDRESS,
            CheckedPlace::Control => at::FX,
            CheckedPlace::Status => at::FX + 2,
            CheckedPlace::Tags => at::FX + 4,
            CheckedPlace::Mxcsr => at::FX + 24,
            CheckedPlace::Stack(index) => at::FX + 32 + 16 * index + check.offset,
            // What FXSAVE stores is there on every CPU.
            CheckedPlace::Vector(register) if register < 16 && check.offset < 16 => {
                at::FX + 160 + 16 * register + check.offset
            }
            CheckedPlace::Vector(register) => at::VECTORS + 64 * register + check.offset,
            CheckedPlace::Opmask(register) => at::OPMASK + 8 * register,
            CheckedPlace::Memory(_) => return None,
        })
    }

    /// The words of the start state and what they hold, where they are not zero.
    pub(super) fn start_words(&self) -> Vec<(usize, u64)> {
        let state = &self.reproducer.case.state;
        let mut bytes = vec![0; at::SIZE];
        let mut put =
            |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
        for (register, value) in state.gpr.iter().enumerate() {
            put(8 * register, &value.to_le_bytes());
        }
        put(at::RFLAGS, &state.rflags.to_le_bytes());
        if self.needs.bases {
            put(at::FS, &state.fs_base.to_le_bytes());
            put(at::GS, &state.gs_base.to_le_bytes());
        }
        let mut loaded = state.clone();
        if !self.needs.x87 {
            loaded.x87 = snippex_core::state::X87State::INITIAL;
        }
        if !self.needs.sse {
            loaded.vectors = [[0; 64]; 32];
            loaded.mxcsr = snippex_core::state::MXCSR_INITIAL;
        }
        put(at::FX, &registers::fx_image(&loaded));
        let (registers, width) = self.vector_extent();
        for (register, vector) in loaded.vectors[..registers].iter().enumerate() {
            put(at::VECTORS + 64 * register, &vector[..width]);
        }
        if self.needs.avx512 {
            for (register, value) in state.opmask.iter().enumerate() {
                put(at::OPMASK + 8 * register, &value.to_le_bytes());
            }
        }
        let word = |chunk: &[u8]| u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        let words = bytes.chunks_exact(8).map(word).enumerate();
        words
            .filter(|(_, value)| *value != 0)
            .map(|(index, value)| (8 * index, value))
            .collect()
    }

    /// Vector registers that are loaded apart from FXRSTOR, and how many bytes of each.
    fn vector_extent(&self) -> (usize, usize) {
        match (self.needs.avx512, self.needs.avx) {
            (true, _) => (32, 64),
            (_, true) => (16, 32),
            _ => (0, 0),
        }
    }

    /// The routine that loads the start state, runs the block and keeps the end state.
    pub(super) fn render_routine(&self, syntax: &Syntax) -> String {
        let mut asm = String::new();
        let mut line = |text: &str| writeln!(asm, "{text}").expect("writing to a string cannot fail");
        let (start, end) = ("repro_start", "repro_end");
        let qword = |symbol: &str, offset: usize| syntax.qword(symbol, offset);
        let mem = |symbol: &str, offset: usize| syntax.memory(symbol, offset);
        line("repro_run:");
        for register in ["rbx", "rbp", "r12", "r13", "r14", "r15"] {
            line(&format!("    push {register}"));
        }
        line(&format!("    mov {}, rsp", qword("repro_rsp", 0)));
        if self.needs.bases {
            // ARCH_GET_FS, ARCH_GET_GS, ARCH_SET_FS, ARCH_SET_GS of arch_prctl.
            for (command, operand) in [(0x1003, 0), (0x1004, 8)] {
                line(&format!("    lea rsi, {}", mem("repro_bases", operand)));
                line(&format!(
                    "    mov edi, {command:#x}\n    mov eax, 158\n    syscall"
                ));
            }
            for (command, operand) in [(0x1002, at::FS), (0x1001, at::GS)] {
                line(&format!("    mov rsi, {}", qword(start, operand)));
                line(&format!(
                    "    mov edi, {command:#x}\n    mov eax, 158\n    syscall"
                ));
            }
        }
        line(&format!("    fxrstor64 {}", mem(start, at::FX)));
        let (registers, width) = self.vector_extent();
        let vector = if width == 64 { "zmm" } else { "ymm" };
        for register in 0..registers {
            let from = mem(start, at::VECTORS + 64 * register);
            line(&format!("    vmovups {vector}{register}, {from}"));
        }
        if self.needs.avx512 {
            for register in 0..8 {
                line(&format!(
                    "    kmovq k{register}, {}",
                    qword(start, at::OPMASK + 8 * register)
                ));
            }
        }
        if self.environment.is_some() {
            line(&format!("    fldenv {}", mem("repro_environment", 0)));
        }
        line(&format!("    push {}", qword(start, at::RFLAGS)));
        line("    popfq");
        for (register, name) in GPR_NAMES
            .iter()
            .enumerate()
            .filter(|(register, _)| *register != RSP)
        {
            line(&format!("    mov {name}, {}", qword(start, 8 * register)));
        }
        line(&format!("    mov rsp, {}", qword(start, 8 * RSP)));
        line(&format!("    jmp {}", qword("repro_code_address", 0)));
        for exit in 0..2 {
            line(&format!("repro_exit_{exit}:"));
            line(&format!("    mov {}, 0", qword(end, at::KIND)));
            line(&format!("    mov {}, {exit}", qword(end, at::RIP)));
            line("    jmp repro_capture");
        }
        // Signal, RIP and flags of a fault; the return from the handler then leads to the capture.
        line("repro_handler:\n    cld\n    mov eax, edi");
        line(&format!("    mov {}, rax", qword(end, at::SIGNAL)));
        line(&format!("    mov {}, 1", qword(end, at::KIND)));
        for (from, to) in [
            ("rsi + 16", at::ADDRESS),
            ("rdx + 168", at::RIP),
            ("rdx + 176", at::FRAME_FLAGS),
        ] {
            line(&format!("    mov rax, [{from}]\n    mov {}, rax", qword(end, to)));
        }
        line(&format!("    lea rax, {}", mem("repro_capture", 0)));
        line("    mov [rdx + 168], rax");
        line(&format!("    mov {} [rdx + 176], 0x202", syntax.size));
        line("    ret");
        line("repro_capture:");
        for (register, name) in GPR_NAMES.iter().enumerate() {
            line(&format!("    mov {}, {name}", qword(end, 8 * register)));
        }
        line(&format!("    mov rsp, {}", qword("repro_rsp", 0)));
        line("    pushfq");
        line(&format!("    pop {}", qword(end, at::RFLAGS)));
        line("    push 0x202\n    popfq");
        line(&format!("    fxsave64 {}", mem(end, at::FX)));
        for register in 0..registers {
            let to = mem(end, at::VECTORS + 64 * register);
            line(&format!("    vmovups {to}, {vector}{register}"));
        }
        if self.needs.avx512 {
            for register in 0..8 {
                line(&format!(
                    "    kmovq {}, k{register}",
                    qword(end, at::OPMASK + 8 * register)
                ));
            }
        }
        if self.needs.avx {
            line("    vzeroupper");
        }
        line(&format!(
            "    fninit\n    ldmxcsr {}",
            syntax.dword("repro_mxcsr")
        ));
        if self.needs.bases {
            for (command, operand) in [(0x1002, 0), (0x1001, 8)] {
                line(&format!("    mov rsi, {}", qword("repro_bases", operand)));
                line(&format!(
                    "    mov edi, {command:#x}\n    mov eax, 158\n    syscall"
                ));
            }
        }
        for register in ["r15", "r14", "r13", "r12", "rbp", "rbx"] {
            line(&format!("    pop {register}"));
        }
        line("    ret");
        asm
    }
}

/// How an assembler writes operands.
pub(super) struct Syntax {
    /// Eight bytes in memory.
    pub(super) size: &'static str,
    /// Four bytes in memory.
    double: &'static str,
    /// Relative to RIP.
    relative: &'static str,
}

impl Syntax {
    /// The GNU assembler after `.intel_syntax noprefix`.
    pub(super) const GNU: Self = Self {
        size: "qword ptr",
        double: "dword ptr",
        relative: "rip + ",
    };
    /// NASM.
    pub(super) const NASM: Self = Self {
        size: "qword",
        double: "dword",
        relative: "rel ",
    };

    fn memory(&self, symbol: &str, offset: usize) -> String {
        match offset {
            0 => format!("[{}{symbol}]", self.relative),
            offset => format!("[{}{symbol} + {offset:#x}]", self.relative),
        }
    }

    fn qword(&self, symbol: &str, offset: usize) -> String {
        format!("{} {}", self.size, self.memory(symbol, offset))
    }

    fn dword(&self, symbol: &str) -> String {
        format!("{} {}", self.double, self.memory(symbol, 0))
    }
}

/// What lies at an offset of the state, for people.
pub(super) fn name_of(offset: usize) -> String {
    match offset {
        0..0x80 => GPR_NAMES[offset / 8].to_owned(),
        at::RFLAGS => "rflags".to_owned(),
        at::FS => "fs base".to_owned(),
        at::GS => "gs base".to_owned(),
        at::FX => "x87 control word, tags".to_owned(),
        0x118 => "mxcsr".to_owned(),
        0x120..0x1a0 => format!("x87 register {}", (offset - 0x120) / 16),
        0x1a0..0x2a0 => format!("xmm{}", (offset - 0x1a0) / 16),
        at::VECTORS..at::OPMASK => format!("vector register {}", (offset - at::VECTORS) / 64),
        at::OPMASK..at::SIZE => format!("k{}", (offset - at::OPMASK) / 8),
        _ => String::new(),
    }
}
