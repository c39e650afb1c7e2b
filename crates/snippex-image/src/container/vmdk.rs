//! VMware's disk images (VMDK), by the crate `vmdk-core`: sparse and stream-optimised ones out of any bytes, those of several
//! files out of one folder.

use std::path::Path;
use std::sync::{Arc, Mutex};

use ::vmdk::{VmdkFileReader, VmdkReader};

use super::Locked;
use crate::ImageError;
use crate::bytes::{Bytes, Cursor, read_head};

const FORMAT: &str = "vmdk";

pub(super) fn open(bytes: Bytes) -> Result<Bytes, ImageError> {
    let damaged = |error| ImageError::damaged(FORMAT, error);
    let begins = read_head(&*bytes, 1).map_err(ImageError::io("the header"))?;
    if begins == b"#" {
        let Some(path) = bytes.path() else {
            return Err(ImageError::Unsupported {
                format: FORMAT,
                what: "of several files inside another image".to_owned(),
            });
        };
        refuse_other_folders(path)?;
        let reader = VmdkFileReader::open_path(path).map_err(damaged)?;
        let size = reader.virtual_disk_size();
        return Ok(Arc::new(Locked {
            reader: Mutex::new(reader),
            size,
        }));
    }
    let reader = VmdkReader::open(Cursor::new(bytes)).map_err(damaged)?;
    // What differs from a parent would read as zeros where it does not.
    if !matches!(reader.parent_cid(), 0 | u32::MAX) {
        return Err(ImageError::Unsupported {
            format: FORMAT,
            what: "that differs from another image".to_owned(),
        });
    }
    let size = reader.virtual_disk_size();
    Ok(Arc::new(Locked {
        reader: Mutex::new(reader),
        size,
    }))
}

/// A descriptor is text that anybody can write: it may name files beside it, and nothing else of this machine.
fn refuse_other_folders(path: &Path) -> Result<(), ImageError> {
    let named =
        VmdkFileReader::extent_dependencies(path).map_err(|error| ImageError::damaged(FORMAT, error))?;
    let real = |path: &Path| {
        path.canonicalize()
            .map_err(ImageError::io(format!("{}", path.display())))
    };
    let image = real(path)?;
    let folder = image.parent().unwrap_or(Path::new("/"));
    for file in named {
        let file = real(&folder.join(file))?;
        if file.parent() != Some(folder) {
            return Err(ImageError::Unsupported {
                format: FORMAT,
                what: format!("with a part in another folder ({})", file.display()),
            });
        }
    }
    Ok(())
}
