//! Function ranges and exception handlers from `.eh_frame` (LSB Core, "Exception Frames"; the Itanium C++ ABI's
//! exception tables for the handlers). Reads only what names code; unwinding rules are skipped. The frames are gimli's to
//! read; it knows no exception tables, nor the header in a form that names no search table.

use gimli::{
    BaseAddresses, CieOrFde, CommonInformationEntry, EhFrame, LittleEndian, Pointer, UnwindSection as _,
};

use super::image::{FunctionRange, Image};
use snippex_core::block::Origin;

/// Where the frame table lies, from the header that PT_GNU_EH_FRAME names.
pub(super) fn address_from_header(image: &Image<'_>, address: u64) -> Option<u64> {
    let mut cursor = Cursor {
        image,
        address,
        bytes: image.bytes_from(address),
    };
    let [_version, encoding, _count, _table] = cursor.take()?;
    cursor.pointer(encoding)
}

/// Reads all frame descriptions from `address` on.
pub(super) fn read_eh_frame(image: &mut Image<'_>, address: u64) {
    let (mut functions, mut landing_pads) = (Vec::new(), Vec::new());
    let frame = EhFrame::new(image.bytes_from(address), LittleEndian);
    let bases = BaseAddresses::default().set_eh_frame(address);
    // Most functions of a unit share one common entry.
    let mut last_common = None;
    // Exception tables are shared or apart; a hostile file must not have the same one read a million times.
    let mut budget = image.data.len();
    let mut entries = frame.entries(&bases);
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else { continue };
        let described = partial.parse(|section, bases, offset| match &last_common {
            Some((known, common)) if *known == offset => Ok(CommonInformationEntry::clone(common)),
            _ => {
                let common = section.cie_from_offset(bases, offset)?;
                last_common = Some((offset, common.clone()));
                Ok(common)
            }
        });
        let Ok(described) = described else { continue };
        let function = described.initial_address();
        let Some(end) = function.checked_add(described.len()) else {
            continue;
        };
        let table = match described.lsda() {
            Some(Pointer::Direct(table)) => Some(table),
            Some(Pointer::Indirect(place)) => image.u64_at(place),
            None => None,
        };
        if let Some(table) = table.filter(|&table| table != 0) {
            read_landing_pads(image, table, function, &mut landing_pads, &mut budget);
        }
        functions.push(FunctionRange {
            address: function,
            end,
            origin: Origin::UnwindInfo,
        });
    }
    image.functions.append(&mut functions);
    image.landing_pads.append(&mut landing_pads);
}

/// The call-site table of one function: each site may name a handler relative to the function's start.
fn read_landing_pads(
    image: &Image<'_>,
    table: u64,
    function: u64,
    found: &mut Vec<u64>,
    budget: &mut usize,
) -> Option<()> {
    let mut cursor = Cursor {
        image,
        address: table,
        bytes: image.bytes_from(table),
    };
    let [start_encoding] = cursor.take()?;
    let start = if start_encoding == OMITTED {
        function
    } else {
        cursor.pointer(start_encoding)?
    };
    let [types_encoding] = cursor.take()?;
    if types_encoding != OMITTED {
        cursor.uleb()?;
    }
    let [site_encoding] = cursor.take()?;
    let length = usize::try_from(cursor.uleb()?).ok()?;
    *budget = budget.checked_sub(length)?;
    let mut sites = Cursor {
        bytes: cursor.bytes.get(..length)?,
        ..cursor
    };
    while !sites.bytes.is_empty() {
        sites.value(site_encoding)?;
        sites.value(site_encoding)?;
        let pad = sites.value(site_encoding)?;
        sites.uleb()?;
        if pad != 0 {
            found.push(start.wrapping_add(pad));
        }
    }
    Some(())
}

/// DW_EH_PE_omit.
const OMITTED: u8 = 0xff;

/// Bytes with the address they have in memory.
#[derive(Clone, Copy)]
struct Cursor<'i, 'a> {
    image: &'i Image<'a>,
    address: u64,
    bytes: &'a [u8],
}

impl Cursor<'_, '_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        self.address = self.address.wrapping_add(N as u64);
        Some(*head)
    }

    /// A value of a DW_EH_PE format, sign extended where the format is signed.
    fn value(&mut self, encoding: u8) -> Option<u64> {
        match encoding & 0x0f {
            0x00 | 0x04 | 0x0c => self.take().map(u64::from_le_bytes),
            0x01 => self.uleb(),
            0x02 => self.take().map(|bytes| u64::from(u16::from_le_bytes(bytes))),
            0x03 => self.take().map(|bytes| u64::from(u32::from_le_bytes(bytes))),
            0x09 => self.sleb(),
            0x0a => self
                .take()
                .map(|bytes| i64::from(i16::from_le_bytes(bytes)) as u64),
            0x0b => self
                .take()
                .map(|bytes| i64::from(i32::from_le_bytes(bytes)) as u64),
            _ => None,
        }
    }

    /// A pointer: a value, absolute or relative to its own place, perhaps through memory.
    fn pointer(&mut self, encoding: u8) -> Option<u64> {
        let place = self.address;
        let value = self.value(encoding)?;
        let address = match encoding & 0x70 {
            _ if value == 0 => 0,
            0x00 => value,
            0x10 => place.wrapping_add(value),
            _ => return None,
        };
        if encoding & 0x80 == 0 {
            Some(address)
        } else {
            self.image.u64_at(address)
        }
    }

    fn uleb(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let [byte] = self.take()?;
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
    }

    fn sleb(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0_u64, 0);
        loop {
            let [byte] = self.take()?;
            if shift < 64 {
                value |= u64::from(byte & 0x7f) << shift;
            }
            shift += 7;
            if byte & 0x80 == 0 {
                let negative = byte & 0x40 != 0 && shift < 64;
                return Some(if negative {
                    value | u64::MAX << shift
                } else {
                    value
                });
            }
        }
    }
}
