//! What every file system and archive is read into: nodes with paths.

use std::io::{self, Read};
use std::sync::Arc;

use crate::ImageError;
use crate::bytes::Bytes;
use crate::limits::Limits;

/// A file, folder or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// Components with a slash between them, none before the first; not always UTF-8. It leads nowhere out of the image: `..`
    /// and empty components are taken out when it is made.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: NodeKind,
    /// How the file system finds its contents again.
    pub(crate) handle: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    File {
        size: u64,
        /// Whether somebody may execute it; nothing where the file system does not say.
        executable: Option<bool>,
    },
    Folder,
    /// A symbolic link, to this target.
    Link(Vec<u8>),
}

/// Nodes, and what could not be read of the others.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) nodes: Vec<Node>,
    pub(crate) problems: Vec<String>,
}

/// Problems of one listing that are kept; a damaged file system has thousands.
const MAX_PROBLEMS: usize = 20;

impl Listing {
    /// Adds a node with this path, if any of it is left without what would lead out of the image.
    pub(crate) fn push(
        &mut self,
        path: &[u8],
        kind: NodeKind,
        handle: u64,
        limits: &Limits,
    ) -> Result<(), ImageError> {
        if self.nodes.len() as u64 >= limits.entries {
            return Err(ImageError::Limit {
                what: "the number of files",
                limit: limits.entries,
            });
        }
        let path = clean_path(path);
        if !path.is_empty() {
            self.nodes.push(Node { path, kind, handle });
        }
        Ok(())
    }

    /// Notes that something could not be read.
    pub(crate) fn note(&mut self, problem: String) {
        match self.problems.len() {
            count if count < MAX_PROBLEMS => self.problems.push(problem),
            MAX_PROBLEMS => self.problems.push("and more".to_owned()),
            _ => {}
        }
    }
}

/// A path without empty components, `.` and `..`; the latter takes back the one before.
pub(crate) fn clean_path(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// What has files in it.
pub(crate) trait FileSystem: Send + Sync {
    /// Everything in it, in any order. Parts that cannot be read are problems of the listing.
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError>;

    /// The contents of a file out of the listing, `most` bytes of them at most.
    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError>;

    /// The contents of a file to be read at any place.
    fn open_bytes(&self, node: &Node, limits: &Limits) -> Result<Bytes, ImageError> {
        Ok(Arc::new(self.read(node, limits.file_size)?))
    }
}

/// Reads `most` bytes at most.
pub(crate) fn read_most(reader: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    reader.take(most).read_to_end(&mut contents)?;
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out() {
        for (path, clean) in [
            ("/usr/bin/bash", "usr/bin/bash"),
            ("./a//b/.", "a/b"),
            ("../../etc/passwd", "etc/passwd"),
            ("a/../../b", "b"),
            ("..", ""),
        ] {
            assert_eq!(clean_path(path.as_bytes()), clean.as_bytes(), "{path}");
        }
    }
}
