//! ar: Debian packages, and static libraries.
//!
//! Source: the System V and GNU forms as binutils writes them.

use crate::ImageError;
use crate::bytes::{Bytes, Part, read_array, read_vec};
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind};

const FORMAT: &str = "ar";
const HEADER: u64 = 60;
/// Long names of a library together.
const MAX_NAMES: u64 = 64 << 20;

pub(crate) struct Ar {
    bytes: Bytes,
    pub(crate) members: Vec<Member>,
}

/// A file of an archive.
pub(crate) struct Member {
    pub(crate) name: Vec<u8>,
    start: u64,
    size: u64,
}

impl Ar {
    pub(crate) fn open(bytes: Bytes, limits: &Limits) -> Result<Self, ImageError> {
        let mut members = Vec::new();
        let mut long_names = Vec::new();
        let mut at = 8;
        while at + HEADER <= bytes.size() {
            let header: [u8; HEADER as usize] =
                read_array(&*bytes, at).map_err(ImageError::io("a header"))?;
            let text = |from: usize, to: usize| String::from_utf8_lossy(&header[from..to]).trim().to_owned();
            let size: u64 = text(48, 58)
                .parse()
                .map_err(|_| ImageError::damaged(FORMAT, "a header has no size"))?;
            let start = at + HEADER;
            let name = header[..16].trim_ascii_end();
            match name {
                b"//" => {
                    let length = size.min(MAX_NAMES) as usize;
                    long_names =
                        read_vec(&*bytes, start, length).map_err(ImageError::io("the long names"))?;
                }
                // The index of symbols, in both widths.
                b"/" | b"/SYM64/" => {}
                _ => members.push(Member {
                    name: member_name(name, &long_names),
                    start,
                    size,
                }),
            }
            if members.len() as u64 > limits.entries {
                return Err(ImageError::Limit {
                    what: "the number of files",
                    limit: limits.entries,
                });
            }
            at = start.saturating_add(size).saturating_add(size % 2);
        }
        Ok(Self { bytes, members })
    }

    /// The bytes of the first member whose name begins so.
    pub(crate) fn find(&self, begins: &[u8]) -> Option<(&Member, Part)> {
        let member = self
            .members
            .iter()
            .find(|member| member.name.starts_with(begins))?;
        Some((member, Part::new(self.bytes.clone(), member.start, member.size)))
    }
}

fn member_name(field: &[u8], long_names: &[u8]) -> Vec<u8> {
    let long = field
        .strip_prefix(b"/")
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
    let name = match long {
        Some(at) => long_names
            .get(at..)
            .unwrap_or_default()
            .split(|&byte| byte == b'\n')
            .next()
            .unwrap_or_default(),
        None => field,
    };
    name.strip_suffix(b"/").unwrap_or(name).to_vec()
}

impl FileSystem for Ar {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let mut listing = Listing::default();
        for member in &self.members {
            let kind = NodeKind::File {
                size: member.size,
                executable: None,
            };
            listing.push(&member.name, kind, member.start, limits)?;
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        super::read_piece(&self.bytes, node, most)
    }
}
