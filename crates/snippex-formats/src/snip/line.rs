//! One line of a `.snip` file, as words.

use super::error::{SnipError, SnipProblem};

/// A line that says something: its number, the words, and for `title` and `note` the text.
#[derive(Clone, Debug)]
pub(super) struct Line<'t> {
    pub(super) number: usize,
    pub(super) words: Vec<&'t str>,
    /// Everything after the first word, as it stands.
    pub(super) text: &'t str,
}

/// Longest line that is looked at; a longer one is no text that somebody wrote.
const LONGEST: usize = 1 << 16;

/// The lines of `text` that are not empty.
pub(super) fn split_lines(text: &str) -> Result<Vec<Line<'_>>, SnipError> {
    let mut lines = Vec::new();
    for (index, whole) in text.lines().enumerate() {
        let number = index + 1;
        if whole.len() > LONGEST {
            return Err(SnipError {
                line: number,
                problem: SnipProblem::TooMany {
                    what: "bytes in a line",
                    most: LONGEST,
                },
            });
        }
        let trimmed = whole.trim();
        let (first, text) = trimmed.split_once(char::is_whitespace).unwrap_or((trimmed, ""));
        let free = matches!(first, "title" | "note");
        let said = if free {
            first
        } else {
            trimmed.split('#').next().unwrap_or("")
        };
        let words: Vec<&str> = said.split_whitespace().collect();
        if !words.is_empty() {
            lines.push(Line {
                number,
                words,
                text: text.trim(),
            });
        }
    }
    Ok(lines)
}

impl Line<'_> {
    /// An error in this line.
    pub(super) fn error(&self, problem: SnipProblem) -> SnipError {
        SnipError {
            line: self.number,
            problem,
        }
    }

    /// The words after the first; exactly one.
    pub(super) fn only_word(&self, what: &'static str) -> Result<&str, SnipError> {
        match self.words[1..] {
            [] => Err(self.error(SnipProblem::Missing(what))),
            [word] => Ok(word),
            [_, surplus, ..] => Err(self.error(SnipProblem::Surplus(surplus.to_owned()))),
        }
    }

    /// Nothing may follow the first `count` words.
    pub(super) fn ends_after(&self, count: usize) -> Result<(), SnipError> {
        match self.words.get(count) {
            None => Ok(()),
            Some(surplus) => Err(self.error(SnipProblem::Surplus((*surplus).to_owned()))),
        }
    }

    /// Bytes in `words`, each two hexadecimal digits.
    pub(super) fn parse_bytes(&self, words: &[&str]) -> Result<Vec<u8>, SnipError> {
        let byte = |word: &&str| {
            let wrong = || self.error(SnipProblem::Byte((*word).to_owned()));
            match word.as_bytes() {
                [high, low] => {
                    let digit = |digit: u8| char::from(digit).to_digit(16).ok_or_else(wrong);
                    Ok((digit(*high)? << 4 | digit(*low)?) as u8)
                }
                _ => Err(wrong()),
            }
        };
        words.iter().map(byte).collect()
    }
}

/// A number of 64 bits.
pub(super) fn parse_number(word: &str) -> Result<u64, SnipProblem> {
    let wrong = || SnipProblem::Number(word.to_owned());
    let (digits, radix) = match word.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (word, 10),
    };
    let mut value: u64 = 0;
    let mut some = false;
    for digit in digits.chars().filter(|digit| *digit != '_') {
        let digit = digit.to_digit(radix).ok_or_else(wrong)?;
        value = value
            .checked_mul(u64::from(radix))
            .and_then(|value| value.checked_add(u64::from(digit)))
            .ok_or_else(|| SnipProblem::Width {
                value: word.chars().take(80).collect(),
                bits: 64,
            })?;
        some = true;
    }
    if some { Ok(value) } else { Err(wrong()) }
}
