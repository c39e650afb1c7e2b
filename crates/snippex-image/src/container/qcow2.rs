//! QEMU's disk images (qcow2), versions 2 and 3, read here: the crate that reads them knows no clusters compressed by Zstandard.
//!
//! Source: QEMU, docs/interop/qcow2.txt.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Container, read_pieces};
use crate::ImageError;
use crate::bytes::{Bytes, FileBytes, ReadAt, read_array, read_exact_at, read_vec};
use crate::limits::Limits;

const FORMAT: &str = "qcow2";
/// Files below an overlay. A chain that leads back to itself ends here.
const MAX_BACKING_FILES: usize = 32;
/// As QEMU allows: enough for petabytes.
const MAX_L1_BYTES: u64 = 32 << 20;
/// Tables of the second level that are kept.
const KEPT_TABLES: usize = 64;
/// Where an entry of either table has the place that it leads to.
const PLACE: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;

/// Bits of the features without which an image cannot be read; those before only say that it was not closed.
const EXTERNAL_DATA: u64 = 1 << 2;
const COMPRESSION_TYPE: u64 = 1 << 3;
const EXTENDED_L2: u64 = 1 << 4;
const NOT_CLOSED: u64 = 0b11;

struct Disk {
    bytes: Bytes,
    size: u64,
    cluster_bits: u32,
    extended: bool,
    zstd: bool,
    l1: Vec<u64>,
    backing: Option<Bytes>,
    tables: Mutex<BTreeMap<u64, Arc<Vec<u8>>>>,
    /// The compressed cluster that was read last: readers take it in pieces.
    unpacked: Mutex<Option<(u64, Arc<Vec<u8>>)>>,
}

pub(super) fn open(bytes: &Bytes, limits: &Limits) -> Result<Bytes, ImageError> {
    open_chain(bytes, limits, MAX_BACKING_FILES)
}

fn open_chain(bytes: &Bytes, limits: &Limits, left: usize) -> Result<Bytes, ImageError> {
    let header: [u8; 112] = read_array(&**bytes, 0).map_err(ImageError::io("the header"))?;
    let (version, cluster_bits) = (u32_at(&header, 4), u32_at(&header, 20));
    let features = if version >= 3 { u64_at(&header, 72) } else { 0 };
    let unknown = features & !(NOT_CLOSED | EXTERNAL_DATA | COMPRESSION_TYPE | EXTENDED_L2);
    let refused = match () {
        () if !matches!(version, 2 | 3) => Some(format!("version {version}")),
        () if u32_at(&header, 32) != 0 => Some("with encryption".to_owned()),
        () if features & EXTERNAL_DATA != 0 => Some("with its data in another file".to_owned()),
        () if unknown != 0 => Some(format!("with the features {unknown:#x}")),
        () => None,
    };
    if let Some(what) = refused {
        return Err(ImageError::Unsupported { format: FORMAT, what });
    }
    if !(9..=21).contains(&cluster_bits) {
        return Err(ImageError::damaged(
            FORMAT,
            format!("clusters of 2^{cluster_bits} bytes"),
        ));
    }
    let zstd = match features & COMPRESSION_TYPE {
        0 => false,
        _ => match header[104] {
            0 => false,
            1 => true,
            kind => {
                return Err(ImageError::Unsupported {
                    format: FORMAT,
                    what: format!("with compression {kind}"),
                });
            }
        },
    };
    let l1_bytes = u64::from(u32_at(&header, 36)) * 8;
    if l1_bytes > MAX_L1_BYTES {
        return Err(ImageError::damaged(FORMAT, "its first table is too large"));
    }
    let l1 = read_vec(&**bytes, u64_at(&header, 40), l1_bytes as usize)
        .map_err(ImageError::io("the first table"))?;
    Ok(Arc::new(Disk {
        size: u64_at(&header, 24),
        cluster_bits,
        extended: features & EXTENDED_L2 != 0,
        zstd,
        l1: l1.chunks_exact(8).map(|entry| u64_at(entry, 0)).collect(),
        backing: open_backing(bytes, &header, limits, left)?,
        bytes: Arc::clone(bytes),
        tables: Mutex::default(),
        unpacked: Mutex::default(),
    }))
}

