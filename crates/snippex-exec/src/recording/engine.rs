//! An engine that answers from a recording.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use snippex_core::case::PageAccess;
use snippex_core::codec::{GroupHasher, GroupId};
use snippex_core::group::Group;

use super::container::Recording;
use super::end::End;
use super::streams::Joined;
use super::{RecordingError, container};
use crate::engine::{Engine, EngineError, EngineIdentity};
use crate::lower::lower_block;
use crate::results::{OwnedResults, RawResults, Results, Unsupported};

/// Batches whose ends are kept unpacked.
const KEPT_BATCHES: usize = 64;
/// Groups that single cases are taken from: more than a batch has.
const KEPT_GROUPS: usize = 128;

/// Answers as the engine that was recorded, for the cases that were.
///
/// Of a group it is asked for as a whole, all runs; of a single case, that of one of the groups it was asked for last, which
/// is how findings are repeated. Everything else is [`Unsupported::NotRecorded`].
pub struct RecordedEngine {
    recording: Arc<Recording>,
    identity: EngineIdentity,
    hasher: GroupHasher,
    batches: HashMap<usize, Joined>,
    recent: VecDeque<(usize, Group)>,
    results: Option<OwnedResults>,
}

impl std::fmt::Debug for RecordedEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordedEngine")
            .field("recording", &self.recording)
            .finish_non_exhaustive()
    }
}

impl RecordedEngine {
    /// The engine of `recording`: `native/recorded` for one of `native`.
    #[must_use]
    pub fn new(recording: Arc<Recording>) -> Self {
        Self {
            identity: identity(&recording),
            recording,
            hasher: GroupHasher::default(),
            batches: HashMap::new(),
            recent: VecDeque::new(),
            results: None,
        }
    }

    /// How the runs of `group` ended.
    fn look_up(&mut self, group: &Group) -> Result<Result<Vec<End>, Unsupported>, RecordingError> {
        let missing = Ok(Err(Unsupported::NotRecorded));
        let Some(at) = self.recording.find_block(&group.block) else {
            return missing;
        };
        let GroupId(id) = self.hasher.hash_group(group);
        if id[..16] != self.recording.recorded_block(at).group {
            return match self.kept(at, group) {
                Some((kept, run)) => {
                    let ends = self.unpack(at, &kept)?;
                    Ok(ends.map(|ends| vec![ends[run].clone()]))
                }
                None if group.starts.len() == self.recording.about().states as usize => {
                    Err(RecordingError::OtherCases {
                        address: group.block.address,
                        here: env!("CARGO_PKG_VERSION"),
                        there: self.recording.about().snippex.clone(),
                    })
                }
                None => missing,
            };
        }
        let ends = self.unpack(at, group)?;
        self.recent.push_back((at, group.clone()));
        if self.recent.len() > KEPT_GROUPS {
            self.recent.pop_front();
        }
        Ok(ends)
    }

    /// The group that the single case `group` is one of, and which.
    fn kept(&self, at: usize, group: &Group) -> Option<(Group, usize)> {
        let [start] = &group.starts[..] else {
            return None;
        };
        let vectors = &group.vector_pool[start.vectors as usize];
        let of_block = self.recent.iter().rev().filter(|(kept, _)| *kept == at);
        let mut same =
            of_block.filter(|(_, kept)| kept.placement == group.placement && kept.pages == group.pages);
        same.find_map(|(_, kept)| {
            let run = kept.starts.iter().position(|known| {
                (known.gpr, known.rflags, known.fs_base, known.gs_base)
                    == (start.gpr, start.rflags, start.fs_base, start.gs_base)
                    && kept.vector_pool[known.vectors as usize] == *vectors
            })?;
            Some((kept.clone(), run))
        })
    }

    fn unpack(&mut self, at: usize, group: &Group) -> Result<Result<Vec<End>, Unsupported>, RecordingError> {
        if let Some(reason) = &self.recording.recorded_block(at).unsupported {
            let read = reason.decode_reason(group);
            return Ok(Err(read.map_err(|_| {
                RecordingError::Invalid("a block was left out for no reason that is known")
            })?));
        }
        let batch = self.recording.batch_of(at);
        if !self.batches.contains_key(&batch) {
            if self.batches.len() >= KEPT_BATCHES {
                self.batches.clear();
            }
            self.batches.insert(batch, self.recording.read_batch_ends(batch)?);
        }
        self.recording
            .read_block_ends(at, &self.batches[&batch], group)
            .map(Ok)
    }

    fn answer(&mut self, groups: &[Group]) -> Result<OwnedResults, RecordingError> {
        let mut raw = RawResults::default();
        let mut lowered = Vec::with_capacity(groups.len());
        let mut unsupported = Vec::with_capacity(groups.len());
        for group in groups {
            let made = lower_block(&group.block, group.placement);
            let ends = match &made {
                Ok(_) => self.look_up(group)?,
                Err(error) => Err(Unsupported::Block(*error)),
            };
            let (ends, reason) = match ends {
                Ok(ends) => (ends, None),
                Err(reason) => (Vec::new(), Some(reason)),
            };
            raw.push_group(
                ends.iter()
                    .map(|end| (end.output, end.vectors.as_deref(), &end.lines[..])),
            );
            lowered.push(made.ok().filter(|_| reason.is_none()));
            unsupported.push(reason);
        }
        Ok(OwnedResults::of_raw(
            lowered,
            unsupported,
            self.identity.components,
            raw,
        ))
    }
}

/// The engine as results name it.
fn identity(recording: &Recording) -> EngineIdentity {
    let container::About { engine, .. } = recording.about();
    let mut identity = engine.clone();
    if !identity.name.ends_with("/recorded") {
        identity.name += "/recorded";
    }
    identity
        .configuration
        .push(format!("recording {}", recording.id()));
    identity
}

impl Engine for RecordedEngine {
    fn identity(&self) -> &EngineIdentity {
        &self.identity
    }

    fn run<'e>(&'e mut self, groups: &'e [Group]) -> Result<Results<'e>, EngineError> {
        let results = self.answer(groups)?;
        Ok(self.results.insert(results).view(groups)?)
    }

    fn remembered_pages(&mut self, draft: &Group) -> Option<Vec<(u64, PageAccess)>> {
        let at = self.recording.find_block(&draft.block)?;
        Some(self.recording.recorded_block(at).pages.clone())
    }

    fn restart(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}
