//! Hyper-V's disk images (VHDX), by the crate `vhdx-core`; those that differ from a parent are refused by it.

use std::sync::{Arc, Mutex};

use ::vhdx::VhdxReader;

use super::Locked;
use crate::ImageError;
use crate::bytes::{Bytes, Cursor};

pub(super) fn open(bytes: Bytes) -> Result<Bytes, ImageError> {
    let reader = VhdxReader::open_reader(Box::new(Cursor::new(bytes)))
        .map_err(|error| ImageError::damaged("vhdx", error))?;
    Ok(Arc::new(Locked {
        size: reader.virtual_disk_size(),
        reader: Mutex::new(reader),
    }))
}
