//! Which blocks a command is about: `5`, `1-10`, `5-`, `3,7,12`, `all`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::ids::BlockNumber;

const LAST: i64 = i64::MAX;

/// A set of block numbers: ascending ranges that neither touch nor overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    ranges: Vec<(i64, i64)>,
}

/// The text is not a selection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{part:?} does not select blocks: {reason}")]
pub struct ParseSelectionError {
    /// The part between commas that is wrong.
    pub part: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Selection {
    /// Every block.
    #[must_use]
    pub fn all() -> Self {
        Self {
            ranges: vec![(1, LAST)],
        }
    }

    /// Exactly these blocks, in any order.
    #[must_use]
    pub fn from_numbers(numbers: impl IntoIterator<Item = BlockNumber>) -> Self {
        Self::merge(numbers.into_iter().map(|number| (number.0, number.0)).collect())
    }

    /// The blocks from `first` to `last`, both included.
    #[must_use]
    pub fn from_range(first: BlockNumber, last: BlockNumber) -> Self {
        Self::merge(vec![(first.0, last.0)])
    }

    /// First and last number of each range, in ascending order.
    pub fn ranges(&self) -> impl Iterator<Item = (BlockNumber, BlockNumber)> + '_ {
        self.ranges
            .iter()
            .map(|&(first, last)| (BlockNumber(first), BlockNumber(last)))
    }

    /// Whether the block is selected.
    #[must_use]
    pub fn contains(&self, number: BlockNumber) -> bool {
        self.ranges
            .iter()
            .any(|&(first, last)| (first..=last).contains(&number.0))
    }

    /// What is left of it above `number`; `None` when that is nothing.
    #[must_use]
    pub fn remaining_after(&self, number: BlockNumber) -> Option<Self> {
        let next = number.0.checked_add(1)?;
        let left = Self::merge(
            self.ranges
                .iter()
                .map(|&(first, last)| (first.max(next), last))
                .collect(),
        );
        (!left.ranges.is_empty()).then_some(left)
    }

    fn merge(mut ranges: Vec<(i64, i64)>) -> Self {
        ranges.retain(|(first, last)| first <= last);
        ranges.sort_unstable();
        let mut merged: Vec<(i64, i64)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged }
    }
}

impl FromStr for Selection {
    type Err = ParseSelectionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ranges = text
            .split(',')
            .map(|part| parse_range(part.trim()))
            .collect::<Result<_, _>>()?;
        Ok(Self::merge(ranges))
    }
}

fn parse_range(part: &str) -> Result<(i64, i64), ParseSelectionError> {
    let refuse = |reason| ParseSelectionError {
        part: part.to_owned(),
        reason,
    };
    let number = |text: &str| match text.trim().parse::<i64>() {
        Ok(number) if number > 0 && text.trim().bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(refuse("write 5, 1-10, 5-, 3,7,12 or all; numbers start at 1")),
    };
    if part == "all" {
        return Ok((1, LAST));
    }
    let (first, last) = match part.split_once('-') {
        None => (number(part)?, number(part)?),
        Some((first, "")) => (number(first)?, LAST),
        Some((first, last)) => (number(first)?, number(last)?),
    };
    if first > last {
        return Err(refuse("the range ends before it starts"));
    }
    Ok((first, last))
}

impl fmt::Display for Selection {
    /// As it would be typed, in the shortest way.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, &(first, last)) in self.ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match (first, last) {
                (1, LAST) => write!(f, "{comma}all")?,
                (_, LAST) => write!(f, "{comma}{first}-")?,
                _ if first == last => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_is_read() {
        let ranges = |text: &str| text.parse::<Selection>().unwrap().ranges;
        assert_eq!(ranges("5"), [(5, 5)]);
        assert_eq!(ranges("1-10"), [(1, 10)]);
        assert_eq!(ranges("5-"), [(5, LAST)]);
        assert_eq!(ranges("12, 3,7"), [(3, 3), (7, 7), (12, 12)]);
        assert_eq!(ranges("all"), [(1, LAST)]);
        assert_eq!(ranges("1-4,3-6,7"), [(1, 7)]);
        assert_eq!(ranges("5-,9223372036854775807"), [(5, LAST)]);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "0",
            "-5",
            "a",
            "1,,2",
            "5-3",
            "1-2-3",
            "+5",
            "99999999999999999999",
            "1-0",
        ] {
            assert!(text.parse::<Selection>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_selection_is_written_as_it_is_read(numbers in prop::collection::btree_set(1..60_i64, 1..30)) {
            let selection = Selection::from_numbers(numbers.iter().copied().map(BlockNumber));
            prop_assert_eq!(selection.to_string().parse::<Selection>().unwrap(), selection.clone());
            for number in 0..62 {
                prop_assert_eq!(selection.contains(BlockNumber(number)), numbers.contains(&number));
            }
            let (after, left) = (BlockNumber(30), numbers.range(31..).copied().map(BlockNumber));
            let left = Selection::from_numbers(left);
            prop_assert_eq!(selection.remaining_after(after), (!left.ranges.is_empty()).then_some(left));
        }
    }
}
