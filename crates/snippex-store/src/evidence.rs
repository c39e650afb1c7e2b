//! Cases and observations as bytes: encoded where they were made, not on the thread that writes.

use snippex_core::case::Case;
use snippex_core::codec::{self, CaseId};
use snippex_core::observation::Observation;
use sqlx::AnyConnection;

use crate::error::StoreError;
use crate::insert::{Insert, Statement};
use crate::open::Store;

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

impl From<&Observation> for EncodedObservation {
    fn from(observation: &Observation) -> Self {
        Self(codec::encode_observation(observation))
    }
}

impl Store {
    pub(crate) fn decode_case(&self, bytes: &[u8]) -> Result<Case, StoreError> {
        let failed = |source| StoreError::Codec {
            location: self.location.clone(),
            what: "case",
            source,
        };
        codec::decode_case(bytes).map_err(failed)
    }

    pub(crate) fn decode_observation(&self, bytes: &[u8]) -> Result<Observation, StoreError> {
        let failed = |source| StoreError::Codec {
            location: self.location.clone(),
            what: "observation",
            source,
        };
        codec::decode_observation(bytes).map_err(failed)
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
        statement.bind(case.id.to_string()).bind(case.bytes.as_slice())
    };
    insert.insert_rows(connection, &cases, bind).await
}
