//! An image: its layers and its files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use globset::GlobBuilder;

use crate::ImageError;
use crate::bytes::{Bytes, FileBytes};
use crate::files::Folder;
use crate::limits::Limits;
use crate::node::{Node, NodeKind};
use crate::opening::{Files, Opener, Place, guarded};

/// A layer of an image: a container of a disk, a partition table, a partition's file system, an archive.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Layer {
    /// `p1` for a partition, `group/volume` for a logical volume, the tag or platform of a container image; else empty.
    pub name: String,
    /// `qcow2`, `GPT`, `ext4`, `tar` and so on.
    pub format: String,
    /// Bytes that it has for what is in it.
    pub size: u64,
    /// Regular files, if it holds any.
    pub files: Option<u64>,
    /// What could not be read.
    pub problems: Vec<String>,
    /// What is in it.
    pub inner: Vec<Layer>,
}

impl Layer {
    /// Everything that could not be read in this layer and those in it.
    #[must_use]
    pub fn all_problems(&self) -> Vec<String> {
        let named = |problem: &String| match self.name.as_str() {
            "" => problem.clone(),
            name => format!("{name}: {problem}"),
        };
        let inner = self.inner.iter().flat_map(Self::all_problems);
        self.problems.iter().map(named).chain(inner).collect()
    }
}

/// A regular file of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// Names of the layers around it, with slashes between them; empty where there is nothing but one file system.
    pub volume: String,
    /// Path in its file system, which begins with a slash. Bytes that cannot be printed are written as `\x0a`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Whether somebody may execute it; nothing where the file system does not say.
    pub executable: Option<bool>,
    /// Which of the image's file systems, and which of its nodes.
    at: (usize, usize),
}

impl ImageFile {
    /// Volume and path: what tells it from all others of the image.
    #[must_use]
    pub fn full_path(&self) -> String {
        match self.volume.as_str() {
            "" => self.path.clone(),
            volume => format!("/{volume}{}", self.path),
        }
    }
}

/// An opened image. It may be shared between threads.
pub struct Image {
    path: PathBuf,
    limits: Limits,
    layer: Layer,
    found: Vec<Files>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image")
            .field("path", &self.path)
            .field("layer", &self.layer)
            .finish_non_exhaustive()
    }
}

impl Image {
    /// Opens a disk image, a file system, an archive, a package or a folder, and finds the files in it. Nothing is mounted, no other
    /// program is started, nothing is written but temporary files for what is compressed as a whole.
    ///
    /// # Errors
    /// When it cannot be read, is nothing of that kind, or is damaged so that nothing can be read of it. A part that is
    /// damaged is told by [`Layer::problems`].
    pub fn open(path: &Path, limits: Limits) -> Result<Self, ImageError> {
        let cannot = || ImageError::io("it cannot be opened");
        let metadata = path.metadata().map_err(cannot())?;
        let mut opener = Opener::new(&limits);
        let layer = if metadata.is_dir() {
            let layer = Layer {
                name: String::new(),
                format: "folder".to_owned(),
                size: 0,
                files: None,
                problems: Vec::new(),
                inner: Vec::new(),
            };
            opener.add_files(&Place::outermost(), layer, Box::new(Folder(path.to_owned())))?
        } else {
            let file = File::open(path).map_err(cannot())?;
            let bytes = FileBytes::new(file, Some(path.to_owned()), limits.read).map_err(cannot())?;
            let bytes: Bytes = Arc::new(bytes);
            opener.open(&bytes, &Place::outermost())?
        };
        let found = opener.found;
        Ok(Self {
            path: path.to_owned(),
            limits,
            layer,
            found,
        })
    }

    /// The file or folder that was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The outermost layer.
    #[must_use]
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// All regular files, by volume, then by path.
    #[must_use]
    pub fn list_files(&self) -> Vec<ImageFile> {
        let mut files: Vec<ImageFile> = Vec::new();
        for (system, found) in self.found.iter().enumerate() {
            let nodes = found.nodes.iter().enumerate();
            let mut here: Vec<ImageFile> = nodes
                .filter_map(|(index, node)| self.file(system, index, node))
                .collect();
            here.sort_by(|a, b| a.path.cmp(&b.path));
            files.extend(here);
        }
        files
    }

