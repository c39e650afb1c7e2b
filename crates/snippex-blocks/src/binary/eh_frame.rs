//! Function ranges and exception handlers from `.eh_frame` (LSB Core, "Exception Frames"; the Itanium C++ ABI's
//! exception tables for the handlers). Reads only what names code; unwinding rules are skipped.

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

/// What a CIE says about its FDEs.
#[derive(Clone, Copy)]
struct Common {
    pointer_encoding: u8,
    handler_encoding: u8,
    has_augmentation: bool,
}

/// Reads all frame descriptions from `address` on.
pub(super) fn read(image: &mut Image<'_>, address: u64) {
    let (mut functions, mut landing_pads) = (Vec::new(), Vec::new());
    let start = image.bytes_from(address);
    let mut cursor = Cursor {
        image,
        address,
        bytes: start,
    };
    let mut last_common = None;
    // Exception tables are shared or apart; a hostile file must not have the same one read a million times.
    let mut budget = image.data.len();
    while let Some(mut record) = cursor.record() {
        let id_address = record.address;
        let Some(id) = record.u32() else { break };
        if id == 0 {
            continue;
        }
        let common_address = id_address.wrapping_sub(u64::from(id));
        let common = match last_common {
            Some((known, common)) if known == common_address => common,
            _ => {
                let bytes = image.bytes_from(common_address);
                let mut at = Cursor {
                    image,
                    address: common_address,
                    bytes,
                };
                let Some(common) = at.record().and_then(|mut record| record.common()) else {
                    continue;
                };
                last_common = Some((common_address, common));
                common
            }
        };
        let Some((range, handler)) = record.description(common) else {
            continue;
        };
        if let Some(table) = handler {
            read_landing_pads(image, table, range.address, &mut landing_pads, &mut budget);
        }
        functions.push(range);
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

impl<'i, 'a> Cursor<'i, 'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        self.address = self.address.wrapping_add(N as u64);
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// Splits off the next length-prefixed record; `None` at the terminator or the end.
    fn record(&mut self) -> Option<Cursor<'i, 'a>> {
        let mut length = u64::from(self.u32()?);
        if length == 0xffff_ffff {
            length = self.take().map(u64::from_le_bytes)?;
        }
        let length = usize::try_from(length).ok().filter(|&length| length > 0)?;
        let (bytes, rest) = self.bytes.split_at_checked(length)?;
        let record = Cursor { bytes, ..*self };
        self.bytes = rest;
        self.address = self.address.wrapping_add(length as u64);
        Some(record)
    }

    /// A CIE, from its zero id on.
    fn common(&mut self) -> Option<Common> {
        if self.u32()? != 0 {
            return None;
        }
        let [_version] = self.take()?;
        let end = self.bytes.iter().take(16).position(|&byte| byte == 0)?;
        let augmentation = &self.bytes[..end];
        self.address = self.address.wrapping_add(end as u64 + 1);
        self.bytes = &self.bytes[end + 1..];
        for _ in 0..3 {
            self.uleb()?; // code alignment, data alignment (SLEB128 has the same length), return register
        }
        let mut common = Common {
            pointer_encoding: 0,
            handler_encoding: OMITTED,
            has_augmentation: false,
        };
        for letter in augmentation {
            match letter {
                b'z' => {
                    self.uleb()?;
                    common.has_augmentation = true;
                }
                b'R' => common.pointer_encoding = self.take::<1>()?[0],
                b'L' => common.handler_encoding = self.take::<1>()?[0],
                b'P' => {
                    let [encoding] = self.take()?;
                    self.value(encoding)?;
                }
                b'S' | b'B' => {}
                _ => return None,
            }
        }
        Some(common)
    }

    /// An FDE after its CIE pointer: the range of code, and the address of its exception table.
    fn description(&mut self, common: Common) -> Option<(FunctionRange, Option<u64>)> {
        let address = self.pointer(common.pointer_encoding)?;
        let length = self.value(common.pointer_encoding & 0x0f)?;
        let end = address.checked_add(length)?;
        let mut handler = None;
        if common.has_augmentation && self.uleb()? > 0 && common.handler_encoding != OMITTED {
            handler = self.pointer(common.handler_encoding).filter(|&table| table != 0);
        }
        Some((
            FunctionRange {
                address,
                end,
                origin: Origin::UnwindInfo,
            },
            handler,
        ))
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
