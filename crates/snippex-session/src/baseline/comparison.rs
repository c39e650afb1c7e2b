//! What a check says against what was expected.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::{Approved, BlockVerdict, ContentKey, ObservedVerdicts, Section};

/// How a block differs from what was expected of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It passed and fails now.
    Regressed,
    /// It failed and fails by other causes now.
    OtherCause,
    /// It was not there, and fails by a cause that no block of the baseline shows.
    NewBug,
    /// It failed and passes now.
    Fixed,
    /// It is one of those above, and that is accepted.
    Accepted,
}

/// A block that differs from what was expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaselineChange {
    /// How.
    pub kind: ChangeKind,
    /// The block.
    pub block: ContentKey,
    /// Causes that were recorded.
    pub before: BTreeSet<String>,
    /// Causes that show now.
    pub now: BTreeSet<String>,
    /// Approvals that would have held, but are over.
    pub expired: Vec<String>,
}

/// A check against a section of a baseline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaselineComparison {
    /// Blocks that differ, the worst first.
    pub changes: Vec<BaselineChange>,
    /// Blocks that are as expected.
    pub stable: u64,
    /// Blocks of which nothing is recorded; those that bring a new bug are changes as well.
    pub new: u64,
    /// Blocks that are recorded and were not met.
    pub gone: u64,
    /// Approvals that nothing needs, or that are over.
    pub idle_approvals: Vec<String>,
}

impl BaselineComparison {
    /// Compares what was observed with what is expected on that day.
    #[must_use]
    pub fn from_observed(section: &Section, observed: &ObservedVerdicts, today: Date) -> Self {
        let mut comparison = Self::default();
        let mut needed: BTreeSet<&Approved> = BTreeSet::new();
        let recorded: BTreeSet<&String> = section.verdicts.values().flat_map(causes).collect();
        for (&block, verdict) in &observed.verdicts {
            let expected = section.verdicts.get(&block);
            comparison.new += u64::from(expected.is_none());
            let now: BTreeSet<String> = causes(verdict).cloned().collect();
            let before: BTreeSet<String> = expected.into_iter().flat_map(causes).cloned().collect();
            let kind = match (expected, verdict) {
                (None, BlockVerdict::Fail(causes))
                    if causes.is_empty() || causes.iter().any(|cause| !recorded.contains(cause)) =>
                {
                    ChangeKind::NewBug
                }
                (None, _) => continue,
                (Some(BlockVerdict::Fail(_)), BlockVerdict::Fail(_)) if before != now => {
                    ChangeKind::OtherCause
                }
                (Some(BlockVerdict::Pass | BlockVerdict::Open), BlockVerdict::Fail(_)) => {
                    ChangeKind::Regressed
                }
                (Some(BlockVerdict::Fail(_)), BlockVerdict::Pass) => ChangeKind::Fixed,
                _ => {
                    comparison.stable += 1;
                    continue;
                }
            };
            let mut change = BaselineChange {
                kind,
                block,
                before,
                now,
                expired: Vec::new(),
            };
            if kind != ChangeKind::Fixed {
                let approvals = approvals(section, &change);
                let holds = |approved: &Approved| section.approvals[approved].is_valid_on(today);
                let over = approvals.iter().filter(|approved| !holds(approved));
                change.expired = over.map(ToString::to_string).collect();
                if !approvals.is_empty() && change.expired.is_empty() {
                    change.kind = ChangeKind::Accepted;
                }
                // One that does not suffice by itself is needed all the same.
                needed.extend(touching_approvals(section, &change).filter(|approved| holds(approved)));
            }
            comparison.changes.push(change);
        }
        let is_gone = |block: &&ContentKey| !observed.verdicts.contains_key(block);
        comparison.gone = section.verdicts.keys().filter(is_gone).count() as u64;
        comparison
            .changes
            .sort_by_key(|change| (change.kind, change.block));
        let idle = section
            .approvals
            .keys()
            .filter(|approved| !needed.contains(approved));
        comparison.idle_approvals = idle.map(ToString::to_string).collect();
        comparison
    }

    /// How many changes are of a kind.
    #[must_use]
    pub fn count_changes(&self, kind: ChangeKind) -> u64 {
        self.changes.iter().filter(|change| change.kind == kind).count() as u64
    }

    /// Whether something is worse than was expected, or better and that is not allowed.
    #[must_use]
    pub fn has_failures(&self, allow_fixed: bool) -> bool {
        self.changes.iter().any(|change| match change.kind {
            ChangeKind::Regressed | ChangeKind::OtherCause | ChangeKind::NewBug => true,
            ChangeKind::Fixed => !allow_fixed,
            ChangeKind::Accepted => false,
        })
    }
}

