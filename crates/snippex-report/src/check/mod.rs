//! What a check found: plain data that whoever ran the check fills in, for people ([`render_check_summary`]) and programs (serde).
//!
//! An answer for programs has an object for each block with divergences ([`BlockOutcome`]) and one that sums up
//! ([`CheckSummary`]); [`build_check_document`] makes one document of them. Nothing is counted here.

mod text;

use std::collections::BTreeMap;

use serde::Serialize;
use snippex_blocks::generate::Coverage;
use snippex_core::diff::Difference;
use snippex_triage::cause::CauseId;
use snippex_triage::signature::SignatureId;

use crate::bugs::BugView;
use crate::cache::CacheUseView;
use crate::coverage;
use crate::engine::EngineView;
use crate::selection::SelectionView;

pub use text::render_check_summary;

/// A block with divergences, for programs.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "block")]
pub struct BlockOutcome<'a> {
    /// Its number in the database.
    pub block: i64,
    /// Name of the binary that it is of.
    pub binary: &'a str,
    /// Address in the file, as `0x401000`.
    pub address: String,
    /// Hexadecimal.
    pub bytes: String,
    /// How it was found; `sweep` may be data.
    pub origin: String,
    /// Start states that it was run with.
    pub runs: u64,
    /// Those of them that diverge.
    pub diverged: u64,
    /// One for each way in which it diverges.
    pub findings: Vec<FindingView<'a>>,
}

/// One way in which a block diverges.
#[derive(Debug, Serialize)]
pub struct FindingView<'a> {
    /// What kind of divergence it is.
    pub kind: String,
    /// Form of the instruction at which the engines part.
    pub instruction: Option<&'a str>,
    /// The first start state that shows it, from 0.
    pub state: usize,
    /// Content address of the case.
    pub case: String,
    /// Runs of the block that diverge alike.
    pub runs: u64,
    /// What differs in that case.
    pub differences: &'a [Difference],
    /// The bugs that it comes from, each once.
    pub bugs: Vec<&'a CauseId>,
    /// The signatures in which they show, each once.
    pub signatures: Vec<SignatureId>,
}

/// Divergences of one kind, put down to one instruction.
#[derive(Clone, Debug, Serialize)]
pub struct GroupView {
    /// What kind of divergence it is.
    pub kind: String,
    /// Mnemonic and operand kinds of the instruction at which the engines part.
    pub instruction: Option<String>,
    /// Runs that diverge so.
    pub runs: u64,
    /// Blocks with such runs.
    pub blocks: u64,
    /// One of them.
    pub example: GroupExample,
}

/// One divergence of a group: that of the lowest block and state.
#[derive(Clone, Debug, Serialize)]
pub struct GroupExample {
    /// Its number in the database.
    pub divergence: Option<i64>,
    /// Number of the block.
    pub block: i64,
    /// Number of the start state, from 0.
    pub state: u32,
    /// Its first difference in words.
    pub what: String,
}

/// The last object of an answer for programs, and all that the text for people says.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "summary")]
pub struct CheckSummary {
    /// Number of the run in the database.
    pub run: i64,
    /// Whether every block was done.
    pub complete: bool,
    /// Runs in all.
    pub runs: u64,
    /// Seconds that blocks were run for.
    pub elapsed_s: f64,
    /// Runs in a second.
    pub runs_per_second: f64,
    /// Runs that reached the terminator on the reference.
    pub completed: u64,
    /// Runs that ended in a signal there.
    pub faulted: u64,
    /// Runs in which every defined bit agrees.
    pub matched: u64,
    /// Runs in which not.
    pub diverged: u64,
    /// Runs of which nothing can be said.
    pub inconclusive: u64,
    /// Runs that an engine does not support.
    pub unsupported: u64,
    /// The reference first, the subject last.
    pub engines: Vec<EngineView>,
    /// Blocks that were run.
    pub blocks: u64,
    /// Blocks with a divergence.
    pub diverging_blocks: u64,
    /// Those of them that linear sweep found: they may be data.
    pub diverging_swept_blocks: u64,
    /// Blocks that cannot be run, by reason.
    pub blocks_not_run: BTreeMap<String, u64>,
    /// Groups of divergences, those with the most blocks first.
    pub divergences: Vec<GroupView>,
    /// Blocks and runs by kind of divergence; programs find them in the groups.
    #[serde(skip)]
    pub kinds: BTreeMap<String, (u64, u64)>,
    /// Bugs that the run has met, the most frequent first; known ones say so.
    pub bugs: Vec<BugView>,
    /// Runs without a verdict, by reason.
    pub inconclusive_by_reason: BTreeMap<String, u64>,
    /// Runs that were not done, by reason.
    pub unsupported_by_reason: BTreeMap<String, u64>,
    /// Matches in which bits were passed over that the manuals leave open, by rule.
    pub excused_by_rule: BTreeMap<&'static str, u64>,
    /// What start states and memory follow from.
    pub seed: u64,
    /// Start states for each block.
    pub states: u32,
    /// Threads, each with engines of its own.
    pub threads: u32,
    /// Part of the work, as `2/8`.
    pub partition: Option<String>,
    /// Paths of the programs, or the requests that blocks were made of.
    pub binaries: Vec<String>,
    /// Why blocks were chosen, by the binary that they are of; empty unless that was asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub selection: BTreeMap<String, SelectionView>,
    /// Which instruction forms generated blocks reached; none of a program's blocks.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "coverage::serialize_coverage"
    )]
    pub coverage: Option<Coverage>,
    /// What the cache did; nothing without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheUseView>,
}

/// One document of blocks that diverge, in the order of their numbers, and the summary.
#[must_use]
pub fn build_check_document(mut blocks: Vec<serde_json::Value>, summary: &CheckSummary) -> serde_json::Value {
    blocks.sort_by_key(|block| block["block"].as_i64());
    serde_json::json!({"blocks": blocks, "summary": summary})
}
