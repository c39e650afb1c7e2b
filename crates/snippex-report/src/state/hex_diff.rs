//! Memory that runs changed or left differently: sixteen bytes a line, with their characters.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::RangeInclusive;

use anstyle::Style;
use cli_kit::style::{BAD, FAINT, HEADING, UNSURE};
use serde::Serialize;
use snippex_core::case::Case;
use snippex_core::diff::{Comparison, Field, Value};
use snippex_core::observation::Observation;

/// Bytes in a line.
pub(super) const LINE: usize = 16;

/// How memory is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HexFormat {
    /// A line for each end, one below the other.
    #[default]
    Unified,
    /// The ends side by side.
    Split,
    /// As JSON, a line of memory an object.
    Json,
}

/// Which memory is shown, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryOptions {
    /// Form.
    pub format: HexFormat,
    /// Only lines with bytes at these run-time addresses.
    pub region: Option<RangeInclusive<u64>>,
    /// Only lines in which ends differ, not those that changed alike.
    pub differing_only: bool,
}

/// One line of memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryLine {
    /// Run-time address of its first byte.
    #[serde(serialize_with = "as_hex_number")]
    address: u64,
    /// Before the run.
    #[serde(serialize_with = "as_digits")]
    start: Vec<u8>,
    /// At each end.
    #[serde(serialize_with = "all_as_digits")]
    ends: Vec<Vec<u8>>,
    /// Offsets of the bytes in which the ends differ, from the start of the line.
    differing: Vec<u8>,
    /// Those of them that count: the manuals define them, and no documented deviation excuses them.
    counted: Vec<u8>,
}

fn as_hex_number<S: serde::Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:#x}"))
}

fn as_digits<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

fn all_as_digits<S: serde::Serializer>(ends: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ends.iter().map(hex::encode))
}

/// The lines of memory that some end of `case` changed.
#[must_use]
pub fn memory_lines(
    case: &Case,
    ends: &[&Observation],
    comparison: Option<&Comparison>,
    options: &MemoryOptions,
) -> Vec<MemoryLine> {
    let counted = counted_addresses(comparison);
    let mut changed: BTreeMap<u64, Vec<Option<&[u8]>>> = BTreeMap::new();
    for (index, end) in ends.iter().enumerate() {
        for line in &end.memory {
            for (part, bytes) in line.bytes.chunks_exact(LINE).enumerate() {
                let address = line.address + (part * LINE) as u64;
                changed.entry(address).or_insert_with(|| vec![None; ends.len()])[index] = Some(bytes);
            }
        }
    }
    let lines = changed.into_iter().map(|(address, found)| {
        let start = crate::ends::initial_bytes_at(case, address, LINE).to_vec();
        let ends: Vec<Vec<u8>> = found
            .into_iter()
            .map(|bytes| bytes.map_or_else(|| start.clone(), <[u8]>::to_vec))
            .collect();
        let differing: Vec<u8> = (0..LINE as u8)
            .filter(|&at| {
                let mut values = ends.iter().map(|end| end[usize::from(at)]);
                let first = values.next();
                values.any(|value| Some(value) != first)
            })
            .collect();
        let counts = |at: &u8| counted.contains(&(address + u64::from(*at)));
        MemoryLine {
            address,
            counted: differing.iter().copied().filter(counts).collect(),
            start,
            ends,
            differing,
        }
    });
    let shown = |line: &MemoryLine| {
        let touched = line.ends.iter().any(|end| *end != line.start);
        let last = line.address + LINE as u64 - 1;
        let inside = options
            .region
            .as_ref()
            .is_none_or(|region| *region.start() <= last && line.address <= *region.end());
        touched && inside && (!options.differing_only || !line.differing.is_empty())
    };
    lines.filter(shown).collect()
}

/// Addresses of the bytes that the comparison counts.
fn counted_addresses(comparison: Option<&Comparison>) -> BTreeSet<u64> {
    let Some(Comparison::Diverged(divergence)) = comparison else {
        return BTreeSet::new();
    };
    let mut counted = BTreeSet::new();
    for difference in &divergence.differences {
        if let (Field::Memory { address }, Value::Bytes(mask)) = (difference.field, &difference.differing) {
            let set = mask.iter().zip(address..).filter(|(byte, _)| **byte != 0);
            counted.extend(set.map(|(_, address)| address));
        }
    }
    counted
}

