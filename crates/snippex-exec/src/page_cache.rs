//! Contents of pages that are in the shared file already: most blocks of a session have pages in common.

use std::collections::HashMap;
use std::sync::Arc;

use snippex_core::case::PAGE_SIZE;

use crate::shared::Shared;

type Content = Arc<[u8; PAGE_SIZE]>;

/// Where a content is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CachedPage {
    /// Never given twice, though its place in the file may be.
    pub(crate) id: u64,
    /// File offset.
    pub(crate) offset: u64,
}

/// A part of the shared file that fills with contents, and starts again when it is full.
#[derive(Debug)]
pub(crate) struct PageCache {
    start: u64,
    capacity: usize,
    /// By address in this process, which stays taken while the content is in `held`.
    known: HashMap<usize, CachedPage>,
    held: Vec<Content>,
    last_id: u64,
}

impl PageCache {
    /// Room for `capacity` pages from file offset `start` on.
    pub(crate) fn new(start: u64, capacity: usize) -> Self {
        Self {
            start,
            capacity,
            known: HashMap::new(),
            held: Vec::new(),
            last_id: 0,
        }
    }

    /// Makes sure that `pages` more contents fit, forgetting all others if they would not.
    ///
    /// # Panics
    /// When there is not so much room at all; batches are limited to less.
    pub(crate) fn reserve(&mut self, pages: usize) {
        assert!(pages <= self.capacity, "the pages of a batch fit");
        if self.held.len() + pages > self.capacity {
            self.known.clear();
            self.held.clear();
        }
    }

    /// Where `content` is, after writing it there if it is new. What was asked for since the last
    /// [`PageCache::reserve`] stays where it is.
    pub(crate) fn write_if_new(&mut self, shared: &mut Shared, content: &Content) -> CachedPage {
        let key = Arc::as_ptr(content) as usize;
        if let Some(&kept) = self.known.get(&key) {
            return kept;
        }
        self.last_id += 1;
        let kept = CachedPage {
            id: self.last_id,
            offset: self.start + (self.held.len() * PAGE_SIZE) as u64,
        };
        shared.write(kept.offset, &content[..]);
        self.held.push(Arc::clone(content));
        self.known.insert(key, kept);
        kept
    }
}
