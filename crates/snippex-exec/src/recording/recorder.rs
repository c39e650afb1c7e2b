//! Fills a recording: blocks are run on the engine batch by batch, and packed where they were run.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use snippex_blocks::binary::Image;
use snippex_core::block::Block;
use snippex_core::codec::{self, FrameKind, GroupHasher, GroupId};
use snippex_core::group::Group;

use super::RecordingError;
use super::container::{About, PackedBatch, RecordedBlock, RecordingId, Writer, compress_bytes};
use super::end::End;
use super::ends::pack_ends;
use super::streams::{Joined, Places, Streams};
use crate::affinity;
use crate::batch::split_into_batches;
use crate::check::EngineFactory;
use crate::discovery::CaseMaker;
use crate::engine::{Engine, EngineError};
use crate::memory_source::MemorySource;
use crate::results::{Results, ResultsKind, UnsupportedWire, changed_lines};

/// Blocks in a batch: as many as a check runs at a time, so that a replay unpacks each batch once.
const BATCH: usize = 32;
/// Batches that wait to be written.
const WAITING: usize = 16;

/// What is recorded, and how.
pub struct Recorder<'r> {
    /// Engine, source, seed and number of states.
    pub about: &'r About,
    /// The program that the blocks are of, and the bytes of its file.
    pub program: Option<(&'r Image<'r>, &'r [u8])>,
    /// Makes the engine.
    pub engine: &'r EngineFactory<'r>,
    /// Threads, each with its own engine processes.
    pub threads: usize,
    /// Hears of each batch: how many runs it had.
    pub progress: &'r (dyn Fn(u64) + Sync),
    /// Once set, what was recorded so far is the recording.
    pub cancel: &'r AtomicBool,
}

impl std::fmt::Debug for Recorder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("about", self.about)
            .finish_non_exhaustive()
    }
}

/// What was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Content address of the recording.
    pub id: RecordingId,
    /// Bytes written.
    pub bytes: u64,
    /// Blocks in it.
    pub blocks: u64,
    /// Their runs.
    pub runs: u64,
}

impl Recorder<'_> {
    /// Runs `blocks`, and writes how they ended to `file`. The bytes are the same however many threads there are.
    ///
    /// # Errors
    /// When the engine cannot be used or recorded, or the file not be written.
    pub fn record<W: Write>(&self, blocks: &[Arc<Block>], file: W) -> Result<(W, Recorded), RecordingError> {
        let mut writer = Writer::new(file, self.about, self.program.map(|(_, bytes)| bytes))?;
        let batches = blocks.len().div_ceil(BATCH);
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let count = self.threads.max(1).min(batches.max(1));
        let places = affinity::one_each(count);
        let (sender, receiver) = sync_channel(WAITING);
        let mut recorded = 0;
        std::thread::scope(|scope| -> Result<(), RecordingError> {
            let threads: Vec<_> = (0..count)
                .map(|thread| {
                    let place = places.as_ref().map(|places| places[thread]);
                    let (sender, next, failed) = (sender.clone(), &next, &failed);
                    scope.spawn(move || {
                        if let Some(place) = place {
                            affinity::stay_on(&place);
                        }
                        let done = self.work(blocks, batches, next, failed, &sender);
                        if done.is_err() {
                            failed.store(true, Ordering::Relaxed);
                        }
                        done
                    })
                })
                .collect();
            drop(sender);
            let mut early = BTreeMap::new();
            let mut expected = 0;
            let mut written = Ok(());
            for (batch, packed, count) in receiver {
                early.insert(batch, (packed, count));
                while let (Some((packed, count)), Ok(())) = (early.remove(&expected), &written) {
                    written = writer.add_batch(&packed);
                    expected += 1;
                    recorded += count;
                    (self.progress)(count * u64::from(self.about.states));
                }
                if written.is_err() {
                    failed.store(true, Ordering::Relaxed);
                    break;
                }
            }
            let worked = threads.into_iter().map(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            let worked: Vec<_> = worked.collect();
            written.and(worked.into_iter().collect())
        })?;
        let (file, id, bytes) = writer.finish()?;
        let runs = recorded * u64::from(self.about.states);
        let recorded = Recorded {
            id,
            bytes,
            blocks: recorded,
            runs,
        };
        Ok((file, recorded))
    }

    fn work(
        &self,
        blocks: &[Arc<Block>],
        batches: usize,
        next: &AtomicUsize,
        failed: &AtomicBool,
        sender: &std::sync::mpsc::SyncSender<(usize, PackedBatch, u64)>,
    ) -> Result<(), RecordingError> {
        let about = self.about;
        let source = MemorySource::new(self.program.map(|(image, _)| image), about.placement, about.seed);
        let maker = CaseMaker::new(source, about.placement, about.seed, about.states as usize);
        let mut worker = Worker {
            maker: maker.in_style(about.style()),
            engine: (self.engine)()?,
            hasher: GroupHasher::default(),
        };
        loop {
            if self.cancel.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let batch = next.fetch_add(1, Ordering::Relaxed);
            if batch >= batches {
                return Ok(());
            }
            // As a check divides them.
            let indices: Vec<usize> = (batch..blocks.len()).step_by(batches).collect();
            let chosen: Vec<Arc<Block>> = indices.iter().map(|&index| Arc::clone(&blocks[index])).collect();
            let packed = worker.batch(&indices, &chosen)?;
            if sender.send((batch, packed, chosen.len() as u64)).is_err() {
                return Ok(());
            }
        }
    }
}