/// The lines as text, under a heading that sums them up; empty when there are none. `titles` are those of the ends.
#[must_use]
pub fn hex_diff(
    lines: &[MemoryLine],
    titles: &[&str],
    format: HexFormat,
    color: bool,
    width: Option<u16>,
) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("{HEADING}memory{HEADING:#}  {}\n", summary(lines));
    match format {
        HexFormat::Json => {
            let json = serde_json::to_string_pretty(lines).expect("plain data is JSON");
            text += &json;
            text.push('\n');
        }
        HexFormat::Unified => unified(&mut text, lines, titles, color, width),
        HexFormat::Split => split(&mut text, lines, titles, color, width),
    }
    text.truncate(text.trim_end().len());
    text
}

/// `3 of 16 bytes differ: [0x1000] +5..+7`.
fn summary(lines: &[MemoryLine]) -> String {
    let differing: usize = lines.iter().map(|line| line.differing.len()).sum();
    let counted: usize = lines.iter().map(|line| line.counted.len()).sum();
    if differing == 0 {
        return format!("{} changed", crate::format_count(lines.len() as u64, "line"));
    }
    let mut places = Vec::new();
    for line in lines.iter().filter(|line| !line.differing.is_empty()) {
        let offsets = offset_ranges(&line.differing).join(" ");
        places.push(format!("[{:#x}] {offsets}", line.address));
    }
    const MAX: usize = 4;
    let more = if places.len() > MAX {
        format!(", and {} more lines", places.len() - MAX)
    } else {
        String::new()
    };
    places.truncate(MAX);
    let open = match differing - counted {
        0 => String::new(),
        open => format!(", {open} of them left open"),
    };
    format!(
        "{} differ{}{open}: {}{more}",
        crate::format_count(differing as u64, "byte"),
        if differing == 1 { "s" } else { "" },
        places.join(", ")
    )
}

/// `+5..+7`, `+9`.
fn offset_ranges(offsets: &[u8]) -> Vec<String> {
    let mut ranges: Vec<(u8, u8)> = Vec::new();
    for &offset in offsets {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == offset => *last = offset,
            _ => ranges.push((offset, offset)),
        }
    }
    let texts = ranges.into_iter().map(|(first, last)| {
        if first == last {
            format!("+{first}")
        } else {
            format!("+{first}..+{last}")
        }
    });
    texts.collect()
}

/// Where each byte of a line stands in its digits: in groups of four where there is little room.
struct Layout {
    apart: bool,
}

impl Layout {
    fn new(width: Option<u16>, needed: u16) -> Self {
        Self {
            apart: width.is_none_or(|width| width >= needed),
        }
    }

