//! Where blocks really start: the `.llvm_bb_addr_map` section that Clang writes (LLVM "Extensions", section
//! "SHT_LLVM_BB_ADDR_MAP"), and the comparison of what extraction found with it.

use std::collections::{BTreeMap, BTreeSet};

use object::{Object, ObjectSection};
use snippex_blocks::extract::BlockIndex;
use snippex_core::block::{Origin, Terminator};

/// The compiler's account.
pub(crate) struct Truth {
    /// Functions: start and end.
    pub(crate) functions: BTreeMap<u64, u64>,
    /// Starts of blocks that are not empty.
    pub(crate) starts: BTreeSet<u64>,
}

/// Decodes the map of a file that has not been stripped.
pub(crate) fn read_truth(data: &[u8]) -> Result<Truth, String> {
    let file = object::File::parse(data).map_err(|error| error.to_string())?;
    let section = file
        .section_by_name(".llvm_bb_addr_map")
        .ok_or("no .llvm_bb_addr_map section: compile with clang-16 -fbasic-block-sections=labels")?;
    let mut bytes = section.data().map_err(|error| error.to_string())?;
    let mut truth = Truth {
        functions: BTreeMap::new(),
        starts: BTreeSet::new(),
    };
    while !bytes.is_empty() {
        function(&mut bytes, &mut truth)
            .ok_or("the .llvm_bb_addr_map section is cut off or of an unknown version")?;
    }
    Ok(truth)
}

/// Version, features, address, and for each block its number, distance from the block before, size and properties.
fn function(bytes: &mut &[u8], truth: &mut Truth) -> Option<()> {
    let [version @ 1..=2, 0] = take::<2>(bytes)? else {
        return None;
    };
    let address = u64::from_le_bytes(take(bytes)?);
    let mut at = address;
    for _ in 0..uleb(bytes)? {
        if version >= 2 {
            uleb(bytes)?;
        }
        at += uleb(bytes)?;
        let size = uleb(bytes)?;
        uleb(bytes)?;
        if size > 0 {
            truth.starts.insert(at);
        }
        at += size;
    }
    truth.functions.insert(address, at);
    Some(())
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

fn uleb(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let [byte] = take(bytes)?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
}

/// How the starts that were found compare with the truth, within the functions the compiler knows.
#[derive(Debug, Default)]
pub(crate) struct Accuracy {
    /// Starts the compiler names.
    pub(crate) truth: usize,
    /// Starts found that it names.
    pub(crate) right: usize,
    /// Starts found that it does not name.
    pub(crate) wrong: Vec<(u64, Origin)>,
    /// Starts it names that were not found.
    pub(crate) missed: Vec<u64>,
    /// Starts found right after calls that it does not name: LLVM does not end blocks at calls.
    pub(crate) after_calls: usize,
    /// Starts found on the second of two branches in a row that it does not name: LLVM ends a block with a group of
    /// branches (`jne a; jmp b`), of which every one but the last can fall through.
    pub(crate) second_branches: usize,
}

impl Accuracy {
    /// As [`Accuracy::precision`], with the starts on second branches counted as wrong.
    pub(crate) fn precision_by_llvm_groups(&self) -> f64 {
        self.right as f64 / (self.right + self.wrong.len() + self.second_branches) as f64
    }

    /// Share of the starts found that are right; those after calls and on second branches apart.
    pub(crate) fn precision(&self) -> f64 {
        self.right as f64 / (self.right + self.wrong.len()) as f64
    }

    /// Share of the true starts that were found.
    pub(crate) fn recall(&self) -> f64 {
        self.right as f64 / self.truth as f64
    }
}

/// Compares; `with_sweep` takes the blocks of the linear sweep as well.
pub(crate) fn measure_accuracy(truth: &Truth, index: &BlockIndex<'_, '_>, with_sweep: bool) -> Accuracy {
    let mut accuracy = Accuracy {
        truth: truth.starts.len(),
        ..Accuracy::default()
    };
    let mut found = BTreeSet::new();
    let (mut call_end, mut jcc_end) = (None, None);
    for entry in index.entries() {
        let end = Some(entry.address + u64::from(entry.length));
        let after_call = call_end == Some(entry.address) && entry.origin == Origin::AfterTerminator;
        let second_branch = jcc_end == Some(entry.address)
            && entry.instruction_count == 1
            && matches!(entry.terminator, Terminator::Jcc | Terminator::Jmp);
        call_end = end.filter(|_| matches!(entry.terminator, Terminator::Call | Terminator::IndirectCall));
        jcc_end = end.filter(|_| entry.terminator == Terminator::Jcc);
        let function = truth.functions.range(..=entry.address).next_back();
        let known = function.is_some_and(|(_, &end)| entry.address < end);
        if !known || (entry.origin == Origin::Sweep && !with_sweep) {
            continue;
        }
        if truth.starts.contains(&entry.address) {
            found.insert(entry.address);
        } else if after_call {
            accuracy.after_calls += 1;
        } else if second_branch {
            accuracy.second_branches += 1;
        } else {
            accuracy.wrong.push((entry.address, entry.origin));
        }
    }
    accuracy.right = found.len();
    accuracy.missed = truth.starts.difference(&found).copied().collect();
    accuracy
}
