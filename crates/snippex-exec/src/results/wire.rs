//! The form of results in files: what was stored of each run, in snippex-core's envelope.
//!
//! The order of fields and variants is the format. What follows from the groups is not written, and made anew from them
//! when results are read: forged bytes can be wrong about what ran, and no more than that.

use serde::{Deserialize, Serialize};
use snippex_core::codec::{self, Bytes, CodecError};
use snippex_core::group::Group;
use snippex_core::state::Components;
use snippex_runner::layout::{Fault, LINE, RunOutput, VectorFile, WireBlock, WireLine};

use super::owned::{OwnedKind, OwnedResults, RawResults, ResultsError};
use super::{RunOutcome, Unsupported, changed_lines};
use crate::engine::feature_text;
use crate::lower::{Lowered, lower_block};
use crate::plan::NO_BLOCK;

#[derive(Serialize, Deserialize)]
struct ResultsWire<'a> {
    components: Components,
    unsupported: Vec<Option<UnsupportedWire>>,
    #[serde(borrow)]
    runs: RunsWire<'a>,
}

#[derive(Serialize, Deserialize)]
enum RunsWire<'a> {
    Raw {
        /// By group.
        #[serde(borrow)]
        groups: Vec<Vec<RunWire<'a>>>,
        parked: Vec<u64>,
    },
    Made(Vec<Vec<OutcomeWire>>),
}

#[derive(Serialize, Deserialize)]
enum OutcomeWire {
    /// As `codec::encode_observation` has it.
    Ran(Vec<u8>),
    Unsupported(UnsupportedWire),
}

/// Why something was not run, as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum UnsupportedWire {
    /// Why follows from the block.
    Block,
    Feature(String),
    Address,
    Programs,
    Abandoned,
    State(String),
    NotRecorded,
}

#[derive(Serialize, Deserialize)]
struct RunWire<'a> {
    gpr: [u64; 16],
    rflags: u64,
    fs_base: u64,
    gs_base: u64,
    exit: u32,
    stored: u64,
    fault: FaultWire,
    #[serde(borrow)]
    vectors: Option<VectorsWire<'a>>,
    #[serde(borrow)]
    lines: Vec<LineWire<'a>>,
}

#[derive(Serialize, Deserialize)]
struct FaultWire {
    signal: u32,
    code: i32,
    address: u64,
    rip: u64,
    rflags: u64,
    error: u64,
}

#[derive(Serialize, Deserialize)]
struct VectorsWire<'a> {
    #[serde(borrow)]
    fx: Bytes<'a>,
    #[serde(borrow)]
    zmm: Bytes<'a>,
    opmask: [u64; 8],
}

#[derive(Serialize, Deserialize)]
struct LineWire<'a> {
    address: u64,
    #[serde(borrow)]
    bytes: Bytes<'a>,
}

impl OwnedResults {
    /// The bytes of the results, the groups apart.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let unsupported = self
            .unsupported
            .iter()
            .map(|reason| reason.as_ref().map(UnsupportedWire::from_reason));
        let runs = match &self.kind {
            OwnedKind::Raw(raw) => raw.to_wire(),
            OwnedKind::Made(groups) => RunsWire::Made(
                groups
                    .iter()
                    .map(|outcomes| outcomes.iter().map(OutcomeWire::of).collect())
                    .collect(),
            ),
        };
        let wire = ResultsWire {
            components: self.components,
            unsupported: unsupported.collect(),
            runs,
        };
        codec::encode_value(codec::FrameKind::Results, &wire)
    }

    /// The results that [`OwnedResults::encode`] made `bytes` from; `groups` are those that were run.
    ///
    /// # Errors
    /// When `bytes` is anything else, or of other groups as far as [`OwnedResults::view`] sees that.
    pub fn decode(bytes: &[u8], groups: &[Group]) -> Result<Self, ResultsError> {
        let wire: ResultsWire<'_> = codec::decode_value(codec::FrameKind::Results, bytes)?;
        if wire.unsupported.len() != groups.len() {
            return Err(ResultsError::OtherBatch("it has more or fewer groups"));
        }
        let reasons = wire.unsupported.into_iter().zip(groups);
        let unsupported: Vec<Option<Unsupported>> = reasons
            .map(|(reason, group)| reason.map(|reason| reason.decode_reason(group)).transpose())
            .collect::<Result<_, _>>()?;
        let results = Self {
            lowered: lower_supported(groups, &unsupported)?,
            unsupported,
            components: wire.components,
            kind: wire.runs.read(groups)?,
        };
        results.view(groups)?;
        Ok(results)
    }
}

