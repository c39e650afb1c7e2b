//! Generated blocks: made, stored, and counted by form.

use std::collections::BTreeMap;

use cli_kit::Failure;
use iced_x86::CpuidFeature;
use sha2::{Digest, Sha256};
use snippex_blocks::generate::{self, Coverage, Form, FormFate, Request};
use snippex_core::block::Block;
use snippex_store::{Added, NewBinary, StoreHandle};

use crate::args::{FormArgs, PartitionArg};
use crate::checking::Target;
use crate::command::extract::store;
use crate::source::Source;
use crate::tell::OrTell;

/// The blocks of a request.
#[derive(Debug)]
pub(crate) struct Generated {
    pub(crate) request: Request,
    /// Each form asked for, with how many of the blocks are its own; in the order of the blocks.
    pub(crate) forms: Forms,
    pub(crate) blocks: Vec<Block>,
}

/// Forms with the number of their blocks.
pub(crate) type Forms = Vec<(Form, usize)>;

/// What was asked for, checked.
pub(crate) fn request(args: &FormArgs, seed: u64) -> Result<Request, Failure> {
    let lower = |names: &[String]| names.iter().map(|name| name.trim().to_lowercase()).collect();
    let request = Request {
        isa: lower(&args.isa),
        mnemonics: lower(&args.instruction),
        per_form: args.per_form,
        sequence: args.sequence,
        seed,
    };
    request.check().or_tell()?;
    Ok(request)
}

impl Generated {
    /// Makes them.
    pub(crate) fn new(request: Request) -> Self {
        let mut blocks = Vec::new();
        let mut forms = Vec::new();
        for form in request.forms() {
            let before = blocks.len();
            if form.skip().is_none() {
                blocks.extend(generate::of_form(&request, form));
            }
            forms.push((form, blocks.len() - before));
        }
        Self {
            request,
            forms,
            blocks,
        }
    }

    /// As the database keeps what they come from.
    pub(crate) fn describe(&self) -> NewBinary {
        let mut digest = Sha256::new();
        let mut size = 0;
        for block in &self.blocks {
            digest.update(block.address.to_le_bytes());
            digest.update(&block.bytes);
            size += block.bytes.len() as u64;
        }
        let request = self.request.describe();
        digest.update(&request);
        let digest = digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Source::describe_generated(&request, digest, size)
    }

    /// Stores them.
    pub(crate) fn store(&mut self, database: &StoreHandle) -> Result<Option<Added>, Failure> {
        if self.blocks.is_empty() {
            return Ok(None);
        }
        let (added, blocks) = store(database, &self.describe(), std::mem::take(&mut self.blocks))?;
        self.blocks = blocks;
        Ok(Some(added))
    }

    /// Stores them and makes them ready to be run.
    pub(crate) fn into_target(
        mut self,
        database: &StoreHandle,
        partition: Option<PartitionArg>,
    ) -> Result<Target, Failure> {
        let added = self.store(database)?;
        let numbers = added.map(|added| added.numbers).unwrap_or_default();
        let blocks = numbers
            .into_iter()
            .zip(self.blocks)
            .enumerate()
            .map(|(place, (number, block))| (number, place as u64, block));
        let source = Source::generated_as(self.request.describe());
        let mut target = Target::new(source, blocks, partition);
        target.forms = self.forms;
        Ok(target)
    }
}

/// What a processor has.
pub(crate) type Has<'h> = dyn Fn(CpuidFeature) -> bool + 'h;

/// The coverage of `forms`: `ran` says how many blocks of a form were run; without it, all of them count. `tested` is the engine under test, if there is one.
pub(crate) fn coverage(
    forms: &Forms,
    ran: Option<&BTreeMap<Form, u64>>,
    reference: &Has<'_>,
    tested: Option<&Has<'_>>,
) -> Coverage {
    let mut coverage = Coverage::default();
    for &(form, count) in forms {
        let lacks = |has: &Has<'_>| form.features().iter().any(|&feature| !has(feature));
        let ran = ran.map_or(count as u64, |ran| ran.get(&form).copied().unwrap_or(0));
        let fate = match form.skip() {
            // What a processor lacks is not left out of what it can execute.
            Some(skip) if skip.is_for_user_programs() && lacks(reference) => FormFate::Missing,
            Some(skip) => FormFate::Skipped(skip),
            None if lacks(reference) => FormFate::Missing,
            None if count == 0 => FormFate::Empty,
            None if tested.is_some_and(lacks) => FormFate::ReferenceOnly,
            None if ran == 0 => FormFate::NotRun,
            None => FormFate::Run,
        };
        coverage.add(form, fate, ran);
    }
    coverage
}
