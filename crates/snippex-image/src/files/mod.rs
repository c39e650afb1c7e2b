//! File systems: each lists its nodes and opens a file.
//!
//! The crates behind some of them are for one thread at a time. Setting one up costs less than reading a file, so each call sets
//! up its own, and file systems can be shared.

mod erofs;
mod ext;
mod fat;
mod folder;
mod iso9660;
mod ntfs;
mod squashfs;
mod xfs;

pub(crate) use folder::Folder;

use crate::ImageError;
use crate::bytes::{Bytes, read_array};
use crate::node::FileSystem;

/// A format of file systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystemKind {
    Ext,
    Squashfs,
    Erofs,
    Xfs,
    Ntfs,
    Fat,
    Iso9660,
    Btrfs,
}

impl FileSystemKind {
    /// The file system that these bytes are, by magic numbers.
    pub(crate) fn detect(bytes: &Bytes) -> Option<Self> {
        let at = |offset, magic: &[u8]| {
            let mut buffer = [0; 16];
            let buffer = &mut buffer[..magic.len()];
            crate::bytes::read_exact_at(&**bytes, offset, buffer).is_ok() && buffer == magic
        };
        if at(0, b"hsqs") || at(0, b"sqsh") {
            Some(Self::Squashfs)
        } else if at(1024, &0xe0f5_e1e2_u32.to_le_bytes()) {
            Some(Self::Erofs)
        } else if at(0, b"XFSB") {
            Some(Self::Xfs)
        } else if at(3, b"NTFS    ") {
            Some(Self::Ntfs)
        } else if at(1024 + 56, &[0x53, 0xef]) {
            Some(Self::Ext)
        } else if at(0x8001, b"CD001") {
            Some(Self::Iso9660)
        } else if at(0x1_0040, b"_BHRfS_M") {
            Some(Self::Btrfs)
        } else {
            let sector: [u8; 512] = read_array(&**bytes, 0).ok()?;
            fat::is_boot_sector(&sector).then_some(Self::Fat)
        }
    }

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ext => "ext4",
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
            Self::Xfs => "xfs",
            Self::Ntfs => "NTFS",
            Self::Fat => "FAT",
            Self::Iso9660 => "iso9660",
            Self::Btrfs => "btrfs",
        }
    }

    /// The file system.
    pub(crate) fn open(self, bytes: Bytes) -> Result<Box<dyn FileSystem>, ImageError> {
        Ok(match self {
            Self::Ext => ext::open(bytes)?,
            Self::Squashfs => Box::new(squashfs::Squashfs::open(bytes)?),
            Self::Erofs => Box::new(erofs::Erofs::open(bytes)?),
            Self::Xfs => Box::new(xfs::Xfs::open(bytes)?),
            Self::Ntfs => Box::new(ntfs::Ntfs(bytes)),
            Self::Fat => Box::new(fat::Fat(bytes)),
            Self::Iso9660 => Box::new(iso9660::Iso9660::open(bytes)?),
            Self::Btrfs => {
                return Err(ImageError::Unsupported {
                    format: self.name(),
                    what: "file systems".to_owned(),
                });
            }
        })
    }
}