struct Worker<'w> {
    maker: CaseMaker<'w>,
    engine: Box<dyn Engine>,
    hasher: GroupHasher,
}

impl Worker<'_> {
    fn batch(&mut self, indices: &[usize], blocks: &[Arc<Block>]) -> Result<PackedBatch, RecordingError> {
        let groups = self.maker.make_groups(blocks, self.engine.as_mut())?;
        let name = self.engine.identity().name.clone();
        let mut recorded = Vec::with_capacity(groups.len());
        let mut streams = Streams::default();
        let mut places: Vec<Places> = Vec::with_capacity(groups.len());
        for range in split_into_batches(&groups) {
            let batch = &groups[range.clone()];
            let results = self.engine.run(batch)?;
            for (position, group) in batch.iter().enumerate() {
                let unsupported = results.unsupported[position]
                    .as_ref()
                    .map(UnsupportedWire::from_reason);
                if unsupported.is_none() {
                    let ends = ends(&results, position, group)
                        .ok_or_else(|| RecordingError::NoProcesses(name.clone()))?;
                    pack_ends(group, &ends, results.components, &mut streams);
                }
                places.push(streams.end_positions());
                let GroupId(id) = self.hasher.hash_group(group);
                recorded.push(RecordedBlock {
                    place: indices[range.start + position] as u64,
                    block: (*group.block).clone(),
                    group: *id.first_chunk().expect("an id has 32 bytes"),
                    pages: group
                        .pages
                        .iter()
                        .map(|page| (page.address, page.access))
                        .collect(),
                    unsupported,
                });
            }
        }
        Ok(PackedBatch {
            blocks: compress_bytes(&codec::encode_value(FrameKind::Recording, &recorded))?,
            ends: compress_bytes(&Joined::encode_streams(&streams, &places))?,
        })
    }
}

/// How all runs of a group ended, `None` of an engine that has computed that.
fn ends(results: &Results<'_>, position: usize, group: &Group) -> Option<Vec<End>> {
    let ResultsKind::Raw {
        blocks,
        ends,
        lines,
        parked,
    } = &results.kind
    else {
        return None;
    };
    let first = blocks[position].first_run as usize;
    let canonical = |run: usize| {
        let end = ends.get(first + run);
        let page = end.output.fault.address & !(snippex_core::case::PAGE - 1);
        let lines = changed_lines(end.output, lines);
        End::from_end_state(
            group,
            run,
            end,
            lines,
            parked.contains_page(page),
            results.components,
        )
    };
    Some((0..group.starts.len()).map(canonical).collect())
}

impl From<RecordingError> for EngineError {
    fn from(error: RecordingError) -> Self {
        match error {
            RecordingError::Engine(error) => *error,
            error => Self::Recording(Box::new(error)),
        }
    }
}
