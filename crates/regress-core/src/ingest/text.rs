//! Bytes to text: encodings, escape sequences, numbers as people print them.

use std::borrow::Cow;

use super::json::JsonShape;
use super::{MeasurementCollector, ResultSource};
use crate::measurement::ProblemKind;

/// A source as text.
#[derive(Debug)]
pub(super) struct Opened<'a> {
    /// Its path as the caller gave it.
    pub(super) path: &'a str,
    /// Its text; terminal escapes are still in it.
    pub(super) text: Cow<'a, str>,
    /// What its JSON looks like, if it is any.
    pub(super) shape: Option<JsonShape>,
}

/// Decodes a source. Windows shells redirect as UTF-16 with a byte order mark, so that is read too.
pub(super) fn decode_source<'a>(
    source: &ResultSource<'a>,
    collector: &mut MeasurementCollector<'_>,
) -> Option<Opened<'a>> {
    let bytes = source.bytes;
    let limit = collector.limits().source_bytes;
    if bytes.len() > limit {
        collector.set_source(source.path);
        let detail = format!(
            "{} bytes, the limit is {limit}; split it or raise the limit",
            bytes.len()
        );
        collector.reject_source(ProblemKind::TooLarge, &detail);
        return None;
    }
    let text = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        [0xff, 0xfe, rest @ ..] => Cow::Owned(utf16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(utf16(rest, u16::from_be_bytes)),
        _ => String::from_utf8_lossy(bytes),
    };
    if matches!(text, Cow::Owned(_)) && text.contains('\u{fffd}') {
        collector.set_source(source.path);
        collector.reject_source(ProblemKind::Encoding, "unreadable characters are replaced");
    }
    let shape = JsonShape::from_text(&text);
    Some(Opened {
        path: source.path,
        text,
        shape,
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units)
        .map(|c| c.unwrap_or('\u{fffd}'))
        .collect()
}

impl Opened<'_> {
    /// The lines as a person saw them: without escape sequences, and with a carriage return ending a line, since
    /// tools redraw their progress with it.
    pub(super) fn lines(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let lines = self
            .text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line));
        lines.flat_map(|line| line.split('\r')).map(without_escapes)
    }
}

/// Drops CSI sequences (ECMA-48) and lone escape characters.
pub(super) fn without_escapes(line: &str) -> Cow<'_, str> {
    if !line.contains('\u{1b}') {
        return Cow::Borrowed(line);
    }
    let mut clean = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        clean.push_str(before);
        rest = match after.strip_prefix('[') {
            Some(sequence) => {
                let end = sequence.find(|c: char| ('\u{40}'..='\u{7e}').contains(&c));
                end.map_or("", |end| &sequence[end + 1..])
            }
            None => after,
        };
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

/// A number as tools print it: thousands separated by `,` or `_`, U+2212 for minus.
pub(super) fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let starts_well =
        text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '\u{2212}' | '+' | '.'));
    if !starts_well {
        return match text {
            "NaN" | "nan" => Some(f64::NAN),
            "inf" | "Inf" | "Infinity" => Some(f64::INFINITY),
            _ => None,
        };
    }
    text.replace([',', '_'], "").replace('\u{2212}', "-").parse().ok()
}

/// `L1 Accesses` to `l1-accesses`, `EstimatedCycles` to `estimated-cycles`: lower case, words joined by `-`.
pub(super) fn slug_from_label(label: &str) -> String {
    let mut slug = String::with_capacity(label.len() + 4);
    let mut previous = ' ';
    for c in label.chars() {
        if c.is_alphanumeric() {
            if c.is_uppercase() && previous.is_lowercase() {
                slug.push('-');
            }
            slug.extend(c.to_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        previous = c;
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_people_are_read() {
        assert_eq!(parse_number("13,967,756.30"), Some(13_967_756.3));
        assert_eq!(parse_number("\u{2212}15.108"), Some(-15.108));
        assert_eq!(parse_number("+0.5"), Some(0.5));
        assert_eq!(parse_number("infinite"), None);
        assert_eq!(parse_number("1.2.3"), None);
        assert!(parse_number("NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn escapes_are_dropped_and_unfinished_ones_do_no_harm() {
        assert_eq!(without_escapes("\u{1b}[1;32mfib\u{1b}[0m 10\u{1b}[2K"), "fib 10");
        assert_eq!(without_escapes("a\u{1b}"), "a");
        assert_eq!(without_escapes("a\u{1b}[12"), "a");
    }

    #[test]
    fn slugs() {
        assert_eq!(slug_from_label("L1 Accesses"), "l1-accesses");
        assert_eq!(slug_from_label("EstimatedCycles"), "estimated-cycles");
        assert_eq!(slug_from_label("Total read+write"), "total-read-write");
        assert_eq!(slug_from_label("At t-gmax bytes"), "at-t-gmax-bytes");
    }
}
