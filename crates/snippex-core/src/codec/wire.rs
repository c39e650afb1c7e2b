//! The shapes that are written: the contract types with their large arrays as borrowed byte strings.
//!
//! The order of fields here, and the order of variants in [`Terminator`](crate::block::Terminator),
//! [`Origin`](crate::block::Origin), [`Unrunnable`](crate::block::Unrunnable), [`PageAccess`] and [`Endpoint`], is
//! the format. Whoever changes it raises [`VERSION`](super::VERSION); a test holds the digest of a known case.
//!
//! Byte strings borrow from the input when they are read, so a forged length can never ask for memory.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::CodecError;
use crate::block::Block;
use crate::case::{Case, PAGE_SIZE, Page, PageAccess, Placement};
use crate::observation::{ChangedLine, Endpoint, LINE_SIZE, Observation};
use crate::state::{MachineState, X87State};

#[derive(Serialize, Deserialize)]
pub(super) struct CaseWire<'a> {
    block: Cow<'a, Block>,
    placement: Placement,
    #[serde(borrow)]
    state: StateWire<'a>,
    #[serde(borrow)]
    pages: Vec<PageWire<'a>>,
}

#[derive(Serialize, Deserialize)]
struct PageWire<'a> {
    address: u64,
    access: PageAccess,
    #[serde(borrow)]
    content: Bytes<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ObservationWire<'a> {
    endpoint: Endpoint,
    #[serde(borrow)]
    state: StateWire<'a>,
    #[serde(borrow)]
    memory: Vec<LineWire<'a>>,
}

#[derive(Serialize, Deserialize)]
struct LineWire<'a> {
    address: u64,
    #[serde(borrow)]
    bytes: Bytes<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StateWire<'a> {
    gpr: [u64; 16],
    rflags: u64,
    fs_base: u64,
    gs_base: u64,
    x87: X87State,
    mxcsr: u32,
    #[serde(borrow)]
    vectors: Bytes<'a>,
    opmask: [u64; 8],
}

impl<'a> CaseWire<'a> {
    pub(super) fn from_case(case: &'a Case) -> Self {
        debug_assert!(
            is_ascending(case.pages.iter().map(|page| page.address)),
            "pages are in order"
        );
        let pages = case.pages.iter().map(|page| PageWire {
            address: page.address,
            access: page.access,
            content: Bytes(&page.content[..]),
        });
        Self {
            block: Cow::Borrowed(&case.block),
            placement: case.placement,
            state: StateWire::from_state(&case.state),
            pages: pages.collect(),
        }
    }

    pub(super) fn into_case(self) -> Result<Case, CodecError> {
        let pages: Vec<Page> = self
            .pages
            .iter()
            .map(PageWire::to_page)
            .collect::<Result<_, _>>()?;
        if !is_ascending(pages.iter().map(|page| page.address)) {
            return Err(CodecError::Invalid("pages are not in ascending order"));
        }
        Ok(Case {
            block: Arc::new(self.block.into_owned()),
            placement: self.placement,
            state: self.state.into_state()?,
            pages: pages.into(),
        })
    }
}

impl PageWire<'_> {
    fn to_page(&self) -> Result<Page, CodecError> {
        if !self.address.is_multiple_of(PAGE_SIZE as u64) {
            return Err(CodecError::Invalid(
                "a page does not start at a multiple of its size",
            ));
        }
        Ok(Page {
            address: self.address,
            access: self.access,
            content: Arc::new(self.content.to_array("a page is not 4096 bytes long")?),
        })
    }
}

impl<'a> ObservationWire<'a> {
    pub(super) fn from_observation(observation: &'a Observation) -> Self {
        debug_assert!(
            is_ascending(observation.memory.iter().map(|line| line.address)),
            "lines are in order"
        );
        let memory = observation.memory.iter().map(|line| LineWire {
            address: line.address,
            bytes: Bytes(&line.bytes),
        });
        Self {
            endpoint: observation.endpoint,
            state: StateWire::from_state(&observation.state),
            memory: memory.collect(),
        }
    }

    pub(super) fn into_observation(self) -> Result<Observation, CodecError> {
        let memory: Vec<ChangedLine> = self
            .memory
            .iter()
            .map(LineWire::to_line)
            .collect::<Result<_, _>>()?;
        if !is_ascending(memory.iter().map(|line| line.address)) {
            return Err(CodecError::Invalid("lines of memory are not in ascending order"));
        }
        Ok(Observation {
            endpoint: self.endpoint,
            state: self.state.into_state()?,
            memory,
        })
    }
}

impl LineWire<'_> {
    fn to_line(&self) -> Result<ChangedLine, CodecError> {
        if !self.address.is_multiple_of(LINE_SIZE as u64) {
            return Err(CodecError::Invalid(
                "a line of memory does not start at a multiple of its size",
            ));
        }
        Ok(ChangedLine {
            address: self.address,
            bytes: self.bytes.to_array("a line of memory is not 64 bytes long")?,
        })
    }
}

impl<'a> StateWire<'a> {
    pub(super) fn from_state(state: &'a MachineState) -> Self {
        Self {
            gpr: state.gpr,
            rflags: state.rflags,
            fs_base: state.fs_base,
            gs_base: state.gs_base,
            x87: state.x87,
            mxcsr: state.mxcsr,
            vectors: Bytes(state.vectors.as_flattened()),
            opmask: state.opmask,
        }
    }

    pub(super) fn into_state(self) -> Result<MachineState, CodecError> {
        let mut vectors = [[0; 64]; 32];
        if self.vectors.0.len() != vectors.as_flattened().len() {
            return Err(CodecError::Invalid(
                "the vector registers are not 2048 bytes long",
            ));
        }
        vectors.as_flattened_mut().copy_from_slice(self.vectors.0);
        Ok(MachineState {
            gpr: self.gpr,
            rflags: self.rflags,
            fs_base: self.fs_base,
            gs_base: self.gs_base,
            x87: self.x87,
            mxcsr: self.mxcsr,
            vectors,
            opmask: self.opmask,
        })
    }
}

fn is_ascending(addresses: impl Iterator<Item = u64>) -> bool {
    addresses.is_sorted_by(|a, b| a < b)
}

/// A byte string that is written at once and read without a copy.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    /// The bytes as an array.
    ///
    /// # Errors
    /// [`CodecError::Invalid`] with the text `otherwise` when they are not as many.
    pub fn to_array<const N: usize>(&self, otherwise: &'static str) -> Result<[u8; N], CodecError> {
        self.0.try_into().map_err(|_| CodecError::Invalid(otherwise))
    }
}

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(BorrowedBytes).map(Self)
    }
}

struct BorrowedBytes;

impl<'de> Visitor<'de> for BorrowedBytes {
    type Value = &'de [u8];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a byte string that lies in the input")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(bytes)
    }
}
