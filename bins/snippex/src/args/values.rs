//! Values of options that need reading.

use std::ops::Range;
use std::str::FromStr;
use std::time::Duration;

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
pub(crate) fn parse_seed(text: &str) -> Result<u64, &'static str> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.map_err(|_| "write a number below 2^64, decimal or hexadecimal with 0x")
}

/// One word, such as the URL of an issue.
pub(crate) fn one_word(text: &str) -> Result<String, &'static str> {
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        [word] => Ok(word.to_owned()),
        _ => Err("write one word, such as a URL"),
    }
}

/// Words that say something.
pub(crate) fn some_words(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("write a few words"),
        words => Ok(words.to_owned()),
    }
}

/// An age in words, `90s`, `15m`, `12h` or `7d`.
pub(crate) fn parse_age(text: &str) -> Result<Duration, &'static str> {
    let wrong = "write a number and s, m, h or d, for example 7d";
    let unit = text.char_indices().next_back().map_or(0, |(index, _)| index);
    let (number, unit) = text.split_at(unit);
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong),
    };
    let number: u64 = number.parse().map_err(|_| wrong)?;
    let age = number.checked_mul(seconds).ok_or("it is too long")?;
    Ok(Duration::from_secs(age))
}

/// A size in words, `500MiB` or `2GiB`; without a unit in bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, &'static str> {
    let wrong = "write a number and KiB, MiB or GiB, for example 2GiB";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let bytes: u64 = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong),
    };
    let number: u64 = number.parse().map_err(|_| wrong)?;
    number.checked_mul(bytes).ok_or("it is too large")
}

/// The text of an [`parse_age`].
pub(crate) fn age_text(text: &str) -> Result<String, &'static str> {
    parse_age(text).map(|_| text.to_owned())
}

/// The text of a [`parse_size`].
pub(crate) fn size_text(text: &str) -> Result<String, &'static str> {
    parse_size(text).map(|_| text.to_owned())
}

/// `NAME=VALUE`.
pub(crate) fn parse_environment_variable(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE"),
    }
}

/// `NAME: WORD ...`: words like `NAME=VALUE` are variables when the name is in capitals, all others arguments.
pub(crate) fn parse_engine_configuration(text: &str) -> Result<(String, Configuration), &'static str> {
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

/// A switch.
pub(crate) fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => Err("it is on or off".to_owned()),
    }
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
    fn ages_and_sizes_have_units() {
        assert_eq!(parse_age("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(parse_age("0s"), Ok(Duration::ZERO));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        assert_eq!((parse_size("512"), parse_size("3 MiB")), (Ok(512), Ok(3 << 20)));
        for text in [
            "",
            "7",
            "-7d",
            "d",
            "7w",
            "1.5h",
            "99999999999999999999d",
            "7\u{e4}",
            "\u{20ac}",
        ] {
            assert!(parse_age(text).is_err(), "{text}");
        }
        for text in ["", "GiB", "-1GiB", "2GB", "99999999999GiB", "\u{20ac}"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn seeds_use_all_64_bits() {
        assert_eq!(parse_seed("0xffffffffffffffff"), Ok(u64::MAX));
        assert_eq!(parse_seed("18446744073709551615"), Ok(u64::MAX));
        assert!(parse_seed("-1").is_err() && parse_seed("0x").is_err());
    }
}
