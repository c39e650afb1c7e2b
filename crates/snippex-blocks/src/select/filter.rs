//! Which blocks count.

use std::ops::Range;

use super::features::block_features;
use crate::extract::{BlockEntry, BlockIndex};
use snippex_core::block::{Block, Origin, Terminator};
use snippex_core::decode::Kinds;

/// What a user asks for, flag by flag. [`FilterOptions::into_filter`] makes a [`Filter`] of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterOptions {
    /// Least number of instructions, terminator included.
    pub min_size: Option<u32>,
    /// Largest number of instructions, terminator included.
    pub max_size: Option<u32>,
    /// Only blocks with a memory operand (see [`snippex_core::decode::accesses_memory`]).
    pub has_memory_access: bool,
    /// Only blocks without one.
    pub no_memory_access: bool,
    /// Only blocks that end in a jump, branch, call, return, system call or trap.
    pub has_control_flow: bool,
    /// Only blocks that fall through.
    pub no_control_flow: bool,
    /// Only blocks with an instruction of one of these kinds; empty for any.
    pub instruction_types: Kinds,
    /// Only blocks whose first byte lies here, in file addresses.
    pub address_range: Option<Range<u64>>,
    /// Leave out blocks that are stored, but cannot be run.
    pub skip_unrunnable: bool,
    /// Leave out blocks found by linear sweep, which may be data.
    pub skip_sweep: bool,
}

/// Flags that contradict each other, or a value that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No block can have both sizes.
    #[error("--min-size {min} is above --max-size {max}: no block can match")]
    Sizes {
        /// The least size asked for.
        min: u32,
        /// The largest size asked for.
        max: u32,
    },
    /// Two flags that exclude each other.
    #[error("{first} and {second} exclude each other: give one of them")]
    Conflict {
        /// One flag.
        first: &'static str,
        /// The other flag.
        second: &'static str,
    },
    /// An address range that is not two numbers, or empty.
    #[error(
        "{text:?} is not an address range: write START-END, for example 0x1000-0x2000, with START below END"
    )]
    Range {
        /// What was given.
        text: String,
    },
    /// An unknown kind of instruction.
    #[error("{name:?} is not an instruction type: choose among {}", names())]
    Kind {
        /// What was given.
        name: String,
    },
}

fn names() -> String {
    Kinds::NAMES.map(|(name, _)| name).join(", ")
}

/// A filter without contradictions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    options: FilterOptions,
}

impl FilterOptions {
    /// Refuses contradictions.
    ///
    /// # Errors
    /// [`FilterError`] names the flags.
    pub fn into_filter(self) -> Result<Filter, FilterError> {
        if let (Some(min), Some(max)) = (self.min_size, self.max_size)
            && min > max
        {
            return Err(FilterError::Sizes { min, max });
        }
        let conflict = |first, second| Err(FilterError::Conflict { first, second });
        if self.has_memory_access && self.no_memory_access {
            return conflict("--has-memory-access", "--no-memory-access");
        }
        if self.has_control_flow && self.no_control_flow {
            return conflict("--has-control-flow", "--no-control-flow");
        }
        let transfers = Kinds::BRANCH.union(Kinds::SYSCALL);
        let others = Kinds::NAMES
            .iter()
            .filter(|(_, kind)| !kind.intersects(transfers));
        let only_transfers = self.instruction_types.intersects(transfers)
            && !others
                .clone()
                .any(|&(_, kind)| self.instruction_types.intersects(kind));
        if self.no_control_flow && only_transfers {
            return conflict("--no-control-flow", "--instruction-types branch,syscall");
        }
        if let Some(range) = self.address_range.as_ref().filter(|range| range.is_empty()) {
            return Err(FilterError::Range {
                text: format!("{:#x}-{:#x}", range.start, range.end),
            });
        }
        Ok(Filter { options: self })
    }
}

impl Filter {
    /// Whether a block counts.
    #[must_use]
    pub fn matches_block(&self, block: &Block) -> bool {
        self.matches_outline(block.address, block.instruction_count, block.terminator)
            && !(self.options.skip_unrunnable && block.unrunnable.is_some())
            && !(self.options.skip_sweep && block.origin == Origin::Sweep)
            && self.matches_content(&block.bytes, block.address)
    }

    /// Whether block number `index` counts.
    #[must_use]
    pub fn matches_at(&self, index: &BlockIndex<'_, '_>, number: usize) -> bool {
        let Some(entry) = index.entry_at(number) else {
            return false;
        };
        self.matches_entry(&entry)
            && (!self.needs_content()
                || index
                    .block_bytes(number)
                    .is_some_and(|bytes| self.matches_content(bytes, entry.address)))
    }

    fn matches_entry(&self, entry: &BlockEntry) -> bool {
        self.matches_outline(entry.address, entry.instruction_count, entry.terminator)
            && !(self.options.skip_unrunnable && entry.unrunnable.is_some())
            && !(self.options.skip_sweep && entry.origin == Origin::Sweep)
    }

    fn matches_outline(&self, address: u64, size: u32, terminator: Terminator) -> bool {
        let options = &self.options;
        let transfers = terminator != Terminator::FallThrough;
        options.min_size.is_none_or(|min| size >= min)
            && options.max_size.is_none_or(|max| size <= max)
            && (!options.has_control_flow || transfers)
            && (!options.no_control_flow || !transfers)
            && options
                .address_range
                .as_ref()
                .is_none_or(|range| range.contains(&address))
    }

    fn needs_content(&self) -> bool {
        let options = &self.options;
        options.has_memory_access || options.no_memory_access || !options.instruction_types.is_empty()
    }

    fn matches_content(&self, bytes: &[u8], address: u64) -> bool {
        if !self.needs_content() {
            return true;
        }
        let features = block_features(bytes, address);
        let options = &self.options;
        (!options.has_memory_access || features.memory_operands > 0)
            && (!options.no_memory_access || features.memory_operands == 0)
            && (options.instruction_types.is_empty() || features.kinds.intersects(options.instruction_types))
    }
}

/// Reads `START-END` (END excluded), each decimal or hexadecimal with `0x`.
///
/// # Errors
/// [`FilterError::Range`] when it is something else, or empty.
pub fn address_range(text: &str) -> Result<Range<u64>, FilterError> {
    let number = |part: &str| {
        let part = part.trim();
        match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => part.parse().ok(),
        }
    };
    let ends = text
        .split_once('-')
        .and_then(|(start, end)| Some((number(start)?, number(end)?)));
    match ends {
        Some((start, end)) if start < end => Ok(start..end),
        _ => Err(FilterError::Range {
            text: text.to_owned(),
        }),
    }
}

/// Reads a list of kinds, `general,sse`.
///
/// # Errors
/// [`FilterError::Kind`] names the first that is unknown.
pub fn instruction_types(text: &str) -> Result<Kinds, FilterError> {
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .try_fold(Kinds::NONE, |kinds, name| {
            let kind = Kinds::from_name(name).ok_or_else(|| FilterError::Kind {
                name: name.to_owned(),
            })?;
            Ok(kinds.union(kind))
        })
}
