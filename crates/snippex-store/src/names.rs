//! Enumerations as the words that the database holds: the serde name of a variant.

use std::fmt;

use serde::Serialize;
use serde::de::value::{Error, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

/// The word for a variant without fields.
pub(crate) fn word_from_variant<T: Serialize>(variant: &T) -> String {
    Word(variant).to_string()
}

/// The variant that `word` stands for; `None` when there is none (a database edited by hand).
pub(crate) fn variant_from_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    let words: StrDeserializer<'_, Error> = word.into_deserializer();
    T::deserialize(words).ok()
}

struct Word<'a, T>(&'a T);

impl<T: Serialize> fmt::Display for Word<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use snippex_core::block::{Origin, Terminator};

    use super::*;

    #[test]
    fn words_are_the_ones_of_the_command_line() {
        assert_eq!(word_from_variant(&Terminator::IndirectJmp), "indirect-jmp");
        assert_eq!(
            variant_from_word::<Origin>("unwind-info"),
            Some(Origin::UnwindInfo)
        );
        assert_eq!(variant_from_word::<Origin>("nonsense"), None);
    }
}
