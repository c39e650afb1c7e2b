//! Parts of a disk: partitions, and the logical volumes of LVM.

mod gpt;
mod lvm;
mod mbr;

pub(crate) use lvm::PhysicalVolume;

use crate::ImageError;
use crate::bytes::{Bytes, read_array};

/// A part of a disk that may hold a file system.
pub(crate) struct Volume {
    /// `p1`, or the name of the volume group and that of the logical volume with a slash between them.
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
}

/// How a disk is parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartitionTable {
    Gpt { sector: u64 },
    Mbr,
}

impl PartitionTable {
    /// The table that a disk has; a file system's boot sector has been ruled out.
    pub(crate) fn detect(bytes: &Bytes) -> Option<Self> {
        for sector in [512, 4096] {
            if read_array::<8>(&**bytes, sector).is_ok_and(|magic| magic == *b"EFI PART") {
                return Some(Self::Gpt { sector });
            }
        }
        let first: [u8; 512] = read_array(&**bytes, 0).ok()?;
        mbr::is_table(&first, bytes.size()).then_some(Self::Mbr)
    }

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gpt { .. } => "GPT",
            Self::Mbr => "MBR",
        }
    }

    /// The partitions, in the order of their numbers; with what could not be read.
    pub(crate) fn partitions(self, disk: &Bytes) -> Result<(Vec<Volume>, Vec<String>), ImageError> {
        match self {
            Self::Gpt { sector } => Ok((gpt::partitions(disk, sector)?, Vec::new())),
            Self::Mbr => mbr::partitions(disk),
        }
    }
}
