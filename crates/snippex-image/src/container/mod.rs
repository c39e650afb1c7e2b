//! Disks inside files: qcow2, VMDK, VHD, VHDX and VDI.

mod qcow2;
mod vdi;
mod vhd;
mod vhdx;
mod vmdk;

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Mutex, PoisonError};

use crate::ImageError;
use crate::bytes::{Bytes, ReadAt, read_array, read_head};
use crate::limits::Limits;

/// A format of disk images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Qcow2,
    Vmdk,
    Vhdx,
    Vhd,
    Vdi,
}

impl Container {
    /// The format that these bytes are in, by what they begin or end with.
    pub(crate) fn detect(bytes: &Bytes) -> Option<Self> {
        let head = read_head(&**bytes, 512).ok()?;
        if head.starts_with(b"QFI\xfb") {
            return Some(Self::Qcow2);
        }
        if head.starts_with(b"KDMV")
            || head.starts_with(b"COWD")
            || head.starts_with(b"# Disk DescriptorFile")
        {
            return Some(Self::Vmdk);
        }
        if head.starts_with(b"vhdxfile") {
            return Some(Self::Vhdx);
        }
        if head.get(0x40..0x44) == Some(&0xbeda_107f_u32.to_le_bytes()) {
            return Some(Self::Vdi);
        }
        let footer = bytes.size().checked_sub(vhd::FOOTER)?;
        (read_array::<8>(&**bytes, footer).ok()? == *b"conectix").then_some(Self::Vhd)
    }

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhdx => "vhdx",
            Self::Vhd => "vhd",
            Self::Vdi => "vdi",
        }
    }

    /// The disk in it.
    pub(crate) fn open(self, bytes: Bytes, limits: &Limits) -> Result<Bytes, ImageError> {
        match self {
            Self::Qcow2 => qcow2::open(&bytes, limits),
            Self::Vmdk => vmdk::open(bytes),
            Self::Vhdx => vhdx::open(bytes),
            Self::Vhd => vhd::open(bytes),
            Self::Vdi => vdi::open(bytes),
        }
    }
}

/// Reads from a disk that is stored in blocks: `read` is given the number of a block, a place in it and the buffer for what is
/// wanted from there on.
fn read_pieces(
    size: u64,
    block_size: u64,
    offset: u64,
    buffer: &mut [u8],
    mut read: impl FnMut(u64, u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<usize> {
    let length =
        usize::try_from(size.saturating_sub(offset)).map_or(buffer.len(), |rest| rest.min(buffer.len()));
    let mut done = 0;
    while done < length {
        let at = offset + done as u64;
        let within = at % block_size;
        let piece =
            usize::try_from(block_size - within).map_or(length - done, |rest| rest.min(length - done));
        read(at / block_size, within, &mut buffer[done..done + piece])?;
        done += piece;
    }
    Ok(length)
}

/// A reader of a crate as bytes: one at a time may read.
struct Locked<R> {
    reader: Mutex<R>,
    size: u64,
}

impl<R: Read + Seek + Send> ReadAt for Locked<R> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.size.saturating_sub(offset))
            .map_or(buffer.len(), |rest| rest.min(buffer.len()));
        // Whoever held it may have panicked in a damaged image: the position is set anew.
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.seek(SeekFrom::Start(offset))?;
        reader.read_exact(&mut buffer[..length])?;
        Ok(length)
    }
}