/// The disk below an overlay. Its name is text that anybody can write, so it has to be a file beside the image.
fn open_backing(
    bytes: &Bytes,
    header: &[u8],
    limits: &Limits,
    left: usize,
) -> Result<Option<Bytes>, ImageError> {
    let (place, length) = (u64_at(header, 8), u32_at(header, 16) as usize);
    if place == 0 {
        return Ok(None);
    }
    let unsupported = |what: String| ImageError::Unsupported { format: FORMAT, what };
    if left == 0 {
        return Err(unsupported(format!(
            "with more than {MAX_BACKING_FILES} images below each other"
        )));
    }
    let name = read_vec(&**bytes, place, length.min(1023))
        .map_err(ImageError::io("the name of its backing file"))?;
    let name = String::from_utf8_lossy(&name).into_owned();
    let Some(image) = bytes.path() else {
        return Err(unsupported(format!("inside another image, over {name:?}")));
    };
    let path = file_beside(image, &name)?;
    let open = || FileBytes::new(File::open(&path)?, Some(path.clone()), limits.read);
    let below: Bytes =
        Arc::new(open().map_err(ImageError::io(format!("its backing file {}", path.display())))?);
    // What the header says counts: a guest can write a header of its own at the beginning of a raw disk.
    let is_raw = backing_format(bytes, header).is_some_and(|format| format == b"raw");
    match Container::detect(&below).filter(|_| !is_raw) {
        Some(Container::Qcow2) => open_chain(&below, limits, left - 1).map(Some),
        Some(other) => other.open(below, limits).map(Some),
        None => Ok(Some(below)),
    }
}

fn file_beside(image: &Path, name: &str) -> Result<PathBuf, ImageError> {
    let real = |path: &Path| {
        path.canonicalize()
            .map_err(ImageError::io(format!("{}", path.display())))
    };
    let image = real(image)?;
    let folder = image.parent().unwrap_or(Path::new("/"));
    let path = real(&folder.join(name)).map_err(|error| ImageError::Unsupported {
        format: FORMAT,
        what: format!("over a backing file that is not there ({error})"),
    })?;
    if path.parent() == Some(folder) {
        Ok(path)
    } else {
        Err(ImageError::Unsupported {
            format: FORMAT,
            what: format!(
                "over {name:?}, which lies in another folder: only files beside the image are opened"
            ),
        })
    }
}

/// What a header extension says that the backing file is.
fn backing_format(bytes: &Bytes, header: &[u8]) -> Option<Vec<u8>> {
    const BACKING_FORMAT: u32 = 0xe279_2aca;
    let mut at = match u32_at(header, 4) {
        2 => 72,
        _ => u64::from(u32_at(header, 100)),
    };
    for _ in 0..32 {
        let extension: [u8; 8] = read_array(&**bytes, at).ok()?;
        let (kind, length) = (u32_at(&extension, 0), u32_at(&extension, 4));
        match kind {
            0 => return None,
            BACKING_FORMAT => return read_vec(&**bytes, at + 8, length.min(64) as usize).ok(),
            _ => at += 8 + u64::from(length).next_multiple_of(8),
        }
    }
    None
}

impl Disk {
    fn cluster_size(&self) -> u64 {
        1 << self.cluster_bits
    }

    fn entry_size(&self) -> u64 {
        if self.extended { 16 } else { 8 }
    }

    /// The entry of a cluster, and which parts of it are allocated and zero where these are counted apart.
    fn entry(&self, cluster: u64) -> io::Result<(u64, u64)> {
        let per_table = self.cluster_size() / self.entry_size();
        let Some(first) = self.l1.get((cluster / per_table) as usize) else {
            return Ok((0, 0));
        };
        let place = first & PLACE;
        if place == 0 {
            return Ok((0, 0));
        }
        let table = self.table(place)?;
        let at = (cluster % per_table * self.entry_size()) as usize;
        let parts = if self.extended { u64_at(&table, at + 8) } else { 0 };
        Ok((u64_at(&table, at), parts))
    }

