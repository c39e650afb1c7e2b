//! From two sets of values to a report. The judgement is regress-core's; here its question is put together and its
//! answer is laid beside the history.

mod against_baseline;
mod comparison;

pub(crate) use against_baseline::{compare_with_baseline, confirm_suspects, refuse_without_baseline};
#[cfg(feature = "service")]
pub(crate) use comparison::SeriesValues;
pub(crate) use comparison::{Comparison, ComparisonMode, Judged, conclude_report, side_from_run};
