//! The lines that the runs of a batch may store to, for the guest to look at.

use snippex_core::case::PAGE;
use snippex_core::case::PageAccess;
use snippex_core::group::Start;
use snippex_runner::layout::WireReached;

use crate::guest_space::PlannedPage;
use crate::stores::Store;

/// Lines of all runs, one run after the other.
#[derive(Debug, Default)]
pub(crate) struct StoreTargets {
    pub(crate) all: Vec<WireReached>,
    /// Those of a run.
    lines: Vec<u64>,
}

impl StoreTargets {
    /// Adds the lines of `pages` that `stores` touch in a run from `start`, in ascending order. Returns where they begin, and
    /// how many they are.
    pub(crate) fn add_run_lines(
        &mut self,
        stores: &[Store],
        start: &Start,
        pages: &[PlannedPage],
    ) -> (u32, u32) {
        self.lines.clear();
        for store in stores {
            store.append_touched_lines(start, &mut self.lines);
        }
        self.lines.sort_unstable();
        self.lines.dedup();
        let first = self.all.len();
        for &line in &self.lines {
            let page = line & !(PAGE - 1);
            if let Ok(index) = pages.binary_search_by_key(&page, |planned| planned.address)
                && pages[index].access == PageAccess::ReadWrite
            {
                self.all.push(WireReached {
                    address: line,
                    pristine: pages[index].kept.offset + line % PAGE,
                });
            }
        }
        (first as u32, (self.all.len() - first) as u32)
    }
}
