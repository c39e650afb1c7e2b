//! Generated blocks: made, stored, and counted by form.

use std::collections::BTreeMap;

use iced_x86::CpuidFeature;
use sha2::{Digest, Sha256};
use snippex_blocks::generate::{self, Coverage, Form, FormFate, GenerationRequest};
use snippex_core::block::Block;
use snippex_core::decode::refused_bytes;
use snippex_store::{Added, NewBinary, StoreHandle};

use crate::{BlockSource, SessionError, store_blocks};

/// The blocks of a request.
#[derive(Debug)]
pub struct Generated {
    /// What was asked for.
    pub request: GenerationRequest,
    /// Each form asked for, with how many of the blocks are of it.
    pub forms: Forms,
    /// All of them, in the order of their addresses.
    pub blocks: Vec<Block>,
}

/// Forms with the number of their blocks.
pub type Forms = Vec<(Form, usize)>;

impl Generated {
    /// Makes them.
    #[must_use]
    pub fn new(request: GenerationRequest) -> Self {
        let mut blocks = Vec::new();
        let mut forms = Vec::new();
        for form in request.forms() {
            let own = match form.skip_reason() {
                None => generate::of_form(&request, form),
                Some(_) => Vec::new(),
            };
            let proper = own.iter().filter(|block| refused_bytes(block).is_none());
            forms.push((form, proper.count()));
            blocks.extend(own);
        }
        blocks.sort_by_key(|block: &Block| block.address);
        Self {
            request,
            forms,
            blocks,
        }
    }

    /// As the database keeps what they come from.
    #[must_use]
    pub fn to_new_binary(&self) -> NewBinary {
        let mut digest = Sha256::new();
        let mut size = 0;
        for block in &self.blocks {
            digest.update(block.address.to_le_bytes());
            digest.update(&block.bytes);
            size += block.bytes.len() as u64;
        }
        let request = self.request.source_name();
        digest.update(&request);
        let digest = hex::encode(digest.finalize());
        BlockSource::describe_generated(&request, digest, size)
    }

    /// Stores them.
    ///
    /// # Errors
    /// When the database cannot take them.
    pub fn store_blocks(&mut self, database: &StoreHandle) -> Result<Option<Added>, SessionError> {
        if self.blocks.is_empty() {
            return Ok(None);
        }
        let (added, blocks) =
            store_blocks(database, &self.to_new_binary(), std::mem::take(&mut self.blocks))?;
        self.blocks = blocks;
        Ok(Some(added))
    }
}

/// What a processor has.
pub type Has<'h> = dyn Fn(CpuidFeature) -> bool + 'h;

/// The coverage of `forms`: `ran` says how many blocks of a form were run; without it, all of them count. `subject` is the engine
/// that is compared with the reference, if there is one.
#[must_use]
pub fn coverage_of_forms(
    forms: &Forms,
    ran: Option<&BTreeMap<Form, u64>>,
    reference: &Has<'_>,
    subject: Option<&Has<'_>>,
) -> Coverage {
    let mut coverage = Coverage::default();
    for &(form, count) in forms {
        let lacks = |has: &Has<'_>| form.features().iter().any(|&feature| !has(feature));
        let ran = ran.map_or(count as u64, |ran| ran.get(&form).copied().unwrap_or(0));
        let fate = match form.skip_reason() {
            // What a processor lacks is not left out of what it can execute.
            Some(skip) if skip.is_for_user_programs() && lacks(reference) => FormFate::Missing,
            Some(skip) => FormFate::Skipped(skip),
            None if lacks(reference) => FormFate::Missing,
            None if count == 0 => FormFate::Empty,
            None if subject.is_some_and(lacks) => FormFate::ReferenceOnly,
            None if ran == 0 => FormFate::NotRun,
            None => FormFate::Run,
        };
        coverage.add_form(form, fate, ran);
    }
    coverage
}
