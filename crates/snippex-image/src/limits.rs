//! How much an image may ask for: what comes from strangers says any number it likes.

/// Bounds of time, memory and disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files, folders and links of one file system or archive.
    pub entries: u64,
    /// Bytes of one file that are read into memory.
    pub file_size: u64,
    /// Bytes that archives and layers of one image are unpacked to, in temporary files.
    pub unpacked: u64,
    /// Bytes that are read of one image, over and over again included.
    pub read: u64,
    /// Layers in each other: a file system in a partition of a disk image in an archive has four.
    pub depth: usize,
}

impl Default for Limits {
    /// A distribution's largest images pass, and nothing takes hours: a million files, 1 GiB a file, 64 GiB unpacked, 256 GiB read,
    /// eight layers.
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            entries: 1_000_000,
            file_size: GIB,
            unpacked: 64 * GIB,
            read: 256 * GIB,
            depth: 8,
        }
    }
}
