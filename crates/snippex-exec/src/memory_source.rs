//! What a block finds at an address: the loaded image, or pages made up from the seed.

use std::collections::HashMap;
use std::sync::Arc;

use snippex_blocks::binary::Image;
use snippex_core::address_space::{ARENA, FS_BASE, GS_BASE, STACK, is_mappable};
use snippex_core::case::{PAGE_SIZE, PageAccess, Placement};
use snippex_core::seed::memory::{self, Filling};

type Content = Arc<[u8; PAGE_SIZE]>;

/// Pages for the blocks of one image.
#[derive(Debug)]
pub struct MemorySource<'i> {
    image: Option<&'i Image<'i>>,
    placement: Placement,
    seed: u64,
    /// Pages of the image and of the fixed areas; others are met once.
    kept: HashMap<(u64, Filling), Option<(Content, PageAccess)>>,
}

impl<'i> MemorySource<'i> {
    /// A source for blocks of `image` at `placement`; without an image, all pages are made up.
    #[must_use]
    pub fn new(image: Option<&'i Image<'i>>, placement: Placement, seed: u64) -> Self {
        Self {
            image,
            placement,
            seed,
            kept: HashMap::new(),
        }
    }

    /// Content of the page at run-time address `address`, and the most that may be done with it. `None` when no
    /// page of a case may be there.
    pub fn page_at(&mut self, address: u64, filling: Filling) -> Option<(Content, PageAccess)> {
        if !is_mappable(address) {
            return None;
        }
        if let Some(known) = self.kept.get(&(address, filling)) {
            return known.clone();
        }
        let found = self.image_page(address);
        let fixed = [STACK, ARENA, FS_BASE, GS_BASE]
            .iter()
            .any(|&area| address.abs_diff(area) < 16 * PAGE_SIZE as u64);
        let keep = found.is_some() || fixed;
        let page = found.or_else(|| {
            Some((
                Arc::new(memory::page_content(self.seed, address, filling)),
                PageAccess::ReadWrite,
            ))
        });
        if keep {
            self.kept.insert((address, filling), page.clone());
        }
        page
    }

    /// The page of the program at run-time address `address`, with its relocations; `None` where the program has none.
    #[must_use]
    pub fn image_page(&self, address: u64) -> Option<(Content, PageAccess)> {
        let image = self.image?;
        let file_address = address.wrapping_sub(self.placement.image_base);
        let bytes = image.page_at(file_address, self.placement.image_base)?;
        let writable = image.segments().iter().any(|segment| {
            segment.writable
                && segment.address < file_address + PAGE_SIZE as u64
                && file_address < segment.end_address()
        });
        let access = if writable {
            PageAccess::ReadWrite
        } else {
            PageAccess::Read
        };
        Some((Arc::from(bytes), access))
    }
}
