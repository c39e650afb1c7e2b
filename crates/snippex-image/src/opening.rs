//! From bytes to files: what a layer is, and what is in it, until there are files.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::ImageError;
use crate::archive::{Ar, Archive, Cpio, Overlay, Tar, Zip, oci_images, payload_start};
use crate::bytes::{Bytes, Part, read_array, read_head};
use crate::container::Container;
use crate::files::FileSystemKind;
use crate::image::Layer;
use crate::limits::Limits;
use crate::node::{FileSystem, Listing, Node, NodeKind};
use crate::unpack::{Compression, unpack};
use crate::volume::{PartitionTable, PhysicalVolume, Volume};

/// Files of one file system or archive.
pub(crate) struct Files {
    /// Names of the layers above it that have one, with slashes between them.
    pub(crate) volume: String,
    pub(crate) system: Box<dyn FileSystem>,
    pub(crate) nodes: Vec<Node>,
}

/// Opens layers, and collects the files that are found.
pub(crate) struct Opener<'o> {
    pub(crate) limits: &'o Limits,
    pub(crate) found: Vec<Files>,
    /// Disks of volume groups, which may be made up of several.
    physical: Vec<PhysicalVolume>,
}

/// A place among the layers.
#[derive(Clone)]
pub(crate) struct Place {
    /// Name of this layer, if it has one: `p1`.
    name: String,
    /// Names of this and the ones above.
    volume: String,
    depth: usize,
}

impl Place {
    pub(crate) fn outermost() -> Self {
        Self {
            name: String::new(),
            volume: String::new(),
            depth: 0,
        }
    }

    fn inside(&self, name: &str) -> Self {
        let volume = match (self.volume.as_str(), name) {
            (above, "") => above.to_owned(),
            ("", name) => name.to_owned(),
            (above, name) => format!("{above}/{name}"),
        };
        Self {
            name: name.to_owned(),
            volume,
            depth: self.depth + 1,
        }
    }

    fn layer(&self, format: &str, bytes: &Bytes) -> Layer {
        Layer {
            name: self.name.clone(),
            format: format.to_owned(),
            size: bytes.size(),
            files: None,
            problems: Vec::new(),
            inner: Vec::new(),
        }
    }
}

impl<'o> Opener<'o> {
    pub(crate) fn new(limits: &'o Limits) -> Self {
        Self {
            limits,
            found: Vec::new(),
            physical: Vec::new(),
        }
    }

    /// Opens a layer and what is in it.
    ///
    /// # Errors
    /// When it is nothing that is known, or cannot be read at all. What is wrong further inside is a problem of the layer there.
    pub(crate) fn open(&mut self, bytes: &Bytes, place: &Place) -> Result<Layer, ImageError> {
        if place.depth > self.limits.depth {
            return Err(ImageError::Limit {
                what: "the number of layers in each other",
                limit: self.limits.depth as u64,
            });
        }
        // A file system's magic number may lie behind a partition table's, and a container's footer behind either.
        if let Some(kind) = FileSystemKind::detect(bytes) {
            let system = guarded(kind.name(), || kind.open(Arc::clone(bytes)))?;
            return self.add_files(place, place.layer(kind.name(), bytes), system);
        }
        if let Some(container) = Container::detect(bytes) {
            let disk = guarded(container.name(), || {
                container.open(Arc::clone(bytes), self.limits)
            })?;
            return Ok(self.with_inner(place.layer(container.name(), bytes), vec![("", disk)], place));
        }
        if let Some(archive) = Archive::detect(bytes) {
            return self.open_archive(archive, bytes, place);
        }
        if let Some(compression) = Compression::detect(bytes) {
            let unpacked = unpack(bytes, compression, self.limits)?;
            return Ok(self.with_inner(
                place.layer(compression.name(), bytes),
                vec![("", unpacked)],
                place,
            ));
        }
        if let Some(physical) = PhysicalVolume::read(bytes)? {
            self.physical.push(physical);
            let mut layer = place.layer("LVM", bytes);
            // The volumes of a disk in partitions are put together when all of these are known.
            if place.volume.is_empty() {
                self.add_logical_volumes(&mut layer, place);
            }
            return Ok(layer);
        }
        if let Some(table) = PartitionTable::detect(bytes) {
            let (volumes, problems) = guarded(table.name(), || table.partitions(bytes))?;
            let mut layer = place.layer(table.name(), bytes);
            layer.problems = problems;
            let parts = volumes
                .iter()
                .map(|volume| (volume.name.as_str(), Arc::clone(&volume.bytes)));
            let mut layer = self.with_inner(layer, parts.collect(), place);
            self.add_logical_volumes(&mut layer, place);
            return Ok(layer);
        }
        Err(ImageError::Unknown(what_else(bytes)))
    }

