//! The way that snippet testers usually go, for comparison: assemble, link and start a program for each block.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use snippex_core::block::{Block, Terminator};
use snippex_core::decode::decoder;

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
pub(crate) fn measure(blocks: &[&Block]) -> Result<SpawnTimes, SpawnError> {
    let assembler = ["nasm", "as"]
        .into_iter()
        .find(|program| exists(program))
        .ok_or(SpawnError::NoAssembler)?;
    let folder = tempfile::tempdir().map_err(|error| failed("a temporary folder", &error))?;
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

/// Starts the program and waits for its end, or for a second: a block alone may never end.
fn run(program: &Path) -> io::Result<()> {
    let mut child = quiet(&mut Command::new(program)).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(1);
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            break;
        }
        std::thread::sleep(Duration::from_micros(20));
    }
    Ok(())
}

/// A program that runs the block without its jump, call or return, and exits.
fn text(assembler: &str, block: &Block) -> String {
    let (head, byte) = match assembler {
        "nasm" => ("section .text\nglobal _start\n_start:\n", "db"),
        _ => (".intel_syntax noprefix\n.text\n.globl _start\n_start:\n", ".byte"),
    };
    let mut text = head.to_owned();
    let mut instructions: Vec<_> = decoder(&block.bytes, block.address).into_iter().collect();
    if block.terminator != Terminator::FallThrough {
        instructions.pop();
    }
    let length = instructions.iter().map(iced_x86::Instruction::len).sum();
    for value in &block.bytes[..length] {
        writeln!(text, "{byte} {value:#x}").expect("writing to a string cannot fail");
    }
    text + "mov eax, 60\nxor edi, edi\nsyscall\n"
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
