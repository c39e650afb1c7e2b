//! The values of a header's keys: numbers, names and bytes as tests write them.

use serde_json::{Map, Value};

use crate::conformance::{Expected, Register};

pub(super) fn read_object(value: &Value) -> Result<&Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("{value} is not an object of keys and values"))
}

pub(super) fn read_string(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("{value} is not a string"))
}

/// A string, or a list of them.
pub(super) fn read_strings(value: &Value) -> Result<Vec<&str>, String> {
    match value {
        Value::Array(list) => list.iter().map(read_string).collect(),
        value => Ok(vec![read_string(value)?]),
    }
}

pub(super) fn read_number(value: &Value) -> Result<u64, String> {
    match value {
        Value::String(text) => number_in(text),
        value => value
            .as_u64()
            .or_else(|| value.as_i64().map(i64::cast_unsigned))
            .ok_or_else(|| format!("{value} is not a number of 64 bits")),
    }
}

/// Decimal, 0x, 0o or 0b, perhaps with a minus sign and underscores between digits.
pub(super) fn number_in(text: &str) -> Result<u64, String> {
    let digits = text.trim().replace('_', "");
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, &digits[..]),
    };
    let lower = digits.to_ascii_lowercase();
    let radix = |prefix, radix| lower.strip_prefix(prefix).map(|digits| (digits, radix));
    let (digits, radix) = radix("0x", 16)
        .or_else(|| radix("0o", 8))
        .or_else(|| radix("0b", 2))
        .unwrap_or((&lower, 10));
    let value = match digits.starts_with(['+', '-']) {
        true => None,
        false => u64::from_str_radix(digits, radix).ok(),
    };
    let value = value.ok_or_else(|| format!("{text:?} is not a number of 64 bits"))?;
    Ok(if negative { value.wrapping_neg() } else { value })
}

pub(super) fn read_expected(name: &str, values: &Value) -> Result<Expected, String> {
    let register = Register::from_name(name).ok_or_else(|| format!("{name} is no register of a test"))?;
    let values: Vec<u64> = match values {
        Value::Array(list) => list.iter().map(read_number).collect::<Result<_, _>>()?,
        value => vec![read_number(value)?],
    };
    if values.is_empty() || values.len() > register.max_values() {
        let most = register.max_values();
        return Err(format!(
            "{name} has {} values, it takes 1 to {most}",
            values.len()
        ));
    }
    Ok(Expected { register, values })
}

pub(super) fn read_registers(value: &Value, into: &mut Vec<Register>) -> Result<(), String> {
    for name in read_strings(value)? {
        match name.to_ascii_uppercase().as_str() {
            "ALL" => into.extend(Register::all()),
            "NONE" => {}
            _ => {
                into.push(
                    Register::from_name(name).ok_or_else(|| format!("{name} is no register of a test"))?,
                );
            }
        }
    }
    Ok(())
}

/// Numbers in hexadecimal with spaces between them, each stored with its lowest byte first: `AA BB` is two bytes,
/// `0x1122` is 22 11.
pub(super) fn hex_bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        let digits = word
            .strip_prefix("0x")
            .or_else(|| word.strip_prefix("0X"))
            .unwrap_or(word);
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(format!("{word} is not a hexadecimal number"));
        }
        let mut rest = digits;
        while !rest.is_empty() {
            let (before, last) = rest.split_at(rest.len().saturating_sub(2));
            bytes.push(u8::from_str_radix(last, 16).expect("hexadecimal digits"));
            rest = before;
        }
    }
    Ok(bytes)
}
