//! A program file as the loader sees it: segments, code, what the format says about functions, and its pages.
//!
//! First stage of the flow: `&[u8]` (the caller reads or maps the file) becomes an [`Image`], which extraction
//! asks for code and execution asks for memory pages. ELF and PE for x86-64. Headers are not trusted: whatever
//! they say is checked against the length of the file, and every table is bounded by the bytes it occupies.
//!
//! Does not do: finding code (see [`crate::extract`]), symbol versions, debug information, other machines.

mod dynamic;
mod eh_frame;
mod elf;
mod error;
mod go;
mod image;
mod page;
mod pe;
mod relocatable;
mod unpacker;

pub use error::ImageError;
pub use image::{FileFormat, FunctionRange, Image, Segment, Symbol};
pub use relocatable::{is_object_file, link_object};
pub use unpacker::Unpacker;
