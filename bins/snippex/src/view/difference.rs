//! One difference in words: `ZF is 1, not 0`.

use snippex_core::diff::{Difference, Field, Value};
use snippex_core::observation::{Endpoint, Signal, signal_name};

/// What differs, in a sentence without a full stop. The engine under test comes first.
pub(crate) fn sentence(difference: &Difference) -> String {
    match (&difference.expected, &difference.actual) {
        (Value::Endpoint(expected), Value::Endpoint(actual)) => {
            format!("{}, not {}", endpoint(actual), without_verb(expected))
        }
        (expected, actual) => {
            let (actual, expected) = (value(difference, actual), value(difference, expected));
            format!(
                "{}{} is {actual}, not {expected}",
                difference.name,
                lane(difference)
            )
        }
    }
}

/// How a run ended: `goes to 0x...`, `SIGSEGV at 0x...`.
pub(crate) fn endpoint(endpoint: &Endpoint) -> String {
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

/// Which bytes of a vector register are shown.
fn lane(difference: &Difference) -> String {
    match difference.field {
        Field::Vector { first, last, .. } => format!("[{first}..={last}]"),
        _ => String::new(),
    }
}

/// A value, of a vector only the bytes that differ.
fn value(difference: &Difference, value: &Value) -> String {
    const MOST: usize = 16;
    match value {
        Value::None => "nothing".to_owned(),
        Value::Number(number) if matches!(difference.field, Field::Flag { .. }) => number.to_string(),
        Value::Number(number) => format!("{number:#x}"),
        Value::Endpoint(found) => endpoint(found),
        Value::Bytes(bytes) => {
            let shown = match difference.field {
                Field::Vector { first, last, .. } => {
                    bytes.get(usize::from(first)..=usize::from(last)).unwrap_or(bytes)
                }
                _ => bytes,
            };
            let more = if shown.len() > MOST { ".." } else { "" };
            let digits: String = shown
                .iter()
                .take(MOST)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("{digits}{more}")
        }
    }
}
