//! Bytes of a case, an observation or a machine state, for the database and for files.
//!
//! Place in the flow: what ran is kept as bytes by the store and read again to show it or to repeat it. The
//! bytes may have been cut, flipped or forged on the way, so decoding answers with an error and never panics,
//! never reads past the input and never allocates much more than the input is long.
//!
//! This is the only module that knows which serialisation library is used. It does no IO and no compression.
//!
//! ```
//! use snippex_core::codec;
//! use snippex_core::state::MachineState;
//!
//! let state = MachineState::default();
//! let bytes = codec::encode_state(&state);
//! assert_eq!(codec::decode_state(&bytes)?, state);
//! assert!(codec::decode_state(&bytes[1..]).is_err());
//! # Ok::<(), codec::CodecError>(())
//! ```

mod frame;
mod group_id;
mod id;
#[cfg(test)]
pub(crate) mod tests;
mod wire;

use serde::{Deserialize, Serialize};

use crate::case::Case;
use crate::observation::Observation;
use crate::state::MachineState;

pub use frame::{CodecError, FrameKind, MAX_PAYLOAD, VERSION};
pub use group_id::{GroupHasher, GroupId};
pub use id::{CaseId, ParseCaseIdError};
pub use wire::Bytes;

/// `value` in the envelope of all that is encoded here. The order of its fields is the format.
#[must_use]
pub fn encode_value<T: Serialize>(kind: FrameKind, value: &T) -> Vec<u8> {
    frame::encode_envelope(kind, value).1
}

/// The value that [`encode_value`] made `bytes` from; what it borrows, such as [`Bytes`], lies in them.
///
/// # Errors
/// When `bytes` is anything else, see [`CodecError`]. Whether the value makes sense is for the caller to say.
pub fn decode_value<'a, T: Deserialize<'a>>(kind: FrameKind, bytes: &'a [u8]) -> Result<T, CodecError> {
    frame::decode_envelope(kind, bytes)
}

/// The canonical bytes of a case, with the case's content address: equal cases have equal bytes.
#[must_use]
pub fn encode_case(case: &Case) -> (CaseId, Vec<u8>) {
    let (digest, bytes) = frame::encode_envelope(FrameKind::Case, &wire::CaseWire::from_case(case));
    (CaseId(digest), bytes)
}

/// The case that [`encode_case`] made `bytes` from.
///
/// # Errors
/// When `bytes` is anything else, see [`CodecError`].
pub fn decode_case(bytes: &[u8]) -> Result<Case, CodecError> {
    frame::decode_envelope::<wire::CaseWire<'_>>(FrameKind::Case, bytes)?.into_case()
}

/// The canonical bytes of an observation.
#[must_use]
pub fn encode_observation(observation: &Observation) -> Vec<u8> {
    frame::encode_envelope(
        FrameKind::Observation,
        &wire::ObservationWire::from_observation(observation),
    )
    .1
}

/// The observation that [`encode_observation`] made `bytes` from.
///
/// # Errors
/// When `bytes` is anything else, see [`CodecError`].
pub fn decode_observation(bytes: &[u8]) -> Result<Observation, CodecError> {
    frame::decode_envelope::<wire::ObservationWire<'_>>(FrameKind::Observation, bytes)?.into_observation()
}

/// The canonical bytes of a machine state.
#[must_use]
pub fn encode_state(state: &MachineState) -> Vec<u8> {
    frame::encode_envelope(FrameKind::State, &wire::StateWire::from_state(state)).1
}

/// The state that [`encode_state`] made `bytes` from.
///
/// # Errors
/// When `bytes` is anything else, see [`CodecError`].
pub fn decode_state(bytes: &[u8]) -> Result<MachineState, CodecError> {
    frame::decode_envelope::<wire::StateWire<'_>>(FrameKind::State, bytes)?.into_state()
}
