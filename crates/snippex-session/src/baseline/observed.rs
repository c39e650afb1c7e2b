//! The verdicts of a check by the bytes of blocks.

use std::collections::BTreeMap;

use snippex_core::block::Block;
use snippex_exec::check::BlockReport;

use super::{BlockVerdict, ContentKey};
use crate::{SessionEvent, SessionObserver};

/// One of the places where a block was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenAt {
    /// Name of the binary.
    pub binary: String,
    /// Address in the file.
    pub address: u64,
    /// Number in the database.
    pub number: i64,
}

/// Gathers verdicts while a check goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedVerdicts {
    /// By block.
    pub verdicts: BTreeMap<ContentKey, BlockVerdict>,
    /// Where a block is that fails, else where it was first seen.
    pub places: BTreeMap<ContentKey, SeenAt>,
}

impl ObservedVerdicts {
    fn add(&mut self, block: &Block, report: &BlockReport, place: SeenAt) {
        let key = ContentKey::from_block(block);
        let verdict = verdict(report);
        let is_failure = matches!(verdict, BlockVerdict::Fail(_));
        let now = match self.verdicts.remove(&key) {
            Some(before) => before.and(verdict),
            None => verdict,
        };
        self.verdicts.insert(key, now);
        if is_failure {
            self.places.insert(key, place);
        } else {
            self.places.entry(key).or_insert(place);
        }
    }
}

impl SessionObserver for ObservedVerdicts {
    fn on_event(&mut self, event: SessionEvent<'_>) {
        if let SessionEvent::Block {
            number,
            block,
            binary,
            report,
            ..
        } = event
        {
            let place = SeenAt {
                binary: binary.to_owned(),
                address: block.address,
                number: number.0,
            };
            self.add(block, report, place);
        }
    }
}

fn verdict(report: &BlockReport) -> BlockVerdict {
    if report.diverged > 0 {
        let causes = report
            .sightings
            .keys()
            .map(|attribution| attribution.cause.to_string());
        BlockVerdict::Fail(causes.collect())
    } else if report.matched > 0 {
        BlockVerdict::Pass
    } else {
        BlockVerdict::Open
    }
}
