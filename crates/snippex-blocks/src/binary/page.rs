//! Pages of an image as the loader leaves them. Execution asks for tens of thousands, so that every lookup is a
//! binary search in tables made once.

use super::image::{FileFormat, Image, Segment};
use snippex_core::case::PAGE;

impl Image<'_> {
    /// The page of file address `address` (page aligned; lower bits are ignored) in a program loaded at `base`.
    ///
    /// Bytes of the file, zero fill, and every relocation that needs no other file, with `base` added (wrapping).
    /// A slot of an import keeps what the file has, plus `base` when that is an address of the image (a lazily
    /// bound PLT slot). `None` when nothing is mapped there.
    #[must_use]
    pub fn page_at(&self, address: u64, base: u64) -> Option<Box<[u8; PAGE as usize]>> {
        let start = address & !(PAGE - 1);
        let end = start.checked_add(PAGE)?;
        let first = self
            .segments
            .partition_point(|segment| page_end(segment) <= start);
        let mut page = None;
        for segment in self.segments[first..]
            .iter()
            .take_while(|segment| segment.address < end)
        {
            let page = page.get_or_insert_with(|| Box::new([0; PAGE as usize]));
            self.fill(page, start, segment);
        }
        let mut page = page?;
        self.relocate(&mut page, start, base);
        Some(page)
    }

    /// Copies the file's bytes of one segment to the page at `start`, and zeroes what lies behind them.
    fn fill(&self, page: &mut [u8; PAGE as usize], start: u64, segment: &Segment) {
        let file_end = segment.address + segment.file_size;
        // A loader that maps whole pages leaves the neighbouring bytes of the file around the segment.
        let whole_pages =
            self.format == FileFormat::Elf && segment.address % PAGE == segment.file_offset % PAGE;
        let (from, to) = if whole_pages && segment.file_size > 0 {
            let slack_end = if segment.size > segment.file_size {
                file_end
            } else {
                page_end(segment)
            };
            (segment.address & !(PAGE - 1), slack_end)
        } else {
            (segment.address, file_end)
        };
        let (from, to) = (from.max(start), to.min(start + PAGE));
        if from < to {
            // Modulo 2^64: `from` may lie before the segment, but never before the page it shares.
            let offset = segment
                .file_offset
                .wrapping_add(from.wrapping_sub(segment.address)) as usize;
            let available = self.data.get(offset..).unwrap_or_default();
            let length = available.len().min((to - from) as usize);
            let at = (from - start) as usize;
            page[at..at + length].copy_from_slice(&available[..length]);
        }
        let zero_from = file_end.clamp(start, start + PAGE);
        if segment.size > segment.file_size {
            page[(zero_from - start) as usize..].fill(0);
        }
    }

    /// Writes the relocated words that lie in, or reach into, the page at `start`.
    fn relocate(&self, page: &mut [u8; PAGE as usize], start: u64, base: u64) {
        let first = self
            .fixups
            .partition_point(|fixup| fixup.address.saturating_add(8) <= start);
        for fixup in self.fixups[first..]
            .iter()
            .take_while(|fixup| fixup.address < start + PAGE)
        {
            for (byte, address) in fixup
                .value
                .wrapping_add(base)
                .to_le_bytes()
                .into_iter()
                .zip(fixup.address..)
            {
                if (start..start + PAGE).contains(&address) {
                    page[(address - start) as usize] = byte;
                }
            }
        }
    }
}

/// First page boundary at or after the end of a segment.
fn page_end(segment: &Segment) -> u64 {
    segment.end_address().next_multiple_of(PAGE)
}
