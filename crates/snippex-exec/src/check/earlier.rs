//! What an earlier check found out about blocks that diverge, so that a finding need not be found, repeated alone and put down
//! to an instruction a second time.
//!
//! No finding is made of what is remembered: the diverging cases, one a finding, are run again, and only what differs
//! exactly as it did then is reported. All 64 runs, fresh processes and the search for the culprit are left out, as the earlier check
//! did that with the same engines. A block of which one case ends otherwise goes the whole way.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use snippex_core::block::Block;
use snippex_core::case::PageAccess;
use snippex_core::diff::{Class, Comparison, Difference, Divergence, compare_with};
use snippex_core::effects::BlockEffects;
use snippex_core::group::Group;
use snippex_triage::cause::Attribution;

use super::{BlockReport, Finding, Worker};
use crate::batch::split_into_batches;
use crate::engine::EngineError;
use crate::reduce::Trial;
use crate::results::{Results, RunOutcome};

/// Names what differs in a case, values included.
pub type DifferencesDigest = [u8; 16];

/// A report of an earlier check with the same engines, seed and settings, whose findings are not believed until they show
/// again.
#[derive(Clone, Debug)]
pub struct EarlierReport {
    /// The counts, sightings and pages; findings and bugs are empty.
    pub counts: BlockReport,
    /// What was confirmed; never empty.
    pub findings: Vec<EarlierFinding>,
}

/// What an earlier check knows of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierFinding {
    /// Number of the start state, 0-based.
    pub start: usize,
    /// Runs of the block that diverge like it.
    pub runs: u64,
    /// [`digest_of_differences`] of its case.
    pub differences: DifferencesDigest,
    /// Where the engines part.
    pub class: Class,
    /// What is behind it.
    pub attributions: Vec<Attribution>,
}

/// The digest by which differences are known again: every field, with both values and the bits that count.
#[must_use]
pub fn digest_of_differences(differences: &[Difference]) -> DifferencesDigest {
    let text = format!("{differences:?}");
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    *digest
        .first_chunk()
        .expect("a digest is longer than its beginning")
}

impl Worker<'_> {
    /// The reports on those of `blocks` whose divergences show again as an earlier check found them; `indices` says which blocks
    /// of the check they are.
    pub(super) fn confirm_earlier(
        &mut self,
        indices: &[usize],
        blocks: &[Arc<Block>],
    ) -> Result<BTreeMap<usize, BlockReport>, EngineError> {
        let options = self.options;
        let known: Vec<(usize, &EarlierReport, Group)> = indices
            .iter()
            .zip(blocks)
            .filter_map(|(&index, block)| {
                let earlier = options.earlier.get(&index)?;
                let group = self.group_of_findings(block, &earlier.counts.pages, &earlier.findings)?;
                Some((index, earlier, group))
            })
            .collect();
        let groups: Vec<Group> = known.iter().map(|(_, _, group)| group.clone()).collect();
        let mut reports = BTreeMap::new();
        for range in split_into_batches(&groups) {
            let batch = &groups[range.clone()];
            let expected = self.reference.run(batch)?;
            let actual = self.subject.run_expecting(batch, &expected)?;
            for (position, (index, earlier, group)) in known[range].iter().enumerate() {
                let seen = findings_again(earlier, group, position, (&expected, &actual), options);
                if let Some(findings) = seen {
                    reports.insert(*index, (*earlier, findings));
                }
            }
        }
        let reports = reports.into_iter().map(|(index, (earlier, findings))| {
            let mut report = BlockReport {
                index,
                ..earlier.counts.clone()
            };
            for finding in findings {
                self.take_earlier(&mut report, finding)?;
            }
            Ok((index, report))
        });
        reports.collect()
    }

    /// The diverging cases of a block as the earlier check had them; `None` when there are not so many start states.
    fn group_of_findings(
        &mut self,
        block: &Arc<Block>,
        pages: &[(u64, PageAccess)],
        findings: &[EarlierFinding],
    ) -> Option<Group> {
        let mut group = self.maker.make_group_again(block, pages);
        let starts = findings
            .iter()
            .map(|finding| group.starts.get(finding.start).copied());
        group.starts = starts.collect::<Option<_>>()?;
        Some(group)
    }

    /// Adds a finding that showed again, and reduces what is not known yet, as for one that is new.
    fn take_earlier(&mut self, report: &mut BlockReport, finding: Finding) -> Result<(), EngineError> {
        let trial = Trial::new(
            self.reference.as_mut(),
            self.subject.as_mut(),
            &self.options.tolerance,
        );
        let attributions = &finding.attributions;
        let new = self
            .reduction_queue
            .add_finding(report.index, &finding, None, attributions, trial)?;
        self.confirmations.add_finding(attributions);
        report.bugs.extend(new);
        report.findings.push(finding);
        Ok(())
    }
}

/// The findings of `earlier` as they show in the runs of `group`, one a start; `None` unless all do.
fn findings_again(
    earlier: &EarlierReport,
    group: &Group,
    position: usize,
    (expected, actual): (&Results<'_>, &Results<'_>),
    options: &super::CheckOptions,
) -> Option<Vec<Finding>> {
    let covered = expected.components().intersection(actual.components());
    let effects = BlockEffects::new(&group.block);
    let again = earlier.findings.iter().enumerate().map(|(run, known)| {
        let (RunOutcome::Ran(a), RunOutcome::Ran(b)) =
            (expected.outcome(position, run), actual.outcome(position, run))
        else {
            return None;
        };
        let case = group.case_at(run);
        let Comparison::Diverged(divergence) =
            compare_with(&effects, &case, &a, &b, covered, &options.tolerance)
        else {
            return None;
        };
        (digest_of_differences(&divergence.differences) == known.differences).then(|| Finding {
            start: known.start,
            case,
            expected: *a,
            actual: *b,
            divergence: Divergence {
                class: known.class.clone(),
                ..divergence
            },
            runs: known.runs,
            attributions: known.attributions.clone(),
        })
    });
    again.collect()
}
