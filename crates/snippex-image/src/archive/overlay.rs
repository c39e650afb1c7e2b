//! Layers over each other, as containers have them: a later one replaces and removes what earlier ones have.
//!
//! Source: OCI Image Layer Filesystem Changeset, the section on whiteouts.

use std::collections::BTreeMap;

use crate::ImageError;
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

pub(crate) struct Overlay {
    layers: Vec<Box<dyn FileSystem>>,
    /// What is left, with the layer that it is from. The handle is that of the layer.
    nodes: Vec<(usize, Node)>,
    problems: Vec<String>,
}

impl Overlay {
    /// Puts layers over each other, the lowest first.
    pub(crate) fn open(layers: Vec<Box<dyn FileSystem>>, limits: &Limits) -> Result<Self, ImageError> {
        let mut merged: BTreeMap<Vec<u8>, (usize, Node)> = BTreeMap::new();
        let mut problems = Vec::new();
        for (index, layer) in layers.iter().enumerate() {
            let listing = layer.list(limits)?;
            problems.extend(listing.problems);
            // What a layer removes is below it, never in itself.
            for node in &listing.nodes {
                let (folder, name) = split_name(&node.path);
                if name == OPAQUE {
                    remove_below(&mut merged, folder);
                } else if let Some(name) = name.strip_prefix(WHITEOUT) {
                    let path = if folder.is_empty() {
                        name.to_vec()
                    } else {
                        [folder, name].join(&b'/')
                    };
                    remove_below(&mut merged, &path);
                    merged.remove(&path);
                }
            }
            for node in listing.nodes {
                if split_name(&node.path).1.starts_with(WHITEOUT) {
                    continue;
                }
                if node.kind != NodeKind::Folder {
                    remove_below(&mut merged, &node.path);
                }
                merged.insert(node.path.clone(), (index, node));
            }
        }
        Ok(Self {
            layers,
            nodes: merged.into_values().collect(),
            problems,
        })
    }
}

/// The folder and the name.
fn split_name(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// Takes out all that a folder has.
fn remove_below(merged: &mut BTreeMap<Vec<u8>, (usize, Node)>, folder: &[u8]) {
    if folder.is_empty() {
        merged.clear();
        return;
    }
    // The byte behind the slash ends what begins with the folder's name and one.
    let (start, end) = ([folder, b"/"].concat(), [folder, b"0"].concat());
    let below: Vec<Vec<u8>> = merged.range(start..end).map(|(path, _)| path.clone()).collect();
    for path in below {
        merged.remove(&path);
    }
}

impl FileSystem for Overlay {
    fn list(&self, limits: &Limits) -> Result<Listing, ImageError> {
        let mut listing = Listing::default();
        for (index, (_, node)) in self.nodes.iter().enumerate() {
            listing.push(&node.path, node.kind.clone(), index as u64, limits)?;
        }
        for problem in &self.problems {
            listing.note(problem.clone());
        }
        Ok(listing)
    }

    fn read(&self, node: &Node, most: u64) -> Result<Vec<u8>, ImageError> {
        let found = usize::try_from(node.handle)
            .ok()
            .and_then(|index| self.nodes.get(index));
        let (layer, node) = found.ok_or_else(|| ImageError::NotFound("such a file".to_owned()))?;
        self.layers[*layer].read(node, most)
    }
}
