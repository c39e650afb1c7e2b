//! What has to be unpacked before it can be read at any place: into temporary files without a name, within bounds.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::sync::Arc;

use crate::ImageError;
use crate::bytes::{Bytes, Cursor, FileBytes, read_head};
use crate::limits::Limits;

/// A way of compressing a whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Xz,
    Zstd,
    Bzip2,
    Lzma,
    Lz4,
}

impl Compression {
    /// How these bytes are compressed, by what they begin with.
    pub(crate) fn detect(bytes: &Bytes) -> Option<Self> {
        let head = read_head(&**bytes, 13).ok()?;
        Some(match head.as_slice() {
            [0x1f, 0x8b, 8, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // A frame that decoders skip, which pzstd begins with.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', ..] => Self::Bzip2,
            // Both what the frame format begins with and what kernels use.
            [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Self::Lz4,
            // No magic number: usual properties, a size of the dictionary that is a power of two, an unknown or sane length.
            [0x5d, 0, 0, rest @ ..]
                if rest.len() >= 10 && rest[..2].iter().all(|byte| byte.count_ones() <= 1) =>
            {
                Self::Lzma
            }
            _ => return None,
        })
    }

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Lz4 => "lz4",
        }
    }

    /// Reads what was compressed.
    pub(crate) fn decode<'r>(
        self,
        packed: impl Read + Send + 'r,
    ) -> Result<Box<dyn Read + Send + 'r>, ImageError> {
        /// What a decoder may take for its window, as the command line tools allow.
        const MEMORY: u64 = 512 << 20;
        let packed = BufReader::new(packed);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(packed).map_err(ImageError::io(self.name()))?),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
            Self::Xz | Self::Lzma => {
                let stream = match self {
                    Self::Xz => {
                        liblzma::stream::Stream::new_stream_decoder(MEMORY, liblzma::stream::CONCATENATED)
                    }
                    _ => liblzma::stream::Stream::new_lzma_decoder(MEMORY),
                };
                let stream = stream.map_err(|error| ImageError::io(self.name())(error.into()))?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(packed, stream))
            }
            Self::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(packed)),
        })
    }
}

/// Unpacks all of a compressed file.
pub(crate) fn unpack(bytes: &Bytes, compression: Compression, limits: &Limits) -> Result<Bytes, ImageError> {
    let reader = compression.decode(Cursor::new(Arc::clone(bytes)))?;
    spool(reader, compression.name(), limits)
}

/// Keeps what a reader has in a temporary file. A stream that breaks off keeps what came before.
pub(crate) fn spool(
    mut reader: impl Read,
    format: &'static str,
    limits: &Limits,
) -> Result<Bytes, ImageError> {
    let mut file = tempfile::tempfile().map_err(ImageError::io("a temporary file"))?;
    copy_bounded(&mut reader, &mut file, format, limits.unpacked)?;
    keep(file, limits)
}

/// A temporary file as bytes.
fn keep(mut file: File, limits: &Limits) -> Result<Bytes, ImageError> {
    let cannot = || ImageError::io("a temporary file");
    file.rewind().map_err(cannot())?;
    Ok(Arc::new(
        FileBytes::new(file, None, limits.read).map_err(cannot())?,
    ))
}

fn copy_bounded(
    reader: &mut impl Read,
    writer: &mut impl Write,
    format: &'static str,
    limit: u64,
) -> Result<(), ImageError> {
    let mut left = limit;
    let mut buffer = vec![0; 128 << 10];
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ImageError::damaged(format, error)),
        };
        left = left.checked_sub(read as u64).ok_or(ImageError::Limit {
            what: "what is unpacked",
            limit,
        })?;
        writer
            .write_all(&buffer[..read])
            .map_err(ImageError::io("a temporary file"))?;
    }
}
