//! The blocks of a batch, ready to execute.

use std::collections::HashMap;
use std::sync::Arc;

use snippex_core::block::Block;
use snippex_core::case::Placement;
use snippex_core::group::Group;
use snippex_runner::layout::SKIP_X87;

use super::{GuestCpu, features};
use crate::lower::{Lowered, lower_block};
use crate::results::Unsupported;
use crate::untouched::{Untouched, find_untouched};

/// What is known of each group of a batch. It is kept for the next, which often has the same blocks: pages are found
/// by running them several times.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    blocks: Vec<(Arc<Block>, Placement)>,
    /// `None` when the block cannot be run.
    pub(super) lowered: Vec<Option<Lowered>>,
    /// Why it cannot.
    pub(super) unsupported: Vec<Option<Unsupported>>,
    /// What it leaves alone.
    pub(super) left: Vec<Untouched>,
}

impl Decoded {
    /// Turns to the groups of another batch, for a CPU that lacks `lacks` as well as what it says.
    pub(super) fn decode_groups(&mut self, groups: &[Group], cpu: &GuestCpu, lacks: &[String]) {
        let key = |block: &Arc<Block>, placement: Placement| {
            (Arc::as_ptr(block), placement.image_base, placement.code_base)
        };
        let mut before = std::mem::take(self);
        let mut known: HashMap<_, usize> = before
            .blocks
            .iter()
            .enumerate()
            .map(|(index, (block, placement))| (key(block, *placement), index))
            .collect();
        for group in groups {
            let (code, reason, left) = match known.remove(&key(&group.block, group.placement)) {
                Some(index) => (
                    before.lowered[index].take(),
                    before.unsupported[index].take(),
                    std::mem::take(&mut before.left[index]),
                ),
                None => decode(group, cpu, lacks),
            };
            self.lowered.push(code);
            self.unsupported.push(reason);
            self.left.push(left);
            self.blocks.push((Arc::clone(&group.block), group.placement));
        }
    }
}

fn decode(
    group: &Group,
    cpu: &GuestCpu,
    lacks: &[String],
) -> (Option<Lowered>, Option<Unsupported>, Untouched) {
    match lower_block(&group.block, group.placement) {
        Err(error) => (None, Some(Unsupported::Block(error)), Untouched::default()),
        Ok(lowered) => match features::find_missing_feature(&group.block, cpu, lacks) {
            Some(feature) => (None, Some(Unsupported::Feature(feature)), Untouched::default()),
            None => {
                let left = find_untouched(&group.block, group.placement);
                let without_state = lacks.iter().any(|lacking| lacking == features::X87_STATE);
                if without_state && left.untouched & SKIP_X87 == 0 {
                    let reason = Unsupported::Feature(features::X87_STATE);
                    return (None, Some(reason), Untouched::default());
                }
                (Some(lowered), None, left)
            }
        },
    }
}
