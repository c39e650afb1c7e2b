//! Where things lie when a block runs: the same on every engine and every host.
//!
//! All fixed areas are below 2^36, at or above 0x10000, aligned to 64 KiB and away from qemu-user's and FEX's own.

use std::ops::Range;

use thiserror::Error;

use crate::case::Placement;

/// Load base of position-independent images.
pub const IMAGE_BASE: u64 = 0x2_0000_0000;
/// Distance from where the file's bytes are readable to where its code executes: a multiple of 2 MiB, less than 1 GiB so
/// that operands relative to RIP reach back, and no number that is often met. A power of two that a start favours, or four
/// bytes of text or a float from the file's data, added to a pointer into the image, would lead into the code, of which other
/// engines have only the pages of the block.
pub const CODE_DISTANCE: u64 = 0x1d60_0000;
/// Where indirect jumps, calls and returns of blocks are sent: [`PAD_COUNT`] exit stubs, [`PAD_SIZE`] bytes apart.
pub const PADS: u64 = 0x2_f000_0000;
/// Number of landing pads.
pub const PAD_COUNT: u64 = 64;
/// Bytes from one landing pad to the next.
pub const PAD_SIZE: u64 = 64;
/// The page in which RSP starts.
pub const STACK: u64 = 0x3_0008_0000;
/// The page that pointers point to.
pub const ARENA: u64 = 0x3_1000_0000;
/// FS base: thread-local variables lie below, the thread control block at and above it.
pub const FS_BASE: u64 = 0x3_2000_0800;
/// GS base.
pub const GS_BASE: u64 = 0x3_3000_0800;
/// Addresses of the runner itself, and of the memory it shares with the host; no page of a case may lie there.
pub const RUNNER: [Range<u64>; 2] = [0x7000_0000..0x7011_0000, 0xc_0000_0000..0xc_1000_0000];
/// First address beyond what a user program can have (47 bits, less the guard page).
pub const USER_END: u64 = 0x7fff_ffff_f000;
/// Lowest address that can be mapped everywhere.
pub const USER_START: u64 = 0x1_0000;

/// Why an image cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlacementError {
    /// The image spans more than the space set aside.
    #[error("the image spans {size:#x} bytes, more than the {CODE_DISTANCE:#x} that fit")]
    TooLarge {
        /// Bytes from the lowest to the highest address.
        size: u64,
    },
    /// A fixed-address image lies where the runner or another area is.
    #[error(
        "the image is linked at {start:#x}..{end:#x}, where the runner has its own memory; link it elsewhere"
    )]
    Occupied {
        /// Lowest address.
        start: u64,
        /// End of the image.
        end: u64,
    },
}

/// Places an image whose file addresses are `range`.
///
/// # Errors
/// When it is too large, or linked at a fixed address that is taken.
pub fn place_image(range: &Range<u64>, position_independent: bool) -> Result<Placement, PlacementError> {
    let size = range.end.saturating_sub(range.start);
    if size > CODE_DISTANCE {
        return Err(PlacementError::TooLarge { size });
    }
    if position_independent {
        // Page-aligned, whatever the file prefers.
        let image_base = IMAGE_BASE.wrapping_sub(range.start & !0xffff);
        return Ok(Placement {
            image_base,
            code_base: image_base.wrapping_add(CODE_DISTANCE),
        });
    }
    let occupied = || PlacementError::Occupied {
        start: range.start,
        end: range.end,
    };
    if range.start < USER_START || range.end > USER_END - CODE_DISTANCE {
        return Err(occupied());
    }
    let code = range.start + CODE_DISTANCE..range.end + CODE_DISTANCE;
    let [runner, shared] = RUNNER;
    let taken = [
        runner,
        shared,
        PADS..PADS + 0x1_0000,
        STACK - 0x8_0000..GS_BASE + 0x1_0000,
    ];
    if taken
        .iter()
        .any(|area| overlap(area, range) || overlap(area, &code))
    {
        return Err(occupied());
    }
    Ok(Placement {
        image_base: 0,
        code_base: CODE_DISTANCE,
    })
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// Whether a page at `address` (page-aligned) may be part of a case.
#[must_use]
pub fn is_mappable(address: u64) -> bool {
    (USER_START..USER_END).contains(&address)
        && !RUNNER.iter().any(|area| area.contains(&address))
        && !(PADS..PADS + 0x1_0000).contains(&address)
        // qemu-user keeps its own memory there.
        && !(0x40_0000_0000..0x41_0000_0000).contains(&address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_independent_images_go_to_the_image_base() {
        let placement = place_image(&(0..0x12_0000), true).expect("fits");
        assert_eq!(placement.image_base, IMAGE_BASE);
        let placement = place_image(&(0x1_4000_0000..0x1_4001_0000), true).expect("fits");
        assert_eq!(placement.image_base.wrapping_add(0x1_4000_0000), IMAGE_BASE);
    }

    #[test]
    fn fixed_images_stay_where_they_are() {
        let placement = place_image(&(0x40_0000..0x50_0000), false).expect("fits");
        assert_eq!(
            placement,
            Placement {
                image_base: 0,
                code_base: CODE_DISTANCE
            }
        );
        assert!(matches!(
            place_image(&(0x7000_0000..0x7001_0000), false),
            Err(PlacementError::Occupied { .. })
        ));
        // Its code would lie on the runner.
        assert!(matches!(
            place_image(&(0x52a0_0000..0x52a1_0000), false),
            Err(PlacementError::Occupied { .. })
        ));
        assert!(matches!(
            place_image(&(0..u64::MAX), true),
            Err(PlacementError::TooLarge { .. })
        ));
    }
}
