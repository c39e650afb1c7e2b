//! Programs inside disk images, file systems, containers, archives and packages, for an ordinary user: nothing is mounted, no
//! other program is started.
//!
//! An [`Image`] is opened layer by layer: a container of a disk (qcow2, VMDK, VHD, VHDX, VDI), a partition table (GPT, MBR) or
//! LVM, a file system (ext2 to ext4, squashfs, erofs, xfs, NTFS, FAT, ISO 9660), an archive (tar, cpio, zip, ar, deb, rpm, OCI and
//! `docker save`), each of them compressed or not. What comes from strangers is read within [`Limits`].
//!
//! ```no_run
//! use snippex_image::{Image, Limits};
//!
//! let image = Image::open("disk.qcow2".as_ref(), Limits::default())?;
//! for file in image.find_files("/usr/bin/*")? {
//!     println!("{} {}", file.full_path(), image.read_file(&file)?.len());
//! }
//! # Ok::<(), snippex_image::ImageError>(())
//! ```

mod archive;
mod bytes;
mod container;
mod error;
mod files;
mod image;
mod inspect;
mod limits;
mod node;
mod opening;
mod program;
mod unpack;
mod volume;

pub use error::ImageError;
pub use image::{Image, ImageFile, Layer};
pub use inspect::{ImageProgram, System};
pub use limits::Limits;
pub use program::ProgramKind;
