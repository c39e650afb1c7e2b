//! Bytes that can be read at any place: a file, a disk inside a container, a partition, a part of an archive.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Random access to bytes.
pub(crate) trait ReadAt: Send + Sync {
    /// How many there are.
    fn size(&self) -> u64;

    /// Reads from `offset` on, as much as the buffer takes; less only where the bytes end.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// The file that has just these bytes, if there is one.
    fn path(&self) -> Option<&Path> {
        None
    }
}

/// Shared bytes.
pub(crate) type Bytes = Arc<dyn ReadAt>;

/// Reads exactly the buffer.
pub(crate) fn read_exact_at(bytes: &dyn ReadAt, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    if bytes.read_at(offset, buffer)? == buffer.len() {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Reads `N` bytes.
pub(crate) fn read_array<const N: usize>(bytes: &dyn ReadAt, offset: u64) -> io::Result<[u8; N]> {
    let mut buffer = [0; N];
    read_exact_at(bytes, offset, &mut buffer)?;
    Ok(buffer)
}

/// Reads `length` bytes; the caller has made sure that these are not too many.
pub(crate) fn read_vec(bytes: &dyn ReadAt, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let end = offset.checked_add(length as u64);
    // Before the memory is taken: a length out of a damaged header is soon said.
    if end.is_none_or(|end| end > bytes.size()) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut buffer = vec![0; length];
    read_exact_at(bytes, offset, &mut buffer)?;
    Ok(buffer)
}

/// As much of the beginning as there is, at most `length` bytes.
pub(crate) fn read_head(bytes: &dyn ReadAt, length: usize) -> io::Result<Vec<u8>> {
    let mut head = vec![0; length];
    let read = bytes.read_at(0, &mut head)?;
    head.truncate(read);
    Ok(head)
}

/// A file on disk. What is read of it is counted, so that tables that lead in circles end.
#[derive(Debug)]
pub(crate) struct FileBytes {
    file: File,
    path: Option<PathBuf>,
    size: u64,
    left: AtomicU64,
}

impl FileBytes {
    pub(crate) fn new(file: File, path: Option<PathBuf>, limit: u64) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self {
            file,
            path,
            size,
            left: limit.into(),
        })
    }

    fn take(&self, amount: u64) -> io::Result<()> {
        // A read of nothing costs as well.
        let amount = amount.max(16);
        let left = |left: u64| left.checked_sub(amount);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::other(
                "more was read of the image than it can sensibly need: its tables lead in circles",
            )),
        }
    }
}

impl ReadAt for FileBytes {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.take(buffer.len() as u64)?;
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..));
        let rest = rest.unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// A part of other bytes.
pub(crate) struct Part {
    whole: Bytes,
    start: u64,
    size: u64,
}

impl Part {
    /// The bytes from `start` on; cut where the whole ends.
    pub(crate) fn new(whole: Bytes, start: u64, size: u64) -> Self {
        let size = size.min(whole.size().saturating_sub(start));
        Self { whole, start, size }
    }
}

impl ReadAt for Part {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.size.saturating_sub(offset);
        let length = usize::try_from(rest).map_or(buffer.len(), |rest| rest.min(buffer.len()));
        if length == 0 {
            return Ok(0);
        }
        self.whole.read_at(self.start + offset, &mut buffer[..length])
    }
}

/// Bytes read in order, for crates that want a reader. Reads ahead, because these often take a few bytes at a time.
pub(crate) struct Cursor {
    bytes: Bytes,
    position: u64,
    block: Vec<u8>,
    block_start: u64,
}

/// Bytes that are read ahead.
const BLOCK: usize = 16 << 10;

impl Cursor {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Self {
            bytes,
            position: 0,
            block: Vec::new(),
            block_start: 0,
        }
    }

    /// The bytes at the position that were read already.
    fn ready(&self) -> &[u8] {
        let skipped = self.position.checked_sub(self.block_start);
        let skipped = skipped.and_then(|skipped| usize::try_from(skipped).ok());
        skipped
            .and_then(|skipped| self.block.get(skipped..))
            .unwrap_or_default()
    }
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ready().is_empty() {
            if buffer.len() >= BLOCK {
                let read = self.bytes.read_at(self.position, buffer)?;
                self.position += read as u64;
                return Ok(read);
            }
            self.block_start = self.position - self.position % BLOCK as u64;
            self.block.resize(BLOCK, 0);
            let read = self.bytes.read_at(self.block_start, &mut self.block);
            self.block.truncate(*read.as_ref().unwrap_or(&0));
            read?;
        }
        let ready = self.ready();
        let length = ready.len().min(buffer.len());
        buffer[..length].copy_from_slice(&ready[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.bytes.size().checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// For crates that ask for what can be written, and do so only when something is changed: that is dropped.
pub(crate) struct ReadOnly(pub(crate) Cursor);

impl Read for ReadOnly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Seek for ReadOnly {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Write for ReadOnly {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for ReadOnly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an image")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_is_there_in_any_order() {
        let data: Vec<u8> = (0..50_000u32).map(|at| (at * 7 % 251) as u8).collect();
        let mut cursor = Cursor::new(Arc::new(data.clone()));
        for (at, length) in [
            (0, 3),
            (16_380, 10),
            (5, 40_000),
            (49_999, 9),
            (50_010, 4),
            (100, 1),
        ] {
            cursor.seek(SeekFrom::Start(at as u64)).unwrap();
            let mut read = Vec::new();
            cursor
                .by_ref()
                .take(length as u64)
                .read_to_end(&mut read)
                .unwrap();
            let end = (at + length).min(data.len());
            assert_eq!(read, data[at.min(end)..end], "{length} bytes at {at}");
        }
        assert!(cursor.seek(SeekFrom::Current(-60_000)).is_err());
    }

    #[test]
    fn a_part_ends_with_the_whole() {
        let whole: Bytes = Arc::new(vec![1, 2, 3, 4, 5]);
        let part = Part::new(whole, 3, 100);
        assert_eq!(part.size(), 2);
        let mut buffer = [0; 4];
        assert_eq!(part.read_at(1, &mut buffer).unwrap(), 1);
        assert_eq!(buffer[0], 5);
        assert_eq!(part.read_at(9, &mut buffer).unwrap(), 0);
    }

    #[test]
    fn what_leads_in_circles_ends() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0; 100]).unwrap();
        let bytes = FileBytes::new(file, None, 1000).unwrap();
        let reads = (0..1000).take_while(|_| read_array::<100>(&bytes, 0).is_ok());
        assert_eq!(reads.count(), 10);
    }
}
