//! Cases and observations as bytes: encoded where they were made, not on the thread that writes.

use std::borrow::Cow;

use snippex_core::case::Case;
use snippex_core::codec::{self, CaseId};
use snippex_core::observation::Observation;
use sqlx::AnyConnection;

use crate::error::StoreError;
use crate::insert::{Insert, Statement};
use crate::open::Store;
use crate::packed::{pack_bytes, unpack_bytes};

/// A case as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedCase {
    pub(crate) id: CaseId,
    pub(crate) bytes: Vec<u8>,
}

impl EncodedCase {
    /// Content address of the case.
    #[must_use]
    pub fn id(&self) -> CaseId {
        self.id
    }
}

impl From<&Case> for EncodedCase {
    fn from(case: &Case) -> Self {
        let (id, bytes) = codec::encode_case(case);
        Self { id, bytes }
    }
}

/// An observation as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedObservation(pub(crate) Vec<u8>);

impl EncodedObservation {
    /// The bytes for the database, beside `case`.
    pub(crate) fn pack_beside(&self, case: &EncodedCase) -> Vec<u8> {
        pack_bytes(&self.0, &case.bytes)
    }
}

impl From<&Observation> for EncodedObservation {
    fn from(observation: &Observation) -> Self {
        Self(codec::encode_observation(observation))
    }
}

impl Store {
    /// A case as it is stored, and its bytes, which observations of it refer to.
    pub(crate) fn decode_case(&self, stored: &[u8]) -> Result<(Case, Vec<u8>), StoreError> {
        let bytes = self.unpack("case", stored, &[])?.into_owned();
        let failed = |source| StoreError::Codec {
            location: self.location.clone(),
            what: "case",
            source,
        };
        Ok((codec::decode_case(&bytes).map_err(failed)?, bytes))
    }

    /// The bytes behind what is stored.
    pub(crate) fn unpack<'s>(
        &self,
        what: &'static str,
        stored: &'s [u8],
        base: &[u8],
    ) -> Result<Cow<'s, [u8]>, StoreError> {
        unpack_bytes(stored, base).map_err(|source| StoreError::Packed {
            location: self.location.clone(),
            what,
            source,
        })
    }

    /// An observation of the case with these bytes.
    pub(crate) fn decode_observation(&self, stored: &[u8], case: &[u8]) -> Result<Observation, StoreError> {
        let bytes = self.unpack("observation", stored, case)?;
        let failed = |source| StoreError::Codec {
            location: self.location.clone(),
            what: "observation",
            source,
        };
        codec::decode_observation(&bytes).map_err(failed)
    }

    pub(crate) fn read_case_id(&self, text: String) -> Result<CaseId, StoreError> {
        let unknown = |value| StoreError::Value {
            location: self.location.clone(),
            what: "case id",
            value,
        };
        text.parse().map_err(|_| unknown(text))
    }
}

/// Adds the cases that are not there.
pub(crate) async fn add_cases(
    connection: &mut AnyConnection,
    mut cases: Vec<&EncodedCase>,
) -> sqlx::Result<()> {
    // In order of id, so that two writers with common cases wait for each other instead of locking each other.
    cases.sort_unstable_by_key(|case| case.id);
    cases.dedup_by_key(|case| case.id);
    // The update changes nothing but takes the row's lock: nobody may remove the case before it is referred to.
    let insert = Insert {
        head: "INSERT INTO cases (id, bytes)",
        columns: 2,
        tail: "ON CONFLICT (id) DO UPDATE SET id = excluded.id",
    };
    let bind = |statement: Statement, case: &&EncodedCase| {
        statement
            .bind(case.id.to_string())
            .bind(pack_bytes(&case.bytes, &[]))
    };
    insert.insert_rows(connection, &cases, bind).await
}
