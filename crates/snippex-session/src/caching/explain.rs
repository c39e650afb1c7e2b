//! Why the verdict on a block is in the cache, or is not.

use std::collections::BTreeMap;

use snippex_core::block::Block;
use snippex_store::UnixMillis;

use super::context::differing_parts;
use super::{CacheUse, TargetCache, VerdictCache, block_key, bucket, segment};
use crate::{BlockSource, Session, SessionError};

/// What the cache says of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheAnswer {
    /// The verdict is there, and would be taken.
    Hit,
    /// It is there and would be taken, when the cases that diverge do so again.
    Diverging,
    /// It is there, but older than is believed.
    TooOld,
    /// It is there, but the program now holds something else at these run-time addresses of pages.
    MemoryChanged(Vec<u64>),
    /// It is not there: the block was not run so, has changed, or has to be run each time.
    Missing,
    /// Nothing is cached here, for this reason.
    Unusable(String),
}

/// A verdict on the same block that was found out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherContext {
    /// When the oldest of the verdicts that it lies with was found out.
    pub created: UnixMillis,
    /// Names of the parts of the key that differ.
    pub differing: Vec<String>,
}

/// Why a verdict is taken or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What the cache says.
    pub answer: CacheAnswer,
    /// The parts of the key that all blocks of its program share, by name.
    pub parts: BTreeMap<String, String>,
    /// The same block in other surroundings.
    pub others: Vec<OtherContext>,
}

impl VerdictCache {
    /// Says whether a check of `block` of `source` with the engines and options of `session` would find its verdict here.
    ///
    /// # Errors
    /// When the program or the cache cannot be read.
    pub fn explain_block(
        &self,
        session: &Session<'_>,
        source: &BlockSource,
        block: &Block,
    ) -> Result<Explanation, SessionError> {
        let image = source.parse_image()?;
        let placement = source.placement(image.as_ref())?;
        let mut done = CacheUse::default();
        let opened =
            TargetCache::open_for_source(self, session, source, image.as_ref(), placement, &mut done);
        let Some(mut target) = opened else {
            return Ok(Explanation {
                answer: CacheAnswer::Unusable(done.trouble.unwrap_or_default()),
                parts: BTreeMap::new(),
                others: Vec::new(),
            });
        };
        let (key, bucket) = (block_key(block), bucket(block));
        let oldest = self.oldest(UnixMillis::now());
        let mut answer = CacheAnswer::Missing;
        let mut others = Vec::new();
        let own = self.file.find_context(&target.context.digest)?;
        for context in self.file.list_contexts()? {
            for stored in self.file.list_segments(context.id, bucket, bucket)? {
                let entries = segment::decode_segment(&stored.bytes).unwrap_or_default();
                let Some((_, entry)) = entries.into_iter().find(|(found, _)| *found == key) else {
                    continue;
                };
                if own != Some(context.id) {
                    others.push(OtherContext {
                        created: stored.created,
                        differing: differing_parts(&target.context.parts, &context.parts),
                    });
                    continue;
                }
                let changed = entry.pages.iter();
                let changed = changed.filter(|(page, digest)| target.pages.digest(*page) != Some(*digest));
                let changed: Vec<u64> = changed.map(|(page, _)| *page).collect();
                answer = if stored.created < oldest {
                    CacheAnswer::TooOld
                } else if changed.is_empty() && entry.verdict.is_diverging() {
                    CacheAnswer::Diverging
                } else if changed.is_empty() {
                    CacheAnswer::Hit
                } else {
                    CacheAnswer::MemoryChanged(changed)
                };
            }
        }
        Ok(Explanation {
            answer,
            parts: serde_json::from_str(&target.context.parts).expect("a map of strings was written"),
            others,
        })
    }
}
