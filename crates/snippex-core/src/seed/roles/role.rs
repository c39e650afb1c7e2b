//! What a start value is for, and the memory operands that say so.

use iced_x86::Register;

use crate::seed::Linear;

/// What a start value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Data, or not used.
    Data,
    /// Points to memory: `value + displacement` (or a little beyond) is accessed.
    Base {
        /// Displacement of the first access.
        displacement: i64,
        /// An access needs alignment to 16 bytes or more.
        aligned: bool,
        /// The same address in all starts, because a code pointer lies there.
        pinned: bool,
    },
    /// Scaled and added to a base.
    Index,
    /// Count of a repeated string instruction, or of LOOP.
    RepeatCount,
    /// Offset of a bit from the start of a string of bits in memory.
    BitOffset,
    /// Shift or rotate count (CL).
    ShiftCount,
    /// Upper half of a dividend.
    DividendHigh,
    /// Divisor, or lower half of a dividend.
    Division,
    /// A segment selector.
    Selector,
    /// `value + displacement` is jumped to.
    JumpTarget {
        /// Constant added before the jump.
        displacement: i64,
    },
}

/// One memory operand of the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// Effective address within the segment, if it is a sum of start values.
    pub address: Option<Linear>,
    /// FS or GS, whose base is added.
    pub segment: Option<Register>,
    /// Bytes accessed, 0 when not known.
    pub size: usize,
    /// The block stores there.
    pub written: bool,
}
