//! Which forms a request reaches, and why it does not reach others.

use std::collections::BTreeMap;

use serde::Serialize;
use snippex_core::block::Block;
use snippex_core::decode::{Refusal, refused_bytes};

use super::corner_coverage::{self, Reached, StartRequest};
use super::form::{Form, Skip};
use super::sequence_coverage::SequenceCoverage;

/// What became of one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FormFate {
    /// Blocks of it were run.
    Run,
    /// Blocks of it were run on the reference only: the subject lacks a feature.
    ReferenceOnly,
    /// Blocks of it were made but not run.
    NotRun,
    /// The reference lacks a feature.
    Missing,
    /// It is never generated.
    Skipped(Skip),
    /// No block could be made of it.
    Empty,
}

/// The forms of one extension.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExtensionCoverage {
    /// Forms in 64-bit mode.
    pub forms: u64,
    /// Forms of which blocks are run.
    pub run: u64,
    /// Forms that are run on the reference only, because the subject lacks a feature.
    pub reference_only: u64,
    /// Blocks that are run.
    pub blocks: u64,
    /// Forms that the reference lacks.
    pub missing: u64,
    /// Forms that are left out although user programs can execute them on the reference.
    pub not_run: u64,
    /// Forms that are left out, by reason in words, with their names.
    pub skipped: BTreeMap<&'static str, Vec<&'static str>>,
}

/// The forms of a request, by extension.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// By name of the extension.
    pub extensions: BTreeMap<String, ExtensionCoverage>,
    /// The refused encodings next to the forms.
    pub refused: RefusedCoverage,
    /// The sequences that the forms stand in.
    pub sequences: SequenceCoverage,
    /// Of each corner, by its name in words, what meets it.
    pub corners: BTreeMap<&'static str, Reached>,
}

/// Encodings that processors refuse, of which blocks are run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefusedCoverage {
    /// How many.
    pub encodings: u64,
    /// The same by what would have to change.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Those that capstone, as a second opinion, takes for an instruction. `None` when it could not be asked.
    pub decoded_by_capstone: Option<u64>,
}

impl RefusedCoverage {
    /// Counts those of `blocks` that end in one.
    pub fn of_blocks<'b>(blocks: impl Iterator<Item = &'b Block>) -> Self {
        let other = OtherDecoder::build();
        let mut coverage = Self {
            decoded_by_capstone: other.as_ref().map(|_| 0),
            ..Self::default()
        };
        for bytes in blocks.filter_map(refused_bytes) {
            coverage.encodings += 1;
            *coverage
                .reasons
                .entry(Refusal::of_bytes(bytes).name())
                .or_default() += 1;
            if let (Some(count), Some(other)) = (&mut coverage.decoded_by_capstone, &other) {
                *count += u64::from(other.decodes(bytes));
            }
        }
        coverage
    }
}

/// Capstone, where it is part of the build.
#[cfg(feature = "capstone")]
struct OtherDecoder(capstone::Capstone);

#[cfg(feature = "capstone")]
impl OtherDecoder {
    fn build() -> Option<Self> {
        use capstone::prelude::*;
        let x86 = Capstone::new().x86().mode(arch::x86::ArchMode::Mode64);
        x86.build().ok().map(Self)
    }

    fn decodes(&self, bytes: &[u8]) -> bool {
        let found = self.0.disasm_count(bytes, 0, 1);
        found.is_ok_and(|instructions| !instructions.is_empty())
    }
}

#[cfg(not(feature = "capstone"))]
enum OtherDecoder {}

#[cfg(not(feature = "capstone"))]
impl OtherDecoder {
    fn build() -> Option<Self> {
        None
    }

    fn decodes(&self, _bytes: &[u8]) -> bool {
        match *self {}
    }
}

impl Coverage {
    /// Counts what `blocks`, which were run, have in them and meet when they are started as `starts` says.
    pub fn add_blocks<'b>(&mut self, blocks: impl Iterator<Item = &'b Block> + Clone, starts: StartRequest) {
        self.refused = RefusedCoverage::of_blocks(blocks.clone());
        self.sequences = SequenceCoverage::of_blocks(blocks.clone());
        self.corners = corner_coverage::corners_of_blocks(blocks, starts);
    }

    /// Counts a form with `blocks` generated blocks.
    pub fn add_form(&mut self, form: Form, fate: FormFate, blocks: u64) {
        let extension = self.extensions.entry(form.extension()).or_default();
        extension.forms += 1;
        match fate {
            FormFate::Run => {
                extension.run += 1;
                extension.blocks += blocks;
            }
            FormFate::ReferenceOnly => extension.reference_only += 1,
            FormFate::Missing => extension.missing += 1,
            FormFate::NotRun => extension.leave_out("not run", form, true),
            FormFate::Skipped(skip) => {
                extension.leave_out(skip.reason_text(), form, skip.is_for_user_programs());
            }
            FormFate::Empty => extension.leave_out("no block could be made", form, true),
        }
    }

    /// All extensions together.
    #[must_use]
    pub fn total(&self) -> ExtensionCoverage {
        let mut total = ExtensionCoverage::default();
        for extension in self.extensions.values() {
            total.forms += extension.forms;
            total.run += extension.run;
            total.reference_only += extension.reference_only;
            total.blocks += extension.blocks;
            total.missing += extension.missing;
            total.not_run += extension.not_run;
            for (reason, names) in &extension.skipped {
                total.skipped.entry(reason).or_default().extend(names);
            }
        }
        total
    }
}

impl ExtensionCoverage {
    fn leave_out(&mut self, reason: &'static str, form: Form, executable: bool) {
        self.skipped.entry(reason).or_default().push(form.name());
        self.not_run += u64::from(executable);
    }

    /// Forms that user programs can execute on the reference, whether run or not: all but the privileged ones, those
    /// that makers do not agree on, and those it lacks.
    #[must_use]
    pub fn executable_forms(&self) -> u64 {
        self.run + self.reference_only + self.not_run
    }
}
