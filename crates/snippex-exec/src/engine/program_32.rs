//! Running a 32-bit program: in a process of its own, of the engine's program for them, which runs the 32-bit runner.
//!
//! What the runner and the host say to each other is in [`snippex_runner::layout_32`]. The state at the end is that of the signal
//! frame where the frame has it, as a kernel's does; emulators that keep less there leave registers as they are in the handler.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use snippex_core::case::PAGE;
use snippex_core::observation::{Endpoint, Signal};
use snippex_core::state::{Components, MachineState, X87State};
use snippex_formats::conformance::{Extent, ProgramEnd, TestProgram};
use snippex_runner::layout_32 as layout;

use super::runner_engine::{FIRST_WAIT, LATER_STARTS};
use super::{EngineError, ProgramOutcome, RunnerEngine};
use crate::process::{describe_exit_status, kill_with_group, last_lines};
use crate::results::Unsupported;
use crate::stall::Stall;

/// Time for a process to be gone after its output has ended.
const LEAVING: Duration = Duration::from_secs(2);
/// How often is looked whether it has taken too long.
const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// What is kept of standard output: the end is last, whatever the program has written before.
const KEPT_OUTPUT: usize = 64 << 10;
/// What is shown of standard error.
const SHOWN_ERRORS: u64 = 1 << 10;

/// `FP_XSTATE_MAGIC1` of Linux (`asm/sigcontext.h`): the frame has XSAVE state behind the FXSAVE image.
const XSTATE_MAGIC: u32 = 0x4650_5853;
/// In the FXSAVE image of a frame: that magic, and the components that the frame has room for.
const SOFTWARE_MAGIC: u32 = 464;
const SOFTWARE_FEATURES: u32 = 472;
/// The component of the upper halves of YMM registers in XSAVE's bit vectors.
const YMM_UPPER: u32 = 1 << 2;
/// In an FXSAVE image: the bits that MXCSR can have, never zero. Valgrind's frame has room for an image, and zeros in it.
const MXCSR_MASK: u32 = 28;
/// In `struct _fpstate_32`: 0 where the FXSAVE image is there (`X86_FXSR_MAGIC`), else 0xffff.
const FRAME_MAGIC: u32 = 110;

/// Runs `program`, and says how it ended. A process that does not come up is started again.
pub(super) fn run_program_32(
    engine: &mut RunnerEngine,
    program: &TestProgram,
) -> Result<ProgramOutcome, EngineError> {
    let Some(words) = engine.spec.build_command_line_32(engine.runner.path_32()) else {
        return Ok(ProgramOutcome::Unsupported(Unsupported::Programs32));
    };
    let input = program.page_extents().ok().and_then(|extents| {
        let fits = extents.len() <= layout::MAX_MAPPINGS as usize;
        fits.then(|| write_plan(program, &extents))
    });
    let Some(input) = input else {
        return Ok(ProgramOutcome::Unsupported(Unsupported::Address));
    };
    let mut wait = FIRST_WAIT;
    for start in 1.. {
        match run_once(engine, &words, &input, program)? {
            Attempt::Outcome(outcome) => return Ok(outcome),
            Attempt::DidNotStart { problem, stderr } if start == LATER_STARTS => {
                return Err(EngineError::Handshake {
                    engine: engine.spec.name.clone(),
                    problem: format!("as a 32-bit program, {problem}"),
                    stderr,
                });
            }
            Attempt::DidNotStart { .. } => {
                engine.failed_starts += 1;
                std::thread::sleep(wait);
                wait *= 3;
            }
        }
    }
    unreachable!("the last start is returned")
}

