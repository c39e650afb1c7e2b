//! Recordings: blocks of a program or of the instruction set with how the reference ended them, in one file.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use snippex_blocks::extract::extract_blocks;
use snippex_blocks::select::select_blocks;
use snippex_core::block::Block;
use snippex_exec::recording::{About, Recorded, RecordedSource, Recorder, Recording, RecordingError};

use crate::{BinaryFile, BlockSource, EngineChoice, Generated, SessionError, TargetChoice};

/// What is recorded.
#[derive(Debug)]
pub enum RecordedAs<'r> {
    /// The chosen blocks of a program.
    Program(&'r BinaryFile, &'r TargetChoice),
    /// Generated blocks.
    Generated(Generated),
}

/// How it is recorded.
pub struct RecordOptions<'r> {
    /// Source of all start states and made-up memory.
    pub seed: u64,
    /// Start states for each block.
    pub states: u32,
    /// Threads, each with engines of its own.
    pub threads: u32,
    /// Hears how many runs there will be, and then of each batch how many it had.
    pub progress: &'r (dyn Fn(RecordProgress) + Sync),
    /// Once set, what was recorded so far is the recording.
    pub stop: &'r AtomicBool,
}

/// How far recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordProgress {
    /// So many runs are to be recorded.
    Expected(u64),
    /// So many more have been.
    Done(u64),
}

impl std::fmt::Debug for RecordOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordOptions")
            .field("seed", &self.seed)
            .field("states", &self.states)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// Opens the recording at `path`.
///
/// # Errors
/// When there is none, or it is damaged.
pub fn open_recording(path: &Path) -> Result<Recording, SessionError> {
    Recording::open(path).map_err(|source| SessionError::Recording {
        path: path.to_owned(),
        source,
    })
}

/// Runs blocks on `engine` and writes how they ended to the file at `path`, which is there in full or not at all. A recording
/// of that name is replaced, at once and only by one that is whole.
///
/// # Errors
/// When the engine cannot be used or recorded, the program not be read, or the file not be written; also when another file is
/// there already.
pub fn record_blocks(
    what: RecordedAs<'_>,
    engine: &EngineChoice,
    options: &RecordOptions<'_>,
    path: &Path,
) -> Result<Recorded, SessionError> {
    let folder = require_place(path).map_err(|source| SessionError::Recording {
        path: path.to_owned(),
        source,
    })?;
    let (source, blocks, file) = match what {
        RecordedAs::Program(file, choice) => {
            let image = file.parse_image()?;
            let index = extract_blocks(&image);
            let chosen = select_blocks(&index, &choice.filter, &choice.request).numbers;
            let blocks: Vec<Block> = chosen.iter().filter_map(|&number| index.get(number)).collect();
            (RecordedSource::Program { name: file.name() }, blocks, Some(file))
        }
        RecordedAs::Generated(generated) => {
            let request = generated.request.source_name();
            (RecordedSource::Generated { request }, generated.blocks, None)
        }
    };
    let blocks: Vec<Arc<Block>> = (blocks.into_iter())
        .filter(|block| block.unrunnable.is_none())
        .map(Arc::new)
        .collect();
    let image = file.map(BinaryFile::parse_image).transpose()?;
    let placement = match (file, &image) {
        (Some(file), Some(image)) => file.placement(image)?,
        _ => BlockSource::generated_as(String::new()).placement(None)?,
    };
    // The first engine says what is recorded, and is the one of the first thread.
    let first = engine.start_engine()?;
    let about = About {
        snippex: env!("CARGO_PKG_VERSION").to_owned(),
        engine: first.identity().clone(),
        source,
        placement,
        seed: options.seed,
        states: options.states,
    };
    let spare = std::sync::Mutex::new(Some(first));
    (options.progress)(RecordProgress::Expected(
        blocks.len() as u64 * u64::from(options.states),
    ));
    let recorder = Recorder {
        about: &about,
        program: image.as_ref().zip(file.map(BinaryFile::bytes)),
        engine: &|| {
            let spare = spare
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .take();
            spare.map_or_else(|| engine.start_engine(), Ok)
        },
        threads: options.threads as usize,
        progress: &|runs| (options.progress)(RecordProgress::Done(runs)),
        cancel: options.stop,
    };
    let failed = |source: RecordingError| SessionError::Recording {
        path: path.to_owned(),
        source,
    };
    let unwritten = |error: io::Error| failed(error.into());
    // What is wrong with the folder is told without the name of a file that nobody knows.
    let temporary = tempfile::Builder::new()
        .prefix(".snippex-recording-")
        .tempfile_in(folder)
        .map_err(|error| unwritten(error.kind().into()))?;
    let (writer, recorded) =
        recorder
            .record(&blocks, BufWriter::new(temporary))
            .map_err(|error| match error {
                RecordingError::Engine(error) => SessionError::Engine(*error),
                error => failed(error),
            })?;
    let mut temporary = writer
        .into_inner()
        .map_err(|error| unwritten(error.into_error()))?;
    temporary.flush().map_err(unwritten)?;
    let kept = temporary.persist(path).map_err(|error| unwritten(error.error))?;
    // Temporary files are for their owner alone; a recording is for whoever may read the folder.
    allow_reading(&kept).map_err(unwritten)?;
    Ok(recorded)
}

/// The folder of a recording, if the file can be made there: nothing but a recording, or an empty file, may be replaced.
fn require_place(path: &Path) -> Result<&Path, RecordingError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() == 0 => {}
        Ok(metadata) if metadata.is_file() => {
            if !Recording::is_at(path) {
                return Err(RecordingError::OtherFile);
            }
        }
        Ok(_) => return Err(RecordingError::OtherFile),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::metadata(folder)?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(folder)
}

fn allow_reading(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

/// What the blocks of a recording come from: its own copy of the program, or the instruction set.
///
/// # Errors
/// When the copy is damaged.
pub(crate) fn source_of_recording(recording: &Recording) -> Result<BlockSource, SessionError> {
    let name = recording.about().source.name();
    let program = recording
        .read_program()
        .map_err(|source| SessionError::Recording {
            path: name.into(),
            source,
        })?;
    Ok(match program {
        Some(bytes) => BlockSource::File(BinaryFile::of_bytes(name, bytes)),
        None => BlockSource::generated_as(name.to_owned()),
    })
}
