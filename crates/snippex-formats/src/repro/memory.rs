//! The memory of a case as pages and the few bytes in them that are not zero.

use snippex_core::case::{Case, PageAccess};

/// Bytes of memory in one piece.
pub(super) const PIECE: usize = 16;

/// A piece of memory that is not all zero, without the zeros at its ends.
pub(super) struct MemoryPiece<'c> {
    pub(super) address: u64,
    pub(super) bytes: &'c [u8],
}

/// The pieces of all pages.
pub(super) fn memory_pieces(case: &Case) -> Vec<MemoryPiece<'_>> {
    let mut pieces = Vec::new();
    for page in case.pages.iter() {
        for (index, row) in page.content.chunks_exact(PIECE).enumerate() {
            let Some(first) = row.iter().position(|byte| *byte != 0) else {
                continue;
            };
            let last = row.iter().rposition(|byte| *byte != 0).unwrap_or(first);
            pieces.push(MemoryPiece {
                address: page.address + (index * PIECE + first) as u64,
                bytes: &row[first..=last],
            });
        }
    }
    pieces
}

/// `0x12, 0x34`, as C and assembler write bytes.
pub(super) fn format_byte_list(bytes: &[u8]) -> String {
    let words: Vec<String> = bytes.iter().map(|byte| format!("{byte:#04x}")).collect();
    words.join(", ")
}

/// PROT_* of Linux.
pub(super) fn protection_flags(access: PageAccess) -> u32 {
    match access {
        PageAccess::Read => 1,
        PageAccess::ReadWrite => 3,
    }
}

/// Address of the page in which `address` lies.
pub(super) fn page_of(address: u64) -> u64 {
    address & !0xfff
}
