//! A case: everything that is needed to run a block once, the same on every engine.

use std::sync::Arc;

use crate::block::Block;
use crate::state::MachineState;

/// Bytes in a page of guest memory.
pub const PAGE_SIZE: usize = 4096;
/// The same as an amount of addresses.
pub const PAGE: u64 = PAGE_SIZE as u64;

/// What the block may do with a page of its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageAccess {
    /// A store faults.
    Read,
    /// Loads and stores succeed.
    ReadWrite,
}

/// One page of guest memory as the block finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Page-aligned run-time address.
    pub address: u64,
    /// Loads only, or stores too.
    pub access: PageAccess,
    /// Content before the run. Shared between the cases of a block.
    pub content: Arc<[u8; PAGE_SIZE]>,
}

/// Where a block lies when it runs.
///
/// Data and code are apart (code pages hold code only, since FEX write-protects what it has translated): what the file has at address `a`
/// is readable at `a + image_base`, and the block executes at `address + code_base`. References relative to RIP
/// are adjusted so that they still reach the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Placement {
    /// Added (wrapping) to a file address to get the run-time address of data.
    pub image_base: u64,
    /// Added (wrapping) to a file address to get the run-time address of code.
    pub code_base: u64,
}

/// A block with a start state and memory: self-contained, and the same for every engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The code.
    pub block: Arc<Block>,
    /// Where it lies.
    pub placement: Placement,
    /// Registers at the start.
    pub state: MachineState,
    /// Every page that is mapped, in ascending order of address. An access anywhere else is a fault.
    pub pages: Arc<[Page]>,
}

impl Case {
    /// Run-time address of the block's first byte.
    #[must_use]
    pub fn code_address(&self) -> u64 {
        self.block.address.wrapping_add(self.placement.code_base)
    }
}