/// The approvals that together accept a change: that of the block, or one for each of its causes; none when one is missing.
fn approvals<'s>(section: &'s Section, change: &BaselineChange) -> Vec<&'s Approved> {
    let find = |approved: &Approved| section.approvals.get_key_value(approved).map(|(key, _)| key);
    if let Some(block) = find(&Approved::Block(change.block)) {
        return vec![block];
    }
    let causes = change.now.iter().filter(|cause| !change.before.contains(*cause));
    // Without a new cause there is nothing but the block to accept.
    let each: Option<Vec<&Approved>> = causes.map(|cause| find(&Approved::Bug(cause.clone()))).collect();
    each.unwrap_or_default()
}

/// The approvals that say something about a change: that of the block, and those of its causes.
fn touching_approvals<'s>(
    section: &'s Section,
    change: &BaselineChange,
) -> impl Iterator<Item = &'s Approved> {
    section.approvals.keys().filter(|approved| match approved {
        Approved::Block(block) => *block == change.block,
        Approved::Bug(bug) => change.now.contains(bug) && !change.before.contains(bug),
    })
}

fn causes(verdict: &BlockVerdict) -> impl Iterator<Item = &String> {
    let causes = match verdict {
        BlockVerdict::Fail(causes) => Some(causes),
        BlockVerdict::Pass | BlockVerdict::Open => None,
    };
    causes.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::super::{Approval, Baseline};
    use super::*;

    fn section(text: &str) -> Section {
        let text = format!("snippex baseline 1\nengine a reference b seed 1 states 4\n{text}");
        let baseline = Baseline::parse(&text).unwrap();
        baseline.sections.into_values().next().unwrap()
    }

    fn observed(text: &str) -> ObservedVerdicts {
        ObservedVerdicts {
            verdicts: section(text).verdicts,
            ..ObservedVerdicts::default()
        }
    }

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    const A: &str = "aaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbb";
    const C: &str = "cccccccccccccccccccc";

    fn kinds(expected: &str, now: &str) -> Vec<ChangeKind> {
        let compared =
            BaselineComparison::from_observed(&section(expected), &observed(now), day("2026-06-01"));
        compared.changes.iter().map(|change| change.kind).collect()
    }

    #[test]
    fn every_change_has_its_kind() {
        let before = format!("pass {A}\nfail {B} x.flags\n");
        let compared = |now: &str| {
            BaselineComparison::from_observed(&section(&before), &observed(now), day("2026-06-01"))
        };
        let same = compared(&before);
        assert_eq!(
            (same.stable, same.new, same.gone, same.has_failures(false)),
            (2, 0, 0, false)
        );
        let other = compared(&format!("pass {C}\n"));
        assert_eq!(
            (other.stable, other.new, other.gone, other.has_failures(false)),
            (0, 1, 2, false)
        );
        assert_eq!(
            kinds(&before, &format!("fail {A} x.flags\n")),
            [ChangeKind::Regressed]
        );
        assert_eq!(
            kinds(&before, &format!("fail {B} y.flags\n")),
            [ChangeKind::OtherCause]
        );
        assert_eq!(kinds(&before, &format!("pass {B}\n")), [ChangeKind::Fixed]);
        // What is known of other blocks is no new bug.
        assert_eq!(kinds(&before, &format!("fail {C} x.flags\n")), []);
        assert_eq!(
            kinds(&before, &format!("fail {C} z.flags\n")),
            [ChangeKind::NewBug]
        );
        let fixed = compared(&format!("pass {B}\n"));
        assert!(fixed.has_failures(false) && !fixed.has_failures(true));
    }

    #[test]
    fn what_is_accepted_is_no_failure_until_that_is_over() {
        let now = observed(&format!("fail {A} x.flags y.flags\n"));
        let on = |approvals: &str, date: &str| {
            let section = section(&format!("{approvals}pass {A}\n"));
            BaselineComparison::from_observed(&section, &now, day(date))
        };
        let block = format!("accept block {A} until 2026-06-01 reason known\n");
        assert!(!on(&block, "2026-06-01").has_failures(false));
        let over = on(&block, "2026-06-02");
        assert!(over.has_failures(false));
        assert_eq!(over.changes[0].expired, [A]);
        // Every cause has to be accepted.
        let one = "accept bug x.flags reason known\n";
        let half = on(one, "2026-06-01");
        assert!(half.has_failures(false) && half.idle_approvals.is_empty());
        let both = format!("{one}accept bug y.flags reason known\n");
        let accepted = on(&both, "2026-06-01");
        assert!(!accepted.has_failures(false) && accepted.idle_approvals.is_empty());
        assert_eq!(
            on(&format!("{both}accept bug z reason no\n"), "2026-06-01").idle_approvals,
            ["z"]
        );
        let for_ever = Approval {
            reason: String::new(),
            issue: None,
            until: None,
        };
        assert!(for_ever.is_valid_on(day("9999-12-31")));
    }
}
