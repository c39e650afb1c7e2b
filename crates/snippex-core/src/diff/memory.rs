//! Comparison of written memory.

use std::borrow::Cow;

use super::difference::{Difference, Field, Noted, Value};
use crate::case::{Case, PAGE_SIZE};
use crate::effects::Mask;
use crate::observation::{ChangedLine, LINE_SIZE};

/// Every run of bytes that differ in defined bits. Excused ones are noted.
pub(super) fn memory_differences(
    case: &Case,
    expected: &[ChangedLine],
    actual: &[ChangedLine],
    mask: &Mask,
    noted: &mut Noted,
) -> Vec<Difference> {
    let mut runs: Vec<Difference> = Vec::new();
    let mut next = 0;
    for (address, expected, actual) in paired(case, expected, actual) {
        for (offset, (&a, &b)) in expected.iter().zip(actual.iter()).enumerate() {
            if a == b {
                continue;
            }
            let address = address.wrapping_add(offset as u64);
            let (open, rules) = mask.memory_at(address);
            let differing = (a ^ b) & !open;
            if differing == 0 {
                noted.note_rules(rules);
                continue;
            }
            match runs.last_mut() {
                Some(run) if next == address => extend(run, a, b, differing),
                _ => runs.push(begin(address, a, b, differing)),
            }
            next = address.wrapping_add(1);
        }
    }
    runs
}

/// Lines that either run changed, with the content after both: what one did not change, the case has.
fn paired<'a>(
    case: &'a Case,
    mut expected: &'a [ChangedLine],
    mut actual: &'a [ChangedLine],
) -> impl Iterator<Item = (u64, Cow<'a, [u8]>, Cow<'a, [u8]>)> {
    std::iter::from_fn(move || {
        let address = match (expected.first(), actual.first()) {
            (Some(a), Some(b)) => a.address.min(b.address),
            (Some(line), None) | (None, Some(line)) => line.address,
            (None, None) => return None,
        };
        let take = |lines: &mut &'a [ChangedLine]| match lines.split_first() {
            Some((line, rest)) if line.address == address => {
                *lines = rest;
                Cow::Borrowed(&line.bytes[..])
            }
            _ => initial(case, address),
        };
        Some((address, take(&mut expected), take(&mut actual)))
    })
}

/// What the case has at a line; zeros where it has no page, which no engine can have changed.
fn initial(case: &Case, address: u64) -> Cow<'_, [u8]> {
    let page = address & !(PAGE_SIZE as u64 - 1);
    let start = (address - page) as usize;
    case.pages
        .binary_search_by_key(&page, |page| page.address)
        .ok()
        .and_then(|index| case.pages[index].content.get(start..start + LINE_SIZE))
        .map_or(Cow::Owned(vec![0; LINE_SIZE]), Cow::Borrowed)
}

fn begin(address: u64, expected: u8, actual: u8, differing: u8) -> Difference {
    Difference {
        field: Field::Memory { address },
        name: format!("[{address:#x}]"),
        expected: Value::Bytes(vec![expected]),
        actual: Value::Bytes(vec![actual]),
        differing: Value::Bytes(vec![differing]),
    }
}

fn extend(run: &mut Difference, expected: u8, actual: u8, differing: u8) {
    for (value, byte) in [
        (&mut run.expected, expected),
        (&mut run.actual, actual),
        (&mut run.differing, differing),
    ] {
        if let Value::Bytes(bytes) = value {
            bytes.push(byte);
        }
    }
}