    fn open_archive(&mut self, archive: Archive, bytes: &Bytes, place: &Place) -> Result<Layer, ImageError> {
        match archive {
            Archive::Tar => {
                let layer = place.layer("tar", bytes);
                self.add_files(place, layer, Box::new(Tar(Arc::clone(bytes))))
            }
            Archive::Zip => {
                let layer = place.layer("zip", bytes);
                self.add_files(place, layer, Box::new(Zip(Arc::clone(bytes))))
            }
            Archive::Cpio => self.open_initramfs(bytes, place),
            Archive::Ar => {
                let ar = Ar::open(Arc::clone(bytes), self.limits)?;
                let is_package = ar
                    .members
                    .first()
                    .is_some_and(|member| member.name == b"debian-binary");
                match ar.find(b"data.tar").filter(|_| is_package) {
                    Some((_, data)) => {
                        let data: Bytes = Arc::new(data);
                        Ok(self.with_inner(place.layer("deb", bytes), vec![("", data)], place))
                    }
                    None => self.add_files(place, place.layer("ar", bytes), Box::new(ar)),
                }
            }
            Archive::Rpm => {
                let start = payload_start(bytes)?;
                let payload: Bytes = Arc::new(Part::new(Arc::clone(bytes), start, u64::MAX));
                Ok(self.with_inner(place.layer("rpm", bytes), vec![("", payload)], place))
            }
        }
    }

    /// cpio archives one behind the other, compressed or not, as a kernel unpacks them over each other.
    fn open_initramfs(&mut self, bytes: &Bytes, place: &Place) -> Result<Layer, ImageError> {
        /// Archives of one file; microcode, modules and the system are three.
        const MAX_PARTS: usize = 64;
        let mut layers: Vec<Box<dyn FileSystem>> = Vec::new();
        let mut layer = place.layer("cpio", bytes);
        let mut rest = Arc::clone(bytes);
        while layers.len() < MAX_PARTS {
            let unpacked = match Compression::detect(&rest) {
                Some(compression) => unpack(&rest, compression, self.limits)?,
                None => Arc::clone(&rest),
            };
            if !matches!(Archive::detect(&unpacked), Some(Archive::Cpio)) {
                layer
                    .problems
                    .push("behind its archives is something else".to_owned());
                break;
            }
            let cpio = Cpio::open(Arc::clone(&unpacked), self.limits)?;
            let next = cpio.rest;
            layers.push(Box::new(cpio));
            match next {
                Some(next) => rest = Arc::new(Part::new(unpacked, next, u64::MAX)),
                None => break,
            }
        }
        let system = Overlay::open(layers, self.limits)?;
        self.add_files(place, layer, Box::new(system))
    }

    /// Opens what is in a layer; what cannot be read is told there.
    fn with_inner(&mut self, mut layer: Layer, inner: Vec<(&str, Bytes)>, place: &Place) -> Layer {
        for (name, bytes) in inner {
            let place = place.inside(name);
            let opened = self.open(&bytes, &place).unwrap_or_else(|error| match error {
                // Nothing is wrong with space for swapping, or with an empty partition.
                ImageError::Unknown(_) => place.layer(name_of_unread(&bytes), &bytes),
                error => {
                    let mut unread = place.layer(name_of_unread(&bytes), &bytes);
                    unread.problems.push(error.to_string());
                    unread
                }
            });
            layer.inner.push(opened);
        }
        layer
    }

