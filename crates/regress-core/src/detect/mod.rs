//! From statistics to judgements: did it change, when, by how much, and how sure is that?
//!
//! Three questions, three families, all over plain values (one per process run):
//! - this commit against that one: [`two_sample`], judged by [`judge_pairs`], confirmed by a [`second_round`];
//! - this run against the history: [`rolling`] limits, the [`gate`] with confirming runs, judged by [`judge_history()`];
//!   [`creep`] against an older anchor;
//! - the history alone: [`change_points()`], [`divisive`], [`season`], and [`machine_shift`] across the benchmarks of a
//!   machine.
//!
//! [`threshold`] says which change matters for which benchmark, [`verdict`] holds the outcome. Nothing here knows a
//! tool's format, a file, or the time.

pub mod change_points;
mod common_noise;
pub mod creep;
pub mod divisive;
pub mod gate;
pub mod judge;
pub mod judge_history;
pub mod kernel;
pub mod machine_shift;
mod outcome;
pub mod rolling;
pub mod season;
pub mod second_round;
pub mod suite_survey;
pub mod threshold;
pub mod two_sample;
pub mod verdict;

pub use change_points::{ChangePoint, ChangePointSettings, change_points};
pub use common_noise::RunPlaces;
pub use gate::{Gate, GateSettings, GateState};
pub use judge::{Pair, judge_pairs};
pub use judge_history::{PastRuns, judge_history, judge_history_aligned, judge_history_with};
pub use machine_shift::{Evidence, SuiteShift};
pub use outcome::{Outcome, UnknownOutcome};
pub use second_round::SecondRound;
pub use suite_survey::{SuiteSurvey, SurveyedSuite};
pub use threshold::{AbsoluteLimit, Rule, RuleError, Threshold, Thresholds};
pub use two_sample::{TwoSample, compare_samples};
pub use verdict::{RunVerdict, Verdict, VerdictKind};
