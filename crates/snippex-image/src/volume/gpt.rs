//! GUID partition tables, by the crate `gpt`.

use std::sync::Arc;

use ::gpt::GptConfig;
use ::gpt::disk::LogicalBlockSize;

use super::Volume;
use crate::ImageError;
use crate::bytes::{Bytes, Cursor, Part, ReadOnly};

pub(super) fn partitions(disk: &Bytes, sector: u64) -> Result<Vec<Volume>, ImageError> {
    let damaged = |problem: String| ImageError::damaged("GPT", problem);
    let size = match sector {
        4096 => LogicalBlockSize::Lb4096,
        _ => LogicalBlockSize::Lb512,
    };
    let device = ReadOnly(Cursor::new(Arc::clone(disk)));
    let table = GptConfig::new()
        .writable(false)
        .only_valid_headers(false)
        .logical_block_size(size)
        .open_from_device(device)
        .map_err(|error| damaged(error.to_string()))?;
    let used = table
        .partitions()
        .iter()
        .filter(|(_, partition)| partition.is_used());
    let volume = |(number, partition): (&u32, &::gpt::partition::Partition)| {
        // A partition ends with its last sector.
        let start = partition.first_lba.checked_mul(sector);
        let sectors = partition.last_lba.checked_sub(partition.first_lba);
        let length = sectors.and_then(|sectors| sectors.checked_add(1)?.checked_mul(sector));
        let (Some(start), Some(length)) = (start, length) else {
            return Err(damaged(format!("partition {number} ends before it begins")));
        };
        Ok(Volume {
            name: format!("p{number}"),
            bytes: Arc::new(Part::new(Arc::clone(disk), start, length)),
        })
    };
    used.map(volume).collect()
}
