//! Where the parts of an encoding lie, whether it is assigned or not, and the same encoding with one of them changed.

/// What stands between legacy prefixes and opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodingPrefix {
    /// Nothing, or an escape (0F, 0F 38, 0F 3A).
    None,
    /// VEX of two bytes (C5).
    ShortVex,
    /// VEX or XOP of three bytes (C4, 8F).
    LongVex,
    /// EVEX (62).
    Evex,
}

/// Where the parts of an encoding lie (SDM vol. 2, chapter 2; APM vol. 3, section 1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodingLayout {
    /// Number of legacy and REX prefixes.
    pub prefixes: usize,
    /// What follows them.
    pub prefix: EncodingPrefix,
    /// Offset of the opcode's last byte.
    pub opcode: usize,
}

impl EncodingLayout {
    /// The layout of `bytes`; `None` when they end before an opcode.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let is_prefix = |byte: &&u8| {
            matches!(
                byte,
                0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3
            )
        };
        let prefixes = bytes.iter().take_while(is_prefix).count();
        let byte = |at: usize| bytes.get(prefixes + at).copied();
        let (prefix, opcode) = match (byte(0)?, byte(1)) {
            (0xc5, _) => (EncodingPrefix::ShortVex, 2),
            (0xc4, _) => (EncodingPrefix::LongVex, 3),
            (0x62, _) => (EncodingPrefix::Evex, 4),
            // POP has /0 here, XOP a map of 8 or more.
            (0x8f, Some(second)) if second & 0x1f >= 8 => (EncodingPrefix::LongVex, 3),
            (0x0f, Some(0x38 | 0x3a)) => (EncodingPrefix::None, 2),
            (0x0f, _) => (EncodingPrefix::None, 1),
            _ => (EncodingPrefix::None, 0),
        };
        let opcode = prefixes + opcode;
        (opcode < bytes.len()).then_some(Self {
            prefixes,
            prefix,
            opcode,
        })
    }

    /// Offset of ModRM, if the opcode has one.
    #[must_use]
    pub const fn modrm(&self) -> usize {
        self.opcode + 1
    }

    /// Offset of the byte with W (the same as that of mm in VEX of two bytes), vvvv, L and pp.
    fn control(&self) -> Option<usize> {
        match self.prefix {
            EncodingPrefix::None => None,
            EncodingPrefix::ShortVex => Some(self.prefixes + 1),
            EncodingPrefix::LongVex | EncodingPrefix::Evex => Some(self.prefixes + 2),
        }
    }

    /// With other vector lengths.
    #[must_use]
    pub fn with_other_lengths(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        match (self.prefix, self.control()) {
            (EncodingPrefix::Evex, _) => {
                let at = self.prefixes + 3;
                (1..4).map(|other| flip(bytes, at, other << 5)).collect()
            }
            (_, Some(at)) => vec![flip(bytes, at, 1 << 2)],
            _ => Vec::new(),
        }
    }

    /// With W inverted. VEX of two bytes has none.
    #[must_use]
    pub fn with_other_width(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        match (self.prefix, self.control()) {
            (EncodingPrefix::LongVex | EncodingPrefix::Evex, Some(at)) => vec![flip(bytes, at, 1 << 7)],
            _ => Vec::new(),
        }
    }

    /// With a vvvv (and V' of EVEX) that names no operand.
    #[must_use]
    pub fn with_unused_operand(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let Some(at) = self.control() else {
            return Vec::new();
        };
        let mut changed = bytes.to_vec();
        changed[at] |= 0x78;
        if self.prefix == EncodingPrefix::Evex {
            changed[self.prefixes + 3] |= 8;
        }
        vec![changed]
    }

    /// With one other bit of the prefix inverted: map, pp, reserved bits, and of EVEX mask, zeroing and rounding.
    #[must_use]
    pub fn with_reserved_bits(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let bits: &[(usize, u8)] = match self.prefix {
            EncodingPrefix::None => &[],
            EncodingPrefix::ShortVex => &[(1, 0x01), (1, 0x02), (1, 0x03)],
            EncodingPrefix::LongVex => &[(1, 0x04), (1, 0x08), (1, 0x10), (2, 0x01), (2, 0x02), (2, 0x03)],
            EncodingPrefix::Evex => &[
                (1, 0x08),
                (1, 0x04),
                (2, 0x04),
                (2, 0x01),
                (2, 0x02),
                (3, 0x10),
                (3, 0x80),
                (3, 0x01),
                (3, 0x87),
                (3, 0x07),
            ],
        };
        let place = |&(at, bit): &(usize, u8)| flip(bytes, self.prefixes + at, bit);
        bits.iter().map(place).collect()
    }

    /// With a register for the operand in memory, or the other way round.
    #[must_use]
    pub fn with_other_operand(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let at = self.modrm();
        let Some(&modrm) = bytes.get(at) else {
            return Vec::new();
        };
        let mut changed = bytes.to_vec();
        if modrm >= 0xc0 {
            // [rdi]: neither a SIB byte nor a displacement follows.
            changed[at] = modrm & 0x38 | 7;
        } else {
            changed[at] = modrm | 0xc0;
        }
        // An immediate may follow where there were bytes of an address.
        let mut longer = changed.clone();
        longer.extend([0; 4]);
        vec![changed, longer]
    }

    /// With every other digit in ModRM.reg.
    #[must_use]
    pub fn with_other_digits(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let at = self.modrm();
        if bytes.len() <= at {
            return Vec::new();
        }
        (1..8).map(|other| flip(bytes, at, other << 3)).collect()
    }
}

/// `bytes` with `bits` of the byte at `at` inverted.
fn flip(bytes: &[u8], at: usize, bits: u8) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at] ^= bits;
    changed
}
