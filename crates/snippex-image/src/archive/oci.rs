//! Container images: the OCI layout, and what `docker save` writes.
//!
//! Source: OCI Image Format Specification 1.1 (image layout, index, manifest); Docker Image Specification 1.2.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::ImageError;
use crate::bytes::Bytes;
use crate::limits::Limits;
use crate::node::{FileSystem, Node};

const FORMAT: &str = "container image";
/// Bytes of a manifest or an index.
const MAX_DOCUMENT: u64 = 4 << 20;
/// Indexes in each other.
const MAX_DEPTH: usize = 4;

/// One image of an archive: its tags or its platform, and its layers, the lowest first.
pub(crate) struct ImageLayers {
    pub(crate) name: String,
    pub(crate) layers: Vec<Bytes>,
}

/// A row of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Descriptor>,
}

/// The images of an archive or a folder, if it is one of images.
pub(crate) fn oci_images(
    files: &dyn FileSystem,
    nodes: &[Node],
    limits: &Limits,
) -> Result<Option<Vec<ImageLayers>>, ImageError> {
    let layout = Layout { files, nodes, limits };
    // Newer versions of docker write both; what it wrote first says which tags an image has.
    if layout.find("manifest.json").is_some() && layout.find("usr").is_none() {
        return layout.saved_images().map(Some);
    }
    if layout.find("oci-layout").is_some() && layout.find("index.json").is_some() {
        let index: Index = layout.document("index.json")?;
        let mut found = Vec::new();
        layout.add_indexed(&index, "", 0, &mut found)?;
        return Ok(Some(found));
    }
    Ok(None)
}

struct Layout<'l> {
    files: &'l dyn FileSystem,
    nodes: &'l [Node],
    limits: &'l Limits,
}

impl Layout<'_> {
    fn find(&self, path: &str) -> Option<&Node> {
        let path = crate::node::clean_path(path.as_bytes());
        self.nodes.iter().find(|node| node.path == path)
    }

    fn document<T: for<'d> Deserialize<'d>>(&self, path: &str) -> Result<T, ImageError> {
        let node = self
            .find(path)
            .ok_or_else(|| ImageError::NotFound(path.to_owned()))?;
        let text = self.files.read(node, MAX_DOCUMENT)?;
        serde_json::from_slice(&text).map_err(|error| ImageError::damaged(FORMAT, format!("{path}: {error}")))
    }

    fn layer(&self, path: &str) -> Result<Bytes, ImageError> {
        let mut node = self
            .find(path)
            .ok_or_else(|| ImageError::NotFound(path.to_owned()))?;
        // Old versions of docker save a layer that is there already as a link to it.
        if let crate::node::NodeKind::Link(target) = &node.kind {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let target = format!("{folder}/{}", String::from_utf8_lossy(target));
            node = self.find(&target).ok_or(ImageError::NotFound(target))?;
        }
        self.files.open_bytes(node, self.limits)
    }

    fn saved_images(&self) -> Result<Vec<ImageLayers>, ImageError> {
        let rows: Vec<Saved> = self.document("manifest.json")?;
        let image = |row: &Saved| {
            let layers: Result<Vec<Bytes>, ImageError> =
                row.layers.iter().map(|path| self.layer(path)).collect();
            Ok(ImageLayers {
                name: row
                    .repo_tags
                    .as_ref()
                    .and_then(|tags| tags.first().cloned())
                    .unwrap_or_default(),
                layers: layers?,
            })
        };
        rows.iter().map(image).collect()
    }

    fn add_indexed(
        &self,
        index: &Index,
        above: &str,
        depth: usize,
        found: &mut Vec<ImageLayers>,
    ) -> Result<(), ImageError> {
        if depth > MAX_DEPTH {
            return Err(ImageError::damaged(FORMAT, "its indexes lead in a circle"));
        }
        for descriptor in &index.manifests {
            // Statements about an image, which have the platform `unknown`.
            let platform = descriptor
                .platform
                .as_ref()
                .filter(|platform| platform.os != "unknown");
            if descriptor.platform.is_some() && platform.is_none() {
                continue;
            }
            let named = descriptor.annotations.get("org.opencontainers.image.ref.name");
            let platform = platform.map(|platform| format!("{}-{}", platform.os, platform.architecture));
            let parts: Vec<&str> = [Some(above), named.map(String::as_str), platform.as_deref()]
                .into_iter()
                .flatten()
                .filter(|part| !part.is_empty())
                .collect();
            let name = parts.join("-");
            let path = blob_path(&descriptor.digest)?;
            if descriptor.media_type.contains("index") || descriptor.media_type.contains("manifest.list") {
                self.add_indexed(&self.document(&path)?, &name, depth + 1, found)?;
                continue;
            }
            let manifest: Manifest = self.document(&path)?;
            let layers: Result<Vec<Bytes>, ImageError> = manifest
                .layers
                .iter()
                .map(|layer| self.layer(&blob_path(&layer.digest)?))
                .collect();
            found.push(ImageLayers {
                name,
                layers: layers?,
            });
        }
        Ok(())
    }
}

/// `sha256:0123` is kept as `blobs/sha256/0123`.
fn blob_path(digest: &str) -> Result<String, ImageError> {
    let sound = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match digest.split_once(':') {
        Some((algorithm, hash)) if sound(algorithm) && sound(hash) => Ok(format!("blobs/{algorithm}/{hash}")),
        _ => Err(ImageError::damaged(FORMAT, format!("{digest:?} is no digest"))),
    }
}
