//! From a file to a test: its header read, its code assembled by nasm.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cli_kit::Failure;
use snippex_exec::conformance_suite::{ConformanceTest, TestBody};
use snippex_exec::engine::OwnFolder;
use snippex_formats::conformance::header::{self, TestMode};
use snippex_formats::conformance::{MAX_CODE, TestProgram};

use super::files::{TestFile, include_folders};

/// Longest time that nasm may take for a file.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest source that is read.
const MAX_SOURCE: u64 = 16 << 20;

/// What FEX-Emu's suite puts before a 32-bit test: where it lies, and three instructions, nine bytes long, that load DS and ES.
/// Their selector is Linux's for user data here.
const PROLOGUE_32: [&str; 5] = [
    "BITS 32",
    "org 0x10000",
    "mov eax, 0x2b",
    "mov ds, ax",
    "mov es, ax",
];

/// RET, which FEX-Emu's suite puts behind every test: what a label at the end names is mapped.
const RET: u8 = 0xc3;

/// What became of a file.
#[derive(Debug)]
pub(crate) enum Made {
    /// A test that can run.
    Test(Box<ConformanceTest>),
    /// A test that no engine of ours can run, and why.
    Unsupported(String),
    /// The file itself is wrong, and how.
    Broken(String),
}

/// The assembler and where it looks.
#[derive(Clone, Debug)]
pub(crate) struct Assembler {
    program: PathBuf,
    includes: Vec<PathBuf>,
}

impl Assembler {
    /// The nasm at `program`, which has to be there.
    pub(crate) fn new(program: &Path, includes: &[PathBuf]) -> Result<Self, Failure> {
        let answer = Command::new(program).arg("-v").stdin(Stdio::null()).output();
        let hint = "install it (apt-get install nasm), or name it with --nasm PROGRAM";
        match answer {
            Ok(output) if output.status.success() => Ok(Self {
                program: program.to_owned(),
                includes: includes.to_vec(),
            }),
            Ok(output) => Err(Failure::new(format!(
                "{} -v ended with {}: it is no nasm",
                program.display(),
                output.status
            ))
            .hint(hint)),
            Err(error) => Err(Failure::with_cause(
                format!(
                    "the tests are assembled by {}, which cannot be started",
                    program.display()
                ),
                &error,
            )
            .hint(hint)),
        }
    }

    /// Reads and assembles `file`.
    pub(crate) fn assemble_test(&self, file: &TestFile) -> Made {
        let source = match read_test_source(&file.path) {
            Ok(source) => source,
            Err(problem) => return Made::Broken(problem),
        };
        let header = match header::read_header(&source) {
            Ok(header) => header,
            Err(error) => return Made::Broken(error.to_string()),
        };
        if let Some(reason) = header.unsupported {
            return Made::Unsupported(reason);
        }
        let code = match self.assemble(&file.path, header.mode) {
            Ok(code) => code,
            Err(problem) => return Made::Broken(problem),
        };
        let mut program = match header.mode {
            TestMode::Bits64 => TestProgram::from_flat_code(code),
            TestMode::Bits32 => TestProgram::from_flat_code_32([&code[..], &[RET]].concat()),
        };
        if let Some(size) = header.stack_size {
            program = program.with_stack(size);
        }
        program.areas.extend(header.areas);
        program.data = header.data;
        if let Err(error) = program.page_extents() {
            return Made::Broken(error.to_string());
        }
        let mut environment = header.environment;
        disable(&mut environment, &header.disabled_features);
        environment.sort();
        Made::Test(Box::new(ConformanceTest {
            name: file.name.clone(),
            environment,
            features: header.features,
            body: TestBody::Program {
                program,
                expected: header.expected,
                agreed: header.agreed,
            },
        }))
    }

    /// Flat code of `path`.
    fn assemble(&self, path: &Path, mode: TestMode) -> Result<Vec<u8>, String> {
        let folder =
            OwnFolder::new("nasm-").map_err(|error| format!("cannot make a temporary folder: {error}"))?;
        let output = folder.path().join("code");
        let mut command = Command::new(&self.program);
        command.args(["-f", "bin", "-w-all", "-o"]).arg(&output);
        let before = match mode {
            TestMode::Bits64 => &["BITS 64"][..],
            TestMode::Bits32 => &PROLOGUE_32[..],
        };
        for line in before {
            command.arg("--before").arg(line);
        }
        for include in include_folders(path, &self.includes) {
            // nasm puts folder and name together as they are.
            let mut folder = include.into_os_string();
            folder.push("/");
            command.arg("-i").arg(folder);
        }
        command.arg(path);
        let messages = finish(command)?;
        match fs::read(&output) {
            Ok(code) if code.len() > MAX_CODE => Err(format!(
                "it assembles to {} bytes, more than {MAX_CODE}",
                code.len()
            )),
            Ok(code) if code.is_empty() => Err("it assembles to nothing".into()),
            Ok(code) => Ok(code),
            Err(error) => Err(format!("nasm wrote nothing: {error}; it said: {messages}")),
        }
    }
}

/// The text of a test, whatever its encoding.
pub(super) fn read_test_source(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot be read: {error}");
    let mut file = fs::File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.by_ref()
        .take(MAX_SOURCE + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > MAX_SOURCE {
        return Err(format!("is larger than {} MiB", MAX_SOURCE >> 20));
    }
    // Comments may be in any encoding.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What FEX's host is to do without is one variable of its environment.
fn disable(environment: &mut Vec<(String, String)>, features: &[String]) {
    const VARIABLE: &str = "FEX_HOSTFEATURES";
    if features.is_empty() {
        return;
    }
    let words: Vec<String> = features
        .iter()
        .map(|name| format!("disable{}", name.to_ascii_lowercase()))
        .collect();
    let words = words.join(",");
    match environment.iter_mut().find(|(name, _)| name == VARIABLE) {
        Some((_, value)) => *value = format!("{value},{words}"),
        None => environment.push((VARIABLE.into(), words)),
    }
}

/// Runs nasm to its end, or until it has had its time; what it printed.
fn finish(mut command: Command) -> Result<String, String> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| format!("nasm cannot be started: {error}"))?;
    let mut stderr = child.stderr.take().expect("piped");
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A pipe that breaks ends the text; a million errors need not all be kept.
        let _ = stderr.by_ref().take(1 << 16).read_to_end(&mut bytes);
        let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        bytes
    });
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() > deadline => {
                let _ = child.kill();
                let _ = child.wait();
                // What nasm started may hold the pipe for as long as it likes: the reader is left to it.
                return Err(format!("nasm did not end in {} seconds", PATIENCE.as_secs()));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => return Err(format!("nasm was lost: {error}")),
        }
    };
    let bytes = reader.join().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let said: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(3)
        .collect();
    let said = said.join("; ");
    if status.success() {
        Ok(said)
    } else {
        Err(format!("nasm ended with {status}: {said}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fex_is_to_do_without_joins_what_the_test_says() {
        let mut environment = vec![("FEX_HOSTFEATURES".to_owned(), "disablesve".to_owned())];
        disable(&mut environment, &["FLAGM".into(), "AFP".into()]);
        assert_eq!(environment[0].1, "disablesve,disableflagm,disableafp");
        let mut environment = Vec::new();
        disable(&mut environment, &[]);
        assert!(environment.is_empty());
    }
}
