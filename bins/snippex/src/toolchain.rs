//! The programs that make a reproducer run: nasm, ld, gcc.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cli_kit::{Failure, OrFail};
use snippex_core::block::Block;
use snippex_exec::engine::OwnFolder;
use snippex_formats::repro::{ReproForm, Spelling};

use crate::install::is_program_on_path;

/// The programs that build a reproducer.
pub(crate) fn required_build_tools(form: ReproForm) -> &'static [&'static str] {
    match form {
        ReproForm::C => &["gcc"],
        _ => &["nasm", "ld"],
    }
}

/// A program that has not ended after this time has failed; those made here end at once, or by their own alarm.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a reproducer ended on an engine.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Tried {
    /// Which engine.
    pub(crate) engine: String,
    /// `None` when a signal ended it.
    pub(crate) exit_code: Option<i32>,
    /// What it wrote.
    pub(crate) output: String,
}

/// How each instruction can be spelled so that nasm gives its bytes; `None` without nasm.
pub(crate) fn find_nasm_spellings(block: &Block) -> Result<Option<Vec<Spelling>>, Failure> {
    if !is_program_on_path("nasm") {
        return Ok(None);
    }
    let folder = temporary()?;
    let spelled = Spelling::candidates_for(block).into_iter().map(|(text, bytes)| {
        let Some(text) = text else {
            return Ok(Spelling::Bytes);
        };
        let source = folder.path().join("instruction.asm");
        let made = folder.path().join("instruction.bin");
        std::fs::write(&source, format!("bits 64\n{text}\n")).or_fail("cannot write a temporary file")?;
        let mut nasm = Command::new("nasm");
        nasm.args(["-f", "bin", "-o"]).arg(&made).arg(&source);
        // What nasm does not take is written as bytes.
        let same = run(&mut nasm, "nasm")?.exit_code == Some(0)
            && std::fs::read(&made).is_ok_and(|made| made == bytes);
        Ok(if same {
            Spelling::Text(text)
        } else {
            Spelling::Bytes
        })
    });
    spelled.collect::<Result<_, _>>().map(Some)
}

/// Builds the program whose source `text` is and runs it directly and with each of `emulators`.
pub(crate) fn build_and_run(
    form: ReproForm,
    text: &str,
    emulators: &[(String, Vec<String>)],
) -> Result<Vec<Tried>, Failure> {
    let folder = temporary()?;
    let program = build(form, text, folder.path())?;
    let native = ("native".to_owned(), Vec::new());
    let engines = std::iter::once(&native).chain(emulators);
    engines
        .map(|(name, command)| {
            let mut words = command.iter();
            let mut start = match words.next() {
                None => Command::new(&program),
                Some(emulator) => {
                    let mut start = Command::new(emulator);
                    start.args(words).arg(&program);
                    start
                }
            };
            run(&mut start, name)
        })
        .collect()
}

fn build(form: ReproForm, text: &str, folder: &Path) -> Result<PathBuf, Failure> {
    let program = folder.join("repro");
    let object = folder.join("repro.o");
    let (source, steps): (_, Vec<Command>) = match form {
        ReproForm::C => {
            let source = folder.join("repro.c");
            let mut gcc = Command::new("gcc");
            gcc.args(["-O1", "-Wall", "-o"]).arg(&program).arg(&source);
            (source, vec![gcc])
        }
        _ => {
            let source = folder.join("repro.asm");
            let mut nasm = Command::new("nasm");
            nasm.args(["-f", "elf64", "-o"]).arg(&object).arg(&source);
            let mut ld = Command::new("ld");
            ld.arg("-o").arg(&program).arg(&object);
            (source, vec![nasm, ld])
        }
    };
    std::fs::write(&source, text).or_fail("cannot write a temporary file")?;
    for mut step in steps {
        let name = step.get_program().to_string_lossy().into_owned();
        let ended = run(&mut step, &name)?;
        if ended.exit_code != Some(0) {
            return Err(
                Failure::new(format!("{name} does not take the reproducer: {}", ended.output))
                    .hint("write it with --output and have a look; this is a fault of snippex"),
            );
        }
    }
    Ok(program)
}

/// Runs a program to its end and keeps what it wrote.
fn run(command: &mut Command, name: &str) -> Result<Tried, Failure> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .or_fail_with(|| format!("cannot start {name}"))?;
    // A thread for each stream: a program may fill one while we wait for the other.
    let read = |stream: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            // What was read before an error is as much as there is to say.
            let _ = stream.map(|stream| stream.take(1 << 20).read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let out = read(child.stdout.take().map(|stream| Box::new(stream) as _));
    let err = read(child.stderr.take().map(|stream| Box::new(stream) as _));
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child
            .try_wait()
            .or_fail_with(|| format!("cannot wait for {name}"))?
        {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().or_fail_with(|| format!("cannot end {name}"))?;
            child.wait().or_fail_with(|| format!("cannot wait for {name}"))?;
            return Err(Failure::new(format!(
                "{name} did not end in {} seconds",
                PATIENCE.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = |thread: std::thread::JoinHandle<String>| thread.join().unwrap_or_default();
    Ok(Tried {
        engine: name.to_owned(),
        exit_code: status.code(),
        output: text(out) + &text(err),
    })
}

fn temporary() -> Result<OwnFolder, Failure> {
    OwnFolder::new("repro-")
        .or_fail_with(|| format!("cannot make a folder in {}", std::env::temp_dir().display()))
        .map_err(|failure| failure.hint("make room there, or name another folder in the variable TMPDIR"))
}