/// What the runner reads: the plan, and the contents of pages.
fn write_plan(program: &TestProgram, extents: &[Extent]) -> Vec<u8> {
    let mut plan = vec![0; layout::PLAN_SIZE as usize];
    let mut put = |place: u32, value: u32| {
        let place = place as usize;
        plan[place..place + 4].copy_from_slice(&value.to_le_bytes());
    };
    let state = &program.state;
    put(layout::PLAN_MAPPINGS, extents.len() as u32);
    put(layout::PLAN_EIP, program.address as u32);
    put(layout::PLAN_EFLAGS, state.rflags as u32);
    for (place, value) in (layout::PLAN_REGISTERS..).step_by(4).zip(&state.gpr[..8]) {
        put(place, *value as u32);
    }
    for (place, extent) in (layout::PLAN_TABLE..)
        .step_by(layout::MAPPING_SIZE as usize)
        .zip(extents)
    {
        put(place, extent.address as u32);
        // All of a program is below 4 GiB.
        put(place + 4, (u64::from(extent.pages) * PAGE) as u32);
        put(place + 8, u32::from(extent.content.is_some()));
    }
    let image = &mut plan[layout::PLAN_FXSAVE as usize..][..layout::FXSAVE_SIZE as usize];
    image[..2].copy_from_slice(&state.x87.control.to_le_bytes());
    image[2..4].copy_from_slice(&state.x87.status.to_le_bytes());
    image[4] = state.x87.tags;
    image[24..28].copy_from_slice(&state.mxcsr.to_le_bytes());
    for (register, value) in state.x87.st.iter().enumerate() {
        image[32 + 16 * register..][..10].copy_from_slice(value);
    }
    for (register, value) in state.vectors[..8].iter().enumerate() {
        image[160 + 16 * register..][..16].copy_from_slice(&value[..16]);
    }
    for content in extents.iter().filter_map(|extent| extent.content.as_ref()) {
        plan.extend(content);
    }
    plan
}

/// What came of a process.
enum Attempt {
    Outcome(ProgramOutcome),
    /// It did not run the runner.
    DidNotStart {
        problem: String,
        stderr: String,
    },
}

fn run_once(
    engine: &RunnerEngine,
    words: &[String],
    input: &[u8],
    program: &TestProgram,
) -> Result<Attempt, EngineError> {
    let spec = &engine.spec;
    let talk = |source| EngineError::Talk {
        engine: spec.name.clone(),
        source,
    };
    let (word, rest) = words.split_first().expect("a command has a program");
    let mut command = Command::new(word);
    if let Some(surroundings) = &engine.surroundings {
        surroundings.apply_to_command(&mut command);
    }
    command
        .args(rest)
        .envs(spec.environment.iter().map(|(name, value)| (name, value)));
    let prepare = |source| EngineError::Prepare {
        engine: spec.name.clone(),
        source,
    };
    let stdin = file_with(input).map_err(prepare)?;
    let mut stderr = tempfile::tempfile().map_err(prepare)?;
    let written_errors = stderr.try_clone().map_err(prepare)?;
    let mut process = match Process::spawn(command, stdin, written_errors) {
        Ok(process) => process,
        // A kernel without IA32 emulation.
        Err(error) if spec.native && error.raw_os_error() == Some(libc::ENOEXEC) => {
            let reason = ProgramOutcome::Unsupported(Unsupported::Programs32);
            return Ok(Attempt::Outcome(reason));
        }
        Err(source) => {
            return Err(EngineError::Start {
                engine: spec.name.clone(),
                program: word.clone(),
                source,
            });
        }
    };
    let greeting_size = layout::GREETING_SIZE as usize;
    let start = process
        .read_output(spec.start_patience, greeting_size)
        .map_err(talk)?;
    if process.output.len() < greeting_size || word_at(&process.output, 0) != layout::GREETING_MAGIC {
        let problem = match start {
            Reading::Ended => format!("it {}", describe_exit_status(process.wait().map_err(talk)?)),
            Reading::TooSlow => "it did not answer in time".into(),
            Reading::Enough => {
                let text = String::from_utf8_lossy(&process.output);
                format!("it wrote {text:?} to standard output instead of an answer")
            }
        };
        process.kill();
        let stderr = last_words(&mut stderr);
        return Ok(Attempt::DidNotStart { problem, stderr });
    }
    let greeting: Vec<u8> = process.output.drain(..greeting_size).collect();
    if word_at(&greeting, 4) != layout::STATUS_READY {
        let reason = ProgramOutcome::Unsupported(Unsupported::Address);
        return Ok(Attempt::Outcome(reason));
    }
    let has_avx = word_at(&greeting, 8) != 0;
    let reading = process.read_output(spec.patience, usize::MAX).map_err(talk)?;
    let mut end = match find_end(&process.output) {
        Some((end, at_eip)) => read_end(end, at_eip, has_avx),
        None => ProgramEnd {
            state: program.state.clone(),
            ..ProgramEnd::default()
        },
    };
    if end.endpoint == Endpoint::Hung && reading == Reading::Ended {
        let signal = process.wait().map_err(talk)?.signal();
        end.endpoint = Endpoint::EngineDied { signal };
    }
    Ok(Attempt::Outcome(ProgramOutcome::Ended(Box::new(end))))
}

