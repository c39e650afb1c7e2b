//! Which forms a request reaches, and why it does not reach others.

use std::collections::BTreeMap;

use serde::Serialize;

use super::form::{Form, Skip};

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
}

impl Coverage {
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