    /// Separator before byte `at`.
    fn gap(&self, at: usize) -> &'static str {
        match (at, self.apart) {
            (0, _) => "",
            (8, true) => "  ",
            (_, true) => " ",
            (at, false) if at.is_multiple_of(4) => " ",
            _ => "",
        }
    }

    /// Digits and characters of `bytes`, those at `marked` in a style.
    fn cells(&self, bytes: &[u8], marked: impl Fn(u8) -> Option<Style>) -> String {
        let mut digits = String::new();
        let mut characters = String::new();
        for (at, byte) in bytes.iter().enumerate() {
            let shown = match byte {
                0x20..=0x7e => char::from(*byte),
                _ => '.',
            };
            digits += self.gap(at);
            if let Some(style) = marked(at as u8) {
                let _ = write!(digits, "{style}{byte:02x}{style:#}");
                let _ = write!(characters, "{style}{shown}{style:#}");
            } else {
                let _ = write!(digits, "{byte:02x}");
                characters.push(shown);
            }
        }
        format!("{digits}  |{characters}|")
    }

    /// Marks below the digits of bytes that differ: `^^` where they count, `~~` where not.
    fn marks(&self, line: &MemoryLine) -> String {
        let mut text = String::new();
        for at in 0..LINE {
            text += self.gap(at);
            text += match (
                line.differing.contains(&(at as u8)),
                line.counted.contains(&(at as u8)),
            ) {
                (true, true) => "^^",
                (true, false) => "~~",
                _ => "  ",
            };
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl MemoryLine {
    fn style_of(&self, at: u8) -> Option<Style> {
        if self.counted.contains(&at) {
            Some(BAD.invert())
        } else if self.differing.contains(&at) {
            Some(UNSURE.invert())
        } else {
            None
        }
    }

    /// Whether all ends are the same.
    fn agrees(&self) -> bool {
        self.differing.is_empty()
    }
}

fn unified(text: &mut String, lines: &[MemoryLine], titles: &[&str], color: bool, width: Option<u16>) {
    // The first line of each has the address, the others say whose end they are.
    let addresses = lines.iter().map(|line| format!("{:x}", line.address).len());
    let names = addresses
        .chain(titles.iter().map(|title| title.len()))
        .max()
        .unwrap_or(0);
    let layout = Layout::new(width, 3 + names as u16 + 2 + 48 + 2 + 18);
    for line in lines {
        let _ = writeln!(
            text,
            "   {FAINT}{:<names$x}  {}{FAINT:#}",
            line.address,
            layout.cells(&line.start, |_| None)
        );
        let shown = if line.agrees() { 1 } else { line.ends.len() };
        for (index, end) in line.ends.iter().take(shown).enumerate() {
            let (sign, title) = match (line.agrees(), index) {
                (true, _) if line.ends.len() > 1 => ('=', "all"),
                (true, _) => ('=', titles.first().copied().unwrap_or("end")),
                (false, 0) => ('-', titles.first().copied().unwrap_or("")),
                (false, index) => ('+', titles.get(index).copied().unwrap_or("")),
            };
            let cells = layout.cells(end, |at| line.style_of(at).filter(|_| index > 0));
            let _ = writeln!(text, " {sign} {title:names$}  {cells}");
        }
        if !color && !line.agrees() {
            let _ = writeln!(text, "   {:names$}  {}", "", layout.marks(line));
        }
    }
}

fn split(text: &mut String, lines: &[MemoryLine], titles: &[&str], color: bool, width: Option<u16>) {
    let columns = titles.len().max(1);
    let layout = Layout::new(width, 17 + columns as u16 * 70);
    let cell = layout.cells(&[0; LINE], |_| None).chars().count();
    let shown = lines.iter().map(|line| format!("{:x}", line.address).len());
    let pad = shown.max().unwrap_or(0);
    let _ = write!(text, "   {:pad$}", "");
    for title in titles {
        let _ = write!(
            text,
            "  {HEADING}{title}{HEADING:#}{}",
            " ".repeat(cell.saturating_sub(title.len()))
        );
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    for line in lines {
        let sign = if line.agrees() { ' ' } else { '!' };
        let _ = write!(text, " {sign} {FAINT}{:>pad$x}{FAINT:#}", line.address);
        for (index, end) in line.ends.iter().enumerate() {
            let cells = layout.cells(end, |at| line.style_of(at).filter(|_| index > 0));
            let _ = write!(text, "  {cells}");
        }
        text.push('\n');
        if !color && !line.agrees() {
            let before = 3 + pad + 2 + (columns - 1) * (cell + 2);
            let _ = writeln!(text, "{}{}", " ".repeat(before), layout.marks(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(differing: &[u8], counted: &[u8]) -> MemoryLine {
        let expected: Vec<u8> = (0x41..0x51).collect();
        let mut actual = expected.clone();
        for &at in differing {
            actual[usize::from(at)] ^= 0x80;
        }
        MemoryLine {
            address: 0x7fff_0010,
            start: vec![0; LINE],
            ends: vec![expected, actual],
            differing: differing.to_vec(),
            counted: counted.to_vec(),
        }
    }

    fn plain(lines: &[MemoryLine], format: HexFormat, width: u16) -> String {
        let styled = hex_diff(lines, &["native", "qemu-x86_64"], format, false, Some(width));
        anstream::adapter::strip_str(&styled).to_string()
    }

    #[test]
    fn ends_stand_below_each_other() {
        let text = plain(&[line(&[5, 6, 9], &[5, 6])], HexFormat::Unified, 80);
        insta::assert_snapshot!(text);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn ends_stand_side_by_side() {
        insta::assert_snapshot!(plain(
            &[line(&[0, 15], &[0, 15]), line(&[], &[])],
            HexFormat::Split,
            160
        ));
    }

    #[test]
    fn memory_can_be_read_by_programs() {
        let text = plain(&[line(&[1], &[1])], HexFormat::Json, 80);
        let (_, json) = text.split_once('\n').expect("a heading, then JSON");
        let lines: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
        assert_eq!(lines[0]["address"], "0x7fff0010");
        assert_eq!(lines[0]["differing"][0], 1);
    }

    #[test]
    fn nothing_changed_says_nothing() {
        assert_eq!(plain(&[], HexFormat::Unified, 80), "");
    }

    #[test]
    fn runs_of_offsets_are_joined() {
        assert_eq!(offset_ranges(&[0, 1, 2, 5, 14, 15]), ["+0..+2", "+5", "+14..+15"]);
    }
}
