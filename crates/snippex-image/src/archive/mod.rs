//! Archives and packages: files one behind the other, with names.

mod ar;
mod cpio;
mod oci;
mod overlay;
mod rpm;
mod tar;
mod zip;

pub(crate) use ar::Ar;
pub(crate) use cpio::Cpio;
pub(crate) use oci::oci_images;
pub(crate) use overlay::Overlay;
pub(crate) use rpm::payload_start;
pub(crate) use tar::Tar;
pub(crate) use zip::Zip;

use crate::ImageError;
use crate::bytes::{Bytes, read_head, read_vec};
use crate::node::{Node, NodeKind};

/// A format of archives and packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Archive {
    Tar,
    Cpio,
    Zip,
    Ar,
    Rpm,
}

impl Archive {
    /// The format that these bytes are in, by what they begin with.
    pub(crate) fn detect(bytes: &Bytes) -> Option<Self> {
        let head = read_head(&**bytes, 512).ok()?;
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            Some(Self::Zip)
        } else if head.starts_with(b"070701") || head.starts_with(b"070702") {
            Some(Self::Cpio)
        } else if head.starts_with(b"!<arch>\n") {
            Some(Self::Ar)
        } else if head.starts_with(&[0xed, 0xab, 0xee, 0xdb]) {
            Some(Self::Rpm)
        } else {
            tar::is_header(&head).then_some(Self::Tar)
        }
    }
}

/// Reads a file that lies in one piece at its handle.
fn read_piece(bytes: &Bytes, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
    let size = match node.kind {
        NodeKind::File { size, .. } => size,
        _ => 0,
    };
    let length = usize::try_from(size.min(most)).unwrap_or(usize::MAX);
    read_vec(&**bytes, node.handle, length).map_err(ImageError::io("a file of the archive"))
}
