//! The names of causes.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::general::general_title;
use crate::pattern::{BugPattern, all_bug_patterns};
use crate::signature::SignatureId;

/// The name of a cause: the id of a pattern (`mxcsr-de`), or the family of an instruction and what is wrong with it
/// (`fprem.result`). Lower case, no spaces, and never ten hexadecimal digits as names of signatures are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CauseId(String);

impl CauseId {
    pub(super) fn of_pattern(pattern: &BugPattern) -> Self {
        Self(pattern.id.to_owned())
    }

    pub(super) fn of_family(family: &str, aspect: &str) -> Self {
        Self(format!("{family}.{aspect}"))
    }

    /// The sentence of the manual behind it. `None` when there is none, or none that this version has.
    #[must_use]
    pub fn pattern(&self) -> Option<&'static BugPattern> {
        all_bug_patterns().find(|rule| rule.id == self.0)
    }

    /// What is wrong, in a few words.
    #[must_use]
    pub fn title(&self) -> String {
        if let Some(pattern) = self.pattern() {
            return pattern.title.to_owned();
        }
        if let Some(title) = general_title(&self.0) {
            return title;
        }
        match self.0.split_once('.') {
            Some((family, aspect)) if family.starts_with("invalid-") => {
                let encoding = family
                    .trim_start_matches("invalid-")
                    .replace('-', " ")
                    .to_uppercase();
                format!("Invalid encoding of {encoding}: {}", words(aspect))
            }
            Some((family, aspect)) => format!("{}: {}", family.to_uppercase(), words(aspect)),
            None => self.0.clone(),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn words(aspect: &str) -> String {
    match aspect {
        "result" => "wrong result".to_owned(),
        "flags" => "wrong flags".to_owned(),
        "status" => "wrong status or control word".to_owned(),
        "target" => "goes elsewhere".to_owned(),
        "fault" => "faults otherwise".to_owned(),
        "dies" => "the engine dies".to_owned(),
        "hangs" => "the engine hangs".to_owned(),
        other => match other.split_once('-') {
            Some(("no", signal)) => format!("no {}", signal.to_uppercase()),
            Some(("extra", signal)) => format!("{} for no reason", signal.to_uppercase()),
            _ => other.to_owned(),
        },
    }
}

impl fmt::Display for CauseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for CauseId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for CauseId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The text is not the name of a cause.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the name of a bug is lower-case words joined by - or one dot, such as mxcsr-de or fprem.result")]
pub struct ParseCauseIdError;

impl FromStr for CauseId {
    type Err = ParseCauseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let joined = text.contains(['-', '.'])
            && text
                .bytes()
                .next()
                .is_some_and(|byte| byte.is_ascii_alphanumeric());
        if joined && text.len() <= 64 && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseCauseIdError)
        }
    }
}

/// What a bug is called: a cause, or a signature when one form of an instruction alone is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BugName {
    /// All signatures of a cause.
    Cause(CauseId),
    /// One signature.
    Signature(SignatureId),
}

impl fmt::Display for BugName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cause(cause) => cause.fmt(f),
            Self::Signature(signature) => signature.fmt(f),
        }
    }
}

impl serde::Serialize for BugName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for BugName {
    type Err = ParseCauseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(signature) => Ok(Self::Signature(signature)),
            Err(_) => text.parse().map(Self::Cause),
        }
    }
}