/// A file without a name that begins with these bytes, to be read.
fn file_with(bytes: &[u8]) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// The end of what was printed on standard error, in one line.
fn last_words(file: &mut File) -> String {
    let mut text = Vec::new();
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let from = length.saturating_sub(SHOWN_ERRORS);
    // Words are for a message only.
    let _ = file
        .seek(io::SeekFrom::Start(from))
        .and_then(|_| file.take(SHOWN_ERRORS).read_to_end(&mut text));
    last_lines(&text)
}

/// Why reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// As much as was wanted is there.
    Enough,
    /// There is no more.
    Ended,
    /// The time is over.
    TooSlow,
}

/// A process in a group of its own, which goes with it.
struct Process {
    child: Child,
    stdout: ChildStdout,
    output: Vec<u8>,
    gone: bool,
}

impl Process {
    fn spawn(mut command: Command, stdin: File, stderr: File) -> io::Result<Self> {
        // As for other guests: Ctrl-C is for snippex alone.
        command.process_group(0);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().expect("piped");
        Ok(Self {
            child,
            stdout,
            output: Vec::new(),
            gone: false,
        })
    }

    /// Reads until `wanted` bytes are there, or there are no more, for `patience` at most while it computes.
    fn read_output(&mut self, patience: Duration, wanted: usize) -> io::Result<Reading> {
        let mut stall = Stall::new(0);
        let mut buffer = [0; 4096];
        while self.output.len() < wanted {
            if stall.has_hung(0, self.child.id(), patience) {
                self.kill();
                return Ok(Reading::TooSlow);
            }
            let mut wait = [PollFd::new(&self.stdout, PollFlags::IN)];
            match poll(&mut wait, Some(&TICK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            // What is wanted first is not read beyond.
            let most = buffer.len().min(wanted - self.output.len());
            match self.stdout.read(&mut buffer[..most]) {
                Ok(0) => return Ok(Reading::Ended),
                Ok(count) => self.output.extend(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            let excess = self.output.len().saturating_sub(KEPT_OUTPUT);
            self.output.drain(..excess);
        }
        Ok(Reading::Enough)
    }

    /// How it ended, which it is about to do.
    fn wait(&mut self) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + LEAVING;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                self.gone = true;
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.kill();
        self.child.wait()
    }

    fn kill(&mut self) {
        if self.gone {
            return;
        }
        kill_with_group(&mut self.child);
        self.gone = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn word_at(bytes: &[u8], place: u32) -> u32 {
    let place = place as usize;
    let word = bytes.get(place..place + 4).and_then(|word| word.try_into().ok());
    u32::from_le_bytes(word.unwrap_or_default())
}

/// The end that is last in `output`, and the byte at EIP behind it.
fn find_end(output: &[u8]) -> Option<(&[u8], Option<u8>)> {
    let size = layout::END_SIZE as usize;
    let at = |behind: usize| {
        let start = output.len().checked_sub(size + behind)?;
        let end = &output[start..start + size];
        (word_at(end, 0) == layout::END_MAGIC).then(|| (end, output.get(start + size).copied()))
    };
    at(1).or_else(|| at(0))
}

/// The end that the runner has written as `end`.
fn read_end(end: &[u8], at_eip: Option<u8>, has_avx: bool) -> ProgramEnd {
    let context = |place: u32| word_at(end, layout::END_CONTEXT + place);
    let information = |place: u32| word_at(end, layout::END_SIGINFO + place);
    let mut state = MachineState::default();
    for (value, place) in state.gpr.iter_mut().zip(layout::CONTEXT_REGISTERS) {
        *value = u64::from(context(place));
    }
    state.rflags = u64::from(context(layout::CONTEXT_EFLAGS));
    let (image, upper) = floating_point_state(end);
    state.x87 = X87State {
        control: word_at(image, 0) as u16,
        status: (word_at(image, 0) >> 16) as u16,
        tags: image[4],
        st: std::array::from_fn(|register| std::array::from_fn(|byte| image[32 + 16 * register + byte])),
    };
    state.mxcsr = word_at(image, 24);
    for (register, vector) in state.vectors[..8].iter_mut().enumerate() {
        vector[..16].copy_from_slice(&image[160 + 16 * register..][..16]);
        vector[16..32].copy_from_slice(&upper[register]);
    }
    let mut covered = Components::GENERAL.union(Components::X87).union(Components::SSE);
    if has_avx {
        covered = covered.union(Components::AVX);
    }
    ProgramEnd {
        endpoint: Endpoint::Signal(Signal {
            number: word_at(end, layout::END_SIGNAL) as u8,
            code: information(8).cast_signed(),
            rip: u64::from(context(layout::CONTEXT_EIP)),
            address: u64::from(information(12)),
            // Bit 1 of a page fault's error code.
            write: context(layout::CONTEXT_ERROR) & 2 != 0,
        }),
        at_rip: at_eip,
        state,
        covered,
    }
}

/// The FXSAVE image, and the upper halves of YMM0 to 7.
fn floating_point_state(end: &[u8]) -> (&[u8], [[u8; 16]; 8]) {
    let part = |place: u32, size: u32| &end[place as usize..][..size as usize];
    let halves = |place: u32, distance: usize| -> [[u8; 16]; 8] {
        let bytes = &end[place as usize..];
        std::array::from_fn(|register| std::array::from_fn(|byte| bytes[register * distance + byte]))
    };
    let live = (
        part(layout::END_FXSAVE, layout::FXSAVE_SIZE),
        halves(layout::END_YMM + 16, 32),
    );
    let frame = layout::END_FRAME;
    let image = frame + layout::FRAME_FXSAVE;
    let has_image = word_at(end, layout::END_HAS_FRAME) != 0
        && word_at(end, frame + FRAME_MAGIC) as u16 == 0
        && word_at(end, image + MXCSR_MASK) != 0;
    if !has_image {
        return live;
    }
    let has_upper = word_at(end, image + SOFTWARE_MAGIC) == XSTATE_MAGIC
        && word_at(end, image + SOFTWARE_FEATURES) & YMM_UPPER != 0;
    let upper = if !has_upper {
        live.1
    } else if word_at(end, frame + layout::FRAME_XSAVE) & YMM_UPPER == 0 {
        // As at the start: XSAVE need not write what is zero.
        [[0; 16]; 8]
    } else {
        halves(frame + layout::FRAME_XSAVE + 64, 16)
    };
    (part(image, layout::FXSAVE_SIZE), upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: &mut [u8], place: u32, value: u32) {
        bytes[place as usize..][..4].copy_from_slice(&value.to_le_bytes());
    }

    /// An end that says 1 in the handler, and `frame` in the frame.
    fn end(frame: &[(u32, u32)]) -> Vec<u8> {
        let mut end = vec![0; layout::END_SIZE as usize];
        put(&mut end, 0, layout::END_MAGIC);
        put(&mut end, layout::END_FXSAVE + 160, 1);
        put(&mut end, layout::END_YMM + 16, 1);
        for (place, value) in frame {
            put(&mut end, *place, *value);
        }
        end
    }

    #[test]
    fn the_frame_counts_as_far_as_it_goes() {
        let image = layout::END_FRAME + layout::FRAME_FXSAVE;
        let has_frame = (layout::END_HAS_FRAME, 1);
        let in_image = (image + 160, 2);
        let mask = (image + MXCSR_MASK, 0xffff);
        let has_upper = [
            (image + SOFTWARE_MAGIC, XSTATE_MAGIC),
            (image + SOFTWARE_FEATURES, 7),
        ];
        let bits = (layout::END_FRAME + layout::FRAME_XSAVE, 7);
        let upper = (layout::END_FRAME + layout::FRAME_XSAVE + 64, 3);
        // FSAVE alone.
        let no_image = (layout::END_FRAME + FRAME_MAGIC - 2, 0xffff_0000);
        let all = [&[has_frame, in_image, mask, bits, upper], &has_upper[..]].concat();
        for (frame, xmm, ymm) in [
            (vec![], 1, 1),
            (vec![in_image], 1, 1),
            (vec![has_frame, in_image, mask, no_image], 1, 1),
            (vec![has_frame, in_image], 1, 1),
            (vec![has_frame, in_image, mask, upper], 2, 1),
            (
                [&[has_frame, in_image, mask, upper], &has_upper[..]].concat(),
                2,
                0,
            ),
            (all, 2, 3),
        ] {
            let state = read_end(&end(&frame), None, true).state;
            assert_eq!(
                (state.vectors[0][0], state.vectors[0][16]),
                (xmm, ymm),
                "{frame:?}"
            );
        }
    }

    #[test]
    fn an_end_is_found_behind_what_the_program_has_written() {
        let end = end(&[]);
        let with = |before: &[u8], after: &[u8]| [before, &end, after].concat();
        assert_eq!(find_end(&with(b"hello", &[0xf4])).unwrap().1, Some(0xf4));
        assert_eq!(find_end(&with(b"", b"")).unwrap().1, None);
        assert_eq!(find_end(&end[1..]), None);
        assert_eq!(find_end(&with(b"", b"more")), None);
    }
}