    fn add_logical_volumes(&mut self, layer: &mut Layer, place: &Place) {
        let disks = std::mem::take(&mut self.physical);
        if disks.is_empty() {
            return;
        }
        let (volumes, problems) = PhysicalVolume::assemble(&disks);
        layer.problems.extend(problems);
        let volumes = volumes
            .iter()
            .map(|Volume { name, bytes }| (name.as_str(), Arc::clone(bytes)));
        let inner = self.with_inner(
            place.layer("LVM", &(Arc::new(Vec::new()) as Bytes)),
            volumes.collect(),
            place,
        );
        layer.inner.extend(inner.inner);
    }

    /// Lists the files of a layer; of an archive of container images, those of the images.
    pub(crate) fn add_files(
        &mut self,
        place: &Place,
        mut layer: Layer,
        system: Box<dyn FileSystem>,
    ) -> Result<Layer, ImageError> {
        let Listing { nodes, problems } = guarded("file system", || system.list(self.limits))?;
        layer.problems.extend(problems);
        if let Some(images) = oci_images(&*system, &nodes, self.limits)? {
            layer.format = "container images".to_owned();
            for image in images {
                // A name with a slash would look like a folder.
                let place = place.inside(&image.name.replace('/', "-"));
                let opened = self.open_container_image(&place, &image.layers);
                layer.inner.push(opened);
            }
            return Ok(layer);
        }
        let is_file = |node: &&Node| matches!(node.kind, NodeKind::File { .. });
        layer.files = Some(nodes.iter().filter(is_file).count() as u64);
        self.found.push(Files {
            volume: place.volume.clone(),
            system,
            nodes,
        });
        Ok(layer)
    }

    fn open_container_image(&mut self, place: &Place, layers: &[Bytes]) -> Layer {
        let size = layers.iter().map(|layer| layer.size()).sum();
        let mut layer = place.layer("container image", &(Arc::new(Vec::new()) as Bytes));
        layer.size = size;
        let opened = layers.iter().map(|layer| {
            let unpacked = match Compression::detect(layer) {
                Some(compression) => unpack(layer, compression, self.limits)?,
                None => Arc::clone(layer),
            };
            Ok(Box::new(Tar(unpacked)) as Box<dyn FileSystem>)
        });
        let opened: Result<Vec<_>, ImageError> = opened.collect();
        let merged = opened.and_then(|layers| Overlay::open(layers, self.limits));
        match merged.and_then(|merged| self.add_files(place, layer.clone(), Box::new(merged))) {
            Ok(layer) => layer,
            Err(error) => {
                layer.problems.push(error.to_string());
                layer
            }
        }
    }
}

/// Calls into a reader that was not written for strangers' files. What a damaged one makes panic is damaged.
pub(crate) fn guarded<T>(
    format: &'static str,
    read: impl FnOnce() -> Result<T, ImageError>,
) -> Result<T, ImageError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ImageError::damaged(format, "its reader cannot make sense of it")))
}

/// What is on a partition that has no files for us.
fn name_of_unread(bytes: &Bytes) -> &'static str {
    let at = |offset: u64, magic: &[u8]| {
        let mut buffer = vec![0; magic.len()];
        crate::bytes::read_exact_at(&**bytes, offset, &mut buffer).is_ok() && buffer == magic
    };
    if at(4086, b"SWAPSPACE2") {
        "swap"
    } else if at(0, b"LUKS\xba\xbe") {
        "LUKS, encrypted"
    } else if at(3, b"-FVE-FS-") {
        "BitLocker, encrypted"
    } else {
        "unknown"
    }
}

/// What bytes are that hold no files.
fn what_else(bytes: &Bytes) -> String {
    let head = read_head(&**bytes, 16).unwrap_or_default();
    match head.as_slice() {
        [] => "it is empty".to_owned(),
        [0x7f, b'E', b'L', b'F', ..] | [b'M', b'Z', ..] => "it is a program".to_owned(),
        [b'#', b'!', ..] => "it is a script".to_owned(),
        _ if read_array::<4096>(&**bytes, 0).is_ok_and(|start| start.iter().all(|&byte| byte == 0)) => {
            "it begins with zeros".to_owned()
        }
        _ => {
            let digits: Vec<String> = head.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("it begins with {}", digits.join(" "))
        }
    }
}
