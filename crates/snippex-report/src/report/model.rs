//! What a report says, as plain data: the same for every format, and what templates are given.

use schemars::JsonSchema;
use serde::Serialize;

/// Version of the data that templates and programs get. It rises when a field is renamed, removed or changes its
/// meaning; new fields leave it as it is.
pub const MODEL_VERSION: u32 = 1;

/// A report on stored checks: figures, bugs, and the findings that they were made of.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ReportModel {
    /// [`MODEL_VERSION`] of the program that made it.
    pub version: u32,
    /// What it is about, in a line.
    pub title: String,
    /// The program that made it, with its version.
    pub made_by: String,
    /// When the newest check in it started (RFC 3339, UTC); empty without checks. The clock is never asked, so that the same
    /// database gives the same report.
    pub newest_check: String,
    /// Sums over all of it.
    pub totals: ReportTotals,
    /// Engines that were compared with a reference, by name and version.
    pub engines: Vec<EngineFigures>,
    /// The programs that blocks are of, those with the most diverging blocks first.
    pub programs: Vec<ProgramFigures>,
    /// Divergences by kind, the most runs first.
    pub kinds: Vec<NamedCount>,
    /// Findings by the instruction-set extension of the instruction at fault, the most runs first.
    pub extensions: Vec<NamedCount>,
    /// Runs without a verdict, by reason, the most first.
    pub inconclusive: Vec<NamedCount>,
    /// The checks, the oldest first.
    pub checks: Vec<CheckFigures>,
    /// Bugs, new ones first, in each group the most runs first.
    pub bugs: Vec<ReportBug>,
    /// Findings, the most runs first.
    pub findings: Vec<ReportFinding>,
}

/// Sums.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ReportTotals {
    /// Checks that came to an end.
    pub checks: u64,
    /// Blocks that were run, over all checks.
    pub blocks: u64,
    /// Those with a divergence.
    pub diverging_blocks: u64,
    /// Cases that were run.
    pub runs: u64,
    /// Those that diverge.
    pub diverged: u64,
    /// Those of which nothing can be said.
    pub inconclusive: u64,
    /// Those that an engine does not support.
    pub unsupported: u64,
    /// Bugs that are not marked as known.
    pub new_bugs: u64,
    /// Bugs that are.
    pub known_bugs: u64,
}

/// What checks of one engine came to.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct EngineFigures {
    /// What the user calls it.
    pub name: String,
    /// As it says itself.
    pub version: String,
    /// Checks of it.
    pub checks: u64,
    /// Blocks that were run.
    pub blocks: u64,
    /// Those with a divergence.
    pub diverging_blocks: u64,
    /// Share of the blocks without one, from 0 to 1.
    pub success: f64,
    /// Wilson's 95 % interval of that share: the least.
    pub success_least: f64,
    /// And the most.
    pub success_most: f64,
    /// Cases that were run.
    pub runs: u64,
    /// Those that diverge.
    pub diverged: u64,
    /// Cases a second; nothing where the time is not known.
    pub runs_per_second: Option<f64>,
}

/// What checks of the blocks of one program came to.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ProgramFigures {
    /// Its file name; of generated blocks what they were made from.
    pub name: String,
    /// Where it was last read: a path, or `disk.qcow2//p1/usr/bin/bash` inside an image. Several where programs of that name
    /// have different contents; none for generated blocks.
    pub places: Vec<String>,
    /// Blocks that were run, over all checks.
    pub blocks: u64,
    /// Those with a divergence.
    pub diverging_blocks: u64,
    /// Share of the blocks without one, from 0 to 1.
    pub success: f64,
    /// Cases that were run.
    pub runs: u64,
    /// Those that diverge.
    pub diverged: u64,
}

/// How often something of a name was met.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct NamedCount {
    /// The name.
    pub name: String,
    /// Blocks; nothing where they were not counted.
    pub blocks: Option<u64>,
    /// Runs.
    pub runs: u64,
}

/// One check.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct CheckFigures {
    /// Its number in the database.
    pub run: i64,
    /// When it started (RFC 3339, UTC).
    pub started: String,
    /// The engine that was compared.
    pub engine: String,
    /// Its version.
    pub engine_version: String,
    /// The engine that was taken as right.
    pub reference: String,
    /// Whether every block was done.
    pub complete: bool,
    /// Blocks that were run.
    pub blocks: u64,
    /// Those with a divergence.
    pub diverging_blocks: u64,
    /// Share of the blocks without one, from 0 to 1.
    pub success: f64,
    /// Cases that were run.
    pub runs: u64,
    /// How long blocks were run for, in seconds.
    pub seconds: f64,
    /// What start states follow from.
    pub seed: u64,
    /// Start states of each block.
    pub states: u32,
}

/// Runs of an engine.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct EngineRuns {
    /// What the user calls it.
    pub name: String,
    /// As it says itself.
    pub version: String,
    /// What it was started with.
    pub configuration: Vec<String>,
    /// Runs that diverged.
    pub runs: u64,
}

/// A bug.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ReportBug {
    /// Its name in the database; letters, digits, dots and hyphens.
    pub id: String,
    /// What is wrong, in words.
    pub title: String,
    /// What the manual says, when a sentence of it decides.
    pub manual: Option<String>,
    /// Where the manual says so.
    pub reference: Option<String>,
    /// `new` or `known`.
    pub status: String,
    /// Where it is reported, when it is known.
    pub issue: Option<String>,
    /// How sure it is: `confirmed`, `flaky`, `not reduced` or `no case`.
    pub certainty: String,
    /// Diverging runs.
    pub runs: u64,
    /// In how many ways it shows.
    pub signatures: u64,
    /// Forms of instructions that show it.
    pub forms: u64,
    /// When it was met first (RFC 3339, UTC).
    pub first_seen: String,
    /// The engines that it showed on.
    pub engines: Vec<EngineRuns>,
    /// Its plainest case.
    pub example: Option<ReportExample>,
}

/// A case that shows a bug.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ReportExample {
    /// Its instructions.
    pub code: Vec<String>,
    /// Their bytes, as hexadecimal pairs.
    pub bytes: String,
    /// What it starts with, where that is not zero or as after reset.
    pub state: Vec<String>,
    /// What differs, each in a sentence.
    pub differences: Vec<String>,
    /// Content address of the case.
    pub case: String,
    /// The case as `.snip` text, which `snippex replay` runs.
    pub snip: String,
}

/// One way in which a bug shows.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct ReportFinding {
    /// Names it, in hexadecimal digits.
    pub id: String,
    /// Name of the bug that it is of.
    pub bug: String,
    /// What kind of divergence it is.
    pub kind: String,
    /// Mnemonic and operand kinds of the instruction at fault.
    pub instruction: String,
    /// Encoding and prefixes of that instruction.
    pub encoding: String,
    /// Instruction-set extension of that instruction.
    pub extension: String,
    /// What differs: parts of the state.
    pub fields: Vec<String>,
    /// `new` or `known`.
    pub status: String,
    /// How sure it is, as of a bug.
    pub certainty: String,
    /// Diverging runs.
    pub runs: u64,
    /// Blocks with such runs.
    pub blocks: u64,
    /// The engines that it showed on, with their versions.
    pub engines: Vec<String>,
    /// What differs in its example, each in a sentence.
    pub differences: Vec<String>,
    /// Instructions of its example.
    pub code: Vec<String>,
}

/// The schema of [`ReportModel`], as JSON Schema 2020-12.
#[must_use]
pub fn model_schema() -> serde_json::Value {
    schemars::schema_for!(ReportModel).to_value()
}