    fn table(&self, place: u64) -> io::Result<Arc<Vec<u8>>> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&place) {
            return Ok(Arc::clone(table));
        }
        let table = Arc::new(read_vec(&*self.bytes, place, self.cluster_size() as usize)?);
        if tables.len() >= KEPT_TABLES {
            tables.clear();
        }
        tables.insert(place, Arc::clone(&table));
        Ok(table)
    }

    fn read_cluster(&self, cluster: u64, within: u64, piece: &mut [u8]) -> io::Result<()> {
        let (entry, parts) = self.entry(cluster)?;
        if entry & COMPRESSED != 0 {
            let unpacked = self.unpack(entry)?;
            let from = within as usize;
            let wanted = unpacked.get(from..from + piece.len());
            piece.copy_from_slice(wanted.ok_or(io::ErrorKind::UnexpectedEof)?);
            return Ok(());
        }
        if self.extended {
            return self.read_parts(cluster, entry & PLACE, parts, within, piece);
        }
        match entry & PLACE {
            _ if entry & ZERO != 0 => piece.fill(0),
            0 => self.read_below((cluster << self.cluster_bits) + within, piece)?,
            place => read_exact_at(&*self.bytes, place + within, piece)?,
        }
        Ok(())
    }

    /// Reads a cluster whose 32 parts are allocated one by one: a bit of the low half says that a part is, one of the high half
    /// that it reads as zeros.
    fn read_parts(
        &self,
        cluster: u64,
        place: u64,
        parts: u64,
        within: u64,
        piece: &mut [u8],
    ) -> io::Result<()> {
        let start = cluster << self.cluster_bits;
        let (part_size, mut done) = (self.cluster_size() / 32, 0);
        while done < piece.len() {
            let at = within + done as u64;
            let part = at / part_size;
            let length = ((part_size - at % part_size) as usize).min(piece.len() - done);
            let piece = &mut piece[done..done + length];
            if parts >> (32 + part) & 1 != 0 {
                piece.fill(0);
            } else if parts >> part & 1 != 0 {
                read_exact_at(&*self.bytes, place + at, piece)?;
            } else {
                self.read_below(start + at, piece)?;
            }
            done += length;
        }
        Ok(())
    }

    /// Reads what the image does not have: from the one below, which may be smaller.
    fn read_below(&self, offset: u64, piece: &mut [u8]) -> io::Result<()> {
        let read = match &self.backing {
            Some(backing) if offset < backing.size() => backing.read_at(offset, piece)?,
            _ => 0,
        };
        piece[read..].fill(0);
        Ok(())
    }

    fn unpack(&self, entry: u64) -> io::Result<Arc<Vec<u8>>> {
        let mut kept = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, cluster)) = &*kept
            && *known == entry
        {
            return Ok(Arc::clone(cluster));
        }
        // The low bits are the place, the rest the number of sectors behind the first that the bytes reach into.
        let place_bits = 62 - (self.cluster_bits - 8);
        let place = entry & ((1 << place_bits) - 1);
        let sectors = (entry & (COMPRESSED - 1)) >> place_bits;
        let length = (sectors + 1) * 512 - place % 512;
        let mut packed = vec![0; length as usize];
        // The last one need not be there as a whole.
        let read = self.bytes.read_at(place, &mut packed)?;
        packed.truncate(read);
        let mut cluster = vec![0; self.cluster_size() as usize];
        if self.zstd {
            zstd::Decoder::with_buffer(packed.as_slice())?
                .single_frame()
                .read_exact(&mut cluster)?;
        } else {
            flate2::read::DeflateDecoder::new(packed.as_slice()).read_exact(&mut cluster)?;
        }
        let cluster = Arc::new(cluster);
        *kept = Some((entry, Arc::clone(&cluster)));
        Ok(cluster)
    }
}

impl ReadAt for Disk {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        read_pieces(
            self.size,
            self.cluster_size(),
            offset,
            buffer,
            |cluster, within, piece| self.read_cluster(cluster, within, piece),
        )
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) << 32 | u64::from(u32_at(bytes, at + 4))
}
