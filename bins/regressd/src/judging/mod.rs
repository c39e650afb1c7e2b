//! From a stored run to its verdicts.
//!
//! ```text
//! run --load--> judging input --judge (regress-core)--> verdicts --save--> judgement, rejections, jobs that tell people
//! ```
//!
//! The history of a run is what its target branch measured before it: the last runs that were judged, without values
//! that regressed and that nobody accepted, since the last accepted shift. A run that is being judged is never part
//! of it, nor is any other run of its commit.

mod commit_parts;
mod evidence;
mod judge;
mod judging_batch;
mod judging_input;
mod lasting;
mod load;
mod report;
mod save;
mod stored;
mod verdicts;

pub use commit_parts::load_commit_parts;
pub use judge::judge_input;
pub use judging_batch::JudgingBatch;
pub use judging_input::{BaseCommit, JudgingInput};
pub use lasting::{find_persistent_regressions, find_recovered_regressions};
pub use load::{Histories, JudgingCandidate, load_baseline_input};
pub use report::{JudgedPart, build_commit_report};
pub use save::Consequences;
pub use stored::{Judged, judge_candidate, judge_stored, load_judging_input};
pub use verdicts::{PercentInterval, RegressionResult, RunVerdicts, StoredVerdict};
