//! The short name of a signature.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::Signature;

/// Bytes of the hash that are kept: of ten thousand bugs, two share an id once in twenty thousand databases.
const BYTES: usize = 5;
/// Begins what is hashed; changes when the meaning of signatures changes.
const VERSION: &str = "snippex signature 1";

/// The first ten hexadecimal digits of the SHA-256 over a signature's text. The same on every machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignatureId(pub [u8; BYTES]);

impl SignatureId {
    pub(super) fn from_signature(signature: &Signature) -> Self {
        let mut hash = Sha256::new();
        let form = &signature.form;
        let parts = [VERSION, signature.kind.name(), &form.text, &form.encoding];
        for part in parts
            .into_iter()
            .chain(signature.fields.iter().map(String::as_str))
        {
            hash.update(part);
            hash.update([0]);
        }
        let digest = hash.finalize();
        Self(std::array::from_fn(|index| digest[index]))
    }
}

impl fmt::Display for SignatureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SignatureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignatureId({self})")
    }
}

impl serde::Serialize for SignatureId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text is not a signature's id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the id of a bug is ten hexadecimal digits")]
pub struct ParseSignatureIdError;

impl FromStr for SignatureId {
    type Err = ParseSignatureIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 2 * BYTES || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseSignatureIdError);
        }
        let number = u64::from_str_radix(text, 16).map_err(|_| ParseSignatureIdError)?;
        let bytes = number.to_be_bytes();
        Ok(Self(std::array::from_fn(|index| bytes[8 - BYTES + index])))
    }
}
