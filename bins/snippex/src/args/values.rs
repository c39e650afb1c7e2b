//! Values of options that need reading.

use std::ops::Range;
use std::str::FromStr;

use snippex_blocks::select::{self, FilterError};
use snippex_core::decode::Kinds;
use snippex_exec::engine::Configuration;
use snippex_store::Partition;

/// Part `index` of `count`, written `index/count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionArg {
    /// From 1.
    pub(crate) index: u32,
    /// How many parts there are.
    pub(crate) count: u32,
}

impl From<PartitionArg> for Partition {
    fn from(part: PartitionArg) -> Self {
        Self {
            index: part.index,
            count: part.count,
        }
    }
}

impl FromStr for PartitionArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/').and_then(|(index, count)| {
            let (index, count) = (index.parse().ok()?, count.parse().ok()?);
            (1..=count).contains(&index).then_some(Self { index, count })
        });
        parts.ok_or("write K/N with K from 1 to N, for example 2/8")
    }
}

/// A seed, decimal or hexadecimal with 0x.
pub(crate) fn seed(text: &str) -> Result<u64, &'static str> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| "write a number below 2^64, decimal or hexadecimal with 0x")
}

/// `NAME=VALUE`.
pub(crate) fn variable(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE"),
    }
}

/// `NAME: WORD ...`: words like `NAME=VALUE` are variables when the name is in capitals, all others arguments.
pub(crate) fn configuration(text: &str) -> Result<(String, Configuration), &'static str> {
    let (name, words) = text
        .split_once(':')
        .ok_or("write 'NAME: VARIABLE=VALUE ARGUMENT ...'")?;
    let name = name.trim();
    if name.is_empty() || name.contains(['/', '+']) || name.contains(char::is_whitespace) {
        return Err("the name of a configuration has no spaces, / or +");
    }
    let mut configuration = Configuration::default();
    for word in words.split_whitespace() {
        let capital = |character: char| matches!(character, 'A'..='Z' | '0'..='9' | '_');
        match word.split_once('=') {
            Some((name, value)) if !name.is_empty() && name.chars().all(capital) => {
                configuration
                    .environment
                    .insert(name.to_owned(), value.to_owned());
            }
            _ => configuration.arguments.push(word.to_owned()),
        }
    }
    Ok((name.to_owned(), configuration))
}

pub(crate) fn address_range(text: &str) -> Result<Range<u64>, FilterError> {
    select::address_range(text)
}

pub(crate) fn instruction_types(text: &str) -> Result<Kinds, FilterError> {
    select::instruction_types(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_from_one() {
        for text in ["0/2", "3/2", "1/0", "1", "a/b", "-1/2"] {
            assert!(text.parse::<PartitionArg>().is_err(), "{text}");
        }
        assert_eq!("2/8".parse(), Ok(PartitionArg { index: 2, count: 8 }));
    }

    #[test]
    fn seeds_use_all_64_bits() {
        assert_eq!(seed("0xffffffffffffffff"), Ok(u64::MAX));
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        assert!(seed("-1").is_err() && seed("0x").is_err());
    }
}