    /// The files that a pattern names: a path, with `*` and `?` for what has no slash in it, `**` for folders, `[...]` and
    /// `{a,b}`. A path without any of them is followed through symbolic links, as are the folders before the first.
    /// It may begin with the name of a volume.
    ///
    /// # Errors
    /// When it is no pattern.
    pub fn find_files(&self, pattern: &str) -> Result<Vec<ImageFile>, ImageError> {
        let pattern = format!("/{}", pattern.trim_start_matches('/'));
        let is_literal = !pattern.contains(['*', '?', '[', '{']);
        let mut found = Vec::new();
        for (system, files) in self.found.iter().enumerate() {
            let prefix = format!("/{}", files.volume);
            let here = match pattern.strip_prefix(&prefix) {
                Some(rest) if !files.volume.is_empty() && rest.starts_with('/') => rest,
                _ => &pattern,
            };
            let tree = Tree::new(&files.nodes);
            if is_literal {
                found.extend(
                    tree.resolve(&unescape(here))
                        .and_then(|index| self.file(system, index, &files.nodes[index])),
                );
                continue;
            }
            let glob = tree.with_real_folder(here);
            let matcher = GlobBuilder::new(&glob)
                .literal_separator(true)
                .build()
                .map_err(|error| ImageError::NotFound(format!("{glob}: {error}")))?
                .compile_matcher();
            let nodes = files.nodes.iter().enumerate();
            let mut matched: Vec<ImageFile> = nodes
                .filter_map(|(index, node)| self.file(system, index, node))
                .filter(|file| matcher.is_match(&file.path))
                .collect();
            matched.sort_by(|a, b| a.path.cmp(&b.path));
            found.extend(matched);
        }
        Ok(found)
    }

    fn file(&self, system: usize, index: usize, node: &Node) -> Option<ImageFile> {
        match node.kind {
            NodeKind::File { size, executable } => Some(ImageFile {
                volume: self.found[system].volume.clone(),
                path: format!("/{}", escape(&node.path)),
                size,
                executable,
                at: (system, index),
            }),
            _ => None,
        }
    }

    /// The contents of a file.
    ///
    /// # Errors
    /// When it is larger than the limits allow, or cannot be read.
    pub fn read_file(&self, file: &ImageFile) -> Result<Vec<u8>, ImageError> {
        if file.size > self.limits.file_size {
            return Err(ImageError::Limit {
                what: "the size of the file",
                limit: self.limits.file_size,
            });
        }
        let contents = self.read_head(file, self.limits.file_size)?;
        if (contents.len() as u64) < file.size {
            return Err(ImageError::Damaged {
                format: "image",
                problem: format!("the file ends after {} of {} bytes", contents.len(), file.size),
            });
        }
        Ok(contents)
    }

    /// The beginning of a file, at most `most` bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_head(&self, file: &ImageFile, most: u64) -> Result<Vec<u8>, ImageError> {
        let (system, index) = file.at;
        let files = &self.found[system];
        guarded("file system", || files.system.read(&files.nodes[index], most))
    }
}

/// Links that are followed one after another, as Linux does.
const MAX_LINKS: usize = 40;

/// The nodes of a file system by their paths.
struct Tree<'t> {
    nodes: &'t [Node],
    by_path: BTreeMap<&'t [u8], usize>,
}

impl<'t> Tree<'t> {
    fn new(nodes: &'t [Node]) -> Self {
        let by_path = nodes
            .iter()
            .enumerate()
            .map(|(index, node)| (node.path.as_slice(), index));
        Self {
            nodes,
            by_path: by_path.collect(),
        }
    }

    /// The node that a path leads to, through links.
    fn resolve(&self, path: &[u8]) -> Option<usize> {
        self.by_path.get(self.real_path(path)?.as_slice()).copied()
    }

