//! Values of this crate as people read them: the word for an enum's value, a difference in a sentence.
//!
//! Views, titles of reproducers and stored results all say the same thing in the same words, which are these. Nothing
//! here knows of tables, colours or languages.

use std::borrow::Cow;

use serde::Serialize;

use crate::diff::{Difference, Field, Value};
use crate::named_bits::{MXCSR, NamedField, X87_CONTROL, X87_STATUS, differing_fields};
use crate::observation::{Endpoint, Signal, signal_name};

/// The word that a value of an enum is stored and shown as, such as `fall-through`; empty when it is more than a word.
#[must_use]
pub fn kebab_case(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// A name or path as people see it: what would control a terminal, begin a line or turn the direction of text is written as its
/// escape (`\n`, `\u{1b}`). A file may be called anything.
#[must_use]
pub fn escape_control(name: &str) -> Cow<'_, str> {
    let turns =
        |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}');
    let is_escaped = |c: char| c.is_control() || turns(c);
    if !name.contains(is_escaped) {
        return Cow::Borrowed(name);
    }
    let mut shown = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        if is_escaped(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// What differs, in a sentence without a full stop: `ZF is 1, not 0`. The subject comes first. Of a register whose bits
/// have names those are named that count.
#[must_use]
pub fn difference_sentence(difference: &Difference) -> String {
    if let Some(sentence) = named_bits_sentence(difference) {
        return sentence;
    }
    match (&difference.expected, &difference.actual) {
        (Value::Endpoint(expected), Value::Endpoint(actual)) => {
            format!("{}, not {}", endpoint_words(actual), without_verb(expected))
        }
        (expected, actual) => {
            let (actual, expected) = (value(difference, actual), value(difference, expected));
            format!("{} {actual}, not {expected}", subject(difference))
        }
    }
}

/// `C1 is 1, not 0; TOP is 5, not 6`; `None` of what has no bits with names.
fn named_bits_sentence(difference: &Difference) -> Option<String> {
    let fields: &[NamedField] = match difference.field {
        Field::X87Status => &X87_STATUS,
        Field::X87Control => &X87_CONTROL,
        Field::Mxcsr => &MXCSR,
        _ => return None,
    };
    let (Value::Number(expected), Value::Number(actual), Value::Number(counted)) =
        (&difference.expected, &difference.actual, &difference.differing)
    else {
        return None;
    };
    let sentences: Vec<String> = differing_fields(fields, *expected, *actual)
        .filter(|(field, _)| field.mask() & counted != 0)
        .map(|(_, sentence)| sentence)
        .collect();
    (!sentences.is_empty()).then(|| format!("{}: {}", difference.name, sentences.join("; ")))
}

/// How a run ended: `goes to 0x...`, `SIGSEGV at 0x...`.
#[must_use]
pub fn endpoint_words(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Exit { target } => format!("goes to {target:#x}"),
        Endpoint::Signal(signal) => raised(signal),
        Endpoint::Hung => "does not end".to_owned(),
        Endpoint::EngineDied { signal: Some(number) } => format!("dies of {}", signal_name(*number)),
        Endpoint::EngineDied { signal: None } => "dies".to_owned(),
    }
}

fn without_verb(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Exit { target } => format!("to {target:#x}"),
        Endpoint::Signal(signal) => raised(signal),
        Endpoint::Hung => "hangs".to_owned(),
        Endpoint::EngineDied { .. } => "dies".to_owned(),
    }
}

fn raised(signal: &Signal) -> String {
    let name = signal_name(i32::from(signal.number));
    let address = match signal.number {
        7 | 11 => format!(" for {:#x}", signal.address),
        _ => String::new(),
    };
    format!("{name} at {:#x}{address}", signal.rip)
}

/// What a sentence is about, with its verb; of a vector register the bytes that are shown, counted from the lowest.
fn subject(difference: &Difference) -> String {
    let name = &difference.name;
    match difference.field {
        Field::Vector { first, last, .. } if first == last => format!("byte {first} of {name} is"),
        Field::Vector { first, last, .. } => format!("bytes {first} to {last} of {name} are"),
        _ => format!("{name} is"),
    }
}

/// A value, of a vector only the bytes that differ.
fn value(difference: &Difference, value: &Value) -> String {
    const MAX: usize = 16;
    match value {
        Value::None => "nothing".to_owned(),
        Value::Number(number) if matches!(difference.field, Field::Flag { .. }) => number.to_string(),
        Value::Number(number) => format!("{number:#x}"),
        Value::Endpoint(found) => endpoint_words(found),
        Value::Bytes(bytes) => {
            let shown = match difference.field {
                Field::Vector { first, last, .. } => {
                    bytes.get(usize::from(first)..=usize::from(last)).unwrap_or(bytes)
                }
                _ => bytes,
            };
            let more = if shown.len() > MAX { ".." } else { "" };
            let digits = shown.iter().take(MAX).map(|byte| format!("{byte:02x}"));
            // A register is a number, and written as the table writes it: the highest byte first.
            let digits: String = match difference.field {
                Field::X87Register { .. } => digits.rev().collect(),
                _ => digits.collect(),
            };
            format!("{digits}{more}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_neither_begin_a_line_nor_control_a_terminal() {
        assert_eq!(escape_control("b\u{e4}sh 'x'"), "b\u{e4}sh 'x'");
        assert_eq!(
            escape_control("a\nb\u{1b}[2J\u{9b}\u{202e}c"),
            "a\\nb\\u{1b}[2J\\u{9b}\\u{202e}c"
        );
    }

    #[test]
    fn registers_are_written_as_numbers_and_memory_as_it_lies() {
        let bytes = |byte| Value::Bytes(vec![byte, 0, 0xc0]);
        let said = |field, name: &str| {
            difference_sentence(&Difference {
                field,
                name: name.to_owned(),
                expected: bytes(1),
                actual: bytes(2),
                differing: bytes(3),
            })
        };
        assert_eq!(
            said(Field::X87Register { index: 7 }, "st(7)"),
            "st(7) is c00002, not c00001"
        );
        assert_eq!(
            said(Field::Memory { address: 0x10 }, "[0x10]"),
            "[0x10] is 0200c0, not 0100c0"
        );
    }

    #[test]
    fn bytes_of_a_vector_are_counted() {
        let mut found = [0; 64];
        found[8] = 2;
        let said = |last| {
            difference_sentence(&Difference {
                field: Field::Vector {
                    register: 1,
                    first: 8,
                    last,
                },
                name: "xmm1".to_owned(),
                expected: Value::Bytes(found.to_vec()),
                actual: Value::Bytes(vec![0; 64]),
                differing: Value::Bytes(found.to_vec()),
            })
        };
        assert_eq!(said(8), "byte 8 of xmm1 is 00, not 02");
        assert_eq!(said(9), "bytes 8 to 9 of xmm1 are 0000, not 0200");
    }

    #[test]
    fn bits_that_count_are_called_by_their_names() {
        let difference = |differing| Difference {
            field: Field::X87Status,
            name: "fsw".to_owned(),
            expected: Value::Number(0x3800),
            actual: Value::Number(0x2a00),
            differing: Value::Number(differing),
        };
        assert_eq!(
            difference_sentence(&difference(0x1200)),
            "fsw: C1 is 1, not 0; TOP is 5, not 7"
        );
        assert_eq!(difference_sentence(&difference(0x0200)), "fsw: C1 is 1, not 0");
    }
}
