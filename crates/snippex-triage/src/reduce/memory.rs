//! Pages of a case, changed.

use snippex_core::case::PAGE;
use std::sync::Arc;

use snippex_core::address_space::{ARENA, STACK};
use snippex_core::case::{Case, PAGE_SIZE, Page, PageAccess};
use snippex_core::observation::{ChangedLine, LINE_SIZE};
use snippex_core::state::RSP;

/// Words of a page that are not zero, by address.
pub(super) fn nonzero_words(case: &Case) -> impl Iterator<Item = (u64, u64)> {
    case.pages.iter().flat_map(|page| {
        let words = page.content.as_chunks::<8>().0.iter();
        words.enumerate().filter_map(|(index, word)| {
            let value = u64::from_le_bytes(*word);
            (value != 0).then_some((page.address + 8 * index as u64, value))
        })
    })
}

/// Clears the bits of `mask` in the aligned word at `address`.
pub(super) fn clear_bits(pages: &mut [Page], address: u64, mask: u64) {
    let base = address & !(PAGE_SIZE as u64 - 1);
    if let Some(page) = pages.iter_mut().find(|page| page.address == base) {
        let at = (address - base) as usize;
        let word = &mut Arc::make_mut(&mut page.content)[at..at + 8];
        for (byte, mask) in word.iter_mut().zip(mask.to_le_bytes()) {
            *byte &= !mask;
        }
    }
}

/// Where pages lie in a plain case.
fn plain(index: u64) -> u64 {
    ARENA + index * PAGE_SIZE as u64
}

/// Whether a page at `address` need not be moved.
pub(super) fn is_plain(address: u64) -> bool {
    address == STACK || (ARENA..ARENA + 64 * PAGE_SIZE as u64).contains(&address)
}

/// Moves the page at `from`, and the page behind it if there is one, to a plain place, with all registers that point
/// into them or close by. `None` when there is nothing to move.
pub(super) fn move_page(case: &Case, from: u64) -> Option<Case> {
    let index = case.pages.iter().position(|page| page.address == from)?;
    let pair = case
        .pages
        .get(index + 1)
        .is_some_and(|next| next.address == from + PAGE);
    let near = from.wrapping_sub(PAGE)..from.wrapping_add(3 * PAGE);
    let on_stack = near.contains(&case.state.gpr[RSP]) && !pair;
    let taken = |address: u64| case.pages.iter().any(|page| page.address == address);
    let to = if on_stack && !taken(STACK) {
        STACK
    } else {
        // Three apart, so that what was unmapped beside it stays so.
        (0..16)
            .map(|place| plain(3 * place + 1))
            .find(|to| !taken(*to) && !taken(to + PAGE) && !taken(to - PAGE))?
    };
    let mut case = case.clone();
    let mut pages = case.pages.to_vec();
    let mut shift = |address: u64| {
        if let Some(page) = pages.iter_mut().find(|page| page.address == address) {
            page.address = to + (address - from);
        }
    };
    shift(from);
    if pair {
        shift(from + PAGE);
    }
    pages.sort_by_key(|page| page.address);
    case.pages = pages.into();
    for register in &mut case.state.gpr {
        if near.contains(register) {
            *register = register.wrapping_sub(from).wrapping_add(to);
        }
    }
    Some(case)
}

/// `pages` with the lines that a run changed.
pub(super) fn apply_changed_lines(pages: &[Page], lines: &[ChangedLine]) -> Arc<[Page]> {
    let mut pages = pages.to_vec();
    for line in lines {
        let base = line.address & !(PAGE_SIZE as u64 - 1);
        if let Some(page) = pages
            .iter_mut()
            .find(|page| page.address == base && page.access == PageAccess::ReadWrite)
        {
            let at = (line.address - base) as usize;
            Arc::make_mut(&mut page.content)[at..at + LINE_SIZE].copy_from_slice(&line.bytes);
        }
    }
    pages.into()
}
