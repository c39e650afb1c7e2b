//! What to generate.

use thiserror::Error;

use super::form::{Form, extension_name};

/// Most blocks of one form.
pub(super) const MAX_PER_FORM: u32 = 1024;
/// Most instructions of a sequence.
pub(super) const MAX_SEQUENCE: u32 = 64;
/// Most sequences of one form.
pub(super) const MAX_SEQUENCES: u32 = 32;

/// What to generate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenerationRequest {
    /// Extensions by name; empty for all.
    pub isa: Vec<String>,
    /// Mnemonics in lower case; empty for all.
    pub mnemonics: Vec<String>,
    /// Blocks of each form; without it, as many as its operands have corners.
    pub per_form: Option<u32>,
    /// Which blocks of several instructions are made.
    pub sequences: Sequences,
    /// What everything random is derived from.
    pub seed: u64,
}

/// Blocks of several instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sequences {
    /// Next to the blocks of one instruction, sequences of two to eight.
    #[default]
    Short,
    /// None: each block is one instruction, with what it needs to show its effect.
    None,
    /// Nothing else, with so many instructions each.
    Only(u32),
}

/// Why a request cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// No form belongs to an extension of this name.
    #[error("there is no instruction set extension called {name}{}", nearest(.near))]
    Extension {
        /// As it was written.
        name: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// No form has this mnemonic.
    #[error("there is no instruction called {name} in 64-bit mode{}", nearest(.near))]
    Mnemonic {
        /// As it was written.
        name: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// Extensions and mnemonics have nothing in common.
    #[error("none of these instructions belongs to these extensions")]
    Nothing,
    /// A number is out of range.
    #[error("{what} is {value}, not between 1 and {limit}")]
    Range {
        /// Which number.
        what: &'static str,
        /// As it was given.
        value: u32,
        /// The most it can be.
        limit: u32,
    },
}

impl RequestError {
    /// What mends it, in the words of the command line.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Extension { .. } => "see `snippex generate --dry-run` for the names of all extensions",
            Self::Mnemonic { .. } => "give mnemonics as the manuals write them, separated by commas",
            Self::Nothing => "relax --isa or --instruction",
            Self::Range { .. } => "correct --per-form or --sequence",
        }
    }
}

fn nearest(near: &[String]) -> String {
    if near.is_empty() {
        String::new()
    } else {
        format!("; there is {}", near.join(", "))
    }
}

impl GenerationRequest {
    /// Checks that every name is known and every number in range.
    ///
    /// # Errors
    /// Says what is wrong, and for names what is like them.
    pub fn check_validity(&self) -> Result<(), RequestError> {
        let (limit, length) = match self.sequences {
            Sequences::Only(length) => (MAX_SEQUENCES, Some(length)),
            Sequences::Short | Sequences::None => (MAX_PER_FORM, None),
        };
        for (what, value, limit) in [
            ("the number of blocks of each form", self.per_form, limit),
            ("the length of sequences", length, MAX_SEQUENCE),
        ] {
            if let Some(value) = value.filter(|value| !(1..=limit).contains(value)) {
                return Err(RequestError::Range { what, value, limit });
            }
        }
        for name in &self.isa {
            if !Form::all().any(|form| form.is_in(name)) {
                let (name, near) = (name.clone(), alike(name, extensions()));
                return Err(RequestError::Extension { name, near });
            }
        }
        for name in &self.mnemonics {
            if !Form::all().any(|form| form.mnemonic() == *name) {
                let (name, near) = (name.clone(), alike(name, Form::all().map(Form::mnemonic)));
                return Err(RequestError::Mnemonic { name, near });
            }
        }
        if self.forms().next().is_none() {
            return Err(RequestError::Nothing);
        }
        Ok(())
    }

    /// The forms it names, runnable or not.
    pub fn forms(&self) -> impl Iterator<Item = Form> {
        Form::all().filter(|form| {
            (self.isa.is_empty() || self.isa.iter().any(|name| form.is_in(name)))
                && (self.mnemonics.is_empty() || self.mnemonics.contains(&form.mnemonic()))
        })
    }

    /// The request in one word that tells it from every other, `generated:isa=bmi2:seed=1`: what a generated source is
    /// called.
    #[must_use]
    pub fn source_name(&self) -> String {
        let mut text = String::from("generated");
        let mut part = |name: &str, value: String| text += &format!(":{name}={value}");
        if !self.isa.is_empty() {
            part("isa", self.isa.join(","));
        }
        if !self.mnemonics.is_empty() {
            part("instruction", self.mnemonics.join(","));
        }
        if let Some(count) = self.per_form {
            part("per-form", count.to_string());
        }
        match self.sequences {
            Sequences::Short => (),
            Sequences::None => part("sequences", "none".to_owned()),
            Sequences::Only(length) => part("sequence", length.to_string()),
        }
        part("seed", self.seed.to_string());
        text
    }
}

/// Names of all extensions, sorted.
fn extensions() -> impl Iterator<Item = String> {
    Form::all().flat_map(|form| form.features().iter().map(|&feature| extension_name(feature)))
}

/// At most five of `names` that begin like `name`.
fn alike(name: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let start: String = name.chars().take(3).collect();
    let mut near: Vec<String> = names
        .filter(|known| !start.is_empty() && known.starts_with(&start))
        .collect();
    near.sort();
    near.dedup();
    near.truncate(5);
    near
}
