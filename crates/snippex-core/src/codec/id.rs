//! The content address of a case.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::case::Case;

/// SHA-256 over the canonical encoding of a case: format version, kind, length and payload. Two cases are equal
/// exactly when their ids are; a new format version gives every case a new id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseId(pub [u8; 32]);

impl CaseId {
    /// Content address of `case`. [`encode_case`](super::encode_case) gives it too, without extra work.
    #[must_use]
    pub fn from_case(case: &Case) -> Self {
        super::encode_case(case).0
    }
}

impl fmt::Display for CaseId {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

pub(super) fn write_hex(digest: &[u8; 32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&hex::encode(digest))
}

impl fmt::Debug for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaseId({self})")
    }
}

/// The text is not a case id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a case id is 64 hexadecimal digits")]
pub struct ParseCaseIdError;

impl FromStr for CaseId {
    type Err = ParseCaseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(ParseCaseIdError);
        }
        let mut id = [0; 32];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex(pair[0])? << 4 | hex(pair[1])?;
        }
        Ok(Self(id))
    }
}

fn hex(digit: u8) -> Result<u8, ParseCaseIdError> {
    let value = char::from(digit).to_digit(16).ok_or(ParseCaseIdError)?;
    Ok(u8::try_from(value).expect("a hexadecimal digit is below 16"))
}