fn lower_supported(
    groups: &[Group],
    unsupported: &[Option<Unsupported>],
) -> Result<Vec<Option<Lowered>>, ResultsError> {
    let lower_one = |(group, reason): (&Group, &Option<Unsupported>)| match reason {
        Some(_) => Ok(None),
        None => lower_block(&group.block, group.placement)
            .map(Some)
            .map_err(|_| ResultsError::OtherBatch("a block of it can be executed")),
    };
    groups.iter().zip(unsupported).map(lower_one).collect()
}

impl<'a> RunsWire<'a> {
    fn read(self, groups: &[Group]) -> Result<OwnedKind, ResultsError> {
        Ok(match self {
            Self::Raw { groups, parked } => OwnedKind::Raw(RawResults::of_wire(&groups, parked)?),
            Self::Made(outcomes) => OwnedKind::Made(
                outcomes
                    .into_iter()
                    .zip(groups)
                    .map(|(outcomes, group)| outcomes.into_iter().map(|one| one.read(group)).collect())
                    .collect::<Result<_, _>>()?,
            ),
        })
    }
}

impl OutcomeWire {
    fn of(outcome: &RunOutcome) -> Self {
        match outcome {
            RunOutcome::Ran(observation) => Self::Ran(codec::encode_observation(observation)),
            RunOutcome::Unsupported(reason) => Self::Unsupported(UnsupportedWire::from_reason(reason)),
        }
    }

    fn read(self, group: &Group) -> Result<RunOutcome, ResultsError> {
        Ok(match self {
            Self::Ran(bytes) => RunOutcome::Ran(Box::new(codec::decode_observation(&bytes)?)),
            Self::Unsupported(reason) => RunOutcome::Unsupported(reason.decode_reason(group)?),
        })
    }
}

impl UnsupportedWire {
    pub(crate) fn from_reason(reason: &Unsupported) -> Self {
        match reason {
            Unsupported::Block(_) => Self::Block,
            Unsupported::Feature(name) => Self::Feature((*name).to_owned()),
            Unsupported::Address => Self::Address,
            Unsupported::Programs | Unsupported::Programs32 => Self::Programs,
            Unsupported::State(reason) => Self::State(reason.clone().into_owned()),
            Unsupported::Abandoned => Self::Abandoned,
            Unsupported::NotRecorded => Self::NotRecorded,
        }
    }

    pub(crate) fn decode_reason(&self, group: &Group) -> Result<Unsupported, ResultsError> {
        Ok(match self {
            Self::Block => match lower_block(&group.block, group.placement) {
                Err(error) => Unsupported::Block(error),
                Ok(_) => return Err(ResultsError::OtherBatch("a block of it cannot be executed")),
            },
            Self::Feature(name) => Unsupported::Feature(
                feature_text(name).ok_or(CodecError::Invalid("a CPU feature is not known"))?,
            ),
            Self::Address => Unsupported::Address,
            Self::Programs => Unsupported::Programs,
            Self::State(reason) => Unsupported::State(reason.clone().into()),
            Self::Abandoned => Unsupported::Abandoned,
            Self::NotRecorded => Unsupported::NotRecorded,
        })
    }
}