    /// The path without links in it.
    fn real_path(&self, path: &[u8]) -> Option<Vec<u8>> {
        let mut left = MAX_LINKS;
        let mut real: Vec<u8> = Vec::new();
        let mut rest: Vec<Vec<u8>> = split(path);
        rest.reverse();
        while let Some(part) = rest.pop() {
            match part.as_slice() {
                b"." => continue,
                b".." => {
                    let slash = real.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                    real.truncate(slash);
                    continue;
                }
                _ => {}
            }
            let mut next = real.clone();
            if !next.is_empty() {
                next.push(b'/');
            }
            next.extend_from_slice(&part);
            let node = self
                .by_path
                .get(next.as_slice())
                .map(|&index| &self.nodes[index].kind);
            match node {
                Some(NodeKind::Link(target)) => {
                    left = left.checked_sub(1)?;
                    if target.starts_with(b"/") {
                        real.clear();
                    }
                    rest.extend(split(target).into_iter().rev());
                }
                _ => real = next,
            }
        }
        Some(real)
    }

    /// A pattern whose folders before the first sign of a pattern are real ones: `/bin/*` is `/usr/bin/*` on many systems.
    fn with_real_folder(&self, pattern: &str) -> String {
        let sign = pattern.find(['*', '?', '[', '{']).unwrap_or(pattern.len());
        let slash = pattern[..sign].rfind('/').unwrap_or(0);
        let (folder, rest) = pattern.split_at(slash);
        match self.real_path(&unescape(folder)) {
            Some(real) if !real.is_empty() => format!("/{}{rest}", escape(&real)),
            _ => pattern.to_owned(),
        }
    }
}

fn split(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
    parts.map(<[u8]>::to_vec).collect()
}

/// A path as text that can be printed and typed: control characters, backslashes and what is not UTF-8 as `\x0a`.
fn escape(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '\\' {
                let mut buffer = [0; 4];
                escape_bytes(&mut text, character.encode_utf8(&mut buffer).as_bytes());
            } else {
                text.push(character);
            }
        }
        escape_bytes(&mut text, chunk.invalid());
    }
    text
}

fn escape_bytes(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        write!(text, "\\x{byte:02x}").expect("writing to a string cannot fail");
    }
}

/// The bytes of an escaped path.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let digits = rest
            .get(at + 2..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match digits {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[at + 4..];
            }
            None => {
                bytes.extend_from_slice(b"\\x");
                rest = &rest[at + 2..];
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    clean_path_keeping_links(&bytes)
}

/// Only empty components are taken out: `..` behind a link is not the folder before it.
fn clean_path_keeping_links(path: &[u8]) -> Vec<u8> {
    split(path).join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::clean_path;

    fn node(path: &str, kind: NodeKind) -> Node {
        Node {
            path: clean_path(path.as_bytes()),
            kind,
            handle: 0,
        }
    }

    fn file() -> NodeKind {
        NodeKind::File {
            size: 0,
            executable: None,
        }
    }

    #[test]
    fn links_are_followed_and_circles_end() {
        let link = |target: &str| NodeKind::Link(target.as_bytes().to_vec());
        let nodes = [
            node("bin", link("usr/bin")),
            node("usr/bin/dash", file()),
            node("usr/bin/sh", link("dash")),
            node("usr/bin/up", link("../../etc/x")),
            node("etc/x", file()),
            node("loop", link("/loop")),
        ];
        let tree = Tree::new(&nodes);
        assert_eq!(tree.resolve(b"bin/sh"), Some(1));
        assert_eq!(tree.resolve(b"bin/up"), Some(4));
        assert_eq!(tree.resolve(b"loop/x"), None);
        assert_eq!(tree.resolve(b"bin/none"), None);
        assert_eq!(tree.with_real_folder("/bin/*"), "/usr/bin/*");
    }

    #[test]
    fn paths_are_printed_and_typed_again() {
        for path in [b"a\nb".as_slice(), b"\xff\\x", "é/ü".as_bytes(), b"plain"] {
            assert_eq!(unescape(&escape(path)), path, "{}", escape(path));
        }
        assert_eq!(escape(b"a\nb"), "a\\x0ab");
    }
}
