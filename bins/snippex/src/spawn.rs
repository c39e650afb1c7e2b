//! The way that snippet testers usually go, for comparison: assemble, link and start a program for each block.

use std::fmt::Write as _;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use snippex_core::block::{Block, Terminator};
use snippex_core::decode::intel_decoder;
use snippex_exec::engine::OwnFolder;

/// Why it could not be measured.
#[derive(Debug)]
pub(crate) enum SpawnError {
    /// There is none on the PATH.
    NoAssembler,
    /// A program did not do its part.
    Failed {
        /// Which program.
        program: String,
        /// What happened.
        problem: String,
    },
}

impl std::fmt::Display for SpawnError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoAssembler => f.write_str("neither nasm nor as is on the PATH; install nasm or binutils"),
            Self::Failed { program, problem } => write!(f, "{program} {problem}"),
        }
    }
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct SpawnTimes {
    pub(crate) assembler: &'static str,
    /// Programs that were started.
    pub(crate) runs: u64,
    /// Starting them and waiting for their end.
    pub(crate) start: Duration,
    /// The same with assembling and linking.
    pub(crate) whole: Duration,
}

/// Does it for each block. How the programs end does not matter.
pub(crate) fn measure_spawn_times(blocks: &[&Block]) -> Result<SpawnTimes, SpawnError> {
    let assembler = ["nasm", "as"]
        .into_iter()
        .find(|program| exists(program))
        .ok_or(SpawnError::NoAssembler)?;
    let folder = OwnFolder::new("bench-").map_err(|error| failed("a temporary folder", &error))?;
    let mut times = SpawnTimes {
        assembler,
        runs: 0,
        start: Duration::ZERO,
        whole: Duration::ZERO,
    };
    for block in blocks {
        let started = Instant::now();
        build(folder.path(), assembler, block)?;
        let built = Instant::now();
        let program = folder.path().join("block");
        run(&program).map_err(|error| failed("the program of a block", &error))?;
        times.start += built.elapsed();
        times.whole += started.elapsed();
        times.runs += 1;
    }
    Ok(times)
}

fn build(folder: &Path, assembler: &str, block: &Block) -> Result<(), SpawnError> {
    let (source, object) = (folder.join("block.s"), folder.join("block.o"));
    std::fs::write(&source, text(assembler, block))
        .map_err(|error| failed("the source of a block", &error))?;
    let mut assemble = Command::new(assembler);
    if assembler == "nasm" {
        assemble.args(["-f", "elf64"]);
    }
    let mut link = Command::new("ld");
    for command in [
        assemble.arg(&source).arg("-o").arg(&object),
        link.arg(&object).arg("-o").arg(folder.join("block")),
    ] {
        let program = command.get_program().to_string_lossy().into_owned();
        let status = quiet(command)
            .status()
            .map_err(|error| failed(&program, &error))?;
        if !status.success() {
            return Err(SpawnError::Failed {
                program,
                problem: format!("ended with {status}"),
            });
        }
    }
    Ok(())
}

/// Starts the program and waits for its end, or for a second: a block alone may never end. What it writes fits the
/// pipe, so that it never waits for us.
fn run(program: &Path) -> io::Result<()> {
    let mut child = quiet(&mut Command::new(program)).stdout(Stdio::piped()).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(1);
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            break;
        }
        std::thread::sleep(Duration::from_micros(20));
    }
    let mut end = Vec::new();
    child
        .stdout
        .take()
        .map_or(Ok(0), |mut output| output.read_to_end(&mut end))?;
    Ok(())
}

/// The registers that are loaded before the block and stored after it. RSP is the program's own.
const REGISTERS: [&str; 15] = [
    "rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
];

/// A program that loads the general registers with addresses in a buffer, runs the block without its jump, call or
/// return, and writes registers and flags to standard output: less than a case is, but as much as such testers do.
fn text(assembler: &str, block: &Block) -> String {
    let nasm = assembler == "nasm";
    let (head, byte, word) = if nasm {
        (
            "section .bss\nbuffer: resb 65536\nend: resq 16\nsection .text\nglobal _start\n_start:\n",
            "db",
            "qword",
        )
    } else {
        (
            ".intel_syntax noprefix\n.bss\nbuffer: .skip 65536\nend: .skip 128\n.text\n.globl _start\n_start:\n",
            ".byte",
            "qword ptr",
        )
    };
    let mut text = head.to_owned();
    let mut line =
        |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("writing to a string cannot fail");
    for (index, register) in REGISTERS.iter().enumerate() {
        line(format_args!("lea {register}, [buffer + {}]", 32768 + 64 * index));
    }
    let mut instructions: Vec<_> = intel_decoder(&block.bytes, block.address).into_iter().collect();
    if block.terminator != Terminator::FallThrough {
        instructions.pop();
    }
    let length = instructions.iter().map(iced_x86::Instruction::len).sum();
    for value in &block.bytes[..length] {
        line(format_args!("{byte} {value:#x}"));
    }
    for (index, register) in REGISTERS.iter().enumerate() {
        line(format_args!("mov [end + {}], {register}", 8 * index));
    }
    line(format_args!(
        "pushfq\npop {word} [end + 120]\nmov eax, 1\nmov edi, 1\nlea rsi, [end]\nmov edx, 128\nsyscall"
    ));
    line(format_args!("mov eax, 60\nxor edi, edi\nsyscall"));
    text
}

fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

fn failed(program: &str, error: &io::Error) -> SpawnError {
    SpawnError::Failed {
        program: program.to_owned(),
        problem: format!("failed: {error}"),
    }
}
