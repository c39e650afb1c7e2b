//! Several engines that are one: the same emulator on several hosts, perhaps on this machine as well, which share a check.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use snippex_exec::engine::{Engine, EngineError};

use crate::EngineChoice;

/// Engines that share work. Each has as many workers as keep it busy, and whoever is free takes the next batch.
#[derive(Debug)]
pub struct EngineTeam {
    members: Vec<EngineChoice>,
    /// Whose turn it is, by worker.
    turns: Mutex<Vec<usize>>,
    next: AtomicUsize,
}

impl EngineTeam {
    /// A team of these, the first of which gives it its name.
    pub(crate) fn new(members: Vec<EngineChoice>) -> Self {
        let turns = Mutex::new((0..members.len()).collect());
        Self {
            members,
            turns,
            next: AtomicUsize::new(0),
        }
    }

    /// Its engines.
    #[must_use]
    pub fn members(&self) -> &[EngineChoice] {
        &self.members
    }

    /// Plans workers for each member, `threads` for one of this machine, and gives their number.
    ///
    /// # Errors
    /// When no member can be used.
    pub(crate) fn plan_workers(&self, threads: usize) -> Result<usize, EngineError> {
        let mut counts = Vec::with_capacity(self.members.len());
        let mut lost = None;
        for member in &self.members {
            match member.worker_count(threads) {
                Ok(count) => counts.push(count),
                Err(error) if error.is_lost_host() => {
                    counts.push(0);
                    lost = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        let turns = interleaved(&counts);
        match lost {
            Some(error) if turns.is_empty() => return Err(error),
            _ => {}
        }
        let count = turns.len();
        *self.turns.lock().unwrap_or_else(PoisonError::into_inner) = turns;
        Ok(count)
    }

    /// An engine of the member whose turn it is; where its host is lost, of the next.
    pub(crate) fn start_next_engine(&self) -> Result<Box<dyn Engine>, EngineError> {
        let turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut lost = None;
        for turn in 0..turns.len() {
            match self.members[turns[(first + turn) % turns.len()]].start_engine() {
                Err(error) if error.is_lost_host() => lost = Some(error),
                done => return done,
            }
        }
        Err(lost.expect("a team has a member"))
    }
}

/// Every member as often as it has workers, spread evenly.
fn interleaved(counts: &[usize]) -> Vec<usize> {
    let most = counts.iter().copied().max().unwrap_or(0);
    let round = |round: usize| {
        let has_turn = move |(member, &count): (usize, &usize)| (round < count).then_some(member);
        counts.iter().enumerate().filter_map(has_turn)
    };
    (0..most).flat_map(round).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_has_its_workers() {
        assert_eq!(interleaved(&[2, 0, 3]), [0, 2, 0, 2, 2]);
        assert!(interleaved(&[0]).is_empty());
    }
}