impl RawResults {
    fn to_wire(&self) -> RunsWire<'_> {
        let of_block = |block: &WireBlock| {
            let first = block.first_run as usize;
            let runs = first..first + block.run_count as usize;
            runs.map(|run| self.run_to_wire(run)).collect()
        };
        RunsWire::Raw {
            groups: self.blocks.iter().map(of_block).collect(),
            parked: self.parked.clone(),
        }
    }

    fn run_to_wire(&self, run: usize) -> RunWire<'_> {
        let end = self.end_states().get(run);
        let (output, file) = (end.output, end.vectors);
        RunWire {
            gpr: output.gpr,
            rflags: output.rflags,
            fs_base: output.fs_base,
            gs_base: output.gs_base,
            exit: output.exit,
            stored: output.stored,
            fault: FaultWire::of(output.fault),
            vectors: (output.stored != 0).then(|| VectorsWire::of(file)),
            lines: changed_lines(output, &self.lines)
                .iter()
                .map(LineWire::of)
                .collect(),
        }
    }

    fn of_wire(groups: &[Vec<RunWire<'_>>], mut parked: Vec<u64>) -> Result<Self, ResultsError> {
        parked.sort_unstable();
        let mut raw = Self {
            parked,
            ..Self::default()
        };
        for runs in groups {
            raw.blocks.push(WireBlock {
                first_run: count(raw.outputs.len())?,
                run_count: count(runs.len())?,
                ..NO_BLOCK
            });
            runs.iter().try_for_each(|run| raw.push_run(run))?;
        }
        Ok(raw)
    }

    fn push_run(&mut self, run: &RunWire<'_>) -> Result<(), CodecError> {
        let ascending = run.lines.is_sorted_by(|a, b| a.address < b.address);
        if !ascending || run.lines.iter().any(|line| line.address % LINE as u64 != 0) {
            return Err(CodecError::Invalid("lines of memory are not in order"));
        }
        if run.vectors.is_some() != (run.stored != 0) {
            return Err(CodecError::Invalid(
                "vector registers are missing or one too many",
            ));
        }
        self.outputs.push(run.output(count(self.lines.len())?)?);
        let file = run.vectors.as_ref().map(VectorsWire::read).transpose()?;
        self.push_vectors(file.as_ref());
        for line in &run.lines {
            self.lines.push(line.read()?);
        }
        Ok(())
    }
}

fn count(length: usize) -> Result<u32, CodecError> {
    u32::try_from(length).map_err(|_| CodecError::Invalid("a batch is too large"))
}

impl RunWire<'_> {
    fn output(&self, first_line: u32) -> Result<RunOutput, CodecError> {
        Ok(RunOutput {
            gpr: self.gpr,
            rflags: self.rflags,
            fs_base: self.fs_base,
            gs_base: self.gs_base,
            exit: self.exit,
            line_count: count(self.lines.len())?,
            first_line,
            at_rip: 0,
            stored: self.stored,
            fault: self.fault.read(),
            stray_lines: 0,
        })
    }
}

impl FaultWire {
    fn of(fault: Fault) -> Self {
        Self {
            signal: fault.signal,
            code: fault.code,
            address: fault.address,
            rip: fault.rip,
            rflags: fault.rflags,
            error: fault.error,
        }
    }

    fn read(&self) -> Fault {
        Fault {
            signal: self.signal,
            code: self.code,
            address: self.address,
            rip: self.rip,
            rflags: self.rflags,
            error: self.error,
        }
    }
}

impl<'a> VectorsWire<'a> {
    fn of(file: &'a VectorFile) -> Self {
        Self {
            fx: Bytes(&file.fx),
            zmm: Bytes(file.zmm.as_flattened()),
            opmask: file.opmask,
        }
    }

    fn read(&self) -> Result<VectorFile, CodecError> {
        let bytes: [u8; 2048] = self
            .zmm
            .to_array("the vector registers are not 2048 bytes long")?;
        let mut zmm = [[0; 64]; 32];
        zmm.as_flattened_mut().copy_from_slice(&bytes);
        Ok(VectorFile {
            fx: self.fx.to_array("the x87 state is not 512 bytes long")?,
            zmm,
            opmask: self.opmask,
        })
    }
}

impl<'a> LineWire<'a> {
    fn of(line: &'a WireLine) -> Self {
        Self {
            address: line.address,
            bytes: Bytes(&line.bytes),
        }
    }

    fn read(&self) -> Result<WireLine, CodecError> {
        Ok(WireLine {
            address: self.address,
            bytes: self.bytes.to_array("a line of memory is not 64 bytes long")?,
        })
    }
}
