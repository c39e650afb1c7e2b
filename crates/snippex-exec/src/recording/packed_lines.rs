//! The memory that runs changed, packed as what the block's stores put there, or line by line where it was something else.

use snippex_core::group::Group;
use snippex_runner::layout::{LINE, WireLine};

use super::RecordingError;
use super::columns::{self, Shape};
use super::end::End;
use super::streams::{Reader, Streams};
use super::terms::{Piece, Terms, page_at, read_initial_memory};

/// The line at `address` before the run.
pub(super) fn line_before(group: &Group, address: u64) -> [u8; LINE] {
    let offset = (address % snippex_core::case::PAGE) as usize;
    page_at(&group.pages, address).map_or([0; LINE], |page| {
        page.content[offset..offset + LINE]
            .try_into()
            .expect("lines do not cross pages")
    })
}

/// The value of a piece of memory after the run that changed `lines`.
fn value_after(group: &Group, lines: &[WireLine], address: u64, size: usize) -> u64 {
    let mut bytes = read_initial_memory(&group.pages, address, size).to_le_bytes();
    for line in lines {
        for (index, byte) in bytes[..size].iter_mut().enumerate() {
            let offset = address.wrapping_add(index as u64).wrapping_sub(line.address);
            if offset < LINE as u64 {
                *byte = line.bytes[offset as usize];
            }
        }
    }
    u64::from_le_bytes(bytes)
}

/// The lines that are changed when `pieces` hold `values` in `run`.
fn lines_of_pieces(group: &Group, pieces: &[Piece], values: &[Vec<u64>], run: usize) -> Vec<WireLine> {
    const WITHIN: u64 = LINE as u64 - 1;
    let mut lines: Vec<WireLine> = Vec::with_capacity(pieces.len());
    for (piece, values) in pieces.iter().zip(values) {
        let bytes = values[run].to_le_bytes();
        for (index, &byte) in bytes[..piece.size].iter().enumerate() {
            let at = piece.addresses[run].wrapping_add(index as u64);
            let address = at & !WITHIN;
            if page_at(&group.pages, address).is_none() {
                continue;
            }
            let known = lines.iter().position(|line| line.address == address);
            let line = known.unwrap_or_else(|| {
                lines.push(WireLine {
                    address,
                    bytes: line_before(group, address),
                });
                lines.len() - 1
            });
            lines[line].bytes[(at & WITHIN) as usize] = byte;
        }
    }
    lines.retain(|line| line.bytes != line_before(group, line.address));
    lines.sort_unstable_by_key(|line| line.address);
    lines
}

pub(super) fn pack_lines(group: &Group, ends: &[End], terms: &Terms<'_>, streams: &mut Streams) {
    let any = ends.iter().any(|end| !end.lines.is_empty());
    streams.models.push(u8::from(any));
    if !any {
        return;
    }
    let mut columns = Vec::with_capacity(terms.stores.len());
    for piece in &terms.stores {
        let before: Vec<u64> = (piece.addresses.iter())
            .map(|&address| read_initial_memory(&group.pages, address, piece.size))
            .collect();
        let after = ends.iter().zip(&piece.addresses);
        let after: Vec<u64> = after
            .map(|(end, &address)| value_after(group, &end.lines, address, piece.size))
            .collect();
        let shape = Shape { bytes: piece.size };
        columns::write_column(&after, &|run| before[run], shape, terms, streams);
        columns.push(after);
    }
    let odd: Vec<bool> = ends
        .iter()
        .enumerate()
        .map(|(run, end)| {
            let made = lines_of_pieces(group, &terms.stores, &columns, run);
            let made = made.iter().map(|line| (line.address, line.bytes));
            !made.eq(end.lines.iter().map(|line| (line.address, line.bytes)))
        })
        .collect();
    let any_odd = odd.iter().any(|odd| *odd);
    streams.models.push(u8::from(any_odd));
    if !any_odd {
        return;
    }
    streams.write_bits(odd.iter().copied());
    for (end, _) in ends.iter().zip(&odd).filter(|(_, odd)| **odd) {
        streams.write_number(end.lines.len() as u64);
        let mut last = 0;
        for line in &end.lines {
            streams.write_number(line.address.wrapping_sub(last) / LINE as u64);
            last = line.address;
            let before = line_before(group, line.address);
            for (after, before) in line.bytes.chunks(8).zip(before.chunks(8)) {
                let differ: Vec<u8> = after.iter().zip(before).map(|(a, b)| a ^ b).collect();
                streams.sparse_bytes(&differ);
            }
        }
    }
}

pub(super) fn unpack_lines(
    group: &Group,
    terms: &Terms<'_>,
    reader: &mut Reader<'_>,
) -> Result<Vec<Vec<WireLine>>, RecordingError> {
    let runs = group.starts.len();
    if reader.number_below(2)? == 0 {
        return Ok(vec![Vec::new(); runs]);
    }
    let mut columns = Vec::with_capacity(terms.stores.len());
    for piece in &terms.stores {
        let before = |run: usize| read_initial_memory(&group.pages, piece.addresses[run], piece.size);
        let shape = Shape { bytes: piece.size };
        columns.push(columns::read_column(&before, shape, terms, runs, reader)?);
    }
    let odd: Vec<bool> = match reader.number_below(2)? {
        0 => vec![false; runs],
        _ => reader.read_bits(runs)?.collect(),
    };
    odd.iter()
        .enumerate()
        .map(|(run, odd)| match odd {
            true => unpack_odd_lines(group, reader),
            false => Ok(lines_of_pieces(group, &terms.stores, &columns, run)),
        })
        .collect()
}

fn unpack_odd_lines(group: &Group, reader: &mut Reader<'_>) -> Result<Vec<WireLine>, RecordingError> {
    let most = group.pages.len() * snippex_core::case::PAGE_SIZE / LINE;
    let mut lines = Vec::new();
    let mut address = 0u64;
    for index in 0..reader.number_below(most + 1)? {
        let distance = reader.read_number()?;
        if distance == 0 && index > 0 {
            return Err(RecordingError::Invalid("lines of memory are not in order"));
        }
        address = address.wrapping_add(distance.wrapping_mul(LINE as u64));
        let mut bytes = line_before(group, address);
        for part in bytes.chunks_mut(8) {
            let differ = reader.read_sparse_value()?.to_le_bytes();
            part.iter_mut()
                .zip(differ)
                .for_each(|(byte, differs)| *byte ^= differs);
        }
        lines.push(WireLine { address, bytes });
    }
    match lines.is_sorted_by(|a, b| a.address < b.address) {
        true => Ok(lines),
        false => Err(RecordingError::Invalid("lines of memory are not in order")),
    }
}
